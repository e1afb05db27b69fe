"""A number with what it rests on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

__all__ = ["NOTHING", "UNKNOWN", "Figure", "exact", "modelled", "total"]

Basis = Literal["exact", "sample", "model", "unknown"]
ORDER = ("exact", "sample", "model", "unknown")  # from the best to the least known


class Figure(NamedTuple):
    """A number between two others: known, sampled, the engine's guess, or not known."""

    low: float | None
    mid: float | None
    high: float | None
    basis: Basis

    def times(self, factor: float, basis: Basis = "exact") -> Figure:
        """So many times it, which rests on something less than it itself: `basis`, unless that is better known."""
        worse = max(self.basis, basis, key=ORDER.index)
        low, mid, high = (None if each is None else each * factor for each in self[:3])
        return Figure(low, mid, high, worse)

    def to_json(self) -> dict[str, Any]:
        """As it stands in reports."""
        return self._asdict()


UNKNOWN = Figure(None, None, None, "unknown")


def exact(number: float) -> Figure:
    """A number that is known.

    >>> exact(3)
    Figure(low=3, mid=3, high=3, basis='exact')
    """
    return Figure(number, number, number, "exact")


NOTHING = exact(0)


def modelled(mid: float, *, low: float = 0, high: float | None = None) -> Figure:
    """The engine's own guess, and what it cannot be above or below."""
    return Figure(low, mid, high, "model")


def total(figures: Iterable[Figure]) -> Figure:
    """The sum, which is known no better than the least known of its parts.

    >>> total([exact(1), exact(2)]), total([exact(1), UNKNOWN])
    (Figure(low=3, mid=3, high=3, basis='exact'), Figure(low=1, mid=None, high=None, basis='unknown'))
    """
    parts = list(figures)
    basis: Any = max((part.basis for part in parts), key=ORDER.index, default="exact")
    low = sum(part.low or 0 for part in parts)
    mids, highs = [part.mid for part in parts], [part.high for part in parts]
    return Figure(
        low,
        None if None in mids else sum(mid or 0 for mid in mids),
        None if None in highs else sum(high or 0 for high in highs),
        basis,
    )
