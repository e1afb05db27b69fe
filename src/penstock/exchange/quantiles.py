"""Quantiles without a shuffle: all count how many of their values are below some pivots, until few values are left.

Each worker sorts its own values. In a round all agree on pivots, taken from what everyone has between the bounds that
are known, and add up how many values are below and at each. Half of the pivots lie evenly, which leaves one part in
five hundred; the others lie about the ranks, which leaves less where workers have alike. What is left at last is small
enough to be gathered. How wide the values range does not matter; several quantiles share the rounds.
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from numbers import Real
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from penstock.errors import UsageError
from penstock.exchange.arguments import shares_of
from penstock.exchange.bundles import join, split
from penstock.exchange.columns import pack_numbers, pack_strings, unpack_numbers, unpack_strings
from penstock.exchange.gaps import pack_gaps, unpack_gaps
from penstock.exchange.shelf import MEMORY, Shelf, Strings, sorted_runs
from penstock.exchange.values import Domain, Held, agree, hold, sorted_strings
from penstock.exchange.world import World

__all__ = ["median", "quantiles"]

Array = npt.NDArray[Any]

PIVOTS = 1024  # of all quantiles together
GATHERED = 2048  # values that are left, of all quantiles together
TEXT = 1 << 15  # bytes of pivots that are strings, in each of two halves
_GOLDEN, _ROOT = 0.6180339887498949, 0.41421356237309515  # multiples of the first lie evenly between 0 and 1


def median(
    values: Any, world: World, kind: Literal["upper", "lower", "mean"] = "upper", *, memory: int = MEMORY
) -> Any:
    """The middle of all workers' values, exactly; None where there are no values.

    Args:
        values: this worker's: an array, a list, or an iterable of such chunks; nulls are skipped, NaN is the greatest.
        world: all workers; each must make the same call.
        kind: which of two middle values: the upper, the lower, or the mean of both (numbers only).
        memory: bytes of copies that this worker may hold; more goes to temporary files.

    >>> from penstock import exchange as ex
    >>> ex.run(ex.median, [[1, 9], [4], [2]], transport="threads")
    [4, 4, 4]
    """
    if kind not in ("upper", "lower", "mean"):
        raise UsageError(f'kind="{kind}" is no median', 'give "upper", "lower" or "mean"')

    def ranks(rows: int) -> list[int]:
        return {"upper": [rows // 2], "lower": [(rows - 1) // 2]}.get(kind, [(rows - 1) // 2, rows // 2])

    _, found = _at(values, world, ranks, memory, numeric=kind == "mean")
    if not found:
        return None
    return _between(found[0], found[1], Fraction(1, 2)) if kind == "mean" else found[0]


def quantiles(
    values: Any, world: World, q: float | Iterable[float] = (0.5, 0.9, 0.99), kind: Literal["disc", "cont"] = "disc",
    *, memory: int = MEMORY,
) -> Any:  # fmt: skip
    """Quantiles of all workers' values, exactly: a list, or one value for a single q; None where there are no values.

    "disc" gives the least value that the share q of all values does not exceed, "cont" (numbers only) lies between two
    of them, as much as q does. The other arguments are those of `median`.

    >>> from penstock import exchange as ex
    >>> ex.run(lambda part, world: ex.quantiles(part, world, [0.5, 1]), [[1, 9], [4, 2]], transport="threads")[0]
    [2, 9]
    """
    several = shares_of(q)
    if kind not in ("disc", "cont"):
        raise UsageError(f'kind="{kind}" is no quantile', 'give "disc" or "cont"')
    shares = [Fraction(str(each)) for each in several]  # 0.07 is meant, not the binary number beside it

    def ranks(rows: int) -> list[int]:
        if kind == "disc":
            return [max(math.ceil(share * rows) - 1, 0) for share in shares]
        return [place for share in shares for place in (int(share * (rows - 1)), math.ceil(share * (rows - 1)))]

    domain, found = _at(values, world, ranks, memory, numeric=kind == "cont")
    if not found:
        result: list[Any] = [None] * len(several)
    elif kind == "disc":
        result = found
    else:
        parts = [share * (domain.rows - 1) % 1 for share in shares]
        result = [_between(*three) for three in zip(found[::2], found[1::2], parts, strict=True)]
    return result[0] if isinstance(q, Real) else result


def _between(low: Any, high: Any, part: Fraction) -> Any:
    if low == high or not part:
        return low  # as it is: no float is 2^53 + 1
    if isinstance(low, int):
        return float(low + (high - low) * part)
    lower, upper = low * float(1 - part), high * float(part)
    return float(lower + upper)


# -- ranks -------------------------------------------------------------------------------------------------------------


@dataclass
class Ordered:
    """A worker's values in order."""

    # Sorted keys; how many values are up to each, where keys occur several times.
    runs: list[tuple[Array, Array | None]]

    def below(self, keys: Array, side: Literal["left", "right"] = "left") -> npt.NDArray[np.uint64]:
        """How many values are less than each key; with "right", not greater."""
        total = np.zeros(len(keys), np.uint64)
        for run, ends in self.runs:
            places = _places(run, keys, side)
            total += (places if ends is None else np.concatenate([[0], ends])[places]).astype(np.uint64)
        return total

    def between(self, window: Window, many: int | None, luck: float) -> tuple[Array, Array]:
        """Keys within the window, each with how many it stands for: all, or this worker's share of `many`.

        Half of the share lies evenly, so that the window shrinks whatever the others have. The other half lies where
        the ranks would be if all workers had alike, as far to each side as chance may take them.
        """
        parts = []
        for run, ends in self.runs:
            start = 0 if window.low is None else int(_places(run, [window.low], "right")[0])
            stop = len(run) if window.high is None else int(_places(run, [window.high], "left")[0])
            upto = None if ends is None else ends[start:stop] - (ends[start - 1] if start else 0)
            if many is None:
                parts.append((run[start:stop], np.ones(stop - start, np.int64) if upto is None else _steps(upto)))
                continue
            values = stop - start if upto is None else int(upto[-1]) if len(upto) else 0
            half = many * values / window.inside / 2
            evenly = values * _spread(half, luck)
            around = 3 * math.sqrt(values) * (_spread(half / len(window.ranks), (luck + 0.5) % 1.0) - 0.5)
            aimed = [values * ((rank - window.before) / window.inside) + around for rank in window.ranks]
            places = np.unique(np.clip(np.concatenate([evenly, *aimed]), 0, values - 1).astype(np.int64))
            if upto is not None:
                places = np.unique(np.searchsorted(upto, places, "right"))
            parts.append(_thin(run[start + places], np.ones(len(places), np.int64), len(places)))
        keys = np.concatenate([keys for keys, _ in parts])
        order = np.argsort(keys, kind="stable")
        return keys[order], np.concatenate([counts for _, counts in parts])[order]


