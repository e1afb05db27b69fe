"""What the tests of plans stand on: a folder of files and a job over them."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from penstock.cli import job_files
from penstock.jobs.job import Job


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own to work in, with orders of two days and users."""
    monkeypatch.chdir(tmp_path)
    for day in (1, 2):
        ids = range(day * 1000, day * 1000 + 1000)
        rows = {"id": ids, "user_id": [i % 40 for i in ids], "amount": [i % 100 for i in ids]}
        place = tmp_path / "orders" / f"day=2026-03-0{day}"
        place.mkdir(parents=True)
        pq.write_table(pa.table(rows), place / "0.parquet")
    pq.write_table(pa.table({"user_id": range(40), "team": [f"t{i % 4}" for i in range(40)]}), "users.parquet")
    return tmp_path


@pytest.fixture
def written(folder: Path) -> Callable[[str], Job]:
    """Write a job into job.py, behind the source of orders, and load it."""

    def write(text: str) -> Job:
        Path("job.py").write_text(SOURCES + textwrap.dedent(text))
        return job_files.load("job.py")

    return write


SOURCES = """import penstock as ps
job = ps.Job('shop')

@job.source
def orders(input: str = "orders"):
    return ps.read(input)
"""
USERS = """
    @job.source
    def users():
        return ps.read("users.parquet")
"""

#: A step that is kept, with two that are built on it.
SHOP = f"""{USERS}
    @job.step
    def paid(orders, least: int = 0):
        return ps.where(orders, f"amount > {{least}}")

    @job.step(keep=True)
    def teams(paid, users):
        return ps.join(paid, users, "user_id", strategy="shuffle")

    @job.sink("out/totals")
    def totals(teams):
        return ps.aggregate(teams, "team", total="sum(amount)")

    @job.sink("out/days", partition_by="day")
    def days(teams):
        return ps.sort(teams, "amount")
"""
