"""The `log` format on both engines: literal rows, a plain parser that shares nothing with it, a real log's counts."""

from __future__ import annotations

import json
import random
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from examples.access_log import write_access_log
from hypothesis import strategies as st

import penstock as ps
from penstock.engines import logs
from penstock.sql import quote

Row = dict[str, Any]

COLUMNS = ["host", "ident", "user", "at", "method", "path", "protocol", "status", "bytes", "referer", "agent", "raw"]
SHARED = Path(__file__).parents[3] / "shared" / "data" / "logs"


def read(engine: ps.Engine, lines: list[str]) -> list[Row]:
    """The columns of literal lines, in the order of the lines."""
    numbered = engine.adopt(pa.table({"n": range(len(lines)), "line": pa.array(lines, pa.string())}))
    found = engine.query(logs.parsed("SELECT line FROM t ORDER BY n", engine.name), {"t": numbered})
    return engine.batches(found).read_all().to_pylist()


# -- literal lines ----------------------------------------------------------------------------------------------------

SHOWN = {
    '10.1.2.3 - admin [10/Oct/2000:13:55:36 -0700] "GET /logo.gif HTTP/1.0" 200 2326': (
        "10.1.2.3", None, "admin", datetime(2000, 10, 10, 20, 55, 36), "GET", "/logo.gif", "HTTP/1.0", 200, 2326,
        None, None,
    ),
    '2001:db8::7 id - [01/Jan/2026:00:15:00 +0530] "POST /a?b=c&d HTTP/2.0" 302 - "https://x.org/?q=1" "curl/8.5.0"': (
        "2001:db8::7", "id", None, datetime(2025, 12, 31, 18, 45), "POST", "/a?b=c&d", "HTTP/2.0", 302, None,
        "https://x.org/?q=1", "curl/8.5.0",
    ),
    # Escaped quotes, an escaped backslash before a closing quote, a backslash that escapes nothing.
    r'h - - [29/Feb/2024:23:59:59 +0000] "GET /\"a\"/\ HTTP/1.1" 404 0 "\\" "say \"hi\" \x16\\\""': (
        "h", None, None, datetime(2024, 2, 29, 23, 59, 59), "GET", "/\\\"a\\\"/\\", "HTTP/1.1", 404, 0,
        r"\\", r"say \"hi\" \x16\\\"",
    ),
    # A timeout, a TLS handshake, HTTP/0.9, a path with a blank in it, words that are empty: no request, and a line.
    'h - - [28/Feb/2023:00:00:00 +0000] "-" 408 - "-" ""': (
        "h", None, None, datetime(2023, 2, 28), None, None, None, 408, None, None, None,
    ),
    r'h - - [28/Feb/2023:00:00:00 +0000] "\x16\x03\x01\x02" 400 226 "-" "-"': (
        "h", None, None, datetime(2023, 2, 28), None, None, None, 400, 226, None, None,
    ),
    'h - - [28/Feb/2023:00:00:00 +0000] "GET /" 200 5': (
        "h", None, None, datetime(2023, 2, 28), None, None, None, 200, 5, None, None,
    ),
    'h - - [28/Feb/2023:00:00:00 +0000] "GET /a b HTTP/1.1" 200 5': (
        "h", None, None, datetime(2023, 2, 28), None, None, None, 200, 5, None, None,
    ),
    'h - - [28/Feb/2023:00:00:00 +0000] "GET  HTTP/1.1" 200 5': (
        "h", None, None, datetime(2023, 2, 28), None, None, None, 200, 5, None, None,
    ),
    'h - - [28/Feb/2023:00:00:00 +0000] "SETUP /a RTSP/1.0" 200 5': (
        "h", None, None, datetime(2023, 2, 28), None, None, None, 200, 5, None, None,
    ),
    # Text beyond ASCII, and beyond 16 bits, before an escape: the pieces are found by characters.
    r'höst - ü😀 [28/Feb/2023:00:00:00 +0000] "GET /日本/\"/😀 HTTP/1.1" 200 5 "é" "\"😀"': (
        "höst", None, "ü😀", datetime(2023, 2, 28), "GET", r"/日本/\"/😀", "HTTP/1.1", 200, 5, "é", r"\"😀",
    ),
    "h - - [28/Feb/2023:00:00:00 +0000] \"GET /\N{LINE SEPARATOR}'\x85\x00%{} HTTP/1.1\" 200 5": (
        "h", None, None, datetime(2023, 2, 28), "GET", "/\N{LINE SEPARATOR}'\x85\x00%{}", "HTTP/1.1", 200, 5, None,
        None,
    ),
    'h - - [28/Feb/2023:00:00:00 +1459] "GET / HTTP/1.1" 999 999999999999999999': (
        "h", None, None, datetime(2023, 2, 27, 9, 1), "GET", "/", "HTTP/1.1", 999, 999999999999999999, None, None,
    ),
}  # fmt: skip

