"""The most frequent values of all workers, exactly: the plan that moves least is chosen by a look that all agree on.

- Few keys: everyone gets all of them.
- Counts are skewed: a key among the k best occurs, on one worker at least, a W-th of what the k-th best is known to
  occur. Only such keys are summed, and counted everywhere (threshold rounds).
- Keys are mostly on one worker each: fingerprints tell which are not, and only those move.
- Else every key moves to its owner with its count.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from penstock.exchange.arguments import number_of
from penstock.exchange.counted import Counted, Run, best, best_of, count, merge
from penstock.exchange.fingerprints import shared
from penstock.exchange.look import look_around, most_of, pays, sum_of, tagged, untagged
from penstock.exchange.shelf import MEMORY, Shelf
from penstock.exchange.shuffle import everywhere, owned
from penstock.exchange.values import agree, hold
from penstock.exchange.world import World

__all__ = ["Mode", "mode", "top"]

CANDIDATES = 1 << 16  # keys that are worth asking everyone for


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
    k = number_of("k", k, "give a k of 1 or more")
    with Shelf(memory) as shelf:
        held = hold(values, shelf)
        domain = agree(held, world)
        counted = count(held, domain, shelf, memory)
        held.arrays.clear()
        found = _best(counted, world, k, domain.rows)
    keys = found.values(counted.bits).tolist()
    ranked = sorted(zip((-found.times().astype(np.int64)).tolist(), keys, strict=True))
    return [Mode(domain.value(key), -times) for times, key in ranked]


def _best(counted: Counted, world: World, k: int, rows: int) -> Run:
    """The k best keys with their counts, on every worker."""
    bits = counted.bits
    look = look_around(counted, world, k, rows)
    if look.few or look.entries <= k:
        return best(everywhere(counted.section(0, 1 << bits), world, "all keys", bits), k, bits)

    if (least := -(-look.floor // world.size)) > 1:
        frequent = merge([run.take(run.times() >= least) for run in counted.sections()])
        if sum_of(world, "frequent keys", len(frequent)) <= min(CANDIDATES, look.entries // 16):
            return _by_threshold(counted, frequent, world, k, look.floor, least)

    if not pays(look, bits, world.size):
        return everywhere(best_of(owned(counted, world, look.most), k, bits), world, "best", bits, k)
    left = shared(counted, world, look.entries, look.most, look.floor)
    owners = owned(Counted([left], bits), world, most_of(world, "keys left", len(left)))
    found = everywhere(best_of(owners, k, bits), world, "best", bits, k)

    # Keys that were not left are on one worker only, or too rare: what this worker counted is all there is, or less
    # than the k best. One that was left too is known better already, by its greater count.
    known = int(found.times().min()) if len(found) == k else 0
    mine = [run.take(run.times() >= known) for run in counted.sections() if run.counts is not None or known <= 1]
    return everywhere(merge([found, best_of(mine, k, bits)], np.maximum), world, "best of all", bits, k, np.maximum)


def _by_threshold(counted: Counted, frequent: Run, world: World, k: int, floor: int, least: int) -> Run:
    """Sum the keys that are frequent on a worker, drop what cannot be among the best, count the rest everywhere."""
    sums = everywhere(tagged(frequent), world, "sums of frequent keys", counted.bits)
    times, workers = untagged(sums)
    if len(sums) >= k:
        floor = max(floor, int(np.partition(times, len(sums) - k)[len(sums) - k]))
    highest = times + (np.uint64(world.size) - workers) * np.uint64(least - 1)
    candidates = counted.among(sums.take(highest >= floor))
    return best(everywhere(candidates, world, "candidates", counted.bits), k, counted.bits)
