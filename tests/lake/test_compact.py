"""`ps.compact`: fewer files, the same rows, and one whole version at any instant."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import datetime
from datetime import time as time_of_day
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock as ps
from penstock.engines.engine import Engine, Table
from penstock.lake import compact as module
from penstock.testing import assert_tables_equal

MakeTable = Callable[..., Table]


def lay(root: Path, files: dict[str, pa.Table]) -> Path:
    """Write files below a folder, by their names."""
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(data, root / name)
    return root


def names(root: Path) -> list[str]:
    """The files below a folder, in order."""
    return sorted(file.relative_to(root).as_posix() for file in root.rglob("*.p*q*"))


def values(root: Path) -> list[Any]:
    """The column v, in the order of the files' names."""
    return [v for name in names(root) for v in pq.ParquetFile(root / name).read()["v"].to_pylist()]


def test_small_files_of_a_partition_become_one(engine: Engine, table: MakeTable, tmp_path: Path) -> None:
    """Each folder's small files become one, either engine reads the same rows as before, and nothing is left over."""
    out = tmp_path / "out"
    rows = [{"v": v, "k": k} for v in range(12) for k in ("007", "a/b", None)]
    for start in range(0, 36, 9):
        ps.write(table(rows[start : start + 9]), out, partition_by="k", mode="append")

    done = ps.compact(out)

    assert (done.folders, done.files_after, len(names(out))) == (3, 3, 3)
    assert done.files_before > 3
    assert done.bytes_after == sum((out / name).stat().st_size for name in names(out))
    assert_tables_equal(engine.read(str(out)), rows)
    assert os.listdir(tmp_path) == ["out"]


def test_a_dry_run_says_what_it_would_do(tmp_path: Path) -> None:
    """With dry_run the plan names the files, and nothing changes."""
    root = lay(tmp_path / "out", {f"k=1/{n}.parquet": pa.table({"v": [n]}) for n in range(3)})
    before = names(root)

    told = ps.compact(root, dry_run=True)

    assert told.plan[0].files == ("k=1/0.parquet", "k=1/1.parquet", "k=1/2.parquet")
    assert (told.files_before, told.files_after, told.bytes_after) == (3, 1, None)
    assert names(root) == before


def test_what_is_large_enough_is_left_alone(tmp_path: Path) -> None:
    """A file of half the target size or more stays the very same file; small ones fill a file up to the target."""
    noise = random.Random(1)
    big = pa.table({"v": [noise.random() for _ in range(4000)]})
    files = {f"{n}.parquet": big if n == 2 else big.slice(0, 1000) for n in range(8)}
    root = lay(tmp_path / "out", files)
    size, inode = os.path.getsize(root / "0.parquet"), os.stat(root / "2.parquet").st_ino

    ps.compact(root, target_file_size=int(3.5 * size))

    assert os.stat(root / "2.parquet").st_ino == inode
    assert len(names(root)) == 1 + 3
    assert all(os.path.getsize(root / name) < 4 * size for name in names(root) if name != "2.parquet")


def test_a_second_run_has_nothing_to_do(tmp_path: Path) -> None:
    """What is compacted stays as it is: no file is written again."""
    root = lay(tmp_path / "out", {f"{n}.parquet": pa.table({"v": [n]}) for n in range(5)})
    ps.compact(root)
    before = os.stat(root / names(root)[0])

    assert ps.compact(root).plan == ()
    assert os.stat(root / names(root)[0]).st_ino == before.st_ino


@pytest.mark.parametrize("name", ["part-0badcafe-{:05}.parquet", "part-{:05}-d9b3-c000.snappy.parquet", "{:02}.pq"])
def test_sorted_files_stay_in_order(tmp_path: Path, name: str) -> None:
    """The rows stand in the order of the files' names, also after several rounds with growing sizes."""
    order = list(range(0, 40_000, 4))
    slices = {name.format(n): pa.table({"v": order[n * 250 : (n + 1) * 250]}) for n in range(40)}
    root = lay(tmp_path / "out", slices)

    for size in ("5KB", "20KB", "40KB"):
        ps.compact(root, size)

    assert 1 < len(names(root)) < 20
    assert values(root) == order


