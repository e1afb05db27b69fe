"""A lake whose files gained columns and wider types: the same table on both engines, or an error with both files."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import penstock as ps
from penstock.engines import evolution
from penstock.engines.engine import Engine, Table
from penstock.testing import assert_tables_equal

MakeTable = Callable[..., Table]


def lay(root: Path, *tables: pa.Table) -> Path:
    """One file after another."""
    root.mkdir(exist_ok=True)
    for number, data in enumerate(tables):
        pq.write_table(data, root / f"{number}.parquet")
    return root


def column(kind: pa.DataType, *values: Any) -> pa.Table:
    """A table of one column."""
    return pa.table({"x": pa.array(values, kind)})


def test_a_column_that_came_later_is_null_before(engine: Engine, tmp_path: Path) -> None:
    """A file without a column that others have is read with nulls there, whichever comes first, in the newer order."""
    old, new = pa.table({"x": [1], "y": ["a"]}), pa.table({"y": ["b"], "x": [2], "z": [[0.5]]})
    expected = [{"y": "a", "x": 1, "z": None}, {"y": "b", "x": 2, "z": [0.5]}]

    assert_tables_equal(engine.read(str(lay(tmp_path / "a", old, new))), expected)
    assert_tables_equal(engine.read(str(lay(tmp_path / "b", new, old))), expected)


def test_a_partitioned_lake_gains_a_column(engine: Engine, table: MakeTable, tmp_path: Path) -> None:
    """An append may bring a column; folders' values and files' names stay readable."""
    out = tmp_path / "out"
    ps.write(table([{"v": 1, "k": "007"}, {"v": 2, "k": None}]), out, partition_by="k")
    ps.write(table([{"w": "new", "k": "8", "v": 3}]), out, partition_by="k", mode="append")

    expected = [{"v": 1, "w": None, "k": "007"}, {"v": 2, "w": None, "k": None}, {"v": 3, "w": "new", "k": "8"}]
    assert_tables_equal(engine.read(str(out)), expected)
    named = ps.query("SELECT v, filename LIKE '%part-%' AS told FROM t", t=engine.read(str(out), filename=True))
    assert_tables_equal(named, [{"v": v, "told": True} for v in (1, 2, 3)])


@pytest.mark.parametrize(
    ("one", "other", "kind"),
    [
        (column(pa.int32(), 7), column(pa.int64(), 2**40), "BIGINT"),
        (column(pa.int8(), -7), column(pa.int32(), 2**30), "INTEGER"),
        (column(pa.float32(), 0.1), column(pa.float64(), 0.1), "DOUBLE"),
        (column(pa.int32(), 7), column(pa.float64(), 0.5), "DOUBLE"),
        (
            column(pa.decimal128(9, 2), Decimal("1.25")),
            column(pa.decimal128(12, 4), Decimal("2.1234")),
            "DECIMAL(12,4)",
        ),
        (column(pa.decimal128(9, 2), Decimal("1.25")), column(pa.decimal128(8, 4), Decimal("2.1234")), "DECIMAL(11,4)"),
        (column(pa.int64(), 7), column(pa.decimal128(38, 0), Decimal(10**30)), "DECIMAL(38,0)"),
        (column(pa.date32(), date(2026, 3, 1)), column(pa.timestamp("us"), datetime(2026, 3, 1, 5)), "TIMESTAMP"),
        (column(pa.uint32(), 2**32 - 1), column(pa.int32(), -1), "BIGINT"),
        (column(pa.null(), None), column(pa.string(), "a"), "VARCHAR"),
        (column(pa.dictionary(pa.int8(), pa.string()), "a"), column(pa.large_string(), "b"), "VARCHAR"),
    ],
)
def test_a_wider_type_holds_both(engine: Engine, tmp_path: Path, one: pa.Table, other: pa.Table, kind: str) -> None:
    """A type that widened is read as the widest, whichever file comes first, and no value changes."""
    expected = [{"x": table["x"][0].as_py()} for table in (one, other)]
    if kind == "TIMESTAMP":
        expected[0]["x"] = datetime(2026, 3, 1)
    for name, tables in (("a", (one, other)), ("b", (other, one))):
        found = engine.read(str(lay(tmp_path / name, *tables)))
        assert engine.columns(found) == {"x": kind}
        assert_tables_equal(found, expected)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (column(pa.int64(), 2**60), column(pa.float64(), 0.5)),
        (column(pa.int32(), 1), column(pa.string(), "1")),
        (column(pa.decimal128(38, 0), Decimal(1)), column(pa.decimal128(38, 10), Decimal(1))),
        (column(pa.timestamp("us"), datetime(2026, 1, 1)), column(pa.timestamp("us", "UTC"), datetime(2026, 1, 1))),
        (column(pa.list_(pa.int64()), [1]), column(pa.list_(pa.string()), ["1"])),
    ],
)
def test_types_that_no_type_holds_are_refused(engine: Engine, tmp_path: Path, one: pa.Table, other: pa.Table) -> None:
    """Where every common type would lose something, the error names the column and both files."""
    root = lay(tmp_path / "out", one, one, other)

    for options in ({}, {"union_by_name": True}):
        with pytest.raises(ps.InputError, match=r'"x" is .* in .*2\.parquet and .* in .*0\.parquet'):
            engine.read(str(root), **options)


def test_two_tables_in_a_folder_are_not_one(engine: Engine, tmp_path: Path) -> None:
    """Files of which none has all the columns are refused, and both are named; `union_by_name` reads them."""
    root = lay(tmp_path / "out", pa.table({"x": [1], "y": [2]}), pa.table({"x": [3], "z": [4]}))

    with pytest.raises(ps.InputError, match=r"1\.parquet has the columns x, z; .*0\.parquet has x, y; neither has all"):
        engine.read(str(root))
    together = [{"x": 1, "y": 2, "z": None}, {"x": 3, "y": None, "z": 4}]
    assert_tables_equal(engine.read(str(root), union_by_name=True), together)


# -- appending ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("there", "given", "kind"),
    [
        (pa.int32(), pa.int64(), "BIGINT"),
        (pa.int64(), pa.int32(), "BIGINT"),
        (pa.decimal128(9, 2), pa.decimal128(9, 4), "DECIMAL(11,4)"),
        (pa.float64(), pa.int16(), "DOUBLE"),
    ],
)
def test_an_append_may_widen_a_type(
    engine: Engine, tmp_path: Path, there: pa.DataType, given: pa.DataType, kind: str
) -> None:
    """A column of a wider type widens the lake's, one of a narrower type is written as what is there."""
    out = tmp_path / "out"
    ps.write(engine.adopt(pa.table({"x": pa.array([1], there)})), out)

    ps.write(engine.adopt(pa.table({"x": pa.array([2], given)})), out, mode="append")

    assert engine.columns(engine.read(str(out))) == {"x": kind}
    assert_tables_equal(engine.read(str(out)), [{"x": 1}, {"x": 2}])


