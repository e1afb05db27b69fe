"""What holds on a real cluster: two workers, one of which loses its executor while rows cross between them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import penstock as ps
from penstock.testing import assert_tables_equal, rows

pytestmark = pytest.mark.cluster

ROWS = 200_000
KEYS = 20_000
TASKS = 40  # of the reducing stage


def heavy_query(url: str) -> None:
    """Run in a process of its own: a query of two shuffles whose reducing stage takes seconds.

    Prints a line when some of that stage's tasks are done, and at the end the result and how often a stage was retried.
    """
    settings = {
        "spark.sql.shuffle.partitions": TASKS,
        "spark.sql.adaptive.coalescePartitions.enabled": False,  # else the little data becomes two tasks
        "spark.shuffle.io.retryWait": "200ms",  # not thrice 5 s before a lost executor is believed lost
    }
    with ps.connect(url, **settings) as engine:
        numbers = engine.query(f"SELECT id, id % {KEYS} AS k FROM range(0, {ROWS}, 1, 8)", {})
        groups = ps.aggregate(numbers, "k", n="count(*)", total="sum(id)")
        slow = "sha2(repeat(cast(k AS string), 10000), 512)"  # 0.1 s a task
        hashed = engine.query(f"SELECT k % 10 AS digit, n, total, length({slow}) AS length FROM t", {"t": groups})
        answer = ps.aggregate(hashed, "digit", n="sum(n)", total="sum(total)", length="sum(length)")

        result: list[dict[str, Any]] = []
        query = threading.Thread(target=lambda: result.extend(rows(answer)))
        query.start()
        tracker = engine.session.sparkContext.statusTracker()
        announced, retries = False, 0
        while query.is_alive():
            for stage in filter(None, map(tracker.getStageInfo, tracker.getActiveStageIds())):
                retries = max(retries, stage.currentAttemptId)
                if not announced and stage.numTasks == TASKS and stage.numCompletedTasks >= 4:
                    announced = True
                    print("reducing", flush=True)
            time.sleep(0.05)
        print(json.dumps({"rows": result, "retries": retries}), flush=True)


def test_an_executor_killed_amid_a_shuffle_changes_nothing(cluster):
    """With one of two executors killed while its shuffled rows are read, they are made anew and the result is right."""
    command = [sys.executable, "-c", "import sys, test_cluster as t; t.heavy_query(sys.argv[1])", cluster.url]
    with subprocess.Popen(command, cwd=Path(__file__).parent, stdout=subprocess.PIPE, text=True) as query:
        assert query.stdout is not None
        assert query.stdout.readline() == "reducing\n"
        before = cluster.executors()
        os.kill(min(before), signal.SIGKILL)
        answer = json.loads(query.stdout.read())

    assert len(before) == 2
    assert answer["retries"] > 0
    each = ROWS // KEYS
    expected = [
        {
            "digit": digit,
            "n": each * KEYS // 10,
            "total": sum(range(digit, ROWS, 10)),
            "length": 128 * KEYS // 10,
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
