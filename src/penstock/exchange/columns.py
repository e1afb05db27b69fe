"""Keys and counts as bytes: gaps between hashes, counts as narrow as they are, strings deflated."""

from __future__ import annotations

import zlib
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from penstock.exchange.bundles import join, split
from penstock.exchange.counted import NOTHING, Run
from penstock.exchange.gaps import pack_gaps, unpack_gaps
from penstock.exchange.mixing import digests

__all__ = [
    "pack_mask",
    "pack_numbers",
    "pack_run",
    "pack_strings",
    "unpack_mask",
    "unpack_numbers",
    "unpack_run",
    "unpack_strings",
]


def pack_run(run: Run, low: int = 0) -> bytes:
    """Code a run whose hashes are `low` or more."""
    if not len(run):
        return b""
    counts = b"" if run.counts is None or (run.counts == 1).all() else pack_numbers(run.counts)
    if run.keys is None:
        return join([pack_gaps(run.hashes - np.uint64(low)), counts])
    return join([b"", counts, pack_strings(run.keys)])


def unpack_run(data: bytes, low: int = 0) -> Run:
    """The run of `pack_run`."""
    if not data:
        return NOTHING
    gaps, packed, *strings = split(data)
    counts = unpack_numbers(packed) if packed else None
    if not strings:
        return Run(unpack_gaps(gaps) + np.uint64(low), counts)
    keys = unpack_strings(strings[0])
    return Run(digests(keys.tolist()), counts, keys)


def pack_strings(strings: npt.NDArray[Any]) -> bytes:
    """Code byte strings: their lengths, then all of them as one."""
    lengths = pack_numbers(np.fromiter(map(len, strings), np.uint64, len(strings)))
    return join([lengths, zlib.compress(b"".join(strings.tolist()), 1)])


def unpack_strings(data: bytes) -> npt.NDArray[Any]:
    """The byte strings of `pack_strings`."""
    lengths, packed = split(data)
    ends = np.cumsum(unpack_numbers(lengths)).tolist()
    text = zlib.decompress(packed)
    strings = np.empty(len(ends), object)
    strings[:] = [text[start:end] for start, end in pairwise([0, *ends])]
    return strings


def pack_numbers(numbers: npt.NDArray[Any]) -> bytes:
    """Code unsigned numbers: in the fewest bytes that hold the greatest, then deflated."""
    size = next(size for size in (1, 2, 4, 8) if not len(numbers) or int(numbers.max()) < 1 << 8 * size)
    return bytes([size]) + zlib.compress(numbers.astype(f"<u{size}").tobytes(), 1)


def unpack_numbers(data: bytes) -> npt.NDArray[np.uint64]:
    """The numbers of `pack_numbers`."""
    return np.frombuffer(zlib.decompress(data[1:]), f"<u{data[0]}").astype(np.uint64)


def pack_mask(mask: npt.NDArray[np.bool_]) -> bytes:
    """Code yes and no: 0.41 bits each where one in twenty is yes."""
    return zlib.compress(np.packbits(mask).tobytes(), 1) if mask.any() else b""


def unpack_mask(data: bytes, count: int) -> npt.NDArray[np.bool_]:
    """The mask of `pack_mask`."""
    if not data:
        return np.zeros(count, np.bool_)
    return np.unpackbits(np.frombuffer(zlib.decompress(data), np.uint8), count=count).view(np.bool_)
