"""Spark's hash of a key, which says the partition that the key goes to.

Spark sends a row to partition pmod(Murmur3Hash(key, seed 42), partitions). It is Murmur3 in 32 bits, where the hash of
one column is the seed for the next and null leaves the seed as it is. Bytes that fill no word count as words of their
own, with their sign, unlike in the published Murmur3.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Hashes", "hashes", "numbers", "places", "salted"]

Hashes: TypeAlias = NDArray[np.uint32]

SEED = 42
#: Decimals of more digits are hashed as bytes.
LONG_DIGITS = 18


def hashes(columns: Iterable[pa.Array], rows: int) -> Hashes | None:
    """The hash of each row's key.

    Args:
        columns: Arrow columns in types that Spark has, in the key's order.
        rows: How many rows they have.

    Returns:
        One hash a row, or None where a column is of a type that Spark hashes in a way that is not here.

    Example:
        >>> import pyarrow as pa
        >>> hashes([pa.array(["US", "CH", None])], 3).view("int32").tolist()
        [-1077041708, 1927251107, 42]
    """
    found: Hashes | None = np.full(rows, SEED, np.uint32)
    for column in columns:
        if found is None:
            return None
        found = _column(column, found)
    return found


def places(found: Hashes, partitions: int) -> NDArray[np.int64]:
    """The partition of each hash, from 0."""
    return np.mod(found.view(np.int32).astype(np.int64), partitions)


def salted(found: Hashes, salts: int) -> Hashes:
    """The hashes of (key, salt) for each key and each salt from 0, a BIGINT; a row a key."""
    parts = np.tile(np.arange(salts, dtype=np.int64), len(found))
    return _long(parts, np.repeat(found, salts)).reshape(len(found), salts)


def numbers(column: Any) -> NDArray[Any]:
    """Numbers as they lie in memory; where a null is, anything. `to_numpy` imports pandas where there is one: 0.2 s."""
    import pyarrow as pa

    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    kind = np.dtype({"float": "float32", "double": "float64"}.get(str(column.type), str(column.type)))
    data = column.buffers()[1]
    return np.frombuffer(data or b"", kind)[column.offset : column.offset + len(column)]


# -- columns ----------------------------------------------------------------------------------------------------------


def _column(column: Any, seeds: Hashes) -> Hashes | None:
    """The hashes with one more column in them."""
    import pyarrow as pa

    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if isinstance(column, pa.ExtensionArray):
        return None
    if pa.types.is_null(column.type):
        return seeds
    hashed = _fields(column, seeds) if pa.types.is_struct(column.type) else _plain(column, seeds)
    if hashed is None or not column.null_count:
        return hashed
    return np.where(_valid(column), hashed, seeds)


def _valid(column: Any) -> NDArray[np.bool_]:
    bits = np.unpackbits(np.frombuffer(column.buffers()[0], np.uint8), bitorder="little")
    return bits[column.offset : column.offset + len(column)].astype(bool)


def _plain(column: Any, seeds: Hashes) -> Hashes | None:
    """As if there were no nulls."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_boolean(kind):
        return _int(numbers(column.cast(pa.int32())), seeds)
    if pa.types.is_date32(kind):
        return _int(numbers(column.cast(pa.int32())), seeds)
    if pa.types.is_timestamp(kind):
        return _long(numbers(column.cast(pa.timestamp("us", kind.tz), safe=False).cast(pa.int64())), seeds)
    if pa.types.is_signed_integer(kind):
        values = numbers(column)
        return _long(values, seeds) if kind == pa.int64() else _int(values.astype(np.int32), seeds)
    if pa.types.is_float32(kind):
        return _int(_bits(numbers(column), np.int32), seeds)
    if pa.types.is_float64(kind):
        return _long(_bits(numbers(column), np.int64), seeds)
    if pa.types.is_decimal128(kind):
        return _decimal(column, seeds)
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        return _bytes(column.cast(pa.binary()), seeds)
    return None


