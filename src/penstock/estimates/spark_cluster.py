"""Spark on a cluster: every wide step is written to disks, sent over the network and read again."""

from __future__ import annotations

from math import ceil

from penstock.estimates.hardware import Machines
from penstock.estimates.ranges import bounds, count, digits, lasts, over, speed, times
from penstock.estimates.speeds import SPARK
from penstock.estimates.steps import HDFS_COPIES, Need, Side, Step, part_of, reading, regrouping, through, writing
from penstock.estimates.workload import PARQUET_SHRINKS, Workload
from penstock.figures import Figure, total

__all__ = ["hot_key", "spark"]

START = Figure(5, 15, 40, "model")
SCHEDULED = Figure(1500, 2500, 4000, "model")  # tasks a second: 1500 by the Sparrow paper, 2-3 times that since
SHUFFLED = Figure(0.3, 0.5, 0.8, "model")  # of the values: rows of the shuffle, in lz4
REFUSED = 8 * 2**30  # spark.sql.maxBroadcastTableSize, which is fixed before Spark 4.1
BUILD = Figure(75e6, 150e6, 300e6, "model")  # bytes a second of a broadcast's hash table, which one core builds
TABLE = Figure(1.0, 1.5, 3.0, "model")  # bytes of that table for each byte of rows
TASK = Figure(1.0, 3.0, 6.0, "model")  # memory of a task for each byte of its partition
USED = 0.6  # of the memory, as spark.memory.fraction is by default
DEFAULT_REDUCERS = 200
SMALL_BLOCK = 64_000
SMALL_FILE = 16_000_000
MANY = 1000


def spark(work: Workload, on: Machines) -> Side:
    """The stages one after another; within a stage cores, network, disks and the driver work at the same time."""
    values = work.values
    read = reading(work, on, SPARK, tasks=work.tasks)
    steps = [
        Step("start", (Need("start", "driver and executors", START),)),
        read._replace(needs=(*read.needs, _driver(work.tasks))),
        *(_broadcast(size, on) for size in work.broadcasts),
        *(_wide(number, work, share, on) for number, share in enumerate(work.shuffles, 1)),
        *writing(work, on, SPARK, copies=HDFS_COPIES),
    ]
    shuffled = times(values, sum(work.shuffles), SHUFFLED)
    lookups = times(sum(work.broadcasts), TABLE)
    partition = min(work.partition, (values.mid or 0.0) / on.all_cores)
    memory = total([lookups, times(partition, on.cores, TASK)])
    fits = bounds(lookups)[1] <= on.memory * USED and bounds(shuffled)[1] / on.number <= on.disk_size
    return Side(
        "spark", on, tuple(steps),
        moved=total([times(shuffled, _abroad(on)), times(sum(work.broadcasts), on.number - 1)]),
        memory=memory, disk=over(shuffled, on.number), fits=fits, warnings=tuple(_warnings(work, on, read)),
    )  # fmt: skip


def _abroad(on: Machines) -> float:
    """The share of shuffled rows whose place is on another machine."""
    return (on.number - 1) / on.number


def _others(on: Machines) -> str:
    return f"{count(on.number - 1)}/{count(on.number)}"


def _reducers(work: Workload, share: float) -> int:
    return max(1, ceil(bounds(work.values)[1] * share / work.partition))


def _driver(tasks: int) -> Need:
    return Need("driver", f"{count(tasks)} tasks / {count(bounds(SCHEDULED)[1])} a second", over(tasks, SCHEDULED))


def _wide(number: int, work: Workload, share: float, on: Machines) -> Step:
    values, rate = times(work.values, share), SPARK.wide(work.row_bytes)
    moved, lz4 = times(values, SHUFFLED), f"{digits(values)} x {bounds(SHUFFLED)[1]:g} in lz4"
    needs = [
        regrouping(share, work, on, SPARK),
        through("network", times(moved, _abroad(on)), on, SPARK.network, f"{lz4} x {_others(on)}"),
        through("disk", times(moved, 2), on, SPARK.disk, f"{lz4}, written and read"),
        _driver(_reducers(work, share)),
    ]
    return Step(f"wide step {number}, {part_of(share)}", (*needs, *hot_key(work, values, rate)))


def hot_key(work: Workload, values: Figure, rate: Figure) -> list[Need]:
    """The rows of one key meet in one task, whatever the cluster is."""
    if not work.heaviest:
        return []
    formula = f"{100 * work.heaviest:.3g}% of {digits(values)} / {speed(rate)}, on one core"
    return [Need("one hot key", formula, over(times(values, work.heaviest), rate))]


