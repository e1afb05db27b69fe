"""How many rows leave each operator: told from samples, and held against the rows that there are."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

import penstock as ps
from penstock.figures import UNKNOWN, Figure, exact
from penstock.forecasts import flows, parquet_samples
from penstock.forecasts.cluster import Cluster
from penstock.forecasts.sources import Source
from penstock.optimising.optimise import optimised
from penstock.plans.paper import Paper, PaperTable

ROWS = 400_000
CLUSTER = Cluster(cores=2, memory=0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Large tables and a small one."""
    found = tmp_path_factory.mktemp("flows")
    tables = {
        "orders": f"i AS id, hash(i) % 20_000 AS user_id, (hash(i + 1) % 1000)::INTEGER AS amount FROM range({ROWS})",
        "visits": f"hash(i + 7) % 20_000 AS user_id, i % 3 AS kind FROM range({ROWS // 2})",
        "users": "i AS user_id, i % 10 AS team FROM range(10_000)",
    }
    for name, columns in tables.items():
        duckdb.sql(f"COPY (SELECT {columns} AS r(i)) TO '{found}/{name}.parquet' (ROW_GROUP_SIZE 20_480)")
    return found


@pytest.fixture
def thin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Samples of a tenth of the rows, or a fifth where there are many keys."""
    monkeypatch.setattr(flows, "NARROW", 40_000)
    monkeypatch.setattr(parquet_samples, "LEAST_THICK", 80_000)


def told(table: PaperTable) -> Figure:
    """How many rows a table is said to have."""
    return table.engine.forecast.flows.rows(optimised(table.relation.node))


def rows(folder: Path, query: str) -> tuple[Figure, int]:
    """What is told of a query, and how many rows it has."""
    tables = {file.stem: ps.read(str(file)) for file in folder.glob("*.parquet") if file.stem in query}
    [(real,)] = ps.query(f"SELECT count(*) AS n FROM ({query})", **tables).fetchall()
    return told(Paper(CLUSTER).again(ps.query(query, **tables))), real


@pytest.mark.parametrize(
    "where",
    [
        "amount < 500", "amount < 20", "amount = 7", "amount IN (1, 2, 3)", "amount < 500 AND user_id < 10000",
        "amount >= 0", "amount IS NULL", "id < 102000", "amount % 2 = 0 OR user_id < 100",
    ],
)  # fmt: skip
def test_what_a_filter_leaves(folder: Path, thin: None, where: str) -> None:
    """The real number is within the range that is told, and where many rows are left, within 5 % of its middle."""
    found, real = rows(folder, f"SELECT id FROM orders WHERE {where}")

    assert found.low <= real <= found.high
    if real > 10_000:
        assert found.mid == pytest.approx(real, rel=0.05)


def test_a_filter_that_leaves_no_row_group(folder: Path) -> None:
    """Where statistics rule all out, there are no rows."""
    assert rows(folder, "SELECT id FROM orders WHERE amount < 0") == (exact(0), 0)


def test_a_filter_that_leaves_no_row_of_a_sample(folder: Path, thin: None) -> None:
    """That a rare value was not seen does not say that it is nowhere."""
    found, real = rows(folder, "SELECT id FROM orders WHERE id % 1000000 = 399999")

    assert (real, found.mid) == (1, 0)
    assert found.high > 1


@pytest.mark.parametrize(
    "query",
    [
        "SELECT id FROM orders JOIN users USING (user_id)",
        "SELECT id FROM orders LEFT JOIN users USING (user_id)",
        "SELECT id FROM orders SEMI JOIN users USING (user_id)",
        "SELECT id FROM orders ANTI JOIN users USING (user_id)",
        "SELECT kind, id FROM orders JOIN visits USING (user_id)",
        "SELECT kind, id FROM orders JOIN visits USING (user_id) WHERE kind = 1",
        "SELECT id FROM orders SEMI JOIN visits USING (user_id)",
    ],
    ids=["inner", "left", "semi", "anti", "many to many", "filtered", "semi to many"],
)
def test_what_a_join_gives(folder: Path, thin: None, query: str) -> None:
    """Within a tenth, whether a side is small enough to be there whole or both are only sampled."""
    found, real = rows(folder, query)

    assert found.mid == pytest.approx(real, rel=0.1)
    assert found.low <= real <= found.high


def test_what_is_left_over_of_the_same_rows(folder: Path, thin: None) -> None:
    """Rows that are divided in two and put together again have each key once, so that a join with them adds none."""
    large, small = "SELECT id FROM orders WHERE amount >= 300", "SELECT DISTINCT id FROM orders"
    again = f"{large} UNION ALL SELECT a.id FROM ({small}) AS a ANTI JOIN ({large}) AS b ON a.id = b.id"
    found, real = rows(folder, f"SELECT o.amount FROM orders AS o LEFT JOIN ({again}) AS x ON o.id = x.id")

    assert real == ROWS
    assert found.mid == pytest.approx(real, rel=0.05)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT user_id, count(*) AS n FROM orders GROUP BY user_id",
        "SELECT DISTINCT amount FROM orders",
        "SELECT user_id, amount, count(*) AS n FROM orders GROUP BY user_id, amount",
        "SELECT user_id FROM orders UNION ALL SELECT user_id FROM visits",
        "SELECT user_id, unnest([1, 2, 3]) AS e FROM users",
    ],
    ids=["groups", "distinct", "pairs", "union", "explode"],
)
def test_what_other_operators_give(folder: Path, thin: None, query: str) -> None:
    """Groups, unions and lists that are taken apart, within 5 %."""
    found, real = rows(folder, query)

    assert found.mid == pytest.approx(real, rel=0.05)


def test_what_stands_together_does_so_in_a_union(folder: Path, thin: None) -> None:
    """Keys of rows that lie near each other, as a visit's clicks in a log, grow with the rows, whatever sorted them."""
    latest = "SELECT id // 30 AS visit, row_number() OVER (PARTITION BY id ORDER BY amount) AS n FROM orders"
    visits = f"SELECT visit FROM ({latest}) WHERE n = 1 UNION ALL SELECT -1 FROM orders WHERE id < 9"
    found, real = rows(folder, f"SELECT visit FROM ({visits}) GROUP BY visit")

    assert found.mid == pytest.approx(real, rel=0.15)


