"""Arrow columns as text: the same characters for the same value, whichever engine it came from.

null        empty in csv, null in ndjson                 timestamp   2026-03-01 12:30:00.25, UTC; Z if it has a zone
float       the shortest that reads back as the same     decimal     every digit of its scale, never 1E-7
-0.0        0.0                                          binary      hexadecimal
NaN         nan in csv, null in ndjson                   nested      JSON
"""

from __future__ import annotations

import json
import math
import re
import struct
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["csv_line", "csv_lines", "json_lines", "plain"]

QUOTE = '"'
#: What makes a text one that must be quoted in csv; the same to RE2 and to Python.
ODD = re.compile(r'[",\r\n]|^$')

#: Digits of a float that was added up: the rest depends on the order of addition, and with it on engine and threads.
SUM_DIGITS = 12


def plain(column: pa.Array, *, summed: bool = False) -> pa.Array:
    """A column of any type as a column of text; nulls stay."""
    column = _bare(column)
    kind = column.type
    if pa.types.is_floating(kind):
        return _floats(column, summed)
    if pa.types.is_decimal(kind):
        text = column.cast(pa.string())
        return _each(column, lambda value: format(value, "f")) if _any(text, "E") else text
    if pa.types.is_timestamp(kind):
        text = _trimmed(column.cast(pa.timestamp(kind.unit)))
        return pc.binary_join_element_wise(text, "Z", "") if kind.tz else text
    if pa.types.is_time(kind):
        return _trimmed(column)
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return _each(column, bytes.hex)
    if pa.types.is_nested(kind):
        return _each(column, lambda value: json.dumps(_json_value(value), ensure_ascii=False, separators=(",", ":")))
    if pa.types.is_interval(kind) or pa.types.is_duration(kind):
        return _each(column, _interval)
    return column.cast(pa.string())


def csv_line(names: list[str]) -> bytes:
    """The header."""
    return (",".join(f'"{n.replace(QUOTE, 2 * QUOTE)}"' if ODD.search(n) else n for n in names) + "\n").encode()


def csv_lines(batch: pa.RecordBatch, summed: frozenset[str] = frozenset()) -> bytes:
    """Rows as csv. A text is quoted where it must be, and where it is empty: nothing at all is null."""
    cells = [_csv_cells(batch.column(i), summed=name in summed) for i, name in enumerate(batch.schema.names)]
    return _lines([part for cell in cells for part in (",", cell)][1:])


def json_lines(batch: pa.RecordBatch, summed: frozenset[str] = frozenset()) -> bytes:
    """Rows as JSON, one object a line."""
    parts: list[Any] = []
    for i, name in enumerate(batch.schema.names):
        parts += [f", {json.dumps(name, ensure_ascii=False)}: ", _json_cells(batch.column(i), summed=name in summed)]
    return _lines(["{" + parts[0].removeprefix(", "), *parts[1:], "}"])


def _csv_cells(column: pa.Array, summed: bool) -> pa.Array:
    text, kind = plain(column, summed=summed), _bare(column).type
    if _is_literal(kind) or pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return text
    odd = pc.match_substring_regex(text, ODD.pattern)
    if not pc.any(odd).as_py():
        return text
    quoted = pc.binary_join_element_wise('"', pc.replace_substring(text, '"', '""'), '"', "")
    return pc.if_else(odd, quoted, text)


def _json_cells(column: pa.Array, summed: bool) -> pa.Array:
    text, kind = plain(column, summed=summed), _bare(column).type
    if pa.types.is_floating(kind):
        text = pc.if_else(pc.is_finite(_bare(column)), text, None)
    elif not (_is_literal(kind) or pa.types.is_nested(kind)):
        if _any(text, r'["\\\x00-\x1f]'):
            text = _each(text, lambda value: json.dumps(value, ensure_ascii=False))
        else:
            text = pc.binary_join_element_wise('"', text, '"', "")
    return pc.fill_null(text, "null")


def _is_literal(kind: pa.DataType) -> bool:
    """Whether JSON has such values itself, unquoted."""
    return any(
        is_one(kind) for is_one in (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_boolean)
    )


def _lines(parts: list[Any]) -> bytes:
    """Join columns and constants by row, each row ended by a line feed."""
    ready = [_constant(part) if isinstance(part, str) else part for part in (*parts, "\n", "")]
    rows = pc.binary_join_element_wise(*ready, null_handling="replace", null_replacement="")
    _, offsets, data = rows.buffers()
    bounds = memoryview(offsets).cast("i")[rows.offset : rows.offset + len(rows) + 1]
    return memoryview(data)[bounds[0] : bounds[-1]].tobytes() if data is not None else b""


def _constant(text: str) -> pa.StringScalar:
    """A text as Arrow has it. `pa.scalar` would do, but at its first use it imports pandas, if there is one: 0.15 s."""
    data = text.encode()
    offsets = struct.pack("ii", 0, len(data))
    return pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(offsets), pa.py_buffer(data)])[0]


def _floats(column: pa.Array, summed: bool) -> pa.Array:
    if summed:
        return _each(column, lambda value: _with_point(format(value + 0.0, f".{SUM_DIGITS}g")))
    text = pc.add(column, pa.scalar(0.0, column.type)).cast(pa.string())  # -0.0 + 0.0 is 0.0
    whole = pc.match_substring_regex(text, r"\A-?[0-9]+\z")
    return pc.if_else(whole, pc.binary_join_element_wise(text, ".0", ""), text)


def _with_point(digits: str) -> str:
    return digits + ".0" if digits.removeprefix("-").isdigit() else digits


def _trimmed(times: pa.Array) -> pa.Array:
    """Times without the zeros at the end of their fraction, and without its point if nothing is left."""
    text = times.cast(pa.string())
    return text if times.type.unit == "s" else pc.ascii_rtrim(pc.ascii_rtrim(text, "0"), ".")


def _interval(value: Any) -> str:
    """A length of time, from DuckDB (months, days, nanoseconds) as from Spark (microseconds)."""
    if isinstance(value, timedelta):
        return str(value)
    months = f"{value.months} months, " if value.months else ""
    return f"{months}{timedelta(days=value.days, microseconds=value.nanoseconds // 1000)}"


def _bare(column: pa.Array) -> pa.Array:
    """A column without what stands around its values: an extension type, a dictionary."""
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_large_string(column.type) or column.type == pa.string_view():
        column = column.cast(pa.string())
    return column


def _any(text: pa.Array, pattern: str) -> bool:
    return bool(pc.any(pc.match_substring_regex(text, pattern)).as_py())


def _each(column: pa.Array, written: Any) -> pa.Array:
    return pa.array([None if value is None else written(value) for value in column.to_pylist()], pa.string())


def _json_value(value: Any) -> Any:
    """A value inside a nested one, as JSON has it: what JSON does not know, as the text that it has by itself."""
    if isinstance(value, dict):
        return {key: _json_value(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json_value(inner) for inner in value]
    if isinstance(value, float):
        return value + 0.0 if math.isfinite(value) else None
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, Decimal):
        return format(value, "f")
    return plain(pa.array([value]))[0].as_py()
