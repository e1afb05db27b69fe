"""Hadoop MapReduce: one job a wide step, each of which reads, sorts on disk, sends, merges and writes three copies."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

from penstock.estimates.hardware import Machines
from penstock.estimates.ranges import bounds, count, digits, over, times
from penstock.estimates.spark_cluster import hot_key
from penstock.estimates.speeds import MAPREDUCE
from penstock.estimates.steps import (
    HDFS_COPIES,
    Need,
    Side,
    Step,
    on_cores,
    part_of,
    reading,
    regrouping,
    through,
    writing,
)
from penstock.estimates.workload import Workload
from penstock.figures import Figure, total

__all__ = ["mapreduce"]

START = Figure(15, 30, 60, "model")
PACKED = Figure(0.3, 0.5, 1.0, "model")  # of the values: the output of map tasks
PASSES = 4  # over a disk: map tasks spill and merge, reduce tasks write what they fetched, and read it
TABLE = 1.5  # bytes in a Java heap for each byte of a lookup's rows
USED = 0.8  # of the memory


def mapreduce(work: Workload, on: Machines) -> Side:
    """The jobs one after another."""
    by_job = [size for size in work.broadcasts if size * TABLE * on.cores > on.memory * USED]
    shares = [*(1.0 for _ in by_job), *work.shuffles]
    steps = list(_jobs(work, shares, on))
    held = sum(work.broadcasts) - sum(by_job)
    moved = [times(work.values, share, PACKED, (on.number - 1) / on.number) for share in shares]
    disk = max((over(times(one, 2), on.number) for one in moved), key=lambda one: one.mid or 0.0, default=total([]))
    return Side(
        "mapreduce", on, tuple(steps), moved=total([*moved, times(held, on.number)]),
        memory=times(held, on.cores, Figure(1, TABLE, 3, "model")), disk=disk,
        fits=bounds(disk)[1] <= on.disk_size, warnings=tuple(_warnings(by_job, shares, on)),
    )  # fmt: skip


def _jobs(work: Workload, shares: list[float], on: Machines) -> Iterator[Step]:
    rate = MAPREDUCE.wide(work.row_bytes)
    for number in range(1, max(1, len(shares)) + 1):
        job = f"job {number}: "
        yield Step(f"{job}start", (Need("start", "application master and containers", START),))
        if number == 1:
            yield reading(work, on, MAPREDUCE, name=f"{job}read", tasks=work.tasks)
        else:
            yield _between(f"{job}read what job {number - 1} wrote", times(work.values, shares[number - 2]), work, on)
        if shares:
            values = times(work.values, shares[number - 1])
            sent, packed = times(values, PACKED), f"{digits(values)} x {bounds(PACKED)[1]:g} packed"
            needs = [
                regrouping(shares[number - 1], work, on, MAPREDUCE),
                through("network", times(sent, (on.number - 1) / on.number), on, MAPREDUCE.network, packed),
                through("disk", times(sent, PASSES), on, MAPREDUCE.disk, f"{PASSES} passes x {packed}"),
                *hot_key(work, values, rate),
            ]
            yield Step(f"{job}sort and shuffle {part_of(shares[number - 1])}", tuple(needs))
        if number < len(shares):
            stored = times(work.values, shares[number - 1], PACKED)
            needs = [
                through("disk", times(stored, HDFS_COPIES), on, MAPREDUCE.disk, f"{HDFS_COPIES} copies x {packed}"),
                through(
                    "network",
                    times(stored, HDFS_COPIES - 1),
                    on,
                    MAPREDUCE.network,
                    f"{HDFS_COPIES - 1} copies x {packed}",
                ),
            ]
            yield Step(f"{job}write for job {number + 1}", tuple(needs))
    yield from writing(work, on, MAPREDUCE, name=f"{job}write", copies=HDFS_COPIES)


def _between(name: str, values: Figure, work: Workload, on: Machines) -> Step:
    tasks = max(1, ceil(bounds(values)[1] / work.partition))
    waves = ceil(tasks / on.all_cores)
    started = Need(
        "task starts", f"{count(waves)} waves x {bounds(MAPREDUCE.launch)[1]:g} s", times(waves, MAPREDUCE.launch)
    )
    packed = times(values, PACKED)
    return Step(
        name, (on_cores(values, on, MAPREDUCE.parse["arrow"]), through("disk", packed, on, MAPREDUCE.disk), started)
    )


def _warnings(by_job: list[int], shares: list[float], on: Machines) -> list[str]:
    found = [
        f"each of {on.cores} tasks of a machine would hold its own copy of {digits(size)}, more than "
        f"{digits(on.memory)}: that join is a job of its own"
        for size in by_job
    ]
    if len(shares) > 1:
        found.append(
            f"{len(shares)} jobs: what is between them is written in {HDFS_COPIES} copies and read again, "
            f"{len(shares) - 1} times"
        )
    return found
