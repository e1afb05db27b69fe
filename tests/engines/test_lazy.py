"""Plans, as the engines themselves explain them: what a pattern says that it costs is what it does."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import penstock as ps
from penstock.engines.engine import Engine, Table

#: Rows that Spark makes itself, in several partitions: what it is given it may compute while planning.
MADE = "SELECT id % 7 AS k, id % 100 AS v, id FROM range(0, 1000, 1, 4)"

#: Each call with how often its rows cross between Spark's partitions.
PATTERNS: dict[str, tuple[Callable[[Table], Table], int]] = {
    "where": (lambda t: ps.where(t, "v > 3"), 0),
    "derive": (lambda t: ps.derive(t, w="v * 2"), 0),
    "aggregate": (lambda t: ps.aggregate(t, "k", n="count(*)", total="sum(v)", last="arg_max(id, v)"), 1),
    "aggregate the whole": (lambda t: ps.aggregate(t, n="count(*)"), 1),
    "top": (lambda t: ps.top(t, "v"), 1),
    "top by weight": (lambda t: ps.top(t, "k", weight="v"), 1),
    "top_n": (lambda t: ps.top_n(t, "k", "v desc", n=3), 1),
    "top_n any": (lambda t: ps.top_n(t, "k", "v desc", n=3, ties="any"), 1),
    "mode": (lambda t: ps.mode(t, "v", by="k"), 2),
    "mode of the whole": (lambda t: ps.mode(t, "v"), 2),
    "distinct": (lambda t: ps.distinct(t, "v"), 1),
    "count_distinct": (lambda t: ps.count_distinct(t, "v", by="k"), 2),
    "count_distinct about": (lambda t: ps.count_distinct(t, "v", by="k", error=0.05), 1),
    "sort": (lambda t: ps.sort(t, "v desc"), 1),
    "query": (lambda t: ps.query("SELECT k, count(*) AS n FROM t GROUP BY k", t=t), 1),
}


@pytest.fixture
def made(engine: Engine) -> Table:
    """Rows with few keys, many values and an id, on the engine."""
    if engine.name == "spark":
        return engine.query(MADE, {})
    ids = range(1000)
    return engine.adopt(pa.table({"k": [i % 7 for i in ids], "v": [i % 100 for i in ids], "id": list(ids)}))


@pytest.mark.parametrize("name", PATTERNS)
def test_a_pattern_moves_and_reads_what_it_says(engine: Engine, made: Table, name: str) -> None:
    """Spark's plan has as many exchanges as the pattern's page tells; DuckDB scans a table in memory once."""
    call, exchanges = PATTERNS[name]

    plan = engine.explain(call(made))

    if engine.name == "spark":
        assert len(re.findall(r"\bExchange (?:hash|range|Single)", plan)) == exchanges, plan
        assert "BroadcastExchange" not in plan and "Window" not in plan
    else:
        assert plan.count("─ Python Arrow Scan") == 1, plan


def test_what_nothing_uses_is_never_computed(engine: Engine, made: Table) -> None:
    """A derived column that the next pattern does not take is not in the plan."""
    plan = engine.explain(ps.distinct(ps.derive(made, slow="v * 1234567"), "k"))

    assert "1234567" not in plan


def test_a_condition_reaches_the_file(engine: Engine, tmp_path: Any) -> None:
    """A filter on what other patterns made of a file is applied while the file is read, to the columns it needs."""
    pq.write_table(pa.table({"k": [1, 2, 3], "v": [1, 2, 3], "unused": ["x"] * 3}), tmp_path / "t.parquet")
    read = engine.read(tmp_path / "t.parquet")

    plan = engine.explain(ps.aggregate(ps.where(ps.derive(read, w="v + 1"), "k > 1"), "k", total="sum(w)"))

    assert "unused" not in plan
    assert re.search(r"PushedFilters: \[.*GreaterThan\(k,1\)|Filters: k > 1", plan), plan


def test_a_narrow_plan_is_told_from_a_wide_one(engine: Engine, made: Table) -> None:
    """Filters and projections are narrow; whatever has to gather rows is not."""
    assert engine.is_narrow(made)
    assert engine.is_narrow(ps.derive(ps.where(made, "v > 3"), w="v"))
    assert not engine.is_narrow(ps.distinct(made, "v"))
    assert not engine.is_narrow(ps.sort(made, "v"))


def test_salting_finds_heavy_keys_within_the_plan(spark_engine: Engine) -> None:
    """Asked to salt, aggregate samples, salts and merges in one plan: nothing has run when it returns."""
    made = spark_engine.query(MADE.replace("id % 7", "if(raise_error('it ran') IS NULL, id, id)"), {})

    plan = spark_engine.explain(ps.aggregate(made, "k", skew="salt", n="count(*)"))

    assert "xxhash64" in plan
    assert "rand(" not in plan


TIMED = "SELECT k, timestamp '2026-01-01' + to_seconds(id) AS at, v FROM t"


def test_sessions_on_duckdb_are_one_sort_and_windows_that_stream(duckdb_engine: Engine) -> None:
    """Above the one sort no window holds rows: `OVER ()` reads them as they stand, whatever the type of the key."""
    ids = range(100)
    t = duckdb_engine.query(TIMED, {"t": duckdb_engine.adopt(pa.table({"k": ids, "v": ids, "id": ids}))})

    for table in (t, ps.derive(t, k="k::varchar")):
        for result in (ps.sessions(table, "k", "at"), ps.sessionize(table, "k", "at")):
            operators = re.findall(r"─ ([A-Z][\w ]+?) ─", duckdb_engine.explain(result))

            assert operators.count("Order By") == 1, operators
            assert operators.count("Streaming Window") >= 2, operators
            assert "Window" not in operators, operators
            assert operators.index("Order By") > max(
                i for i, name in enumerate(operators) if name == "Streaming Window"
            )


def test_sessions_on_spark_move_rows_once(spark_engine: Any) -> None:
    """Windows, numbers and the rows a session all stand on one exchange by the key."""
    made = "SELECT id % 7 AS k, timestamp_ntz'2026-01-01' + make_dt_interval(0, 0, 0, id) AS at FROM range(0, 99, 1, 4)"
    t = ps.distinct(spark_engine.query(made, {}))  # not a plain scan, so that no look is taken

    for result in (ps.sessions(t, "k", "at"), ps.sessionize(t, "k", "at")):
        plan = spark_engine.explain(result)

        assert len(re.findall(r"\bExchange hashpartitioning\(k", plan)) == 2, plan  # the other is that of distinct