def _fields(column: Any, seeds: Hashes) -> Hashes | None:
    found: Hashes | None = seeds
    for field in column.flatten():  # with the nulls of the whole
        if found is not None:
            found = _column(field, found)
    return found


def _bits(values: NDArray[Any], kind: type) -> NDArray[Any]:
    """Floats as Java shows their bits: one NaN, one zero."""
    same = np.where(np.isnan(values), np.array(np.nan, values.dtype), values + np.array(0, values.dtype))
    return same.view(kind)


def _decimal(column: Any, seeds: Hashes) -> Hashes:
    import pyarrow as pa

    words = np.frombuffer(column.buffers()[1], np.int64).reshape(-1, 2)[column.offset : column.offset + len(column)]
    if column.type.precision <= LONG_DIGITS:
        return _long(words[:, 0], seeds)
    unscaled = [(int(high) << 64) | (int(low) & (1 << 64) - 1) for low, high in words]
    # BigInteger.toByteArray: as many bytes as the number needs with its sign.
    shown = [n.to_bytes((n if n >= 0 else ~n).bit_length() // 8 + 1, "big", signed=True) for n in unscaled]
    return _bytes(pa.array(shown, pa.binary()), seeds)


# -- Murmur3 ----------------------------------------------------------------------------------------------------------


def _int(values: NDArray[np.int32], seeds: Hashes) -> Hashes:
    return _finished(_mixed(seeds, values.view(np.uint32)), 4)


def _long(values: NDArray[np.int64], seeds: Hashes) -> Hashes:
    wide = np.ascontiguousarray(values, np.int64).view(np.uint64)
    low, high = wide.astype(np.uint32), (wide >> np.uint64(32)).astype(np.uint32)
    return _finished(_mixed(_mixed(seeds, low), high), 8)


def _bytes(column: Any, seeds: Hashes) -> Hashes:
    """Values of any length. All advance by a word together, the longest first, so that those not done are a head."""
    rows = len(column)
    _, offsets, data = column.buffers()
    bounds = np.frombuffer(offsets, np.int32)[column.offset : column.offset + rows + 1].astype(np.int64)
    text = np.frombuffer(data, np.uint8) if data is not None and len(data) else np.zeros(1, np.uint8)
    lengths = np.diff(bounds)
    order = np.argsort(-lengths, kind="stable")
    starts, sizes, found = bounds[:-1][order], lengths[order], seeds[order]
    longest = int(sizes[0]) if rows else 0
    for at in range(0, longest - 3, 4):
        head = int(np.searchsorted(-sizes, -(at + 4), side="right"))
        word = starts[:head] + at
        value = text[word].astype(np.uint32)
        for byte in (1, 2, 3):
            value |= text[word + byte].astype(np.uint32) << np.uint32(8 * byte)
        found[:head] = _mixed(found[:head], value)
    for byte in range(3):
        left = np.nonzero(sizes % 4 > byte)[0]
        signed = text[starts[left] + sizes[left] // 4 * 4 + byte].view(np.int8)
        found[left] = _mixed(found[left], signed.astype(np.int32).view(np.uint32))
    back = np.empty_like(found)
    back[order] = _finished(found, sizes.astype(np.uint32))
    return back


def _mixed(hashed: Hashes, word: Hashes) -> Hashes:
    scrambled = _rotated(word * np.uint32(0xCC9E2D51), 15) * np.uint32(0x1B873593)
    mixed: Hashes = _rotated(hashed ^ scrambled, 13) * np.uint32(5) + np.uint32(0xE6546B64)
    return mixed


def _finished(hashed: Hashes, length: int | Hashes) -> Hashes:
    found: Hashes = hashed ^ np.asarray(length, np.uint32)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        found = (found ^ (found >> np.uint32(shift))) * np.uint32(factor)
    return found ^ (found >> np.uint32(16))


def _rotated(words: Hashes, bits: int) -> Hashes:
    return (words << np.uint32(bits)) | (words >> np.uint32(32 - bits))