def _broadcast(bytes: int, on: Machines) -> Step:
    link = times(on.network, SPARK.network)
    way = f"2 x {digits(bytes)} / ({speed(on.network)} x {bounds(SPARK.network)[1]:g})"
    formula = f"{way} to the driver and on + {digits(bytes)} / {speed(BUILD)} to hash, on one core"
    seconds = total([times(2, over(bytes, link)), over(bytes, BUILD)])
    return Step(f"broadcast {digits(bytes)}", (Need("driver", formula, seconds),))


# -- what to look out for ---------------------------------------------------------------------------------------------


def _warnings(work: Workload, on: Machines, read: Step) -> list[str]:
    return [*_of_files(work, on, read), *_of_lookups(work, on), *_of_wide_steps(work, on)]


def _of_files(work: Workload, on: Machines, read: Step) -> list[str]:
    found = []
    by_size, text = ceil(work.bytes / work.partition), work.bytes / work.files
    if not work.splits and by_size > work.tasks:
        seconds = text / bounds(SPARK.reading(work))[1]
        found.append(
            f"a {work.codec} file cannot be split: {count(work.tasks)} tasks, not {count(by_size)}. Each reads "
            f"{digits(text)} in {lasts(seconds)}, and the largest file decides when reading ends"
        )
    if work.tasks < on.all_cores:
        found.append(
            f"reading has {count(work.tasks)} tasks for {count(on.all_cores)} cores: "
            f"{count(on.all_cores - work.tasks)} of them wait for {lasts(bounds(read.seconds)[1])}"
        )
    if work.stored / work.files < SMALL_FILE and work.files > MANY:
        found.append(f"files of {digits(work.stored / work.files)}: opening them costs more than reading; compact them")
    if work.columns < 1 and not work.kind.columnar:
        there = work.bytes * work.columns
        found.append(
            f"{work.format} has no columns to skip: {digits(work.bytes)} are parsed where {digits(there)} are needed; "
            f"as Parquet it would be {digits(there / PARQUET_SHRINKS)} to read"
        )
    return found


def _of_lookups(work: Workload, on: Machines) -> list[str]:
    found = []
    for size in work.broadcasts:
        if size > REFUSED:
            found.append(
                f"Spark refuses to broadcast more than 8 GiB, and this is {digits(size)}: take fewer columns, raise "
                "spark.sql.maxBroadcastTableSize (from Spark 4.1 on), or join by a wide step"
            )
    held = times(sum(work.broadcasts), TABLE)
    if bounds(held)[2] > 0.1 * on.memory:
        low, _, high = bounds(held)
        found.append(
            f"broadcasts of {digits(sum(work.broadcasts))} need {digits(low)} to {digits(high)} in every executor, on "
            f"machines of {digits(on.memory)}: one executor a machine, or as many copies as there are executors"
        )
    return found


def _of_wide_steps(work: Workload, on: Machines) -> list[str]:
    found = []
    most = max(work.shuffles, default=0.0)
    values = bounds(work.values)[1] * most
    reducers = _reducers(work, most)
    if values / DEFAULT_REDUCERS > 8 * work.partition:
        found.append(
            f"spark.sql.shuffle.partitions is {DEFAULT_REDUCERS} by default, tasks of "
            f"{digits(values / DEFAULT_REDUCERS)}: set {count(reducers)}; AQE makes them fewer, not more"
        )
    blocks = work.tasks * reducers
    if most and values * 0.5 / blocks < SMALL_BLOCK and blocks > 10_000_000:
        found.append(
            f"{count(work.tasks)} tasks x {count(reducers)} partitions = {count(blocks)} blocks of "
            f"{digits(values * 0.5 / blocks)}: take larger partitions, or have shuffles pushed and merged"
        )
    low, _, high = bounds(over(times(work.values, sum(work.shuffles), SHUFFLED), on.number))
    if high > 0.8 * on.disk_size:
        found.append(
            f"shuffled rows stay on the disks until the job is done: {digits(low)} to {digits(high)} on each of "
            f"{digits(on.disk_size)}"
        )
    if most > 0.05 and not work.heaviest:
        found.append(
            f"keys are taken to be even: one with more than 1 / {count(on.all_cores)} = {1 / on.all_cores:.2%} of the "
            "rows decides by itself how long its wide step takes (heaviest=)"
        )
    return found
