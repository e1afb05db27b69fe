"""The top 100 URLs of an access log, beside the classic Unix pipeline: what `make demo` runs.

It writes a log, asks both for the answer, and says what the question would move on a cluster.
"""

from __future__ import annotations

import csv
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import click
from access_log import write_access_log
from rich.console import Console
from rich.table import Table

import penstock as ps

PENSTOCK = Path(sys.executable).with_name("penstock")
# The same field: the second word of the request, empty in a line that has none. Equal counts in the order of the paths.
PIPELINE = r"""awk -F'"' '{split($2, a, " "); print a[2]}' "$0" | sort | uniq -c | sort -k1,1nr | head -n 100"""
SPLIT = 128e6  # bytes of input that one task of a cluster reads
# Spark's row layout of a path and its count: length, null bits, where the text is, its bytes padded to 8, the count.
RECORD = 4 + 8 + 8 + 8


@click.command()
@click.option("--size", default="300MB", show_default=True, help="Of the log that is written.")
@click.option("--log", default="demo/access.log", show_default=True, type=click.Path(path_type=Path))
def main(size: str, log: Path) -> None:
    """Write an access log and find its top 100 URLs twice."""
    screen = Console(highlight=False)
    wanted = size_in_bytes(size)
    if not log.exists() or not 0.95 < log.stat().st_size / wanted < 1.05:
        log.parent.mkdir(parents=True, exist_ok=True)
        with screen.status(f"writing {log}"):
            write_access_log(log, wanted, seed=7)
    screen.print(f"The top 100 URLs of [bold]{log}[/], {log.stat().st_size / 1e6:,.0f} MB; the first ten:\n")

    found, ours = timed(lambda: penstock_top(log))
    show(screen, found[:10])
    with screen.status("the Unix pipeline is at work"):
        unix_found, theirs = timed(lambda: unix_top(log))
        lines, malformed, every, combined = movement(log)
    screen.print(f"\n{lines:,} lines; {malformed:,} do not parse: they are counted, and kept with their text.\n")
    screen.print("[bold]On a cluster[/] this question would move, in Spark's row layout and before compression,")
    screen.print(f"  {every / 1e6:10,.1f} MB  if every line's path were sent to be counted")
    screen.print(f"  {combined / 1e6:10,.1f} MB  as Penstock does it: one (path, count) a path and 128 MB split\n")
    screen.print("[bold]On this machine[/] it took")
    screen.print(f"  {ours:10.2f} s   penstock top {log} --by path -n 100")
    screen.print(f"  {theirs:10.2f} s   awk | sort | uniq -c | sort: {theirs / ours:.1f} times as long")
    if found != unix_found:
        sys.exit("The two answers differ. That is a bug.")
    screen.print("\nBoth gave the same 100 lines.")


def size_in_bytes(size: str) -> int:
    """Bytes in "300MB" or "1GB"."""
    units = {"GB": 1e9, "MB": 1e6}
    return int(float(size[:-2]) * units[size[-2:].upper()])


def timed(ask: Callable[[], list[tuple[str, int]]]) -> tuple[list[tuple[str, int]], float]:
    """An answer and the seconds that it took."""
    started = time.perf_counter()
    return ask(), time.perf_counter() - started


def penstock_top(log: Path) -> list[tuple[str, int]]:
    """The answer of the command line, the start of its process included, as of the pipeline's."""
    command = [PENSTOCK, "top", log, "--by", "path", "-n", "100", "--format", "csv"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [(path, int(n)) for path, n in list(csv.reader(printed.splitlines()))[1:]]


def unix_top(log: Path) -> list[tuple[str, int]]:
    """The answer of the pipeline, in the order of bytes."""
    environment = {"LC_ALL": "C", "PATH": "/usr/bin:/bin"}
    printed = subprocess.run(["sh", "-c", PIPELINE, log], env=environment, check=True, capture_output=True).stdout
    counted = (line.lstrip().partition(" ") for line in printed.decode().splitlines())
    return [(path, int(n)) for n, _, path in counted]


def movement(log: Path) -> tuple[int, int, float, float]:
    """Lines, malformed lines, and the bytes that cross a shuffle without and with a combiner in each split."""
    splits = max(1, round(log.stat().st_size / SPLIT))
    read = ps.read(log, format="log")
    # DuckDB numbers rows in the order of the file; `ps.query` refuses a number without an order.
    place = f"SELECT path, raw, (row_number() OVER () - 1) * {splits} // (SELECT count(*) FROM t) AS split FROM t"
    numbered = ps.engine_of(read).query(place, {"t": read})
    width = f"{RECORD} + (strlen(path) + 7) // 8 * 8"
    by_split = ps.aggregate(numbered, ["split", "path"], n="count(*)", malformed="count(raw)")
    wide = ps.query(f"SELECT n, malformed, path IS NOT NULL AS moves, {width} AS width FROM t", t=by_split)
    total = ps.query(
        "SELECT sum(n), sum(malformed), sum(n * width) FILTER (WHERE moves), sum(width) FILTER (WHERE moves) FROM t",
        t=wide,
    )
    lines, malformed, every, combined = total.fetchall()[0]
    return lines, malformed, float(every), float(combined)


def show(screen: Console, rows: list[tuple[str, int]]) -> None:
    """A small table."""
    table = Table("path", "n", box=None, pad_edge=False)
    table.columns[1].justify = "right"
    for path, n in rows:
        table.add_row(path or "(none: no request, or a line that does not parse)", f"{n:,}")
    screen.print(table)


if __name__ == "__main__":
    main()
