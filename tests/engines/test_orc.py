"""ORC: the same table on both engines, whoever wrote the file; broken files are told by name."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.orc as orc
import pytest

import penstock as ps
from penstock.engines.engine import Engine, Table
from penstock.testing import assert_tables_equal, rows

ROWS = pa.table(
    {
        "i": pa.array([1, None, -3], pa.int32()),
        "tiny": pa.array([1, 2, None], pa.int8()),
        "s": ["a", None, "é"],
        "day": [date(2024, 2, 29), date(1970, 1, 1), None],
        "dec": pa.array([Decimal("1.50"), None, Decimal("-2.25")], pa.decimal128(10, 2)),
        "l": [[1], [2, None], None],
        "st": [{"x": 1, "y": "q"}, {"x": None, "y": ""}, None],
        "bin": [b"a", b"\xff", None],
        "f": [1.5, None, -0.5],
        "ok": [True, False, None],
    }
)


def kinds(engine: Engine, table: Table) -> dict[str, str]:
    """The columns; Spark's names within a struct come in quotes."""
    return {name: kind.replace('"', "") for name, kind in engine.columns(table).items()}


def test_types_and_values(engine: Engine, tmp_path: Path) -> None:
    """Numbers, text, dates, decimals, bytes, lists and structs come as they were written."""
    orc.write_table(ROWS, tmp_path / "a.orc")

    table = engine.read(str(tmp_path / "a.orc"))

    assert kinds(engine, table) == {
        "i": "INTEGER", "tiny": "TINYINT", "s": "VARCHAR", "day": "DATE", "dec": "DECIMAL(10,2)", "l": "BIGINT[]",
        "st": "STRUCT(x BIGINT, y VARCHAR)", "bin": "BLOB", "f": "DOUBLE", "ok": "BOOLEAN",
    }  # fmt: skip
    assert_tables_equal(table, ROWS)


def test_times_do_not_move(engine: Engine, tmp_path: Path) -> None:
    """A time without a zone is what the file says and a moment is that moment, wherever it is read."""
    noon = datetime(2024, 7, 1, 12, 0, 0, 123456)
    data = {
        "at": pa.array([noon], pa.timestamp("us")),
        "moment": pa.array([noon], pa.timestamp("us", "UTC")),
        "within": pa.array([{"ts": noon}], pa.struct({"ts": pa.timestamp("us")})),
    }
    orc.write_table(pa.table(data), tmp_path / "a.orc")

    table = engine.read(str(tmp_path / "a.orc"))

    assert kinds(engine, table) == {
        "at": "TIMESTAMP", "moment": "TIMESTAMP WITH TIME ZONE", "within": "STRUCT(ts TIMESTAMP)",
    }  # fmt: skip
    (found,) = rows(table)
    assert (found["at"], found["within"]) == (noon, {"ts": noon})
    assert found["moment"].astimezone(UTC).replace(tzinfo=None) == noon


def test_what_spark_wrote(engine: Engine, spark: Any, tmp_path: Path) -> None:
    """Files of Spark's own are the same table on both engines, times without a zone among them."""
    query = "SELECT id, CAST(id AS STRING) AS s, TIMESTAMP_NTZ'2024-07-01 12:00:00.5' AS at FROM range(4)"
    spark.sql(query).write.orc(f"file://{tmp_path}/out")

    expected = [{"id": i, "s": str(i), "at": datetime(2024, 7, 1, 12, 0, 0, 500000)} for i in range(4)]
    assert_tables_equal(engine.read(str(tmp_path / "out")), expected)


def test_folders(engine: Engine, tmp_path: Path) -> None:
    """The values that folders spell are columns, with types and nulls."""
    for value in ("1", "2", "__HIVE_DEFAULT_PARTITION__"):
        (tmp_path / f"k={value}").mkdir()
        orc.write_table(pa.table({"v": ["a", "b"]}), tmp_path / f"k={value}" / "part.orc")

    table = engine.read(str(tmp_path))

    assert kinds(engine, table) == {"v": "VARCHAR", "k": "BIGINT"}
    assert_tables_equal(table, [{"v": v, "k": k} for v in "ab" for k in (1, 2, None)])


def test_files_of_other_columns_are_refused(engine: Engine, tmp_path: Path) -> None:
    """As with the other formats, no file is cut to another's columns."""
    orc.write_table(pa.table({"x": [1]}), tmp_path / "1.orc")
    orc.write_table(pa.table({"y": [1]}), tmp_path / "2.orc")

    with pytest.raises(ps.InputError, match=r"2\.orc has the columns y; .*1\.orc has x"):
        engine.read(str(tmp_path))


@pytest.mark.parametrize("content", [b"", b"hello", "cut"])
def test_a_broken_file_is_told(content: Any, engine: Engine, tmp_path: Path) -> None:
    """What was cut off, or is no ORC, is an error that names the file."""
    path = tmp_path / "a.orc"
    orc.write_table(ROWS, path)
    path.write_bytes(path.read_bytes()[:-9] if content == "cut" else content)

    with pytest.raises(ps.InputError, match=r"a\.orc is not a whole ORC file: .*; fetch or write it again"):
        engine.read(str(path))


def test_stripes_come_one_by_one(duckdb_engine: Engine, tmp_path: Path) -> None:
    """A file of many stripes is read whole, and only the columns asked for are."""
    data = pa.table({"n": range(100_000), "s": [f"text {n}" for n in range(100_000)]})
    orc.write_table(data, tmp_path / "a.orc", stripe_size=1 << 16, batch_size=1024)
    assert orc.ORCFile(tmp_path / "a.orc").nstripes > 1

    table = duckdb_engine.read(str(tmp_path / "a.orc"))

    assert_tables_equal(
        ps.query("SELECT count(*) AS c, sum(n) AS s FROM t", t=table), [{"c": 100_000, "s": 4999950000}]
    )
