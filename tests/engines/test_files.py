"""Which files a path means, and what is said where there are none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import penstock as ps
from penstock.engines.files import format_of, partition_of, resolve


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """A folder with data, hidden files, and Hive folders."""
    for name in ("b.csv", "a.csv", "_SUCCESS", ".a.csv.crc", "sub/c.csv", ".hidden/d.csv", "_tmp/e.csv"):
        (tmp_path / "plain" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "plain" / name).write_text("x\n1\n")
    for folder in ("day=2026-01-02/hour=07", "day=2026-01-03/hour=__HIVE_DEFAULT_PARTITION__"):
        (tmp_path / "hive" / folder).mkdir(parents=True)
        (tmp_path / "hive" / folder / "part.csv").write_text("x\n1\n")
    return tmp_path


def relative(paths: list[str], root: Path) -> list[str]:
    """Paths below a folder."""
    return [os.path.relpath(path, root) for path in paths]


def test_a_folder_stands_for_its_data_files(lake: Path) -> None:
    """Files below a folder at any depth, in path order, without those that engines hide."""
    found = resolve(lake / "plain")

    assert relative(found.paths, lake / "plain") == ["a.csv", "b.csv", "sub/c.csv"]
    assert (found.format, found.hive) == ("csv", {})


def test_a_glob_and_a_list(lake: Path) -> None:
    """A glob gives what it matches in path order; a list gives its parts in its own order."""
    assert relative(resolve(f"{lake}/plain/*.csv").paths, lake) == ["plain/a.csv", "plain/b.csv"]
    assert relative(resolve(f"{lake}/plain/**/*.csv").paths, lake) == ["plain/a.csv", "plain/b.csv", "plain/sub/c.csv"]
    named = resolve([lake / "plain" / "b.csv", f"{lake}/plain/a.csv"])
    assert relative(named.paths, lake / "plain") == ["b.csv", "a.csv"]


def test_a_name_that_exists_is_no_pattern(tmp_path: Path) -> None:
    """A file may be named like a glob."""
    (tmp_path / "a[1]*.csv").write_text("x\n1\n")
    (tmp_path / "a1.csv").write_text("x\n2\n")

    assert resolve(tmp_path / "a[1]*.csv").paths == [str(tmp_path / "a[1]*.csv")]


def test_hive_columns_stand_below_what_was_named(lake: Path) -> None:
    """Folders above the one that was named spell nothing; a list of partitions is told apart by its columns."""
    assert resolve(lake / "hive").hive == {"day": "DATE", "hour": "VARCHAR"}
    assert resolve(lake / "hive" / "day=2026-01-02").hive == {"hour": "VARCHAR"}
    assert resolve(f"{lake}/hive/*/*/*.csv").hive == {"day": "DATE", "hour": "VARCHAR"}
    assert resolve(lake / "hive" / "day=2026-01-02" / "hour=07" / "part.csv").hive == {}
    assert resolve([lake / "hive" / "day=2026-01-02", lake / "hive" / "day=2026-01-03"]).hive["day"] == "DATE"


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "20"], "BIGINT"),
        (["0", "__HIVE_DEFAULT_PARTITION__"], "BIGINT"),
        (["01", "02"], "VARCHAR"),
        (["-1"], "VARCHAR"),
        (["1", "x"], "VARCHAR"),
        (["2026-01-02"], "DATE"),
        (["2026-02-31"], "VARCHAR"),
        (["2026-01-02 03%3A04%3A05"], "TIMESTAMP"),
        (["9" * 19], "VARCHAR"),
        (["__HIVE_DEFAULT_PARTITION__"], "VARCHAR"),
    ],
)
def test_the_type_of_a_hive_column(tmp_path: Path, values: list[str], kind: str) -> None:
    """A Hive column has a type if every value looks like it; a leading zero or a sign makes a text."""
    for value in values:
        (tmp_path / f"k={value}").mkdir()
        (tmp_path / f"k={value}" / "x.csv").write_text("x\n1\n")

    assert resolve(tmp_path).hive == {"k": kind}


def test_a_folder_spells_escaped_values() -> None:
    """What cannot stand in a file name is written as %XX, also in a column's name."""
    assert partition_of("a%3Db=x%2Fy/k=ü z/f.csv") == {"a=b": "x/y", "k": "ü z"}


def test_formats_are_told_from_endings() -> None:
    """The last ending counts, before .gz or .zst."""
    names = {"a.parquet": "parquet", "A.CSV": "csv", "a.tsv.gz": "tsv", "a.jsonl.zst": "json", "a.b": None, "a": None}

    assert {name: format_of(name) for name in names} == names


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("plain/aa.csv", r'did you mean ".*plain/a\.csv"'),
        ("nowhere/a.csv", "there is no folder"),
        ("plain/*.parquet", "no file matches"),
        ("empty", "no data files"),
    ],
)
def test_what_is_not_there_is_told(lake: Path, path: str, message: str) -> None:
    """A missing file, an empty glob and a folder without data say what was there instead."""
    (lake / "empty").mkdir()

    with pytest.raises(ps.InputError, match=message):
        resolve(lake / path)


def test_a_format_that_cannot_be_told(lake: Path) -> None:
    """A name that tells no format, names of several, and an unknown one are wrong uses."""
    (lake / "a.dat").write_text("1")
    (lake / "plain" / "d.parquet").write_text("")

    with pytest.raises(ps.UsageError, match="give format="):
        resolve(lake / "a.dat")
    with pytest.raises(ps.UsageError, match="several formats: csv, parquet"):
        resolve(lake / "plain")
    with pytest.raises(ps.UsageError, match='did you mean "parquet"'):
        resolve(lake / "a.dat", "parket")
    with pytest.raises(ps.InputError, match="no file was named"):
        resolve([])


def test_an_unknown_protocol(lake: Path) -> None:
    """A URL of a file system that nothing serves is a wrong use."""
    pytest.importorskip("fsspec")

    with pytest.raises(ps.UsageError, match="cannot open nope://"):
        resolve("nope://bucket/a.csv")
