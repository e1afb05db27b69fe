"""Text files as Spark reads them: every field as text first, then as the type that the sample told.

Spark's own casts inside its readers take other texts than DuckDB's, and say neither column nor value when they fail.
Nothing here imports pyspark: a reader and DataFrames come from `spark.py`.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from penstock import sql
from penstock.engines.evolution import shapes, together
from penstock.engines.files import Source, head
from penstock.engines.headers import by_header, delimiter, header_of
from penstock.engines.text_files import Layout, beside, complaint, is_nested

__all__ = [
    "PATH",
    "WRITE",
    "arranged",
    "file_column",
    "hive_columns",
    "read_orc",
    "read_parquet",
    "read_text",
    "stored_as",
    "uri_of",
    "value_of",
]

T = TypeVar("T")

_TIMES = {
    "timestampNTZFormat": "yyyy-MM-dd HH:mm:ss.SSSSSS",  # else JSON has milliseconds
    "timestampFormat": "yyyy-MM-dd HH:mm:ss.SSSSSSXXX",
}
_CSV = {
    "header": "true", "quote": '"', "escape": '"', "ignoreLeadingWhiteSpace": "false",
    "ignoreTrailingWhiteSpace": "false", **_TIMES,
}  # fmt: skip
_JSON = {"ignoreNullFields": "false", **_TIMES}
#: What Spark calls each format that the other engine writes too, and what makes it write the same.
WRITE: dict[str, tuple[str, dict[str, str]]] = {
    "parquet": ("parquet", {}),
    "csv": ("csv", _CSV),
    "tsv": ("csv", _CSV | {"sep": "\t"}),
    "json": ("json", _JSON),
    "ndjson": ("json", _JSON),
}


def arranged(
    query: Callable[[str, dict[str, T]], T], table: T, *, partition_by: Sequence[str], order: str, single: bool
) -> T:
    """Rows as they are to be written: in order, in one file, or those of a folder together in files of one size."""
    keys = sql.quoted(partition_by, "spark")
    if single or (order and not partition_by):
        frame = query(f"SELECT * FROM t ORDER BY {order}", {"t": table}) if order else table
        return query("SELECT /*+ COALESCE(1) */ * FROM t", {"t": frame}) if single else frame
    frame = query(f"SELECT /*+ REBALANCE{f'({keys})' if keys else ''} */ * FROM t", {"t": table})
    return query(f"SELECT * FROM t SORT BY {keys}, {order}", {"t": frame}) if order else frame


def uri_of(path: str) -> str:
    """A path as Spark takes it: a name that was found is not a pattern, whatever letters it has."""
    uri = path if "://" in path else f"file://{os.path.abspath(path)}"
    return re.sub(r"([*?\[\]{}\\])", r"\\\1", uri)


def read_parquet(
    reader: Callable[[], Any], source: Source, options: Mapping[str, Any], with_texts: Callable[..., Any]
) -> Any:
    """A DataFrame over Parquet files, also of several shapes.

    Each shape takes a reader of its own, as a reader keeps what it is told. `with_texts` makes some columns text.
    """
    several = shapes(source)
    if len(several) < 2:
        return _read_alike(reader(), source, {}, options, with_texts)
    columns = together(several, options)
    casts = {name: kind for name, kind in columns.items() if kind}
    frames = (
        _read_alike(reader(), source._replace(paths=shape.paths), casts, options, with_texts) for shape in several
    )
    whole = functools.reduce(lambda one, other: one.unionByName(other, allowMissingColumns=True), frames)
    stored = [name for name in columns if name not in source.hive]
    return whole.select(*(sql.quote(name, "spark") for name in (*stored, *beside(source, options))))


def read_orc(reader: Any, source: Source, with_texts: Callable[..., Any]) -> Any:
    """A DataFrame over ORC files."""
    return _read_alike(reader, source, {}, {}, with_texts)


def _read_alike(
    reader: Any, source: Source, casts: Mapping[str, str], options: Mapping[str, Any], with_texts: Callable[..., Any]
) -> Any:
    uris = list(map(uri_of, source.paths))
    if source.hive:
        reader = reader.option("basePath", source.root if source.remote else f"file://{os.path.abspath(source.root)}")
    found = reader.format(source.format).load(uris)
    if source.hive:  # as text: Spark's own guess at their types is not DuckDB's
        found = reader.schema(with_texts(found.schema, source.hive)).load(uris)
    stored = [_stored(name, casts.get(name)) for name in found.columns if name not in source.hive]
    return found.selectExpr(*stored, *hive_columns(source.hive), *file_column(options))


def _stored(name: str, kind: str | None) -> str:
    column = sql.quote(name, "spark")
    return f"CAST({column} AS {sql.type_for(kind, 'spark')}) AS {column}" if kind else column


def read_text(reader: Any, source: Source, layout: Layout, options: Mapping[str, Any]) -> Any:
    """A DataFrame over csv, tsv or json files."""
    if source.format == "json":
        texts = reader.schema(_schema(layout, source)).options(
            mode="FAILFAST", multiLine=layout.shape == "array", allowSingleQuotes=False
        )
        return texts.json(list(map(uri_of, source.paths))).selectExpr(*_columns(layout, source, options, str))
    frames = []
    for header, paths in by_header(source, options).items():  # Spark has fields in the order of one header only
        part = layout._replace(kinds={name: layout.kinds[name] for name in header or layout.kinds})
        frames.append(_read_csv(reader, source._replace(paths=paths), part, options))
    union = frames[0]
    for frame in frames[1:]:
        union = union.unionByName(frame, allowMissingColumns=True)
    return union.select(*(sql.quote(name, "spark") for name in (*layout.kinds, *beside(source, options))))


#: What a quoted empty field is read as, to tell it from an absent one: bytes that no UTF-8 has.
_EMPTY = "\xff\xff"


def _read_csv(reader: Any, source: Source, layout: Layout, options: Mapping[str, Any]) -> Any:
    # Read as Latin-1 the bytes come through as they are, to be checked and decoded in `_columns`; as UTF-8 Spark would
    # replace those that are none. It skips a byte order mark only when it reads UTF-8.
    first = source.paths[0]
    exact = not head(first, 3).startswith(b"\xef\xbb\xbf")

    def encoded(text: str) -> str:
        return text.encode().decode("latin-1") if exact else text

    present = header_of(first, source.format, options)
    texts = reader.schema(_schema(layout, source, encoded)).options(
        sep=encoded(delimiter(source.format, options)),
        header=options.get("header", True),
        enforceSchema=present != list(layout.kinds),  # else Spark checks that every file has these columns
        nullValue=encoded(options.get("null", "")),
        emptyValue=_EMPTY,
        quote='"',
        escape='"',
        encoding="ISO-8859-1" if exact else "UTF-8",
        mode="FAILFAST",
        unescapedQuoteHandling="RAISE_ERROR",
        columnPruning=False,  # else a record is not checked beyond the columns that a query reads
        multiLine=True,  # a quoted line break is data, so a file is one task
    )
    return texts.csv(list(map(uri_of, source.paths))).selectExpr(*_columns(layout, source, options, encoded, exact))


# -- SQL --------------------------------------------------------------------------------------------------------------


def _schema(layout: Layout, source: Source, spelled: Callable[[str], str] = str) -> str:
    """The columns as Spark's readers are told them: scalars and Hive values as text, times within JSON with a zone."""
    kinds = {spelled(name): stored_as(kind) for name, kind in layout.kinds.items()}
    kinds |= dict.fromkeys(source.hive, "STRING")
    return ", ".join(f"{sql.quote(name, 'spark')} {kind}" for name, kind in kinds.items())


