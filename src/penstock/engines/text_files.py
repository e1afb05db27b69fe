"""Files as SQL. The embedded engine tells both engines a text file's columns, so that they see one table.

A sample (DuckDB's, 20 480 rows) tells names and types; from there on a value is of its column's type, or is an error
that names the file, the column and the value. Both engines have ways to go on silently there, which are closed: DuckDB
rounds `1.5` in a column of integers and drops the `+02:00` of a timestamp; Spark reads a record that is too short as
nulls, and bytes that are not UTF-8 as U+FFFD.
"""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import duckdb

from penstock import sql
from penstock.engines.evolution import shapes, together
from penstock.engines.files import Source, head, partition_of, unknown
from penstock.engines.headers import delimiter, header_of
from penstock.errors import ColumnError, InputError, UsageError

__all__ = [
    "Layout",
    "beside",
    "check_options",
    "complaint",
    "duckdb_select",
    "is_nested",
    "layout_of",
    "stored_as",
    "value_of",
]

_TEXT = ("delimiter", "header", "null", "types", "union_by_name", "filename", "bad")

#: What each format's reader may be told. The rest are refused by name, before anything runs.
OPTIONS: Mapping[str, tuple[str, ...]] = {
    "parquet": ("union_by_name", "filename"),
    "csv": _TEXT,
    "tsv": _TEXT,
    "json": ("types", "union_by_name", "filename", "bad"),
    "arrow": (),
    "orc": (),
    "avro": (),
    "delta": ("version",),
    "iceberg": ("version",),
    "log": ("bad",),
}


#: What to do with a malformed record: stop, or make it a row of nulls with the line in `raw`; to be quarantined, it is
#: such a row until a job sets it aside.
BAD = ("error", "null", "quarantine")


def check_options(format: str, options: Mapping[str, Any]) -> None:
    """Refuse an option that the format's reader does not know."""
    for name in options:
        if name not in OPTIONS[format]:
            known = ", ".join(OPTIONS[format]) or "none"
            raise UsageError(f'reading {format} takes no option "{name}"', f"it takes: {known}")
    if (bad := options.get("bad", "error")) not in BAD:
        raise unknown("bad", bad, BAD)
    for name in ("union_by_name", "filename"):
        if format != "log" and bad != "error" and options.get(name):
            raise UsageError(f'bad="{bad}" does not go together with {name}', "leave one of them out")


# -- what a sample tells ----------------------------------------------------------------------------------------------


class Layout(NamedTuple):
    """What a source of text holds."""

    kinds: dict[str, str]
    """The columns of the files (without those that their folders spell) and their types."""
    reader: str
    """What DuckDB's reader is told about the dialect."""
    shape: str
    """How the records stand in a JSON file, in DuckDB's words: newline_delimited, array or unstructured."""


#: Types that only one engine has, or that name a zone: the same table comes out on both.
_SETTLED = {
    "HUGEINT": "DECIMAL(38,0)",
    "UHUGEINT": "DECIMAL(38,0)",
    "UBIGINT": "DECIMAL(20,0)",
    "BIGNUM": "VARCHAR",
    "UUID": "VARCHAR",
    "JSON": "VARCHAR",
    "TIME": "VARCHAR",
    '"NULL"': "VARCHAR",
    "TIMESTAMP_NS": "TIMESTAMP",
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMP",
}
_ZONED = {"TIMESTAMP": "TIMESTAMP WITH TIME ZONE"}


def layout_of(connection: duckdb.DuckDBPyConnection, source: Source, options: Mapping[str, Any]) -> Layout:
    """The columns and types of a csv, tsv or json source; an error names the file and the line."""
    if len(source.paths) == 1 and not head(source.paths[0]).strip():
        raise InputError(f"{source.paths[0]} is empty", "nothing in it tells its columns")
    shape, sniffer = "", ""
    if source.format == "json":
        shape = _json_shape(source.paths[0])
        reader = f"format = '{shape}', records = true"
    else:
        reader = _csv_dialect(source.format, options)
        sniffer = ", dateformat = '%Y-%m-%d'"  # American dates stay text: 01/02/2024 is another day elsewhere
    try:
        sample = connection.sql(f"SELECT * FROM {_scan(source, reader + sniffer, options)}")
    except duckdb.InvalidInputException as error:
        if "sniffing file" in str(error):
            _find_fault(connection, source, reader, options)
        raise
    except duckdb.BinderException as error:
        if "non-record JSON" in str(error):
            raise InputError(f"{source.paths[0]} holds JSON, but not objects", "a record is an object: {…}") from error
        raise
    found = zip(sample.columns, sample.types, strict=True)
    elsewhere = {*beside(source, options), *_above(source)}
    kinds = {name: _spelled(kind, _SETTLED) for name, kind in found if name not in elsewhere}
    told = source.format != "json" and not options.get("union_by_name")
    if told and len(kinds) != len(header_of(source.paths[0], source.format, options)):
        _find_fault(connection, source, reader, options)  # the sniffer went by the lines further down
    for name, kind in options.get("types", {}).items():
        if name not in kinds:
            raise ColumnError.missing(name, kinds, source.paths[0])
        kinds[name] = str(connection.sqltype(kind))
    return Layout(kinds, reader, shape)


