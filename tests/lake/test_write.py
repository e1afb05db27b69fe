"""`ps.write`: every format and mode on both engines, and nothing half-written, whatever happens to the writer."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import penstock as ps
from penstock.engines import partitions
from penstock.engines.engine import Engine, Table
from penstock.testing import assert_tables_equal

MakeTable = Callable[..., Table]

ROWS = [
    {
        "k": "a",
        "n": 1,
        "x": 0.5,
        "day": date(2026, 3, 1),
        "ts": datetime(2026, 3, 1, 10, 0, 0, 5),
        "d": Decimal("1.50"),
    },
    {"k": "b", "n": None, "x": -2.0, "day": date(2026, 3, 2), "ts": datetime(2026, 3, 1, 11), "d": None},
    {"k": 'say "hi", you\nthere', "n": 3, "x": None, "day": None, "ts": None, "d": Decimal("0.25")},
]


def hidden(folder: Path) -> list[str]:
    """What a write left beside its target."""
    return [name for name in os.listdir(folder) if name.startswith(".")]


@pytest.mark.parametrize("name", ["out.parquet", "out.csv", "out.csv.gz", "out.tsv", "out.ndjson", "out.arrow"])
def test_one_file_of_every_format_reads_back(engine: Engine, table: MakeTable, tmp_path: Path, name: str) -> None:
    """A path with a format's ending becomes that one file, and holds the same rows."""
    written = ps.write(table(ROWS), tmp_path / name)

    assert written.rows == len(ROWS)
    assert written.bytes == (tmp_path / name).stat().st_size
    assert os.listdir(tmp_path) == [name]
    types = {"types": {"ts": "TIMESTAMP"}} if name.endswith("ndjson") else {}  # JSON has no times, only texts
    assert_tables_equal(engine.read(str(tmp_path / name), **types), ROWS)


def test_a_folder_holds_only_data_files(engine: Engine, table: MakeTable, tmp_path: Path) -> None:
    """A path without an ending becomes a folder of Parquet files: few for few rows, and nothing of the engine's own."""
    written = ps.write(table(ROWS), tmp_path / "out")

    names = os.listdir(tmp_path / "out")
    assert len(names) == len(written.files) == 1
    assert names[0].endswith(".parquet")
    assert_tables_equal(engine.read(str(tmp_path / "out")), ROWS)


def test_partitions_become_folders(engine: Engine, table: MakeTable, tmp_path: Path) -> None:
    """The values of `partition_by` name folders and come back as columns, null and awkward text included."""
    rows = [{"k": k, "v": number} for number, k in enumerate(["a", "a/b", "ü =%", None, "a"])]

    ps.write(table(rows), tmp_path / "out", partition_by="k")

    assert len(os.listdir(tmp_path / "out")) == 4
    back = ps.aggregate(engine.read(str(tmp_path / "out")), "k", n="count(*)", v="sum(v)")
    expected = [{"k": "a", "n": 2, "v": 4}, {"k": "a/b", "n": 1, "v": 1}, {"k": "ü =%", "n": 1, "v": 2}]
    assert_tables_equal(back, [*expected, {"k": None, "n": 1, "v": 3}])


def test_modes(engine: Engine, table: MakeTable, tmp_path: Path) -> None:
    """error refuses, append adds, overwrite_partitions replaces what it has rows for, overwrite replaces all."""
    out = tmp_path / "out"
    first, second = [{"k": "a", "v": 1}, {"k": "b", "v": 2}], [{"k": "b", "v": 3}]
    ps.write(table(first), out, partition_by="k")

    with pytest.raises(ps.OutputError, match='mode="overwrite"'):
        ps.write(table(second), out, partition_by="k")

    def rows_after(mode: str) -> list[tuple[str, int]]:
        ps.write(table(second), out, partition_by="k", mode=mode)
        found = engine.batches(engine.read(str(out))).read_all()
        return sorted((row["k"], row["v"]) for row in found.to_pylist())

    assert rows_after("append") == [("a", 1), ("b", 2), ("b", 3)]
    assert rows_after("overwrite_partitions") == [("a", 1), ("b", 3)]
    assert rows_after("overwrite") == [("b", 3)]
    assert hidden(tmp_path) == []


def test_sorted_files_are_in_order_from_first_to_last(engine: Engine, tmp_path: Path) -> None:
    """`sort_by` orders the rows over all files, in the order of their names; the target size makes several files."""
    texts = [hashlib.md5(str(i).encode()).hexdigest() for i in range(300_000)]
    rows = pa.table({"v": [(i * 7919) % 300_007 for i in range(300_000)], "text": texts})

    written = ps.write(engine.adopt(rows), tmp_path / "out", sort_by="v desc", target_file_size="1MB")

    values = [
        v
        for name in sorted(os.listdir(tmp_path / "out"))
        for v in pq.read_table(tmp_path / "out" / name)["v"].to_pylist()
    ]
    assert len(written.files) > 1
    assert values == sorted(rows["v"].to_pylist(), reverse=True)


