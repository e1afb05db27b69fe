"""Mean, variance and their like in one pass: what every worker adds up, merged by trees.

Sums of powers lose all digits where values are large and close together. So all agree on a number near to them, take
the distances from it, exactly where values are integers, and add up the powers of those. Each block keeps its mean and
the powers of the distances from that, and two blocks are merged by the formulas of Chan and Pébay. The blocks and the
tree are the same in every run, so the last digits are too.
"""

from __future__ import annotations

import json
import math
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from penstock.exchange.shelf import MEMORY, Shelf
from penstock.exchange.values import Domain, Held, agree_on_numbers, hold
from penstock.exchange.world import World

__all__ = ["Moments", "moments"]

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
        domain = agree_on_numbers(held, world)
        extremes = _extremes(held, domain, world)
        origin = _origin(*extremes)
        mine = np.zeros(5)
        for numbers in domain.numbers(held, origin):
            for start in range(0, len(numbers), BLOCK):
                mine = _merged(mine, _powers(numbers[start : start + BLOCK]))
        all_ = np.frombuffer(world.reduce("powers", mine.tobytes(), _both))
    if not domain.rows:
        return Moments(0, domain.nulls, None, None, None, None, None, None, None)
    n, beyond, m2, m3, m4 = all_.tolist()
    mean = float(Fraction(origin) + Fraction(beyond)) if math.isfinite(beyond) else beyond
    spread = m2 > 0 or m2 != m2
    with np.errstate(all="ignore"):
        variance = m2 / (n - 1) if n > 1 else None
        skewness = float(np.sqrt(n) * m3 / np.float64(m2) ** 1.5) if spread else None
        kurtosis = float(n * m4 / np.float64(m2) ** 2 - 3) if spread else None
    std = None if variance is None else float(np.sqrt(variance))
    return Moments(domain.rows, domain.nulls, mean, variance, std, skewness, kurtosis, *extremes)


def _origin(low: Any, high: Any) -> Any:
    """The number between the extremes that is nearest to nought: as floats, distances from it are as good as exact.

    Of integers like nanoseconds since 1970 a float has no more than every 256th.
    """
    if low is None or not 0 < abs(nearest := max(low, min(high, 0))) < math.inf:
        return 0
    return nearest


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
