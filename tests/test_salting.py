"""What skew costs a join on a real cluster, by Spark's own figures: the bytes that each task of a stage reads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

import penstock as ps
from penstock.engines.notes import notes_of
from penstock.testing import rows

# The cluster and the driver are three JVMs: seconds on idle cores, minutes on crowded ones.
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(480)]

ROWS, KEYS, TASKS = 5_000_000, 200_000, 40


def joins(url: str) -> None:
    """Run in a process of its own: the same join with each strategy; prints the result, the notes and what tasks read.

    Six rows in ten of the left have the key 7; every key stands once on the right.
    """
    settings = {
        "spark.sql.shuffle.partitions": TASKS,
        "spark.sql.adaptive.coalescePartitions.enabled": False,  # else the little data becomes a few tasks
        "spark.sql.adaptive.skewJoin.enabled": False,
        "spark.sql.autoBroadcastJoinThreshold": "1MB",  # the right has 3
        "spark.ui.enabled": True,
        "spark.ui.port": 0,
    }
    key = f"IF(id % 5 < 3, 7, pmod(xxhash64(id), {KEYS}))"
    with ps.connect(url, **settings) as engine:
        left = engine.query(f"SELECT {key} AS k, id AS v FROM range(0, {ROWS}, 1, 8)", {})
        right = engine.query(f"SELECT id AS k, id * 3 AS x FROM range(0, {KEYS}, 1, 2)", {})
        context = engine.session.sparkContext
        page = f"{context.uiWebUrl}/api/v1/applications/{context.applicationId}"
        for strategy in ("auto", "shuffle"):
            joined = ps.join(left, right, "k", how="left", strategy=strategy)
            found = rows(ps.aggregate(joined, n="count(*)", keys="sum(k)", v="sum(v)", x="sum(x)", met="count(x)"))
            context._jsc.sc().listenerBus().waitUntilEmpty()  # stages are reported some time after their result
            told = {"rows": found, "notes": notes_of(joined), **read_by_tasks(page)}
            print(json.dumps({strategy: told}), flush=True)


def read_by_tasks(page: str) -> dict[str, Any]:
    """The median and the most bytes that a task read, in the latest stage of TASKS tasks that reads a shuffle."""
    url = f"{page}/stages?status=complete&withSummaries=true&quantiles=0.5,1.0"
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url) as reply:
        stages = [stage for stage in json.load(reply) if stage["shuffleReadBytes"] and stage["numTasks"] == TASKS]
    latest = max(stages, key=lambda stage: stage["stageId"])
    median, most = latest["taskMetricsDistributions"]["shuffleReadMetrics"]["readBytes"]
    return {"median": median, "most": most}


def test_no_task_reads_twice_the_median_of_a_skewed_join(cluster):
    """With 60 % of 5 M rows on one key, "auto" keeps the largest task within twice the median, where a plain shuffle
    makes it more than 20 times; both give the same rows.
    """
    command = [sys.executable, "-c", "import sys, test_salting as t; t.joins(sys.argv[1])", cluster.url]
    environment = os.environ | {"SPARK_LOCAL_IP": "127.0.0.1"}
    done = subprocess.run(
        command, cwd=Path(__file__).parent, env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    auto, shuffle = ({**json.loads(line)}.popitem()[1] for line in done.stdout.splitlines())

    assert auto["rows"] == shuffle["rows"]
    assert auto["rows"][0]["n"] == auto["rows"][0]["met"] == ROWS
    assert '"k" = 7 holds 60% of the left' in auto["notes"][0]
    assert auto["most"] <= 2 * auto["median"]
    assert shuffle["most"] > 20 * shuffle["median"]
