"""`bad="quarantine"`: every row says its file and its line, on both engines, however the files are cut into tasks."""

from __future__ import annotations

import gzip
import os
import random
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import penstock as ps
from penstock.engines.engine import Engine, Table
from penstock.testing import assert_tables_equal, rows

LOG = 'h - - [28/Feb/2023:00:00:00 +0000] "GET /{} HTTP/1.1" 200 5'
ENDS = ["\n", "\r\n", "\r", "\n\n", "\r\n\r\n", "\r\r", "\r\n\n", "\n\r"]


def places(table: Table, *columns: str) -> list[tuple[Any, ...]]:
    """The rows' places and some columns, sorted."""
    found = ([row["source_file"], row["source_line"], *(row[column] for column in columns)] for row in rows(table))
    return sorted(map(tuple, found), key=str)


def numbered(path: Path, text: str) -> list[tuple[str, int, str]]:
    """What the lines of a text are, plainly: each with its number, the empty ones left out."""
    lines = re.split(r"\r\n|\n|\r", text)
    return [(str(path), number, line) for number, line in enumerate(lines, 1) if line]


@pytest.fixture
def blocks_of(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], None]]:
    """Have files read in blocks of so many bytes: blocks of lines on DuckDB, splits and tasks on Spark."""
    settings = {"spark.sql.files.maxPartitionBytes", "spark.sql.files.openCostInBytes"}
    session = getattr(engine, "session", None)
    before = {key: session.conf.get(key) for key in settings} if session else {}

    def cut(size: int) -> None:
        monkeypatch.setattr("penstock.engines.lines.BLOCK", size)
        if session:
            session.conf.set("spark.sql.files.maxPartitionBytes", size)
            session.conf.set("spark.sql.files.openCostInBytes", size // 8)

    yield cut
    for key, value in before.items():
        session.conf.set(key, value)


@contextmanager
def within(folder: Path) -> Iterator[None]:
    """The folder as the working directory."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def test_each_format_says_where_its_rows_stand(engine: Engine, tmp_path: Path) -> None:
    """Headers and empty lines count, and are no rows; the columns come after `raw`."""
    texts = {
        "a.csv": "k,v\n1,2\n\nx\n3,4\n",
        "a.tsv": "k\tv\n1\t2\n\nx\n3\t4\n",
        "a.ndjson": '\n{"k":1,"v":2}\n\nx\n{"k":3,"v":4}\n',
        "a.log": "\n".join(["", LOG.format(1), "", "x", LOG.format(3)]),
    }
    for name, text in texts.items():
        path = tmp_path / name
        path.write_text(text)

        table = engine.read(str(path), bad="quarantine")

        assert list(engine.columns(table))[-3:] == ["raw", "source_file", "source_line"]
        assert engine.columns(table)["source_line"] == "BIGINT"
        assert places(table, "raw") == [(str(path), 2, None), (str(path), 4, "x"), (str(path), 5, None)]


def test_null_has_no_places(engine: Engine, tmp_path: Path) -> None:
    """bad="null" adds `raw` alone, and a log without `bad` has no place either."""
    (tmp_path / "a.csv").write_text("k\n1\n")
    (tmp_path / "a.log").write_text(LOG.format(1))

    assert list(engine.columns(engine.read(str(tmp_path / "a.csv"), bad="null"))) == ["k", "raw"]
    assert list(engine.columns(engine.read(str(tmp_path / "a.log"))))[-1] == "raw"


@pytest.mark.parametrize("size", [64, 100, 1 << 20])
def test_many_files_in_many_blocks(size: int, engine: Engine, tmp_path: Path, blocks_of: Callable[[int], None]) -> None:
    """Plain files cut in the middle, small gzip files put together into one task: each line has its own number."""
    blocks_of(size)
    rng = random.Random(size)
    expected = []
    for number in range(9):
        end = "\n" if size < 1 << 20 else rng.choice(ENDS)
        lines = [f'{{"n":{number},"t":"{"x" * rng.randrange(30)}"}}' for _ in range(rng.randrange(1, 60))]
        text = "".join(line + end * rng.choice([1, 1, 1, 2]) for line in lines)
        path = tmp_path / f"{number}.ndjson{'.gz' if number % 3 == 0 else ''}"
        path.write_bytes(gzip.compress(text.encode()) if number % 3 == 0 else text.encode())
        expected += numbered(path, text)

    table = engine.read(str(tmp_path), bad="quarantine")

    found = places(ps.derive(table, line="""'{"n":' || n::VARCHAR || ',"t":"' || t || '"}'"""), "line")
    assert found == sorted(expected, key=str)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 64])
def test_line_ends_of_any_kind_between_blocks(
    size: int, duckdb_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    r"""\r\n is one line end also where a block breaks between the two."""
    monkeypatch.setattr("penstock.engines.lines.BLOCK", size)
    rng = random.Random(size)
    expected = []
    for number in range(25):
        text = "".join(rng.choice(["a", "bc", ""]) + rng.choice(ENDS) for _ in range(rng.randrange(1, 12)))
        path = tmp_path / f"{number}.log"
        path.write_bytes(b"\xef\xbb\xbf" * (number % 2) + text.encode())
        expected += numbered(path, text)

    assert places(duckdb_engine.read(str(tmp_path), bad="quarantine"), "raw") == sorted(expected, key=str)


def test_line_ends_of_any_kind_on_spark(spark_engine: Engine, tmp_path: Path) -> None:
    """Spark takes the same for a line end."""
    text = "".join(f"{number}{end}" for number, end in enumerate(ENDS * 3))
    (tmp_path / "a.log").write_bytes(text.encode())

    found = places(spark_engine.read(str(tmp_path / "a.log"), bad="quarantine"), "raw")

    assert found == sorted(numbered(tmp_path / "a.log", text), key=str)


def test_a_file_is_called_as_it_was_found(engine: Engine, tmp_path: Path) -> None:
    """A relative name stays relative, an absolute one absolute, with letters of any kind; together too."""
    (tmp_path / "in here").mkdir()
    names = ["in here/a+b %20é.log", "in here/c.log"]
    for name in names:
        (tmp_path / name).write_text("x\n")

    def found(path: Any) -> list[str]:
        return sorted(row["source_file"] for row in rows(engine.read(path, bad="quarantine")))

    with within(tmp_path):
        assert found("in here") == names
        assert found("./in here/*.log") == [f"./{name}" for name in names]
        assert found([names[0], str(tmp_path / names[1])]) == sorted([names[0], str(tmp_path / names[1])])
    assert found(str(tmp_path)) == [str(tmp_path / name) for name in names]


def test_places_beside_hive_columns(engine: Engine, tmp_path: Path) -> None:
    """Columns that folders spell come before `raw`, whatever they are called."""
    for value in (1, 2):
        folder = tmp_path / f"line={value}" / f"good={value}" / f"value={value}"
        folder.mkdir(parents=True)
        (folder / "a.csv").write_text("x\n7\n\n" + "8\n" * value)

    table = engine.read(str(tmp_path), bad="quarantine")

    assert list(engine.columns(table)) == ["x", "line", "good", "value", "raw", "source_file", "source_line"]
    here = [row | {"source_file": row["source_file"][-5:]} for row in rows(table)]
    common = {"raw": None, "source_file": "a.csv"}
    expected = [(1, 7, 2), (1, 8, 4), (2, 7, 2), (2, 8, 4), (2, 8, 5)]
    assert_tables_equal(
        here, [{"x": x, "line": v, "good": v, "value": v, **common, "source_line": n} for v, x, n in expected]
    )


def test_compression_that_spark_lacks(engine: Engine, tmp_path: Path) -> None:
    """What is staged for Spark keeps its places."""
    path = tmp_path / "a.csv.zst"
    path.write_bytes(pa.compress(b"k\n1\n\n2,3\n", "zstd", asbytes=True))

    assert places(engine.read(str(path), bad="quarantine"), "raw") == [(str(path), 2, None), (str(path), 4, "2,3")]


def test_the_places_can_be_counted_and_filtered(engine: Engine, tmp_path: Path) -> None:
    """What is built on the rows sees the same places, whatever the plan leaves out."""
    for name in "ab":
        (tmp_path / f"{name}.csv").write_text("k\n" + "1\n" * 50 + "x,y\n" + "2\n" * 50)
    table = engine.read(str(tmp_path), bad="quarantine")

    wrong = ps.where(table, "raw IS NOT NULL")
    assert places(wrong, "raw") == [(str(tmp_path / f"{name}.csv"), 52, "x,y") for name in "ab"]
    last = ps.aggregate(ps.where(table, "k = 2"), "source_file", n="count(*)", last="max(source_line)")
    assert_tables_equal(last, [{"source_file": str(tmp_path / f"{n}.csv"), "n": 50, "last": 102} for n in "ab"])
    assert_tables_equal(
        ps.aggregate(table, "k", n="count(*)"), [{"k": k, "n": n} for k, n in [(1, 100), (2, 100), (None, 2)]]
    )


def test_spark_counts_lines_only_where_they_are_asked_for(spark_engine: Engine, tmp_path: Path) -> None:
    """The scan that counts the lines is left out of a plan that does not need it."""
    (tmp_path / "a.csv").write_text("k\n1\n")
    table = spark_engine.read(str(tmp_path / "a.csv"), bad="quarantine")

    def scans(found: Table) -> int:
        return len(re.findall(r"FileScan text", spark_engine.explain(found)))

    assert scans(ps.query("SELECT k, source_file, raw FROM t", t=table)) == 1
    assert scans(table) == 2


@pytest.mark.parametrize("name", ["raw", "source_file", "Source_Line"])
def test_a_column_of_the_same_name_is_refused(name: str, engine: Engine, tmp_path: Path) -> None:
    """A file or a folder that has such a column of its own is told so, and bad="null" minds `raw` alone."""
    (tmp_path / "a.csv").write_text(f"{name},b\n1,2\n")
    (tmp_path / f"{name}=1").mkdir()
    (tmp_path / f"{name}=1" / "a.csv").write_text("a\n1\n")

    for path in (tmp_path / "a.csv", tmp_path / f"{name}=1"):
        source = str(path) if path.is_file() else str(tmp_path / "*" / "a.csv")
        with pytest.raises(ps.UsageError, match=f'has a column "{name}" of its own; read it with bad="error"'):
            engine.read(source, bad="quarantine")
    if name != "raw":
        assert name in engine.columns(engine.read(str(tmp_path / "a.csv"), bad="null"))


def test_a_file_that_is_named_twice_is_refused(engine: Engine, tmp_path: Path) -> None:
    """A line would have two places."""
    (tmp_path / "a.csv").write_text("k\n1\n")

    with pytest.raises(ps.UsageError, match="named twice"):
        engine.read([str(tmp_path / "a.csv"), f"{tmp_path}/./a.csv"], bad="quarantine")
