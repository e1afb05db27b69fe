"""Apache Spark as its users have it: their own sessions, other settings, and Spark Connect.

A process holds one classic Spark session, and the test run has one. What needs another runs in a process of its own:
this file, called with the name of one of its functions.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import penstock as ps
from penstock.testing import assert_tables_equal, rows

PATIENCE = 90.0  # seconds; a server answers within 15 on two busy cores

SALES = pa.table({
    "k": ["a", "b", "a", None],
    "v": [1, 2, 3, 4],
    "x": [0.5, None, -0.0, float("nan")],
    "at": pa.array([datetime(2026, 3, 1, 23, 30), None, datetime(1969, 12, 31), None], pa.timestamp("us")),
})  # fmt: skip


def everything(t: Any) -> dict[str, Any]:
    """Every pattern, and a query, over a table of SALES."""
    return {
        "where": ps.where(t, "v > 1"),
        "derive": ps.derive(t, w="v // 2", z="round(x, 1)::varchar", day="date_trunc('day', at)"),
        "aggregate": ps.aggregate(t, "k", n="count(*)", s="sum(v)", l="list(v ORDER BY v)", last="arg_max(v, at)"),
        "salted": ps.aggregate(t, "k", skew="salt", n="count(*)"),
        "top": ps.top(t, "k"),
        "top_n": ps.top_n(t, "k", "v desc"),
        "mode": ps.mode(t, "v", by="k"),
        "distinct": ps.distinct(t, "x"),
        "count_distinct": ps.count_distinct(t, "v", by="k"),
        "sort": ps.sort(t, "v desc"),
        "sessionize": ps.sessionize(t, "k", "at"),
        "sessions": ps.sessions(t, "k", "at", max_length="1h"),
        "dedup": ps.dedup(t, "k", "at", within="1s"),
        "join": ps.join(t, ps.distinct(t, "k"), "k", how="left"),
        "asof_join": ps.asof_join(t, t, "k", "at"),
        "range_join": ps.range_join(t, t, "v", "v", "v", how="left"),
        "query": ps.query("SELECT t.v, r.w FROM t JOIN r USING (k)", t=t, r=[{"k": "a", "w": 1}]),
        "materialize": ps.materialize(t),
    }


# -- run in processes of their own -------------------------------------------------------------------------------------


def over_connect(url: str, lines: str) -> dict[str, Any]:
    """Everything over Spark Connect, what a mistake is told as, what is measured, and where records came from."""
    with ps.connect(url) as engine:
        t = engine.adopt(SALES)
        found = {name: rows(table) for name, table in everything(t).items()}
        try:
            ps.where(t, "vv > 1")
        except ps.ColumnError as error:
            said = str(error)
        plan = engine.explain(ps.aggregate(t, "k", n="count(*)"))
        with engine.measured() as measured:
            engine.batches(engine.query("SELECT id % 7 AS k, count(*) AS n FROM range(0, 100, 1, 2) GROUP BY 1", {}))
        with engine.measured() as untold:
            engine.materialize(t)
        places = rows(engine.read(lines, bad="quarantine"))
        kept = reads_what_is_kept(engine.adopt(SALES))
        return {
            "engine": engine.name, "module": type(t).__module__, "found": found, "said": said, "plan": plan,
            "places": places, "measured": measured.to_json(), "untold": untold.to_json(),
            "kept": kept,
        }  # fmt: skip


def reads_what_is_kept(t: Any) -> list[bool]:
    """Whether each of several queries, one after another over a table that is materialized, reads the rows kept."""
    kept = ps.materialize(ps.mode(t, "v", by="k"))
    later = (
        ps.where(kept, "n > 0"),
        ps.mode(ps.where(kept, "n > 1"), "value", by="k"),
        ps.query("WITH a AS (SELECT k, n FROM t) SELECT * FROM a JOIN a AS b USING (k)", t=kept),
    )
    return ["InMemoryTableScan" in ps.engine_of(t).explain(table) for table in later]


def with_settings(scratch: str) -> dict[str, Any]:
    """What an engine opened with plain words runs with, and what becomes of a session that a user made."""
    from pyspark.sql import SparkSession

    with ps.connect("spark", threads=1, memory="600m", scratch=scratch) as engine:
        context = engine.session.sparkContext
        opened = {
            "master": context.master,
            "heap": context._jvm.Runtime.getRuntime().maxMemory() >> 20,
            "scratch": context.getConf().get("spark.local.dir"),
        }
    builder = SparkSession.builder.master("local[1]").config("spark.ui.enabled", False)
    odd = (
        builder.config("spark.sql.session.timeZone", "Asia/Tokyo").config("spark.sql.ansi.enabled", False).getOrCreate()
    )
    frame = odd.createDataFrame(SALES).coalesce(1)
    day = rows(ps.derive(ps.where(frame, "v = 1"), day="date_trunc('day', at)"))
    engine = ps.connect(odd)
    same = ps.engine_of(frame).session is odd
    engine.close()
    return {
        "opened": opened,
        "day": day,
        "same": same,
        "alive": odd.range(3).count(),
        "zone": odd.conf.get("spark.sql.session.timeZone"),
    }


# -- the tests ---------------------------------------------------------------------------------------------------------


def alone(function: str, *arguments: str) -> Any:
    """What a function of this file returns in a process of its own."""
    command = [sys.executable, __file__, function, *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert ran.returncode == 0, ran.stderr[-3000:]
    return json.loads(ran.stdout.splitlines()[-1])


@pytest.fixture
def connect_server(java: None, tmp_path: Path) -> Iterator[str]:
    """A Spark Connect server from the wheel, on a free port of loopback."""
    from clusters import LEASH, _spark_class

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {
        "spark.connect.grpc.binding.address": "127.0.0.1", "spark.connect.grpc.binding.port": port,
        "spark.ui.enabled": False, "spark.driver.bindAddress": "127.0.0.1", "spark.driver.host": "127.0.0.1",
        "spark.sql.shuffle.partitions": 3, "spark.sql.warehouse.dir": tmp_path / "warehouse",
    }  # fmt: skip
    options = [part for key, value in settings.items() for part in ("--conf", f"{key}={value}")]
    command = [
        _spark_class(), "org.apache.spark.deploy.SparkSubmit", "--master", "local[2]", "--driver-memory", "1g",
        *options,
        "--class", "org.apache.spark.sql.connect.service.SparkConnectServer", "spark-internal",
    ]  # fmt: skip
    log = tmp_path / "server.log"
    with log.open("wb") as out:
        server = subprocess.Popen(
            ["/bin/sh", "-c", LEASH, "sh", *command], stdin=subprocess.PIPE, stdout=out, stderr=subprocess.STDOUT,
            env=os.environ | {"SPARK_LOCAL_IP": "127.0.0.1"}, start_new_session=True, cwd=tmp_path,
        )  # fmt: skip
        try:
            deadline = time.monotonic() + PATIENCE
            while not _answers(port):
                assert server.poll() is None and time.monotonic() < deadline, log.read_text()[-2000:]
                time.sleep(0.2)
            yield f"sc://127.0.0.1:{port}"
        finally:
            assert server.stdin is not None
            server.stdin.close()
            server.wait(timeout=PATIENCE)


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def test_every_pattern_runs_over_connect(connect_server: str, duckdb_engine: Any, tmp_path: Path) -> None:
    """Over Spark Connect, where no JVM is near, every pattern returns the rows that DuckDB returns, and is measured."""
    lines = tmp_path / "lines"
    lines.mkdir()
    for name in "ab":
        (lines / f"{name}.csv").write_text("v\n" + f"{name},x\n\n1\n" * 3)

    told = alone("over_connect", connect_server, str(lines))

    assert told["engine"] == "spark" and "connect" in told["module"]
    assert told["said"].startswith('no column "vv" in the table; did you mean "v"?')
    assert "Exchange" in told["plan"]
    (exchange,) = told["measured"]["operators"]
    assert (exchange["operator"], exchange["rows"], exchange["out"]) == ("Exchange", 14, 7)
    assert told["measured"]["moved_bytes"] == exchange["bytes"] > 0
    assert (told["measured"]["spilled_bytes"], told["untold"]["moved_bytes"]) == (None, None)
    for name, expected in everything(duckdb_engine.adopt(SALES)).items():
        assert_tables_equal(_plain(told["found"][name]), _plain(rows(expected)))
    assert_tables_equal(told["places"], duckdb_engine.read(str(lines), bad="quarantine"))
    assert told["kept"] == [True, True, True]


def test_what_is_materialized_stays_so(spark_engine: Any) -> None:
    """Rows that are kept are read by every later query, whatever expressions made them and stand in it."""
    assert reads_what_is_kept(spark_engine.adopt(SALES)) == [True, True, True]


def test_settings_and_sessions_of_users(java: None, tmp_path: Path) -> None:
    """Plain words reach Spark; a user's session is set to UTC when it is first used, and is not stopped by close."""
    told = alone("with_settings", str(tmp_path))

    assert told["opened"]["master"] == "local[1]"
    assert told["opened"]["heap"] <= 600
    assert told["opened"]["scratch"] == str(tmp_path)
    assert told["same"] and told["alive"] == 3
    assert told["zone"] == "UTC"
    assert told["day"][0]["day"] == "2026-03-01 00:00:00"


