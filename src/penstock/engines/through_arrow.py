"""The formats that DuckDB reads by way of Arrow, each in a room of its own."""

from __future__ import annotations

from typing import Any

from penstock import sql
from penstock.engines import arrow_files, avro_files, orc_files
from penstock.engines.files import Source
from penstock.engines.folders import by_folder

__all__ = ["ROOMS", "select", "spark_reads"]

#: Each has `schema_of(path)`, a file's Arrow schema, and `opened(paths)`, something that DuckDB scans.
ROOMS: dict[str, Any] = {"arrow": arrow_files, "orc": orc_files, "avro": avro_files}


def spark_reads(source: Source) -> bool:
    """Whether Spark's own reader gives the same values, of one of these formats or of another."""
    return source.format not in ROOMS or (source.format == "orc" and not any(map(orc_files.has_times, source.paths)))


def select(source: Source) -> tuple[str, dict[str, Any]]:
    """A SELECT of the columns of the files and of those that their folders spell, and the tables that it is over."""
    room = ROOMS[source.format]
    tables: dict[str, Any] = {}
    selects = []
    for values, paths in by_folder(source):
        table = f"files{len(tables)}"
        tables[table] = room.opened(paths)
        stored = [sql.quote(name) for name in tables[table].schema.names if name not in values]
        columns = [*stored, *(f"{value} AS {sql.quote(name)}" for name, value in values.items())]
        selects.append(f"SELECT {', '.join(columns)} FROM {table}")
    return " UNION ALL BY NAME ".join(selects), tables
