"""What crosses at an exchange, held against the bytes that Spark measures; and what is said where nothing is known."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

import penstock as ps
from penstock.engines import iceberg_files
from penstock.engines.engine import Engine
from penstock.figures import exact
from penstock.forecasts import flows, parquet_samples
from penstock.plans.plan import Plan
from spark_exchanges import planned

ROWS = 400_000


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Events of which a sample is a tenth, or a fifth where keys are many."""
    file = tmp_path_factory.mktemp("forecast") / "events.parquet"
    duckdb.sql(
        f"COPY (SELECT i AS id, 'user ' || hash(i) % 60_000 AS user_id, 'c' || hash(i + 1) % 40 AS country, "
        f"(hash(i + 2) % 100_000) / 100 AS amount, to_timestamp(1_767_225_600 + i)::TIMESTAMP AS ts "
        f"FROM range({ROWS}) r(i)) TO '{file}' (ROW_GROUP_SIZE 20_480)"
    )
    return file


@pytest.fixture
def thin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Samples of a tenth of the rows, or a fifth where there are many keys."""
    monkeypatch.setattr(flows, "NARROW", 40_000)
    monkeypatch.setattr(parquet_samples, "LEAST_THICK", 80_000)


@pytest.fixture
def spark_tasks(spark: Any) -> Iterator[None]:
    """Spark reads the events in several tasks, and shuffles as it would on a cluster."""
    with planned(spark, **{"spark.sql.files.maxPartitionBytes": "2m", "spark.sql.files.openCostInBytes": "1k"}):
        yield


@pytest.mark.parametrize(
    "query",
    [
        "SELECT country, sum(amount) AS total, count(*) AS n FROM t GROUP BY country",
        "SELECT user_id, sum(amount) AS total, max(ts) AS last FROM t GROUP BY user_id",
        "SELECT DISTINCT user_id, country FROM t",
        "SELECT * FROM t ORDER BY amount, id",
        "SELECT user_id, lag(ts) OVER (PARTITION BY user_id ORDER BY ts) AS p FROM t WHERE amount < 300",
    ],
    ids=["few groups", "many groups", "distinct", "sort", "window"],
)
def test_bytes_are_what_spark_measures(
    spark_engine: Engine, spark_tasks: None, thin: None, events: Path, query: str
) -> None:
    """The bytes that are told to move are within 15 % of those that Spark writes to its shuffles."""
    table = ps.query(query, t=spark_engine.read(str(events)))
    told = ps.plan(table).moved_bytes

    with spark_engine.measured() as measured:
        spark_engine.drain(table)

    assert told.mid == pytest.approx(measured.moved_bytes, rel=0.15)
    assert told.basis == "sample"


def figures(found: Plan) -> Iterator[dict[str, Any]]:
    """All figures of a plan, as JSON has them."""
    report = json.loads(json.dumps(found.to_json(), allow_nan=False))
    for part in (report, *report["steps"]):
        yield from (value for value in part.values() if isinstance(value, dict) and "basis" in value)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT country, sum(amount) AS total FROM t WHERE amount < 9 GROUP BY country ORDER BY total LIMIT 3",
        "SELECT a.id FROM t AS a JOIN t AS b ON a.user_id = b.user_id WHERE b.amount > 5",
        "SELECT country, approx_count_distinct(user_id) AS users FROM t GROUP BY country",
        "SELECT user_id, list(id ORDER BY id) AS ids FROM t WHERE id % 7 = 0 GROUP BY user_id",
        "SELECT count(*) AS n FROM t WHERE user_id = 'user 1x'",
    ],
)
def test_every_figure_has_a_range_and_a_basis(thin: None, events: Path, query: str) -> None:
    """Low, middle and high are in this order, each a number or null; of what is exact they are one."""
    found = list(figures(ps.plan(query, t=ps.read(str(events)))))

    assert len(found) > 8
    for figure in found:
        known = [figure[name] for name in ("low", "mid", "high") if figure[name] is not None]
        assert known == sorted(known)
        assert figure["basis"] in ("exact", "sample", "model", "unknown")
        assert (figure["mid"] is None) <= (figure["basis"] != "exact")
        if figure["basis"] == "exact":
            assert figure["low"] == figure["mid"] == figure["high"]


@pytest.mark.parametrize("format", ["delta", "iceberg"])
def test_a_table_with_a_log_is_its_files(tmp_path: Path, format: str) -> None:
    """Of its Parquet files, also of what stands in the names of their folders alone, as much is known as of others."""
    rows = ps.adopt(pa.table({"k": [1, 2, 2, 2], "day": ["a b", "a b", "c", "c"]}))
    ps.write(rows, tmp_path / "lake", format=format, partition_by="day" if format == "delta" else ())

    found = ps.plan(ps.aggregate(ps.read(str(tmp_path / "lake"), format), ["day", "k"], n="count(*)"))

    assert [(step.rows, step.scan and step.scan.rows) for step in found.steps] == [(exact(4), 4), (exact(3), None)]


def test_what_cannot_be_sampled_is_not_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the files do not tell all: the plan says `?`, and how many rows come out only where that is plain."""
    ps.write(ps.adopt(pa.table({"k": [1, 2, 2]})), tmp_path / "lake", format="iceberg")
    monkeypatch.setattr(iceberg_files, "parquet_files", lambda paths: [])  # as where rows are deleted in other files

    found = ps.plan("SELECT k, count(*) AS n FROM t GROUP BY k", t=ps.read(str(tmp_path / "lake"), "iceberg"))

    assert [(step.rows.mid, step.moved_bytes.mid) for step in found.steps] == [(None, 0), (None, None)]
    assert str(found).count("?") >= 3
    assert json.loads(json.dumps(found.to_json()))["moved_bytes"]["basis"] == "unknown"


def test_rows_that_spark_holds_itself(spark_engine: Engine, spark: Any) -> None:
    """A DataFrame of literal rows made without us: what it moves is not known, and why is said."""
    made = spark.createDataFrame([(1, "a"), (2, "b")], "k int, t string")

    found = ps.plan(ps.aggregate(made, "k", n="count(*)"))

    assert [step.kind for step in found.steps if step.kind != "narrow"] == ["wide"]
    assert found.moved_bytes.mid is None
    assert "not forecast" in " ".join(found.notes)