@dataclass
class Window:
    """Where ranks are looked for: between two keys, both excluded; None is no bound."""

    ranks: list[int]
    low: Any
    high: Any
    before: int  # values up to the lower key
    inside: int


def _at(values: Any, world: World, ranks: Any, memory: int, *, numeric: bool) -> tuple[Domain, list[Any]]:
    """The values at some ranks of all values in order."""
    with Shelf(memory) as shelf:
        held = hold(values, shelf)
        domain = agree(held, world)
        if numeric and domain.rows and not domain.numeric:
            raise UsageError(f"there is no mean of two values of {domain.kind}", 'give kind="upper" or kind="disc"')
        if not domain.rows:
            return domain, []
        ordered = _ordered(held, domain, shelf, memory)
        held.arrays.clear()
        keys = _select(ordered, world, ranks(domain.rows), domain)
    return domain, [domain.value(key) for key in keys]


def _ordered(held: Held, domain: Domain, shelf: Shelf, memory: int) -> Ordered:
    if domain.bits:
        rows = sum(map(len, held.arrays))
        runs = [run if len(run) == rows else shelf.keep(run) for run in sorted_runs(domain.blocks(held), rows, memory)]
        return Ordered([(run, None) for run in runs] or [(np.empty(0, np.uint64), None)])
    pieces: list[tuple[Any, Array]] = [*held.pieces, sorted_strings(domain.strings(held))]
    return Ordered([(strings, np.cumsum(counts, dtype=np.int64)) for strings, counts in pieces])


