"""A sample of the rows that leave an operator, with what it says of all of them."""

from __future__ import annotations

from typing import NamedTuple

from penstock import sql
from penstock.figures import Figure, exact
from penstock.forecasts.sample import ROW, RUN

__all__ = ["HIDDEN", "PLACE", "TASK", "Flow", "part_of"]

#: The hidden columns as SQL: the run that a row is of, and its place among all rows of the sample.
TASK, PLACE = sql.quote(RUN), sql.quote(ROW)
HIDDEN = f"{TASK}, {PLACE}"


class Flow(NamedTuple):
    """A sample of the rows that leave an operator, and how many there are in all."""

    text: str
    """A SELECT of the columns, RUN and ROW (`sampled`), over tables that are kept (`asking`)."""
    taken: int
    total: Figure
    tasks: float
    """In how many partitions they lie."""
    base: float
    """The rows of the files that the sample stands for, and how many of the files' rows it was taken from: before any
    filter, since runs are of rows as they lie in the files."""
    base_taken: int
    runs: bool
    """Whether rows still lie as in the files."""
    whole: bool
    """Whether these are all rows."""
    first_run: int
    """Of `base_taken`, those of the long run."""

    @property
    def reach(self) -> float:
        """How many times the rows of the long run a task has."""
        return self.base / max(1.0, self.tasks) / self.first_run if self.runs and not self.whole else 1.0


def part_of(total: Figure, kept: float, taken: float, whole: bool) -> Figure:
    """The rows that a filter leaves, with what chance may have done to a sample: two standard errors."""
    if whole:
        return exact(int(kept))
    if total.mid is None:
        return Figure(0, None, total.high, "unknown" if total.high is None else "sample")
    if not taken:  # no row of the sample is left to ask: at most all
        return Figure(0, total.mid, total.high, total.basis)
    share = kept / taken
    error = 2 * (max(kept, 1.0) * max(0.0, 1 - min(share, 1.0))) ** 0.5 / taken + 0.02 * share
    low, high = max(0.0, share - error), share + error
    return Figure(low * (total.low or 0), share * total.mid, high * (total.high or total.mid), "sample")
