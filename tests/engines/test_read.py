"""`ps.read`: a file is the same table on both engines, or the same error."""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import penstock as ps
from penstock.engines.engine import Engine
from penstock.testing import assert_tables_equal, rows

Save = Callable[[str, "str | bytes"], Path]

BEYOND = 40_000  # rows: the sample that tells the types ends before


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Write a file below the test's folder; its path."""

    def write(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def kinds(engine: Engine, path: Path, **options: Any) -> dict[str, str]:
    """The columns that an engine finds in a file."""
    return engine.columns(engine.read(str(path), **options))


# -- csv ---------------------------------------------------------------------------------------------------------------


def test_csv_types(engine: Engine, save: Save) -> None:
    """Numbers, dates and times are told by their looks; a leading zero, an American date and a time of day are text."""
    path = save(
        "types.csv",
        "i,zero,f,b,d,ts,zoned,us,large,spaced,t\n"
        "1,007,1.5,true,2024-01-02,2024-01-02 03:04:05,2024-01-02T03:04:05+02:00,01/13/2024,"
        "9223372036854775808, 7,10:00:00\n"
        ",,,,,,,,,,\n",
    )

    assert kinds(engine, path) == {
        "i": "BIGINT", "zero": "VARCHAR", "f": "DOUBLE", "b": "BOOLEAN", "d": "DATE", "ts": "TIMESTAMP",
        "zoned": "TIMESTAMP", "us": "VARCHAR", "large": "DECIMAL(38,0)", "spaced": "BIGINT", "t": "VARCHAR",
    }  # fmt: skip
    first = {
        "i": 1, "zero": "007", "f": 1.5, "b": True, "d": date(2024, 1, 2), "ts": datetime(2024, 1, 2, 3, 4, 5),
        "zoned": datetime(2024, 1, 2, 1, 4, 5), "us": "01/13/2024", "large": Decimal(2**63), "spaced": 7,
        "t": "10:00:00",
    }  # fmt: skip
    assert_tables_equal(engine.read(str(path)), [first, dict.fromkeys(first)])


def test_csv_quotes(engine: Engine, save: Save) -> None:
    """A quoted field holds delimiters, line breaks and doubled quotes; in quotes nothing is an empty text, not null."""
    path = save("q.csv", 'a,b\n1,"x\ny, ""z"""\n2,\n3,""\n4,a"b\n5,"c\r\nd"\n')

    expected = ['x\ny, "z"', None, "", 'a"b', "c\r\nd"]
    assert_tables_equal(engine.read(str(path)), [{"a": i + 1, "b": b} for i, b in enumerate(expected)])


@pytest.mark.parametrize(
    "content", [b"\xef\xbb\xbfa,b\r\n1,\xc3\xa9\r\n", "a,b\n1,é\n", "a,b\n1,é", b"a,b\r1,\xc3\xa9\r"]
)
def test_csv_marks_and_line_ends(engine: Engine, save: Save, content: str | bytes) -> None:
    """A byte order mark, any of the three line ends, or none after the last line make no difference."""
    assert_tables_equal(engine.read(str(save("a.csv", content))), [{"a": 1, "b": "é"}])


def test_csv_names(engine: Engine, save: Save) -> None:
    """Any header is taken as it stands; a name that comes again gets a number; no header, numbers alone."""
    assert list(kinds(engine, save("odd.csv", 'ü b,"x,y",`"\n1,2,3\n'))) == ["ü b", "x,y", '`"']
    assert list(kinds(engine, save("twice.csv", "a,a,A\n1,2,3\n"))) == ["a", "a_1", "A_2"]
    assert list(kinds(engine, save("none.csv", "1,2\n"), header=False)) == ["column0", "column1"]


def test_csv_of_text_alone(engine: Engine, save: Save) -> None:
    """The first line is the header also where nothing but text follows, or nothing at all."""
    assert_tables_equal(engine.read(str(save("text.csv", "name,city\nann,rome\n"))), [{"name": "ann", "city": "rome"}])
    assert kinds(engine, save("header.csv", "name,city\n")) == {"name": "VARCHAR", "city": "VARCHAR"}


def test_csv_options(engine: Engine, save: Save) -> None:
    """A delimiter, a text for null, types, and the file's own path as a column can be told."""
    path = save("o.csv", "id;x\n1;NA\n2;3,5\n")

    table = engine.read(str(path), delimiter=";", null="NA", types={"id": "VARCHAR"}, filename=True)

    assert_tables_equal(table, [{"id": i, "x": x, "filename": str(path)} for i, x in (("1", None), ("2", "3,5"))])


def test_files_are_put_together_by_name(engine: Engine, save: Save) -> None:
    """Files with the columns in another order are one table; with other columns they need to be told so."""
    for name, content in {"two/1.csv": "a,b\n1,2\n", "two/2.csv": "b,a\n20,10\n", "three/1.csv": "a,b\n1,2\n"}.items():
        save(name, content)
    folder = save("three/2.csv", "a,c\n3,4\n").parent

    assert_tables_equal(engine.read(str(folder.parent / "two")), [{"a": 1, "b": 2}, {"a": 10, "b": 20}])
    with pytest.raises(ps.InputError, match=r"2\.csv has the columns a, c; .*union_by_name=True"):
        engine.read(str(folder))
    together = engine.read(str(folder), union_by_name=True)
    assert_tables_equal(together, [{"a": 1, "b": 2, "c": None}, {"a": 3, "b": None, "c": 4}])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\n1,2\n1,2,3\n", "line 3 has 3 fields, the lines before it have 2"),
        ("a,b\n1,2\n1\n", "line 3 has 1 fields"),
        ('a,b\n1,"x\n2,3\n', "line 2: a quote is opened and not closed"),
        ('a,b\n1,"x"y\n', "line 2: a quote"),
        (b"a,b\n1,\xe9\n", "is not UTF-8; convert"),
        ("", "is empty"),
        ("a,b\n" + "1,2\n" * BEYOND + "1,2,3\n", f"line {BEYOND + 2} has 3 fields"),
        ("a,b\n" + "1,x\n" * BEYOND + "1.5,x\n", r'column "a" holds "1\.5", which is no BIGINT; .*types='),
        ("a,b\n" + "1,x\n" * BEYOND + "z,x\n", r'column "a" holds "z", which is no BIGINT; .*types='),
        (b"a,b\n" + b"1,x\n" * BEYOND + b"1,\xe9\n", "is not UTF-8"),
    ],
    ids=["long", "short", "open", "after", "latin", "empty", "far long", "far fraction", "far text", "far latin"],
)
def test_csv_that_is_none_says_where(engine: Engine, save: Save, content: str | bytes, message: str) -> None:
    """A malformed file is an error with its name, the line or the value, and what to do; nothing is guessed."""
    path = save("bad.csv", content)

    with pytest.raises(ps.InputError, match=message) as caught:
        rows(engine.read(str(path)))
    assert "bad.csv" in str(caught.value)


