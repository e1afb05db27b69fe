"""Rows as Spark sends them: laid out as UnsafeRow, and compressed in the blocks that it compresses.

A row has 8 bytes of null bits for every 64 fields, 8 bytes a field, and behind them what is longer, padded to 8. Before
it stand 4 bytes with its length. Each reducer's share of a map task is a stream of its own, of LZ4 blocks of 32 KB.
"""

from __future__ import annotations

import datetime
import decimal
import math
import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    Bytes = np.ndarray[Any, np.dtype[np.uint8]]

__all__ = ["compressed", "headers", "laid_out"]

BLOCK = 32 << 10  # spark.io.compression.lz4.blockSize
HEADER = 21  # of an LZ4 block; a stream ends with one of its own


def compressed(streams: Sequence[bytes], codec: str = "lz4") -> int:
    """The bytes of streams as they are written, without the headers of their blocks."""
    import pyarrow as pa

    if codec == "none":
        return sum(map(len, streams))
    if codec != "lz4":
        return sum(len(pa.compress(stream, codec=codec, asbytes=True)) for stream in streams if stream)
    blocks = [stream[start : start + BLOCK] for stream in streams for start in range(0, len(stream), BLOCK)]
    return sum(min(len(block), len(pa.compress(block, "lz4_raw", asbytes=True))) for block in blocks)


def headers(length: float, codec: str = "lz4") -> float:
    """The bytes that stand around a stream of some length.

    >>> headers(40_000)
    63
    """
    return HEADER * (1 + math.ceil(length / BLOCK)) if codec == "lz4" else 0


