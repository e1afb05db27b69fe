"""Spark's types in DuckDB's names, and Arrow data in the types that Spark has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock import sql

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["duckdb_type", "spark_arrow"]

_TYPES = {
    "tinyint": "TINYINT", "smallint": "SMALLINT", "int": "INTEGER", "bigint": "BIGINT", "float": "FLOAT",
    "double": "DOUBLE", "string": "VARCHAR", "boolean": "BOOLEAN", "date": "DATE", "binary": "BLOB",
    "timestamp_ntz": "TIMESTAMP", "timestamp": "TIMESTAMP WITH TIME ZONE", "void": "NULL",
}  # fmt: skip


def duckdb_type(kind: Any) -> str:
    text = kind.simpleString()
    if text.startswith("decimal"):
        return str(text.upper())
    if text.startswith("array"):
        return f"{duckdb_type(kind.elementType)}[]"
    if text.startswith("map"):
        return f"MAP({duckdb_type(kind.keyType)}, {duckdb_type(kind.valueType)})"
    if text.startswith("struct"):
        fields = ", ".join(f"{sql.quote(f.name)} {duckdb_type(f.dataType)}" for f in kind.fields)
        return f"STRUCT({fields})"
    return _TYPES.get(text, str(text.upper()))


def spark_arrow(data: pa.Table) -> pa.Table:
    """Arrow data in the types that Spark has: no unsigned integers, no dictionaries, times in microseconds."""
    import pyarrow as pa

    def plain(kind: pa.DataType) -> pa.DataType:
        if pa.types.is_dictionary(kind):
            return plain(kind.value_type)
        if pa.types.is_uint64(kind):
            return pa.decimal128(20, 0)
        if pa.types.is_unsigned_integer(kind):
            return {8: pa.int16(), 16: pa.int32(), 32: pa.int64()}[kind.bit_width]
        if pa.types.is_timestamp(kind):
            return pa.timestamp("us", "UTC" if kind.tz else None)
        if pa.types.is_large_string(kind) or kind == pa.string_view():
            return pa.string()
        if pa.types.is_float16(kind):
            return pa.float32()
        return kind

    schema = pa.schema([pa.field(f.name, plain(f.type)) for f in data.schema])
    return data if schema.equals(data.schema) else data.cast(schema, safe=False)
