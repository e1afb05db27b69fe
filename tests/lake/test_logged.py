"""Tables with a log of their own, Delta and Iceberg: what `ps.write` and `ps.read` do alike with both."""

from __future__ import annotations

import math
import sys
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import penstock as ps
from penstock.engines.engine import Engine, Table
from penstock.testing import assert_tables_equal, rows

PACKAGES = {"delta": "deltalake", "iceberg": "pyiceberg"}


@pytest.fixture(params=list(PACKAGES))
def form(request: pytest.FixtureRequest) -> str:
    """Each format in turn."""
    pytest.importorskip(PACKAGES[request.param], reason=f"pip install 'penstock[{request.param}]'")
    return str(request.param)


@pytest.fixture
def folder(tmp_path: Path) -> str:
    """A folder that is not there yet."""
    return str(tmp_path / "lake" / "t")


def small(**columns: Any) -> Table:
    """A table of the embedded engine."""
    return ps.adopt(pa.table(columns))


def test_values_come_back(form: str, engine: Engine, folder: str) -> None:
    """Types and values survive, nulls and NaN among them, on both engines."""
    data = pa.table(
        {
            "i": pa.array([1, None], pa.int32()),
            "l": [2**40, -1],
            "d": [math.nan, None],
            "s": ["é", ""],
            "b": [b"\xff", None],
            "ok": [True, None],
            "day": [date(2024, 2, 29), None],
            "at": pa.array([datetime(2024, 7, 1, 12, 0, 0, 123456), None], pa.timestamp("us")),
            "dec": pa.array([Decimal("1.50"), None], pa.decimal128(10, 2)),
            "list": [[1, 2], None],
            "st": [{"x": 1, "y": "q"}, None],
        }
    )
    written = ps.write(ps.adopt(data), folder, format=form)

    assert written.rows == 2
    assert written.bytes == sum(Path(file).stat().st_size for file in written.files) > 0
    assert_tables_equal(engine.read(folder, form), data)


def test_modes(form: str, folder: str) -> None:
    """error refuses, append adds, overwrite replaces; each says the files that it wrote."""
    ps.write(small(v=[1]), folder, form)

    with pytest.raises(ps.OutputError, match=r'is there already; mode="overwrite" replaces it'):
        ps.write(small(v=[2]), folder, form)
    added = ps.write(small(v=[2]), folder, form, mode="append")
    assert len(added.files) == 1
    assert_tables_equal(ps.read(folder, form), [{"v": 1}, {"v": 2}])
    ps.write(small(v=[3]), folder, form, mode="overwrite")
    assert_tables_equal(ps.read(folder, form), [{"v": 3}])


def test_partitions_are_replaced(form: str, folder: str) -> None:
    """overwrite_partitions replaces those that come anew, null and odd letters among them, and leaves the others."""
    keys = ["a", "it's", None, "x/y"]
    day = [date(2024, 1, 1)] * 4
    ps.write(small(k=keys, day=day, v=[1, 2, 3, 4]), folder, form, partition_by=["k", "day"])
    new = ps.where(small(k=keys, day=day, v=[10, 20, 30, 40]), "v in (20, 30)")

    written = ps.write(new, folder, form, partition_by=["k", "day"], mode="overwrite_partitions")

    assert len(written.files) == written.rows == 2
    expected = [{"k": k, "v": v, "day": day[0]} for k, v in zip(keys, [1, 20, 30, 4], strict=True)]
    found = [{"k": row["k"], "v": row["v"], "day": row["day"]} for row in rows(ps.read(folder, form))]
    assert_tables_equal(found, expected)
    nothing = ps.write(ps.where(new, "false"), folder, form, partition_by=["k", "day"], mode="overwrite_partitions")
    assert (nothing.files, nothing.rows) == ((), 0)


