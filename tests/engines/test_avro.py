"""Avro: every kind of schema as columns, the same on both engines; broken files are told by name."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

import penstock as ps
from penstock.engines import avro_files
from penstock.engines.engine import Engine
from penstock.testing import assert_tables_equal, rows

fastavro = pytest.importorskip("fastavro", reason="pip install 'penstock[avro]'")


def record(**fields: Any) -> dict[str, Any]:
    """The schema of a record."""
    return {
        "type": "record", "name": "row", "namespace": "test",
        "fields": [{"name": n, "type": t} for n, t in fields.items()],
    }  # fmt: skip


def save(path: Path, schema: Any, records: list[Any], codec: str = "deflate") -> Path:
    """Write an Avro file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        fastavro.writer(file, schema, records, codec=codec)
    return path


def logical(kind: str, meaning: str, **more: Any) -> dict[str, Any]:
    """A logical type."""
    return {"type": kind, "logicalType": meaning, **more}


WORD = {"type": "enum", "name": "word", "symbols": ["yes", "no"]}
NOON = datetime(2024, 7, 1, 12, 0, 0, 123456)
#: A type of Avro's, a value, the column's type, and the value as it comes out.
KINDS: dict[str, tuple[Any, Any, str, Any]] = {
    "i": ("int", -1, "INTEGER", -1),
    "l": (["null", "long"], 2**40, "BIGINT", 2**40),
    "f": ("float", 0.5, "FLOAT", 0.5),
    "d": (["double", "null"], 0.1, "DOUBLE", 0.1),
    "s": ("string", "é", "VARCHAR", "é"),
    "b": ("bytes", b"\xff", "BLOB", b"\xff"),
    "ok": ("boolean", True, "BOOLEAN", True),
    "nothing": ("null", None, "VARCHAR", None),
    "number": (["int", "double", "null"], 2, "DOUBLE", 2.0),
    "fix": ({"type": "fixed", "name": "four", "size": 4}, b"1234", "BLOB", b"1234"),
    "word": (WORD, "no", "VARCHAR", "no"),
    "again": ("test.word", "yes", "VARCHAR", "yes"),
    "day": (logical("int", "date"), date(1969, 12, 31), "DATE", date(1969, 12, 31)),
    "ms": (logical("long", "timestamp-millis"), datetime(1960, 1, 1, tzinfo=UTC), "TIMESTAMP", datetime(1960, 1, 1)),
    "us": (
        ["null", logical("long", "timestamp-micros")], NOON.replace(tzinfo=timezone(timedelta(hours=2))), "TIMESTAMP",
        NOON - timedelta(hours=2),
    ),
    "ns": (logical("long", "timestamp-nanos"), 1_500_000_000, "TIMESTAMP", datetime(1970, 1, 1, 0, 0, 1, 500_000)),
    "local": (logical("long", "local-timestamp-micros"), NOON, "TIMESTAMP", NOON),
    "dec": (logical("bytes", "decimal", precision=10, scale=2), Decimal("-1.50"), "DECIMAL(10,2)", Decimal("-1.50")),
    "wide": (
        logical("fixed", "decimal", name="wide", size=16, precision=38, scale=3), Decimal("9.125"), "DECIMAL(38,3)",
        Decimal("9.125"),
    ),
    "uuid": (logical("string", "uuid"), UUID(int=7), "VARCHAR", str(UUID(int=7))),
    "t": (logical("long", "time-micros"), time(1, 2, 3, 4), "VARCHAR", "01:02:03.000004"),
    "list": ({"type": "array", "items": ["null", "int"]}, [1, None], "INTEGER[]", [1, None]),
    "map": ({"type": "map", "values": "long"}, {"k": 1}, "MAP(VARCHAR, BIGINT)", [("k", 1)]),
    "st": (
        ["null", {**record(x="int", ids={"type": "array", "items": logical("string", "uuid")}), "name": "inner"}],
        {"x": 1, "ids": [UUID(int=9)]}, "STRUCT(x INTEGER, ids VARCHAR[])", {"x": 1, "ids": [str(UUID(int=9))]},
    ),
}  # fmt: skip


def test_types_and_values(engine: Engine, tmp_path: Path) -> None:
    """Each type of Avro's is a column of one type on both engines, and null where it may be."""
    nullable = {name for name, (kind, *_) in KINDS.items() if isinstance(kind, list)}
    full = {name: value for name, (_, value, _, _) in KINDS.items()}
    path = save(
        tmp_path / "a.avro", record(**{n: k[0] for n, k in KINDS.items()}), [full, full | dict.fromkeys(nullable)]
    )

    table = engine.read(str(path))

    found = {name: kind.replace('"', "") for name, kind in engine.columns(table).items()}
    assert found == {name: kind for name, (_, _, kind, _) in KINDS.items()}
    values = sorted(rows(table), key=lambda row: row["l"] is None)
    values = [row | {"map": list(dict(row["map"]).items())} for row in values]
    expected = {name: value for name, (*_, value) in KINDS.items()}
    assert values == [expected, expected | dict.fromkeys(nullable)]


