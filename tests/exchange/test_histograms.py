"""histogram against NumPy, and against exact integers where NumPy has none."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from exchange_parts import same
from penstock import exchange as ex
from penstock.errors import UsageError


def on_all(fn: Any, all_parts: list[Any]) -> Any:
    """The result that all workers agree on."""
    results = ex.run(fn, all_parts, transport="threads")
    assert all(same(result, results[0]) for result in results)
    return results[0]


@pytest.mark.parametrize("bins", [1, 7, [0.0, 0.5, 2.0]])
def test_a_histogram_is_numpys(bins: Any) -> None:
    """Bins of one width between the extremes, or those given; the last edge belongs to the last bin."""
    draw = np.random.default_rng(1)
    all_parts = [draw.normal(size=100).round(1), np.array([0.5, 2.0, 2.0]), []]

    found = on_all(lambda part, world: ex.histogram(part, world, bins), all_parts)

    values = np.concatenate(all_parts)
    counts, edges = np.histogram(values, bins)
    assert found.counts == counts.tolist()
    assert found.edges == pytest.approx(edges.tolist())
    assert found.outside == len(values) - counts.sum()


def test_histograms_of_little() -> None:
    """NaN is outside, nothing finite gives None, one value has a bin around it."""
    assert on_all(ex.histogram, [[], [math.nan]]) is None
    assert on_all(lambda part, world: ex.histogram(part, world, 2), [[3.0], [math.nan]]) == ([2.5, 3.0, 3.5], [0, 1], 1)


@pytest.mark.parametrize("start", [1_767_225_600 * 10**9, 2**64 - 100, -(2**63), 10**30])
def test_large_integers_have_integer_edges(start: int) -> None:
    """Bins of a whole width, also where floats are further apart than the values."""
    values = [start + n for n in range(100)]

    found = on_all(lambda part, world: ex.histogram(part, world, 5), [values[:30], values[30:]])

    assert found == ([start + n for n in range(0, 101, 20)], [20] * 5, 0)


def test_given_edges_stay_exact() -> None:
    """A large integer is compared with edges as they are: integers, floats between integers, infinities."""
    large = 2**53
    values = [large, large + 1, large + 2, large + 3]

    assert on_all(lambda part, world: ex.histogram(part, world, [large + 1, large + 2, large + 3]), [values])[1:] == (
        [1, 2],
        1,
    )
    assert on_all(lambda part, world: ex.histogram(part, world, [-math.inf, 1.5, math.inf]), [[1, 2], [3]])[1:] == (
        [1, 2],
        0,
    )


def test_the_widest_and_the_narrowest_range() -> None:
    """A range that no float holds has finite edges, and floats that are neighbours have edges that ascend."""
    assert on_all(lambda part, world: ex.histogram(part, world, 2), [[1.7e308], [-1.7e308]]) == (
        [-1.7e308, 0.0, 1.7e308],
        [1, 1],
        0,
    )
    narrow = on_all(lambda part, world: ex.histogram(part, world, 4), [[1e16, 1e16 + 2]])
    assert (np.diff(narrow.edges) > 0).all()
    assert (sum(narrow.counts), narrow.outside) == (2, 0)


def test_other_bins_on_each_worker_are_refused() -> None:
    """All workers name the bins that two of them ask for."""
    for one, other in ((5, 7), (5, [0, 1]), ([0, 1], [0, 2]), ([0, 1, 3], [0, 2, 3])):
        with pytest.raises(UsageError, match=r"different bins: .*bins.*, and .*give the same bins"):
            ex.run(lambda part, world: ex.histogram([1.5, 2.5], world, part), [one, other], transport="threads")
