"""What a worker counts by itself: its different keys in the order of their hashes, and how often each occurs.

In that order equal keys are neighbours, an owner's keys are one slice, and a slice is cheap to code. One sort does it
all; values beyond the memory budget become several sorted runs on disk, which are merged slice by slice.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from penstock.exchange.mixing import UInts, digests, mix, unmix
from penstock.exchange.shelf import MEMORY, Shelf, sorted_runs
from penstock.exchange.values import Domain, Held, sorted_strings

__all__ = ["NOTHING", "Counted", "Run", "best", "best_of", "combine", "count", "halved", "merge"]


SECTION = 1 << 20  # keys of a slice


@dataclass(frozen=True)
class Run:
    """Keys in the order of their hashes."""

    hashes: UInts
    counts: UInts | None = None  # None where every key occurs once
    keys: Any = None  # byte strings, an array or in a file; numbers come back out of their hashes

    def __len__(self) -> int:
        return len(self.hashes)

    def take(self, which: Any) -> Run:
        """Some of the keys: a slice, a mask or positions in order."""
        return Run(
            self.hashes[which],
            None if self.counts is None else self.counts[which],
            None if self.keys is None else self.keys[which],
        )

    def times(self) -> UInts:
        """How often each key occurs."""
        return np.ones(len(self), np.uint64) if self.counts is None else self.counts

    def values(self, bits: int) -> npt.NDArray[Any]:
        """The keys themselves."""
        return unmix(self.hashes, bits) if self.keys is None else self.keys


NOTHING = Run(np.empty(0, np.uint64))


@dataclass(frozen=True)
class Counted:
    """All of a worker's keys; a key may stand in several runs."""

    runs: list[Run]
    bits: int

    @property
    def entries(self) -> int:
        """How many keys there are; a key counts once a run."""
        return sum(map(len, self.runs))

    def cut(self, edges: Sequence[int]) -> Iterator[Run]:
        """The keys with hashes from each edge to below the next, a slice at a time."""
        ends = np.array([min(edge, (1 << self.bits) - 1) for edge in edges], np.uint64)
        places = []
        for run in self.runs:
            found = np.searchsorted(run.hashes, ends).tolist()
            places.append([len(run) if edge >> self.bits else place for edge, place in zip(edges, found, strict=True)])
        for starts, stops in pairwise(zip(*places, strict=True)):
            if starts == stops:  # of a thousand owners most get nothing when keys are few
                yield NOTHING
                continue
            parts = [run.take(slice(*of_run)) for run, *of_run in zip(self.runs, starts, stops, strict=True)]
            yield parts[0] if len(parts) == 1 else merge(parts)

    def section(self, low: int, high: int) -> Run:
        """The keys with hashes from `low` to below `high`."""
        return next(self.cut([low, high]))

    def sections(self) -> Iterator[Run]:
        """All keys, a slice at a time."""
        count = max(1, -(-self.entries // SECTION))
        return self.cut([(part << self.bits) // count for part in range(count + 1)])

    def among(self, wanted: Run) -> Run:
        """Those of the keys that are wanted."""
        parts = []
        for run in self.runs:
            starts, stops = (np.searchsorted(run.hashes, wanted.hashes, side) for side in ("left", "right"))
            if run.keys is None:
                parts.append(run.take(starts[stops > starts]))
            else:
                keys = set(wanted.values(self.bits).tolist())
                near = np.unique(np.concatenate([[], *map(np.arange, starts, stops)]).astype(np.int64))
                parts.append(run.take(near[[key in keys for key in run.keys[near]]]))
        return merge(parts)


def count(held: Held, domain: Domain, shelf: Shelf, memory: int = MEMORY) -> Counted:
    """Count a worker's values."""
    if not domain.bits:
        runs = [_by_hash(*sorted_strings(domain.strings(held)))]
        for strings, counts in held.pieces:
            run = _by_hash(strings[:], counts)
            column = shelf.strings()
            column.add(run.keys)
            runs.append(Run(run.hashes, run.counts, column.array()))
        return _one_run(Counted(runs, 64), shelf)

    rows = sum(map(len, held.arrays))
    runs = []
    for hashes in sorted_runs((mix(block, domain.bits) for block in domain.blocks(held)), rows, memory):
        run = combine(hashes)
        if len(hashes) < rows:
            run = Run(shelf.keep(run.hashes), None if run.counts is None else shelf.keep(run.counts))
        runs.append(run)
    return _one_run(Counted(runs or [NOTHING], domain.bits), shelf)


def _one_run(counted: Counted, shelf: Shelf) -> Counted:
    """Runs merged into one, in files: every look at them is a slice from then on."""
    if len(counted.runs) == 1:
        return counted
    hashes, counts, strings = shelf.column(np.uint64), shelf.column(np.uint64), shelf.strings()
    once = True
    for run in counted.sections():
        hashes.add(run.hashes)
        counts.add(run.times())
        once = once and run.counts is None
        if run.keys is not None:
            strings.add(run.keys)
    is_text = counted.runs[0].keys is not None
    return Counted(
        [Run(hashes.array(), None if once else counts.array(), strings.array() if is_text else None)], counted.bits
    )


def _by_hash(keys: npt.NDArray[Any], counts: UInts) -> Run:
    run = Run(digests(keys.tolist()), counts, keys)
    return run.take(np.argsort(run.hashes, kind="stable"))


def combine(hashes: UInts) -> Run:
    """Count sorted hashes."""
    new = hashes[1:] != hashes[:-1]
    if new.all():
        return Run(hashes)
    starts = np.empty(np.count_nonzero(new) + 1, np.uint64)
    starts[0] = 0
    starts[1:] = np.flatnonzero(new)
    starts[1:] += np.uint64(1)
    count, hashes = len(hashes), hashes[starts]
    starts[:-1] = starts[1:] - starts[:-1]  # from here on they are counts
    starts[-1] = np.uint64(count) - starts[-1]
    return Run(hashes, starts)


def merge(runs: Sequence[Run], how: np.ufunc = np.add) -> Run:
    """One run of several: the counts of a key are added, or the greatest is taken with `np.maximum`."""
    runs = [run for run in runs if len(run)] or list(runs[:1])
    if len(runs) == 1:
        return runs[0]
    hashes = np.concatenate([run.hashes for run in runs])
    if runs[0].keys is not None:
        return _merge_strings(runs, how)
    if how is np.add and all(run.counts is None for run in runs):
        hashes.sort()
        return combine(hashes)
    order = np.argsort(hashes, kind="stable")
    hashes = hashes[order]
    starts = np.concatenate([[0], np.flatnonzero(hashes[1:] != hashes[:-1]) + 1])
    counts = np.concatenate([run.times() for run in runs])[order]
    return Run(hashes[starts], how.reduceat(counts, starts))


def _merge_strings(runs: Sequence[Run], how: np.ufunc) -> Run:
    counts: dict[bytes, int] = Counter()
    hashes: dict[bytes, int] = {}
    for run in runs:
        items = run.values(64).tolist()
        hashes.update(zip(items, run.hashes.tolist(), strict=True))
        for key, times in zip(items, run.times().tolist(), strict=True):
            counts[key] = counts.get(key, 0) + times if how is np.add else max(counts.get(key, 0), times)
    keys = np.empty(len(counts), object)
    keys[:] = list(counts)
    merged = Run(np.array([hashes[key] for key in counts], np.uint64), np.array(list(counts.values()), np.uint64), keys)
    return merged.take(np.argsort(merged.hashes, kind="stable"))


def halved(run: Run, bits: int) -> tuple[Run, Run]:
    """The keys with hashes below 2^(bits - 1), and the others."""
    middle = np.searchsorted(run.hashes, np.uint64(1 << bits >> 1))
    return run.take(slice(middle)), run.take(slice(middle, None))


def best(run: Run, k: int, bits: int) -> Run:
    """The k keys that occur most often; of equals, the least keys."""
    if len(run) <= k:
        return run
    times = run.times()
    last = np.partition(times, len(run) - k)[len(run) - k]
    sure = np.flatnonzero(times > last)
    equal = np.flatnonzero(times == last)
    missing = k - len(sure)
    values = run.take(equal).values(bits)
    if run.keys is None:
        least = np.argpartition(values, missing - 1)[:missing]
    else:
        least = np.array(heapq.nsmallest(missing, range(len(values)), key=values.__getitem__))
    return run.take(np.sort(np.concatenate([sure, equal[least]])))


def best_of(runs: Iterable[Run], k: int, bits: int) -> Run:
    """The k best keys of several runs, in which no key comes twice."""
    found = NOTHING
    for run in runs:
        found = best(merge([found, best(run, k, bits)]), k, bits)
    return found