@pytest.mark.parametrize("codec", ["null", "deflate", "snappy", "zstandard", "bzip2"])
def test_codecs(codec: str, duckdb_engine: Engine, tmp_path: Path) -> None:
    """Whatever the blocks are packed with."""
    path = save(tmp_path / "a.avro", record(n="long"), [{"n": n} for n in range(3)], codec)

    assert_tables_equal(duckdb_engine.read(str(path)), [{"n": n} for n in range(3)])


def test_several_files_are_one_table(engine: Engine, tmp_path: Path) -> None:
    """A column has the wider type of two files, the order of columns does not count, and folders spell columns."""
    save(tmp_path / "k=1" / "a.avro", record(n="int", s="string"), [{"n": 1, "s": "x"}])
    save(tmp_path / "k=1" / "b.avro", record(s="string", n="long"), [{"n": 2**40, "s": "y"}])
    save(tmp_path / "k=2" / "c.avro", record(n="int", s="string"), [])

    table = engine.read(str(tmp_path))

    assert engine.columns(table) == {"n": "BIGINT", "s": "VARCHAR", "k": "BIGINT"}
    assert_tables_equal(table, [{"n": 1, "s": "x", "k": 1}, {"n": 2**40, "s": "y", "k": 1}])


def test_records_come_in_batches(duckdb_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more than a batch of records is in memory; a relation can run twice."""
    monkeypatch.setattr(avro_files, "BATCH", 10)
    path = save(tmp_path / "a.avro", record(n="long"), [{"n": n} for n in range(95)])
    opened = avro_files.opened([str(path)])

    assert [len(batch) for batch in avro_files._batches(str(path), opened.schema)] == [10] * 9 + [5]
    table = duckdb_engine.read(str(path))
    for _ in range(2):
        assert_tables_equal(ps.query("SELECT sum(n) AS s FROM t", t=table), [{"s": 4465}])


@pytest.mark.parametrize("content", [b"", b"hello world", "head", "cut"])
def test_a_broken_file_is_told(content: Any, engine: Engine, tmp_path: Path) -> None:
    """What was cut off, or is no Avro, is an error that names the file, never fewer rows."""
    path = save(tmp_path / "a.avro", record(n="long", s="string"), [{"n": n, "s": "x" * 50} for n in range(5000)])
    whole = path.read_bytes()
    path.write_bytes({"head": whole[:40], "cut": whole[:-200]}[content] if isinstance(content, str) else content)

    with pytest.raises(ps.InputError, match=r"a\.avro is not a whole Avro file: .*; fetch or write it again"):
        rows(engine.read(str(path)))


@pytest.mark.parametrize(
    ("schema", "value", "message"),
    [
        (record(x=["int", "string"]), {"x": 1}, "values of several types in one column"),
        (record(x=["null", "row"]), {"x": None}, "within itself"),
        ("int", 5, "holds no records"),
    ],
)
def test_what_is_no_column_is_refused(
    schema: Any, value: Any, message: str, duckdb_engine: Engine, tmp_path: Path
) -> None:
    """A union of unlike types, a record that holds itself and bare values have no place in a table."""
    path = save(tmp_path / "a.avro", schema, [value])

    with pytest.raises(ps.InputError, match=message):
        duckdb_engine.read(str(path))


def test_unlike_types_and_unlike_columns_are_refused(duckdb_engine: Engine, tmp_path: Path) -> None:
    """Files that do not fit together are told before anything runs."""
    save(tmp_path / "t" / "1.avro", record(x="int"), [])
    save(tmp_path / "t" / "2.avro", record(x={"type": "array", "items": "int"}), [])
    save(tmp_path / "c" / "1.avro", record(x="int"), [])
    save(tmp_path / "c" / "2.avro", record(y="int"), [])

    with pytest.raises(ps.InputError, match="unlike types"):
        duckdb_engine.read(str(tmp_path / "t"))
    with pytest.raises(ps.InputError, match=r"2\.avro has the columns y"):
        duckdb_engine.read(str(tmp_path / "c"))


def test_convert(tmp_path: Path) -> None:
    """`penstock convert` writes what it reads."""
    path = save(tmp_path / "x.avro", record(n="long"), [{"n": 1}, {"n": 2}])

    code = "from penstock.cli.main import main; main()"
    subprocess.run(
        [sys.executable, "-c", code, "convert", str(path), "-o", str(tmp_path / "y.parquet")],
        check=True, capture_output=True,
    )  # fmt: skip

    assert_tables_equal(ps.read(str(tmp_path / "y.parquet")), [{"n": 1}, {"n": 2}])


def test_without_the_package(duckdb_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error is the line to type."""
    path = save(tmp_path / "a.avro", record(n="long"), [])
    monkeypatch.setitem(sys.modules, "fastavro", None)

    with pytest.raises(ps.MissingExtra, match=r"pip install 'penstock\[avro\]'"):
        duckdb_engine.read(str(path))
