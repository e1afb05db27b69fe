"""Folders behind a URL: what the manifest lists is there, and nothing else. In memory; `test_s3.py` has a server."""

from __future__ import annotations

import json
import secrets
from typing import Any

import pyarrow as pa
import pytest

import penstock as ps
from penstock.engines.engine import Table
from penstock.testing import rows

fsspec = pytest.importorskip("fsspec", reason="pip install 'penstock[s3]'")


@pytest.fixture
def files() -> Any:
    """fsspec's file system in memory."""
    return fsspec.filesystem("memory")


@pytest.fixture
def url() -> str:
    """A folder of its own there."""
    return f"memory:///{secrets.token_hex(4)}"


def small(**columns: list[Any]) -> Table:
    """A table of the embedded engine."""
    return ps.adopt(pa.table(columns))


def values(url: str) -> list[int]:
    """The column v."""
    return sorted(row["v"] for row in rows(ps.read(url)))


def test_what_is_not_listed_is_not_there(files: Any, url: str) -> None:
    """A file that a killed writer left among the others is not read; the next write removes it."""
    ps.write(small(v=[1]), f"{url}/out")
    live = ps.write(small(v=[2]), f"{url}/out", mode="append").files[0]
    files.copy(live, f"{url}/out/part-dead-00000.parquet")
    files.pipe_file(f"{url}/out/_penstock/dead/part-0.parquet", b"half")

    assert values(f"{url}/out") == values(f"{url}/out/*.parquet") == [1, 2]
    ps.write(small(v=[3]), f"{url}/out", mode="append")
    assert values(f"{url}/out") == [1, 2, 3]
    assert not [path for path in files.find(f"{url}/out") if "dead" in path]


def test_the_manifest_comes_before_the_first_file(files: Any, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer that dies while its first files arrive leaves nothing to be read."""

    def dies(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(type(files), "mv", dies)
    with pytest.raises(KeyboardInterrupt):
        ps.write(small(v=[1]), f"{url}/out")

    manifest = json.loads(files.cat_file(f"{url}/out/_penstock/manifest.json"))
    assert manifest == {"version": 1, "files": []}


def test_a_folder_without_a_list_gets_one(files: Any, url: str) -> None:
    """Files that another program wrote stay, and stay visible, when something is added."""
    ps.write(small(v=[1]), f"{url}/other.parquet")
    files.mv(f"{url}/other.parquet", f"{url}/out/theirs.parquet")

    ps.write(small(v=[2]), f"{url}/out", mode="append")

    assert values(f"{url}/out") == [1, 2]


def test_partitions_are_replaced(files: Any, url: str) -> None:
    """overwrite_partitions drops the files of the partitions that come anew."""
    ps.write(small(k=["a", "b"], v=[1, 2]), f"{url}/out", partition_by="k")
    ps.write(small(k=["b"], v=[3]), f"{url}/out", partition_by="k", mode="overwrite_partitions")

    assert values(f"{url}/out") == [1, 3]
    assert len([path for path in files.find(f"{url}/out") if path.endswith(".parquet")]) == 2


def test_one_file_is_one_put(files: Any, url: str) -> None:
    """A file behind a URL is replaced only if asked for, and nothing else appears beside it."""
    ps.write(small(v=[1]), f"{url}/one.csv.gz")

    with pytest.raises(ps.OutputError, match="is there already"):
        ps.write(small(v=[2]), f"{url}/one.csv.gz")
    ps.write(small(v=[3]), f"{url}/one.csv.gz", mode="overwrite")

    assert values(f"{url}/one.csv.gz") == [3]
    assert [path.rpartition("/")[2] for path in files.find(url)] == ["one.csv.gz"]
