"""mode and top against counting in one place, by every plan, with what they send."""

from __future__ import annotations

import random
import sys
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange_parts import counts, parts, same
from penstock import exchange as ex
from penstock.errors import UsageError
from penstock.exchange import look

PLANS = sys.modules["penstock.exchange.mode"]  # the function stands in the package under the module's name


def everywhere(fn: Any, all_parts: list[Any]) -> Any:
    """The result that all workers agree on, and the traffic of each."""
    results = ex.run(lambda part, world: (fn(part, world), world.traffic), all_parts, transport="threads")
    assert all(same(result, results[0][0]) for result, _ in results)
    return results[0][0], [traffic for _, traffic in results]


def sent(traffic: list[dict[str, ex.Traffic]]) -> list[int]:
    """Bytes that each worker sent."""
    return [sum(its.sent_bytes for its in phases.values()) for phases in traffic]


@settings(max_examples=60)
@given(parts(), st.sampled_from([1, 2, 10, 100]))
def test_top_is_what_one_machine_counts(all_parts: list[list[Any]], k: int) -> None:
    """Whatever the values and the parts are: count descending, value ascending, on every worker."""
    found, _ = everywhere(lambda part, world: ex.top(part, world, k), all_parts)

    assert same([tuple(each) for each in found], counts(all_parts)[:k])


@settings(max_examples=30)
@given(parts(), st.sampled_from([1, 3]), st.sampled_from(["fingerprints", "shuffle", "threshold"]))
def test_every_plan_gives_the_same(all_parts: list[list[Any]], k: int, plan: str) -> None:
    """Small data go through the plans for large data too, and come out the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(look, "FEW", 0)
        patch.setattr(look, "FINGERPRINT", -1e9 if plan == "fingerprints" else 1e9)
        patch.setattr(PLANS, "CANDIDATES", 0 if plan != "threshold" else 10**9)
        found, _ = everywhere(lambda part, world: ex.top(part, world, k), all_parts)

    assert same([tuple(each) for each in found], counts(all_parts)[:k])


@settings(max_examples=15)
@given(parts("int", "float", "around 2^63", "text", "bytes"))
def test_chunks_beyond_the_memory_give_the_same(all_parts: list[list[Any]]) -> None:
    """Values that come as an iterable of chunks, with room for ten of them, are counted from files."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(look, "FEW", 0)
        found, _ = everywhere(
            lambda part, world: ex.top((part[at : at + 7] for at in range(0, len(part), 7)), world, 3, memory=80),
            all_parts,
        )

    assert same([tuple(each) for each in found], counts(all_parts)[:3])


def test_one_pair_among_unique_values_is_found_for_a_byte_and_a_half_a_key() -> None:
    """Ten workers, distinct 64-bit values, one of them on two workers: exact, and nobody is a funnel."""
    keys = 20_000
    draw = np.random.default_rng(6)
    all_parts = [draw.integers(-(2**63), 2**63 - 1, keys) for _ in range(10)]
    all_parts[3][17] = all_parts[8][4]

    found, traffic = everywhere(ex.mode, all_parts)

    total = sent(traffic)
    assert found == (all_parts[8][4], 2)
    assert sum(total) <= 1.5 * 10 * keys
    assert max(total) <= 1.2 * sum(total) / 10


def test_the_same_for_strings() -> None:
    """Long strings do not move either: only their fingerprints do."""
    all_parts = [[f"https://example.org/visits/{worker}/{n}" for n in range(5000)] for worker in range(4)]
    all_parts[0][7] = all_parts[3][9]

    found, traffic = everywhere(ex.mode, all_parts)

    assert found == (all_parts[3][9], 2)
    assert sum(sent(traffic)) <= 2.5 * 4 * 5000


