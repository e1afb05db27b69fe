"""Histograms: all agree on the edges, count between them, and add up.

Integers are compared with the edges as they are. Where they are larger than a float can tell apart, the edges are
integers too.
"""

from __future__ import annotations

import json
import math
import zlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from penstock.errors import UsageError
from penstock.exchange.arguments import edges_of, number_of
from penstock.exchange.shelf import MEMORY, Shelf
from penstock.exchange.values import EXACT, Domain, Held, agree_on_numbers, hold
from penstock.exchange.world import World

__all__ = ["Histogram", "histogram"]


class Histogram(NamedTuple):
    """Counts of values between edges; the last edge belongs to the last bin."""

    edges: list[float]  # integers where values are integers that no float is
    counts: list[int]
    outside: int  # values below the first edge or above the last, and NaN


def histogram(values: Any, world: World, bins: int | Sequence[float] = 10, *, memory: int = MEMORY) -> Histogram | None:
    """How many of all workers' numbers are in each bin: so many of one width between the extremes, or those given.

    None where there are no finite numbers to lay bins between. Integers beyond 2^53 have bins of a whole width, the
    last of which may end above the greatest. The other arguments are those of `moments`.

    >>> from penstock import exchange as ex
    >>> ex.run(lambda part, world: ex.histogram(part, world, 2), [[1, 9], [4], [2, None]], transport="threads")[0]
    Histogram(edges=[1.0, 5.0, 9.0], counts=[3, 1], outside=0)
    """
    asked: int | list[Any]
    if isinstance(bins, Integral):
        asked = number_of("bins", bins, "give how many, 1 or more, or the edges")
    else:
        asked = edges_of(bins)
    with Shelf(memory) as shelf:
        held = hold(values, shelf)
        domain = agree_on_numbers(held, world)
        low, high = _range(held, domain, asked, world)
        if isinstance(asked, int) and low > high:
            return None
        edges = _edges(domain, low, high, asked) if isinstance(asked, int) else asked
        counts = np.zeros(len(edges), np.int64)
        for within in _counted(held, domain, edges):
            counts += within
        *all_, outside = np.frombuffer(world.reduce("bins", counts.tobytes(), _added), np.int64).tolist()
    return Histogram(edges if domain.kind == "int" else list(map(float, edges)), all_, outside)


def _range(held: Held, domain: Domain, asked: int | list[Any], world: World) -> tuple[float, float]:
    """The least and the greatest finite number; an error on all workers where one asks for other bins."""
    low, high = math.inf, -math.inf
    if domain.kind == "float" and isinstance(asked, int):
        for numbers in domain.numbers(held):
            finite = numbers[np.isfinite(numbers)]
            low = min(low, float(finite.min(initial=np.inf)))
            high = max(high, float(finite.max(initial=-np.inf)))
    elif domain.rows and domain.kind != "float":
        low, high = domain.least, domain.greatest
    bins = f"bins={asked}"
    if not isinstance(asked, int):  # edges may be many: a checksum tells those in the middle apart
        checksum = zlib.crc32(repr(asked).encode())
        bins = f"{len(asked) - 1} bins from {asked[0]} to {asked[-1]} (checksum {checksum:08x})"

    def both(one: bytes, other: bytes) -> bytes:
        a, b = json.loads(one), json.loads(other)
        return json.dumps([min(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), max(a[3], b[3])]).encode()

    mine = json.dumps([low, high, bins, bins]).encode()
    low, high, one, other = json.loads(world.reduce("range", mine, both))
    if one != other:
        raise UsageError(f"the workers ask for different bins: {one}, and {other}", "give the same bins on all workers")
    return low, high


def _edges(domain: Domain, low: float, high: float, bins: int) -> list[Any]:
    """Edges of so many bins of one width, each above the one before it."""
    if domain.kind == "int" and not -EXACT <= domain.least <= domain.greatest <= EXACT:
        width = max(1, -(-(domain.greatest - domain.least) // bins))
        return [domain.least + place * width for place in range(bins + 1)]
    if low == high:
        low, high = low - 0.5, high + 0.5
    if math.isinf(high - low):
        return (2 * np.linspace(low / 2, high / 2, bins + 1)).tolist()  # type: ignore[no-any-return]
    edges = np.linspace(low, high, bins + 1)
    if not (np.diff(edges) > 0).all():  # the bins would be narrower than floats are there
        edges = low + 2 * np.spacing(max(abs(low), abs(high))) * np.arange(bins + 1)
    return edges.tolist()  # type: ignore[no-any-return]


def _counted(held: Held, domain: Domain, edges: list[Any]) -> Iterator[npt.NDArray[np.int64]]:
    """Counts between the edges, with what is outside at the end, a few values at a time."""
    if domain.kind == "float":
        borders = np.array(edges, np.float64)
        borders[-1] = np.nextafter(borders[-1], np.inf)  # what is on the last edge is in the last bin
        for numbers in domain.numbers(held):
            yield _between(np.searchsorted(borders, numbers, "right"), len(edges))
        return
    # An integer is at or above an edge where it is at or above the integer that follows the edge.
    borders_of_ints = [_whole(edge, math.ceil) for edge in edges[:-1]] + [_whole(edges[-1], math.floor) + 1]
    if domain.width:
        tally = domain.strings(held)
        places = [bisect_right(borders_of_ints, domain.least + int.from_bytes(key, "big")) for key in tally]
        yield _between(np.array(places, np.int64), len(edges), np.array(list(tally.values()), np.int64))
        return
    # Borders above the greatest value are below no key, and left out: they may not fit into 64 bits.
    keys = [max(border - domain.least, 0) for border in borders_of_ints if border <= domain.greatest]
    for block in domain.blocks(held):
        yield _between(np.searchsorted(np.array(keys, np.uint64), block, "right"), len(edges))


def _whole(edge: Any, rounded: Any) -> int:
    beyond = 1 << 2000  # further out than any float
    if isinstance(edge, float) and math.isinf(edge):
        return beyond if edge > 0 else -beyond
    return int(rounded(edge))


def _between(places: npt.NDArray[Any], edges: int, times: Any = None) -> npt.NDArray[np.int64]:
    """Counts of values by how many edges are not above each."""
    counts = np.zeros(edges + 1, np.int64)
    np.add.at(counts, places, 1 if times is None else times)
    return np.append(counts[1:-1], counts[0] + counts[-1])


def _added(one: bytes, other: bytes) -> bytes:
    return (np.frombuffer(one, np.int64) + np.frombuffer(other, np.int64)).tobytes()
