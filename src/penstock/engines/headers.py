"""The columns that each file of a source names, so that files of different shapes are not read as one by accident.

Left alone, an engine takes the first file's columns for all: Spark drops the others' further columns and fills absent
ones with nulls, DuckDB drops the further ones.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any

from penstock.engines import through_arrow
from penstock.engines.files import Source, head
from penstock.errors import InputError

__all__ = ["by_header", "delimiter", "header_of", "refuse_unlike"]


def delimiter(format: str, options: Mapping[str, Any]) -> str:
    """What stands between two fields of a line."""
    return str(options.get("delimiter", "\t" if format == "tsv" else ","))


def header_of(path: str, format: str, options: Mapping[str, Any]) -> list[str]:
    """The columns that a file names: the first record of csv, the schema of the formats that have one."""
    if format in ("csv", "tsv"):
        start = io.StringIO(head(path).decode(errors="replace").removeprefix("\ufeff"), newline="")
        return next(csv.reader(start, delimiter=delimiter(format, options)), [])
    return list(through_arrow.ROOMS[format].schema_of(path).names)


def by_header(source: Source, options: Mapping[str, Any]) -> dict[tuple[str, ...], list[str]]:
    """The paths of a csv source by the order of their columns; all in one group where none needs a look."""
    alike = source.remote and not options.get("union_by_name")
    if len(source.paths) == 1 or alike or not options.get("header", True):
        return {(): source.paths}
    groups: dict[tuple[str, ...], list[str]] = {}
    for path in source.paths:
        groups.setdefault(tuple(header_of(path, source.format, options)), []).append(path)
    return groups


def refuse_unlike(source: Source, options: Mapping[str, Any]) -> None:
    """Refuse files of different columns, unless `union_by_name` says to put them together.

    Behind a URL every look costs a request, so there the engines' own checks must do. Parquet has its own room,
    `evolution`.
    """
    told = options.get("union_by_name") or not options.get("header", True)
    if len(source.paths) == 1 or source.remote or source.format in ("json", "log", "parquet") or told:
        return
    first = header_of(source.paths[0], source.format, options)
    for path in source.paths[1:]:
        header = header_of(path, source.format, options)
        if set(header) != set(first):
            raise InputError(
                f"{path} has the columns {', '.join(header)}; {source.paths[0]} has {', '.join(first)}",
                "union_by_name=True reads both as one table, with nulls where a column is missing",
            )
