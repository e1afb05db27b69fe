"""The arithmetic that fits on the back of an envelope: bytes as they are, even tasks, a network without losses."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil
from typing import Any, NamedTuple

from penstock.estimates.hardware import Machines
from penstock.estimates.ranges import count, digits, lasts, say, speed
from penstock.estimates.workload import Workload

__all__ = ["Line", "envelope"]

TASK_RATE = 64_000_000  # bytes a second: two seconds for 128 MB


class Line(NamedTuple):
    """One step of the reckoning."""

    name: str
    formula: str
    value: float
    unit: str
    """"tasks", "tasks a core" or "seconds"."""

    def to_json(self) -> dict[str, Any]:
        """As it stands in reports."""
        return self._asdict()


def envelope(work: Workload, on: Machines) -> tuple[Line, ...]:
    """Tasks, how many of them a core has one after another, how long that is, each wide step, and the sum."""
    return tuple(_lines(work, on))


def _lines(work: Workload, on: Machines) -> Iterator[Line]:
    there = work.bytes * work.columns
    tasks = ceil(there / work.partition)
    yield Line("tasks", f"{digits(there)} / {digits(work.partition)} = {_said(tasks, 'tasks')}", tasks, "tasks")
    waves = ceil(tasks / on.all_cores)
    cores = f"({count(on.number)} x {count(on.cores)} cores)"
    yield Line("waves", f"{count(tasks)} / {cores} = {_said(waves, 'tasks a core')}", waves, "tasks a core")
    each = work.partition / TASK_RATE
    took = [waves * each]
    formula = f"{count(waves)} x {each:.3g} s = {_said(took[0], 's')}, at {speed(TASK_RATE)} a core"
    yield Line("map", formula, took[0], "seconds")
    for number, share in enumerate(work.shuffles if on.number > 1 else (), 1):
        moved = there * share
        took.append(moved / (on.number * on.network))
        network = f"({count(on.number)} x {speed(on.network)})"
        yield Line(f"shuffle {number}", f"{digits(moved)} / {network} = {_said(took[-1], 's')}", took[-1], "seconds")
    parts = f"{' + '.join(f'{one:,.3g}' if one < 10 else count(one) for one in took)} s = " if len(took) > 1 else ""
    yield Line("together", f"{parts}{lasts(sum(took))}", sum(took), "seconds")


def _said(number: float, unit: str) -> str:
    exact = count(number) if number >= 10 or number == int(number) else f"{number:.2g}"
    near = count(say(number)) if number >= 10 else exact
    return f"{exact} {unit}" if near == exact else f"{exact} {unit}, say {near}"