def stored_as(kind: str) -> str:
    """The type that Spark's readers are told."""
    return sql.type_for(kind, "spark").replace("TIMESTAMP_NTZ", "TIMESTAMP_LTZ") if is_nested(kind) else "STRING"


def _columns(
    layout: Layout, source: Source, options: Mapping[str, Any], spelled: Callable[[str], str] = str, exact: bool = False
) -> list[str]:
    found = []
    for name, kind in layout.kinds.items():
        value = column = sql.quote(spelled(name), "spark")
        if source.format != "json" and kind == "VARCHAR":
            decoded = _decoded(column) if exact else column
            value = f"CASE WHEN {column} = '{_EMPTY}' THEN '' ELSE {decoded} END"
        elif is_nested(kind):
            value = f"CAST({column} AS {sql.type_for(kind, 'spark')})"
        elif kind != "VARCHAR":
            fault = complaint(name, column, kind, "_metadata.file_path", "spark")
            value = f"coalesce({value_of(column, kind)}, CASE WHEN {column} IS NOT NULL THEN raise_error({fault}) END)"
        found.append(f"{value} AS {sql.quote(name, 'spark')}")
    return found + hive_columns(source.hive) + file_column(options)


def _decoded(column: str) -> str:
    """Text that was read as Latin-1, as the UTF-8 that it is."""
    text = f"try_validate_utf8(CAST(encode({column}, 'ISO-8859-1') AS STRING))"
    fault = "raise_error(concat('in file \"', _metadata.file_path, '\": not UTF-8'))"
    return f"coalesce({text}, CASE WHEN {column} IS NOT NULL THEN {fault} END)"


def hive_columns(kinds: Mapping[str, str]) -> list[str]:
    """Columns that folders spell, read as text, as values of their types."""
    return [f"{value_of(sql.quote(name, 'spark'), kind)} AS {sql.quote(name, 'spark')}" for name, kind in kinds.items()]


#: The path that a URI of Spark's means; `+` is a letter in a path, a space to url_decode.
PATH = "url_decode(replace(regexp_replace({}, '^file:/*', '/'), '+', '%2B'))"


def file_column(options: Mapping[str, Any]) -> list[str]:
    """The path of a row's file, where it was asked for."""
    return [f"{PATH.format('_metadata.file_path')} AS filename"] if options.get("filename") else []


def value_of(text: str, kind: str) -> str:
    """A text as a value of a type, or null."""
    if kind == "VARCHAR":
        return text
    if kind == "TIMESTAMP":  # by way of a type with a zone, or an offset in the text would be dropped
        return f"CAST(try_cast({text} AS TIMESTAMP_LTZ) AS TIMESTAMP_NTZ)"
    if kind == "DATE":  # the cast would drop a time of day
        return f"CASE WHEN length(trim({text})) <= 10 THEN try_cast({text} AS DATE) END"
    zoned = kind == "TIMESTAMP WITH TIME ZONE"
    return f"try_cast({text} AS {'TIMESTAMP_LTZ' if zoned else sql.type_for(kind, 'spark')})"