def _csv_dialect(format: str, options: Mapping[str, Any]) -> str:
    """One fixed dialect: a file of another shape is an error with its line, not one column of whole lines."""
    return (
        f"delim = {sql.literal(delimiter(format, options))}, header = {_flag(options.get('header', True))}, "
        "quote = '\"', escape = '\"', comment = '', strict_mode = true, null_padding = false, "
        f"allow_quoted_nulls = false, nullstr = ['', {sql.literal(options.get('null', ''))}]"
    )


def _json_shape(path: str) -> str:
    if path.removesuffix(".gz").removesuffix(".zst").endswith((".ndjson", ".jsonl")):
        return "newline_delimited"
    start = head(path).decode(errors="replace").lstrip("\ufeff \t\r\n")
    if start.startswith("["):
        return "array"
    first, more, _ = start.partition("\n")
    try:
        json.loads(first or "{}")
    except json.JSONDecodeError as error:
        # No end of the line in sight: it is one object a line, if that is not several.
        return "unstructured" if more or error.msg == "Extra data" else "newline_delimited"
    return "newline_delimited"


def _find_fault(connection: duckdb.DuckDBPyConnection, source: Source, reader: str, options: Mapping[str, Any]) -> None:
    """Read what the sniffer found no dialect for strictly, as text: the error that comes names the line."""
    for path in source.paths:
        fields = header_of(path, source.format, options)
        columns = ", ".join(f"'{i}': 'VARCHAR'" for i, _ in enumerate(fields))
        strict = f"{reader}, auto_detect = false, columns = {{{columns}}}"
        connection.sql(f"SELECT count(*) FROM read_csv({_list([path])}, {strict})").fetchall()


def _spelled(kind: Any, names: Mapping[str, str]) -> str:
    """A type with some replaced, at any depth."""
    parts = kind.children if kind.id in ("list", "struct", "map") else ()
    inner = [(name, _spelled(part, names)) for name, part in parts]
    if kind.id == "list":
        return f"{inner[0][1]}[]"
    if kind.id == "struct":
        return f"STRUCT({', '.join(f'{sql.quote(name)} {part}' for name, part in inner)})"
    if kind.id == "map":
        return f"MAP({inner[0][1]}, {inner[1][1]})"
    return names.get(str(kind), str(kind))


# -- DuckDB -----------------------------------------------------------------------------------------------------------


def duckdb_select(connection: duckdb.DuckDBPyConnection, source: Source, options: Mapping[str, Any]) -> str:
    """A SELECT over the files of a source."""
    if source.format == "parquet":
        names = beside(source, options)
        unsorted = dict.fromkeys([*_above(source), *names])
        if len(several := shapes(source)) > 1:
            casts = {name: kind for name, kind in together(several, options).items() if name not in unsorted}
            columns = [sql.quote(name) if kind is None else _cast(name, kind) for name, kind in casts.items()]
            columns += map(sql.quote, names)
            return f"SELECT {', '.join(columns)} FROM {_scan(source, '', {**options, 'union_by_name': True})}"
        last = f" EXCLUDE ({sql.quoted(unsorted)}), {sql.quoted(names)}" if names else ""
        return f"SELECT *{last} FROM {_scan(source, '', options)}"
    layout = layout_of(connection, source, options)
    stored = {name: stored_as(connection, kind) for name, kind in layout.kinds.items()}
    # Nothing is left to find in one csv file; in several, each may have the columns in another order.
    alone = source.format == "json" or (len(source.paths) == 1 and not source.hive)
    key = "auto_detect = false, columns" if alone else "types"
    types = "{" + ", ".join(f"{sql.literal(name)}: {sql.literal(kind)}" for name, kind in stored.items()) + "}"
    columns = [_duckdb_column(name, kind, options.get("null", "")) for name, kind in layout.kinds.items()]
    columns += map(sql.quote, beside(source, options))
    return f"SELECT {', '.join(columns)} FROM {_scan(source, f'{layout.reader}, {key} = {types}', options)}"