def test_a_zone_that_comes_late_is_minded(engine: Engine, save: Save) -> None:
    """An offset is not dropped where the first times have none."""
    path = save("ts.csv", "ts\n" + "2024-01-02 03:04:05\n" * BEYOND + "2024-01-02T03:04:05.5+02:00\n")

    latest = ps.query("SELECT min(ts) AS least FROM t", t=engine.read(str(path)))
    assert_tables_equal(latest, [{"least": datetime(2024, 1, 2, 1, 4, 5, 500_000)}])


# -- json --------------------------------------------------------------------------------------------------------------


def test_json_types(engine: Engine, save: Save) -> None:
    """Objects and lists stay what they are, absent members are null, mixed ones are text, and times are of UTC."""
    path = save(
        "a.ndjson",
        '{"n":1,"t":"2024-01-02T03:04:05+02:00","o":{"x":1,"t":"2024-01-02T03:04:05Z"},"l":[1,2],"m":1,"z":null}\n\n'
        '{"n":2,"m":"x","o":{"y":"s"},"l":[],"id":"d3b07384-d9a0-4c9b-8f5e-0a1b2c3d4e5f","big":18446744073709551615}\n',
    )
    at = datetime(2024, 1, 2, 3, 4, 5)

    assert_tables_equal(
        engine.read(str(path)),
        [
            {"n": 1, "t": datetime(2024, 1, 2, 1, 4, 5), "o": {"x": 1, "t": at, "y": None}, "l": [1, 2], "m": "1",
             "z": None, "id": None, "big": None},
            {"n": 2, "t": None, "o": {"x": None, "t": None, "y": "s"}, "l": [], "m": "x", "z": None,
             "id": "d3b07384-d9a0-4c9b-8f5e-0a1b2c3d4e5f", "big": Decimal(2**64 - 1)},
        ],
    )  # fmt: skip


