"""An estimate as text: the engines side by side, the crossover, then every formula with the numbers in it."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from penstock.amounts import aligned
from penstock.estimates.ranges import bounds, count, digits, lasts
from penstock.estimates.steps import Side, Step
from penstock.estimates.workload import Workload

if TYPE_CHECKING:
    from penstock.estimates.estimate import Estimate

__all__ = ["lasting", "sides", "text", "verdict"]

WIDE = 118
MANY = 10_000  # times: too many to be worth a number
_BASIS = {"exact": "known", "sample": "measured here", "model": "model"}


def text(found: Estimate) -> str:
    """All of it."""
    return "\n".join(_lines(found))


def lasting(side: Side) -> str:
    """From when to when a job may be done."""
    low, _, high = bounds(side.seconds)
    return _between(lasts(low), lasts(high))


def _between(low: str, high: str) -> str:
    """A range whose unit is said once.

    >>> _between("12 min", "41 min"), _between("50 min", "2.3 h")
    ('12 - 41 min', '50 min - 2.3 h')
    """
    if low == high:
        return low
    number, _, unit = low.rpartition(" ")
    return f"{number} - {high}" if high.endswith(f" {unit}") else f"{low} - {high}"


def _lines(found: Estimate) -> Iterator[str]:
    yield from _job(found.work)
    if found.engines.keys() - {"duckdb"}:
        yield f"cluster: {found.cluster}"
    if "duckdb" in found.engines and found.engines["duckdb"].machines != found.cluster._replace(number=1):
        yield f"alone:   {found.engines['duckdb'].machines}"
    if found.assumed:
        said = ", ".join(f"{name}={value}" for name, value in found.assumed.items())
        yield from wrap(f"taken for granted: {said}", WIDE, subsequent_indent="  ")
    yield ""
    yield from sides(found)
    yield f" {verdict(found)}"
    yield ""
    yield "on the back of an envelope, nothing compressed and nothing in the way"
    yield from aligned([[f"  {line.name}", line.formula] for line in found.envelope], before="")
    for side in found.engines.values():
        yield ""
        yield from _steps(side)


def _job(work: Workload) -> Iterator[str]:
    there = "" if work.stored == work.bytes else f", {digits(work.stored)} stored"
    files = f"{count(work.files)} file{'s' * (work.files > 1)} of {digits(work.stored / work.files)}"
    yield f"{digits(work.bytes)} of {work.format}{there}: {files}"
    kept = bounds(work.kind.values)[1]
    parts = [f"{work.columns:.3g} of the columns"] * (work.columns < 1)
    parts += [f"{kept:g} of {work.kind_name}, the rest is names and marks"] * (kept < 1)
    said = f" ({'; '.join(parts)})" if parts else ""
    wide = f"{len(work.shuffles)} wide step{'s' * (len(work.shuffles) != 1)}"
    lookups = f", {len(work.broadcasts)} broadcast{'s' * (len(work.broadcasts) > 1)}" if work.broadcasts else ""
    yield f"rows:    {digits(work.values)} of values{said}, {digits(work.row_bytes)} each; {wide}{lookups}"


def sides(found: Estimate) -> Iterator[str]:
    """A line for each engine: how long, what it takes of each machine, and what holds it up."""
    rows = [["  engine", "time", "about", "machine time", "memory each", "disk each", "held up by", "based on"]]
    for side in found.engines.values():
        machines = f"{count(side.machines.number)} machine{'s' * (side.machines.number > 1)}"
        rows.append([
            f"{'>' if side is found.best else ' '} {side.engine}, {machines}",
            lasting(side), lasts(bounds(side.seconds)[1]), lasts(side.machine_hours * 3600),
            f"{_much(bounds(side.memory)[1])} of {digits(side.machines.memory)}",
            f"{_much(bounds(side.disk)[1])} of {digits(side.machines.disk_size)}",
            side.bottleneck if side.fits else f"{side.bottleneck}; does not fit", _BASIS[side.seconds.basis],
        ])  # fmt: skip
    yield from aligned(rows, right=(3,), before="")


def _much(bytes: float) -> str:
    return digits(bytes) if bytes else "-"


def verdict(found: Estimate) -> str:
    """Which of them, and from which size on the other."""
    if found.crossover is None:
        return f"{found.best.engine}: {lasting(found.best)}, held up by {found.best.bottleneck}."
    low, mid, high = found.crossover.low, found.crossover.mid, found.crossover.high
    if mid is None:
        many = "one" if found.cluster.number == 1 else count(found.cluster.number)
        return f"One machine is always faster than {many} of them with Spark."
    least, most = digits(low or mid, 2), "never" if high is None else digits(high, 2)
    ratio = found.work.bytes / mid
    apart = max(ratio, 1 / ratio)
    times = f"{apart:,.1f}" if apart < 10 else count(apart)
    above = f"Spark wins above about {digits(mid, 2)} of such a job ({least} - {most})"
    if found.work.bytes < mid:
        return f"Stay on one machine. {above}{f', {times} times this' if apart < MANY else ''}."
    if not found.engines["duckdb"].fits:
        return f"One machine cannot hold it. {above}; this is {times} times that."
    return f"{above}; this is {times} times that."


def _steps(side: Side) -> Iterator[str]:
    yield f"{side.engine}: {lasting(side)}"
    rows = []
    for step in side.steps:
        name = f"  {step.name}"
        for need in _slowest_first(step):
            took = bounds(need.seconds)[1]
            rows.append([name, lasts(took) if name else f"({lasts(took)})", need.resource, need.formula])
            name = ""
    yield from aligned(rows, right=(1,), before="")
    for warning in side.warnings:
        yield from wrap(f"! {warning}", WIDE, initial_indent="  ", subsequent_indent="    ")


def _slowest_first(step: Step) -> list[Any]:
    return sorted(step.needs, key=lambda need: -(need.seconds.mid or 0.0))