def _cast(name: str, kind: str) -> str:
    return f"CAST({sql.quote(name)} AS {kind}) AS {sql.quote(name)}"


def _scan(source: Source, reader: str, options: Mapping[str, Any]) -> str:
    paths = source.paths if source.remote or not options.get("filename") else list(map(os.path.abspath, source.paths))
    arguments = [_list(paths), reader] if reader else [_list(paths)]
    if source.hive:
        kinds = ", ".join(f"{sql.literal(name)}: {kind}" for name, kind in source.hive.items())
        arguments.append(f"hive_partitioning = true, hive_types_autocast = false, hive_types = {{{kinds}}}")
    else:
        arguments.append("hive_partitioning = false")
    arguments += [f"{key} = {_flag(options[key])}" for key in ("union_by_name", "filename") if key in options]
    function = {"parquet": "read_parquet", "json": "read_json"}.get(source.format, "read_csv")
    return f"{function}({', '.join(arguments)})"


def stored_as(connection: duckdb.DuckDBPyConnection, kind: str) -> str:
    """The type that DuckDB's reader is told, so that what it would drop or round arrives."""
    return "VARCHAR" if _is_whole(kind) or kind == "TIMESTAMP" else _spelled(connection.sqltype(kind), _ZONED)


def _duckdb_column(name: str, kind: str, null: str) -> str:
    column = sql.quote(name)
    value = column
    if _is_whole(kind) or kind == "TIMESTAMP":
        fault = f"error({complaint(name, column, kind, 'filename', 'duckdb')})"
        value = f"coalesce({value_of(column, kind)}, CASE WHEN {column} IS NOT NULL THEN {fault} END)"
    elif is_nested(kind):
        value = f"CAST({column} AS {kind})"
    elif kind == "VARCHAR" and null:  # in quotes too, as in Spark
        value = f"nullif({column}, {sql.literal(null)})"
    return value if value == column else f"{value} AS {column}"


def value_of(text: str, kind: str) -> str:
    """A text as a value of a type, or null; what the cast would round or drop is null too."""
    if _is_whole(kind):
        return f"CASE WHEN NOT contains({text}, '.') THEN TRY_CAST({text} AS {kind}) END"
    if kind == "DATE":
        return f"CASE WHEN length(trim({text})) <= 10 THEN TRY_CAST({text} AS DATE) END"
    if kind == "TIMESTAMP":  # a cast by way of the zone takes three times as long: only where there is one
        plain = f"(length({text}) = 19 AND {text}[17] = ':') OR NOT regexp_matches({text}[17:], '[-+A-Za-z]')"
        zoned = f"CAST(TRY_CAST({text} AS TIMESTAMPTZ) AS TIMESTAMP)"
        return f"CASE WHEN {plain} THEN TRY_CAST({text} AS TIMESTAMP) ELSE {zoned} END"
    return f"TRY_CAST({text} AS {kind})"


def _is_whole(kind: str) -> bool:
    return kind.endswith(("INT", "INTEGER", ",0)"))


def complaint(name: str, value: str, kind: str, file: str, dialect: str) -> str:
    """The message for a value that is not of its column's type; `file_errors.explained` knows it again."""
    start, middle, end = 'in file "', f'": column "{name}" holds "', f'", which is no {kind}'
    pieces = (sql.literal(start, dialect), file, sql.literal(middle, dialect), value, sql.literal(end, dialect))
    return f"concat({', '.join(pieces)})"


def beside(source: Source, options: Mapping[str, Any]) -> list[str]:
    """The columns that do not stand in the files."""
    return [*source.hive, *(["filename"] if options.get("filename") else [])]


def _above(source: Source) -> list[str]:
    """What DuckDB takes for Hive columns although it stands above the folder that was named."""
    return list(partition_of(f"{source.root}/")) if source.hive else []


def _flag(value: Any) -> str:
    return str(bool(value)).lower()


def _list(paths: Sequence[str]) -> str:
    # A name that was found is not a pattern, whatever letters it has.
    return f"[{', '.join(sql.literal(glob.escape(path)) for path in paths)}]"


def is_nested(kind: str) -> bool:
    """Whether a type has others within."""
    return kind.endswith("]") or kind.startswith(("STRUCT(", "MAP("))