def test_skewed_counts_move_next_to_nothing() -> None:
    """Zipf: at most one percent of the bytes of the keys."""
    draw = np.random.default_rng(6)
    all_parts = [draw.zipf(1.3, 200_000) for _ in range(10)]

    found, traffic = everywhere(lambda part, world: ex.top(part, world, 3), all_parts)

    values, times = np.unique(np.concatenate(all_parts), return_counts=True)
    best = np.lexsort((values, -times))[:3]
    distinct = sum(len(np.unique(part)) for part in all_parts)
    assert [tuple(each) for each in found] == list(zip(values[best].tolist(), times[best].tolist(), strict=True))
    assert sum(sent(traffic)) <= 0.01 * 8 * 10 * 200_000
    assert sum(sent(traffic)) <= 8 * distinct


def test_small_numbers_are_not_sent_as_large_ones() -> None:
    """Keys that all workers share move whole, but cost the bits that their range needs: here less than two bytes."""
    all_parts = [random.Random(worker).sample(range(10**6, 10**6 + 60_000), 50_000) for worker in range(4)]

    found, traffic = everywhere(lambda part, world: ex.top(part, world, 2), all_parts)

    assert [tuple(each) for each in found] == counts(all_parts)[:2]
    assert sum(sent(traffic)) <= 2 * 4 * 50_000


def test_regular_keys_burden_nobody_more() -> None:
    """All keys are multiples of the number of workers, which a shuffle by modulo would send to one of them."""
    all_parts = [[10 * (worker + 10 * n) for n in range(20_000)] for worker in range(10)]

    _, traffic = everywhere(ex.mode, all_parts)

    total = sent(traffic)
    assert max(total) <= 1.2 * sum(total) / 10


@pytest.mark.parametrize(
    ("values", "nulls"),
    [
        (np.ma.masked_array([3, 3, 3, 1, 1], [True, True, False, False, False]), 2),
        (pa.array([1, None, 1, 3]), 1),
        (pa.chunked_array([[1], [None, 1, 3]]), 1),
        (np.array([1, None, 1, 3], object), 1),
        (np.array([1, 1, 3], np.uint8), 0),
        ([np.array([1, 3], np.int16), np.array([1], np.int64)], 0),
        (iter([1, 3, 1]), 0),
    ],
)
def test_arrays_of_every_make(values: Any, nulls: int) -> None:
    """Masked values and nulls are skipped; narrow numbers are numbers."""
    found, _ = everywhere(ex.mode, [values, []])

    assert found == (1, 2)
    assert type(found.value) is int


def test_moments_in_time() -> None:
    """Dates are values too; NaT is a null."""
    days = np.array(["2026-03-01", "NaT", "NaT", "2026-03-02", "2026-03-01"], "M8[D]")

    found, _ = everywhere(ex.mode, [days, days[:0]])

    assert found == (np.datetime64("2026-03-01"), 2)


def test_nothing_at_all() -> None:
    """Without values there is no mode, and nobody waits."""
    assert everywhere(ex.mode, [[], [None], np.array([])])[0] is None
    assert everywhere(ex.top, [[], []])[0] == []


@pytest.mark.parametrize(
    ("all_parts", "told"),
    [
        ([[1], ["a"]], "unlike kinds: int, text"),
        ([[1.5], [2**60 + 1]], "integers that no float is"),
        ([[1], [object()]], "the values of worker 1: values of type object"),
        ([[1], "text"], "the values of worker 1: a str is no list"),
    ],
)
def test_what_cannot_be_counted_stops_all_workers(all_parts: list[Any], told: str) -> None:
    """An error of one worker is told to all, so that none is left waiting."""

    def error(part: Any, world: ex.World) -> str:
        with pytest.raises(UsageError) as caught:
            ex.mode(part, world)
        return str(caught.value)

    assert all(told in each for each in ex.run(error, all_parts, transport="threads"))


def test_integers_and_floats_are_one_kind() -> None:
    """A column that one file has as integers and another as floats is a column of floats."""
    assert everywhere(ex.mode, [[1, 2], [2.0, 0.5]])[0] == (2.0, 2)


def test_a_wrong_k_fails_at_once() -> None:
    """No k of zero."""
    with pytest.raises(UsageError, match="give a k of 1 or more"):
        ex.top([1], None, 0)  # type: ignore[arg-type]
