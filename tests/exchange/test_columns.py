"""Keys and counts as bytes: what is read is what was written, in about as many bits as it takes."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.exchange.columns import pack_mask, pack_numbers, pack_run, unpack_mask, unpack_numbers, unpack_run
from penstock.exchange.counted import Run
from penstock.exchange.gaps import pack_gaps, unpack_gaps
from penstock.exchange.mixing import digests, mix, unmix

NUMBERS = st.lists(st.one_of(st.integers(0, 2**64 - 1), st.integers(0, 300)), max_size=40)


@given(NUMBERS)
def test_gaps_are_read_as_they_were_written(numbers: list[int]) -> None:
    """Sorted numbers of any size, equal ones too."""
    array = np.sort(np.array(numbers, np.uint64))

    assert unpack_gaps(pack_gaps(array)).tolist() == array.tolist()


@pytest.mark.parametrize("low", [8, 9, 16, None])
def test_gaps_cost_the_logarithm_of_a_gap(low: int | None) -> None:
    """Ten thousand numbers some 400 apart: fewer than 11 bits each where the low bits are the right ones."""
    array = np.sort(np.random.default_rng(1).integers(0, 4_000_000, 10_000, dtype=np.uint32))

    data = pack_gaps(array, low)

    assert unpack_gaps(data, np.uint32).tolist() == array.tolist()
    assert len(data) * 8 < 10_000 * (11 if low != 16 else 18)


@pytest.mark.parametrize("bits", [1, 2, 7, 32, 63, 64])
def test_mixing_loses_nothing_and_stays_within_its_bits(bits: int) -> None:
    """Different keys have different hashes of as many bits, and come back."""
    keys = np.array([random.Random(bits).randrange(2**bits) for _ in range(2000)], np.uint64)

    hashes = mix(keys, bits)

    assert int(hashes.max()) < 2**bits
    assert unmix(hashes, bits).tolist() == keys.tolist()


@pytest.mark.parametrize("step", [1, 10, 1024, 86_400_000_000])
def test_regular_keys_are_spread_evenly(step: int) -> None:
    """Each tenth of the hashes has a tenth of the keys, whatever the step between keys is."""
    hashes = mix(np.arange(10_000, dtype=np.uint64) * np.uint64(step), 64)

    shares = np.bincount((hashes >> np.uint64(32)) * np.uint64(10) >> np.uint64(32), minlength=10)
    assert shares.max() <= 1200
    assert shares.min() >= 800


@given(NUMBERS, st.booleans())
def test_runs_are_read_as_they_were_written(numbers: list[int], text: bool) -> None:
    """Hashes, counts and strings."""
    counts = np.array(numbers, np.uint64)
    keys: Any = None
    hashes = np.sort(np.array(range(len(numbers)), np.uint64))
    if text:
        keys = np.empty(len(numbers), object)
        keys[:] = [str(number).encode() for number in numbers]
        hashes = digests(keys.tolist())

    run = unpack_run(pack_run(Run(hashes, counts, keys)))

    assert run.hashes.tolist() == hashes.tolist()
    assert run.times().tolist() == counts.tolist()
    assert not text or not numbers or run.keys.tolist() == keys.tolist()


@given(st.lists(st.booleans()), NUMBERS)
def test_masks_and_numbers(mask: list[bool], numbers: list[int]) -> None:
    """Yes and no, and numbers in no order."""
    assert unpack_mask(pack_mask(np.array(mask, np.bool_)), len(mask)).tolist() == mask
    assert unpack_numbers(pack_numbers(np.array(numbers, np.uint64))).tolist() == numbers
