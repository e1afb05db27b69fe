"""`ps.write` over what is there already: what stays, what is replaced, and what is refused."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import penstock as ps
from penstock.engines.engine import Engine, Table
from penstock.lake import versions
from penstock.testing import assert_tables_equal, rows

MakeTable = Callable[..., Table]

ROWS = [{"k": "a", "v": 1}, {"k": "b", "v": 2}]


def small(**columns: list[Any]) -> Table:
    """A table of the embedded engine."""
    return ps.adopt(pa.table(columns))


def test_files_that_stay_are_links(tmp_path: Path) -> None:
    """An append copies nothing: the old file is the same file under the new version."""
    before = Path(ps.write(small(v=[1]), tmp_path / "out").files[0]).stat()

    ps.write(small(v=[2]), tmp_path / "out", mode="append")

    assert before.st_ino in {file.stat().st_ino for file in (tmp_path / "out").iterdir()}


def test_files_that_cannot_be_linked_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a file system without links the old files are copied."""

    def no_links(*_: object) -> None:
        raise PermissionError("no links here")

    ps.write(small(v=[1]), tmp_path / "out")
    monkeypatch.setattr(os, "link", no_links)
    ps.write(small(v=[2]), tmp_path / "out", mode="append")

    assert sorted(pq.read_table(tmp_path / "out")["v"].to_pylist()) == [1, 2]


def test_a_table_may_replace_what_it_reads(engine: Engine, table: MakeTable, tmp_path: Path) -> None:
    """A lazy table reads the old version until the new one is whole."""
    ps.write(table(ROWS), tmp_path / "out")
    doubled = ps.query("SELECT k, v * 2 AS v FROM t", t=engine.read(str(tmp_path / "out")))

    ps.write(doubled, tmp_path / "out", mode="overwrite")

    assert_tables_equal(engine.read(str(tmp_path / "out")), [{"k": "a", "v": 2}, {"k": "b", "v": 4}])


def test_partitions_of_either_engine_are_the_same(duckdb_engine: Engine, spark_engine: Engine, tmp_path: Path) -> None:
    """What one engine partitioned, the other reads, adds to and replaces, whatever letters the values have."""
    data = pa.table({"k": ["a b", "ü/=%", None, "'[#"], "v": [1, 2, 3, 4]})
    ps.write(duckdb_engine.adopt(data), tmp_path / "out", partition_by="k")
    folders = sorted(os.listdir(tmp_path / "out"))

    ps.write(spark_engine.adopt(data.slice(0, 2)), tmp_path / "out", partition_by="k", mode="overwrite_partitions")

    assert sorted(os.listdir(tmp_path / "out")) == folders
    for engine in (duckdb_engine, spark_engine):
        assert_tables_equal(ps.query("SELECT k, v FROM t", t=engine.read(str(tmp_path / "out"))), data)


def test_columns_are_put_in_the_order_of_what_is_there(engine: Engine, table: MakeTable, tmp_path: Path) -> None:
    """An append to csv goes by the names of the columns, not by their places."""
    ps.write(table(ROWS), tmp_path / "out", format="csv")

    ps.write(ps.query("SELECT v, k FROM t", t=table(ROWS)), tmp_path / "out", format="csv", mode="append")

    assert_tables_equal(engine.read(str(tmp_path / "out")), ROWS + ROWS)


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        ({"k": ["a"], "w": [1]}, {"partition_by": "k"}, "has the columns v, k; the table has k, w"),
        ({"k": ["a"], "v": [1.5]}, {"partition_by": "k"}, '"v" is BIGINT .* and DOUBLE'),
        ({"k": ["a"], "v": [1]}, {}, "is partitioned by k, not by nothing"),
        ({"k": ["a"], "v": [1]}, {"format": "csv", "partition_by": "k"}, "holds parquet files, not csv"),
    ],
)
def test_what_does_not_fit_is_not_added(
    tmp_path: Path, columns: dict[str, list[Any]], options: dict[str, Any], message: str
) -> None:
    """An append of other columns, types, partitions or another format is refused before it runs."""
    ps.write(small(k=["a"], v=[1]), tmp_path / "out", partition_by="k")

    with pytest.raises(ps.UsageError, match=message):
        ps.write(small(**columns), tmp_path / "out", mode="append", **options)


