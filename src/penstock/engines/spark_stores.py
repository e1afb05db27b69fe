"""What a Spark application knows of jobs that have run: its status stores, which are there without its web page too.

Plans and their metrics are in the store of SQL, rounded and as text; exact bytes, times and tasks are in that of the
application, by stage. Which stage wrote a shuffle is told by the text of its metrics, which names a task, or by the
number of its records; which read it, by the RDDs that stand at both ends. Everything is asked for by one tag.
"""

from __future__ import annotations

import functools
import gzip
import json
import re
import secrets
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from penstock.engines.measures import Measured, Measures, Told
from penstock.engines.spark_errors import FAILURES
from penstock.engines.spark_measures import (
    DATA_SIZE,
    ROWS,
    WRITTEN_BYTES,
    WRITTEN_RECORDS,
    Graph,
    Node,
    Shuffle,
    measured,
)

__all__ = ["by_jobs"]

PATIENCE = 10_000  # milliseconds that reports of the tag's last stage may take to arrive; they take about 10

_METRICS = {
    "shuffle bytes written": WRITTEN_BYTES,
    "shuffle records written": WRITTEN_RECORDS,
    "number of output rows": ROWS,
    "data size": DATA_SIZE,
}
_OF_WRITERS = ("shuffle bytes written", "shuffle write time", "data size")
_UNITS = {unit: 1 << 10 * power for power, unit in enumerate(["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"])}


# Finding the classes takes as long as a few answers.
_stores: weakref.WeakKeyDictionary[Any, _Stores] = weakref.WeakKeyDictionary()


class Stage(NamedTuple):
    """The attempts of a stage together."""

    number: int
    rdds: frozenset[int]
    reads: frozenset[int]
    """RDDs of other stages."""
    tasks: int
    written_bytes: int
    written_records: int
    read_bytes: int
    """Of shuffles."""
    input_bytes: int
    input_records: int
    spilled: int
    seconds: float
    peak_bytes: int
    largest_bytes: int
    median_bytes: int


@contextmanager
def by_jobs(session: Any) -> Iterator[Measures]:
    """Measure the jobs that a thread starts within a block; other threads' jobs have not the tag of it."""
    context, measures, tag = session._sc, Measures(), f"penstock-measured-{secrets.token_hex(6)}"
    context.addJobTag(tag)
    try:
        yield measures
    finally:
        context.removeJobTag(tag)
        try:
            measures.statements += _told(session, tag)
        except FAILURES:  # a report that did not arrive, or a JVM that lets nobody look into it
            measures.begin()


def _told(session: Any, tag: str) -> list[Told]:
    """What the jobs with a tag did, a record for each query, in their order."""
    context = session._jsc.sc()
    context.listenerBus().waitUntilEmpty(PATIENCE)
    if session not in _stores:
        _stores[session] = _Stores(session, context)
    stores = _stores[session]
    queries: dict[int | None, set[int]] = {}
    for job in sorted(context.statusTracker().getJobIdsForTag(tag)):
        query, stages = stores.job(job)
        queries.setdefault(query, set()).update(stages)
    return [stores.query(query, stages) for query, stages in queries.items()]


class _Stores:
    """Both stores of an application. What they hold comes over as JSON: a call for each thing, not for each number."""

    def __init__(self, session: Any, context: Any) -> None:
        self.sql = session._jsparkSession.sharedState().statusStore()
        self.application = context.statusStore()
        jvm = session._jvm
        self.serializer = jvm.org.apache.spark.status.KVUtils.KVStoreScalaSerializer()
        self.quantiles = session._sc._gateway.new_array(jvm.double, 2)
        self.quantiles[0], self.quantiles[1] = 0.5, 1.0

    def plain(self, stored: Any) -> Any:
        return json.loads(gzip.decompress(bytes(self.serializer.serialize(stored))))

    def job(self, number: int) -> tuple[int | None, list[int]]:
        """The query that a job is of, and its stages."""
        job, query = self.plain(self.application.jobWithAssociatedSql(number))
        return query, job["stageIds"]

    def query(self, number: int | None, stages: set[int]) -> Told:
        """What one query did; jobs without one are of RDDs."""
        known = {stage: self.attempts(stage) for stage in sorted(stages)}
        ran = [self.stage(stage, did) for stage, attempts in known.items() if (did := _did(attempts))]
        graph, texts = self.graph(number) if number is not None else (Graph({}, {}), {})
        shuffles = _Shuffles(ran, texts)
        return Told(
            (*measured(graph, shuffles.of), *shuffles.rest()), sum(stage.input_bytes for stage in ran),
            sum(stage.spilled for stage in ran), max((stage.peak_bytes for stage in ran), default=0),
            sum(stage.seconds for stage in ran), all(known.values()),
        )  # fmt: skip

    def graph(self, number: int) -> tuple[Graph, dict[int, Mapping[str, str]]]:
        """A query's plan after adaptive execution, and the metrics of its nodes as text."""
        plan = self.plain(self.sql.planGraph(number))
        values = self.plain(self.sql.executionMetrics(number))
        nodes: dict[int, Node] = {}
        texts: dict[int, Mapping[str, str]] = {}
        for node in _flat(plan["nodes"]):
            texts[node["id"]] = {
                metric["name"]: values.get(str(metric["accumulatorId"]), "") for metric in node["metrics"]
            }
            known = {_METRICS[name]: _amount(text) for name, text in texts[node["id"]].items() if name in _METRICS}
            nodes[node["id"]] = Node(node["name"].strip(), node["desc"], known)
        above: dict[int, list[int]] = {}
        for edge in plan["edges"]:
            above.setdefault(edge["fromId"], []).append(edge["toId"])
        return Graph(nodes, above), texts

    def attempts(self, stage: int) -> list[dict[str, Any]]:
        """Those at a stage; none where it ran so long ago that Spark has forgotten it."""
        found: list[dict[str, Any]] = self.plain(self.application.stageData(stage, False, None, True, self.quantiles))
        return found

    def stage(self, number: int, attempts: Sequence[Mapping[str, Any]]) -> Stage:
        """The attempts together."""
        shuffled = any(attempt["shuffleReadBytes"] for attempt in attempts)
        ends = self.plain(self.application.operationGraphForStage(number).incomingEdges()) if shuffled else []
        spread = [each["taskMetricsDistributions"] for each in attempts if each.get("taskMetricsDistributions")]

        def total(name: str) -> int:
            return int(sum(attempt[name] for attempt in attempts))

        def most(quantile: int, *names: str) -> int:
            return int(max((functools.reduce(dict.__getitem__, names, each)[quantile] for each in spread), default=0))

        return Stage(
            number, frozenset(attempts[0]["rddIds"]), frozenset(end["fromId"] for end in ends),
            max(attempt["numTasks"] for attempt in attempts), total("shuffleWriteBytes"), total("shuffleWriteRecords"),
            total("shuffleReadBytes"), total("inputBytes"), total("inputRecords"), total("diskBytesSpilled"),
            total("executorRunTime") / 1000, most(1, "peakExecutionMemory"),
            most(1, "shuffleReadMetrics", "readBytes"), most(0, "shuffleReadMetrics", "readBytes"),
        )  # fmt: skip


