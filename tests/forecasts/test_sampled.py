"""Samples of files: runs of rows that stand together, few bytes of what is large, all rows of what is small."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.orc
import pyarrow.parquet as pq
import pytest

from penstock.figures import exact
from penstock.forecasts import parquet_samples, text_samples
from penstock.forecasts.cluster import Cluster
from penstock.forecasts.sample import ROW, RUN, Sample
from penstock.forecasts.sampled import sampled
from penstock.forecasts.scans import Condition
from penstock.forecasts.sources import Source

KINDS = {"n": "BIGINT", "k": "BIGINT", "t": "VARCHAR"}


@pytest.fixture
def frugal(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What is read of a file of a few MB is a share of it, as of one of 2 GB and more; nothing is remembered."""
    monkeypatch.setattr(parquet_samples, "SMALL", 0)
    parquet_samples._rows.cache_clear()
    yield
    parquet_samples._rows.cache_clear()


def numbers(start: int, end: int) -> pa.Table:
    """Numbers in order, keys, and texts."""
    n = np.arange(start, end)
    return pa.table({"n": n, "k": n * 7919 % 1000, "t": pa.array(n % 100).cast(pa.string())})


def parquet(folder: Path, rows: int, *, files: int = 1, group: int = 5_000, **options: Any) -> Source:
    """Files of numbers, in row groups."""
    each = rows // files
    for number in range(files):
        table = numbers(number * each, (number + 1) * each)
        pq.write_table(table, folder / f"{number}.parquet", row_group_size=group, **options)
    return Source("files", KINDS, None, "parquet", tuple(map(str, sorted(folder.glob("*.parquet")))))


def text(folder: Path, rows: int, *, ending: str = "csv") -> Source:
    """One file of text."""
    file = folder / f"numbers.{ending}"
    with pa.BufferOutputStream() as into:
        pa.csv.write_csv(numbers(0, rows), into)
        data = into.getvalue().to_pybytes()
    file.write_bytes(gzip.compress(data, 1) if ending.endswith(".gz") else data)
    return Source("numbers", KINDS, file.stat().st_size, "csv", (str(file),))


def taken(source: Source, *names: str, wanted: int = 10_000, where: tuple[Condition, ...] = ()) -> Sample:
    """A sample of columns."""
    found = sampled(source, source.paths, names, where, Cluster(cores=2, memory=0), wanted)
    assert found is not None
    return found


def bytes_read() -> int:
    """By this process, of files and else."""
    return int(Path("/proc/self/io").read_text().split()[1])


# -- Parquet ----------------------------------------------------------------------------------------------------------


def test_what_is_small_is_taken_whole(tmp_path: Path) -> None:
    """All rows of all files, each with the task that it is of and its number, in the order in which tasks read them."""
    found = taken(parquet(tmp_path, 1_000, files=2), "n")

    assert (found.whole, found.total, found.taken, found.tasks) == (True, exact(1_000), 1_000, 2)
    assert sorted(found.rows["n"].to_pylist()) == found.rows[ROW].to_pylist() == list(range(1_000))
    assert found.rows[RUN].to_pylist() == [0] * 500 + [1] * 500


def test_what_is_hardly_more_than_wanted_is_taken_whole(tmp_path: Path) -> None:
    """Up to a quarter more, since then nothing is left to guess."""
    source = parquet(tmp_path, 13_000)

    assert [taken(source, "n", wanted=wanted).taken for wanted in (10_400, 10_000)] == [13_000, 10_000]


