"""`ps.layout`: what the footers tell of a table's files."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import penstock as ps
from penstock.lake import layout as module


def lay(root: Path, sizes: dict[str, int]) -> Path:
    """Files below a folder, each of so many rows."""
    for name, rows in sizes.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({"v": range(rows)}), root / name)
    return root


def test_files_rows_and_sizes(tmp_path: Path) -> None:
    """Counts are those of the footers; sizes those of the disk; hidden files are no data."""
    root = lay(tmp_path / "out", {"k=1/a.parquet": 10, "k=1/b.parquet": 1_000, "k=2/c.parquet": 100, "_x.parquet": 5})
    sizes = sorted(file.stat().st_size for file in root.glob("k=*/*"))

    found = ps.layout(root)

    assert (found.files, found.rows, found.partitions, found.small) == (3, 1_110, 2, 3)
    assert (found.bytes, found.smallest, found.median, found.largest) == (sum(sizes), *sizes)


@pytest.mark.parametrize(
    ("files", "warning"),
    [
        ({"a": 10, "b": 10, "c": 10}, "3 of 3 files are below 16 MB; penstock compact "),
        ({"k=1/a": 10, "k=2/a": 10}, "2 of 2 files are below 16 MB, one a partition; partition by columns of fewer"),
        ({"a": 10}, None),
    ],
)
def test_small_files_are_told_with_what_helps(tmp_path: Path, files: dict[str, int], warning: str | None) -> None:
    """Several small files in a folder are to be compacted; one in each partition, to be partitioned otherwise."""
    found = ps.layout(lay(tmp_path / "out", {f"{name}.parquet": rows for name, rows in files.items()}))

    assert found.warning == warning if warning is None else str(found.warning).startswith(warning)


def test_large_files_are_no_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where half of the files or more are large enough, nothing is said."""
    monkeypatch.setattr(module, "SMALL", 1_000)
    root = lay(tmp_path / "out", {"a.parquet": 1, "b.parquet": 10_000})

    assert (ps.layout(root).small, ps.layout(root).warning) == (1, None)


def test_a_folder_behind_a_url(tmp_path: Path) -> None:
    """The files that the manifest lists are counted, by their footers too."""
    pytest.importorskip("fsspec", reason="pip install 'penstock[s3]'")
    for v in (1, 2):
        ps.write(ps.adopt(pa.table({"v": [v]})), "memory:///layout/out", mode="append")

    assert ps.layout("memory:///layout/out")[1:3] == (2, 2)


def test_what_has_no_footers(tmp_path: Path) -> None:
    """Text and broken Parquet are refused by name."""
    (tmp_path / "a.csv").write_text("x\n1\n")
    (tmp_path / "a.parquet").write_text("no")

    with pytest.raises(ps.UsageError, match=r"a\.csv is csv, not parquet"):
        ps.layout(tmp_path / "a.csv")
    with pytest.raises(ps.InputError, match=r"a\.parquet is not a whole Parquet file"):
        ps.layout(tmp_path / "a.parquet")