def _plain(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows as they come back from JSON."""
    return json.loads(json.dumps(found, default=str))  # type: ignore[no-any-return]


@pytest.mark.parametrize("target", ["spark://127.0.0.1:nowhere", "sc://127.0.0.1:x"])
def test_an_address_that_is_none(java: None, target: str) -> None:
    """A port that is no number is told at once, with how to write it."""
    with pytest.raises(ps.UsageError, match=r"not a host and port.*spark://127\.0\.0\.1:7077"):
        ps.connect(target)


@pytest.mark.parametrize("scheme", ["spark", "sc"])
def test_nothing_at_the_port_is_told_at_once(java: None, scheme: str) -> None:
    """A master or a server that does not answer is told within seconds, with what to check."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    began = time.monotonic()

    with pytest.raises(ps.UsageError, match=f"nothing answers at {scheme}://127.0.0.1:{port}"):
        ps.connect(f"{scheme}://127.0.0.1:{port}")

    assert time.monotonic() - began < 20


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](*sys.argv[2:]), default=str))


def test_plans_of_several_threads_are_told_apart(spark_engine):
    """Threads that ask for plans at once get each its own, and standard output is what it was."""
    before = sys.stdout
    tables = [spark_engine.session.range(10).selectExpr(f"id AS column_{number}") for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        plans = list(pool.map(spark_engine.explain, tables))

    assert sys.stdout is before
    assert all(
        f"column_{number}" in plan and plan.count("== Physical Plan ==") == 1 for number, plan in enumerate(plans)
    )
