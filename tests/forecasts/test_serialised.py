"""Rows as Spark sends them: the bytes of an UnsafeRow, counted by hand, and how they are compressed."""

from __future__ import annotations

import datetime
import struct
from decimal import Decimal
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.engines.engine import Engine
from penstock.forecasts.serialised import BLOCK, HEADER, compressed, headers, laid_out

DAY = datetime.date(1970, 1, 11)
MOMENT = datetime.datetime(1970, 1, 1, 0, 0, 1)


def row(*values: Any, kinds: list[pa.DataType] | None = None) -> bytes:
    """The bytes of one row of such values."""
    arrays = [pa.array([value], kinds[i] if kinds else None) for i, value in enumerate(values)]
    return laid_out(pa.table(arrays, [f"c{i}" for i in range(len(arrays))]))[0].tobytes()


def words(*numbers: int) -> bytes:
    """Numbers of 8 bytes each."""
    return struct.pack(f"<{len(numbers)}q", *numbers)


@pytest.mark.parametrize(
    ("value", "kind", "field"),
    [
        (7, pa.int64(), words(7)),
        (-7, pa.int32(), words(-7)),
        (True, pa.bool_(), words(1)),
        (1.5, pa.float64(), struct.pack("<d", 1.5)),
        (1.5, pa.float32(), struct.pack("<f", 1.5) + bytes(4)),
        (DAY, pa.date32(), words(10)),
        (MOMENT, pa.timestamp("us"), words(1_000_000)),
        (Decimal("-1.25"), pa.decimal128(10, 2), words(-125)),
    ],
    ids=str,
)
def test_a_value_of_8_bytes(value: Any, kind: pa.DataType, field: bytes) -> None:
    """A row of one field is its length of 4 bytes, 8 of null bits, and the field."""
    assert row(value, kinds=[kind]) == struct.pack(">i", 16) + words(0) + field


@pytest.mark.parametrize(("value", "padded"), [("", 0), ("page", 8), ("eight ch", 8), ("nine char", 16), (b"abc", 8)])
def test_a_text_stands_behind_the_fields(value: Any, padded: int) -> None:
    """Its field says where it is and how long; itself it is padded to a multiple of 8."""
    text = value if isinstance(value, bytes) else value.encode()

    assert row(value) == struct.pack(">i", 16 + padded) + words(0, 16 << 32 | len(text)) + text.ljust(padded, b"\0")


def test_a_null_is_a_bit() -> None:
    """A field that is null has its bit set, and is zero; a text that is null takes nothing behind the fields."""
    assert row(None, 3, None, kinds=[pa.int64()] * 3) == struct.pack(">i", 32) + words(0b101, 0, 3, 0)
    assert len(row(None, kinds=[pa.string()])) == 4 + 8 + 8


def test_a_text_that_is_null_is_zero() -> None:
    """As Spark writes it: no place, no length."""
    assert row(None, kinds=[pa.string()]) == struct.pack(">i", 16) + words(1, 0)


def test_more_than_64_fields_have_more_null_bits() -> None:
    """Each 64 fields have 8 bytes of them."""
    assert [len(row(*range(fields))) for fields in (64, 65, 128, 129)] == [
        4 + 8 + 512, 4 + 16 + 520, 4 + 16 + 1024, 4 + 24 + 1032,
    ]  # fmt: skip


def test_long_decimals_have_16_bytes() -> None:
    """A decimal of more than 18 digits stands behind the fields, in 16 bytes however few it needs."""
    assert row(Decimal(258), kinds=[pa.decimal128(38, 0)]) == (
        struct.pack(">i", 32) + words(0, 16 << 32 | 16) + b"\x01\x02".ljust(16, b"\0")
    )


