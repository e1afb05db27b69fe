"""What `make demo` runs: a day of clicks is written, and a job over it is planned, run, killed, and run to its end.

    python examples/clickstream/demo.py --size 300MB

All is below `demo/clickstream/`. The logs stay for the next time; the lake and the runs are made anew.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click
from generate import generate, size_in_bytes
from rich.console import Console
from rich.table import Table

import penstock as ps

PENSTOCK = Path(sys.executable).with_name("penstock")
JOB = Path(__file__).with_name("job.py").resolve()
SHOWN = 10
screen = Console(highlight=False)


@click.command()
@click.option("--size", default="300MB", show_default=True, help="Of the gzipped logs, about.")
@click.option("--folder", default="demo/clickstream", show_default=True, type=click.Path(path_type=Path))
@click.option("--engine", default="duckdb", show_default=True, help="Or local[2], for Spark.")
def main(size: str, folder: Path, engine: str) -> None:
    """Show a job from its data to its rows, with a kill on the way."""
    written(folder / "data", size_in_bytes(size))
    for made in ("lake", ".penstock"):
        shutil.rmtree(folder / made, ignore_errors=True)
    command = [str(PENSTOCK), "run", os.path.relpath(JOB, folder), "--engine", engine]

    said("What it would do", [*command, "--explain"])
    subprocess.run([*command, "--explain"], cwd=folder, check=True)

    said("It runs, and is killed half-way (kill -9)", command)
    killed_half_way(command, folder)

    said("The same again: what is done is not done twice", command)
    subprocess.run(command, cwd=folder, check=True)

    said("And once more", command)
    subprocess.run(command, cwd=folder, check=True)

    said(f"The top {SHOWN} pages of the day, from {folder}/lake/top_pages")
    show(ps.read(str(folder / "lake" / "top_pages")))
    left = ", ".join(f"{name}/" for name in sorted(path.name for path in (folder / "lake").glob("[!.]*")))
    screen.print(f"\nThe lake is {folder}/lake: {left}", soft_wrap=True)
    screen.print(f"What was refused, and why: cd {folder} && penstock quarantine last", soft_wrap=True)


def said(what: str, command: list[str] | None = None) -> None:
    """A heading, and the command as a person would type it."""
    screen.print(f"\n[bold]{what}[/]")
    if command:
        screen.print(f"[dim]$ penstock {' '.join(command[1:])}[/]\n", soft_wrap=True)


def written(data: Path, size: int) -> None:
    """The day, unless it is there in that size already."""
    told = data / "truth.json"
    if told.exists() and json.loads(told.read_text())["size"] == size:
        return
    began = time.monotonic()
    with screen.status(f"writing {size / 1e6:,.0f} MB of logs to {data}"):
        truth = generate(data, size)
    broken = sum(truth["broken"].values())
    screen.print(
        f"Wrote {truth['lines']:,} lines of {truth['servers']} servers to {data} in {time.monotonic() - began:.0f} s: "
        f"{broken:,} are broken in six ways, {sum(truth['sent_again'].values()):,} are sent again.",
        soft_wrap=True,
    )


def killed_half_way(command: list[str], folder: Path) -> None:
    """Run it, and kill it once a step is done and the next has worked for a while."""
    with subprocess.Popen(command, cwd=folder) as run:
        since, patience = 0.0, 0.0
        while run.poll() is None and not (since and time.monotonic() > since + patience):
            time.sleep(0.05)
            if not since and (seconds := first_step(folder)):
                since, patience = time.monotonic(), seconds / 4
        run.send_signal(signal.SIGKILL)
    screen.show_cursor(True)  # which a program that is killed does not give back
    if run.returncode == -signal.SIGKILL:
        screen.print(
            "\nKilled. What was done is in its folder, and nothing half-written is in the lake.", soft_wrap=True
        )
    else:
        screen.print("\nIt was done before the kill came; a larger --size gives it time.")


def first_step(folder: Path) -> float:
    """The seconds that the first step took which is done; 0 where none is."""
    lines = [line for path in folder.glob(".penstock/*/*/events.ndjson") for line in path.read_text().splitlines()]
    done = (json.loads(line) for line in lines if '"step_finished"' in line)
    return next((float(event["seconds"]) for event in done), 0.0)


def show(pages: Any) -> None:
    """The first rows as a table."""
    best = ps.query(f"SELECT url, section, views, visitors FROM t ORDER BY views DESC, url LIMIT {SHOWN}", t=pages)
    drawn = Table(*best.columns, box=None, pad_edge=False)
    for column in drawn.columns[2:]:
        column.justify = "right"
    for url, section, views, visitors in best.fetchall():
        drawn.add_row(url, section, f"{views:,}", f"{visitors:,}")
    screen.print(drawn)


if __name__ == "__main__":
    main()
