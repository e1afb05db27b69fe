"""A job on paper: its steps with what they move and write, and what is told of a function that wants real rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

import penstock as ps
from penstock.engines.engine import Engine, using
from penstock.errors import OverBudget, PenstockError
from penstock.figures import UNKNOWN, exact
from penstock.jobs.job import Job
from penstock.plans.budget import Budget, hold_to
from plans.conftest import SHOP, USERS

Written = Callable[[str], Job]

BROKEN = f"""{USERS}
    @job.step
    def listed(orders):
        return ps.adopt(orders.fetchall())

    @job.step
    def counted(listed):
        return ps.aggregate(listed, "user_id", n="count(*)")

    @job.sink("out/counted")
    def lake(counted):
        return counted

    @job.sink("out/users.csv")
    def teams(users):
        return ps.aggregate(users, "team", n="count(*)")
"""


def test_the_steps_of_a_job(engine: Engine, written: Written) -> None:
    """What each function adds stands under its name, up to what is written; what is kept is read again, not made."""
    with using(engine):
        found = ps.plan(written(SHOP))

    assert [(step.step, step.name, step.kind) for step in found.steps] == [
        ("orders", "read orders/", "narrow"),
        ("paid", "filter", "narrow"),
        ("users", "read users.parquet", "narrow"),
        ("teams", "join on user_id", "wide"),
        ("teams", "keep teams", "wide"),
        ("totals", "group by team", "wide"),
        ("totals", "write out/totals", "wide"),
        ("days", "write out/days", "wide"),
    ]
    assert [step.rows for step in found.steps] == [exact(n) for n in (2000, 1980, 40, 1980, 1980, 4, 4, 1980)]
    assert (found.job, found.notes, found.engine) == ("shop", (), engine.name)


def test_steps_say_where_they_are_of(written: Written, folder: Path) -> None:
    """Each has the file and the line of the call in the job."""
    found = ps.plan(written(SHOP))
    text = (folder / "job.py").read_text().splitlines()

    told = {step.name: step.place for step in found.steps if step.kind == "wide"}
    for name, said in (("join on user_id", "ps.join"), ("group by team", "ps.aggregate"), ("write out/days", "sink")):
        file, _, number = told[name].rpartition(":")
        assert Path(file).name == "job.py"
        assert said in text[int(number) - 1]


def test_files_that_are_written(written: Written) -> None:
    """A folder of each value has at least a file, a single file is one, and what is only read writes none."""
    job = written(
        """
        @job.sink("out/days", partition_by="day")
        def days(orders):
            return orders

        @job.sink("out/all.csv")
        def everything(orders):
            return orders

        @job.sink("out/many", target_file_size="1KB")
        def many(orders):
            return orders
        """
    )

    found = {step.name: step for step in ps.plan(job).steps}

    assert (found["write out/days"].files.low, found["write out/days"].files.mid) == (2, 2)
    assert found["write out/days"].keys == ("day",)
    assert found["write out/all.csv"].files == exact(1)
    many = found["write out/many"]
    assert many.files.mid == pytest.approx((many.written_bytes.mid or 0) / 1000)
    assert many.files.basis == "sample"
    assert found["read orders/"].files == exact(0)


def test_what_is_written_takes_about_what_was_told(written: Written, duckdb_engine: Engine) -> None:
    """The bytes of Parquet files are told within a tenth, unique values and few ones together."""
    rows = (
        "SELECT hash(i)::DOUBLE AS x, md5(i::VARCHAR) AS id, 'page ' || hash(i) % 500 AS page FROM range(50_000) r(i)"
    )
    duckdb.sql(f"COPY ({rows}) TO 'many.parquet'")
    job = written(
        """
        @job.sink("out/copied")
        def copied(orders):
            return orders
        """
    )
    told = next(step.written_bytes.mid for step in ps.plan(job, input="many.parquet").steps if step.written_bytes.mid)
    job.run(duckdb_engine, input="many.parquet")

    real = sum(file.stat().st_size for file in Path("out/copied").rglob("*.parquet"))
    assert told == pytest.approx(real, rel=0.1)


def test_parameters_of_a_plan(written: Written) -> None:
    """They are those of a run, of their types; one that the job has not is refused."""
    job = written(SHOP)

    rows = {least: [step.rows for step in ps.plan(job, least=least).steps if step.step == "paid"] for least in (0, 50)}

    assert rows == {0: [exact(1980)], 50: [exact(980)]}
    with pytest.raises(PenstockError, match="lest"):
        ps.plan(job, lest=1)


def test_a_function_that_works_on_rows(written: Written) -> None:
    """It is told that nothing is known of it nor of what is built on it, and why; the rest is planned."""
    found = ps.plan(written(BROKEN))

    steps = {(step.step, step.name): step for step in found.steps}
    assert steps["listed", "listed"].rows == steps["lake", "lake"].moved_bytes == UNKNOWN
    assert steps["teams", "group by team"].rows == exact(4)
    why, *rest = found.notes
    assert why.startswith("listed: it works on rows itself (AttributeError")
    assert rest == [
        "counted: it needs listed, of which nothing is known",
        "lake: it needs counted, of which nothing is known",
    ]
    assert found.moved_bytes.mid is None


def test_a_mistake_of_the_users_is_told_at_once(written: Written) -> None:
    """A column that is not there is no matter of planning: the error is that of a run."""
    job = written(
        """
        @job.sink("out/x")
        def x(orders):
            return ps.aggregate(orders, "usr_id", n="count(*)")
        """
    )

    with pytest.raises(ps.ColumnError, match="usr_id"):
        ps.plan(job)


def test_something_else_than_a_table(written: Written) -> None:
    """A function that returns no table is told by what it returned."""
    job = written(
        """
        @job.sink("out/x")
        def x(orders):
            return 5
        """
    )

    assert ps.plan(job).notes == ("x: it returned a int",)


def test_a_check_on_paper(written: Written) -> None:
    """What is checked is written down with its marks; what is built on it is planned like any other."""
    job = written(
        """
        @job.step
        def good(orders):
            return ps.check(orders, {"paid": "amount > 0"})

        @job.sink("out/x")
        def x(good):
            return ps.aggregate(good, "user_id", n="count(*)")
        """
    )

    found = ps.plan(job)

    assert [step.name for step in found.steps if step.step == "x"] == ["group by user_id", "write out/x"]
    assert found.notes == ()


def test_budgets_of_a_job(written: Written) -> None:
    """Over its budget the steps to blame are named with their lines; what is not known is not within it."""
    found = ps.plan(written(SHOP))

    hold_to(found.steps, Budget(moved=1_000_000, files=10))
    with pytest.raises(OverBudget, match=r"teams: keep teams \(job\.py:\d+\); .* teams: join on user_id \(job"):
        hold_to(found.steps, Budget(moved=10_000))
    for budget in (Budget(moved=1_000_000), Budget(files=10)):
        with pytest.raises(OverBudget, match="is not known for"):
            hold_to(ps.plan(written(BROKEN)).steps, budget)