@pytest.mark.parametrize(
    "content", ['{"a":1}\n{"a":2}\n', '[{"a":1},\n {"a":2}]', '{"a":1}{"a":2}', '{\n "a": 1\n}\n{\n "a": 2\n}']
)
def test_json_shapes(engine: Engine, save: Save, content: str) -> None:
    """Objects one a line, in an array, or one after the other over several lines are the same table."""
    assert_tables_equal(engine.read(str(save("a.json", content))), [{"a": 1}, {"a": 2}])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"a":1}\n{"a":\n{"a":2}\n', "line 2"),
        ("5\n6\n", "not objects"),
        (b'{"a":"\xe9"}\n', "line 1: invalid UTF-8"),
        ("\n", "is empty"),
        ('{"a":1}\n' * BEYOND + '{"a":1.5}\n', r'column "a" holds "1\.5", which is no BIGINT; .*types='),
        ('{"a":1}\n' * BEYOND + '{"a":\n', f"line {BEYOND + 1}"),
    ],
    ids=["cut", "scalars", "latin", "empty", "far fraction", "far cut"],
)
def test_json_that_is_none_says_where(engine: Engine, save: Save, content: str | bytes, message: str) -> None:
    """Malformed JSON is an error with the file, the line or the value, and what to do."""
    path = save("bad.ndjson", content)

    with pytest.raises(ps.InputError, match=message) as caught:
        rows(engine.read(str(path)))
    assert "bad.ndjson" in str(caught.value)


# -- malformed records that are kept -----------------------------------------------------------------------------------


def test_malformed_csv_is_kept_apart(engine: Engine, save: Save) -> None:
    """With bad="null" a line that does not parse is null in every column, and whole in `raw`."""
    path = save("bad.csv", 'a,b\n1,2\n1,2,3\n4,"x, ""y"""\n5\n"q"z,1\n6,""\n,\n')

    good = [(1, "2"), (4, 'x, "y"'), (6, ""), (None, None)]
    expected = [{"a": a, "b": b, "raw": None} for a, b in good]
    expected += [{"a": None, "b": None, "raw": raw} for raw in ("1,2,3", "5", '"q"z,1')]
    assert_tables_equal(engine.read(str(path), bad="null"), expected)


def test_malformed_json_is_kept_apart(engine: Engine, save: Save) -> None:
    """What is no object, or has a value of another type than its column's, is kept as it is in `raw`."""
    bad = ['{"a":', "5", "null", "[1]", '{"a":{"z":1}}', "none"]
    path = save("bad.ndjson", '{"a":1,"l":[1]}\n' + "\n".join(bad) + '\n{"a":2}\n')

    expected = [{"a": 1, "l": [1], "raw": None}, {"a": 2, "l": None, "raw": None}]
    expected += [{"a": None, "l": None, "raw": raw} for raw in bad]
    assert_tables_equal(engine.read(str(path), bad="null", types={"a": "BIGINT"}), expected)


def test_hive_columns_stay_with_malformed_records(engine: Engine, save: Save) -> None:
    """The folder of a malformed line is known."""
    save("t/k=1/a.csv", "x,y\n1,2\n3\n")
    save("t/k=__HIVE_DEFAULT_PARTITION__/a.csv", "x,y\n5,6\n")

    table = engine.read(str(save("t/k=2/a.csv", "x,y\n7,8\n").parents[1]), bad="null")

    good = [{"x": x, "y": y, "k": k, "raw": None} for x, y, k in ((1, 2, 1), (5, 6, None), (7, 8, 2))]
    assert_tables_equal(table, [*good, {"x": None, "y": None, "k": 1, "raw": "3"}])


