"""What jobs promise, tried at a size that a test has no time for: `python -m bench.jobs kills|size|overhead`.

kills      the clickstream job is killed (SIGKILL) at instants of chance, and run to its end: its lake is that of a run
           that was left alone, and nothing hidden or half-written is there. With --engine local[2] on Spark.
size       the job over so much gzip with DuckDB held to so much memory: time, throughput, peak; then a kill in the
           last step, after which only that step is done again.
overhead   what the runner itself takes for a step that has next to nothing to do.
"""

from __future__ import annotations

import json
import random
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

import penstock as ps

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "examples" / "clickstream"
SINKS = ("visits", "engagement", "top_pages")


@click.group()
def main() -> None:
    """Try what jobs promise."""


@main.command()
@click.option("--kills", default=30, show_default=True)
@click.option("--size", default="20MB", show_default=True, help="Of the gzipped logs.")
@click.option("--engine", default="duckdb", show_default=True)
@click.option("--seed", default=1, show_default=True, help="Of the instants.")
def kills(kills: int, size: str, engine: str, seed: int) -> None:
    """Kill and resume; exit 1 where a lake differs."""
    chance, wrong = random.Random(seed), 0
    with TemporaryDirectory() as place:
        whole, folder = Path(place, "whole"), Path(place, "killed")
        _generated(Path(place, "data"), size)
        began = time.monotonic()
        _run(whole, engine)
        seconds = time.monotonic() - began
        truth = _lake(whole)
        click.echo(f"a run left alone takes {seconds:.1f} s: {truth}")
        for number in range(1, kills + 1):
            shutil.rmtree(folder, ignore_errors=True)
            instant = chance.uniform(0.0, seconds)
            _run(folder, engine, kill_after=instant)
            done = _done(folder)
            again = _run(folder, engine)["did"]
            same = _lake(folder) == truth
            hidden = [path for path in folder.rglob("*") if _is_orphan(path)]
            twice = sorted(set(done) & set(again))
            good = same and not hidden and not twice
            wrong += not good
            said = "" if good else f"  WRONG: same={same} hidden={hidden[:3]} done twice={twice}"
            click.echo(f"{number:3} killed after {instant:5.1f} s with {', '.join(done) or 'nothing'} done{said}")
    click.echo(f"{kills - wrong} of {kills} lakes are as if nothing had happened")
    sys.exit(1 if wrong else 0)


@main.command()
@click.option("--size", default="2GB", show_default=True, help="Of the gzipped logs.")
@click.option("--memory", default="2GB", show_default=True, help="That DuckDB may use.")
def size(size: str, memory: str) -> None:
    """Run a large day in little memory."""
    with TemporaryDirectory() as place:
        folder = Path(place, "run")
        _generated(Path(place, "data"), size)
        bytes_in = sum(file.stat().st_size for file in Path(place, "data").rglob("*.gz"))
        began = time.monotonic()
        found = _run(folder, "duckdb", "--set", f"memory={memory}", "--set", f"scratch={place}")
        seconds = time.monotonic() - began
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
        rows = next(step["found"] for step in found["steps"] if step["step"] == "events")
        click.echo(f"{bytes_in / 1e9:.2f} GB of gzip, {rows:,} lines, in {seconds:.0f} s at {memory}")
        rate = f"{bytes_in / 1e6 / seconds:.1f} MB of gzip and {rows / seconds:,.0f} lines"
        click.echo(f"{rate} a second, peak {peak / 1e9:.2f} GB")
        for step in found["steps"]:
            click.echo(f"  {step['step']:<12} {step['rows']:>12,} rows {step['seconds']:>8.1f} s")
        last = max((step for step in found["steps"] if step.get("path")), key=lambda step: step["seconds"])["step"]
        shutil.rmtree(folder / "lake" / {"visit_lake": "visits"}.get(last, last))
        _run(folder, "duckdb", "--set", f"memory={memory}", kill_after=1.5)
        click.echo(f"{last} is gone, begun again and killed: resuming did {_run(folder, 'duckdb')['did']}")


@main.command()
@click.option("--steps", default=50, show_default=True)
def overhead(steps: int) -> None:
    """Time steps of one row."""
    with TemporaryDirectory() as place:
        job = ps.Job("overhead", folder=place)
        job.source(_first)
        for number in range(1, steps):
            scope: dict[str, Any] = {}
            before = "_first" if number == 1 else f"s{number - 1}"
            exec(f"def s{number}({before}):\n    return {before}", scope)
            job.step(keep=True)(scope[f"s{number}"])
        with ps.connect("duckdb") as engine:
            job.run(engine, select="s1")  # imports, and DuckDB's first statement
            began = time.monotonic()
            job.run(engine)
            each = (time.monotonic() - began) / (steps - 2)
            table, began = ps.adopt([{"x": 1}], engine), time.monotonic()
            for number in range(steps):
                ps.write(table, Path(place, "written", str(number)))
            written = (time.monotonic() - began) / steps
            began = time.monotonic()
            job.run(engine)
            nothing = time.monotonic() - began
    click.echo(f"{1000 * each:.1f} ms a step, of which ps.write alone takes {1000 * written:.1f} ms")
    click.echo(f"a run with nothing to do: {1000 * nothing:.1f} ms for {steps} steps")


def _first() -> list[dict[str, int]]:
    return [{"x": 1}]


def _generated(into: Path, size: str) -> None:
    command = [sys.executable, str(EXAMPLE / "generate.py"), "--into", str(into), "--size", size]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _run(folder: Path, engine: str, *more: str, kill_after: float | None = None) -> dict[str, Any]:
    """Run the job in a folder, to its end or for so long; the summary."""
    folder.mkdir(exist_ok=True)
    command = [
        sys.executable, "-c", "from penstock.cli.main import main; main()", "run", str(EXAMPLE / "job.py"), "-p",
        "data=../data", "-e", engine, "--json", "--progress", "none", *more,
    ]  # fmt: skip
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, start_new_session=True)
    try:
        out, _ = process.communicate(timeout=kill_after)
    except subprocess.TimeoutExpired:
        subprocess.run(["kill", "-9", "--", f"-{process.pid}"], check=False)  # Spark's JVM as well
        process.wait()
        return {}
    if process.returncode:
        raise click.ClickException(f"the run ended with {process.returncode}")
    summary: dict[str, Any] = json.loads(out)
    return summary


def _done(folder: Path) -> list[str]:
    """The steps that have a record."""
    return sorted({record.parent.name for record in folder.glob(".penstock/*/*/steps/[!.]*/record.json")})


def _is_orphan(path: Path) -> bool:
    hidden = path.name.startswith((".", "_")) and path.name not in (".penstock", ".gitignore")
    return hidden or "tmp" in path.name or path.name.startswith("part-0.")


def _lake(folder: Path) -> dict[str, str]:
    """For each sink how many rows it has, and a sum over a hash of each row, which no order changes."""
    found = {}
    with ps.connect("duckdb") as engine:
        for sink in SINKS:
            rows = engine.read(str(folder / "lake" / sink))
            sums = engine.query("SELECT count(*) AS n, sum(hash(t)::HUGEINT) AS h FROM t", {"t": rows})
            found[sink] = "{} rows, {:x}".format(*sums.fetchall()[0])
    return found


if __name__ == "__main__":
    main()
