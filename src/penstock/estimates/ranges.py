"""Arithmetic on ranges, and how the numbers of a formula are written."""

from __future__ import annotations

from collections.abc import Iterable
from math import exp, log, prod, sqrt
from typing import Any, TypeAlias

from penstock.figures import Figure

__all__ = ["Number", "bounds", "count", "digits", "largest", "lasts", "over", "range_of", "say", "speed", "times"]

Number: TypeAlias = Figure | float

_ORDER = ("exact", "sample", "model", "unknown")


def range_of(mid: float, factor: float = 1.6, *, basis: Any = "model") -> Figure:
    """A number that may be so many times smaller or larger.

    >>> range_of(100, 2)
    Figure(low=50.0, mid=100, high=200, basis='model')
    """
    return Figure(mid / factor, mid, mid * factor, basis)


def bounds(number: Number) -> tuple[float, float, float]:
    """Low, mid and high; a range without a bound counts as its other ones."""
    if not isinstance(number, Figure):
        return number, number, number
    mid = number.mid or 0.0
    return (mid if number.low is None else number.low), mid, (mid if number.high is None else number.high)


def times(*numbers: Number) -> Figure:
    """The product. Errors of several numbers seldom all go the same way, so they add up as squares do.

    >>> times(range_of(100, 2), 3)
    Figure(low=150.0, mid=300.0, high=600.0, basis='model')
    """
    mid = prod(bounds(number)[1] for number in numbers)
    return _around(mid, [bounds(number) for number in numbers], _basis(numbers))


def over(number: Number, *divisors: Number) -> Figure:
    """The quotient: least where the divisors are most.

    >>> over(1000, range_of(100, 2), 2)
    Figure(low=2.5, mid=5.0, high=10.0, basis='model')
    """
    turned = [(1 / high, 1 / mid, 1 / low) for low, mid, high in map(bounds, divisors)]
    mid = bounds(number)[1] / prod(bounds(divisor)[1] for divisor in divisors)
    return _around(mid, [bounds(number), *turned], _basis((number, *divisors)))


def _around(mid: float, factors: list[tuple[float, float, float]], basis: Any) -> Figure:
    down = up = 0.0
    for low, middle, high in factors:
        if 0 < low < high:
            down, up = down + log(middle / low) ** 2, up + log(high / middle) ** 2
    return Figure(_plain(mid / exp(sqrt(down))), _plain(mid), _plain(mid * exp(sqrt(up))), basis)


def _plain(number: float) -> float:
    return float(f"{number:.12g}")


def largest(figures: Iterable[Figure]) -> Figure:
    """Whichever is largest, bound by bound; what it rests on is told of the one that is in the middle.

    >>> largest([Figure(3, 3, 3, "exact"), range_of(4, 2)])
    Figure(low=3, mid=4, high=8, basis='model')
    """
    each = list(figures)
    found = [bounds(figure) for figure in each]
    deciding = max(each, key=lambda figure: figure.mid or 0.0)
    low, mid, high = (max(of[place] for of in found) for place in range(3))
    return Figure(low, mid, high, deciding.basis)


def _basis(numbers: Iterable[Number]) -> Any:
    return max((n.basis if isinstance(n, Figure) else "exact" for n in numbers), key=_ORDER.index)


# -- as text ----------------------------------------------------------------------------------------------------------


def digits(number: Number, most: int = 3) -> str:
    """Bytes, to three digits.

    >>> digits(1.25e9), digits(100e12), digits(8_333_333_333), digits(512), digits(456e9, 2)
    ('1.25 GB', '100 TB', '8.33 GB', '512 B', '460 GB')
    """
    left, unit = float(bounds(number)[1]), "B"
    for larger in ("KB", "MB", "GB", "TB", "PB"):
        if left < 999.5:
            break
        left, unit = left / 1000, larger
    if left >= 999.5:
        return f"{left:,.0f} {unit}"
    return f"{float(f'{left:.{most}g}'):g} {unit}"


def speed(number: Number) -> str:
    """Bytes a second, to three digits."""
    return f"{digits(number)}/s"


def count(number: float) -> str:
    """A whole number with its thousands set apart."""
    return f"{number:,.0f}"


def lasts(seconds: float) -> str:
    """A length of time, to two or three digits.

    >>> lasts(0.3), lasts(98), lasts(1290), lasts(20_000), lasts(1e6), lasts(1e9)
    ('0.3 s', '98 s', '22 min', '5.6 h', '12 days', '32 years')
    """
    for limit, scale, unit in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h"), (8.64e7, 86_400, "days")):
        if seconds < limit:
            number = f"{seconds / scale:.1f}" if seconds < 9.95 * scale else f"{seconds / scale:.0f}"
            return f"{number.removesuffix('.0')} {unit}"
    return f"{seconds / 86_400 / 365.25:,.0f} years"


def say(number: float) -> float:
    """The round number that one says for another.

    >>> say(781_250), say(245), say(490), say(400)
    (800000.0, 250.0, 500.0, 400.0)
    """
    scale = 10.0 ** (len(str(int(number))) - 1)
    near = [scale * step for step in (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10)]
    return min(near, key=lambda one: abs(one - number))
