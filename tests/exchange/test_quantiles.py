"""median and quantiles against sorting in one place, with the rounds and bytes that they take."""

from __future__ import annotations

import math
import sys
from fractions import Fraction
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange_parts import parts, same, there
from penstock import exchange as ex
from penstock.errors import UsageError

ROOM = sys.modules["penstock.exchange.quantiles"]  # the function stands in the package under the module's name


def on_all(fn: Any, all_parts: list[Any]) -> Any:
    """The result that all workers agree on."""
    results = ex.run(fn, all_parts, transport="threads")
    assert all(same(result, results[0]) for result in results)
    return results[0]


@settings(max_examples=60)
@given(parts(), st.sampled_from(["upper", "lower"]))
def test_the_median_is_the_middle_of_all_values(all_parts: list[list[Any]], kind: Literal["upper", "lower"]) -> None:
    """Whatever the values and the parts are: the one at n // 2, or at (n - 1) // 2, in order."""
    found = on_all(lambda part, world: ex.median(part, world, kind), all_parts)

    values = there(all_parts)
    assert same(found, values[(len(values) - (kind == "lower")) // 2] if values else None)


@settings(max_examples=40)
@given(parts(), st.lists(st.integers(0, 100).map(lambda percent: percent / 100), min_size=1, max_size=12))
def test_quantiles_are_found_in_rounds(all_parts: list[list[Any]], q: list[float]) -> None:
    """With room for few values it takes more rounds, and comes out the same: the least value with its share."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ROOM, "GATHERED", 0)
        patch.setattr(ROOM, "PIVOTS", 16)
        found = on_all(
            lambda part, world: ex.quantiles(
                (part[at : at + 9] for at in range(0, len(part), 9)), world, q, memory=400
            ),
            all_parts,
        )

    values = there(all_parts)
    shares = [Fraction(round(each * 100), 100) for each in q]
    places = [max(math.ceil(share * len(values)) - 1, 0) for share in shares]
    assert same(found, [values[place] for place in places] if values else [None] * len(q))


@given(st.lists(st.lists(st.integers(-(2**63), 2**64), max_size=20), min_size=1, max_size=4))
def test_the_mean_of_two_middles_is_exact_for_large_integers(all_parts: list[list[int]]) -> None:
    """The two are added before they become a float."""
    found = on_all(lambda part, world: ex.median(part, world, "mean"), all_parts)

    values = there(all_parts)
    two = values[(len(values) - 1) // 2 : len(values) // 2 + 1]
    if len(set(two)) == 1:  # as it is: no float is 2^53 + 1
        assert same(found, two[0])
    else:
        assert found == (float(Fraction(sum(two), len(two))) if values else None)


def test_quantiles_between_values() -> None:
    """kind="cont" lies between two values as much as q does; the same as NumPy's default."""
    draw = np.random.default_rng(2)
    all_parts = [draw.normal(size=300) for _ in range(3)]

    found = on_all(lambda part, world: ex.quantiles(part, world, [0, 0.25, 0.999, 1], "cont"), all_parts)

    assert found == pytest.approx(np.quantile(np.concatenate(all_parts), [0, 0.25, 0.999, 1]).tolist(), rel=1e-12)
    assert on_all(lambda part, world: ex.quantiles(part, world, 0.25, "cont"), all_parts) == found[1]


@pytest.mark.parametrize("spread", [1.0, 1e-300, 1e300])
def test_a_median_takes_eight_rounds_at_most_and_few_bytes(spread: float) -> None:
    """However wide the values range: at most 200 KB sent by any worker, in at most 8 collective calls."""
    draw = np.random.default_rng(6)
    all_parts = [draw.standard_cauchy(200_000) * spread for _ in range(10)]

    def work(part: Any, world: ex.World) -> tuple[float, int, int]:
        return ex.median(part, world), len(world.traffic), sum(its.sent_bytes for its in world.traffic.values())

    results = ex.run(work, all_parts, transport="threads")

    truth = np.sort(np.concatenate(all_parts))[1_000_000]
    assert {found for found, _, _ in results} == {truth}
    assert max(rounds for _, rounds, _ in results) <= 8
    assert max(sent for _, _, sent in results) <= 200_000


def test_many_workers_with_a_pivot_or_two_each_find_several_quantiles_soon() -> None:
    """Four quantiles of 100 000 values on 200 workers, in no more calls than the median of ten workers."""
    draw = np.random.default_rng(6)
    all_parts = [draw.normal(size=500) for _ in range(200)]

    def work(part: Any, world: ex.World) -> tuple[list[float], int]:
        return ex.quantiles(part, world, [0.01, 0.1, 0.5, 0.99]), len(world.traffic)

    results = ex.run(work, all_parts, transport="simulator")

    truth = np.sort(np.concatenate(all_parts))[[999, 9999, 49_999, 98_999]].tolist()
    assert all(found == truth for found, _ in results)
    assert max(rounds for _, rounds in results) <= 6


def test_long_strings_stay_at_home() -> None:
    """Pivots that are strings are fewer the longer they are."""
    all_parts = [[f"{n * 7 % 3000:05}" + "x" * 2000 for n in range(worker, 3000, 4)] for worker in range(4)]

    def work(part: Any, world: ex.World) -> tuple[str, int]:
        return ex.median(part, world), max(its.sent_bytes for its in world.traffic.values())

    results = ex.run(work, all_parts, transport="threads")

    assert {found[:5] for found, _ in results} == {"01500"}
    assert max(sent for _, sent in results) < 400_000


def test_what_has_no_mean_is_refused_on_all_workers() -> None:
    """There is nothing between two strings."""

    def error(part: Any, world: ex.World) -> str:
        with pytest.raises(UsageError) as caught:
            ex.median(part, world, "mean")
        return str(caught.value)

    assert all("no mean of two values of text" in each for each in ex.run(error, [["a"], []], transport="threads"))


def test_wrong_calls_fail_at_once() -> None:
    """A share above 1 and an unknown kind."""
    with pytest.raises(UsageError, match="q is 0 to 1"):
        ex.quantiles([1], None, 1.5)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match='"upper", "lower" or "mean"'):
        ex.median([1], None, "middle")  # type: ignore[arg-type]
