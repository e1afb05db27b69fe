"""Mean, variance and their like in one pass, and histograms: what every worker adds up, merged by trees.

Sums of powers lose all digits where values are large and close together. So each block keeps its mean and the powers of
the distances from it, and two blocks are merged by the formulas of Chan and Pébay. The blocks and the tree are the same
in every run, so the last digits are too.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from penstock.errors import UsageError
from penstock.exchange.shelf import MEMORY, Shelf
from penstock.exchange.values import Domain, Held, agree, hold
from penstock.exchange.world import World

__all__ = ["Histogram", "Moments", "histogram", "moments"]

BLOCK = 1 << 16


class Moments(NamedTuple):
    """What is known of all values; None where there are too few values to say."""

    n: int
    nulls: int
    mean: float | None
    variance: float | None  # of the sample: divided by n - 1
    std: float | None
    skewness: float | None  # of the values as they are: m3 / m2^1.5
    kurtosis: float | None  # the excess: m4 / m2^2 - 3
    min: Any
    max: Any


class Histogram(NamedTuple):
    """Counts of values between edges; the last edge belongs to the last bin."""

    edges: list[float]
    counts: list[int]
    outside: int  # values below the first edge or above the last, and NaN


def moments(values: Any, world: World, *, memory: int = MEMORY) -> Moments:
    """Count, mean, variance, skewness, kurtosis and extremes of all workers' numbers.

    Args:
        values: this worker's: an array, a list, or an iterable of such chunks. Nulls are counted; NaN makes all but the
            count and the minimum NaN.
        world: all workers; each must make the same call.
        memory: bytes of copies that this worker may hold; more goes to temporary files.

    >>> from penstock import exchange as ex
    >>> ex.run(ex.moments, [[1, 9], [4], [2, None]], transport="threads")[0][:4]
    (4, 1, 4.0, 12.666666666666666)
    """
    with Shelf(memory) as shelf:
        held = hold(values, shelf)
        domain = _numbers(held, world)
        mine = np.zeros(5)
        for numbers in domain.numbers(held):
            for start in range(0, len(numbers), BLOCK):
                mine = _merged(mine, _powers(numbers[start : start + BLOCK]))
        extremes = _extremes(held, domain, world)
        all_ = np.frombuffer(world.reduce("powers", mine.tobytes(), _both))
    if not domain.rows:
        return Moments(0, domain.nulls, None, None, None, None, None, None, None)
    n, mean, m2, m3, m4 = all_.tolist()
    spread = m2 > 0 or m2 != m2
    with np.errstate(all="ignore"):
        variance = m2 / (n - 1) if n > 1 else None
        skewness = float(np.sqrt(n) * m3 / np.float64(m2) ** 1.5) if spread else None
        kurtosis = float(n * m4 / np.float64(m2) ** 2 - 3) if spread else None
    std = None if variance is None else float(np.sqrt(variance))
    return Moments(domain.rows, domain.nulls, mean, variance, std, skewness, kurtosis, *extremes)


def histogram(values: Any, world: World, bins: int | Sequence[float] = 10, *, memory: int = MEMORY) -> Histogram | None:
    """How many of all workers' numbers are in each bin: so many of one width between the extremes, or those given.

    None where there are no finite numbers to lay bins between. The other arguments are those of `moments`.

    >>> from penstock import exchange as ex
    >>> ex.run(lambda part, world: ex.histogram(part, world, 2), [[1, 9], [4], [2, None]], transport="threads")[0]
    Histogram(edges=[1.0, 5.0, 9.0], counts=[3, 1], outside=0)
    """
    if isinstance(bins, int) and bins < 1:
        raise UsageError(f"{bins} bins are no histogram", "give 1 or more, or the edges")
    with Shelf(memory) as shelf:
        held = hold(values, shelf)
        domain = _numbers(held, world)
        if isinstance(bins, int):
            low, high = np.inf, -np.inf
            for numbers in domain.numbers(held):
                finite = numbers[np.isfinite(numbers)]
                low, high = min(low, finite.min(initial=np.inf)), max(high, finite.max(initial=-np.inf))
            found = world.reduce("range", np.array([-low, high]).tobytes(), _greater)
            low, high = (np.frombuffer(found) * [-1, 1]).tolist()
            if low > high:
                return None
            edges = np.linspace(low, high, bins + 1) if low < high else np.linspace(low - 0.5, high + 0.5, bins + 1)
        else:
            edges = np.array(bins, np.float64)
            if len(edges) < 2 or not (np.diff(edges) > 0).all():
                raise UsageError("the edges of a histogram ascend, and are two or more", "sort them")
        counts = np.zeros(len(edges), np.int64)
        for numbers in domain.numbers(held):
            places = np.searchsorted(edges, numbers, "right") - 1
            places[numbers == edges[-1]] = len(edges) - 2
            inside = (places >= 0) & (places < len(edges) - 1) & ~np.isnan(numbers)
            counts[:-1] += np.bincount(places[inside], minlength=len(edges) - 1)
            counts[-1] += len(numbers) - int(inside.sum())
        *all_, outside = np.frombuffer(world.reduce("bins", counts.tobytes(), _added), np.int64).tolist()
    return Histogram(edges.tolist(), all_, outside)


def _numbers(held: Held, world: World) -> Domain:
    domain = agree(held, world)
    if domain.rows and not domain.numeric:
        raise UsageError(f"values of {domain.kind} cannot be added up", "give numbers")
    return domain


def _powers(numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """n, the mean, and the sums of the second to the fourth powers of the distances from it."""
    with np.errstate(all="ignore"):
        mean = numbers.mean()
        away = numbers - mean
        squares = away * away
        return np.array([len(numbers), mean, squares.sum(), (squares * away).sum(), (squares * squares).sum()])


def _merged(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The powers of two blocks together."""
    if not a[0] or not b[0]:
        return a if a[0] else b
    with np.errstate(all="ignore"):
        n = a[0] + b[0]
        delta = b[1] - a[1] if a[1] != b[1] else np.float64(0)
        share = delta / n
        m2 = a[2] + b[2] + delta * share * a[0] * b[0]
        m3 = a[3] + b[3] + delta * share**2 * a[0] * b[0] * (a[0] - b[0]) + 3 * share * (a[0] * b[2] - b[0] * a[2])
        m4 = a[4] + b[4] + delta * share**3 * a[0] * b[0] * (a[0] ** 2 - a[0] * b[0] + b[0] ** 2)
        m4 += 6 * share**2 * (a[0] ** 2 * b[2] + b[0] ** 2 * a[2]) + 4 * share * (a[0] * b[3] - b[0] * a[3])
        return np.array([n, a[1] + share * b[0], m2, m3, m4])


