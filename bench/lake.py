"""A lake of many partitions: `python -m bench.lake --partitions 100000 --rows 5000000 --memory 600MB`.

The rows come in an order that has nothing to do with their partitions. A process of its own writes them, so that the
most memory it ever held (for Spark, its JVM's too) is that of the write; then the lake's small files, of as many
appends, are compacted by another.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import click

from bench.worker import peak_bytes

ROOT = Path(__file__).parent.parent
SQL = "SELECT abs(hash(id) % {partitions}) AS k, id AS user_id, id * 7 % 1000 AS amount, md5(CAST(id AS {text})) AS url"


def write(into: str, target: str, memory: str, partitions: int, rows: int, appends: int) -> dict[str, Any]:
    """Write a lake, in one go or in several appends."""
    import penstock as ps

    with ps.connect(target, memory=memory) as engine:
        duckdb = engine.name == "duckdb"
        began, files = perf_counter(), 0
        for append in range(appends):
            ids = f"range({append}, {rows}, {appends})"
            source = f"{ids} AS r(id)" if duckdb else ids
            selected = SQL.format(partitions=partitions, text="VARCHAR" if duckdb else "STRING")
            table = engine.query(f"{selected} FROM {source}", {})
            files += len(ps.write(table, into, partition_by="k", mode="append").files)
        seconds = perf_counter() - began
        return {"seconds": seconds, "peak_bytes": peak_bytes(), "files": files}


def compact(into: str) -> dict[str, Any]:
    """Put the files of a lake together."""
    import penstock as ps

    began = perf_counter()
    done = ps.compact(into)
    return {"seconds": perf_counter() - began, "peak_bytes": peak_bytes(), "files": done.files_after}


def alone(function: str, *arguments: Any) -> dict[str, Any]:
    """Call a function of this module in a new process."""
    code = f"import json; from bench import lake; print(json.dumps(lake.{function}(*{arguments!r})))"
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    result: dict[str, Any] = json.loads(said.stdout.splitlines()[-1])
    return result


@click.command()
@click.option("--engine", default="duckdb", show_default=True)
@click.option("--memory", default="600MB", show_default=True, help="What the engine may take.")
@click.option("--partitions", default=100_000, show_default=True)
@click.option("--rows", default=5_000_000, show_default=True)
@click.option("--appends", default=1, show_default=True, help="Several make small files, which are then compacted.")
@click.option("--below", default=None, help="A folder to work in.")
def main(engine: str, memory: str, partitions: int, rows: int, appends: int, below: str | None) -> None:
    """Print a line for the write and, after several appends, one for the compaction."""
    with TemporaryDirectory(dir=below) as folder:
        into = f"{folder}/lake"
        results = {"write": alone("write", into, engine, memory, partitions, rows, appends)}
        if appends > 1:
            results["compact"] = alone("compact", into)
    for name, found in results.items():
        peak = found["peak_bytes"] / 1e6
        click.echo(f"{name:<8} {found['seconds']:7.1f} s   {peak:6.0f} MB at most   {found['files']} files")


if __name__ == "__main__":
    main()
