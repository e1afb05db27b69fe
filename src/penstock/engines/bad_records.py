"""Reading text of which some records are malformed: `bad="null"` and `bad="quarantine"`.

Here a record is one line, so a quoted line break makes two malformed ones, and a line that equals the header is a
header wherever it stands. A record that does not parse, or whose value is not of its column's type, comes out with null
in every column and the line as it is in one more, `raw`. The types are told by the first 20 480 records that parse.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from penstock import sql
from penstock.engines.files import Source
from penstock.engines.headers import delimiter, header_of
from penstock.engines.lines import Blocks
from penstock.errors import InputError, UsageError

__all__ = ["MODES", "is_asked", "sampled", "select"]

MODES = ("error", "null", "quarantine")
SAMPLE = 20480


def is_asked(options: Mapping[str, Any]) -> bool:
    """Whether malformed records are to come out marked."""
    return options.get("bad", "error") != "error"


# -- what the well-formed records are -----------------------------------------------------------------------------------


def sampled(source: Source, options: Mapping[str, Any], folder: str) -> Source:
    """A file of the first well-formed records, to be looked at in the source's place."""
    header = header_of(source.paths[0], source.format, options) if source.format != "json" else []
    pattern = re.compile(_pattern(len(header), delimiter(source.format, options)))
    fits = _is_object if source.format == "json" else pattern.fullmatch
    records = list(islice(filter(fits, _lines(source.paths)), SAMPLE))
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
    """A line of so many fields, each a group with its quotes; RE2, Java and Python read it alike."""
    if len(mark) != 1:
        raise UsageError(f'bad= cannot be told for the delimiter "{mark}"', "it must be one character")
    mark = re.escape(mark)
    field = f'("[^"]*(?:""[^"]*)*"|[^"{mark}][^{mark}]*|)'
    return mark.join([field] * width)


# -- SQL ----------------------------------------------------------------------------------------------------------------


class Dialect(NamedTuple):
    """What the engines spell differently."""

    name: str
    fits: Callable[[str, str], str]
    """Whether a text is as a pattern says, from its start to its end."""
    fields: Callable[[Layout, str, str], str]
    """A struct of the fields of a csv line, `c0` and so on, as text: null, or with the quotes taken off."""
    members: Callable[[Layout], str]
    """A struct of the members of a line of JSON; null if it is no object."""
    value: Callable[[str, str], str]
    """A text as a value of a type, or null."""


def select(lines: str, extra: Sequence[str], source: Source, layout: Layout, options: Mapping[str, Any], dialect: Dialect) -> str:
    """The columns of a layout over a SELECT of `line` and of `extra` columns, and `raw`."""
    if "raw" in layout.kinds:
        raise UsageError(f'{source.paths[0]} has a column "raw" of its own', 'read it with bad="error"')

    def quote(name: str) -> str:
        return sql.quote(name, dialect.name)

    kinds = list(layout.kinds.items())
    # 1. Cut each line.
    if source.format == "json":
        cut = f"SELECT *, {dialect.members(layout)} AS f FROM ({lines}) AS lines"
        texts = [f"f.{quote(name)}" for name in layout.kinds]
    else:
        mark = delimiter(source.format, options)
        pattern = sql.literal(_pattern(len(kinds), mark), dialect.name)
        cut = f"SELECT *, CASE WHEN {dialect.fits('line', pattern)} THEN {dialect.fields(layout, pattern, mark)} END AS f FROM ({lines}) AS lines"
        if options.get("header", True):
            header = header_line(source.paths[0])
            cut += f" WHERE line <> {sql.literal(header, dialect.name)}"
        null = sql.literal(options.get("null", ""), dialect.name)
        texts = [f"nullif(f.c{i}, {null})" if options.get("null") else f"f.c{i}" for i, _ in enumerate(kinds)]
    # 2. Each field as a value of its type.
    values = [dialect.value(text, kind) for text, (_, kind) in zip(texts, kinds, strict=True)]
    named = ", ".join(f"{text} AS t{i}, {value} AS v{i}" for i, (text, value) in enumerate(zip(texts, values, strict=True)))
    typed = f"SELECT *, {named} FROM ({cut}) AS cut"
    # 3. A record is good if its line was cut, and every text is a value.
    whole = " AND ".join(["f IS NOT NULL", *(f"(t{i} IS NULL) = (v{i} IS NULL)" for i, _ in enumerate(kinds))])
    judged = f"SELECT *, {whole} AS good FROM ({typed}) AS typed"
    columns = [f"CASE WHEN good THEN v{i} END AS {quote(name)}" for i, (name, _) in enumerate(kinds)]
    columns += [*map(quote, extra), "CASE WHEN NOT good THEN line END AS raw"]
    return f"SELECT {', '.join(columns)} FROM ({judged}) AS judged"
