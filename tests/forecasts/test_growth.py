"""How many distinct keys more rows will have, told from a sample whose rows are in 64 units."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.forecasts.growth import UNITS, grown

ROWS, TAKEN = 640_000, 64_000
CHANCE = np.random.default_rng(1).random(ROWS)

#: Keys of rows in an order of chance, but for those that lie in the order of the key.
KEYS = {
    "all unique": np.arange(ROWS),
    "few keys": np.arange(ROWS) % 50,
    "uniform": (CHANCE * 100_000).astype(int),
    "uniform, hardly seen": (CHANCE * 1_000_000).astype(int),
    "zipf": np.floor(CHANCE ** (-1 / 0.3)),
    "skewed": (CHANCE**4 * 200_000).astype(int),
    "in the order of the key": np.arange(ROWS) // 20,
}


def counts(keys: Any) -> dict[int, int]:
    """How many keys are in exactly so many units."""
    numbers = np.unique(keys, return_inverse=True)[1]
    in_units = np.unique(numbers * UNITS + np.arange(len(keys)) * UNITS // len(keys)) // UNITS
    return Counter(np.bincount(in_units).tolist())


@pytest.mark.parametrize("keys", KEYS)
def test_twice_the_rows(keys: str) -> None:
    """The keys of twice the rows of a sample are told within 2 %."""
    told = grown(counts(KEYS[keys][:TAKEN]), 2 * UNITS)

    assert told == pytest.approx(len(np.unique(KEYS[keys][: 2 * TAKEN])), rel=0.02)


@pytest.mark.parametrize("keys", KEYS)
def test_ten_times_the_rows(keys: str) -> None:
    """Those of ten times the rows are within 25 %, and within 2 % where no key is much rarer than others."""
    told = grown(counts(KEYS[keys][:TAKEN]), 10 * UNITS)

    assert told == pytest.approx(len(np.unique(KEYS[keys])), rel=0.25 if keys in ("zipf", "skewed") else 0.02)


@pytest.mark.parametrize("keys", KEYS)
def test_some_units_of_the_sample(keys: str) -> None:
    """Half of the units have the keys that half of the sample has, about; all of them those that were seen."""
    seen = counts(KEYS[keys][:TAKEN])

    assert grown(seen, UNITS // 2) == pytest.approx(len(np.unique(KEYS[keys][: TAKEN // 2])), rel=0.02)
    assert grown(seen, UNITS) == len(np.unique(KEYS[keys][:TAKEN]))


def test_no_key_was_seen() -> None:
    """Of no keys there are no more."""
    assert grown({}, 640) == 0


@given(
    st.dictionaries(st.integers(1, UNITS), st.integers(1, 10_000), min_size=1, max_size=10),
    st.lists(st.integers(1, 100 * UNITS), min_size=2, max_size=2).map(sorted),
)
def test_more_rows_have_no_fewer_keys(seen: dict[int, int], units: list[int]) -> None:
    """Whatever was seen, more units hold at least as many keys, and at most as many as if each unit had its own."""
    fewer, more = (grown(seen, each) for each in units)

    assert fewer <= more * (1 + 1e-3)  # each is a fit of its own
    assert more <= sum(times * number for times, number in seen.items()) * max(1.0, units[1] / UNITS) * (1 + 1e-6)


def test_a_part_of_a_unit() -> None:
    """Keys that are in all units are in each number of them, whole or not."""
    assert grown({UNITS: 50}, 63.5) == pytest.approx(50, rel=0.02)
