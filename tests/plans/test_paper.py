"""Plans on paper: nothing of what is planned runs, and few bytes of the files are read."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

import penstock as ps
from penstock.engines.engine import Engine, using
from penstock.jobs.job import Job
from plans.conftest import SHOP

VERBS = ("batches", "drain", "materialize", "write_files")
ACTIONS = ("collect", "count", "toArrow", "toPandas", "toLocalIterator", "head", "take", "foreach", "write")


@pytest.fixture
def idle(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From when it is called on, what would run something on the engine raises; samples are asked of another one."""

    def stop() -> None:
        for verb in VERBS:
            real = getattr(type(engine), verb)

            def refused(self: Engine, *given: Any, verb: str = verb, real: Any = real, **more: Any) -> Any:
                if self is engine:
                    raise AssertionError(f"{verb} was called")
                return real(self, *given, **more)

            monkeypatch.setattr(type(engine), verb, refused)
        if engine.name == "spark":
            frame = type(engine.session.range(1))  # type: ignore[attr-defined]
            for action in ACTIONS:
                monkeypatch.setattr(frame, action, property(lambda _, action=action: pytest.fail(f"{action} of Spark")))

    return stop


PATTERNS: dict[str, Callable[[Any, Any], Any]] = {
    "aggregate": lambda t, u: ps.aggregate(t, "user_id", total="sum(amount)"),
    "join": lambda t, u: ps.join(t, u, "user_id"),
    "join, skew": lambda t, u: ps.join(t, u, "user_id", strategy="skew"),
    "sort": lambda t, u: ps.sort(t, "amount desc"),
    "top": lambda t, u: ps.top(t, "user_id", n=3),
    "top_n": lambda t, u: ps.top_n(t, "user_id", "amount desc", n=2),
    "mode": lambda t, u: ps.mode(t, "amount", by="user_id"),
    "count_distinct": lambda t, u: ps.count_distinct(t, "user_id", by="amount"),
    "dedup": lambda t, u: ps.dedup(t, "user_id", at="ts"),
    "distinct": lambda t, u: ps.distinct(t, "user_id"),
    "sessions": lambda t, u: ps.sessions(t, "user_id", "ts"),
    "sessionize": lambda t, u: ps.sessionize(t, "user_id", "ts"),
    "query": lambda t, u: ps.query("SELECT team, count(*) AS n FROM t JOIN u USING (user_id) GROUP BY team", t=t, u=u),
}


def test_a_table_is_planned_and_not_run(engine: Engine, folder: Path, idle: Callable[[], None]) -> None:
    """On an engine that runs nothing, what each pattern made has a plan with wide steps, and what they move."""
    rows = "(FROM (SELECT *, make_timestamp(id * 60_000_000) AS ts FROM 'orders/*/*.parquet'))"
    duckdb.sql(f"COPY {rows} TO 'events.parquet'")
    orders, users = engine.read("events.parquet"), engine.read("users.parquet")
    made = {name: pattern(orders, users) for name, pattern in PATTERNS.items()}
    idle()

    found = {name: ps.plan(table) for name, table in made.items()}

    assert [name for name, plan in found.items() if not plan.moved_bytes.mid] == []
    assert [name for name, plan in found.items() if all(step.kind == "narrow" for step in plan.steps)] == []


def test_a_query_is_planned_and_not_run(engine: Engine, folder: Path, idle: Callable[[], None]) -> None:
    """Neither are the tables that it is over, with queries within it."""
    orders = engine.read("orders")
    idle()

    found = ps.plan(
        "SELECT user_id, sum(amount) AS s FROM t WHERE amount > (SELECT avg(amount) FROM t) GROUP BY user_id", t=orders
    )

    assert [step.name for step in found.steps if step.kind == "wide"] == ["aggregate all", "group by user_id"]


def test_a_job_is_planned_and_not_run(
    engine: Engine, written: Callable[[str], Job], folder: Path, idle: Callable[[], None]
) -> None:
    """Its functions are called, and nothing of it is read whole, kept or written."""
    job = written(SHOP)
    idle()

    with using(engine):
        found = ps.plan(job)

    assert [step.name for step in found.steps if step.kind == "wide"][:1] == ["join on user_id"]
    assert sorted(each.name for each in folder.iterdir()) == ["job.py", "orders", "users.parquet"]


def test_work_without_end_is_planned(duckdb_engine: Engine) -> None:
    """A query of which no row will ever be there is planned at once."""
    endless = duckdb_engine.query("SELECT count(*) AS n FROM range(1000000000000) a, range(1000000000000) b", {})

    assert [step.name for step in ps.plan(endless).steps if step.kind == "wide"][-1:] == ["aggregate all"]


# -- what is read -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 2.1 GB: the same file of 87 MB under many names."""
    folder = tmp_path_factory.mktemp("big")
    rows = "SELECT hash(i) >> 12 AS key, hash(i + 1)::DOUBLE AS x, i % 1000 AS few FROM range(5_000_000) r(i)"
    duckdb.sql(f"COPY ({rows}) TO '{folder}/0.parquet' (COMPRESSION uncompressed)")
    for number in range(1, 24):
        os.link(folder / "0.parquet", folder / f"{number}.parquet")
    return folder


def bytes_read() -> int:
    """By this process, of files and else."""
    return int(Path("/proc/self/io").read_text().split()[1])


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="the system does not count what a process reads")
@pytest.mark.parametrize(
    "query",
    [
        "SELECT few, sum(x) AS s FROM t GROUP BY few",
        "SELECT key, sum(x) AS s FROM t GROUP BY key",
        "SELECT * FROM t ORDER BY x",
        "SELECT a.x FROM t AS a JOIN t AS b ON a.key = b.key WHERE b.few < 10",
    ],
    ids=["few keys", "many keys", "sort", "join"],
)
def test_few_bytes_of_a_big_input_are_read(big: Path, query: str) -> None:
    """Whatever is asked of 2.1 GB, the plan has read less than 2 % of what would be, and says of how many rows."""
    ps.plan(query, t=ps.adopt([{"few": 1, "key": 1, "x": 0.5}]))  # what is imported is read too
    before = bytes_read()

    found = ps.plan(query, t=ps.read(str(big)))

    scans = [step.scan for step in found.steps if step.scan]
    there = sum(file.stat().st_size for file in big.iterdir()) * len(scans)
    assert there > 2_000_000_000
    assert bytes_read() - before < 0.02 * there
    assert 40_000 <= found.looked.rows < 0.02 * 24 * 5_000_000 * len(scans)
    assert scans[0].rows == 24 * 5_000_000
