"""Which keys stand on several workers: found by fingerprints, at less than 10 bits a key.

The range of hashes is cut into slots, 16 to 32 for each key there is, and every owner looks after a stretch of slots.

1. Each worker tells the owners in which slots it has a key: sorted numbers, coded by their gaps (9.1 bits a key).
2. The owner answers which of them another worker has a key in too (0.3 bits): one in thirty, by chance alone.
3. For those, eight more bits of the hash follow, in the same order, so that nothing else has to be said (0.2 bits).
4. The owner answers again. By chance one key in some 5 000 is left: it moves as it is, with the truly shared ones.

The bits are those of ten workers with a million 64-bit keys each.

A key that is not left is on one worker only, or its counts cannot add up to what is asked for. No key is lost, whatever
its hash: chance costs bytes, not truth.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from penstock.exchange.bundles import join, split
from penstock.exchange.columns import pack_mask, pack_numbers, unpack_mask, unpack_numbers
from penstock.exchange.counted import Counted, Run, merge
from penstock.exchange.gaps import pack_gaps, unpack_gaps
from penstock.exchange.mixing import UInts
from penstock.exchange.world import World

__all__ = ["LAP", "shared"]

LAP = 1 << 20  # keys of a worker at a time, so that little is held beside them
TABLE = 1 << 20  # slots at a time: their table stays in the cache
MORE = 8  # bits of the second look

Mask = npt.NDArray[np.bool_]
Slots = npt.NDArray[Any]


def shared(counted: Counted, world: World, entries: int, most: int, at_least: int = 1) -> Run:
    """This worker's keys that others may have too, and that may occur `at_least` so often together.

    `entries` is how many keys all workers have, `most` how many the one with most.
    """
    spread = 16 * entries * max(1, 8 // world.size)  # with few workers the gaps are made worth the byte they take
    shift = max(0, counted.bits - spread.bit_length())
    slots = 1 << (counted.bits - shift)
    laps = max(1, -(-most // LAP))
    edges = [slots * part // (laps * world.size) for part in range(laps * world.size + 1)]
    low = max(8, (slots * world.size // max(entries, 1)).bit_length() - 1) if shift else None
    kept = []
    for start in range(0, laps * world.size, world.size):
        stretch = edges[start : start + world.size + 1]
        run = counted.section(stretch[0] << shift, stretch[-1] << shift)
        kept.append(run.take(_asked(run, stretch, shift, low, world, at_least)))
    return merge(kept)


def _asked(run: Run, edges: list[int], shift: int, low: int | None, world: World, at_least: int) -> Mask:
    """One lap: which keys of the run are left."""
    slots = run.hashes >> np.uint64(shift) if shift else run.hashes
    cuts = np.searchsorted(slots, np.array(edges, np.uint64)).tolist()
    owners = [slice(start, stop) for start, stop in pairwise(cuts)]
    counts = None if run.counts is None or (run.counts == 1).all() else run.counts
    width = max(high - edge for edge, high in pairwise(edges))
    narrow = np.uint32 if width <= 1 << 32 else np.uint64

    parts = []
    for edge, mine in zip(edges, owners, strict=False):
        gaps = pack_gaps((slots[mine] - np.uint64(edge)).astype(narrow), low)
        parts.append(join([gaps, b"" if counts is None else pack_numbers(counts[mine])]) if gaps else b"")
    heard, weights = [], []
    for part in world.swap("fingerprints", parts):
        gaps, packed = split(part) if part else (b"", b"")
        heard.append(unpack_gaps(gaps, narrow))
        weights.append(unpack_numbers(packed) if packed else None)
    del parts, slots
    left, met = _answered(heard, weights, width, at_least, owners, len(run), world)
    if not shift:
        return left

    more = min(MORE, shift)
    seconds = (run.hashes >> np.uint64(shift - more)).astype(np.uint8) & np.uint8((1 << more) - 1)
    second = world.swap("second look", [seconds[mine][left[mine]].tobytes() for mine in owners])
    refined = [
        (slots[mask].astype(np.uint64) << np.uint64(more)) | np.frombuffer(data, np.uint8)
        for slots, mask, data in zip(heard, met, second, strict=True)
    ]
    weights = [None if some is None else some[mask] for some, mask in zip(weights, met, strict=True)]
    asked = [slice(*np.searchsorted(np.flatnonzero(left), [mine.start, mine.stop])) for mine in owners]
    again, _ = _answered(_dense(refined), weights, sum(map(len, refined)), at_least, asked, int(left.sum()), world)
    left[np.flatnonzero(left)[~again]] = False
    return left


def _answered(
    heard: Sequence[Slots], weights: Sequence[UInts | None], width: int, at_least: int, asked: Sequence[slice],
    count: int, world: World,
) -> tuple[Mask, list[Mask]]:  # fmt: skip
    """Answer the others; what they answer about the keys of this worker, and what was answered."""
    met = _meetings(heard, weights, width, at_least)
    answers = world.swap("answers", list(map(pack_mask, met)))
    mask = np.zeros(count, np.bool_)
    for mine, answer in zip(asked, answers, strict=True):
        mask[mine] = unpack_mask(answer, mine.stop - mine.start)
    return mask, met


def _meetings(heard: Sequence[Slots], weights: Sequence[UInts | None], width: int, at_least: int) -> list[Mask]:
    """For each worker, which of its slots hold keys of others too, and enough of them."""
    plain = all(some is None for some in weights)
    needed = max(2, min(at_least, len(heard) + 1)) if plain else 2
    met = [np.empty(len(slots), np.bool_) for slots in heard]
    edges = np.arange(0, width + TABLE, TABLE)
    cuts = [np.searchsorted(slots, edges).tolist() for slots in heard]
    workers: npt.NDArray[Any] = np.empty(min(width, TABLE), np.uint8 if len(heard) < 255 else np.uint16)
    for number, edge in enumerate(edges[:-1]):
        workers.fill(0)
        parts = [slice(*some[number : number + 2]) for some in cuts]
        places = [slots[part].astype(np.intp) - edge for slots, part in zip(heard, parts, strict=True)]
        for place in places:
            workers[place] += 1  # a slot that one worker names twice counts once: its sum is put back, not added
        for mask, part, place in zip(met, parts, places, strict=True):
            mask[part] = workers[place] >= needed
    if plain:
        return met

    # A key occurs at most as often as the most frequent keys of its slot do on all workers together.
    candidates = _dense([slots[mask] for slots, mask in zip(heard, met, strict=True)])
    bounds = np.zeros(sum(map(len, candidates)), np.uint64)
    for slots, mask, some in zip(candidates, met, weights, strict=True):
        if len(slots):
            starts = np.concatenate([[0], np.flatnonzero(slots[1:] != slots[:-1]) + 1])
            times = np.ones(len(slots), np.uint64) if some is None else some[mask]
            bounds[slots[starts]] += np.maximum.reduceat(times, starts)
    for slots, mask in zip(candidates, met, strict=True):
        mask[np.flatnonzero(mask)[bounds[slots] < at_least]] = False
    return met


def _dense(heard: Sequence[Slots]) -> list[Slots]:
    """The same slots under numbers without holes."""
    _, numbers = np.unique(np.concatenate(heard), return_inverse=True)
    return np.split(numbers, np.cumsum([len(slots) for slots in heard])[:-1])
