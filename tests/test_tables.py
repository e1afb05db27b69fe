"""What becomes a table, and SQL over several of them."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import penstock as ps
from penstock.engines.engine import Engine, Table
from penstock.testing import assert_tables_equal

ROWS = [{"k": "a", "v": 1}, {"k": "b", "v": None}]


@pytest.mark.parametrize(
    "data",
    [
        ROWS,
        [{"k": "a", "v": 1}, {"k": "b"}],
        pa.table({"k": ["a", "b"], "v": [1, None]}),
        pa.table({"k": ["a", "b"], "v": [1, None]}).to_reader(),
        pl.DataFrame({"k": ["a", "b"], "v": [1, None]}),
        pd.DataFrame({"k": ["a", "b"], "v": pd.array([1, None], dtype="Int64")}),
    ],
    ids=["rows", "ragged rows", "arrow", "stream", "polars", "pandas"],
)
def test_anything_with_rows_is_adopted(data: Any) -> None:
    """Lists of dicts and whatever speaks Arrow become the same table, and can be read more than once."""
    table = ps.adopt(data)

    assert_tables_equal(table, ROWS)
    assert_tables_equal(table, ROWS)


def test_types_that_spark_lacks_are_widened(engine: Engine) -> None:
    """Unsigned integers, dictionaries, large strings and nanoseconds arrive with their values on either engine."""
    data = pa.table(
        {
            "u": pa.array([2**64 - 1, None], pa.uint64()),
            "w": pa.array([255, 0], pa.uint8()),
            "d": pa.array(["x", "y"]).dictionary_encode(),
            "l": pa.array(["x", "y"], pa.large_string()),
            "t": pa.array([1_000, 2_000], pa.timestamp("ns")),
        }
    )

    found = engine.batches(engine.adopt(data)).read_all().to_pylist()

    assert [(int(row["u"] or 0), row["w"], row["d"], row["l"], row["t"].microsecond) for row in found] == [
        (2**64 - 1, 255, "x", "x", 1),
        (0, 0, "y", "y", 2),
    ]


def test_a_path_is_adopted(tmp_path: Path) -> None:
    """A path stands for its files."""
    (tmp_path / "t.csv").write_text("k,v\na,1\nb,\n")

    assert_tables_equal(ps.adopt(tmp_path / "t.csv"), ROWS)


def test_a_table_stays_itself_and_moves_between_engines(engine: Engine, duckdb_engine: Engine) -> None:
    """A table of the engine comes back as it is; one of another engine arrives with its rows."""
    table = engine.adopt(pa.Table.from_pylist(ROWS))

    assert ps.adopt(table) is table
    assert ps.engine_of(table).name == engine.name
    assert_tables_equal(ps.adopt(table, duckdb_engine), ROWS)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [([], "an empty list has no columns"), (42, "cannot adopt a int"), ([{"k": object()}], "cannot adopt a list")],
)
def test_what_has_no_rows_is_refused(wrong: Any, message: str) -> None:
    """The error says what came and what would do."""
    with pytest.raises(ps.PenstockError, match=message):
        ps.adopt(wrong)


def test_only_tables_have_an_engine() -> None:
    """Data that is no table yet is told how to become one."""
    with pytest.raises(ps.UsageError, match=r"ps\.adopt"):
        ps.engine_of(ROWS)


def test_a_query_over_several_tables(table: Callable[..., Table]) -> None:
    """Tables go under the names that the SQL uses, odd ones and names of its own WITH included."""
    people, visits = table([{"id": 1, "name": "ann"}, {"id": 2, "name": "bob"}]), table([{"id": 1}, {"id": 1}])

    found = ps.query(
        'WITH n AS (SELECT id, count(*) AS n FROM "the visits" GROUP BY id) '
        "SELECT name, coalesce(n, 0) AS n FROM people LEFT JOIN n USING (id)",
        people=people,
        **{"the visits": visits},
    )

    assert_tables_equal(found, [{"name": "ann", "n": 2}, {"name": "bob", "n": 0}])


def test_a_query_adopts_other_data_into_the_engine_of_its_tables(table: Callable[..., Table]) -> None:
    """A list beside a table is adopted where the table is."""
    found = ps.query("SELECT k, x FROM a JOIN b USING (k)", a=table(ROWS), b=[{"k": "a", "x": 7}])

    assert_tables_equal(found, [{"k": "a", "x": 7}])


def test_tables_of_different_engines_do_not_mix(duckdb_engine: Engine, spark_engine: Engine) -> None:
    """Two engines in one query are an error that says what to do."""
    data = pa.Table.from_pylist(ROWS)

    with pytest.raises(ps.UsageError, match=r"ps\.adopt\(t, engine\)"):
        ps.query("SELECT * FROM a, b", a=duckdb_engine.adopt(data), b=spark_engine.adopt(data))


def test_a_result_keeps_its_inputs_alive() -> None:
    """Data adopted inside a function is there as long as what was made of it."""

    def made() -> Table:
        left, right = (ps.adopt(pa.table({"k": [1, 2], name: [3, 4]})) for name in ("x", "y"))
        return ps.where(ps.query("SELECT k, x + y AS s FROM l JOIN r USING (k)", l=left, r=right), "s > 6")

    found = made()
    gc.collect()

    assert_tables_equal(found, [{"k": 2, "s": 8}])


def test_a_statement_that_is_no_query_is_refused(table: Callable[..., Table]) -> None:
    """Penstock reads tables; it never changes them."""
    with pytest.raises(ps.UsageError, match="not a query"):
        ps.query("DROP TABLE t", t=table(ROWS))


def test_materialized_rows_are_read_without_running_again(table: Callable[..., Table]) -> None:
    """A materialized table has the same rows, and what is built on it works."""
    kept = ps.materialize(ps.derive(table(ROWS), w="v + 1"))

    assert_tables_equal(ps.where(kept, "w = 2"), [{"k": "a", "v": 1, "w": 2}])
