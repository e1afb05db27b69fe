"""How many different values all workers have: exactly, by fingerprints, or estimated from a few KiB.

Exactly: keys that fingerprints show to be on one worker only are counted where they are; the others move to their
owners. Estimated (HyperLogLog): each worker keeps, for each of 2^p parts of the hashes, how many zeros a hash there
begins with at most; the greatest of all workers tell how many keys there must have been.
"""

from __future__ import annotations

import math
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

from penstock.errors import UsageError
from penstock.exchange.arguments import is_number
from penstock.exchange.counted import Counted, Run, count
from penstock.exchange.fingerprints import shared
from penstock.exchange.look import look_around, most_of, pays, sum_of
from penstock.exchange.mixing import digests, scramble
from penstock.exchange.shelf import MEMORY, Shelf
from penstock.exchange.shuffle import everywhere, owned
from penstock.exchange.values import Domain, Held, agree, hold
from penstock.exchange.world import World

__all__ = ["distinct"]


def distinct(values: Any, world: World, error: float | None = None, *, memory: int = MEMORY) -> int:
    """How many different values all workers have; nulls do not count.

    Args:
        values: this worker's: an array, a list, or an iterable of such chunks.
        world: all workers; each must make the same call.
        error: None for the exact number, or the relative standard error of an estimate (0.001 to 0.26).
        memory: bytes of copies that this worker may hold; more goes to temporary files.

    >>> from penstock import exchange as ex
    >>> ex.run(ex.distinct, [[1, 9], [9, 2, None]], transport="threads")
    [3, 3]
    """
    if error is not None and not (is_number(error) and 0.001 <= error <= 0.26):
        raise UsageError(f"error={error!r} is no relative error of an estimate", "give 0.001 to 0.26, or None")
    with Shelf(memory) as shelf:
        held = hold(values, shelf)
        domain = agree(held, world)
        if not domain.rows:
            return 0
        if error is not None:
            return _estimated(held, domain, world, math.ceil(2 * math.log2(1.04 / error)))
        counted = count(held, domain, shelf, memory)
        held.arrays.clear()
        # How often a key occurs does not matter, and is not told.
        counted = Counted([Run(run.hashes, None, run.keys) for run in counted.runs], counted.bits)
        look = look_around(counted, world, 1, domain.rows)
        if look.few:
            [run] = counted.cut([0, 1 << counted.bits])
            return len(everywhere(run, world, "all keys", counted.bits, how=np.maximum))
        if not pays(look, counted.bits, world.size):
            return sum_of(world, "owned", _owned(counted, world, look.most))
        left = shared(counted, world, look.entries, look.most)
        here = sum(map(len, counted.sections())) - len(left)
        there = _owned(Counted([left], counted.bits), world, most_of(world, "keys left", len(left)))
        return sum_of(world, "here and owned", here + there)


def _owned(counted: Counted, world: World, most: int) -> int:
    return sum(len(run) for run in owned(counted, world, most, np.maximum))


def _estimated(held: Held, domain: Domain, world: World, precision: int) -> int:
    registers = np.zeros(1 << precision, np.uint8)
    if domain.bits:
        for keys in domain.blocks(held):
            _see(registers, scramble(keys), precision)
    else:
        for strings in (list(domain.strings(held)), *(piece[:].tolist() for piece, _ in held.pieces)):
            _see(registers, scramble(digests(strings)), precision)

    def both(one: bytes, other: bytes) -> bytes:
        return _written(np.maximum(_read(one), _read(other)))

    low, high = map(_written, np.split(registers, 2))
    found = world.reduce_halves("registers", (low, high), both)
    return round(_estimate(np.concatenate(list(map(_read, found))), precision))


def _written(registers: npt.NDArray[np.uint8]) -> bytes:
    return zlib.compress(registers.tobytes(), 1)


def _read(data: bytes) -> npt.NDArray[np.uint8]:
    return np.frombuffer(zlib.decompress(data), np.uint8)


def _see(registers: npt.NDArray[np.uint8], hashes: npt.NDArray[np.uint64], precision: int) -> None:
    places = hashes >> np.uint64(64 - precision)
    rest = (hashes << np.uint64(precision)) >> np.uint64(precision)
    # The exponent of a float says how long a number is, if no rounding makes it longer: so one half after the other.
    upper, lower = rest >> np.uint64(32), rest & np.uint64(0xFFFFFFFF)
    length = np.where(upper > 0, np.frexp(upper.astype(np.float64))[1] + 32, np.frexp(lower.astype(np.float64))[1])
    np.maximum.at(registers, places, (64 - precision - length + 1).astype(np.uint8))


def _estimate(registers: npt.NDArray[np.uint8], precision: int) -> float:
    """Ertl's estimator: unbiased from none to 2^64, without tables."""
    size, longest = 1 << precision, 64 - precision
    counts = np.bincount(registers, minlength=longest + 2).tolist()
    z = size * _tau(1 - counts[longest + 1] / size)
    for length in range(longest, 0, -1):
        z = 0.5 * (z + counts[length])
    z += size * _sigma(counts[0] / size)
    return size * size / (2 * math.log(2) * z)


def _sigma(x: float) -> float:
    if x == 1:
        return math.inf
    total, power, last = x, 1.0, -1.0
    while total != last:
        x *= x
        last = total
        total += x * power
        power += power
    return total


def _tau(x: float) -> float:
    if x in (0, 1):
        return 0.0
    total, power, last = 1 - x, 1.0, -1.0
    while total != last:
        x = math.sqrt(x)
        last = total
        power *= 0.5
        total -= (1 - x) ** 2 * power
    return total / 3
