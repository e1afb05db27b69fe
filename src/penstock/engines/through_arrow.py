"""The formats that DuckDB reads by way of Arrow, each in a room of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from penstock import sql
from penstock.engines import arrow_files, avro_files, delta_files, iceberg_files, orc_files
from penstock.engines.files import LOGS, Source
from penstock.engines.folders import by_folder

__all__ = ["ROOMS", "parquet_files", "select", "spark_reads"]

#: Each has `opened(paths, **options)`, something that DuckDB scans; where it reads files `schema_of(path)` and
#: `first_rows(path, columns, most)`; where it has a log `parquet_files(path, **options)`.
ROOMS: dict[str, Any] = {
    "arrow": arrow_files, "orc": orc_files, "avro": avro_files, "delta": delta_files, "iceberg": iceberg_files,
}  # fmt: skip


def spark_reads(source: Source) -> bool:
    """Whether Spark's own reader gives the same values, of one of these formats or of another."""
    return source.format not in ROOMS or (source.format == "orc" and not any(map(orc_files.has_times, source.paths)))


def parquet_files(source: Source, options: Mapping[str, Any]) -> list[str]:
    """The Parquet files that hold the rows of a table with a log; none where they do not tell all of it."""
    return ROOMS[source.format].parquet_files(source.paths, **options) if source.format in LOGS else []


def select(source: Source, options: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """A SELECT of the columns of the files and of those that their folders spell, and the tables that it is over."""
    room = ROOMS[source.format]
    tables: dict[str, Any] = {}
    selects = []
    for values, paths in by_folder(source):
        table = f"files{len(tables)}"
        tables[table] = room.opened(paths, **options)
        stored = [_column(field) for field in tables[table].schema if field.name not in values]
        columns = [*stored, *(f"{value} AS {sql.quote(name)}" for name, value in values.items())]
        selects.append(f"SELECT {', '.join(columns)} FROM {table}")
    return " UNION ALL BY NAME ".join(selects), tables


def _column(field: Any) -> str:
    """A column; Spark writes a time without a zone to ORC as a number, and says so beside it."""
    column = sql.quote(field.name)
    meant = (field.metadata or {}).get(b"spark.sql.catalyst.type")
    return f"make_timestamp({column}) AS {column}" if meant == b"timestamp_ntz" else column
