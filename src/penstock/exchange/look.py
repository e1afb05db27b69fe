"""What all workers know of their keys before they choose a plan: a first look of a few KB."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from penstock.exchange.bundles import join, split
from penstock.exchange.columns import pack_run, unpack_run
from penstock.exchange.counted import Counted, Run, best, best_of, halved, merge
from penstock.exchange.mixing import UInts
from penstock.exchange.world import World

__all__ = ["Look", "look_around", "most_of", "pays", "sum_of", "tagged", "untagged"]

FEW = 4096  # keys that are not worth a plan
SAMPLE = 1024  # keys of all workers, of the same stretch of hashes on each, to see how many are shared
COARSE = 24  # bits of a hash in the sample, which is for an estimate only
FINGERPRINT = 9.7  # bits a key, all looks and answers together: ten workers with a million 64-bit keys each
SWAPS = 640  # bits a pair of workers, for the swaps that fingerprints take and a shuffle does not
WORKERS = np.uint64(20)  # bits for the number of workers, below the count, in one number that adds up both
SIZES = struct.Struct("<QQ")


@dataclass(frozen=True)
class Look:
    """Sizes and shares that all workers agree on."""

    entries: int  # keys of all workers; one that several have counts on each
    most: int  # of the worker that has most
    floor: int  # the k best occur so often, or more often
    shared: float  # part of the entries that fingerprints would leave

    @property
    def few(self) -> bool:
        """Whether there are so few that everyone may have all."""
        return self.entries <= FEW


def look_around(counted: Counted, world: World, k: int, rows: int) -> Look:
    """Sizes, the keys that are most frequent on a worker, and a stretch of hashes that is the same on all."""
    bits, many = counted.bits, max(64, 2 * k)
    width = ((min(SAMPLE, rows // 256) << bits) // max(rows, 1)).bit_length()
    sample = counted.section(0, 1 << width)
    coarse = Run(sample.hashes >> np.uint64(max(0, width - COARSE)), sample.counts)
    few = (run.take(slice(many)) if run.counts is None else run for run in counted.sections())

    def written(entries: int, most: int, frequent: Run, sampled: Run) -> bytes:
        return join([SIZES.pack(entries, most), pack_run(best(frequent, many // 2, bits)), pack_run(sampled)])

    def read(data: bytes) -> tuple[int, int, Run, Run]:
        sizes, frequent, sampled = split(data)
        return *SIZES.unpack(sizes), unpack_run(frequent), unpack_run(sampled)

    def both(one: bytes, other: bytes) -> bytes:
        (entries, most, *runs), (more, their_most, *their_runs) = read(one), read(other)
        return written(entries + more, max(most, their_most), *map(merge, zip(runs, their_runs, strict=True)))

    frequents, samples = halved(best_of(few, many, bits), bits), halved(tagged(coarse), min(width, COARSE))
    halves = zip((counted.entries, 0), (counted.entries, 0), frequents, samples, strict=True)
    first, second = (written(*half) for half in halves)
    (entries, most, *runs), (_, _, *more_runs) = map(read, world.reduce_halves("look", (first, second), both))
    frequent, sampled = map(merge, zip(runs, more_runs, strict=True))
    floor = int(np.partition(frequent.times(), len(frequent) - k)[len(frequent) - k]) if len(frequent) >= k else 1
    times, workers = untagged(sampled)
    left = workers[(workers > 1) & (times >= floor)].sum()
    return Look(entries, most, floor, float(left / workers.sum()) if len(workers) else 1.0)


def pays(look: Look, bits: int, workers: int) -> bool:
    """Whether fingerprints move less than the keys themselves."""
    keys = look.entries // workers
    key = bits - keys.bit_length() + 2  # what a key costs in a shuffle
    return keys * (key - FINGERPRINT - look.shared * (8 + key)) > SWAPS * workers


def tagged(run: Run) -> Run:
    """Counts that, when they are added up, tell of how many workers they are too."""
    return Run(run.hashes, (run.times() << WORKERS) + np.uint64(1), run.keys)


def untagged(run: Run) -> tuple[UInts, UInts]:
    """How often each key occurs, and on how many workers."""
    return run.times() >> WORKERS, run.times() % (np.uint64(1) << WORKERS)


def sum_of(world: World, phase: str, number: int) -> int:
    """The sum of all workers' numbers."""
    return _number(world, phase, number, lambda one, other: one + other)


def most_of(world: World, phase: str, number: int) -> int:
    """The greatest of all workers' numbers."""
    return _number(world, phase, number, max)


def _number(world: World, phase: str, number: int, combine: Any) -> int:
    def both(one: bytes, other: bytes) -> bytes:
        return int(combine(int.from_bytes(one, "big"), int.from_bytes(other, "big"))).to_bytes(8, "big")

    return int.from_bytes(world.reduce(phase, number.to_bytes(8, "big"), both), "big")