def test_runs_of_what_is_large(tmp_path: Path) -> None:
    """Most rows of a sample stand together, in a task in the middle; two short runs are from elsewhere."""
    found = taken(parquet(tmp_path, 200_000, files=4), "n")

    rows = found.rows.to_pylist()
    runs = [[row["n"] for row in rows if row[RUN] == run] for run in range(3)]
    assert [len(run) for run in runs] == [found.first_run, 2_000, 2_000] == [6_000, 2_000, 2_000]
    assert all(run == list(range(run[0], run[0] + len(run))) for run in runs)
    assert len({run[0] // 50_000 for run in runs}) == 3  # of three files
    assert (found.whole, found.total, found.taken) == (False, exact(200_000), 10_000)


def test_the_same_sample_twice(tmp_path: Path) -> None:
    """Nothing hangs on chance, whether a sample is remembered or not."""
    source = parquet(tmp_path, 100_000)
    first = taken(source, "n", "t")
    parquet_samples._rows.cache_clear()

    assert taken(source, "n", "t").rows == first.rows
    assert taken(source, "n", "t").rows is taken(source, "n", "t").rows


def test_a_file_that_is_written_again_is_sampled_again(tmp_path: Path) -> None:
    """What is remembered is of files as they were."""
    first = taken(parquet(tmp_path, 50), "n")

    assert (first.taken, taken(parquet(tmp_path, 70), "n").taken) == (50, 70)


def test_row_groups_that_no_row_of_counts_are_left_out(tmp_path: Path) -> None:
    """A condition that statistics rule out of most row groups leaves a sample of the others."""
    source = parquet(tmp_path, 100_000)

    found = taken(source, "n", where=(Condition("n", ">=", "97000"),))

    assert (found.total, min(found.rows["n"].to_pylist())) == (exact(5_000), 95_000)


def test_folders_are_columns(tmp_path: Path) -> None:
    """What the names of folders spell is in every row, as its type."""
    for day in (1, 2):
        folder = tmp_path / f"day=2026-03-0{day}"
        folder.mkdir()
        pq.write_table(pa.table({"n": [day]}), folder / "0.parquet")
    paths = tuple(map(str, sorted(tmp_path.rglob("*.parquet"))))
    source = Source("files", {"n": "BIGINT", "day": "DATE"}, None, "parquet", paths, {"day": "DATE"})

    found = taken(source, "n", "day")

    assert [(row["n"], str(row["day"])) for row in found.rows.to_pylist()] == [(1, "2026-03-01"), (2, "2026-03-02")]


def test_a_column_that_a_file_has_not_is_null(tmp_path: Path) -> None:
    """Files of one table need not have the same columns."""
    pq.write_table(pa.table({"n": [1]}), tmp_path / "0.parquet")
    pq.write_table(pa.table({"n": [2], "t": ["b"]}), tmp_path / "1.parquet")
    source = Source("files", KINDS, None, "parquet", (str(tmp_path / "0.parquet"), str(tmp_path / "1.parquet")))

    assert sorted(taken(source, "n", "t").rows["t"].to_pylist(), key=str) == [None, "b"]


def test_few_bytes_of_a_large_file_are_read(tmp_path: Path, frugal: None) -> None:
    """However many rows are wanted, columns of 16 MB are sampled by reading under 4 % of them, headers and all."""
    source = parquet(tmp_path, 1_000_000, group=100_000, compression="none", use_dictionary=False, data_page_size=8192)
    taken(source, "n", wanted=1)  # what is imported is read too
    before = bytes_read()

    found = taken(source, "n", "k", wanted=1_000_000)

    there = sum(Path(path).stat().st_size for path in source.paths)
    assert 5_000 < found.taken < 0.02 * 1_000_000
    assert bytes_read() - before < 0.04 * there


def test_rows_of_no_column(tmp_path: Path) -> None:
    """For `count(*)` rows are counted, and nothing is read of them."""
    assert taken(parquet(tmp_path, 100)).rows.column_names == [RUN, ROW]


# -- Arrow, ORC, Avro -------------------------------------------------------------------------------------------------


def blocks(folder: Path, format: str, rows: int) -> Source:
    """One file of numbers, in blocks."""
    file = folder / f"numbers.{format}"
    table = numbers(0, rows)
    if format == "orc":
        pa.orc.write_table(table, file)
    elif format == "arrow":
        with pa.OSFile(str(file), "wb") as into, pa.ipc.new_file(into, table.schema) as writer:
            writer.write_table(table, max_chunksize=5_000)
    else:
        fields = [{"name": name, "type": kind} for name, kind in (("n", "long"), ("k", "long"), ("t", "string"))]
        with file.open("wb") as into:
            fastavro.writer(into, {"type": "record", "name": "row", "fields": fields}, table.to_pylist())
    return Source("numbers", KINDS, file.stat().st_size, format, (str(file),))


@pytest.mark.parametrize("format", ["arrow", "orc", "avro"])
def test_the_first_blocks_tell_of_a_file(tmp_path: Path, format: str) -> None:
    """So many rows as are wanted are read, of the columns that are; how many there are is known, or told from them."""
    found = taken(blocks(tmp_path, format, 100_000), "n", "t")

    assert found.rows["n"].to_pylist() == list(range(10_000))
    assert found.rows["t"].to_pylist()[:101:50] == ["0", "50", "0"]
    assert (found.whole, found.total.basis) == (False, "exact" if format == "orc" else "sample")
    assert found.total.mid == pytest.approx(100_000, rel=0.1)


@pytest.mark.parametrize("format", ["arrow", "orc", "avro"])
def test_small_blocks_are_all_read(tmp_path: Path, format: str) -> None:
    """Then the rows are counted."""
    found = taken(blocks(tmp_path, format, 1_000), "k")

    assert (found.whole, found.total, found.rows["k"].to_pylist()[:3]) == (True, exact(1_000), [0, 919, 838])


# -- text and rows in memory ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["csv", "csv.gz"])
def test_the_lines_of_a_text_are_told_from_some(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str) -> None:
    """Of a file without statistics, rows are known within a few per cent, and said to be no more than that."""
    monkeypatch.setattr(text_samples, "TEXT", 1 << 20)
    source = text(tmp_path, 400_000, ending=ending)

    found = taken(source, "n", "t")

    told = found.rows["n"].to_pylist()
    assert told[: found.first_run] == list(range(found.first_run))
    assert told == sorted(set(told))
    assert (max(told) > 300_000) == (ending == "csv")  # a file that is compressed is read from its beginning on
    assert (found.whole, found.total.basis) == (False, "sample")
    assert found.total.mid == pytest.approx(400_000, rel=0.15)


def test_records_of_several_lines_are_no_hindrance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a place within a file is amid a record, lines are taken from its beginning."""
    monkeypatch.setattr(text_samples, "TEXT", 1 << 16)
    file = tmp_path / "numbers.csv"
    file.write_text("n,k,t\n" + "".join(f'{n},{n % 7},"one, \ntwo, \n""three"" {n}\n"\n' for n in range(20_000)))
    source = Source("numbers", KINDS, file.stat().st_size, "csv", (str(file),))

    found = taken(source, "n", "t")

    assert found.taken > 500
    assert found.total.mid == pytest.approx(20_000, rel=0.15)


def test_a_small_text_is_read_whole(tmp_path: Path) -> None:
    """Then its rows are counted."""
    found = taken(text(tmp_path, 1_000, ending="csv.gz"), "n")

    assert (found.whole, found.total, found.tasks) == (True, exact(1_000), 1)


@pytest.mark.parametrize("options", [{}, {"bad": "quarantine"}], ids=["plain", "quarantine"])
@pytest.mark.parametrize("format", ["csv", "json"])
def test_the_lines_of_a_text_are_of_their_folders(tmp_path: Path, format: str, options: dict[str, str]) -> None:
    """What folders' names spell is a column of each line, in the type that it has; each file is a run."""
    line = "n\n%d\n%d\n" if format == "csv" else '{"n": %d}\n{"n": %d}\n'
    for day in (1, 2, 3):
        (folder := tmp_path / f"day=2026-03-0{day}").mkdir()
        (folder / f"a.{format}").write_text(line % (day, day))
    paths = tuple(map(str, sorted(tmp_path.rglob(f"*.{format}"))))
    source = Source("days", {"n": "BIGINT", "day": "DATE"}, 99, format, paths, {"day": "DATE"}, options)

    found = taken(source, "day", "n")

    assert (found.whole, found.total) == (True, exact(6))
    assert found.rows.select([RUN, "n"]).to_pylist() == [{RUN: run, "n": run + 1} for run in (0, 0, 1, 1, 2, 2)]
    assert [each.isoformat() for each in found.rows["day"].to_pylist()] == [
        f"2026-03-0{day}" for day in (1, 1, 2, 2, 3, 3)
    ]


def test_the_lines_of_logs_are_sampled(tmp_path: Path) -> None:
    """An access log of several files is known by its lines, each of them a run, whatever folders spell."""
    for day in (1, 2):
        (folder := tmp_path / f"day=2026-03-0{day}").mkdir()
        line = f'192.0.2.1 - - [0{day}/Mar/2026:10:00:00 +0000] "GET /{day} HTTP/1.1" 200 10\n'
        (folder / "access.log").write_text(line * 3)
    paths = tuple(map(str, sorted(tmp_path.rglob("*.log"))))

    found = taken(Source("logs", {"path": "VARCHAR"}, 99, "log", paths), "path")

    assert (found.whole, found.total) == (True, exact(6))
    assert found.rows["path"].to_pylist() == ["/1"] * 3 + ["/2"] * 3


def test_rows_are_counted_without_a_column(tmp_path: Path) -> None:
    """Where a query uses no column, a sample has as many rows as it would have of one."""
    found = taken(parquet(tmp_path, 20_000), wanted=1_000)

    assert found.rows.column_names == [RUN, ROW]
    assert (found.taken, found.total) == (found.rows.num_rows, exact(20_000))
    assert found.taken > 900


def test_a_format_that_has_no_way(tmp_path: Path) -> None:
    """Of what cannot be read in part there is no sample, which is no error."""
    source = Source("rows", KINDS, None, "iceberg", (str(tmp_path),))

    assert sampled(source, source.paths, ["n"], (), Cluster(2, 0), 100) is None


def test_a_file_that_is_broken_within(tmp_path: Path) -> None:
    """Its footer tells of rows that cannot be read: there is no sample, and the run will say where it is broken."""
    source = parquet(tmp_path, 5_000)
    file = Path(source.paths[0])
    data = file.read_bytes()
    file.write_bytes(data[:4] + bytes(len(data) // 2) + data[4 + len(data) // 2 :])

    assert sampled(source, source.paths, ["n"], (), Cluster(2, 0), 100) is None


@pytest.mark.parametrize("format", ["parquet", "csv", "orc"])
def test_no_file_is_left(format: str) -> None:
    """Where folders' names rule out all files there are no rows, in the types that they would have."""
    found = sampled(Source("rows", KINDS, None, format, ()), (), ["t", "n"], (), Cluster(2, 0), 100)

    assert found is not None
    assert (found.whole, found.total) == (True, exact(0))
    assert [str(kind) for kind in found.rows.schema.types[:2]] == ["string", "int64"]