def test_columns_and_partitions_must_agree(form: str, folder: str) -> None:
    """What is added has the table's columns, in any order, and its partitions."""
    ps.write(small(k=["a"], v=[1]), folder, form, partition_by="k")

    with pytest.raises(ps.UsageError, match="has the columns k, v; the table has k; select the same"):
        ps.write(small(k=["a"], x=[1]).select("k"), folder, form, mode="append")
    with pytest.raises(ps.UsageError, match="partitioned by k, not by nothing"):
        ps.write(small(k=["a"], v=[1]), folder, form, mode="append")
    ps.write(small(v=[2], k=["b"]), folder, form, partition_by="k", mode="append")
    assert_tables_equal(
        ps.query("SELECT k, v FROM t", t=ps.read(folder, form)), [{"k": "a", "v": 1}, {"k": "b", "v": 2}]
    )


def test_a_write_that_fails_leaves_what_was_there(form: str, folder: str) -> None:
    """The engine's own error comes through, the version before stands, and the write can be done again."""
    broken = ps.query(
        "SELECT CASE WHEN v > 5000 THEN error('boom') ELSE v END AS v FROM t", t=small(v=list(range(9999)))
    )

    for mode in ("error", "error"):  # a first write that failed is in nobody's way
        with pytest.raises(ps.EngineError, match="boom"):
            ps.write(broken, folder, form, mode=mode)
    ps.write(small(v=[1]), folder, form)
    with pytest.raises(ps.EngineError, match="boom"):
        ps.write(broken, folder, form, mode="overwrite")
    assert_tables_equal(ps.read(folder, form), [{"v": 1}])


def test_a_batch_is_written_once(form: str, folder: str) -> None:
    """A batch that is named appends once, however often it is written."""
    for _ in range(2):
        for batch in ("one", "two"):
            ps.write(small(v=[1]), folder, form, mode="append", batch=batch)

    assert_tables_equal(ps.read(folder, form), [{"v": 1}, {"v": 1}])


def test_many_rows_stream_in_pieces(form: str, folder: str) -> None:
    """Rows of several pieces and partitions all arrive, sorted within their files."""
    many = ps.query("SELECT i % 7 AS k, 100000 - i AS v FROM range(100000) AS t(i)")

    written = ps.write(many, folder, form, partition_by="k", sort_by="v", target_file_size="200KB")

    assert written.rows == 100_000
    found = ps.query("SELECT count(*) AS n, sum(v) AS s, count(DISTINCT k) AS k FROM t", t=ps.read(folder, form))
    assert_tables_equal(found, [{"n": 100_000, "s": 5000050000, "k": 7}])


def test_foreign_files_are_left_alone(form: str, tmp_path: Path) -> None:
    """A folder of other files does not become a table, and several tables are not read as one."""
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "notes.txt").write_text("x")

    with pytest.raises(ps.OutputError, match=rf"holds notes\.txt, and is no {form} table"):
        ps.write(small(v=[1]), tmp_path / "t", form)
    with pytest.raises(ps.InputError, match=r"is no (Delta|Iceberg) table"):
        ps.read(str(tmp_path / "t"), form)
    with pytest.raises(ps.InputError, match="no such folder"):
        ps.read(str(tmp_path / "u"), form)
    with pytest.raises(ps.UsageError, match="is read by itself"):
        ps.read([str(tmp_path / "t"), str(tmp_path / "u")], form)


def test_spark_reads_and_does_not_write(form: str, spark_engine: Engine, folder: str) -> None:
    """On Spark the rows are staged; to write there is the embedded engine's work, or that of Spark's own connector."""
    ps.write(small(v=[1, 2]), folder, form)
    table = ps.read(folder, form, engine=spark_engine)

    assert_tables_equal(table, [{"v": 1}, {"v": 2}])
    with pytest.raises(ps.UsageError, match="written by the embedded engine; or by Spark's own connector"):
        ps.write(table, f"{folder}2", form)


def test_without_the_package(form: str, folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error is the line to type, for reading and for writing."""
    ps.write(small(v=[1]), folder, form)
    for name in [name for name in sys.modules if name.split(".")[0] == PACKAGES[form]]:
        monkeypatch.setitem(sys.modules, name, None)

    with pytest.raises(ps.MissingExtra, match=rf"pip install 'penstock\[{form}\]'"):
        ps.read(folder, form)
    with pytest.raises(ps.MissingExtra, match=rf"pip install 'penstock\[{form}\]'"):
        ps.write(small(v=[1]), folder, form, mode="append")