def _select(ordered: Ordered, world: World, ranks: Sequence[int], domain: Domain) -> list[Any]:
    """The keys at the ranks; what is not found yet is looked for in windows that shrink."""
    found: dict[int, Any] = {}
    windows = [Window(sorted(set(ranks)), None, None, 0, domain.rows)]
    rounds = itertools.count()
    while windows:
        luck = (world.id * _GOLDEN + next(rounds) * _ROOT) % 1.0
        many = max(16, PIVOTS // len(windows))
        whole = [window.inside <= max(16, GATHERED // len(windows)) for window in windows]
        pivots = _agreed(ordered, world, windows, whole, many, luck)
        mixed = [np.unique(keys) for (keys, _), all_ in zip(pivots, whole, strict=True) if not all_]
        counts = iter(_counted(ordered, world, mixed) if mixed else [])
        narrower: list[Window] = []
        for window, all_, (keys, times) in zip(windows, whole, pivots, strict=True):
            if all_:
                upto = window.before + np.cumsum(times)
                below = upto - times
            else:
                keys = np.unique(keys)
                below, upto = next(counts)
            for rank in window.ranks:
                place = int(np.searchsorted(upto, rank, "right"))
                if place < len(keys) and below[place] <= rank:
                    found[rank] = keys[place]
                    continue
                before = int(upto[place - 1]) if place else window.before
                after = int(below[place]) if place < len(keys) else window.before + window.inside
                if narrower and narrower[-1].before == before:
                    narrower[-1].ranks.append(rank)
                    continue
                low = keys[place - 1] if place else window.low
                high = keys[place] if place < len(keys) else window.high
                narrower.append(Window([rank], low, high, before, after - before))
        windows = narrower
    return [found[rank] for rank in ranks]


def _agreed(
    ordered: Ordered, world: World, places: list[Window], whole: list[bool], many: int, luck: float
) -> list[tuple[Array, Array]]:
    """Pivots of all workers for each window, or all that is in it."""
    limits = [None if all_ else many for all_ in whole]
    mine = [ordered.between(window, limit, luck) for window, limit in zip(places, limits, strict=True)]

    def both(one: bytes, other: bytes) -> bytes:
        merged = map(_merged, _read(one), _read(other))
        return _written(
            [_thin(*pair, None if limit is None else limit // 2) for pair, limit in zip(merged, limits, strict=True)]
        )

    # Every other pivot goes along the other tree; where workers have one each, that of every other worker.
    odd = world.id % 2
    one, other = (_written([(keys[start::2], counts[start::2]) for keys, counts in mine]) for start in (odd, 1 - odd))
    return list(map(_merged, *map(_read, world.reduce_halves("pivots", (one, other), both))))


def _merged(one: tuple[Array, Array], other: tuple[Array, Array]) -> tuple[Array, Array]:
    """Sorted keys of two sides with what they stand for."""
    keys, counts = map(np.concatenate, zip(one, other, strict=True))
    order = np.argsort(keys, kind="stable")
    return keys[order], counts[order]


def _counted(ordered: Ordered, world: World, pivots: list[Array]) -> list[tuple[Array, Array]]:
    """How many values of all workers are below, and up to, each pivot."""

    def half(start: int) -> bytes:
        counts = []
        for keys in pivots:
            below = ordered.below(keys[start::2])
            counts.append((below, ordered.below(keys[start::2], "right") - below))
        return _written(counts)

    def both(one: bytes, other: bytes) -> bytes:
        counts = zip(_read(one), _read(other), strict=True)
        return _written([(below + more, at + more_at) for (below, at), (more, more_at) in counts])

    counts = []
    for keys, *halves in zip(pivots, *map(_read, world.reduce_halves("counts", (half(0), half(1)), both)), strict=True):
        below, at = np.empty((2, len(keys)), np.int64)
        for start, (some, some_at) in enumerate(halves):
            below[start::2], at[start::2] = some, some_at
        counts.append((below, below + at))
    return counts


def _thin(keys: Array, counts: Array, many: int | None) -> tuple[Array, Array]:
    """No more than `many` of sorted keys, evenly by what they stand for."""
    if many is not None and keys.dtype == object and len(keys):
        many = max(1, min(many, TEXT * len(keys) // max(1, sum(map(len, keys.tolist())))))
    if many is None or len(keys) <= many:
        return keys, counts
    ends = np.cumsum(counts)
    chosen = np.unique(np.searchsorted(ends, (2 * np.arange(many) + 1) * int(ends[-1]) // (2 * many), "right"))
    return keys[chosen], _steps(ends[chosen])


def _spread(share: float, luck: float) -> Array:
    """So many numbers from 0 to below 1, as far from each other; of a part of a number, luck says whether it is one."""
    return (np.arange(math.ceil(share - luck)) + luck) / max(share, 1e-9)


def _steps(ends: Array) -> Array:
    """What sums that go on rise by."""
    return np.diff(ends, prepend=0)


def _places(run: Any, keys: Any, side: Literal["left", "right"]) -> Array:
    """Where keys would stand in a sorted run."""
    if isinstance(run, Strings):
        return np.array([(bisect_left if side == "left" else bisect_right)(run, key) for key in keys], np.int64)
    if run.dtype == object and isinstance(keys, list):
        keys = np.array(keys, object)
    places: Array = np.searchsorted(run, keys, side)
    return places


def _written(windows: list[tuple[Array, Array]]) -> bytes:
    strings = any(keys.dtype == object for keys, _ in windows)
    pack = pack_strings if strings else pack_gaps
    return join([part for keys, counts in windows for part in (pack(keys), pack_numbers(counts))] + [b""] * strings)


def _read(data: bytes) -> list[tuple[Array, Array]]:
    parts = split(data)
    unpack = unpack_strings if len(parts) % 2 else unpack_gaps
    keys = map(unpack, parts[0 : len(parts) // 2 * 2 : 2])
    return [(some, unpack_numbers(counts).astype(np.int64)) for some, counts in zip(keys, parts[1::2], strict=True)]
