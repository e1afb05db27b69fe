"""The steps of a job on an engine, what each needs, and what holds it up."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil
from typing import Any, NamedTuple

from penstock.amounts import about
from penstock.estimates.hardware import Machines
from penstock.estimates.ranges import Number, bounds, count, digits, largest, over, speed, times
from penstock.estimates.speeds import Speeds
from penstock.estimates.workload import PARQUET_SHRINKS, Workload
from penstock.figures import NOTHING, Figure, total

__all__ = [
    "HDFS_COPIES", "Need", "Side", "Step", "on_cores", "part_of", "reading", "regrouping", "through", "writing",
]  # fmt: skip

HDFS_COPIES = 3


class Need(NamedTuple):
    """What a step asks of one resource, and how long that takes."""

    resource: str
    formula: str
    seconds: Figure

    def to_json(self) -> dict[str, Any]:
        """As it stands in reports."""
        return self._asdict() | {"seconds": self.seconds.to_json()}


class Step(NamedTuple):
    """Work of one stage. Its needs are met at the same time, so the longest of them is how long it takes."""

    name: str
    needs: tuple[Need, ...]

    @property
    def seconds(self) -> Figure:
        """How long it takes."""
        return largest(need.seconds for need in self.needs)

    @property
    def bound(self) -> str:
        """The resource that holds it up."""
        return max(self.needs, key=lambda need: need.seconds.mid or 0.0).resource

    def to_json(self) -> dict[str, Any]:
        """As it stands in reports."""
        return {
            "name": self.name,
            "seconds": self.seconds.to_json(),
            "bound": self.bound,
            "needs": [need.to_json() for need in self.needs],
        }


class Side(NamedTuple):
    """A job on one engine."""

    engine: str
    machines: Machines
    steps: tuple[Step, ...]
    moved: Figure = NOTHING
    """Bytes that wide steps and broadcasts send over the network, from all machines together."""
    memory: Figure = NOTHING
    """Bytes that one machine holds at most."""
    disk: Figure = NOTHING
    """Bytes of spilled or shuffled rows on the disk of one machine."""
    fits: bool = True
    """Whether the machines can hold what they have to."""
    warnings: tuple[str, ...] = ()

    @property
    def seconds(self) -> Figure:
        """From start to end."""
        return total(step.seconds for step in self.steps)

    @property
    def bottleneck(self) -> str:
        """The resource that holds the job up for the longest time."""
        held: dict[str, float] = {}
        for step in self.steps:
            held[step.bound] = held.get(step.bound, 0.0) + (step.seconds.mid or 0.0)
        return max(held, key=lambda resource: held[resource])

    @property
    def machine_hours(self) -> float:
        """What is paid for."""
        return (self.seconds.mid or 0.0) * self.machines.number / 3600

    def to_json(self) -> dict[str, Any]:
        """As it stands in reports."""
        return {
            "engine": self.engine,
            "fits": self.fits,
            "seconds": self.seconds.to_json(),
            "bottleneck": self.bottleneck,
            "machine_hours": self.machine_hours,
            "moved_bytes": self.moved.to_json(),
            "memory_bytes": self.memory.to_json(),
            "disk_bytes": self.disk.to_json(),
            "machines": self.machines.to_json(),
            "steps": [step.to_json() for step in self.steps],
            "warnings": list(self.warnings),
        }


# -- needs that every engine has --------------------------------------------------------------------------------------


def on_cores(bytes: Number, on: Machines, rate: Figure) -> Need:
    """Work that all cores share."""
    formula = f"{digits(bytes)} / ({count(on.all_cores)} cores x {speed(rate)})"
    return Need("cores", formula, over(bytes, on.all_cores, rate))


def regrouping(share: float, work: Workload, on: Machines, speeds: Speeds) -> Need:
    """A wide step's own work: rows into a hash table or an order, once those that can be are put together."""
    need = on_cores(times(work.values, share), on, speeds.wide(work.row_bytes))
    need = need._replace(formula=f"{need.formula}, rows of {digits(work.row_bytes)}")
    if share >= 1:
        return need
    rows = over(work.values, work.row_bytes)
    each = f"{bounds(speeds.combine)[1] * 1e6:g} us"
    formula = f"{about(bounds(rows)[1])} rows x {each} / {count(on.all_cores)} cores to combine + {need.formula}"
    return Need(need.resource, formula, total([over(times(rows, speeds.combine), on.all_cores), need.seconds]))


