r"""The `log` format: access logs as web servers write them, in Common or Combined form.

    host ident user [day/Mon/year:hh:mm:ss +hhmm] "request" status bytes                        Common
    host ident user [day/Mon/year:hh:mm:ss +hhmm] "request" status bytes "referer" "agent"      Combined

A line is cut at its quotes into three pieces (Common) or seven (Combined). A backslash takes the character after it along,
so that `\"` is no cut. The line parses if it has that many pieces, the first and the third look as above, and the day
exists. Where it does not, `raw` is the whole line and every other column is null: `count(raw)` counts the malformed lines
in the pass that does the rest.

What stands in a column stands so in the line: escapes such as `\"` and `\x16` are kept as written. `-`, the servers' word
for "none", is null in ident, user, bytes, referer and agent, and so is an empty referer or agent. A request other than
three words with `HTTP/` before the third (`"-"` after a timeout, the bytes of a TLS handshake) leaves method, path and
protocol null in a line that parses. `at` is UTC.

Lines end in \n, \r\n or \r; empty ones are skipped; bytes that are not UTF-8 become U+FFFD, the replacement character.
"""

from __future__ import annotations

import codecs
import os
from collections.abc import Sequence
from typing import NamedTuple

from penstock.errors import InputError
from penstock.sql import literal, quote

__all__ = ["duckdb_lines", "parsed", "spark_lines"]


# -- lines to columns ---------------------------------------------------------------------------------------------------

# The patterns mean the same to RE2 (DuckDB) and to Java (Spark): ASCII classes, \A and \z, no way to backtrack.
YEAR = "(?:19|20)[0-9][0-9]"
LEAP_YEAR = "(?:(?:19|20)(?:0[48]|[2468][048]|[13579][26])|2000)"
DAY = (
    f"(?:(?:0[1-9]|[12][0-9]|3[01])/(?:Jan|Mar|May|Jul|Aug|Oct|Dec)/{YEAR}"
    f"|(?:0[1-9]|[12][0-9]|30)/(?:Apr|Jun|Sep|Nov)/{YEAR}"
    f"|(?:0[1-9]|1[0-9]|2[0-8])/Feb/{YEAR}|29/Feb/{LEAP_YEAR})"
)
TIME = "(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9] [+-](?:0[0-9]|1[0-4])[0-5][0-9]"
HEAD = rf"\A[^ ]+ [^ ]+ [^ ]+ \[{DAY}:{TIME}\] \z"
TAIL = {3: r"\A [0-9]{3} (?:-|[0-9]{1,18})\z", 7: r"\A [0-9]{3} (?:-|[0-9]{1,18}) \z"}  # by the number of pieces


class Dialect(NamedTuple):
    """What the engines spell differently. Items of a list count from 1, and one that is not there is null."""

    name: str
    split: str
    item: str
    count: str
    matches: str
    utc: str


DIALECTS = {
    "duckdb": Dialect(
        "duckdb",
        split="string_split({}, '{}')",
        item="{}[{}]",
        count="len({})",
        matches="regexp_matches({}, {})",
        # By way of the epoch: a cast from TIMESTAMPTZ would ask the session for its zone.
        utc="make_timestamp(epoch_us(strptime({}, '%d/%b/%Y:%H:%M:%S %z')))",
    ),
    "spark": Dialect(
        "spark",
        split="split({}, '{}')",
        item="try_element_at({}, {})",
        count="size({})",
        matches="regexp_like({}, {})",
        utc="CAST(to_timestamp_ltz({}, 'dd/MMM/yyyy:HH:mm:ss xx') AS TIMESTAMP_NTZ)",
    ),
}


def parsed(lines: str, dialect: str) -> str:
    """The log's columns as one SELECT over `lines`, a SELECT with a text column `line`; both of that dialect.

    The engine prunes what a query does not use: all but the check, in four small steps that cost less than one large
    expression. A count by `path` of 1 GB on DuckDB takes ?.?? of the time with one regular expression that checks the line
    and captures the path, ?.?? with one that checks and `split_part`.
    """
    spell = DIALECTS[dialect]

    def item(items: str, n: int) -> str:
        return spell.item.format(items, n)

    def split(text: str, by: str) -> str:
        return spell.split.format(text, by)

    def matches(text: str, pattern: str) -> str:
        return spell.matches.format(text, literal(pattern, dialect))

    # 1. Cut. Where there are backslashes the cuts are sought in a copy, as long as the line, without the escaped quotes.
    backslash, pair, quotes = (literal(text, dialect) for text in ("\\", r"\\", r"\""))
    copy = f"CASE WHEN contains(line, {backslash}) THEN replace(replace(line, {pair}, '__'), {quotes}, '__') ELSE line END"
    quotation = '"'
    cut = f"SELECT line, contains(line, {backslash}) AS escaped, {split(copy, quotation)} AS pieces FROM ({lines})"

    # 2. Check.
    count, head, tail = spell.count.format("pieces"), item("pieces", 1), item("pieces", 3)
    valid = f"""CASE
        WHEN {count} = 7 AND {item("pieces", 5)} = ' ' AND {item("pieces", 7)} = ''
        THEN {matches(head, HEAD)} AND {matches(tail, TAIL[7])}
        WHEN {count} = 3 THEN {matches(head, HEAD)} AND {matches(tail, TAIL[3])}
        ELSE false END"""
    checked = f"SELECT *, {valid} AS valid FROM ({cut})"

    # 3. Name the pieces; those of a malformed line are null, and so is everything made of them.
    def piece(n: int) -> str:
        start = " + ".join(["1", *(f"length({item('pieces', before)}) + 1" for before in range(1, n))])
        original = f"substr(line, {start}, length({item('pieces', n)}))"
        return f"CASE WHEN NOT valid THEN NULL WHEN escaped THEN {original} ELSE {item('pieces', n)} END"

    names = {"head": 1, "request": 2, "tail": 3, "referer": 4, "agent": 6}
    pieces = ", ".join(f"{piece(n)} AS {name}" for name, n in names.items())
    named = f"SELECT {pieces}, CASE WHEN NOT valid THEN line END AS raw FROM ({checked})"
    worded = f"SELECT *, {split('request', ' ')} AS words FROM ({named})"

    # 4. Columns.
    def word(n: int) -> str:
        filled = f"{item('words', 1)} <> '' AND {item('words', 2)} <> '' AND {item('words', 3)} LIKE 'HTTP/%'"
        return f"CASE WHEN {spell.count.format('words')} = 3 AND {filled} THEN {item('words', n)} END"

    columns = {
        "host": "split_part(head, ' ', 1)",
        "ident": "nullif(split_part(head, ' ', 2), '-')",
        "user": "nullif(split_part(head, ' ', 3), '-')",
        "at": spell.utc.format("substr(head, -28, 26)"),
        "method": word(1),
        "path": word(2),
        "protocol": word(3),
        "status": "TRY_CAST(split_part(tail, ' ', 2) AS INTEGER)",
        "bytes": "TRY_CAST(split_part(tail, ' ', 3) AS BIGINT)",
        "referer": "nullif(nullif(referer, '-'), '')",
        "agent": "nullif(nullif(agent, '-'), '')",
        "raw": "raw",
    }
    return f"SELECT {', '.join(f'{value} AS {quote(name, dialect)}' for name, value in columns.items())} FROM ({worded})"


