"""Spark's hash of keys, held against Spark."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from penstock.engines.engine import Engine
from penstock.skews.murmur3 import hashes, places, salted

LONGS = [0, 1, -1, 2**31, -(2**31), 2**63 - 1, -(2**63), 12_345_678_901, None]
TEXTS = ["", "a", "ab", "abc", "abcd", "abcde", "anonymous", "Zürich", "日本語", "\x7f\x80", "x" * 1001, "😀!", None]
COLUMNS: dict[str, pa.Array] = {
    "long": pa.array(LONGS, pa.int64()),
    "int": pa.array([0, 1, -1, 2**31 - 1, -(2**31), None], pa.int32()),
    "short": pa.array([0, 7, -7, 32767, -32768, None], pa.int16()),
    "byte": pa.array([0, 7, -7, 127, -128, None], pa.int8()),
    "text": pa.array(TEXTS),
    "double": pa.array([0.0, -0.0, 1.5, -1.5, 1e308, 5e-324, float("nan"), float("inf"), float("-inf"), None]),
    "float": pa.array([0.0, -0.0, 1.5, float("nan"), float("inf"), None], pa.float32()),
    "boolean": pa.array([True, False, None]),
    "date": pa.array([datetime.date(2026, 3, 1), datetime.date(1900, 1, 1), None]),
    "naive": pa.array([datetime.datetime(2026, 3, 1, 12, 30, 0, 250), datetime.datetime(1899, 1, 1), None]),
    "zoned": pa.array([datetime.datetime(2026, 3, 1, 12, 30), None], pa.timestamp("us", "UTC")),
    "money": pa.array([Decimal("0.00"), Decimal("-12.34"), Decimal("999999999.99"), None], pa.decimal128(12, 2)),
    "digits": pa.array([Decimal(0), Decimal(-1), Decimal(127), Decimal(128), Decimal(-129), Decimal("9" * 30), None],
                       pa.decimal128(38, 0)),
    "bytes": pa.array([b"", b"\x00", b"\xff\xfe\xfd", b"\x80" * 9, None], pa.binary()),
    "struct": pa.array([{"a": 1, "b": "x"}, {"a": None, "b": "y"}, None],
                       pa.struct({"a": pa.int32(), "b": pa.string()})),
}  # fmt: skip


def of_spark(engine: Engine, data: pa.Table, keys: str) -> list[int]:
    """What Spark's own `hash` says, row by row."""
    found = engine.query(f"SELECT i, hash({keys}) AS h FROM t ORDER BY i", {"t": engine.adopt(data)})
    hashed: list[int] = engine.batches(found).read_all()["h"].to_pylist()
    return hashed


@pytest.mark.parametrize("kind", COLUMNS)
def test_a_hash_is_that_of_spark(spark_engine: Engine, kind: str) -> None:
    """Every type of key hashes as in Spark: nulls, NaN, both zeros and texts of any length."""
    column = COLUMNS[kind]
    data = pa.table({"i": range(len(column)), "k": column})

    found = hashes([column], len(column))

    assert found is not None
    assert found.view("int32").tolist() == of_spark(spark_engine, data, "k")


def test_columns_of_a_key_are_chained(spark_engine: Engine) -> None:
    """Several columns hash as Spark hashes them together, in their order, and a slice as its rows."""
    rows = len(LONGS)
    columns = [COLUMNS["long"], COLUMNS["text"].slice(2, rows), pa.array([3, None, 1] * (rows // 3), pa.int32())]
    data = pa.table({"i": range(rows), "a": columns[0], "b": columns[1], "c": columns[2]})

    found = hashes(columns, rows)

    assert found is not None
    assert found.view("int32").tolist() == of_spark(spark_engine, data, "a, b, c")


def test_a_salt_is_one_more_column(spark_engine: Engine) -> None:
    """The hash of a key and a salt is that of Spark over both."""
    keys = pa.array(["US", None])
    data = pa.table({"i": range(6), "k": ["US"] * 3 + [None] * 3, "salt": [0, 1, 2] * 2})
    hashed = hashes([keys], 2)

    assert hashed is not None
    assert salted(hashed, 3).ravel().view("int32").tolist() == of_spark(spark_engine, data, "k, salt")


def test_a_place_is_never_negative() -> None:
    """A negative hash has a partition like any other."""
    found = hashes([pa.array([None, 0, 1, 2, 3], pa.int64())], 5)

    assert found is not None
    assert min(found.view("int32").tolist()) < 0
    assert [int(place) for place in places(found, 7)] == [h % 7 for h in found.view("int32").tolist()]


@pytest.mark.parametrize("column", [pa.array([[1], None]), pa.array([datetime.time(1), None])], ids=["list", "time"])
def test_types_that_are_not_hashed(column: Any) -> None:
    """A type that Spark hashes in a way of its own has no hash here, rather than a wrong one."""
    assert hashes([pa.array([1, 2]), column], 2) is None