WHOLE = 'h - - [28/Feb/2023:00:00:00 +0000] "GET / HTTP/1.1" 200 5 "r" "a"'
MALFORMED = [
    "word",
    " ",
    "\\",
    '"',
    '""""""',
    *(WHOLE[:length] for length in range(1, len(WHOLE)) if length != len(WHOLE) - len(' "r" "a"')),
    WHOLE + " ",
    WHOLE + ' "b"',
    " " + WHOLE,
    WHOLE.replace("h -", "h  -"),
    WHOLE.replace("- -", "- a b"),
    WHOLE.replace("28/Feb/2023", "29/Feb/2023"),
    WHOLE.replace("28/Feb/2023", "29/Feb/1900"),
    WHOLE.replace("28/Feb", "31/Apr"),
    WHOLE.replace("28/Feb", "00/Mar"),
    WHOLE.replace("28/Feb", "8/Feb"),
    WHOLE.replace("Feb", "feb"),
    WHOLE.replace("Feb", "Fev"),
    WHOLE.replace("2023", "3023"),
    WHOLE.replace(":00:00:00", ":24:00:00"),
    WHOLE.replace(":00:00:00", ":00:60:00"),
    WHOLE.replace(":00:00:00", ":23:59:60"),
    WHOLE.replace("+0000", "0000"),
    WHOLE.replace("+0000", "+1500"),
    WHOLE.replace("+0000", "+0060"),
    WHOLE.replace("00:00 +", "00:00\t+"),
    WHOLE.replace("] ", "]\n"),
    WHOLE.replace("] ", "] \n"),
    WHOLE.replace("200", "20"),
    WHOLE.replace("200", "2000"),
    WHOLE.replace("200", "٢٠٠"),
    WHOLE.replace(" 5 ", " -5 "),
    WHOLE.replace(" 5 ", " 5k "),
    WHOLE.replace(" 5 ", "  "),
    WHOLE.replace(" 5 ", " 5\n"),
    WHOLE.replace(" 5 ", " 1000000000000000000 "),
    WHOLE.replace('"r" "a"', '"r"'),
    WHOLE.replace('"r" "a"', '"r""a"'),
    WHOLE.replace('"r" "a"', '"r"\t"a"'),
    WHOLE.replace('"r" "a"', r'"r\" "a"'),
    WHOLE.replace('"r" "a"', r'"r" "a\"'),
    WHOLE.replace('"r" "a"', r'"r" "a\\\"'),
    WHOLE.replace('"GET', r"\"GET"),
    WHOLE.replace("GET", 'GE"T'),
]


def test_literal_lines_have_their_columns(engine: ps.Engine) -> None:
    """Common and Combined lines: offsets applied, `-` null, escapes kept as written, odd requests null."""
    expected = [dict(zip(COLUMNS, (*values, None), strict=True)) for values in SHOWN.values()]

    assert read(engine, list(SHOWN)) == expected


def test_a_malformed_line_is_kept_whole_and_has_no_other_column(engine: ps.Engine) -> None:
    """What deviates in one place from a line that parses is `raw`, and nothing else."""
    expected = [dict.fromkeys(COLUMNS) | {"raw": line} for line in MALFORMED]

    assert read(engine, [WHOLE])[0]["raw"] is None
    assert read(engine, MALFORMED) == expected


def test_the_columns_have_fixed_types(engine: ps.Engine) -> None:
    """Names, order and types are api.md's, on an empty table too."""
    empty = engine.adopt(pa.table({"line": pa.array([], pa.string())}))
    types = engine.columns(engine.query(logs.parsed("SELECT line FROM t", engine.name), {"t": empty}))

    assert list(types) == COLUMNS
    assert {name: kind for name, kind in types.items() if kind != "VARCHAR"} == {
        "at": "TIMESTAMP", "status": "INTEGER", "bytes": "BIGINT",
    }  # fmt: skip


# -- against a plain parser -------------------------------------------------------------------------------------------

MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


