"""What comes out: the same characters for the same values, a table for people, nothing but data on stdout."""

import datetime
import io
import json
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from penstock.cli import output, text

UTC = datetime.UTC
VALUES = {
    "text": ([None, "", "a", 'say "x"', "a,b", "l\nm", " "], pa.string()),
    "number": ([None, 0, -1, 2**63 - 1, 7, 8, 9], pa.int64()),
    "float": ([None, 0.1, -0.0, 1e-7, 1e20, float("nan"), float("-inf")], pa.float64()),
    "decimal": ([None, Decimal("1.50"), Decimal("0.00"), *[Decimal("-3.25")] * 4], pa.decimal128(10, 2)),
    "tiny": ([None, *[Decimal("0.0000001")] * 6], pa.decimal128(10, 7)),
    "flag": ([None, True, False, True, True, True, True], pa.bool_()),
    "at": (
        [None, *[datetime.datetime(2026, 3, 1, 10, 0, 0, micro) for micro in (0, 250000, 1, 0, 0, 0)]],
        pa.timestamp("us"),
    ),
    "zoned": ([None, *[datetime.datetime(2026, 3, 1, 23, 45, tzinfo=UTC)] * 6], pa.timestamp("us", "Pacific/Chatham")),
    "day": ([None, *[datetime.date(2026, 3, 1)] * 6], pa.date32()),
    "span": ([None, *[datetime.timedelta(days=1, seconds=5)] * 6], pa.duration("us")),
    "bytes": ([None, b"\x00\xff", *[b""] * 5], pa.binary()),
    "list": ([None, [1, None], [], *[[2]] * 4], pa.list_(pa.int64())),
    "struct": ([None, *[{"a": 'x"y', "b": float("nan")}] * 6], pa.struct({"a": pa.string(), "b": pa.float64()})),
}
BATCH = pa.record_batch({name: pa.array(values, kind) for name, (values, kind) in VALUES.items()})


@pytest.mark.parametrize(
    ("column", "cells"),
    {
        "text": ["", '""', "a", '"say ""x"""', '"a,b"', '"l\nm"', " "],
        "number": ["", "0", "-1", "9223372036854775807", "7", "8", "9"],
        "float": ["", "0.1", "0.0", "1e-7", "1e+20", "nan", "-inf"],
        "decimal": ["", "1.50", "0.00", "-3.25", "-3.25", "-3.25", "-3.25"],
        "tiny": ["", *["0.0000001"] * 6],
        "flag": ["", "true", "false", "true", "true", "true", "true"],
        "at": ["", *[f"2026-03-01 10:00:00{micro}" for micro in ("", ".25", ".000001", "", "", "")]],
        "zoned": ["", *["2026-03-01 23:45:00Z"] * 6],
        "day": ["", *["2026-03-01"] * 6],
        "span": ["", *['"1 day, 0:00:05"'] * 6],
        "bytes": ["", "00ff", *['""'] * 5],
        "list": ["", '"[1,null]"', "[]", *["[2]"] * 4],
        "struct": ["", *['"{""a"":""x\\""y"",""b"":null}"'] * 6],
    }.items(),
)
def test_values_as_csv(column, cells):
    """Each kind of value has one spelling; null is nothing, and an empty text is quoted so that it is not null."""
    written = text.csv_lines(BATCH.select([column])).decode()

    assert written == "".join(f"{cell}\n" for cell in cells)


def test_values_as_json():
    """Every line is JSON that holds the same values; what is no number there, NaN included, is null."""
    rows = [json.loads(line) for line in text.json_lines(BATCH).splitlines()]

    assert [row["text"] for row in rows] == VALUES["text"][0]
    assert [row["number"] for row in rows] == VALUES["number"][0]
    assert [row["float"] for row in rows] == [None, 0.1, 0.0, 1e-7, 1e20, None, None]
    assert [row["flag"] for row in rows] == VALUES["flag"][0]
    assert [row["list"] for row in rows] == VALUES["list"][0]
    assert rows[1]["at"] == "2026-03-01 10:00:00"
    assert rows[1]["struct"] == {"a": 'x"y', "b": None}


def test_a_slice_of_a_batch_is_only_that():
    """The text of some rows holds none of the rows before them or after."""
    assert text.csv_lines(BATCH.select(["number"]).slice(1, 2)) == b"0\n-1\n"


def test_no_rows_are_no_lines():
    """An empty result has a header in csv and nothing else."""
    assert text.csv_lines(BATCH.slice(0, 0)) == b""
    assert text.csv_line(["a", 'b"c', "d,e"]) == b'a,"b""c","d,e"\n'


def test_what_was_added_up_has_twelve_digits():
    """The last digits of a sum depend on the order of addition, so they are not printed."""
    sums = pa.record_batch({"x": pa.array([0.1 + 0.2, 3.0, 1e20, None])})

    assert text.csv_lines(sums) == b"0.30000000000000004\n3.0\n1e+20\n\n"
    assert text.csv_lines(sums, frozenset({"x"})) == b"0.3\n3.0\n1e+20\n\n"


