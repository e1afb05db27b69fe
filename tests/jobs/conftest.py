"""What the tests of jobs stand on: a folder with a little data, and jobs that are written as text into files of it."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from penstock.cli import job_files
from penstock.jobs.job import Job


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test works in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    Path("orders").mkdir()
    Path("orders/1.csv").write_text("id,user,amount\n1,a,5\n2,b,-1\n3,a,7\n")
    Path("orders/2.csv").write_text("id,user,amount\n4,c,2\n")
    return tmp_path


@pytest.fixture
def written(folder: Path) -> Callable[[str], Job]:
    """Write a job into job.py, with the line that every job begins with, and load it."""

    def write(text: str) -> Job:
        Path("job.py").write_text("import penstock as ps\njob = ps.Job('shop')\n" + textwrap.dedent(text))
        return job_files.load("job.py")

    return write


#: A source, a step that is kept, and two sinks: what most tests run, and change.
SHOP = """
    @job.source
    def orders(input: str = "orders/*.csv"):
        return ps.read(input)

    @job.step
    def paid(orders, least: int = 0):
        return ps.where(orders, f"amount > {least}")

    @job.step(keep=True)
    def totals(paid):
        return ps.aggregate(paid, by="user", total="sum(amount)")

    @job.sink("out/totals")
    def lake(totals):
        return totals

    @job.sink("out/best.csv")
    def best(totals):
        return ps.top_n(totals, by=(), order="total desc", n=1)
"""