def test_late_data_replaces_its_own_day(engine: Engine, table: MakeTable, tmp_path: Path) -> None:
    """Late rows are added to an old day, or the day is replaced: every other partition keeps its very files."""
    out = tmp_path / "out"
    days = [{"v": v, "day": date(2026, 3, 1 + v % 3)} for v in range(9)]
    ps.write(table(days), out, partition_by="day")
    others = {file: file.stat().st_ino for file in out.rglob("*.parquet") if "2026-03-01" not in str(file)}

    ps.write(table([{"v": 100, "day": date(2026, 3, 1)}]), out, partition_by="day", mode="append")
    after_append = engine.read(str(out))
    assert_tables_equal(after_append, [*days, {"v": 100, "day": date(2026, 3, 1)}])
    ps.write(table([{"v": 200, "day": date(2026, 3, 1)}]), out, partition_by="day", mode="overwrite_partitions")

    assert {file: file.stat().st_ino for file in others} == others
    kept = [row for row in days if row["day"] != date(2026, 3, 1)]
    assert_tables_equal(engine.read(str(out)), [*kept, {"v": 200, "day": date(2026, 3, 1)}])


def test_footers_that_nobody_wants_are_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who stops half-way goes on at once: a collection of garbage may stop it in a thread that the rest waits for."""
    wanted = threading.Event()
    monkeypatch.setattr(evolution, "_footer", lambda path: path if path == "0" else wanted.wait(20))
    found = evolution.footers([str(number) for number in range(30)])
    assert next(found) == "0"
    begun = time.monotonic()
    found.close()
    took = time.monotonic() - begun
    wanted.set()

    assert took < 10
