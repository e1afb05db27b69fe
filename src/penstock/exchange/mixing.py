"""Hashes: keys of a few bits are mixed within those bits, so that nothing is lost and nothing is kept beside.

A multiplication by an odd number and a fold are bijections of the numbers below 2^bits. So a hash of a key below 2^32
is below 2^32 too, sorting hashes finds equal keys, and the key comes back out of its hash. The upper bits are the mixed
ones: owners and fingerprints are taken from there, which regular keys (even numbers, days, steps of 10) cannot skew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["UInts", "digests", "mix", "scramble", "unmix"]

UInts = npt.NDArray[np.uint64]

FIRST = 0x9E3779B97F4A7C15  # odd, without a pattern: the golden ratio's bits, and another of the kind
SECOND = 0xD6E8FEB86659FD93
BLOCK = 1 << 16  # numbers at a time: 512 KiB stay in the cache through all steps


def mix(keys: UInts, bits: int) -> UInts:
    """The hashes of keys below 2^bits; they are below 2^bits, and different for different keys."""
    return _steps(keys, bits, FIRST, SECOND)


def unmix(hashes: UInts, bits: int) -> UInts:
    """The keys of hashes."""
    return _steps(hashes, bits, pow(SECOND, -1, 1 << 64), pow(FIRST, -1, 1 << 64))


def scramble(numbers: UInts) -> UInts:
    """64 bits that look random all over, for estimates that count their zeros (the finaliser of MurmurHash3)."""
    hashes = numbers.copy()
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53, 1):
        hashes ^= hashes >> np.uint64(33)
        hashes *= np.uint64(factor)
    return hashes


def digests(texts: Sequence[bytes]) -> UInts:
    """The 64-bit hashes of byte strings, the same in every process; two strings may share one."""
    joined = b"".join(hashlib.blake2b(text, digest_size=8).digest() for text in texts)
    return np.frombuffer(joined, "<u8").astype(np.uint64)


def _steps(numbers: UInts, bits: int, first: int, second: int) -> UInts:
    mask = np.uint64((1 << bits) - 1)
    half = np.uint64((bits + 1) // 2)  # a fold by half of the bits or more undoes itself
    results = np.empty_like(numbers)
    for start in range(0, len(numbers), BLOCK):
        block = results[start : start + BLOCK]
        np.multiply(numbers[start : start + BLOCK], np.uint64(first), out=block)
        block &= mask
        block ^= block >> half
        block *= np.uint64(second)
        block &= mask
    return results