def test_a_field_of_many_quotes(engine: Engine, save: Save) -> None:
    """JSON within csv has thousands of doubled quotes in a field: no engine's regular expressions end on that."""
    field = '"' + '""' * 20_000 + '"'

    table = engine.read(str(save("q.csv", f"a,b\n1,{field}\n2,x,y\n")), bad="null")

    lengths = ps.query("SELECT a, length(b) AS n, raw FROM t", t=table)
    assert_tables_equal(lengths, [{"a": 1, "n": 20_000, "raw": None}, {"a": None, "n": None, "raw": "2,x,y"}])


def test_where_bad_cannot_be(engine: Engine, save: Save) -> None:
    """Parquet has no malformed records, a column named raw is in the way, and the word must be known."""
    csv, parquet = save("raw.csv", "raw\n1\n"), save("a.parquet", b"")

    with pytest.raises(ps.UsageError, match='"raw" of its own'):
        engine.read(str(csv), bad="null")
    with pytest.raises(ps.UsageError, match='no option "bad"'):
        engine.read(str(parquet), bad="null")
    with pytest.raises(ps.UsageError, match='did you mean "null"'):
        engine.read(str(csv), bad="nul")


# -- parquet, arrow, compression ---------------------------------------------------------------------------------------


def test_parquet(engine: Engine, tmp_path: Path) -> None:
    """Types that both engines have come back as they were; nanoseconds, as pandas writes them, become microseconds."""
    data = pa.table(
        {
            "i": pa.array([1, None], pa.int32()),
            "s": ["a", "é"],
            "ns": pa.array([1_000, 2_000], pa.timestamp("ns")),
            "l": [[1], [2, 3]],
            "st": [{"x": 1}, {"x": 2}],
            "dec": pa.array([Decimal("1.50"), None], pa.decimal128(10, 2)),
            "bin": [b"a", b"\xff"],
        }
    )
    pq.write_table(data, tmp_path / "t.parquet")

    assert_tables_equal(
        engine.read(str(tmp_path / "t.parquet")), data.set_column(2, "ns", data["ns"].cast("timestamp[us]"))
    )


def test_parquet_of_several_shapes(engine: Engine, tmp_path: Path) -> None:
    """Files of other columns are put together by name if asked for, and refused otherwise, never cut to the first's."""
    pq.write_table(pa.table({"x": [1], "y": ["a"]}), tmp_path / "1.parquet")
    pq.write_table(pa.table({"z": [2.5], "x": [2]}), tmp_path / "2.parquet")

    with pytest.raises(ps.InputError, match=r"2\.parquet has the columns z, x"):
        engine.read(str(tmp_path))
    expected = [{"x": 1, "y": "a", "z": None}, {"x": 2, "y": None, "z": 2.5}]
    assert_tables_equal(engine.read(str(tmp_path), union_by_name=True), expected)


def test_hive_folders(engine: Engine, tmp_path: Path) -> None:
    """The values that folders spell come last, in their order, with types and nulls, and decoded."""
    days = ["day=2024-01-02/c=a%20b", "day=2024-01-03/c=é", "day=2024-01-03/c=__HIVE_DEFAULT_PARTITION__"]
    for number, folder in enumerate(days):
        (tmp_path / folder).mkdir(parents=True)
        pq.write_table(pa.table({"x": [number]}), tmp_path / folder / "part.parquet")

    table = engine.read(str(tmp_path))

    assert engine.columns(table) == {"x": "BIGINT", "day": "DATE", "c": "VARCHAR"}
    expected = [(0, date(2024, 1, 2), "a b"), (1, date(2024, 1, 3), "é"), (2, date(2024, 1, 3), None)]
    assert_tables_equal(table, [{"x": x, "day": day, "c": c} for x, day, c in expected])


def test_arrow_files(engine: Engine, tmp_path: Path) -> None:
    """Arrow IPC files are read, several as one."""
    for number in (1, 2):
        data = pa.table({"x": [number], "s": [None]}, schema=pa.schema({"x": pa.int64(), "s": pa.string()}))
        with pa.OSFile(str(tmp_path / f"{number}.arrow"), "wb") as file, pa.ipc.new_file(file, data.schema) as writer:
            writer.write_table(data)

    assert_tables_equal(engine.read(str(tmp_path)), [{"x": 1, "s": None}, {"x": 2, "s": None}])