def plainly(line: str) -> Row:
    """What the columns of a line are, character by character."""
    nothing = dict.fromkeys(COLUMNS)
    pieces, position = [""], 0
    while position < len(line):
        width = 2 if line[position] == "\\" else 1
        if line[position] == '"':
            pieces.append("")
        else:
            pieces[-1] += line[position : position + width]
        position += width
    try:
        if len(pieces) == 3:
            (head, request, tail), referer, agent = pieces, "-", "-"
        else:
            head, request, tail, referer, gap, agent, end = pieces
            if gap != " " or end or tail[-1] != " ":
                raise ValueError(line)
            tail = tail[:-1]
        host, ident, user, time, offset, end = head.split(" ")
        blank, status, size = tail.split(" ")
        if not (host and ident and user) or end or blank or len(status) != 3:
            raise ValueError(line)
        method, path, protocol = request.split(" ") if request.count(" ") == 2 else ("", "", "")
        asked = bool(method and path and protocol.startswith("HTTP/"))
        return nothing | {
            "host": host,
            "ident": None if ident == "-" else ident,
            "user": None if user == "-" else user,
            "at": moment(time, offset),
            "method": method if asked else None,
            "path": path if asked else None,
            "protocol": protocol if asked else None,
            "status": number(status),
            "bytes": None if size == "-" else number(size),
            "referer": None if referer in ("-", "") else referer,
            "agent": None if agent in ("-", "") else agent,
        }
    except (ValueError, IndexError):
        return nothing | {"raw": line}


def moment(time: str, offset: str) -> datetime:
    """`[10/Oct/2000:13:55:36` and `-0700]` as UTC."""
    if len(time) != 21 or len(offset) != 6 or time[0] + time[3] + time[7] + time[12] + time[15] + time[18] != "[//:::":
        raise ValueError(time)
    if offset[0] not in "+-" or offset[5] != "]" or number(offset[1:3]) > 14 or number(offset[3:5]) > 59:
        raise ValueError(offset)
    year, month = number(time[8:12]), MONTHS.index(time[4:7]) + 1
    if not 1900 <= year < 2100:
        raise ValueError(time)
    local = datetime(year, month, number(time[1:3]), number(time[13:15]), number(time[16:18]), number(time[19:21]))
    ahead = timedelta(hours=number(offset[1:3]), minutes=number(offset[3:5]))
    return local + ahead if offset[0] == "-" else local - ahead


def number(digits: str) -> int:
    """At most 18 ASCII digits and nothing else."""
    if not 0 < len(digits) <= 18 or set(digits) - set("0123456789"):
        raise ValueError(digits)
    return int(digits)


# Characters that mean something here, to a regular expression, to SQL, or to an engine's idea of a line or a digit.
MARKS = [*"\"\\ []-:/'%{}\t\n\r\x00\x01\x85\u2028٣é😀aH0_", r"\"", r"\\"]


def near_lines(seed: int, n: int) -> list[str]:
    """Lines near the grammar: most parts as they should be, and in half of the lines one character changed."""
    rng = random.Random(seed)
    one, upto = rng.choice, rng.randrange

    def line() -> str:
        a, b, c, d = ("".join(one(MARKS) for _ in range(upto(8))) for _ in range(4))
        host, ident, user = (one(["-", "h", "2001:db8::1", "a_b", r"a\b", "[::1]"]) for _ in range(3))
        day = f"{upto(33):02}/{one([*MONTHS, 'Feb', 'Feb', 'Mai'])}/{one([1899, 1900, 1999, 2000, 2023, 2024, 2100])}"
        time = f"{upto(25):02}:{upto(61):02}:{upto(61):02} {one('+-')}{upto(16):02}{upto(61):02}"
        request = one(["GET /a HTTP/1.1", f"GET /{a} HTTP/1.0", f"{a} {b} HTTP/", a, "-"])
        tail = f"{one(['200', '404', '500', '999', '20'])} {one(['-', '0', '12345', '9' * 18, '9' * 19])}"
        return f'{host} {ident} {user} [{day}:{time}] "{request}" {tail}' + one(["", ' "-" ""', f' "{c}" "{d}"'])

    def changed(line: str) -> str:
        at = upto(len(line))
        return line[:at] + one(MARKS) + line[at + upto(2) :]

    return [one([changed, str])(line()) for _ in range(n)]


def test_any_line_parses_as_a_plain_parser_has_it(engine: ps.Engine, explore: Any) -> None:
    """Both engines agree with a parser of characters on lines that are right, nearly right, or hostile."""

    def check(seed: int) -> None:
        lines = near_lines(seed, 100)
        assert read(engine, lines) == [plainly(line) for line in lines]

    explore(check, st.integers(0, 2**32))


def test_the_plain_parser_is_right_about_the_literal_lines() -> None:
    """The oracle itself is held to the rows written by hand, and the lines drawn are neither all good nor bad."""
    drawn = Counter(plainly(line)["raw"] is None for line in near_lines(seed=0, n=1000))

    assert min(drawn[True], drawn[False]) > 150
    assert [tuple(plainly(line).values())[:-1] for line in SHOWN] == list(SHOWN.values())
    assert [plainly(line) for line in MALFORMED] == [dict.fromkeys(COLUMNS) | {"raw": line} for line in MALFORMED]


def test_thousands_of_escapes_in_a_line_parse(engine: ps.Engine) -> None:
    """No engine recurses into a long line: a binary request as long as servers allow, and far longer."""
    line = WHOLE.replace("GET /", "GET /" + r"\x16\"" * 50_000)

    assert read(engine, [line])[0]["path"] == "/" + r"\x16\"" * 50_000