def laid_out(table: pa.Table) -> tuple[Bytes, Any]:
    """All rows behind each other, and where each begins; one more bound for the end."""
    import numpy as np

    rows, fields = table.num_rows, table.num_columns
    fixed = 4 + 8 * (-(-fields // 64) + fields)
    columns = [_column(table.column(position).combine_chunks()) for position in range(fields)]
    sizes = np.full(rows, fixed, np.int64)
    for _, more in columns:
        if more is not None:
            sizes += _padded(more[1])
    bounds = np.concatenate([[0], np.cumsum(sizes)])
    data = np.zeros(int(bounds[-1]), np.uint8)
    starts = bounds[:-1]
    _put(data, starts, (sizes - 4).astype(">i4").view(np.uint8).reshape(rows, 4))
    first = starts + 4 + 8 * -(-fields // 64)
    behind = starts + fixed
    for position, ((values, more), column) in enumerate(zip(columns, table.columns, strict=True)):
        place = first + 8 * position
        absent = np.asarray(column.is_null().to_numpy())
        if more is None:
            _put(data, place, values.view(np.uint8).reshape(rows, 8))
        else:
            text, lengths, offsets = more
            where = np.where(absent & (lengths == 0), 0, ((behind - starts - 4) << 32) | lengths)
            _put(data, place, where.astype("<i8").view(np.uint8).reshape(rows, 8))
            _put_long(data, behind, text, offsets, lengths)
            behind = behind + _padded(lengths)
        if column.null_count:
            data[starts[absent] + 4 + position // 8] |= np.uint8(1 << position % 8)
    return data, bounds


def _padded(lengths: Any) -> Any:
    return (lengths + 7) // 8 * 8


def _put(data: Bytes, places: Any, values: Any) -> None:
    """A few bytes at each of many places."""
    import numpy as np

    data[(places[:, None] + np.arange(values.shape[1])).ravel()] = values.ravel()


def _put_long(data: Bytes, places: Any, text: Bytes, offsets: Any, lengths: Any) -> None:
    """Values of any length, each at its place."""
    import numpy as np

    total = int(lengths.sum())
    if total:
        inside = np.arange(total) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        data[np.repeat(places, lengths) + inside] = text[np.repeat(offsets, lengths) + inside]


def _column(column: Any) -> tuple[Any, Any]:
    """The 8 bytes of each value, or what stands behind the fields: its bytes, lengths and offsets."""
    import numpy as np
    import pyarrow as pa

    kind = column.type
    if pa.types.is_dictionary(kind):
        return _column(column.dictionary_decode())
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return _column(column.cast(pa.string()))
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        return None, _texts(column)
    if pa.types.is_decimal(kind) and kind.precision > 18:
        return None, _joined([_number(value) for value in column.to_pylist()])
    if pa.types.is_nested(kind):
        return None, _joined([b"" if value is None else _nested(value, kind) for value in column.to_pylist()])
    if pa.types.is_decimal(kind):  # the low half of its 16 bytes
        halves = np.frombuffer(column.cast(pa.decimal128(kind.precision, kind.scale)).buffers()[1], "<i8")
        return np.ascontiguousarray(halves[2 * column.offset : 2 * (column.offset + len(column)) : 2]), None
    if pa.types.is_date(kind):
        column = column.cast(pa.int32()).cast(pa.int64())
    elif (
        pa.types.is_timestamp(kind) or pa.types.is_time(kind) or pa.types.is_duration(kind) or pa.types.is_boolean(kind)
    ):
        column = column.cast(pa.int64())
    elif pa.types.is_float32(kind):
        return np.pad(_plain(column, "<f4").view(np.uint8).reshape(-1, 4), ((0, 0), (0, 4))).copy(), None
    if pa.types.is_floating(column.type):
        return _plain(column, "<f8"), None
    if pa.types.is_integer(column.type):
        return _plain(column, "<i8" if column.type != pa.uint64() else "<u8"), None
    return np.zeros(len(column), "<i8"), None


def _plain(column: Any, kind: str) -> Any:
    import numpy as np

    if not len(column):
        return np.zeros(0, kind)
    # From its buffer: `fill_null` imports pandas, where there is one, which takes half a second.
    there = np.frombuffer(column.buffers()[1], column.type.to_pandas_dtype())
    values = there[column.offset : column.offset + len(column)].astype(kind)
    if column.null_count:
        values[column.is_null().to_numpy(zero_copy_only=False)] = 0
    return values


def _texts(column: Any) -> tuple[Bytes, Any, Any]:
    import numpy as np

    _, offsets, data = column.buffers()
    bounds = np.frombuffer(offsets, np.int32)[column.offset : column.offset + len(column) + 1].astype(np.int64)
    text = np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)
    lengths = np.diff(bounds)
    if column.null_count:
        lengths = np.where(np.asarray(column.is_null()), 0, lengths)
    return text, lengths, bounds[:-1]


def _joined(values: list[bytes]) -> tuple[Bytes, Any, Any]:
    import numpy as np

    lengths = np.array([len(value) for value in values], np.int64)
    return np.frombuffer(b"".join(values), np.uint8), lengths, np.cumsum(lengths) - lengths


def _number(value: decimal.Decimal | None) -> bytes:
    """A decimal of many digits has 16 bytes, of which its number fills the first."""
    if value is None:
        return bytes(16)
    whole = int(value.scaleb(-value.as_tuple().exponent))  # type: ignore[operator]
    return whole.to_bytes(max(1, (whole.bit_length() + 8) // 8), "big", signed=True).ljust(16, b"\0")


# -- lists and structs ------------------------------------------------------------------------------------------------


def _nested(value: Any, kind: Any) -> bytes:
    """A list, a struct or a map as it stands behind the fields of a row."""
    import pyarrow as pa

    if pa.types.is_struct(kind):
        fields = [kind.field(i) for i in range(kind.num_fields)]
        return _slots([value.get(field.name) for field in fields], [field.type for field in fields], b"")
    if pa.types.is_map(kind):
        keys, items = zip(*value, strict=True) if value else ((), ())
        listed = [_list(keys, kind.key_type), _list(items, kind.item_type)]
        return struct.pack("<q", len(listed[0])) + listed[0] + listed[1]
    return _list(value, kind.value_type)


def _list(values: Sequence[Any], kind: Any) -> bytes:
    return _slots(values, [kind] * len(values), struct.pack("<q", len(values)))


def _slots(values: Sequence[Any], kinds: Sequence[Any], head: bytes) -> bytes:
    bits = bytearray(8 * -(-len(values) // 64))
    slots, behind = b"", b""
    begin = len(head) + len(bits) + 8 * len(values)
    for position, (value, kind) in enumerate(zip(values, kinds, strict=True)):
        if value is None:
            bits[position // 8] |= 1 << position % 8
            slots += bytes(8)
            continue
        short = _short(value)
        if short is not None:
            slots += short
            continue
        text = _long(value, kind)
        slots += struct.pack("<q", (begin + len(behind)) << 32 | len(text))
        behind += text + bytes(-len(text) % 8)
    return head + bytes(bits) + slots + behind


def _short(value: Any) -> bytes | None:
    """The 8 bytes of a value that has no more."""
    if isinstance(value, (bool, int)):
        return struct.pack("<q", value) if -(1 << 63) <= value < 1 << 63 else bytes(8)
    if isinstance(value, float):
        return struct.pack("<d", value)
    if isinstance(value, datetime.datetime):
        elapsed = value.replace(tzinfo=None) - datetime.datetime(1970, 1, 1)
        return struct.pack("<q", elapsed // datetime.timedelta(microseconds=1))
    if isinstance(value, datetime.date):
        return struct.pack("<q", (value - datetime.date(1970, 1, 1)).days)
    return None


def _long(value: Any, kind: Any) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytes):
        return value
    if isinstance(value, decimal.Decimal):
        return _number(value)
    return _nested(value, kind) if isinstance(value, (list, dict)) else bytes(8)
