"""The size from which on a cluster is done before one machine."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from math import inf

from penstock.estimates.ranges import bounds
from penstock.estimates.steps import Side
from penstock.estimates.workload import Workload
from penstock.figures import UNKNOWN, Figure

__all__ = ["crossover"]

Estimated = Callable[[Workload], Side]

LEAST, MOST = 6, 18  # powers of ten: a megabyte, an exabyte
A_DECADE = 1  # sizes that are looked at; each takes 1 ms
HALVINGS = 6  # to within 4 %
NEVER = (inf, inf, inf)


def crossover(work: Workload, one: Estimated, many: Estimated) -> Figure:
    """Above which size `many` is always the faster one; the bounds are by the luck of the one and the other.

    Where one of them cannot hold the job the other wins; sizes that neither can hold say nothing. Files keep their size
    and wide steps their share, so both grow with the bytes. Unknown where `many` never wins.
    """

    @cache
    def took(size: float) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
        alone, together = one(work.scaled(size)), many(work.scaled(size))
        return _times(alone), _times(together)

    def wins(size: float, slow: int, fast: int) -> bool:
        alone, together = took(size)
        return together[fast] < alone[slow]

    steps = [10 ** (LEAST + step / A_DECADE) for step in range((MOST - LEAST) * A_DECADE + 1)]
    sizes = [size for size in steps if min(took(size)) < NEVER]

    def above(slow: int, fast: int) -> float | None:
        last = max((size for size in sizes if not wins(size, slow, fast)), default=None)
        if last is None or last == sizes[-1]:
            return None
        low, high = last, last * 10 ** (1 / A_DECADE)
        for _ in range(HALVINGS):
            middle = (low * high) ** 0.5
            low, high = (low, middle) if wins(middle, slow, fast) else (middle, high)
        return high

    mid = above(1, 1)
    return UNKNOWN if mid is None else Figure(above(2, 0), mid, above(0, 2), "model")


def _times(side: Side) -> tuple[float, float, float]:
    return bounds(side.seconds) if side.fits else NEVER