# -- files ------------------------------------------------------------------------------------------------------------


def test_a_file_of_any_bytes_reads_the_same_on_both_engines(engine: ps.Engine, tmp_path: Path) -> None:
    """Three line ends, empty lines, no last line end, a byte order mark, bytes that are not UTF-8: nothing is lost."""
    before, after = b'h - - [28/Feb/2023:00:00:00 +0000] "GET /', b' HTTP/1.1" 200 5'
    file = tmp_path / "access.log"
    file.write_bytes(
        b"\xef\xbb\xbf" + before + b"a" + after + b"\r\n\r\n\n" + before + b"caf\xe9" + after + b"\r"
        + before + b"\xe2\x82\xed\xa0\x80\x00\x01" + after + b"\n\xff\n" + before + "é😀".encode() + after
    )  # fmt: skip

    found = engine.batches(engine.read(file)).read_all().to_pylist()

    assert {(row["host"], row["path"], row["raw"]) for row in found} == {
        ("h", "/a", None),
        ("h", "/caf�", None),
        ("h", "/����\x00\x01", None),
        (None, None, "�"),
        ("h", "/é😀", None),
    }
    assert len(found) == 5


def test_a_query_parses_only_what_it_uses(engine: ps.Engine, tmp_path: Path) -> None:
    """The plan of a query for paths does not touch the head of the line, nor that of a query for times the request."""
    file = tmp_path / "access.log"
    file.write_text(WHOLE)
    signs = {"duckdb": {"path": "request", "at": "head"}, "spark": {"path": "HTTP/", "at": "dd/MMM/yyyy"}}[engine.name]

    for column, other in [("path", "at"), ("at", "path")]:
        asked = f"SELECT {quote(column, engine.name)} FROM t"
        plan = engine.explain(engine.query(asked, {"t": engine.read(file)}))

        assert signs[column] in plan
        assert signs[other] not in plan


def test_the_example_log_counts_as_its_generator_says(engine: ps.Engine, tmp_path: Path) -> None:
    """The demo's log: the words that `awk` finds, one malformed line in a thousand, the same bytes for a seed."""
    one, two = tmp_path / "one.log", tmp_path / "two.log"
    lines = write_access_log(one, 2_000_000, seed=3)
    write_access_log(two, 2_500_000, seed=3)
    by_awk = Counter(
        ([*line.split('"')[1].split(), "", ""][1] if '"' in line else "")
        for line in one.read_bytes().decode("latin-1").splitlines()
    )

    table = engine.read(one)
    counted = engine.query("SELECT path, count(*) AS n, count(raw) AS malformed FROM t GROUP BY path", {"t": table})
    found = engine.batches(counted).read_all().to_pylist()

    assert two.read_bytes().startswith(one.read_bytes())
    assert {row["path"] or "": row["n"] for row in found} == by_awk
    assert sum(row["n"] for row in found) == lines
    assert 0 < sum(row["malformed"] for row in found) < lines / 300


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the access log in ../shared/data/logs")
def test_a_real_log_has_the_counts_that_independent_programs_found(engine: ps.Engine) -> None:
    """10 000 lines of a public log: malformed lines, sizes, statuses, hosts, paths and times."""
    truth = json.loads((SHARED / "expected.json").read_text())
    lines = (SHARED / "apache_logs").read_text().splitlines()

    rows = engine.batches(engine.read(SHARED / "apache_logs", "log")).read_all().to_pylist()
    malformed = [lines[number] for number in truth["malformed_line_numbers_0based_first20"]]
    good = [row for row in rows if row["raw"] is None]
    sizes = [row["bytes"] for row in good if row["bytes"] is not None]

    def count(column: str) -> Counter[Any]:
        return Counter(row[column] for row in good)

    assert len(rows) == truth["lines"]
    assert [row["raw"] for row in rows if row["raw"]] == malformed
    assert (len(good) - len(sizes), sum(sizes)) == (truth["bytes_dash"], truth["bytes_sum"])
    assert count("status") == {int(status): n for status, n in truth["status"].items()}
    assert count("method") == dict(truth["methods"])
    assert (len(count("host")), len(count("path"))) == (truth["distinct_hosts"], truth["distinct_urls"])
    assert [[path, count("path")[path]] for path, _ in truth["top20_urls"]] == truth["top20_urls"]
    assert [count("path").most_common(20)[19][1]] == [truth["top20_urls"][19][1]]
    assert min(row["at"] for row in good) - datetime(1970, 1, 1) == timedelta(seconds=truth["first_ts"])
    assert max(row["at"] for row in good) - datetime(1970, 1, 1) == timedelta(seconds=truth["last_ts"])
