"""What an engine promises: lazy plans, UTC, threads, and errors that say what to do."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import duckdb
import pyarrow as pa
import pytest

import penstock as ps
from penstock.engines.engine import Engine, Table
from penstock.testing import assert_tables_equal

ROWS = [{"k": i % 3, "v": i} for i in range(30)]


def chain(table: Table) -> Table:
    """Ten patterns, one on another."""
    table = ps.derive(ps.where(table, "v >= 0"), w="v * 2", one="1")
    table = ps.where(ps.derive(table, x="w + one"), "x % 2 = 1")
    table = ps.derive(ps.where(table, "v < 1000"), y="x // 2")
    table = ps.aggregate(ps.where(table, "y >= 0"), "k", n="count(*)", y="sum(y)")
    return ps.sort(ps.derive(table, mean="y / n"), "k")


def test_a_chain_of_ten_patterns_is_one_plan(engine: Engine, table: Callable[..., Table]) -> None:
    """The engine sees the whole chain: one scan, and on Spark one exchange for the groups and one for the order."""
    chained = chain(table(ROWS))

    plan = engine.explain(chained)
    if engine.name == "spark":
        assert plan.count("Exchange hashpartitioning") == 1
        assert plan.count("Exchange rangepartitioning") <= 1
    else:
        assert plan.count("─ Python Arrow Scan") == 1
    assert_tables_equal(
        chained, [{"k": k, "n": 10, "y": 135 + 10 * k, "mean": 13.5 + k} for k in range(3)], ordered=True
    )


def test_patterns_run_nothing_when_called(engine: Engine) -> None:
    """A table that fails when it runs goes through every pattern; it fails when its rows are asked for."""
    fail = {"duckdb": "error('it ran')", "spark": "raise_error('it ran')"}[engine.name]
    data = engine.adopt(pa.table({"k": [1, 2], "v": [1, 2]}))
    fails = engine.query(f"SELECT k, v + CAST({fail} AS BIGINT) AS v FROM t", {"t": data})

    made = [
        ps.where(fails, "v > 1"),
        ps.derive(fails, w="v + 1"),
        ps.aggregate(fails, "k", s="sum(v)"),
        ps.top(fails, "v"),
        ps.top_n(fails, "k", "v desc"),
        ps.mode(fails, "v", by="k"),
        ps.distinct(fails, "v"),
        ps.count_distinct(fails, "v"),
        ps.sort(fails, "v"),
    ]

    for result in made:
        with pytest.raises(ps.PenstockError, match="it ran"):
            engine.batches(result).read_all()


def test_nothing_reads_the_zone_of_the_machine(engine: Engine, table: Callable[..., Table]) -> None:
    """The test run's zone is far from UTC; truncation, casts and text see UTC all the same."""
    at = ps.derive(
        table([{"t": datetime(2026, 3, 1, 23, 30)}]), day="date_trunc('day', t)", said="t::VARCHAR", e="epoch_us(t)"
    )

    expected = {"day": datetime(2026, 3, 1), "said": "2026-03-01 23:30:00", "e": 1_772_407_800_000_000}
    assert_tables_equal(at, [{"t": datetime(2026, 3, 1, 23, 30), **expected}])


def test_relations_are_used_from_several_threads() -> None:
    """Eight threads plan and run on one connection at once, and each gets its own answer."""
    table = ps.adopt(pa.table({"v": list(range(10_000))}))
    found: dict[int, Any] = {}

    def work(number: int) -> None:
        for _ in range(5):
            counted = ps.aggregate(ps.where(table, f"v % 8 = {number}"), n="count(*)", s="sum(v)")
            found[number] = ps.engine_of(counted).batches(counted).read_all().to_pylist()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == {k: [{"n": 1250, "s": sum(range(k, 10_000, 8))}] for k in range(8)}


def test_several_engines_are_open_at_once(tmp_path: Any) -> None:
    """Two databases and their tables do not meet."""
    with ps.connect("duckdb") as memory, ps.connect(f"duckdb:///{tmp_path}/file.db") as file:
        one, two = (engine.adopt(pa.table({"v": [number]})) for number, engine in enumerate((memory, file)))

        assert_tables_equal(ps.where(one, "v = 0"), [{"v": 0}])
        assert_tables_equal(ps.where(two, "v = 1"), [{"v": 1}])
    assert (tmp_path / "file.db").exists()


def test_a_live_connection_is_an_engine() -> None:
    """A user's own connection and its relations work as they are, temporary tables included."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'Asia/Tokyo'; CREATE TEMP TABLE visits AS SELECT 1 AS k UNION ALL SELECT 2")

    engine = ps.connect(connection)
    found = ps.where(connection.table("visits"), "k = 2")

    assert engine.name == ps.engine_of(found).name == "duckdb"
    assert engine.batches(found).read_all().to_pylist() == [{"k": 2}]
    assert connection.sql("SELECT current_setting('TimeZone')").fetchall() == [("UTC",)]


def test_settings_reach_duckdb(tmp_path: Any) -> None:
    """Memory, threads and scratch are plain words for the engine's own settings."""
    with ps.connect("duckdb", memory="500MB", threads=1, scratch=str(tmp_path)) as engine:
        asked = "SELECT current_setting('threads') AS threads, current_setting('temp_directory') AS scratch"
        found = engine.batches(engine.query(asked, {})).read_all().to_pylist()

    assert found == [{"threads": 1, "scratch": str(tmp_path)}]


@pytest.mark.parametrize("target", ["dukdb", "sparkk", "duckdb:/x", "postgres://host", 42])
def test_an_unknown_target_names_those_there_are(target: Any) -> None:
    """A target that is none is refused with the list."""
    with pytest.raises(ps.UsageError, match="duckdb"):
        ps.connect(target)


def test_an_unreachable_master_is_told_within_seconds(java: None) -> None:
    """Nothing listens at the port: Spark alone would try for a minute and end the JVM."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    began = time.monotonic()

    with pytest.raises(ps.UsageError, match="nothing answers"):
        ps.connect(f"spark://127.0.0.1:{port}")

    assert time.monotonic() - began < 20


def test_a_second_spark_application_is_refused(spark_engine: Engine) -> None:
    """One process has one Spark application; the error says what to do."""
    with pytest.raises(ps.UsageError, match="Spark Connect"):
        ps.connect("local[1]")


def test_engine_errors_carry_the_step_and_the_cause(engine: Engine, table: Callable[..., Table]) -> None:
    """An error while running is ours, once, with the engine's own behind it."""
    over = ps.aggregate(table([{"v": 2**63 - 1}, {"v": 1}]), s="sum(v)")

    with pytest.raises(ps.EngineError, match="running") as caught:
        engine.batches(over).read_all()

    assert caught.value.__cause__ is not None
