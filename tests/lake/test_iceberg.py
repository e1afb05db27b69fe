"""Iceberg: a folder with its catalog within, snapshots, and tables that other catalogs made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import penstock as ps
from penstock.engines.engine import Table
from penstock.engines.iceberg_files import CATALOG, newest
from penstock.testing import assert_tables_equal

pytest.importorskip("pyiceberg", reason="pip install 'penstock[iceberg]'")


def small(**columns: Any) -> Table:
    """A table of the embedded engine."""
    return ps.adopt(pa.table(columns))


def snapshots(folder: Path) -> list[int]:
    """The snapshots of a table, from first to last."""
    from pyiceberg.table import StaticTable

    return [each.snapshot_id for each in StaticTable.from_metadata(str(newest(str(folder)))).metadata.snapshots]


def test_a_snapshot_is_read_as_it_was(tmp_path: Path) -> None:
    """version= names a snapshot; one that is not there is told."""
    for value in (1, 2):
        ps.write(small(v=[value]), tmp_path / "t", "iceberg", mode="append")
    first, _ = snapshots(tmp_path / "t")

    assert_tables_equal(ps.read(str(tmp_path / "t"), "iceberg", version=first), [{"v": 1}])
    with pytest.raises(ps.InputError, match="Snapshot not found: 7"):
        ps.read(str(tmp_path / "t"), "iceberg", version=7)


def test_metadata_that_was_not_committed_is_not_read(tmp_path: Path) -> None:
    """What a killed writer left beside the newest version is no version: the catalog decides."""
    ps.write(small(v=[1]), tmp_path / "t", "iceberg")
    (tmp_path / "t" / "metadata" / "00009-half.metadata.json").write_text('{"format-ver')

    assert_tables_equal(ps.read(str(tmp_path / "t"), "iceberg"), [{"v": 1}])


def test_what_others_wrote(tmp_path: Path) -> None:
    """A table without our catalog is read by its newest metadata, and written through its own catalog only."""
    ps.write(small(v=[1]), tmp_path / "t", "iceberg")
    ps.write(small(v=[2]), tmp_path / "t", "iceberg", mode="append")
    (tmp_path / "t" / "metadata" / CATALOG).unlink()

    assert_tables_equal(ps.read(str(tmp_path / "t"), "iceberg"), [{"v": 1}, {"v": 2}])
    with pytest.raises(ps.UsageError, match="belongs to a catalog elsewhere"):
        ps.write(small(v=[3]), tmp_path / "t", "iceberg", mode="append")


def test_a_table_is_read_anew_by_every_scan(tmp_path: Path) -> None:
    """A relation can run twice."""
    ps.write(small(v=[1, 2]), tmp_path / "t", "iceberg")
    table = ps.read(str(tmp_path / "t"), "iceberg")

    assert ps.query("SELECT count(*) FROM t", t=table).fetchall() == [(2,)]
    assert_tables_equal(table, [{"v": 1}, {"v": 2}])


def test_broken_metadata_is_told(tmp_path: Path) -> None:
    """Metadata that is cut short is an error that names the folder."""
    (tmp_path / "t" / "metadata").mkdir(parents=True)
    (tmp_path / "t" / "metadata" / "v1.metadata.json").write_text('{"format-ver')

    with pytest.raises(ps.InputError, match=r"cannot read .*; is its metadata whole"):
        ps.read(str(tmp_path / "t"), "iceberg")


def test_a_url_is_refused(tmp_path: Path) -> None:
    """The catalog is a file of this machine."""
    with pytest.raises(ps.UsageError, match="folders of this machine"):
        ps.write(small(v=[1]), "memory://t", "iceberg")
