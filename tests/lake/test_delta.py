"""Delta: recognised by its log, read at any version, and by the statistics of its log."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import penstock as ps
from penstock.engines.engine import Table
from penstock.testing import assert_tables_equal

deltalake = pytest.importorskip("deltalake", reason="pip install 'penstock[delta]'")


def small(**columns: Any) -> Table:
    """A table of the embedded engine."""
    return ps.adopt(pa.table(columns))


def test_a_folder_with_a_log_is_known(tmp_path: Path) -> None:
    """Without format= the log decides which files are live: those of old versions lie there too."""
    ps.write(small(v=[1]), tmp_path / "t", "delta")
    ps.write(small(v=[2]), tmp_path / "t", "delta", mode="overwrite")

    assert len(list((tmp_path / "t").glob("*.parquet"))) == 2
    assert_tables_equal(ps.read(str(tmp_path / "t")), [{"v": 2}])
    with pytest.raises(ps.UsageError, match="its log must know of every file"):
        ps.write(small(v=[3]), tmp_path / "t", mode="append")


def test_the_command_line_knows_it(tmp_path: Path) -> None:
    """`penstock query` sees the live files only, without being told the format."""
    ps.write(small(v=[1]), tmp_path / "t", "delta")
    ps.write(small(v=[2]), tmp_path / "t", "delta", mode="overwrite")
    code = "from penstock.cli.main import main; main()"

    said = subprocess.run(
        [sys.executable, "-c", code, "top", str(tmp_path / "t"), "--by", "v"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert said.stdout == "v,n\n2,1\n"


def test_time_travel(tmp_path: Path) -> None:
    """version= reads the table as it was; one that is not there is told."""
    for value in (1, 2):
        ps.write(small(v=[value]), tmp_path / "t", "delta", mode="overwrite")

    assert_tables_equal(ps.read(str(tmp_path / "t"), version=0), [{"v": 1}])
    with pytest.raises(ps.InputError, match=r"cannot read version 7 of .*; ask for a version that its log has"):
        ps.read(str(tmp_path / "t"), version=7)


def test_overwrite_may_change_everything(tmp_path: Path) -> None:
    """Columns, types and partitions are the new table's."""
    ps.write(small(k=["a"], v=[1]), tmp_path / "t", "delta", partition_by="k")
    ps.write(small(x=["q"], v=["w"]), tmp_path / "t", "delta", partition_by="v", mode="overwrite")

    assert_tables_equal(ps.query("SELECT x, v FROM t", t=ps.read(str(tmp_path / "t"))), [{"x": "q", "v": "w"}])


def test_a_filter_leaves_out_files(tmp_path: Path) -> None:
    """Files of other partitions, and files whose least and greatest values do not fit, are not opened."""
    for value in range(4):
        ps.write(small(k=[f"k{value}"], v=[value]), tmp_path / "t", "delta", partition_by="k", mode="append")
    for file in (tmp_path / "t").glob("k=k[013]/*.parquet"):
        file.write_bytes(b"broken")

    table = ps.read(str(tmp_path / "t"))

    assert ps.query("SELECT v FROM t WHERE k = 'k2'", t=table).fetchall() == [(2,)]
    assert ps.query("SELECT k FROM t WHERE v = 2", t=table).fetchall() == [("k2",)]


def test_what_others_wrote(tmp_path: Path) -> None:
    """A table of deltalake's own is read, and added to."""
    deltalake.write_deltalake(tmp_path / "t", pa.table({"k": ["a"], "v": [1]}), partition_by=["k"])

    ps.write(small(v=[2], k=["b"]), tmp_path / "t", "delta", partition_by="k", mode="append")

    rows = ps.query("SELECT k, v FROM t", t=ps.read(str(tmp_path / "t")))
    assert_tables_equal(rows, [{"k": "a", "v": 1}, {"k": "b", "v": 2}])
    assert deltalake.DeltaTable(tmp_path / "t").to_pyarrow_table().num_rows == 2