def test_each_partition_is_in_order(engine: Engine, tmp_path: Path) -> None:
    """With `partition_by`, `sort_by` orders the rows of every file."""
    rows = pa.table({"k": [i % 3 for i in range(30_000)], "v": [(i * 7919) % 30_011 for i in range(30_000)]})

    ps.write(engine.adopt(rows), tmp_path / "out", partition_by="k", sort_by="v")

    files = list((tmp_path / "out").rglob("*.parquet"))
    assert len(files) >= 3
    for file in files:
        values = pq.ParquetFile(file).read()["v"].to_pylist()
        assert values == sorted(values)


def test_a_table_without_rows_keeps_its_columns(engine: Engine, table: MakeTable, tmp_path: Path) -> None:
    """An empty result is written too, so that what reads it later finds its columns."""
    empty = ps.where(table(ROWS), "n > 100")

    written = ps.write(empty, tmp_path / "out")

    assert written.rows == 0
    assert list(engine.columns(engine.read(str(tmp_path / "out")))) == list(ROWS[0])


def test_two_writers_append_at_once(tmp_path: Path) -> None:
    """Writers that add to one folder at the same time wait for each other: every row is there at the end."""
    out = tmp_path / "out"
    errors: list[Exception] = []

    def add(writer: int) -> None:
        try:
            with ps.connect("duckdb") as engine:
                for turn in range(5):
                    ps.write(engine.adopt(pa.table({"v": [writer * 10 + turn]})), out, mode="append")
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=add, args=(writer,)) for writer in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []
    assert sorted(pq.read_table(out)["v"].to_pylist()) == [w * 10 + t for w in range(4) for t in range(5)]


# A writer that never stops by itself: one version of the folder after another, each of many files.
WRITER = """
import sys, itertools, pyarrow as pa, penstock as ps
out, mode, first = sys.argv[1], sys.argv[2], int(sys.argv[3])
for version in itertools.count(first):
    rows = pa.table({"k": [i % 40 for i in range(4000)], "v": [version] * 4000})
    ps.write(ps.adopt(rows), out, partition_by="k", mode=mode)
    print("written", flush=True)
"""


@pytest.mark.parametrize("mode", ["overwrite", "append"])
def test_a_writer_killed_at_any_instant_leaves_a_whole_version(tmp_path: Path, mode: str) -> None:
    """After kill -9 at 5 instants of chance (10 with both modes) a reader finds whole versions only, and the next
    write clears away what the killed ones left."""
    out = tmp_path / "out"
    chance = random.Random(mode)
    seen: set[int] = set()
    for kill in range(5):
        command = [sys.executable, "-c", WRITER, str(out), mode, str(1000 * kill)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            time.sleep(chance.uniform(0.05, 1.2))
            writer.send_signal(signal.SIGKILL)
        counts = pq.read_table(out)["v"].value_counts().to_pylist()
        assert all(each["counts"] == 4000 for each in counts)
        assert mode == "append" or len(counts) == 1
        seen.update(each["values"] for each in counts)

    ps.write(ps.adopt(pa.table({"k": [1], "v": [-1]})), out, partition_by="k", mode="overwrite")

    assert len(seen) >= 5
    assert hidden(tmp_path) == []


FULL_DISK = """
import resource, signal, sys, pyarrow as pa, penstock as ps
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
rows = pa.table({"v": [i * 7919 % 1000003 for i in range(400_000)]})
table = ps.adopt(rows)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    ps.write(table, sys.argv[1], mode="overwrite")
except ps.OutputError as error:
    print(error)
"""


def test_a_full_disk_leaves_the_old_output(tmp_path: Path) -> None:
    """A write that the disk has no room for says so, and the output is what it was."""
    out = tmp_path / "out"
    ps.write(ps.adopt([{"v": 1}]), out)

    told = subprocess.run([sys.executable, "-c", FULL_DISK, str(out)], capture_output=True, text=True)

    assert "what was there before is intact" in told.stdout, told.stderr
    assert pq.read_table(out)["v"].to_pylist() == [1]
    assert hidden(tmp_path) == []


def test_many_partitions_in_little_memory(tmp_path: Path) -> None:
    """2 000 partitions are written with DuckDB limited to 500 MB: open writers are bounded."""
    with ps.connect("duckdb", memory="500MB", scratch=str(tmp_path / "scratch")) as engine:
        rows = engine.query("SELECT i % 2000 AS k, i, md5(i::VARCHAR) AS text FROM range(1_000_000) AS r(i)", {})

        written = ps.write(rows, tmp_path / "out", partition_by="k")

    assert written.rows == 1_000_000
    assert len(os.listdir(tmp_path / "out")) == 2000


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"partition_by": "kk"}, ps.ColumnError, 'did you mean "k"'),
        ({"sort_by": "vv"}, ps.ColumnError, 'no column "vv"'),
        ({"mode": "replace"}, ps.UsageError, "overwrite"),
        ({"format": "xlsx"}, ps.UsageError, "parquet"),
        ({"compression": "rar"}, ps.UsageError, "zstd"),
        ({"target_file_size": "big"}, ps.UsageError, "256MB"),
        ({"partition_by": ["k", "v"]}, ps.UsageError, "nothing for the files"),
        ({"mode": "overwrite_partitions"}, ps.UsageError, "partition_by"),
    ],
)
def test_a_wrong_call_says_what_to_do(tmp_path: Path, options: dict[str, Any], error: type, message: str) -> None:
    """A wrong option is refused before anything runs, and nothing appears."""
    with pytest.raises(error, match=message):
        ps.write(ps.adopt([{"k": "a", "v": 1}]), tmp_path / "out", **options)

    assert os.listdir(tmp_path) == []


