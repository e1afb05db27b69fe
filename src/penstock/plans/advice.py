"""Where a plan had better run, by the bytes that it reads and moves, and in how many partitions."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from math import ceil
from typing import Any

from penstock.amounts import amount, size
from penstock.engines.files import is_remote
from penstock.estimates.estimate import Estimate, estimate
from penstock.estimates.render import sides, verdict
from penstock.estimates.spark_cluster import SHUFFLED
from penstock.estimates.workload import CODECS, FORMATS
from penstock.forecasts.cluster import Cluster
from penstock.forecasts.sources import Source
from penstock.forecasts.steps import Step
from penstock.trees.tree import Node, Scan, walk

__all__ = ["advice"]

MACHINES = 4  # like this one, where no cluster was described
FAR = 4  # times as many partitions as are advised, or fewer: worth saying


def advice(
    trees: Sequence[Node], steps: Sequence[Step], cluster: Cluster, given: Mapping[str, Any] | None
) -> tuple[str, ...]:
    """One machine or a cluster, with what holds each up; then the number of partitions, if it is far from right."""
    said = dict(given or {})
    of_each = cluster.memory // int(said.get("machines", 1))
    hardware = {"machines": MACHINES, "cores": os.cpu_count() or 1, "memory": of_each, **said}
    return (*_engines(trees, steps, hardware), *_partitions(steps, cluster))


def _engines(trees: Sequence[Node], steps: Sequence[Step], hardware: Mapping[str, Any]) -> Iterator[str]:
    sources = {
        source.paths: source for tree in trees for node in walk(tree) if isinstance(node, Scan)
        for source in (node.source,) if source.bytes and source.paths
    }  # fmt: skip
    if not sources or any(step.moved_bytes.mid is None for step in steps):
        return
    found = _estimated(list(sources.values()), steps, hardware)
    yield from sides(found)
    yield f" {verdict(found)}"


def _estimated(sources: Sequence[Source], steps: Sequence[Step], hardware: Mapping[str, Any]) -> Estimate:
    stored = Counter[str]()
    for source in sources:
        stored[_format(source)] += source.bytes or 0
    scans = [step.scan for step in steps if step.scan]
    read, there = sum(scan.read_bytes for scan in scans), sum(scan.read_bytes + scan.skipped_bytes for scan in scans)
    main = stored.most_common(1)[0][0]
    moved = [(step.moved_bytes.mid or 0.0) / (SHUFFLED.mid or 1.0) for step in steps if step.kind == "wide"]
    written = sum(step.written_bytes.mid or 0.0 for step in steps)
    return estimate(
        stored=sum(stored.values()),
        files=sum(len(source.paths) for source in sources),
        format=main,
        columns=max(read / there, 0.001) if main == "parquet" and there else None,
        shuffles=[f"{ceil(each)}B" for each in moved if each] or 0,
        broadcasts=[step.moved_bytes.mid or 1 for step in steps if step.kind == "broadcast" and step.moved_bytes.mid],
        output=f"{ceil(written) or 1}B",
        storage="remote" if any(is_remote(source.paths[0]) for source in sources) else "local",
        **{name: hardware[name] for name in ("machines", "cores", "memory")},
    )


def _format(source: Source) -> str:
    """As estimates call it: with the codec of text."""
    ending = source.paths[0].rpartition(".")[2]
    text = source.format in ("csv", "tsv", "json", "log")
    known = source.format if source.format in FORMATS else "parquet"  # which tables of Delta and Iceberg are
    return f"{known}.{ending}" if text and ending in CODECS else known


def _partitions(steps: Sequence[Step], cluster: Cluster) -> Iterator[str]:
    """The reducers that the largest wide step wants; AQE joins small partitions by itself, but divides no large one."""
    most = max((step.moved_bytes.mid or 0.0 for step in steps if step.kind == "wide"), default=0.0)
    wanted = max(1, ceil(most / cluster.advised))
    many = cluster.reducers
    if wanted > FAR * many or (not cluster.adaptive and most and wanted * FAR < many):
        each = f"{size(most / many)} each, {size(cluster.advised)} is advised"
        yield f" {size(most)} in {amount(many)} partitions is {each}:"
        yield f" set spark.sql.shuffle.partitions={wanted}, or --cluster reducers={wanted} to plan for that"
