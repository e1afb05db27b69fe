"""Files as SQL of the embedded engine. Both engines take column names and types from here, so that they see one table."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from typing import Any

from penstock import sql
from penstock.engines import logs
from penstock.engines.files import Source
from penstock.errors import UsageError

__all__ = ["advice", "duckdb_select"]

#: What each format's reader may be told. The rest are refused by name, before anything runs.
OPTIONS: Mapping[str, tuple[str, ...]] = {
    "parquet": ("union_by_name", "filename"),
    "csv": ("delimiter", "header", "null", "types", "union_by_name", "filename"),
    "tsv": ("delimiter", "header", "null", "types", "union_by_name", "filename"),
    "json": ("types", "union_by_name", "filename"),
    "arrow": (),
    "log": (),
}


def duckdb_select(source: Source, options: Mapping[str, Any]) -> str:
    """A SELECT over the files of a source."""
    check_options(source.format, options)
    if source.format == "log":
        return f"SELECT {logs.projection('duckdb')} FROM ({logs.lines_query(source.paths)})"
    arguments = [_list(source.paths)]
    if source.hive:
        arguments.append("hive_partitioning = true")
    if source.format in ("csv", "tsv"):
        arguments += csv_arguments(source.format, options)
    if source.format == "json":
        arguments.append("format = 'newline_delimited'" if _lines_of_json(source) else "format = 'auto'")
        if types := options.get("types"):
            arguments.append(f"columns = {_types(types)}")
    arguments += [f"{key} = {str(bool(options[key])).lower()}" for key in ("union_by_name", "filename") if key in options]
    reader = {"parquet": "read_parquet", "json": "read_json"}.get(source.format, "read_csv")
    return f"SELECT * FROM {reader}({', '.join(arguments)})"


def check_options(format: str, options: Mapping[str, Any]) -> None:
    """Refuse an option that the format's reader does not know."""
    for name in options:
        if name not in OPTIONS[format]:
            known = ", ".join(OPTIONS[format]) or "none"
            raise UsageError(f'reading {format} takes no option "{name}"', f"it takes: {known}")


def csv_arguments(format: str, options: Mapping[str, Any]) -> list[str]:
    """One fixed dialect: a file of another shape is an error with its line, not one column of whole lines."""
    delimiter = options.get("delimiter", "\t" if format == "tsv" else ",")
    arguments = [
        f"delim = {sql.literal(delimiter)}",
        f"header = {str(bool(options.get('header', True))).lower()}",
        "quote = '\"', escape = '\"', strict_mode = true, null_padding = false, allow_quoted_nulls = false",
        f"nullstr = {sql.literal(options.get('null', ''))}",
    ]
    if types := options.get("types"):
        arguments.append(f"types = {_types(types)}")
    return arguments


def advice(message: str) -> str:
    """What to do about a text file that does not read, from the engine's message."""
    if "unicode" in message or "utf-8" in message.lower():
        return "the file is not UTF-8; convert it first: iconv -f LATIN1 -t UTF-8"
    if file := re.search(r'sniffing file "([^"]+)"', message):
        return _ragged(file[1]) or "no line of it fits the dialect; give delimiter= or header="
    if line := re.search(r"on Line: (\d+)", message):
        return f"look at line {line[1]}"
    return "look at the place that the message names"


def _ragged(path: str) -> str:
    """The first line with another number of fields than the first, if the file is plain enough to look."""
    if not path.endswith((".csv", ".tsv")):
        return ""
    with open(path, newline="", encoding="utf-8", errors="replace") as file:
        lines = csv.reader(file, delimiter="\t" if path.endswith(".tsv") else ",")
        width = len(next(lines, []))
        for fields in lines:
            if fields and len(fields) != width:
                return f"line {lines.line_num} has {len(fields)} fields where the first line has {width}"
    return ""


def _lines_of_json(source: Source) -> bool:
    return any(path.split(".")[-2 if path.endswith((".gz", ".zst")) else -1] in ("ndjson", "jsonl") for path in source.paths)


def _list(paths: list[str]) -> str:
    return f"[{', '.join(map(sql.literal, paths))}]"


def _types(types: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{sql.literal(name)}: {sql.literal(kind)}" for name, kind in types.items()) + "}"