@pytest.mark.parametrize(("name", "line"), [("a.csv", "{},x\n"), ("a.ndjson", '{{"n":{},"s":"x"}}\n')])
@pytest.mark.parametrize("codec", ["gzip", "zstd"])
def test_compressed_text(engine: Engine, tmp_path: Path, name: str, line: str, codec: str) -> None:
    """.gz and .zst are read through; one that was cut short is an error, not fewer rows."""
    header = "n,s\n" if name == "a.csv" else ""
    noise = random.Random(1)
    text = header + "".join(line.format(noise.randrange(10**9)) for _ in range(30_000))
    path = tmp_path / f"{name}.{'gz' if codec == 'gzip' else 'zst'}"
    with pa.CompressedOutputStream(str(path), codec) as file:
        file.write(text.encode())

    assert_tables_equal(ps.query("SELECT count(*) AS n FROM t", t=engine.read(str(path))), [{"n": 30_000}])
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ps.InputError, match=rf"{path.name} is cut short"):
        rows(engine.read(str(path)))


@pytest.mark.parametrize(
    ("name", "content"),
    [("cut.parquet", None), ("zero.parquet", b""), ("text.parquet", b"a,b\n1,2\n"), ("not.csv.gz", b"a,b\n1,2\n"),
     ("not.csv.zst", b"a,b\n1,2\n"), ("not.arrow", b"a,b\n1,2\n")],
)  # fmt: skip
def test_a_file_that_is_not_what_its_name_says(
    engine: Engine, tmp_path: Path, name: str, content: bytes | None
) -> None:
    """A broken file is an input error, with exit code 2."""
    if content is None:
        pq.write_table(pa.table({"x": list(range(1000))}), tmp_path / name)
        content = (tmp_path / name).read_bytes()[:-20]
    (tmp_path / name).write_bytes(content)

    with pytest.raises(ps.InputError) as caught:
        rows(engine.read(str(tmp_path / name)))
    assert caught.value.exit_code == 2


def test_a_hidden_file_that_is_named_is_read(engine: Engine, save: Save) -> None:
    """Engines pass over names that start with `_` or `.`, but not where the user gives one."""
    hidden, plain = save("_a.csv", "a\n1\n"), save("b.csv", "a\n2\n")

    assert_tables_equal(engine.read([str(hidden), str(plain)]), [{"a": 1}, {"a": 2}])
    assert_tables_equal(engine.read(str(plain.parent)), [{"a": 2}])
    assert_tables_equal(engine.read(f"{plain.parent}/*.csv"), [{"a": 2}])


def test_paths_of_any_letters(engine: Engine, save: Save) -> None:
    """Spaces, percent signs, brackets and accents in a path are letters like others."""
    path = save("sp ace/é%20+[1]*{2}?.csv", "a\n1\n")
    save("sp ace/é%20+12.csv", "a\n2\n")

    assert_tables_equal(engine.read(str(path), filename=True), [{"a": 1, "filename": str(path)}])


def test_options_of_another_format(engine: Engine, save: Save) -> None:
    """An option that a format does not have, and a type for no column, are wrong uses, before anything runs."""
    path = save("a.csv", "id\n1\n")

    with pytest.raises(ps.UsageError, match='takes no option "sheet"; it takes: delimiter'):
        engine.read(str(path), sheet=1)
    with pytest.raises(ps.ColumnError, match='did you mean "id"'):
        engine.read(str(path), types={"idd": "VARCHAR"})


def test_reading_is_lazy_and_streams(duckdb_engine: Engine, save: Save) -> None:
    """A file is opened to tell its columns, and read when rows are asked for, a batch at a time."""
    path = save("lazy.csv", "a\n" + "1\n" * 300_000)
    table = duckdb_engine.read(str(path))

    path.write_text("a\n" + "2\n" * 300_000)
    first = next(duckdb_engine.batches(table))

    assert first.num_rows < 300_000
    assert first.column(0)[0].as_py() == 2


def test_gzip_in_pieces(engine: Engine, save: Save) -> None:
    """Files that were compressed apart and put together, as log shippers do, are one file."""
    path = save("a.csv.gz", gzip.compress(b"a\n1\n") + gzip.compress(b"2\n"))

    assert_tables_equal(engine.read(str(path)), [{"a": 1}, {"a": 2}])
