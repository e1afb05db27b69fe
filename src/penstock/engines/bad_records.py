"""Text of which some records are malformed: `bad="null"` and `bad="quarantine"`.

A record is one line here, so a quoted line break makes two malformed ones, and a line that equals the first file's
header is a header wherever it stands. A line that does not parse, or has a value that is not of its column's type,
becomes null in every column and stands as it is in one more, `raw`. The first 20 480 lines that parse tell the types.
With "quarantine" every row says which file and line it came from (`placed_lines`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from penstock import sql
from penstock.engines.files import Source, head
from penstock.engines.headers import delimiter, header_of
from penstock.engines.lines import Blocks
from penstock.engines.placed_lines import places, refuse_taken
from penstock.engines.spark_files import stored_as as stored_in_spark
from penstock.engines.spark_files import value_of as spark_value
from penstock.engines.text_files import Layout, is_nested, stored_as
from penstock.engines.text_files import value_of as duckdb_value
from penstock.errors import InputError, UsageError

if TYPE_CHECKING:
    import duckdb

__all__ = ["duckdb_dialect", "is_asked", "sampled", "select", "spark_dialect"]

SAMPLE = 20480


def is_asked(options: Mapping[str, Any]) -> bool:
    """Whether malformed records are to come out marked."""
    return bool(options.get("bad", "error") != "error")


# -- what the well-formed records are ---------------------------------------------------------------------------------


def sampled(source: Source, options: Mapping[str, Any], folder: str) -> Source:
    """A file of the first well-formed records, to be looked at in the source's place."""
    header = header_of(source.paths[0], source.format, options) if source.format != "json" else []
    pattern = re.compile(_pattern(len(header), re.escape(_mark(source, options))))
    fits = _is_object if source.format == "json" else pattern.fullmatch
    lines = _lines(source.paths)
    if source.format != "json" and options.get("header", True):
        first = next(lines, "")
        lines = chain([first], (line for line in lines if line != first))
    records = list(islice(filter(fits, lines), SAMPLE))
    if not records:
        raise InputError(f"no line of {source.paths[0]} is well-formed {source.format}", "is it what its name says?")
    path = Path(folder, f"sample.{'ndjson' if source.format == 'json' else source.format}")
    path.write_text("".join(f"{line}\n" for line in records), encoding="utf-8")
    return Source([str(path)], source.format, {}, folder)


def _lines(paths: Sequence[str]) -> Iterator[str]:
    import pyarrow as pa

    for batch in pa.RecordBatchReader.from_stream(Blocks(paths)):
        for block in batch.column(0).to_pylist():
            yield from filter(None, block.split("\n"))


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except json.JSONDecodeError:
        return False


def _pattern(width: int, mark: str) -> str:
    """A line of so many fields, each a group with its quotes."""
    field = f'("[^"]*(?:""[^"]*)*"|[^"{mark}][^{mark}]*|)'
    return mark.join([field] * width)


def _flat_pattern(width: int, mark: str) -> str:
    """The same over a line whose doubled quotes are one `_PAIR` each, counted from the left, and without groups.

    Java follows a repeated group by recursion, and a field with some thousand quotes ends the executor.
    """
    field = f'(?:{_PAIR}*"[^"]*"|{_PAIR}+|[^"{_PAIR}{mark}][^{mark}]*|)'
    return mark.join([field] * width)


def _mark(source: Source, options: Mapping[str, Any]) -> str:
    mark = delimiter(source.format, options)
    if len(mark) != 1:
        raise UsageError(f'bad= cannot be told for the delimiter "{mark}"', "it must be one character")
    return mark


# -- SQL --------------------------------------------------------------------------------------------------------------


class Dialect(NamedTuple):
    """What the engines spell differently."""

    name: str
    fields: Callable[[int, str], str]
    """So many fields of a csv line with that delimiter, a struct of texts c0, c1, …; null where it has others."""
    text: Callable[[str], str]
    """A field without its quotes, null where it is empty and has none."""
    members: Callable[[Mapping[str, str]], str]
    """The members of a line of JSON, a struct; null where it is no object."""
    value: Callable[[str, str], str]
    """A text as a value of a type, or null."""


def duckdb_dialect(connection: duckdb.DuckDBPyConnection) -> Dialect:
    """DuckDB has a pattern's groups in one go."""

    def fields(count: int, mark: str) -> str:
        pattern = sql.literal(_pattern(count, re.escape(mark)))
        names = [f"c{i}" for i in range(count)]
        return f"CASE WHEN regexp_full_match(line, {pattern}) THEN regexp_extract(line, {pattern}, {names}) END"

    def members(kinds: Mapping[str, str]) -> str:
        stored = {n: stored_as(connection, kind) if is_nested(kind) else "VARCHAR" for n, kind in kinds.items()}
        shape = sql.literal(json.dumps(stored, ensure_ascii=False))
        return f"CASE WHEN json_valid(line) AND json_type(line) = 'OBJECT' THEN json_transform(line, {shape}) END"

    return Dialect(
        "duckdb",
        fields=fields,
        text=lambda field: (
            f"""CASE WHEN {field} = '' THEN NULL WHEN {field}[1] <> '"' THEN {field}
            ELSE replace({field}[2:-2], '""', '"') END"""
        ),
        members=members,
        value=lambda text, kind: f"CAST({text} AS {kind})" if is_nested(kind) else duckdb_value(text, kind),
    )


