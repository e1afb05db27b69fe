"""What an engine measured, beside the steps of a plan.

Spark's unit is the bytes that it wrote for a shuffle. DuckDB shuffles nothing: there, rows that came out are compared.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from penstock.engines.measures import Measured, measured_in
from penstock.figures import Figure, total
from penstock.forecasts.steps import Actual, Step

__all__ = ["Compared", "beside", "beside_run", "compared"]


class Compared(NamedTuple):
    """Forecast and measurement of what an engine counts."""

    unit: str
    forecast: Figure
    measured: int | None

    @property
    def ratio(self) -> float | None:
        """Forecast over measured; 1 where neither is anything."""
        if self.forecast.mid is None or self.measured is None:
            return None
        return self.forecast.mid / self.measured if self.measured else float(not self.forecast.mid) or None

    def to_json(self) -> dict[str, Any]:
        """As it stands in reports."""
        return self._asdict() | {"forecast": self.forecast.to_json(), "ratio": self.ratio}


def beside(steps: Sequence[Step], operators: Iterable[Measured]) -> list[Step]:
    """The steps, each with what the operators did that it stands for: those with its keys, in the order of the work.

    What an engine did by another plan is beside none. From the end, since patterns that look at rows do so first.
    """
    left = [operator for operator in operators if operator.kind in ("wide", "broadcast")][::-1]
    found: dict[int, list[Measured]] = {}
    # To write moves nothing on DuckDB: what has no keys there counts the rows that were written.
    unmoved = None if any(each.bytes is not None for each in left) else "write"
    wide = [place for place, step in enumerate(steps) if step.kind != "narrow" and step.pattern != unmoved][::-1]
    for place in wide:
        alike = [each for each in left if _is_of(steps[place], each) and _alike(steps[place].keys, each.keys)]
        taken = alike[: 2 if _is_join(steps[place]) and not alike[0].sides else 1] if alike else []
        found[place] = taken[::-1]
        left = [each for each in left if not any(each is other for other in taken)]
    bare = [place for place in wide if not found[place]]
    if [each.kind for each in left] == [steps[place].kind for place in bare]:
        found |= {place: [each] for place, each in zip(bare, left, strict=True)}  # keys that the engine does not tell
    told = {place: _together(taken) for place, taken in found.items() if taken}
    return [step._replace(measured=told.get(place)) for place, step in enumerate(steps)]


def beside_run(steps: Sequence[Step], records: Iterable[Mapping[str, Any]]) -> list[Step]:
    """The steps of a job beside what the stages of a run measured, each of which is made of several functions."""
    found = list(steps)
    for record in records:
        members = {record["step"], *record.get("members", ())}
        places = [place for place, step in enumerate(steps) if step.step in members]
        told = beside([steps[place] for place in places], measured_in(record["measured"]))
        for place, step in zip(places, told, strict=True):
            found[place] = step
    return found


def compared(steps: Sequence[Step], engine: str, moved_bytes: int | None) -> Compared:
    """Of a whole plan: all bytes that moved on Spark, on DuckDB the rows that came out of wide steps."""
    if engine == "spark":
        return Compared("bytes", total(step.moved_bytes for step in steps if step.kind == "wide"), moved_bytes)
    known = [step for step in steps if step.measured and step.measured.out is not None]
    counts = [step.measured.out or 0 for step in known if step.measured]
    return Compared("rows", total(step.rows for step in known), sum(counts) if known else None)


def _is_of(step: Step, operator: Measured) -> bool:
    """Whether an operator may be a step's. DuckDB brings small sides nowhere: its joins are all alike."""
    return operator.kind == step.kind or (bool(operator.sides) and _is_join(step))


def _is_join(step: Step) -> bool:
    return "join" in step.name


def _alike(ours: Sequence[str], theirs: Sequence[str]) -> bool:
    return sorted(map(_bare, ours)) == sorted(map(_bare, theirs))


def _bare(key: str) -> str:
    """A key without quotes and the name of its table."""
    return re.sub(r"\b\w+\.(?=\w)", "", re.sub(r'[`"\s]', "", key)).lower()


def _together(operators: Sequence[Measured]) -> Actual:
    def summed(name: str) -> int | None:
        known = [getattr(each, name) for each in operators]
        return None if None in known else sum(known)

    largest = [each.largest_bytes for each in operators if each.largest_bytes is not None]
    return Actual(summed("bytes"), summed("rows"), operators[-1].out, summed("spilled"), max(largest, default=None))
