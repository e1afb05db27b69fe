"""The embedded engine under its users' habits: their own connections, threads, files, interruptions."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

import penstock as ps
from penstock.testing import assert_tables_equal, rows

SLOW = "SELECT count(*) AS n FROM range(3000000) AS a(x), range(3000000) AS b(y) WHERE (x * y) % 7 = 3"


def test_results_stream_while_the_connection_works_on() -> None:
    """A result that is half read does not hold the connection: another query runs, then the rest is read."""
    with ps.connect("duckdb", threads=2) as engine:
        table = engine.adopt(pa.table({"v": range(500_000)}))
        reader = engine.batches(ps.where(table, "v >= 0"))
        first = reader.read_next_batch()

        assert rows(ps.aggregate(table, n="count(*)")) == [{"n": 500_000}]
        assert first.num_rows + sum(batch.num_rows for batch in reader) == 500_000


LEFT_HALF_READ = """
import gc, threading, time
import pyarrow as pa
import penstock as ps

gc.disable()
collected = threading.Event()

def batches():
    for number in range(2000):
        time.sleep(0.002)
        if wanted.is_set() and threading.current_thread() is not threading.main_thread():
            wanted.clear()
            gc.collect()
            collected.set()
        yield pa.record_batch({"x": [number] * 2000})

wanted = threading.Event()
engine = ps.connect("duckdb", threads=2)
source = pa.RecordBatchReader.from_batches(pa.schema({"x": pa.int64()}), batches())
ring = [engine.batches(engine.connection.from_arrow(source))]
ring.append(ring)
ring[0].read_next_batch()
del ring, source
wanted.set()
print(collected.wait(20))
engine.close()
"""


def test_a_stream_that_is_left_is_collected_anywhere() -> None:
    """Also in a thread of DuckDB's own, at work on that stream: the work goes on, and the process ends."""
    ended = subprocess.run([sys.executable, "-c", LEFT_HALF_READ], capture_output=True, text=True, timeout=60)

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "True\n", "")


def test_two_engines_over_one_connection_take_turns() -> None:
    """Engines found again and again for one connection, from several threads, never meet in one call."""
    connection = duckdb.connect()
    table = connection.sql("SELECT i AS v FROM range(20000) AS r(i)")
    wrong: list[object] = []

    def work(number: int) -> None:
        for _ in range(10):
            try:
                found = rows(
                    ps.top(ps.derive(ps.connect(connection).query("FROM t", {"t": table}), d="v % 8"), "d", n=1)
                )
                if found != [{"d": 0, "n": 2500}]:
                    wrong.append((number, found))
            except Exception as error:
                wrong.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)

    assert not any(thread.is_alive() for thread in threads)
    assert wrong == []


def test_a_running_query_is_cancelled() -> None:
    """cancel ends the statement at work with an error of ours, and the connection works on."""
    with ps.connect("duckdb", threads=1) as engine:
        timer = threading.Timer(0.5, engine.cancel)
        timer.start()
        began = time.monotonic()

        with pytest.raises(ps.PenstockError, match=r"(?i)interrupt"):
            engine.materialize(engine.query(SLOW, {}))

        assert time.monotonic() - began < 20
        assert rows(engine.query("SELECT 1 AS one", {})) == [{"one": 1}]


def test_relations_of_users_are_tables(tmp_path: Path) -> None:
    """Tables, views, temporary views and files that a user made on his connection go through the patterns."""
    connection = duckdb.connect(str(tmp_path / "shop.db"))
    connection.execute("CREATE TABLE sales AS SELECT i % 3 AS k, i AS v FROM range(9) AS r(i)")
    connection.execute(
        "CREATE VIEW large AS SELECT * FROM sales WHERE v > 5; CREATE TEMP VIEW larger AS SELECT * FROM large"
    )
    expected = [{"k": 0, "s": 6}, {"k": 1, "s": 7}, {"k": 2, "s": 8}]

    for name in ("large", "larger"):
        assert_tables_equal(ps.aggregate(connection.view(name), "k", s="sum(v)"), expected)
    assert_tables_equal(ps.aggregate(connection.table("sales").filter("v > 5"), "k", s="sum(v)"), expected)


def test_a_database_in_a_file_stays(tmp_path: Path) -> None:
    """What was written through the connection is there when the file is opened again, relative or absolute."""
    path = tmp_path / "kept.db"
    with ps.connect(f"duckdb:///{path}") as engine:
        engine.connection.execute("CREATE TABLE t AS SELECT 7 AS v")

    with ps.connect(f"duckdb:///{path}") as engine:
        assert rows(engine.query("FROM t", {})) == [{"v": 7}]


def test_a_connection_with_other_habits_is_put_right() -> None:
    """A connection that was given other null orders and zones gets ours when it is first used."""
    connection = duckdb.connect(config={"default_null_order": "nulls_first"})
    connection.execute("SET TimeZone = 'America/New_York'")

    ordered = ps.query("SELECT v FROM t ORDER BY v", t=connection.sql("SELECT unnest([2, NULL, 1]) AS v"))

    assert [row["v"] for row in rows(ordered)] == [1, 2, None]
    zoned = connection.sql("SELECT '2026-03-01 00:00+00'::TIMESTAMPTZ::VARCHAR")
    assert zoned.fetchall() == [("2026-03-01 00:00:00+00",)]


def test_too_little_memory_says_what_to_do(tmp_path: Path) -> None:
    """Work that fits neither the memory nor the scratch folder fails with the settings to raise."""
    limits = {"memory": "20MB", "threads": 1, "scratch": str(tmp_path), "max_temp_directory_size": "1MB"}
    with ps.connect("duckdb", **limits) as engine:
        made = engine.query("SELECT i AS k, md5(i::VARCHAR) AS v FROM range(3000000) AS r(i)", {})

        with pytest.raises(ps.EngineError, match="scratch") as caught:
            engine.batches(ps.aggregate(made, "v", n="count(*)")).read_all()

    assert "memory=" in caught.value.hint


def test_work_beyond_memory_goes_to_scratch(tmp_path: Path) -> None:
    """A sort of more than the memory limit spills and comes out right; the scratch folder is empty afterwards."""
    with ps.connect("duckdb", memory="120MB", threads=1, scratch=str(tmp_path)) as engine:
        made = engine.query("SELECT i AS k, md5(i::VARCHAR) AS v FROM range(2000000) AS r(i)", {})

        last, count = "", 0
        for batch in engine.batches(ps.sort(made, "v")):
            values = batch["v"].to_pylist()
            assert last <= values[0] and values == sorted(values)
            last, count = values[-1], count + len(values)

    assert count == 2_000_000
    assert list(tmp_path.glob("**/*.tmp")) == []


@pytest.mark.parametrize(("setting", "value"), [("memory", "lots"), ("threads", "many"), ("no_such_setting", 1)])
def test_a_wrong_setting_is_told_when_the_engine_is_opened(setting: str, value: object) -> None:
    """A value that DuckDB does not take is the caller's error, with DuckDB's own words."""
    with pytest.raises(ps.UsageError, match="cannot open duckdb"):
        ps.connect("duckdb", **{setting: value})