def test_types_are_those_that_were(tmp_path: Path) -> None:
    """Schema, field ids, metadata and compression come out as they went in, also where no engine has the type."""
    schema = pa.schema(
        [
            pa.field("ns", pa.timestamp("ns")),
            pa.field("zoned", pa.timestamp("us", "UTC")),
            pa.field("u64", pa.uint64()),
            pa.field("f16", pa.float16()),
            pa.field("at", pa.time64("us")),
            pa.field("id", pa.uuid()),
            pa.field("word", pa.dictionary(pa.int32(), pa.string())),
            pa.field("d", pa.decimal128(9, 2), metadata={b"PARQUET:field_id": b"7"}),
            pa.field("deep", pa.list_(pa.struct([("x", pa.int8()), ("m", pa.map_(pa.string(), pa.int32()))]))),
            pa.field("must", pa.int32(), nullable=False),
        ],
        metadata={b"owner": b"us"},
    )
    row = {
        "ns": datetime(2262, 1, 1), "zoned": datetime(2026, 1, 1), "u64": 2**64 - 1, "f16": 0.5,
        "at": time_of_day(10, 0), "id": UUID(int=5).bytes, "word": "a", "d": Decimal("1.25"),
        "deep": [{"x": 1, "m": [("a", 1)]}, None], "must": 1,
    }  # fmt: skip
    empty = dict.fromkeys(row) | {"must": 2}
    for number, rows in enumerate([[row], [empty, row], []]):
        (tmp_path / "out").mkdir(exist_ok=True)
        data = pa.Table.from_pylist(rows, schema)
        pq.write_table(data, tmp_path / "out" / f"{number}.parquet", compression="gzip")
    before = pq.ParquetFile(tmp_path / "out" / "0.parquet", arrow_extensions_enabled=True)

    ps.compact(tmp_path / "out")

    after = pq.ParquetFile(tmp_path / "out" / names(tmp_path / "out")[0], arrow_extensions_enabled=True)
    assert after.schema_arrow.equals(before.schema_arrow, check_metadata=True)
    assert after.schema.equals(before.schema)
    assert after.metadata.row_group(0).column(0).compression == "GZIP"
    assert after.read().equals(pa.Table.from_pylist([row, empty, row], schema))


def test_old_times_of_96_bits_stay_so(tmp_path: Path) -> None:
    """Timestamps that Spark and Impala wrote as INT96 keep their form and value, beyond what nanoseconds reach too."""
    data = pa.table({"v": pa.array([datetime(1, 1, 1), datetime(9999, 12, 31, 1, 2, 3, 4)], pa.timestamp("us"))})
    (tmp_path / "out").mkdir()
    for name in "ab":
        pq.write_table(data, tmp_path / "out" / f"{name}.parquet", use_deprecated_int96_timestamps=True)

    ps.compact(tmp_path / "out")

    (name,) = names(tmp_path / "out")
    file = pq.ParquetFile(tmp_path / "out" / name, coerce_int96_timestamp_unit="us")
    assert file.metadata.schema.column(0).physical_type == "INT96"
    assert file.read()["v"].to_pylist() == data["v"].to_pylist() * 2


def test_files_of_other_columns_stay_apart(engine: Engine, tmp_path: Path) -> None:
    """Files from before a column came are put together among themselves: no row gains or loses a column."""
    root = tmp_path / "out"
    for n in range(4):
        lay(root, {f"{n}.parquet": pa.table({"v": [n], "w": [n]}) if n % 2 else pa.table({"v": [n]})})

    ps.compact(root)

    assert sorted(pq.read_schema(root / name).names for name in names(root)) == [["v"], ["v", "w"]]
    expected = [{"v": n, "w": n if n % 2 else None} for n in range(4)]
    assert_tables_equal(engine.read(str(root)), expected)


def test_a_batch_can_still_be_replaced(tmp_path: Path) -> None:
    """Writing a batch anew replaces its rows where they were put together alone, and never those of other batches."""
    out = tmp_path / "out"
    for batch, v in (("one", 1), ("two", 2)):
        for part in ("a", "b"):
            ps.write(ps.adopt(pa.table({"v": [v], "part": [part]})), out, mode="append", batch=f"{batch}{part}")
    ps.compact(out)

    ps.write(ps.adopt(pa.table({"v": [9], "part": ["a"]})), out, mode="append", batch="onea")

    assert sorted(values(out)) == [1, 1, 2, 2, 9]


PARTS = st.lists(
    st.tuples(st.sampled_from(["007", "7", "__HIVE_DEFAULT_PARTITION__", "a%2Fb"]), st.lists(st.integers(-9, 9))),
    min_size=1, max_size=12,
)  # fmt: skip


@given(PARTS, st.sampled_from([1, 900, 2_000, 10**9]))
def test_any_split_has_the_same_rows_afterwards(parts: list[tuple[str, list[int]]], target: int) -> None:
    """However rows are split into files and folders, and whatever the size: each folder has its rows, in order."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "out")
        files = {f"k={k}/{n:03}.parquet": pa.table({"v": pa.array(v, pa.int64())}) for n, (k, v) in enumerate(parts)}
        lay(root, files)

        done = ps.compact(root, target)

        for k, _ in parts:
            assert values(root / f"k={k}") == [v for other, part in parts if other == k for v in part]
        assert done.files_after == len(names(root)) <= len(parts) == done.files_before


# -- others at work ----------------------------------------------------------------------------------------------------


def test_what_others_write_meanwhile_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An append during a compaction stays, and a partition that was replaced meanwhile does not come back."""
    out = tmp_path / "out"
    for v in range(3):
        ps.write(ps.adopt(pa.table({"k": ["a", "b"], "v": [v, v]})), out, partition_by="k", mode="append")
    write_all = module._write_all

    def disturbed(*arguments: Any) -> None:
        write_all(*arguments)
        ps.write(ps.adopt(pa.table({"k": ["a"], "v": [10]})), out, partition_by="k", mode="overwrite_partitions")
        ps.write(ps.adopt(pa.table({"k": ["b"], "v": [11]})), out, partition_by="k", mode="append")

    monkeypatch.setattr(module, "_write_all", disturbed)
    done = ps.compact(out)

    assert values(out / "k=a") == [10]
    assert sorted(values(out / "k=b")) == [0, 1, 2, 11]
    assert (done.folders, done.files_after) == (1, 3)