@pytest.mark.parametrize(
    ("query", "known"),
    [
        ("SELECT * FROM orders ORDER BY id LIMIT 10", exact(10)),
        ("SELECT count(*) AS n FROM orders", exact(1)),
        ("SELECT id FROM orders", exact(ROWS)),
        ("SELECT id, lag(id) OVER (ORDER BY id) AS p FROM orders", exact(ROWS)),
        ("SELECT user_id FROM users WHERE team = 3", exact(1_000)),
    ],
    ids=["limit", "all", "scan", "window", "whole"],
)
def test_what_is_exact(folder: Path, query: str, known: Figure) -> None:
    """What needs no sample, or of what all rows are there, is known and said to be."""
    assert rows(folder, query)[0] == known


@pytest.mark.parametrize(
    ("where", "left"),
    [
        ("country IS NULL", 30), ("country IS NOT DISTINCT FROM NULL", 30), ("country = 'US' OR country IS NULL", 50),
        ("country = 'US'", 20), ("country IS NOT NULL", 20),
    ],
)  # fmt: skip
def test_a_null_that_a_folder_spells(tmp_path: Path, where: str, left: int) -> None:
    """The folder of the rows without a value has nulls, and no text that is spelled like its name."""
    made = "SELECT i AS id, CASE WHEN i < 20 THEN 'US' END AS country FROM range(50) AS r(i)"
    duckdb.sql(f"COPY ({made}) TO '{tmp_path}/t' (FORMAT parquet, PARTITION_BY country)")

    table = ps.query(f"SELECT id FROM t WHERE {where}", t=ps.read(str(tmp_path / "t")))

    assert told(Paper(CLUSTER).again(table)) == exact(left)


@pytest.mark.parametrize("sets", ["(kind), (kind), ()", "(kind, a), (a, kind), (a)"])
def test_a_grouping_set_that_stands_twice(folder: Path, sets: str) -> None:
    """It gives its groups twice, in whichever order its keys stand."""
    visits = "(SELECT kind, kind % 2 AS a FROM visits)"
    found, real = rows(folder, f"SELECT count(*) AS n FROM {visits} GROUP BY GROUPING SETS ({sets})")

    assert found.mid == pytest.approx(real, rel=0.05)


def test_a_table_that_cannot_be_sampled() -> None:
    """Nothing is known of it nor of what is made of it."""
    table = Paper(CLUSTER)._scan(Source("rows", {"k": "BIGINT"}, None, "iceberg", (".",)))

    assert told(table) == UNKNOWN
    assert told(table.engine.query("SELECT k FROM t WHERE k > 1", {"t": table})) == UNKNOWN


def test_a_table_without_rows() -> None:
    """It has none, and neither has what is made of it."""
    paper = Paper(CLUSTER)
    table = paper.adopt(pa.table({"k": pa.array([], pa.int64())}))

    assert told(table) == exact(0)
    assert told(paper.query("SELECT k, count(*) AS n FROM t GROUP BY k", {"t": table})).mid == 0
    assert told(paper.query("SELECT k FROM t WHERE k > 1", {"t": table})) == exact(0)
