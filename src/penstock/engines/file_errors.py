"""What an engine's message about a file means: whose file, which line, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import unquote

from penstock.errors import InputError

__all__ = ["explained", "file_of"]

_CAST = """if the column changes its type further down, give types={{"{}": "VARCHAR"}}"""
_BROKEN = "the file is cut short, or not of the format that its name says: fetch or write it again"
_CONVERT = "convert the file first: iconv -f LATIN1 -t UTF-8"
_UNLIKE = "give union_by_name=True to read files of several shapes as one table, with nulls where a column is missing"


def explained(message: str) -> InputError | None:
    """The error for an engine's message, if the message is about what stands in a file.

    >>> print(explained('Invalid Input Error: Malformed JSON in file "a.json", at byte 7 in line 3: unexpected end'))
    a.json, line 2: unexpected end; correct it, or read what is well-formed with bad="null"
    """
    for pattern, told in _MESSAGES:
        if found := pattern.search(message):
            return InputError(*told(found, message))
    return None


def file_of(message: str) -> str:
    """The local file that Spark names in a message, if it does."""
    found = re.search(r"file:(?://)?(/.+?)(?=\.?\s)", message)
    return unquote(found[1]) if found else ""


def _csv(found: re.Match[str], message: str) -> tuple[str, str]:
    """DuckDB gives the line, what is wrong with it, and the file, far apart."""
    file = re.search(r"file = (.+)", message)
    place = f"{file[1] if file else 'a file'}, line {found[1]}"
    if widths := re.search(r"Expected Number of Columns: (\d+) Found: (\d+)", message):
        return f"{place} has {widths[2]} fields, the lines before it have {widths[1]}", (
            'correct the line; quote fields that hold the delimiter, or read it with bad="null"'
        )
    if "unicode" in message:
        return f"{place} is not UTF-8", _CONVERT
    if cast := re.search(r'when converting column "(.+)". Could not convert string "(.*)" to \'(.+)\'', message):
        return f'{place}: column "{cast[1]}" holds "{cast[2]}", which is no {cast[3]}', _CAST.format(cast[1])
    if "unterminated quote" in message:
        return f"{place}: a quote is opened and not closed", 'a quote inside a quoted field is doubled: ""'
    reason = message.partition("Possible")[0].strip().splitlines()[-1]
    return f"{place}: {reason}", "correct the line"


def _json(found: re.Match[str], message: str) -> tuple[str, str]:
    place = f"{found[1]}, {found[2]} {int(found[3]) - 1}"  # DuckDB 2.0 counts one too many
    return f"{place}: {found[4]}", 'correct it, or read what is well-formed with bad="null"'


def _json_cast(found: re.Match[str], message: str) -> tuple[str, str]:
    return f"{found[1]}, line {found[2]}: {found[3]}", _CAST.format("column")


def _path(file: str) -> str:
    return unquote(re.sub("^file:/*", "/", file)) if file.startswith("file:") else file


def _not_utf8(found: re.Match[str], message: str) -> tuple[str, str]:
    return f"{_path(found[1])} is not UTF-8", _CONVERT


def _value(found: re.Match[str], message: str) -> tuple[str, str]:
    file, column, value, kind = found.groups()
    return f'{_path(file)}: column "{column}" holds "{value}", which is no {kind}', _CAST.format(column)


def _plainly(what: str, hint: str) -> Callable[[re.Match[str], str], tuple[str, str]]:
    return lambda found, message: (what.format(*found.groups()), hint)


def _told_already(found: re.Match[str], _: str) -> tuple[str, str]:
    return found[1], found[2]


_MESSAGES: list[tuple[re.Pattern[str], Callable[[re.Match[str], str], tuple[str, str]]]] = [
    (re.compile(pattern, re.DOTALL), told)
    for pattern, told in [
        # Ours, from both engines: `text_files.complaint`.
        (r'in file "(.+?)": column "(.+?)" holds "(.*?)", which is no ([A-Z0-9(),]+)', _value),
        # Ours, from a reader of lines that DuckDB called: `lines.Blocks`.
        (r"reading the Arrow source failed: \w+: (.+?); ([^;]+?)\. Detail: Python exception", _told_already),
        (r'in file "(.+?)": not UTF-8', _not_utf8),
        # DuckDB
        (r"CSV Error on Line: (\d+)", _csv),
        (r'Malformed JSON in file "(.+?)", at byte \d+ in (line|record)\S* (\d+): ([^\n]+?)\.?\s*(?:\n|$)', _json),
        (r'JSON transform error in file "(.+?)", in (?:line|record/value) (\d+): ([^\n]+)', _json_cast),
        (
            r"Unexpected end of GZIP stream: ([^\n]+)",
            _plainly("{} is cut short: its gzip stream does not end", _BROKEN),
        ),
        (r"Input is not a GZIP stream: ([^\n]+)", _plainly("{} is not gzip", _BROKEN)),
        (r"(?:No magic bytes found at end of file|File) '(.+?)'", _plainly("{} is not a whole Parquet file", _BROKEN)),
        (r'Failed to read file "([^"]+)": (?!schema)([^\n]+)', _plainly("{}: {}", _BROKEN)),
        (r"[Ss]chema mismatch .*glob", _plainly("the files have different columns", _UNLIKE)),
        (r'sniffing file "([^"]+)"', _plainly("{} has no lines of one shape", "give delimiter= or header=")),
        # Spark
        (r"UNABLE_TO_INFER_SCHEMA", _plainly("no file of these is a whole Parquet file", _BROKEN)),
        (r"CSV header does not conform to the schema", _plainly("the files have different columns", _UNLIKE)),
    ]
]
