r"""The `log` format: access logs as web servers write them, in Common or Combined form.

    host ident user [day/Mon/year:hh:mm:ss +hhmm] "request" status bytes                        Common
    host ident user [day/Mon/year:hh:mm:ss +hhmm] "request" status bytes "referer" "agent"      Combined

A line is cut at its quotes into three pieces (Common) or seven (Combined). A backslash takes the character after it
along, so that `\"` is no cut. The line parses if it has that many pieces, the first and the third look as above, and
the day exists. Where it does not, `raw` is the whole line and every other column is null: `count(raw)` counts the
malformed lines in the pass that does the rest.

What stands in a column stands so in the line: escapes such as `\"` and `\x16` are kept as written. `-`, the servers'
word for "none", is null in ident, user, bytes, referer and agent, and so is an empty referer or agent. A request other
than three words with `HTTP/` at the start of the third (`"-"` after a timeout, the bytes of a TLS handshake) leaves
method, path and protocol null in a line that parses. `at` is UTC. Empty lines are skipped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from penstock.sql import literal, quote

__all__ = ["parsed"]

# The patterns mean the same to RE2 (DuckDB) and to Java (Spark): ASCII classes, \A and \z, nothing to backtrack into.
YEAR = "(?:19|20)[0-9][0-9]"
LEAP_YEAR = "(?:(?:19|20)(?:0[48]|[2468][048]|[13579][26])|2000)"
DAY = (
    f"(?:(?:0[1-9]|[12][0-9]|3[01])/(?:Jan|Mar|May|Jul|Aug|Oct|Dec)/{YEAR}"
    f"|(?:0[1-9]|[12][0-9]|30)/(?:Apr|Jun|Sep|Nov)/{YEAR}"
    f"|(?:0[1-9]|1[0-9]|2[0-8])/Feb/{YEAR}|29/Feb/{LEAP_YEAR})"
)
TIME = "(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9] [+-](?:0[0-9]|1[0-4])[0-5][0-9]"
HEAD = rf"\A[^ ]+ [^ ]+ [^ ]+ \[{DAY}:{TIME}\] \z"
COMMON_TAIL = r"\A [0-9]{3} (?:-|[0-9]{1,18})\z"
COMBINED_TAIL = r"\A [0-9]{3} (?:-|[0-9]{1,18}) \z"
QUOTE = '"'


class Dialect(NamedTuple):
    """What the engines spell differently. Items of a list count from 1, and one that is not there is null."""

    split: Callable[[str, str], str]
    item: Callable[[str, int], str]
    size: Callable[[str], str]
    matches: Callable[[str, str], str]
    utc: Callable[[str], str]


DIALECTS = {
    "duckdb": Dialect(
        split=lambda text, by: f"string_split({text}, '{by}')",
        item=lambda items, n: f"{items}[{n}]",
        size=lambda items: f"len({items})",
        matches=lambda text, pattern: f"regexp_matches({text}, {literal(pattern)})",
        # By way of the epoch: a cast from TIMESTAMPTZ would ask the session for its zone.
        utc=lambda text: f"make_timestamp(epoch_us(strptime({text}, '%d/%b/%Y:%H:%M:%S %z')))",
    ),
    "spark": Dialect(
        split=lambda text, by: f"split({text}, '{by}')",
        item=lambda items, n: f"try_element_at({items}, {n})",
        size=lambda items: f"size({items})",
        matches=lambda text, pattern: f"regexp_like({text}, {literal(pattern, 'spark')})",
        utc=lambda text: f"CAST(to_timestamp_ltz({text}, 'dd/MMM/yyyy:HH:mm:ss xx') AS TIMESTAMP_NTZ)",
    ),
}


def parsed(lines: str, dialect: str, places: Sequence[str] = ()) -> str:
    """The log's columns over a SELECT of `line` and of `places`, both in that dialect; the places come last.

    The engine leaves out what a query does not use; the check of the whole line stays. Cutting at the quotes makes it
    cheap. For a count by `path` on DuckDB, one regular expression that checks the line, and `split_part` for the path,
    take 1.8 times as long; one that checks and captures takes 3 times as long.
    """
    d = DIALECTS[dialect]

    # 1. Cut. A line with backslashes is cut where a copy is that has `__` for every escaped backslash or quote.
    backslash, pair, escape = (literal(text, dialect) for text in ("\\", r"\\", r"\""))
    copy = f"replace(replace(line, {pair}, '__'), {escape}, '__')"
    either = f"CASE WHEN contains(line, {backslash}) THEN {copy} ELSE line END"
    cut = f"SELECT *, contains(line, {backslash}) AS escaped, {d.split(either, QUOTE)} AS pieces FROM ({lines})"

    # 2. Check.
    size, head, tail = d.size("pieces"), d.item("pieces", 1), d.item("pieces", 3)
    valid = f"""CASE
        WHEN {size} = 7 AND {d.item("pieces", 5)} = ' ' AND {d.item("pieces", 7)} = ''
        THEN {d.matches(head, HEAD)} AND {d.matches(tail, COMBINED_TAIL)}
        WHEN {size} = 3 THEN {d.matches(head, HEAD)} AND {d.matches(tail, COMMON_TAIL)}
        ELSE false END"""
    checked = f"SELECT *, {valid} AS valid FROM ({cut})"

    # 3. Name the pieces. Those of a malformed line are null, and so is everything made of them.
    def piece(n: int) -> str:
        start = " + ".join(["1", *(f"length({d.item('pieces', before)}) + 1" for before in range(1, n))])
        original = f"substr(line, {start}, length({d.item('pieces', n)}))"
        return f"CASE WHEN NOT valid THEN NULL WHEN escaped THEN {original} ELSE {d.item('pieces', n)} END"

    names = {"head": 1, "request": 2, "tail": 3, "referer": 4, "agent": 6}
    pieces = ", ".join(f"{piece(n)} AS {name}" for name, n in names.items())
    named = f"SELECT {', '.join([pieces, *places])}, CASE WHEN NOT valid THEN line END AS raw FROM ({checked})"
    worded = f"SELECT *, {d.split('request', ' ')} AS words FROM ({named})"

    # 4. Columns.
    first, second, third = (d.item("words", n) for n in (1, 2, 3))
    request = f"{d.size('words')} = 3 AND {first} <> '' AND {second} <> '' AND {third} LIKE 'HTTP/%'"
    columns = {
        "host": "split_part(head, ' ', 1)",
        "ident": "nullif(split_part(head, ' ', 2), '-')",
        "user": "nullif(split_part(head, ' ', 3), '-')",
        "at": d.utc("substr(head, -28, 26)"),
        "method": f"CASE WHEN {request} THEN {first} END",
        "path": f"CASE WHEN {request} THEN {second} END",
        "protocol": f"CASE WHEN {request} THEN {third} END",
        "status": "CAST(split_part(tail, ' ', 2) AS INTEGER)",
        "bytes": "CAST(nullif(split_part(tail, ' ', 3), '-') AS BIGINT)",
        "referer": "nullif(nullif(referer, '-'), '')",
        "agent": "nullif(nullif(agent, '-'), '')",
        "raw": "raw",
        **{place: place for place in places},
    }
    listed = ", ".join(f"{value} AS {quote(name, dialect)}" for name, value in columns.items())
    return f"SELECT {listed} FROM ({worded})"
