"""Files divided among map tasks as Spark divides them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from penstock.engines.engine import Engine
from penstock.forecasts.cluster import Cluster
from penstock.forecasts.sources import Source, footer, groups_of, pieces
from spark_exchanges import planned

MB = 1 << 20


def of(files: list[Path], format: str = "parquet") -> Source:
    """A source of files."""
    return Source("files", {"n": "BIGINT"}, None, format, tuple(map(str, files)))


def sized(folder: Path, *sizes: int, ending: str = "csv") -> Source:
    """Text of so many bytes each, of which none is written."""
    files = []
    for number, size in enumerate(sizes):
        files.append(folder / f"{number}.{ending}")
        with files[-1].open("wb") as file:
            file.truncate(size)
    return of(files, ending.partition(".")[0])


def tasks(source: Source, **cluster: int) -> list[list[int]]:
    """The bytes that each map task reads, file by file."""
    made = Cluster(cores=2, memory=0)._replace(**cluster)
    return [[group.length for group in task.groups] for task in pieces(source, source.paths, made)]


def test_a_large_file_is_split(tmp_path: Path) -> None:
    """By `maxPartitionBytes`, whatever is left over."""
    assert tasks(sized(tmp_path, 300 * MB)) == [[128 * MB], [128 * MB], [44 * MB]]
    assert tasks(sized(tmp_path, 300 * MB), split=100 * MB) == [[100 * MB]] * 3


def test_no_split_is_larger_than_a_core_has(tmp_path: Path) -> None:
    """Every core gets its share of what there is, with what opening costs."""
    assert tasks(sized(tmp_path, 96 * MB), cores=4) == [[25 * MB]] * 3 + [[21 * MB]]


def test_small_files_are_put_together(tmp_path: Path) -> None:
    """Each counts for its bytes and what opening costs, the largest first."""
    source = sized(tmp_path, 1 * MB, 2 * MB, 3 * MB, 50 * MB)

    assert tasks(source) == [[36 * MB], [14 * MB, 3 * MB, 2 * MB, 1 * MB]]
    assert tasks(source, open_cost=1, split=2 * MB)[:2] == [[2 * MB], [2 * MB]]


def test_a_compressed_text_is_read_by_one_task(tmp_path: Path) -> None:
    """Nobody can begin in the middle of it."""
    assert tasks(sized(tmp_path, 300 * MB, 1000, ending="csv.gz")) == [[300 * MB], [1000]]


def test_an_empty_file_has_a_task(tmp_path: Path) -> None:
    """It is opened like any other."""
    assert tasks(sized(tmp_path, 0)) == [[0]]


def test_a_row_group_is_of_the_task_that_has_its_middle(tmp_path: Path) -> None:
    """Every row is read once, wherever the splits fall."""
    file = tmp_path / "n.parquet"
    rows = np.random.default_rng(1).integers(0, 2**62, 30_000)
    pq.write_table(pa.table({"n": rows}), file, row_group_size=4_000, compression="none", use_dictionary=False)

    found = pieces(of([file]), [str(file)], Cluster(2, 0, split=100_000, open_cost=1))

    assert [task.rows for task in found] == [12_000, 12_000, 6_000]
    assert [group.number for task in found for group in task.groups] == list(range(8))


def test_footers_are_read_again_where_a_file_is_written_again(tmp_path: Path) -> None:
    """A footer is remembered as long as the file is the same."""
    file = tmp_path / "n.parquet"
    pq.write_table(pa.table({"n": [1]}), file)
    first = footer(str(file))
    assert footer(str(file)) is first

    pq.write_table(pa.table({"n": [1, 2]}), file)

    assert [group.rows for group in groups_of(str(file))] == [2]


@pytest.mark.parametrize(("split", "cost"), [("64k", "16k"), ("300k", "1k"), ("128m", "4m")])
def test_spark_divides_them_so(spark_engine: Engine, spark: Any, tmp_path: Path, split: str, cost: str) -> None:
    """The rows of each task are those of Spark's partitions, for files of several sizes."""
    chance = np.random.default_rng(1)
    for number, rows in enumerate((40_000, 9_000, 9_500, 100)):
        table = pa.table({"n": chance.integers(0, 2**62, rows)})
        pq.write_table(table, tmp_path / f"{number}.parquet", row_group_size=3_000)
    size = {"k": 1 << 10, "m": MB}
    cluster = Cluster(2, 0)._replace(
        **{name: int(text[:-1]) * size[text[-1]] for name, text in (("split", split), ("open_cost", cost))}
    )
    settings = {"spark.sql.files.maxPartitionBytes": split, "spark.sql.files.openCostInBytes": cost}

    with planned(spark, **settings):
        table = spark_engine.read(str(tmp_path))
        counted = "SELECT p, count(*) AS n FROM (SELECT spark_partition_id() AS p FROM t) GROUP BY p"
        real = spark_engine.batches(spark_engine.query(counted, {"t": table})).read_all()["n"].to_pylist()

    source = of(sorted(tmp_path.glob("*.parquet")))
    assert sorted(task.rows for task in pieces(source, source.paths, cluster) if task.rows) == sorted(real)
