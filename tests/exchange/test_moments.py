"""moments against exact fractions."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from exchange_parts import parts, same, there
from penstock import exchange as ex
from penstock.errors import UsageError


def on_all(fn: Any, all_parts: list[Any]) -> Any:
    """The result that all workers agree on."""
    results = ex.run(fn, all_parts, transport="threads")
    assert all(same(result, results[0]) for result in results)
    return results[0]


@settings(max_examples=50)
@given(parts("int", "negative", "around 2^63", "bool"))
def test_moments_are_those_of_exact_fractions(all_parts: list[list[Any]]) -> None:
    """Also where values are large and close together."""
    found = on_all(ex.moments, all_parts)

    values = [Fraction(int(value)) for value in there(all_parts)]
    assert found.n == len(values)
    assert found.nulls == sum(part.count(None) for part in all_parts)
    if not values:
        assert set(found[2:]) == {None}
        return
    n = len(values)
    mean = sum(values) / n
    m2, m3, m4 = (sum((value - mean) ** power for value in values) for power in (2, 3, 4))
    assert found.mean == pytest.approx(float(mean), rel=1e-9)
    assert (found.min, found.max) == (min(values), max(values))
    if n == 1:
        assert found.variance is None
        return
    scale = max(map(abs, values)) ** 2 * Fraction(1, 10**28)  # what the rounding of the values themselves leaves
    assert found.variance == pytest.approx(float(m2 / (n - 1)), rel=1e-9, abs=float(scale))
    assert found.std == pytest.approx(math.sqrt(found.variance))
    if m2 > 10**6 * scale:
        assert found.skewness == pytest.approx(math.sqrt(n) * float(m3) / float(m2) ** 1.5, rel=1e-6, abs=1e-6)
        assert found.kurtosis == pytest.approx(float(n * m4 / m2**2) - 3, rel=1e-6, abs=1e-6)


def test_a_large_mean_does_not_eat_the_variance() -> None:
    """A sum of squares would lose all digits here."""
    draw = np.random.default_rng(1)
    all_parts = [1e9 + draw.normal(size=1000) for _ in range(5)]

    found = on_all(ex.moments, all_parts)

    assert found.variance == pytest.approx(np.var(np.concatenate(all_parts) - 1e9, ddof=1), rel=1e-6)


@pytest.mark.parametrize(
    "values",
    [
        np.arange(100) + 1_767_225_600 * 10**9,
        np.arange(3) + 2**53,
        np.arange(7, dtype=np.uint64) ** 2 + np.uint64(2**63 - 3),
        -np.arange(9) - 2**62,
        [10**30 + 1, 10**30 + 2, 10**30 + 4],
        1e15 + np.arange(3.0),
        [-(2**63), 2**64 - 1, 5, 6],
    ],
    ids=["nanoseconds", "2^53", "2^63", "negative", "10^30", "floats", "all of 64 bits"],
)
def test_large_numbers_keep_all_digits(values: Any) -> None:
    """Mean, variance, skewness and kurtosis are those of fractions within 1e-9, however large and close values are."""
    found = on_all(ex.moments, [values[0::3], values[1::3], values[2::3], []])

    exact = [Fraction(value) for value in (values.tolist() if isinstance(values, np.ndarray) else values)]
    n, mean = len(exact), sum(exact) / len(exact)
    m2, m3, m4 = (sum((value - mean) ** power for value in exact) for power in (2, 3, 4))
    assert found.mean == float(mean)
    assert found.variance == pytest.approx(float(m2 / (n - 1)), rel=1e-9)
    assert found.skewness == pytest.approx(math.sqrt(n) * float(m3) / float(m2) ** 1.5, rel=1e-9, abs=1e-9)
    assert found.kurtosis == pytest.approx(float(n * m4 / m2**2) - 3, rel=1e-9)


def test_nan_and_infinity() -> None:
    """NaN is the greatest value and has no mean; infinities have extremes."""
    found = on_all(ex.moments, [[1.0, math.nan], [2.0]])
    assert (found.n, found.min) == (3, 1.0)
    assert math.isnan(found.mean)
    assert math.isnan(found.max)
    assert on_all(ex.moments, [[math.inf], [2.0, -0.0]])[-2:] == (0.0, math.inf)


def test_one_value_many_times() -> None:
    """No spread: the variance is nought, and there is no skewness to speak of."""
    found = on_all(ex.moments, [[7] * 3, [7] * 5])

    assert found == (8, 0, 7.0, 0.0, 0.0, None, None, 7, 7)


def test_text_has_no_moments() -> None:
    """All workers say so."""

    def error(part: Any, world: ex.World) -> str:
        with pytest.raises(UsageError) as caught:
            ex.moments(part, world)
        return str(caught.value)

    assert all("text cannot be added up" in each for each in ex.run(error, [["a"], []], transport="threads"))