# -- files to lines -----------------------------------------------------------------------------------------------------


def spark_lines(text: str) -> str:
    """A SELECT of `line` over what `spark.read.text` makes of the files, a table of that name."""
    return f"SELECT make_valid_utf8(value) AS line FROM {text} WHERE value <> ''"


LOOK_THROUGH = 2 << 30  # bytes of all files together
LONGEST = 16 << 20  # bytes of a line
BLOCK = 1 << 20


def duckdb_lines(paths: Sequence[str]) -> str:
    """A SELECT of `line` over files.

    DuckDB reads UTF-8 fast and refuses a file with one byte that is not; as Latin-1 it reads anything, in 2.6 of the time.
    So plain local files are looked through first, which takes as long as reading them; what is not UTF-8 or cannot be looked
    at so cheaply (compressed, remote, a pipe, more than 2 GB together) is read as Latin-1 and decoded again.
    """
    seen = all(map(_is_plain, paths)) and sum(map(os.path.getsize, paths)) <= LOOK_THROUGH
    utf8 = [path for path in paths if seen and _is_utf8(path)]
    other = [path for path in paths if path not in utf8]
    selects = []
    if utf8:
        selects.append(f"SELECT line FROM {_read(utf8, 'utf-8')}")
    if other:
        selects.append(f"SELECT {DECODED} AS line FROM {_read(other, 'latin-1')}")
    return " UNION ALL ".join(f"{select} WHERE line <> ''" for select in selects)


def _is_plain(path: str) -> bool:
    return os.path.isfile(path) and not path.endswith((".gz", ".zst"))


def _is_utf8(path: str) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    length = 0
    with open(path, "rb", buffering=0) as file:
        while block := file.read(BLOCK):
            length = 0 if b"\n" in block or b"\r" in block else length + len(block)
            if length > LONGEST:
                raise InputError(f"{path} has a line of more than {LONGEST >> 20} MB", "is it an access log?")
            if not block.isascii() or decoder.getstate()[0]:
                try:
                    decoder.decode(block)
                except UnicodeDecodeError:
                    return False
    return not decoder.getstate()[0]


def _read(paths: Sequence[str], encoding: str) -> str:
    """Whole lines: the delimiter is a line's end, which no line holds, and there are no quotes.

    Not strict, the reader takes the three line ends in one file. A line of more than its 32 MB buffer can get lost without a
    word (DuckDB 2.0.0), which `_is_utf8` rules out where it looks.
    """
    files = ", ".join(map(literal, paths))
    return (
        f"read_csv([{files}], columns = {{'line': 'VARCHAR'}}, header = false, auto_detect = false, strict_mode = false, "
        f"delim = '\n', quote = '', escape = '', encoding = '{encoding}', max_line_size = {LONGEST}, buffer_size = {2 * LONGEST})"
    )


# UTF-8 by the Unicode Standard's table 3-7, over bytes spelled " C3 A9". What breaks off, and any other byte, becomes one
# U+FFFD, as Python, Java and Spark do it.
_NEXT = " [89AB]."
_TWO = "(?: E0 [AB].| ED [89].| E[1-9A-CEF]" + _NEXT + ")"
_FOUR = "(?: F0 [9AB].| F[123]" + _NEXT + "| F4 8.)"
CHARACTER = f" [0-7].| (?:C[2-9A-F]|D.){_NEXT}|{_TWO}{_NEXT}|{_FOUR}{_NEXT}{_NEXT}"
BROKEN = f"{_TWO}|{_FOUR}{_NEXT}|{_FOUR}| .."
DECODED = f"""CASE WHEN strlen(line) = length(line) THEN line ELSE ltrim(decode(unhex(replace(array_to_string(list_transform(
    regexp_extract_all(
        array_to_string(list_transform(string_split(line, ''), lambda c: format(' {{:02X}}', unicode(c))), ''),
        '{CHARACTER}|{BROKEN}'),
    lambda c: CASE WHEN regexp_full_match(c, '{CHARACTER}') THEN c ELSE 'EFBFBD' END), ''), ' ', ''))), chr(65279)) END"""
