"""The most frequent values of all workers, exactly: the plan that moves least is chosen by a look that all agree on.

- Few keys: everyone gets all of them.
- Counts are skewed: a key among the k best occurs, on one worker at least, a W-th of what the k-th best is known to
  occur. Only such keys are summed, and counted everywhere (threshold rounds).
- Keys are mostly on one worker each: fingerprints tell which are not, and only those move.
- Else every key moves to its owner with its count.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from penstock.errors import UsageError
from penstock.exchange.columns import join, pack_run, split, unpack_run
from penstock.exchange.counted import Counted, Run, best, count, merge
from penstock.exchange.fingerprints import shared
from penstock.exchange.shelf import MEMORY, Shelf
from penstock.exchange.shuffle import everywhere, owned
from penstock.exchange.values import agree, hold
from penstock.exchange.world import World

__all__ = ["Look", "Mode", "look_around", "mode", "pays", "sum_of", "top"]

FEW = 4096  # keys that are not worth a plan
SAMPLE = 1024  # keys of all workers, of the same stretch of hashes on each, to see how many are shared
COARSE = 24  # bits of a hash in the sample, which is for an estimate only
WORKERS = 20  # bits for the number of workers, below the count, in one number that adds up both
CANDIDATES = 1 << 16  # keys that are worth asking everyone for
FINGERPRINT = 9.7  # bits a key, all looks and answers together: ten workers with a million 64-bit keys each


class Mode(NamedTuple):
    """A value, and how often it occurs on all workers."""

    value: Any
    count: int  # type: ignore[assignment]  # of the value; a tuple's method of this name is of no use here


def mode(values: Any, world: World, *, memory: int = MEMORY) -> Mode | None:
    """The most frequent value of all workers; of several the least; None where there are no values.

    Args:
        values: this worker's: an array, a list, or an iterable of such chunks; nulls are skipped.
        world: all workers; each must make the same call.
        memory: bytes of copies that this worker may hold; more goes to temporary files.

    >>> from penstock import exchange as ex
    >>> ex.run(ex.mode, [[5, 3, 1], [2, 3, 5], []], transport="threads")[0]
    Mode(value=3, count=2)
    """
    found = top(values, world, 1, memory=memory)
    return found[0] if found else None


def top(values: Any, world: World, k: int = 10, *, memory: int = MEMORY) -> list[Mode]:
    """The k most frequent values of all workers: count descending, then value ascending. Arguments as in `mode`.

    >>> from penstock import exchange as ex
    >>> fruit = [["fig", "lime", "fig"], ["lime", "plum", None]]
    >>> ex.run(lambda part, world: ex.top(part, world, 2), fruit, transport="threads")[1]
    [Mode(value='fig', count=2), Mode(value='lime', count=2)]
    """
    if k < 1:
        raise UsageError(f"the {k} most frequent values are none", "give a k of 1 or more")
    with Shelf(memory) as shelf:
        held = hold(values, shelf)
        domain = agree(held, world)
        counted = count(held, domain, shelf, memory)
        held.arrays.clear()
        found = _best(counted, world, k, domain.rows)
    keys = found.values(counted.bits).tolist()
    ranked = sorted(zip((-found.times().astype(np.int64)).tolist(), keys, strict=True))
    return [Mode(domain.value(key), -times) for times, key in ranked]


@dataclass(frozen=True)
class Look:
    """What all workers know before they choose."""

    entries: int  # keys of all workers; one that several have counts on each
    most: int  # of the worker that has most
    floor: int  # the k best occur so often, or more often
    shared: float  # part of the entries that fingerprints would leave


def _best(counted: Counted, world: World, k: int, rows: int) -> Run:
    """The k best keys with their counts, on every worker."""
    look = look_around(counted, world, k, rows)
    if look.entries <= max(FEW, k):
        return best(everywhere(counted.section(0, 1 << counted.bits), world, "all keys"), k, counted.bits)

    if (least := -(-look.floor // world.size)) > 1:
        few = [run.take(run.times() >= least) for run in counted.sections()]
        frequent = merge(few)
        total = sum_of(world, "frequent keys", len(frequent))
        if total <= min(CANDIDATES, look.entries // 16):
            return _by_threshold(counted, frequent, world, k, look.floor, least)

    if pays(look, counted.bits, world.size):
        left = shared(counted, world, look.entries, look.most, look.floor)
        moved = Counted([left], counted.bits)
        most = _most(world, "keys left", len(left))
    else:
        moved, most = counted, look.most
    found = Run(np.empty(0, np.uint64))
    for run in owned(moved, world, most):
        found = best(merge([found, best(run, k, counted.bits)]), k, counted.bits)
    found = best(everywhere(found, world, "best"), k, counted.bits)
    if moved is counted:
        return found

    # Keys that were not left are on one worker only, or too rare: what this worker counted is all there is, or less
    # than the k best. One that was left too is known better already, by its greater count.
    known = int(found.times().min()) if len(found) == k else 0
    mine = found
    for run in counted.sections():
        if run.counts is not None or known <= 1:
            frequent = run.take(run.times() >= known)
            mine = best(merge([mine, best(frequent, k, counted.bits)], np.maximum), k, counted.bits)
    return _best_of_all(mine, world, k, counted.bits)


def pays(look: Look, bits: int, workers: int) -> bool:
    """Whether fingerprints move less than the keys themselves."""
    key = bits - (look.entries // workers).bit_length() + 2  # what a key costs in a shuffle
    return FINGERPRINT + look.shared * (8 + key) < key


def look_around(counted: Counted, world: World, k: int, rows: int) -> Look:
    """Sizes, the keys that are most frequent on a worker, and a stretch of hashes that is the same on all."""
    many = max(64, 2 * k)
    frequent = Run(np.empty(0, np.uint64))
    for run in counted.sections():
        few = run.take(slice(many)) if run.counts is None else best(run, many, counted.bits)
        frequent = best(merge([frequent, few]), many, counted.bits)
    width = ((min(SAMPLE, rows // 256) << counted.bits) // max(rows, 1)).bit_length()
    sample = counted.section(0, 1 << width)
    coarse = sample.hashes >> np.uint64(max(0, width - COARSE))
    sampled = Run(coarse, sample.times() * np.uint64(1 << WORKERS) + np.uint64(1))

    def both(one: bytes, other: bytes) -> bytes:
        (a, *runs_a), (b, *runs_b) = split(one), split(other)
        sizes = _sizes(a), _sizes(b)
        heavy, sampled = (merge([unpack_run(x), unpack_run(y)]) for x, y in zip(runs_a, runs_b, strict=True))
        together = struct.pack("<QQ", sizes[0][0] + sizes[1][0], max(sizes[0][1], sizes[1][1]))
        return join([together, *map(pack_run, (best(heavy, many, counted.bits), sampled))])

    sizes = struct.pack("<QQ", counted.entries, counted.entries)
    runs = map(pack_run, (frequent, sampled))
    packed, *runs_ = split(world.reduce("look", join([sizes, *runs]), both))
    heavy, sampled = map(unpack_run, runs_)
    entries, most = _sizes(packed)
    floor = int(np.partition(heavy.times(), len(heavy) - k)[len(heavy) - k]) if len(heavy) >= k else 1
    workers = sampled.times() % np.uint64(1 << WORKERS)
    left = workers[(workers > 1) & (sampled.times() >> np.uint64(WORKERS) >= floor)].sum()
    return Look(entries, most, floor, float(left / workers.sum()) if len(workers) else 1.0)


def _sizes(packed: bytes) -> tuple[int, int]:
    entries, most = struct.unpack("<QQ", packed)
    return entries, most


def _by_threshold(counted: Counted, frequent: Run, world: World, k: int, floor: int, least: int) -> Run:
    """Sum the keys that are frequent on a worker, drop what cannot be among the best, count the rest everywhere."""
    sums = everywhere(frequent, world, "sums of frequent keys")
    workers = everywhere(Run(frequent.hashes, None, frequent.keys), world, "workers of frequent keys").times()
    if len(sums) >= k:
        floor = max(floor, int(np.partition(sums.times(), len(sums) - k)[len(sums) - k]))
    highest = sums.times() + (np.uint64(world.size) - workers) * np.uint64(least - 1)
    candidates = sums.take(highest >= floor)
    return best(everywhere(counted.among(candidates), world, "candidates"), k, counted.bits)


def _best_of_all(run: Run, world: World, k: int, bits: int) -> Run:
    def both(one: bytes, other: bytes) -> bytes:
        return pack_run(best(merge([unpack_run(one), unpack_run(other)], np.maximum), k, bits))

    return unpack_run(world.reduce("best of all", pack_run(run), both))


def sum_of(world: World, phase: str, number: int) -> int:
    """The sum of all workers' numbers."""
    return _number(world, phase, number, lambda one, other: one + other)


def _most(world: World, phase: str, number: int) -> int:
    return _number(world, phase, number, max)


def _number(world: World, phase: str, number: int, combine: Any) -> int:
    def both(one: bytes, other: bytes) -> bytes:
        return int(combine(int.from_bytes(one, "big"), int.from_bytes(other, "big"))).to_bytes(8, "big")

    return int.from_bytes(world.reduce(phase, number.to_bytes(8, "big"), both), "big")
