"""`s3://` on both engines, against a server that the tests start on loopback."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest
from moto.server import ThreadedMotoServer

import penstock as ps
from penstock.engines.engine import Engine
from penstock.testing import assert_tables_equal

ROWS = [{"k": "a", "v": 1}, {"k": "b", "v": 2}, {"k": "b", "v": 3}]


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    """A server for the whole file, reached the way that users reach one: by the AWS variables of the environment."""
    fsspec = pytest.importorskip("fsspec", reason="pip install 'penstock[s3]'")
    pytest.importorskip("s3fs", reason="pip install 'penstock[s3]'")
    moto = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        environment.setenv("AWS_ACCESS_KEY_ID", "test")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "test")
        environment.setenv("AWS_DEFAULT_REGION", "us-east-1")
        environment.setenv("NO_PROXY", "127.0.0.1")
        fsspec.get_filesystem_class("s3").clear_instance_cache()
        yield fsspec.filesystem("s3")
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    moto.stop()


@pytest.fixture
def bucket(server: Any) -> str:
    """A new bucket."""
    name = f"lake-{secrets.token_hex(4)}"
    server.mkdir(name)
    return f"s3://{name}"


def test_a_bucket_is_read_and_written(engine: Engine, bucket: str) -> None:
    """One file, a folder, partitions and a glob behind a URL hold the rows that were written."""
    table = engine.adopt(pa.Table.from_pylist(ROWS))

    ps.write(table, f"{bucket}/one.parquet")
    ps.write(table, f"{bucket}/text.csv.gz")
    ps.write(table, f"{bucket}/visits", partition_by="k")

    assert_tables_equal(engine.read(f"{bucket}/one.parquet"), ROWS)
    assert_tables_equal(engine.read(f"{bucket}/text.csv.gz"), ROWS)
    assert_tables_equal(ps.query("SELECT k, v FROM t", t=engine.read(f"{bucket}/visits")), ROWS)
    assert_tables_equal(
        ps.query("SELECT v FROM t", t=engine.read(f"{bucket}/visits/k=b/*.parquet")), [{"v": 2}, {"v": 3}]
    )


def test_a_folder_changes_at_once(engine: Engine, bucket: str) -> None:
    """The manifest says which files are there: an overwrite shows the new ones only, an append both."""
    first, second = (engine.adopt(pa.Table.from_pylist(rows)) for rows in (ROWS[:1], ROWS[1:]))
    ps.write(first, f"{bucket}/out")

    with pytest.raises(ps.OutputError, match='mode="overwrite"'):
        ps.write(second, f"{bucket}/out")
    ps.write(second, f"{bucket}/out", mode="append")
    assert_tables_equal(engine.read(f"{bucket}/out"), ROWS)

    ps.write(second, f"{bucket}/out", mode="overwrite")
    assert_tables_equal(engine.read(f"{bucket}/out"), ROWS[1:])


def test_what_is_not_in_the_bucket_is_told(engine: Engine, bucket: str) -> None:
    """A missing object is an input error that names it."""
    with pytest.raises(ps.InputError, match=r"s3://lake-\w+/nope\.parquet"):
        engine.read(f"{bucket}/nope.parquet")