def _did(attempts: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The attempts that ran: what an earlier stage wrote is not written again, and is shown as skipped."""
    return [attempt for attempt in attempts if attempt["status"] != "SKIPPED"]


class _Shuffles:
    """Which stages wrote and read each shuffle of a query.

    Args:
        stages: Those that did something.
        texts: The metrics of each node of its plan.
    """

    def __init__(self, stages: Sequence[Stage], texts: Mapping[int, Mapping[str, str]]) -> None:
        self.stages, self.planned = stages, bool(texts)
        self.named = {place: number for place in texts if (number := _writer(texts[place])) is not None}
        self.claimed: set[int] = set()

    def of(self, place: int, node: Node) -> Shuffle | None:
        """The shuffle of an operator; None where no stage wrote it."""
        free = [stage for stage in self.stages if stage.written_records and stage.number not in self.claimed]
        if place in self.named:
            found = [stage for stage in free if stage.number == self.named[place]]
        else:
            rows, others = node.metrics[WRITTEN_RECORDS], set(self.named.values())
            found = [stage for stage in free if stage.written_records == rows and stage.number not in others]
        return self._claimed(found[0], free) if found else None

    def _claimed(self, first: Stage, free: Sequence[Stage]) -> Shuffle:
        wrote = [stage for stage in free if stage.rdds == first.rdds]  # twice, where an executor was lost
        self.claimed.update(stage.number for stage in wrote)
        written = sum(stage.written_bytes for stage in wrote)
        readers = [stage for stage in self.stages if stage.reads & first.rdds and stage.read_bytes]
        if not readers:
            return Shuffle(written)
        hottest = max(readers, key=lambda stage: stage.largest_bytes)
        return Shuffle(
            written, sum(stage.seconds for stage in readers), sum(stage.spilled for stage in readers), hottest.tasks,
            hottest.largest_bytes, hottest.median_bytes,
        )  # fmt: skip

    def rest(self) -> Iterator[Measured]:
        """What was read and written for no operator of a plan: by RDDs."""
        for stage in self.stages:
            if stage.input_records and not self.planned:
                yield Measured("Stage", "scan", (), stage.input_records, stage.input_bytes, stage.input_records)
            if stage.written_records and stage.number not in self.claimed:
                moved = self._claimed(stage, [stage])
                yield Measured(
                    "Stage", "wide", (), stage.written_records, moved.bytes, None, "", (), moved.seconds,
                    moved.spilled, moved.tasks, moved.largest_bytes, moved.median_bytes,
                )  # fmt: skip


def _writer(texts: Mapping[str, str]) -> int | None:
    """The stage that wrote a shuffle, which metrics name where it had several tasks."""
    named = (re.search(r"\(stage (\d+)\.\d+: task", texts.get(name, "")) for name in _OF_WRITERS)
    return next((int(found[1]) for found in named if found), None)


def _flat(nodes: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """The operators, those that were compiled into one as well."""
    for node in nodes:
        if "nodes" not in node:
            yield node
        yield from _flat(node.get("nodes", []))


def _amount(text: str) -> int:
    """The total that a metric's text begins with, in its digits, which may be rounded.

    >>> _amount("2,000"), _amount("total (min, med, max (stageId: taskId))\\n1.5 KiB (0.0 B, 9.0 B, …)")
    (2000, 1536)
    """
    found = re.match(r"([\d,.]+)(?: (\w+))?", text.rpartition("\n")[2])
    return round(float(found[1].replace(",", "")) * _UNITS.get(found[2] or "B", 1)) if found else 0