def test_sums_are_rounded_and_values_are_not(penstock):
    """`aggregate` rounds what it added up, and hands on a greatest value as it is."""
    Path("f.csv").write_text("v\n0.1\n0.2\n1234567.1234567892\n")

    result = penstock("aggregate", "f.csv", "total=sum(v)", "most=max(v)")

    assert result.lines == ["total,most", "1234567.42346,1234567.1234567892"]


@pytest.mark.parametrize("format", ["parquet", "arrow"])
def test_binary_formats_hold_the_rows(penstock, format):
    """Standard output is the file: its bytes read back as the same table."""
    result = penstock("where", "sales.csv", "amount > 5", "--format", format)
    source = pa.BufferReader(result.bytes)
    table = pq.read_table(source) if format == "parquet" else pa.ipc.open_file(source).read_all()

    assert table["amount"].to_pylist() == [10, 7]


@pytest.mark.parametrize("format", ["parquet", "arrow"])
def test_binary_formats_are_not_for_a_terminal(penstock, format):
    """Nothing binary goes to a screen, and nothing is read before that is said."""
    result = penstock("where", "nowhere.csv", "true", "--format", format, terminal=True)

    assert result.code == 2
    assert result.err.startswith(f"error: {format} is not for a terminal\n")


def test_a_terminal_gets_a_table(penstock, monkeypatch):
    """On a terminal the result is a table in which a null is seen."""
    monkeypatch.setenv("TERM", "dumb")
    result = penstock("top", "sales.csv", "--by", "country", terminal=True)
    cells = [line.split() for line in result.lines]

    assert ["country", "n"] in cells and ["DE", "2"] in cells and ["null", "1"] in cells


def test_no_color_is_honoured(penstock, monkeypatch):
    """With NO_COLOR, and on a dumb terminal, no colour is set."""
    coloured = penstock("top", "sales.csv", "--by", "country", terminal=True).out
    monkeypatch.setenv("NO_COLOR", "1")
    plain = penstock("top", "sales.csv", "--by", "country", terminal=True).out
    monkeypatch.setenv("TERM", "dumb")
    dumb = penstock("top", "sales.csv", "--by", "country", terminal=True).out

    assert "\x1b[" in coloured
    assert "\x1b[3" not in plain
    assert "\x1b" not in dumb


def test_a_cell_cannot_move_the_cursor(penstock):
    """Control characters in the data are shown, not sent to the terminal; nor is anything taken for markup."""
    Path("odd.csv").write_text("[bold]x\n\x1b[31mred\n[/bold]\n")

    result = penstock("where", "odd.csv", "true", "--format", "table")

    assert "[bold]x" in result.out and "\\x1b[31mred" in result.out and "[/bold]" in result.out
    assert "\x1b" not in result.out


def test_a_table_shows_so_many_rows_and_says_so(penstock, monkeypatch):
    """A long table ends after its first rows; stderr says how to get all of them."""
    monkeypatch.setattr(output, "SHOWN", 2)

    result = penstock("sort", "sales.csv", "--order", "amount", "--format", "table")

    assert result.err == "note: these are the first 2 rows; all of them: --format csv, or -o PATH\n"
    assert "10" not in result.out


def test_a_table_in_a_pipe_is_not_cut(penstock):
    """Without a terminal there is no width to fit in."""
    Path("wide.csv").write_text(f"v\n{'x' * 500}\n")

    assert "x" * 500 in penstock("where", "wide.csv", "true", "--format", "table").out


def test_a_plan_runs_nothing(penstock):
    """`--plan` prints the steps of the whole command, not its rows; with -v the engine's own plan as well."""
    result = penstock("top", "sales.csv", "--by", "country", "--plan")

    assert result.code == 0
    assert "group by country" in result.out and "top 10 by n, country" in result.out
    assert "country,n" not in result.out
    assert "READ_CSV" in penstock("top", "sales.csv", "--by", "country", "--plan", "-v").out


def test_sql_over_files_is_planned(penstock):
    """`penstock plan` prints the steps of a query, or its JSON; SQL that is none is an error."""
    assert "group by country" in penstock("plan", "SELECT country, count(*) FROM t GROUP BY 1", "sales.csv").out
    found = json.loads(penstock("plan", "SELECT DISTINCT country FROM t", "sales.csv", "--json").out)
    assert [step["kind"] for step in found["steps"]][-1] == "wide"
    assert penstock("plan", "SELECT country FROM (", "sales.csv").code == 2


def test_the_binary_writers_stream(penstock):
    """The formats are written to a stream that cannot be sought in, as a pipe cannot."""

    class Pipe(io.RawIOBase):
        def __init__(self):
            self.data = b""

        def writable(self):
            return True

        def write(self, data):
            self.data += bytes(data)
            return len(data)

    pipe = Pipe()
    output._binary(BATCH.schema, iter([BATCH, BATCH]), "parquet", pipe)

    assert pq.read_table(pa.BufferReader(pipe.data)).num_rows == 2 * BATCH.num_rows