def test_what_is_no_data_is_not_replaced(tmp_path: Path) -> None:
    """A folder with anything but data files in it is never overwritten: it is not an output of ours."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.docx").write_text("years of work")

    with pytest.raises(ps.OutputError, match=r"thesis\.docx, which is no data file"):
        ps.write(small(v=[1]), tmp_path / "home", mode="overwrite")
    assert (tmp_path / "home" / "thesis.docx").exists()


def test_a_file_and_a_folder_do_not_replace_each_other(tmp_path: Path) -> None:
    """A path that is a folder does not become a file, nor the other way round."""
    (tmp_path / "out.parquet").mkdir()
    (tmp_path / "out").write_text("")

    with pytest.raises(ps.OutputError, match=r"out\.parquet is a folder"):
        ps.write(small(v=[1]), tmp_path / "out.parquet", mode="overwrite")
    with pytest.raises(ps.OutputError, match="out is a file"):
        ps.write(small(v=[1]), tmp_path / "out", mode="overwrite")


@pytest.mark.parametrize("name", ["out", "out.csv"])
def test_what_appears_meanwhile_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """With mode="error" a path that came into being while the write ran is left as it is."""
    publish = versions.publish

    def meanwhile(target: versions.Target, folder: str, written: int) -> Any:
        monkeypatch.setattr(versions, "publish", publish)
        ps.write(small(v=[2]), tmp_path / name)
        return publish(target, folder, written)

    monkeypatch.setattr(versions, "publish", meanwhile)
    with pytest.raises(ps.OutputError, match="appeared meanwhile"):
        ps.write(small(v=[1]), tmp_path / name)

    assert rows(ps.read(tmp_path / name)) == [{"v": 2}]
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("out.csv", {"compression": "gzip"}, r"name it .*out\.csv\.gz"),
        ("out.csv.gz", {"compression": "zstd"}, r"name it .*out\.csv\.zst"),
        ("out.parquet.gz", {}, "compressed within"),
        ("out.csv", {"format": "parquet"}, "named as csv"),
        ("out.log", {}, "cannot write log"),
        ("out.csv", {"mode": "append"}, "write to a folder"),
        ("out", {"format": "arrow", "partition_by": "k"}, "arrow files are not partitioned"),
    ],
)
def test_a_name_that_says_something_else(tmp_path: Path, name: str, options: dict[str, Any], message: str) -> None:
    """A path's ending and the options may not contradict each other, or no reader would know what is in it."""
    with pytest.raises(ps.UsageError, match=message):
        ps.write(small(k=["a"], v=[1]), tmp_path / name, **options)


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_text_is_compressed_and_named_so(engine: Engine, table: MakeTable, tmp_path: Path, compression: str) -> None:
    """Files of text in a folder have the ending of their compression, so that readers know it."""
    written = ps.write(table(ROWS), tmp_path / "out", format="csv", compression=compression)

    assert written.files[0].endswith({"none": ".csv", "gzip": ".csv.gz", "zstd": ".csv.zst"}[compression])
    assert_tables_equal(engine.read(str(tmp_path / "out")), ROWS)


def test_sums_beyond_64_bits_keep_their_digits(tmp_path: Path) -> None:
    """DuckDB's 128-bit integers are written as decimals: Parquet would get rounded floats."""
    ps.write(ps.adopt([{"x": 1}]).query("t", "SELECT (2 ** 53)::HUGEINT + x AS x FROM t"), tmp_path / "out")

    assert int(pq.read_table(tmp_path / "out")["x"][0].as_py()) == 2**53 + 1


def test_an_empty_text_names_no_folder(engine: Engine, table: MakeTable, tmp_path: Path) -> None:
    """A partition value that no folder can be named for is an error, and nothing is written."""
    with pytest.raises(ps.PenstockError, match='"k" is the empty text'):
        ps.write(table([{"k": "", "v": 1}, {"k": "a", "v": 2}]), tmp_path / "out", partition_by="k")

    assert os.listdir(tmp_path) == []


def test_an_error_in_the_table_leaves_the_old_output(engine: Engine, table: MakeTable, tmp_path: Path) -> None:
    """A table that fails while it runs leaves what was there, and nothing beside it."""
    ps.write(table(ROWS), tmp_path / "out")
    failing = ps.query("SELECT k, CAST(k AS BIGINT) AS v FROM t", t=table(ROWS))

    with pytest.raises(ps.PenstockError):
        ps.write(failing, tmp_path / "out", mode="overwrite")

    assert os.listdir(tmp_path) == ["out"]
    assert_tables_equal(engine.read(str(tmp_path / "out")), ROWS)


def test_a_link_to_a_folder_stays_one(tmp_path: Path) -> None:
    """A symbolic link is followed: the folder that it points to is replaced."""
    (tmp_path / "real").mkdir()
    (tmp_path / "out").symlink_to("real")

    ps.write(small(v=[1]), tmp_path / "out")

    assert (tmp_path / "out").is_symlink()
    assert pq.read_table(tmp_path / "real")["v"].to_pylist() == [1]


def test_rows_are_those_of_the_footers(engine: Engine, tmp_path: Path) -> None:
    """The count that comes back is what the files say, over several files and partitions too."""
    data = pa.table({"k": [i % 5 for i in range(20_000)], "v": range(20_000)})

    written = ps.write(engine.adopt(data), tmp_path / "out", partition_by="k", target_file_size="20KB")

    assert written.rows == sum(pq.read_metadata(file).num_rows for file in written.files) == 20_000
    assert written.bytes == sum(os.path.getsize(file) for file in written.files)
