"""Every key to one owner, with its counts: the plain answer, and the last step of the others. Or few keys to everyone.

Owners are stretches of the mixed hashes, so that regular keys burden nobody more; a key costs the bits that its stretch
leaves open, not 64.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from penstock.exchange.columns import pack_run, unpack_run
from penstock.exchange.counted import Counted, Run, best, halved, merge
from penstock.exchange.fingerprints import LAP
from penstock.exchange.world import World

__all__ = ["everywhere", "owned"]


def owned(counted: Counted, world: World, most: int, how: np.ufunc = np.add) -> Iterator[Run]:
    """The keys that this worker owns with their counts on all workers, a slice at a time; `most` as in `shared`."""

    def together(parts: Sequence[bytes]) -> bytes:
        return pack_run(merge(list(map(unpack_run, parts)), how))

    laps = max(1, -(-most // LAP))
    edges = [(part << counted.bits) // (laps * world.size) for part in range(laps * world.size + 1)]
    for start in range(0, laps * world.size, world.size):
        stretch = edges[start : start + world.size + 1]
        runs = list(counted.cut(stretch))
        parts = [pack_run(run, low) for run, low in zip(runs, stretch, strict=False)]
        yield unpack_run(world.reduce_each("shuffle", parts, together, sum(map(len, runs))), stretch[world.id])


def everywhere(run: Run, world: World, phase: str, bits: int, keep: int | None = None, how: np.ufunc = np.add) -> Run:
    """The keys of all workers with their counts, on every worker: for few, or for the best `keep`."""

    def kept(run: Run) -> Run:
        return run if keep is None else best(run, keep, bits)

    def both(one: bytes, other: bytes) -> bytes:
        return pack_run(kept(merge([unpack_run(one), unpack_run(other)], how)))

    low, high = halved(run, bits)
    halves = world.reduce_halves(phase, (pack_run(kept(low)), pack_run(kept(high))), both)
    return kept(merge(list(map(unpack_run, halves)), how))