def test_a_list_stands_behind_the_fields() -> None:
    """Its length, null bits, and 8 bytes an element; of texts, these behind them."""
    assert row([4, None], kinds=[pa.list_(pa.int64())]) == (
        struct.pack(">i", 16 + 32) + words(0, 16 << 32 | 32) + words(2, 0b10, 4, 0)
    )
    assert len(row(["a", "b"], kinds=[pa.list_(pa.string())])) == 4 + 16 + 32 + 16


def test_a_struct_is_a_row_in_a_row() -> None:
    """Null bits and fields, without a length before them."""
    assert row({"a": 1, "b": 2}) == struct.pack(">i", 16 + 24) + words(0, 16 << 32 | 24) + words(0, 1, 2)


@settings(max_examples=30)
@given(st.lists(st.tuples(st.none() | st.integers(-(2**63), 2**63 - 1), st.none() | st.text(max_size=20)), max_size=50))
def test_rows_behind_each_other(rows: list[tuple[int | None, str | None]]) -> None:
    """Many rows are the bytes of each, and the bounds say where each begins."""
    kinds = [pa.int64(), pa.string()]
    table = pa.table([pa.array([each[i] for each in rows], kinds[i]) for i in range(2)], ["n", "t"])

    data, bounds = laid_out(table)

    found = [data[start:end].tobytes() for start, end in pairwise(bounds)]
    assert found == [row(*each, kinds=kinds) for each in rows]


def test_pieces_and_dictionaries_are_laid_out_alike() -> None:
    """Slices, chunks and dictionaries hold the values that they hold."""
    texts = pa.array(["a", "bb", None, "a", "bb"])
    chunked = pa.chunked_array([texts.slice(0, 2), texts.slice(2)])

    plain = laid_out(pa.table({"t": texts}))[0].tobytes()

    assert laid_out(pa.table({"t": chunked}))[0].tobytes() == plain
    assert laid_out(pa.table({"t": texts.dictionary_encode()}))[0].tobytes() == plain
    assert laid_out(pa.table({"t": texts}).slice(1, 3))[0].tobytes() == plain[28:104]


def test_streams_are_compressed_by_themselves_in_blocks() -> None:
    """What compresses shrinks, and a block that does not is written as it is."""
    noise = np.random.default_rng(1).bytes(2 * BLOCK)

    assert compressed([noise]) == 2 * BLOCK
    assert compressed([noise[:BLOCK] + bytes(BLOCK)]) < 1.01 * BLOCK
    assert compressed([noise[:100], noise[:100]]) == 200
    assert compressed([noise, b""], "none") == 2 * BLOCK
    assert compressed([bytes(BLOCK)], "zstd") < 100


def test_headers_of_blocks() -> None:
    """Every block of 32 KB has a header, and so has the end; other codecs have none that is counted."""
    assert [headers(each) for each in (1, BLOCK, BLOCK + 1)] == [2 * HEADER, 2 * HEADER, 3 * HEADER]
    assert headers(1_000_000, "zstd") == 0


def test_rows_take_what_spark_writes(spark_engine: Engine) -> None:
    """The rows of each reducer, laid out and compressed, with headers, are within 2 % of what Spark measures."""
    numbers = np.random.default_rng(2).integers(0, 10**9, 20_000)
    rows = pa.table({"n": numbers, "f": numbers / 7, "t": [f"page {n % 1000}" for n in numbers], "day": [DAY] * 20_000})
    table = spark_engine.adopt(rows).coalesce(1).repartition(3, "n")

    with spark_engine.measured() as measured:
        spark_engine.drain(table)

    placed = spark_engine.query("SELECT *, spark_partition_id() AS part FROM t", {"t": table})
    arrived = spark_engine.batches(placed).read_all()
    streams = []
    for part in range(3):
        mine = arrived.filter(pc.equal(arrived["part"], part)).drop_columns(["part"])
        streams.append(laid_out(mine)[0].tobytes())
    told = compressed(streams) + sum(headers(len(stream)) for stream in streams)
    assert told == pytest.approx(measured.moved_bytes, rel=0.02)
