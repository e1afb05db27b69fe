"""What each reducer of a shuffle gets: which keys are too heavy for one, and how uneven the partitions are."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from penstock.figures import UNKNOWN, Figure, exact
from penstock.skews.key_counts import KeyCounts
from penstock.skews.murmur3 import places

__all__ = ["Spread", "guessed", "heavy_of", "loads", "over", "spread"]


class Spread(NamedTuple):
    """How many rows partitions have."""

    largest: Figure
    median: Figure
    mean: Figure
    empty: Figure
    """How many have none."""

    @property
    def ratio(self) -> Figure:
        """The largest over the median."""
        return over(self.largest, self.median)

    @property
    def straggler(self) -> Figure:
        """The largest over the mean: how much longer a stage takes than with even partitions, a core for each."""
        return over(self.largest, self.mean)


def heavy_of(counts: KeyCounts, partitions: int) -> int:
    """How many keys, from the heaviest, make the partition that they fall into twice as large as the median."""
    rest = counts.n.sum() + counts.others.sum() - np.cumsum(counts.n)
    light = np.nonzero(counts.n * partitions <= rest)[0]  # the median partition has rest / partitions
    return int(light[0]) if len(light) else len(counts.n)


def loads(counts: KeyCounts, partitions: int, *, without: int = 0) -> NDArray[np.float64]:
    """The rows of each partition that are of keys counted by themselves, but not of the first `without`."""
    at = places(counts.hashes, partitions)
    return np.bincount(at[without:], counts.n[without:], partitions).astype(np.float64)


def spread(counts: KeyCounts, partitions: int) -> Spread:
    """As the table stands."""
    alone, others = loads(counts, partitions), counts.others
    rows = alone + others
    mean = over(counts.rows, exact(partitions))
    largest, median, empty = float(rows.max()), float(np.median(rows)), int((rows < 0.5).sum())
    if counts.placed and counts.share == 1:
        return Spread(exact(round(largest)), exact(median), mean, exact(empty))
    # Which heap of the others goes with which partition is not known: they may meet in any way.
    least, most = float(others.min()), float(others.max())
    noise = 3 * float(np.sqrt(largest / counts.share)) if counts.share < 1 else 0.0
    low = max(float(alone.max()) + least, float(alone.min()) + most) - noise
    middle, basis = float(np.median(alone)), counts.basis
    return Spread(
        Figure(round(max(0.0, low)), round(largest), round(float(alone.max()) + most + noise), basis),
        Figure(round(middle + least), round(median), round(middle + most), basis),
        mean,
        Figure(0, empty, int((alone < 0.5).sum()), basis),
    )


def guessed(rows: NDArray[np.float64]) -> Spread:
    """Of partitions, or tasks, as they would be."""
    largest, median, mean, empty = rows.max(), np.median(rows), rows.mean(), (rows < 0.5).sum()
    found = (round(float(largest)), float(median), float(mean), int(empty))
    return Spread(*(Figure(None, number, None, "model") for number in found))


def over(one: Figure, other: Figure) -> Figure:
    """A figure divided by another."""
    if one.mid is None or not other.mid:
        return UNKNOWN
    low = None if one.low is None or not other.high else one.low / other.high
    high = None if one.high is None or not other.low else one.high / other.low
    basis = max(one.basis, other.basis, key=("exact", "sample", "model", "unknown").index)
    return Figure(low, one.mid / other.mid, high, basis)