def test_a_path_that_cannot_be_is_refused(tmp_path: Path) -> None:
    """A file where a folder is asked for, or a path below a file, is named in the error."""
    (tmp_path / "file").write_text("")

    with pytest.raises(ps.OutputError, match="is a file"):
        ps.write(ps.adopt([{"v": 1}]), tmp_path / "file" / "out")


def test_many_partitions_are_written_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many partitions and in whatever order their rows come: one file each, and one of them open at a time."""
    opened: list[int] = [0]
    most = 0

    class Counted(pq.ParquetWriter):  # type: ignore[misc]
        """Parquet's writer, counted while it is open."""

        def __init__(self, *arguments: Any, **options: Any) -> None:
            nonlocal most
            super().__init__(*arguments, **options)
            opened[0] += 1
            most = max(most, opened[0])

        def close(self) -> None:
            """Close it."""
            opened[0] -= self.is_open
            super().close()

    monkeypatch.setattr(pq, "ParquetWriter", Counted)
    rows = pa.table({"k": [i * 7919 % 3000 for i in range(15_000)], "v": range(15_000)})

    written = ps.write(ps.adopt(rows), tmp_path / "out", partition_by="k")

    assert (len(written.files), written.rows, most, opened) == (3000, 15_000, 1, [0])


def test_folders_are_named_alike_however_many_there_are(
    duckdb_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Few partitions go another way than many: the folders have the same names, the files the same types and rows."""
    data = pa.table(
        {
            "k": ["a/b", "ü =%", None, "007", "'[#"],
            "t": [
                datetime(2026, 1, 1),
                datetime(2026, 1, 1, 2, 3, 4, 5),
                None,
                datetime(1, 1, 1),
                datetime(2026, 1, 1),
            ],
            "x": [0.1, -1.5, None, 1e300, 3.0],
            "d": pa.array([Decimal("1.50"), None, None, None, None], pa.decimal128(9, 2)),
            "z": pa.array([datetime(2026, 1, 1)] * 5, pa.timestamp("us", "UTC")),
            "l": [[{"a": 1}], [], None, [None], [{"a": None}]],
        }
    )
    few, many = tmp_path / "few", tmp_path / "many"
    ps.write(duckdb_engine.adopt(data), few, partition_by=["k", "t", "x"])
    monkeypatch.setattr(partitions, "MANY", 0)
    ps.write(duckdb_engine.adopt(data), many, partition_by=["k", "t", "x"])

    folders = [sorted(str(file.parent.relative_to(out)) for file in out.rglob("*.parquet")) for out in (few, many)]
    assert folders[0] == folders[1]
    one, other = (duckdb_engine.read(str(out)) for out in (few, many))
    assert duckdb_engine.columns(one) == duckdb_engine.columns(other)
    assert_tables_equal(one, other)


def test_large_partitions_are_split_by_size(
    duckdb_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A partition that is larger than a file is to be has several, in order where an order was asked for."""
    monkeypatch.setattr(partitions, "ROWS", 1_000)
    noise = random.Random(2)
    data = pa.table({"k": [i % 3 for i in range(30_000)], "v": [noise.random() for _ in range(30_000)]})

    ps.write(duckdb_engine.adopt(data), tmp_path / "out", partition_by="k", sort_by="v desc", target_file_size="20KB")

    for folder in (tmp_path / "out").iterdir():
        files = sorted(folder.iterdir())
        values = [v for file in files for v in pq.ParquetFile(file).read()["v"].to_pylist()]
        assert 3 <= len(files) <= 6
        assert values == sorted(values, reverse=True)


def test_a_small_partition_is_one_file(engine: Engine, tmp_path: Path) -> None:
    """Rows that come in any order, from several tasks or threads, make one file a partition on either engine."""
    rows = pa.table({"k": [i * 7919 % 150 for i in range(3_000)], "v": range(3_000)})

    written = ps.write(engine.adopt(rows), tmp_path / "out", partition_by="k")

    assert len(written.files) == len(os.listdir(tmp_path / "out")) == 150
