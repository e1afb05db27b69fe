"""Every key to one owner, with its counts: the plain answer, and the last step of the others.

Owners are stretches of the mixed hashes, so that regular keys burden nobody more; a key costs the bits that its stretch
leaves open, not 64.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from penstock.exchange.columns import pack_run, unpack_run
from penstock.exchange.counted import Counted, Run, merge
from penstock.exchange.fingerprints import LAP
from penstock.exchange.world import World

__all__ = ["everywhere", "owned"]


def owned(counted: Counted, world: World, most: int) -> Iterator[Run]:
    """The keys that this worker owns with their counts on all workers, a slice at a time; `most` as in `shared`."""
    laps = max(1, -(-most // LAP))
    edges = [(part << counted.bits) // (laps * world.size) for part in range(laps * world.size + 1)]
    for start in range(0, laps * world.size, world.size):
        stretch = list(pairwise(edges[start : start + world.size + 1]))
        parts = [pack_run(counted.section(low, high), low) for low, high in stretch]
        mine = stretch[world.id][0]
        yield merge([unpack_run(part, mine) for part in world.swap("shuffle", parts)])


def everywhere(run: Run, world: World, phase: str) -> Run:
    """The keys of all workers with their counts, on every worker: for few."""
    return unpack_run(
        world.reduce(phase, pack_run(run), lambda one, other: pack_run(merge([unpack_run(one), unpack_run(other)])))
    )