#: No characters, by Unicode. What Spark reads a quoted empty field as, to tell it from an absent one; and what
#: stands for a doubled quote.
_EMPTY, _PAIR = "\uffff", "\ufffe"


def spark_dialect() -> Dialect:
    """Spark's regular expressions give one group at a time; what fits the pattern, its own parser takes apart alike."""

    def fields(count: int, mark: str) -> str:
        pattern = sql.literal(f"^{_flat_pattern(count, re.escape(mark))}$", "spark")
        schema = ", ".join(f"c{i} STRING" for i in range(count))
        options = {"sep": mark, "quote": '"', "escape": '"', "emptyValue": _EMPTY, "maxCharsPerColumn": "-1"}
        pairs = ", ".join(sql.literal(text, "spark") for pair in options.items() for text in pair)
        fits = f"regexp_like(replace(line, '\"\"', '{_PAIR}'), {pattern})"
        return f"CASE WHEN {fits} THEN from_csv(line, '{schema}', map({pairs})) END"

    def members(kinds: Mapping[str, str]) -> str:
        schema = ", ".join(f"{sql.quote(name, 'spark')} {stored_in_spark(kind)}" for name, kind in kinds.items())
        options = "map('columnNameOfCorruptRecord', 'raw', 'allowSingleQuotes', 'false')"
        parsed = f"from_json(line, {sql.literal(f'{schema}, raw STRING', 'spark')}, {options})"
        return f"CASE WHEN {parsed}.raw IS NULL AND line RLIKE '^\\\\s*[{{]' THEN {parsed} END"

    return Dialect(
        "spark",
        fields=fields,
        text=lambda field: f"CASE WHEN {field} = '{_EMPTY}' THEN '' ELSE {field} END",
        members=members,
        value=lambda text, kind: (
            f"CAST({text} AS {sql.type_for(kind, 'spark')})" if is_nested(kind) else spark_value(text, kind)
        ),
    )


def select(lines: str, source: Source, layout: Layout, options: Mapping[str, Any], dialect: Dialect) -> str:
    """The columns of a layout over the SELECT of lines that `placed_lines` makes, `raw`, and the places."""
    refuse_taken(source, layout.kinds, options)

    def quote(name: str) -> str:
        return sql.quote(name, dialect.name)

    kinds = list(layout.kinds.items())
    # 1. Cut each line.
    if source.format == "json":
        cut = f"SELECT *, {dialect.members(layout.kinds)} AS f FROM ({lines}) AS lines"
        texts = [f"f.{quote(name)}" for name in layout.kinds]
    else:
        absent = options.get("null", "")
        header = sql.literal(_first_line(source.paths[0]), dialect.name)
        headless = f" WHERE line <> {header}" if options.get("header", True) else ""
        cut = f"SELECT *, {dialect.fields(len(kinds), _mark(source, options))} AS f FROM ({lines}) AS lines{headless}"
        texts = [dialect.text(f"f.c{i}") for i, _ in enumerate(kinds)]
        texts = [f"nullif({text}, {sql.literal(absent, dialect.name)})" if absent else text for text in texts]
    parts = f"SELECT *, {', '.join(f'{text} AS t{i}' for i, text in enumerate(texts))} FROM ({cut}) AS cut"
    # 2. Each text as a value of its column's type.
    values = ", ".join(f"{dialect.value(f't{i}', kind)} AS v{i}" for i, (_, kind) in enumerate(kinds))
    typed = f"SELECT *, {values} FROM ({parts}) AS parts"
    # 3. A line is good if it was cut and every text became a value.
    whole = " AND ".join(["f IS NOT NULL", *(f"(t{i} IS NULL) = (v{i} IS NULL)" for i, _ in enumerate(kinds))])
    columns = [f"CASE WHEN good THEN v{i} END AS {quote(name)}" for i, (name, _) in enumerate(kinds)]
    columns += [f"h{i} AS {quote(name)}" for i, name in enumerate(source.hive)]
    columns += ["CASE WHEN NOT good THEN line END AS raw", *places(options)]
    return f"SELECT {', '.join(columns)} FROM (SELECT *, {whole} AS good FROM ({typed}) AS typed) AS judged"


def _first_line(path: str) -> str:
    return next(iter(head(path).decode(errors="replace").removeprefix("\ufeff").splitlines()), "")