def test_files_that_vanish_while_they_are_read_are_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where another writer replaces the folder under its hands, a compaction changes nothing of the new version."""
    out = tmp_path / "out"
    for v in range(3):
        ps.write(ps.adopt(pa.table({"v": [v]})), out, mode="append")
    write_all = module._write_all

    def disturbed(*arguments: Any) -> None:
        ps.write(ps.adopt(pa.table({"v": [10]})), out, mode="overwrite")
        write_all(*arguments)

    monkeypatch.setattr(module, "_write_all", disturbed)

    assert ps.compact(out).plan == ()
    assert values(out) == [10]


# A folder that fills with small files and is compacted, for ever.
COMPACTOR = """
import sys, pyarrow as pa, penstock as ps
out = sys.argv[1]
while True:
    ps.compact(out)
    print("done", flush=True)
    rows = pa.table({"k": [i % 20 for i in range(200)], "v": list(range(200))})
    for _ in range(2):
        ps.write(ps.adopt(rows), out, partition_by="k", mode="append")
"""


def test_a_kill_at_any_instant_leaves_a_whole_version(tmp_path: Path) -> None:
    """After kill -9 at instants of chance the folder holds every row as often as every other."""
    out = tmp_path / "out"
    rows = pa.table({"k": [i % 20 for i in range(200)], "v": list(range(200))})
    for _ in range(2):
        ps.write(ps.adopt(rows), out, partition_by="k", mode="append")
    chance = random.Random(5)
    for _ in range(8):
        with subprocess.Popen([sys.executable, "-c", COMPACTOR, str(out)], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(chance.uniform(0, 0.8))
            process.send_signal(signal.SIGKILL)
        counts = {each["counts"] for each in pq.read_table(out)["v"].value_counts().to_pylist()}
        assert len(counts) == 1

    ps.compact(out)
    ps.write(ps.adopt(rows), out, partition_by="k", mode="append")
    assert os.listdir(tmp_path) == ["out"]


def test_a_reader_sees_whole_versions(tmp_path: Path) -> None:
    """While files are added and put together, every read that comes through has whole writes."""
    out = tmp_path / "out"
    rows = pa.table({"k": [i % 8 for i in range(80)], "v": list(range(80))})
    ps.write(ps.adopt(rows), out, partition_by="k")
    stop, seen = threading.Event(), []

    def look() -> None:
        with ps.connect("duckdb", threads=1) as engine:
            while not stop.is_set():
                try:
                    counted = ps.aggregate(engine.read(str(out)), (), n="count(*)")
                    seen.append(engine.batches(counted).read_all()["n"][0].as_py())
                except ps.PenstockError:  # its files went while it looked: it may look again
                    continue

    reader = threading.Thread(target=look)
    reader.start()
    try:
        for _ in range(15):
            ps.write(ps.adopt(rows), out, partition_by="k", mode="append")
            ps.compact(out)
    finally:
        stop.set()
        reader.join()

    assert len(seen) >= 3
    assert all(n % 80 == 0 for n in seen)


# -- refused -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "error", "message"),
    [
        ({"a.csv": "x\n1\n"}, ps.UsageError, "a.csv, which is no Parquet file"),
        ({"_delta_log/0.json": "{}"}, ps.UsageError, "is a Delta table"),
        ({"a.parquet": "PAR1", "b.parquet": "no"}, ps.InputError, "a.parquet is not a whole Parquet file"),
    ],
)
def test_what_cannot_be_compacted_is_left(tmp_path: Path, files: dict[str, str], error: type, message: str) -> None:
    """A folder of something else, a table with a log of its files, and a broken file are refused, and stay."""
    for name, text in files.items():
        (tmp_path / "out" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "out" / name).write_text(text)

    with pytest.raises(error, match=message):
        ps.compact(tmp_path / "out")
    assert all((tmp_path / "out" / name).read_text() == text for name, text in files.items())
    assert os.listdir(tmp_path) == ["out"]


def test_a_path_that_is_no_folder(tmp_path: Path) -> None:
    """A missing folder, a file and a URL are named."""
    with pytest.raises(ps.UsageError, match="no such folder"):
        ps.compact(tmp_path / "none")
    pq.write_table(pa.table({"v": [1]}), tmp_path / "a.parquet")
    with pytest.raises(ps.UsageError, match="is no folder"):
        ps.compact(tmp_path / "a.parquet")
    with pytest.raises(ps.UsageError, match="behind a URL"):
        ps.compact("s3://bucket/lake")
