"""What holds on a real cluster: two workers, one of which loses its executor while rows cross between them."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import penstock as ps
from clusters import Application, Cluster, application, say
from penstock.catalog import PATTERNS
from penstock.cli.main import run
from penstock.engines.engine import Engine
from penstock.testing import assert_tables_equal, rows

# The cluster and its application are six JVMs: seconds to start on idle cores, minutes on crowded ones.
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(480)]

JOB = str(Path(__file__).parent.parent / "examples" / "clickstream" / "job.py")
SINKS = ("visits", "engagement", "top_pages")
ROWS = 200_000
KEYS = 5_000
TASKS = 25  # of the reducing stage


@pytest.fixture(scope="module")
def on_cluster(cluster: Cluster) -> Iterator[Application]:
    """A process that calls functions of this file with an engine on the cluster."""
    with application(cluster.url) as running:
        yield running


@contextlib.contextmanager
def settings(engine: Engine, wanted: dict[str, Any]) -> Iterator[None]:
    """Settings of the session, for a while."""
    before = {key: engine.session.conf.get(key) for key in wanted}
    for key, value in wanted.items():
        engine.session.conf.set(key, value)
    yield
    for key, value in before.items():
        engine.session.conf.set(key, value)


# A call of every pattern; files and engine are added. The joins' other side is the last file.
OTHER = "events-2.parquet"
CALLS = [
    ["where", "amount > 0 or note like '%,%'"],
    ["derive", "day=date_trunc('day', at)", "third=amount / 3", "floor=id // 7"],
    ["aggregate", "--by", "user", "n=count(*)", "total=sum(score)", "mean=avg(price)", "users=count(distinct id)"],
    ["top", "--by", "user", "-n", "7"],
    ["top", "--by", "note,user", "--weight", "score"],
    ["top_n", "--by", "user", "--order", "amount desc", "-n", "2"],
    ["mode", "--column", "note", "--by", "user", "--ties", "all"],
    ["distinct", "--columns", "note,user"],
    ["count_distinct", "--columns", "note", "--by", "user"],
    ["sort", "--order", "amount desc, note"],
    ["sessionize", "--by", "user", "--at", "at", "--gap", "5m", "--max-length", "20m"],
    ["sessions", "--by", "user", "--at", "at", "--gap", "5m"],
    ["sessions", "--by", "user,note", "--at", "at", "--gap", "1h", "total=sum(score)"],
    ["dedup", "--by", "user,note", "--at", "at"],
    ["dedup", "--by", "user", "--at", "at", "--within", "1h"],
    ["join", "--on", "user,note", "--how", "full", "--right", OTHER],
    ["asof_join", "--on", "user", "--at", "at", "--tolerance", "10m", "--right", OTHER],
    ["range_join", "--value", "price", "--low", "price", "--high", "price", "--how", "left", "--right", OTHER],
]


def run_verbs(engine: Engine, events: str, into: str) -> None:
    """Run every call on an engine, the output of each into its own file."""
    files = sorted(map(str, Path(events).glob("*.parquet")))
    for number, (verb, *arguments) in enumerate(CALLS):
        words = [files[-1] if word == OTHER else word for word in arguments]
        with Path(into, f"{number}.csv").open("w") as out, contextlib.redirect_stdout(out):
            code = run([verb, *files, *words, "--format", "csv", "--engine", engine.target, "--quiet"])
        assert code == 0, f"penstock {verb} {' '.join(arguments)} ended with {code}"


def test_every_verb_prints_the_same_bytes_on_the_cluster(on_cluster, duckdb_engine, tmp_path):
    """The csv of every pattern over several files is the same, byte for byte, on DuckDB and on two workers."""
    assert {verb for verb, *_ in CALLS} == {pattern.name for pattern in PATTERNS}

    write_events(tmp_path)
    for engine in ("duckdb", "spark"):
        (tmp_path / engine).mkdir()
    run_verbs(duckdb_engine, str(tmp_path), str(tmp_path / "duckdb"))
    on_cluster.call("test_cluster", "run_verbs", str(tmp_path), str(tmp_path / "spark"))

    for number, call in enumerate(CALLS):
        ours, theirs = ((tmp_path / engine / f"{number}.csv").read_bytes() for engine in ("duckdb", "spark"))
        assert ours.count(b"\n") > 3, call
        assert ours == theirs, call


def write_events(folder: Path) -> None:
    """Three files of events with nulls, ties, NaN, -0.0, decimals, times, and text that csv must quote."""
    chance = random.Random(7)
    notes = [None, "", "a,b", 'say "hi"', "two\nlines", "ü 😀", "NULL", " x "]
    amounts = [None, 0.0, -0.0, float("nan"), float("inf"), 0.1, 1 / 3, 1e-7, 1e21, -12345.678]
    for part in range(3):
        size = 1000
        events = {
            "id": [part * size + i for i in range(size)],
            "user": [chance.choice(["ann", "bob", None, "cid"]) for _ in range(size)],
            "note": [chance.choice(notes) for _ in range(size)],
            "amount": [chance.choice(amounts) for _ in range(size)],
            "score": [chance.choice([None, chance.uniform(-1, 1), 0.1, 1e6 / 3]) for _ in range(size)],
            "price": [Decimal(chance.randint(-999, 999)).scaleb(-2) for _ in range(size)],
            "at": [datetime(2024, 9, 28) + timedelta(microseconds=chance.randint(0, 2 * 10**11)) for _ in range(size)],
        }
        pq.write_table(pa.table(events), folder / f"events-{part}.parquet", row_group_size=300)


def run_job(engine: Engine, folder: str) -> None:
    """Run the clickstream job on an engine, in a folder beside its data."""
    with contextlib.chdir(folder):
        assert run(["run", JOB, "-q", "-p", "data=../data", "-e", engine.target]) == 0


def test_the_clickstream_job_writes_the_same_lake_on_the_cluster(on_cluster, duckdb_engine, tmp_path):
    """The job on two workers gives the rows that it gives on DuckDB; the refused ones too, with file and line."""
    from examples.clickstream.generate import generate  # not above: the application imports this file from here

    generate(tmp_path / "data", 300_000, seed=5)
    for name in ("duckdb", "cluster"):
        (tmp_path / name).mkdir()
    run_job(duckdb_engine, str(tmp_path / "duckdb"))
    on_cluster.call("test_cluster", "run_job", str(tmp_path / "cluster"))
    lakes = []
    for name in ("duckdb", "cluster"):
        refused = next((tmp_path / name).glob(".penstock/clickstream/2*/quarantine/events"))
        lakes.append([ps.read(str(path)) for path in (*(tmp_path / name / "lake" / sink for sink in SINKS), refused)])

    for ours, theirs in zip(*lakes, strict=True):
        assert ours.aggregate("count(*)").fetchall() > [(10,)]
        assert_tables_equal(ours, theirs)


def heavy_query(engine: Engine) -> dict[str, Any]:
    """Run on the cluster: a query of two shuffles whose reducing stage takes seconds; its rows, and how often retried.

    Says a word when some of that stage's tasks are done.
    """
    wanted = {
        "spark.sql.shuffle.partitions": TASKS,
        "spark.sql.adaptive.coalescePartitions.enabled": False,  # else the little data becomes two tasks
    }
    with settings(engine, wanted):
        return run_heavy_query(engine)


def run_heavy_query(engine: Engine) -> dict[str, Any]:
    """The same, with the settings that are there."""
    numbers = engine.query(f"SELECT id, id % {KEYS} AS k FROM range(0, {ROWS}, 1, 8)", {})
    groups = ps.aggregate(numbers, "k", n="count(*)", total="sum(id)")
    # 2 ms a group, 0.4 s a task and 5 s in all, however fast the machine is: time to be killed in.
    pause = "reflect('java.lang.Thread', 'sleep', 2L)"
    paused = engine.query(f"SELECT k % 10 AS digit, n, total, {pause} AS paused FROM t", {"t": groups})
    answer = ps.aggregate(paused, "digit", n="sum(n)", total="sum(total)", groups="count(paused)")

    result: list[dict[str, Any]] = []
    query = threading.Thread(target=lambda: result.extend(rows(answer)))
    query.start()
    tracker = engine.session.sparkContext.statusTracker()
    announced, retries = False, 0
    while query.is_alive():
        for stage in filter(None, map(tracker.getStageInfo, tracker.getActiveStageIds())):
            retries = max(retries, stage.currentAttemptId)
            if not announced and stage.numTasks == TASKS and stage.numCompletedTasks >= 2:
                announced = True
                say("reducing")
        time.sleep(0.05)
    return {"rows": result, "retries": retries}


def test_an_executor_killed_amid_a_shuffle_changes_nothing(cluster, on_cluster):
    """With one of two executors killed while its shuffled rows are read, they are made anew and the result is right."""
    before = cluster.executors()
    on_cluster.send("test_cluster", "heavy_query")
    assert on_cluster.says() == "reducing"
    os.kill(min(before), signal.SIGKILL)
    answer = on_cluster.says()

    assert len(before) == 2
    assert answer["retries"] > 0
    each = ROWS // KEYS
    expected = [
        {
            "digit": digit,
            "n": each * KEYS // 10,
            "total": sum(range(digit, ROWS, 10)),
            "groups": KEYS // 10,
        }
        for digit in range(10)
    ]
    assert_tables_equal(answer["rows"], expected)


def test_an_interrupted_test_run_leaves_no_cluster_behind(java, tmp_path):
    """When the process that started a cluster is killed outright, master and workers end with it."""
    start = (
        "import os, pathlib, signal, sys, clusters\n"
        "with clusters.standalone(pathlib.Path(sys.argv[1])) as cluster:\n"
        "    print(*cluster.groups, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    command = [sys.executable, "-c", start, str(tmp_path)]
    killed = subprocess.run(command, cwd=Path(__file__).parent, stdout=subprocess.PIPE, text=True, check=False)
    groups = [int(group) for group in killed.stdout.split()]

    assert len(groups) == 3
    deadline = time.monotonic() + 10
    while any(map(_alive, groups)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(_alive, groups))


def _alive(group: int) -> bool:
    listed = subprocess.run(["ps", "-eo", "pgid=,stat="], capture_output=True, text=True, check=True).stdout
    return any(line.split()[0] == str(group) and not line.split()[1].startswith("Z") for line in listed.splitlines())
