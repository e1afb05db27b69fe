"""TPC-H: the queries run, and where Spark says that their rows move is still what is kept beside them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import penstock as ps
import spark_exchanges
import tpch
from penstock.engines.engine import Engine
from spark_exchanges import REGIMES, Exchange, exchanges, kept, said


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The tiny tables."""
    return tpch.tiny(tmp_path_factory.mktemp("tpch"))


@pytest.fixture(scope="module")
def spark_tables(spark_engine: Engine, files: dict[str, Path]) -> dict[str, Any]:
    """The tiny tables on Spark."""
    return {name: spark_engine.read(str(file)) for name, file in files.items()}


@pytest.mark.parametrize("query", tpch.QUERIES)
def test_every_query_finds_rows_in_the_tiny_tables(duckdb_engine: Engine, files: dict[str, Path], query: str) -> None:
    """Each of the 22 queries is taken as it stands, and its answer is not empty."""
    sql = tpch.QUERIES[query]
    found = ps.query(sql, **{name: duckdb_engine.read(str(files[name])) for name in tpch.tables_of(sql)})

    assert any(value is not None for row in found.fetchall() for value in row)


@pytest.mark.parametrize("query", ["q14", "q22"])
def test_a_query_has_one_answer(
    duckdb_engine: Engine, spark_tables: dict[str, Any], files: dict[str, Path], query: str
) -> None:
    """Dates with intervals, quotients of sums and `substring … from … for` give on Spark what they give on DuckDB."""
    sql = tpch.QUERIES[query]
    names = tpch.tables_of(sql)
    on_duckdb = ps.query(sql, **{name: duckdb_engine.read(str(files[name])) for name in names})
    on_spark = ps.query(sql, **{name: spark_tables[name] for name in names})

    assert [tuple(row) for row in on_spark.collect()] == on_duckdb.fetchall()


def test_what_spark_said_is_kept_for_every_query_and_regime() -> None:
    """No query is left out, and what is kept reads back as it was written."""
    found = json.loads(spark_exchanges.KEPT.read_text())["exchanges"]

    assert sorted(found) == sorted(f"{query} {regime}" for query in tpch.QUERIES for regime in REGIMES)
    assert len(found) == 66
    for name, texts in found.items():
        assert [str(each) for each in kept(*name.split(" ", 1))] == texts


@pytest.mark.parametrize("regime", ["no broadcast", "tiny"])
@pytest.mark.parametrize("query", ["q03", "q11", "q16", "q18"])
def test_spark_still_says_what_is_kept(spark_tables: dict[str, Any], query: str, regime: str) -> None:
    """Joins, subqueries, distinct counts, an exchange that is used twice: today's plans have the exchanges of the file.

    Where this fails after an upgrade of Spark, ask it again: `python tests/spark_exchanges.py FOLDER`.
    """
    assert said(query, regime, spark_tables) == [str(each) for each in kept(query, regime)]


def test_exchanges_of_a_dataframe(spark_engine: Engine, spark_tables: dict[str, Any]) -> None:
    """Whatever was asked before, the plan is one without adaptive execution, and the session is left as it was."""
    before = spark_engine.setting("spark.sql.adaptive.enabled")
    table = ps.query(
        "SELECT o_custkey, year(o_orderdate) AS y, count(*) AS n FROM orders GROUP BY ALL ORDER BY n DESC, y",
        orders=spark_tables["orders"],
    )

    assert "AdaptiveSparkPlan" in spark_engine.explain(table)
    assert exchanges(table) == [Exchange("hash", ("o_custkey", "_groupingexpression")), Exchange("range", ("n", "y"))]
    assert spark_engine.setting("spark.sql.adaptive.enabled") == before