def through(resource: str, bytes: Number, on: Machines, share: Figure, said: str = "") -> Need:
    """Bytes through the network or the disks of all machines, which a stage gets a share of."""
    each = on.network if resource == "network" else on.disk
    machines = f"{count(on.number)} x " if on.number > 1 else ""
    part = f" x {bounds(share)[1]:g}" if bounds(share)[1] != 1 else ""
    formula = f"{said or digits(bytes)} / ({machines}{speed(each)}{part})"
    return Need(resource, formula, over(bytes, on.number, each, share))


def part_of(share: float) -> str:
    """A share of the rows in words.

    >>> part_of(1), part_of(0.02), part_of(0.000004)
    ('all rows', '2% of the rows', '0.0004% of the rows')
    """
    return "all rows" if share == 1 else f"{100 * share:.3g}% of the rows"


def reading(work: Workload, on: Machines, speeds: Speeds, *, name: str = "read", tasks: int | None = None) -> Step:
    """Files read and parsed, by so many tasks on the cores that there are; without tasks, evenly by all cores."""
    rate = speeds.reading(work)
    whence = "network" if work.storage == "remote" else "disk"
    needs = [through(whence, work.read, on, getattr(speeds, whence), f"{digits(work.read)} stored")]
    if tasks is None:
        needs.insert(0, on_cores(work.parsed, on, rate))
    else:
        needs.insert(0, _waves(work, on, speeds, rate, tasks))
    return Step(f"{name} {work.format}", tuple(needs))


def _waves(work: Workload, on: Machines, speeds: Speeds, rate: Figure, tasks: int) -> Need:
    waves, each = ceil(tasks / on.all_cores), work.parsed / tasks
    what = "files" if not work.splits and tasks == work.files else "tasks"
    launch = f" + {bounds(speeds.launch)[1]:g} s" if bounds(speeds.launch)[1] else ""
    took = f"({digits(each)} / {speed(rate)}{launch})"
    formula = f"{count(tasks)} {what} on {count(on.all_cores)} cores = {count(waves)} wave{'s' * (waves > 1)} x {took}"
    seconds = times(waves, total([over(each, rate), speeds.launch]))
    return Need("cores" if tasks >= on.all_cores else "too few tasks", formula, seconds)


def writing(work: Workload, on: Machines, speeds: Speeds, *, name: str = "write", copies: int = 1) -> Iterator[Step]:
    """The result as Parquet, to the object store or in so many copies to the machines' disks; if there is any."""
    if not work.output:
        return
    values = times(work.values, work.output)
    stored = over(values, PARQUET_SHRINKS)
    needs = [on_cores(values, on, speeds.write), *_stored_in(stored, work, on, speeds, copies)]
    yield Step(f"{name} {digits(stored)} of Parquet", tuple(needs))


def _stored_in(stored: Figure, work: Workload, on: Machines, speeds: Speeds, copies: int) -> Iterator[Need]:
    if work.storage == "remote":
        yield through("network", stored, on, speeds.network)
        return
    yield through("disk", times(stored, copies), on, speeds.disk, _copied(stored, copies))
    if copies > 1 and on.number > 1:
        yield through("network", times(stored, copies - 1), on, speeds.network, _copied(stored, copies - 1))


def _copied(stored: Figure, copies: int) -> str:
    return f"{copies} copies x {digits(stored)}" if copies > 1 else digits(stored)