def _both(one: bytes, other: bytes) -> bytes:
    return _merged(np.frombuffer(one), np.frombuffer(other)).tobytes()


def _greater(one: bytes, other: bytes) -> bytes:
    return np.maximum(np.frombuffer(one), np.frombuffer(other)).tobytes()


def _added(one: bytes, other: bytes) -> bytes:
    return (np.frombuffer(one, np.int64) + np.frombuffer(other, np.int64)).tobytes()


def _extremes(held: Held, domain: Domain, world: World) -> tuple[Any, Any]:
    """The least and the greatest value, exactly."""
    if domain.kind == "int":
        return domain.least, domain.greatest
    lows, highs = [], []
    for keys in domain.blocks(held):
        lows.append(int(keys.min()))
        highs.append(int(keys.max()))
    mine = json.dumps([min(lows, default=None), max(highs, default=None)]).encode()

    def both(one: bytes, other: bytes) -> bytes:
        pairs = [json.loads(one), json.loads(other)]
        there = [pair for pair in pairs if pair[0] is not None]
        return json.dumps(
            [f(pair[side] for pair in there) if there else None for side, f in ((0, min), (1, max))]
        ).encode()

    low, high = json.loads(world.reduce("extremes", mine, both))
    return (None, None) if low is None else (domain.value(low), domain.value(high))
