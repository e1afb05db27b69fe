"""Distinct keys of a table, in all and in each map task, told from some of its rows and held against the real ones."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from penstock.figures import exact
from penstock.forecasts import flows, parquet_samples
from penstock.forecasts.cluster import Cluster
from penstock.forecasts.keys import Distinct
from penstock.forecasts.sources import Source, pieces
from penstock.plans.paper import Paper, PaperTable
from penstock.trees.tree import Scan, column

ROWS, FILES = 400_000, 4
CLUSTER = Cluster(cores=4, memory=0)._replace(open_cost=1)
KEYS = {
    "few": "i % 50",
    "unique": "i * 7919",
    "many": "hash(i)::BIGINT % 100_000",
    "in order": "i // 20",
    "skewed": "(50_000 * power(hash(i) % 1_000_003 / 1_000_003, 3))::BIGINT",
    "text": "'page ' || hash(i) % 2_000",
    "null": "CASE WHEN i % 3 > 0 THEN hash(i) % 5_000 END",
    "one": "7",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files with each of the keys as a column."""
    found = tmp_path_factory.mktemp("keys")
    columns = ", ".join(f'{key} AS "{name}"' for name, key in KEYS.items()).replace("hash(i)", "(hash(i) >> 2)")
    for number in range(FILES):
        rows = f"range({number * ROWS // FILES}, {(number + 1) * ROWS // FILES}) AS r(i)"
        duckdb.sql(f"COPY (SELECT {columns} FROM {rows}) TO '{found}/{number}.parquet' (ROW_GROUP_SIZE 10_240)")
    return found


@pytest.fixture
def thin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Samples of a tenth of the rows, or a fifth where there are many keys."""
    monkeypatch.setattr(flows, "NARROW", 40_000)
    monkeypatch.setattr(parquet_samples, "LEAST_THICK", 80_000)


def counted(table: PaperTable, *keys: str) -> Distinct:
    """What is told of the distinct keys of a table."""
    places = dict(table.relation.names)
    return table.engine.forecast.flows.distinct(table.relation.node, tuple(column(places[key]) for key in keys))


def in_tasks(table: PaperTable, key: str) -> int:
    """How many distinct keys each map task has, added up."""
    source: Source = next(node.source for node in [table.relation.node] if isinstance(node, Scan))
    rows = {path: pq.ParquetFile(path) for path in source.paths}
    found = 0
    for task in pieces(source, source.paths, CLUSTER):
        groups = [rows[group.path].read_row_group(group.number, columns=[key])[key] for group in task.groups]
        found += len({value for group in groups for value in pc.unique(group).to_pylist()})
    return found


@pytest.mark.parametrize("key", KEYS)
def test_distinct_keys(folder: Path, thin: None, key: str) -> None:
    """In all they are told within a tenth, and in the map tasks, where a combiner leaves a row of each."""
    table = Paper(CLUSTER).read(str(folder))
    [(real,)] = duckdb.sql(f"SELECT count(*) FROM (SELECT DISTINCT \"{key}\" FROM '{folder}/*.parquet')").fetchall()

    found = counted(table, key)

    assert found.total.mid == pytest.approx(real, rel=0.1)
    assert found.in_tasks.mid == pytest.approx(in_tasks(table, key), rel=0.1)
    for figure in (found.total, found.in_tasks):
        low, mid, high, basis = figure
        assert basis == "sample"
        assert (low or 0) <= (mid or 0) <= (high or 0)


def test_keys_that_are_several(folder: Path, thin: None) -> None:
    """Pairs are keys of their own."""
    found = counted(Paper(CLUSTER).read(str(folder)), "few", "one")

    assert (found.total.mid, found.in_tasks.mid) == (pytest.approx(50, rel=0.02), pytest.approx(200, rel=0.05))


def test_no_key() -> None:
    """Of all rows together there is one group, and one in each task."""
    table = Paper(CLUSTER).adopt(duckdb.sql("SELECT 1 AS k").to_arrow_table())

    assert counted(table)[:2] == (exact(1), exact(4))


def test_keys_of_a_table_that_is_there_whole(folder: Path) -> None:
    """They are counted, and the number is exact."""
    table = Paper(CLUSTER).read(str(folder / "0.parquet"))

    found = counted(table, "few")

    assert (found.total, found.in_tasks.basis) == (exact(50), "exact")


def test_nothing_is_known_of_keys() -> None:
    """Of a table that cannot be sampled neither are its keys known."""
    source = Source("rows", {"k": "BIGINT"}, None, "iceberg", (".",))
    table = Paper(CLUSTER)._scan(source)

    assert counted(table, "k") == Distinct()
