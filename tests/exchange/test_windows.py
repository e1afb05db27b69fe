"""Windows over values that keep arriving, against looking at all of them each time."""

from __future__ import annotations

import math
import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange_parts import KINDS, key, same
from penstock import exchange as ex
from penstock.errors import UsageError


def normal(value: Any) -> Any:
    """One NaN, one zero."""
    return math.nan if value != value else value + 0.0 if isinstance(value, float) else value


@settings(max_examples=50)
@given(st.sampled_from(["int", "float", "text", "bytes"]), st.integers(1, 30), st.integers(0, 2**20))
def test_a_window_of_the_last_values(kind: str, last: int, seed: int) -> None:
    """After each value, mode and median are those of the last so many."""
    chance = random.Random(seed)
    window, values = ex.Window(last=last), []
    for _ in range(60):
        values.append(KINDS[kind](chance.randrange(20)))
        window.add([values[-1]])
        content = sorted(map(normal, values[-last:]), key=key)
        ranked = sorted(Counter(content).items(), key=lambda pair: (-pair[1], key(pair[0])))
        assert same(window.median(), content[len(content) // 2])
        assert same([tuple(each) for each in window.top(3)], ranked[:3])


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 5)), max_size=60), st.integers(1, 10))
def test_a_window_of_the_last_seconds(arrivals: list[tuple[int, int]], within: int) -> None:
    """Moments come in any order; a value leaves when the latest moment is `within` after its own."""
    window = ex.Window(within=within)
    for number, (at, value) in enumerate(arrivals, 1):
        window.add([value], at=at)
        now = max(at for at, _ in arrivals[:number])
        content = sorted(value for at, value in arrivals[:number] if at > now - within)
        assert window.median() == content[len(content) // 2]
        assert window.mode() == min(Counter(content).items(), key=lambda pair: (-pair[1], pair[0]))


def test_windows_of_all_workers() -> None:
    """With a world, what all windows hold together counts."""

    def work(part: list[int], world: ex.World) -> Any:
        window = ex.Window(last=3)
        window.add(part)
        return window.mode(world), window.median(world)

    assert ex.run(work, [[9, 9, 9, 1, 2, 3], [3, 4, 5]], transport="threads") == [((3, 2), 3)] * 2


def test_weights_halve() -> None:
    """An older value needs twice as many to weigh the same; moments far apart do not overflow."""
    window = ex.Window(half_life=1.0)
    window.add(["old"] * 4, at=0)
    window.add(["new"], at=2)
    assert window.top(2) == [("new", 1.0), ("old", 1.0)]

    window.add(["late"], at=10_000)
    assert window.mode() == ("late", 1.0)
    assert window.top(3)[1].count < 1e-100


def test_heavy_hitters_survive_in_little_room() -> None:
    """Of a hundred thousand values with room for 50, the frequent ones stay, too low by a fiftieth of all at most."""
    chance = random.Random(6)
    values = [
        n if chance.random() < 0.3 else -chance.randrange(10**9) for n in map(int, range(10)) for _ in range(5000)
    ]
    chance.shuffle(values)
    window = ex.Window(half_life=1e12, keep=50)
    window.add(values)

    found = dict(window.top(10))

    truth = Counter(values)
    assert set(found) == set(range(10))
    assert all(truth[value] - len(values) / 50 <= weight <= truth[value] + 1e-3 for value, weight in found.items())


def test_a_decayed_median_is_near() -> None:
    """Within one percent of a value in the middle, for positive and negative numbers; NaN is the greatest."""
    window = ex.Window(half_life=1e9)
    window.add(range(-300, 1001))
    assert window.median() == pytest.approx(350, rel=0.02)
    window.add([math.nan] * 10_000)
    assert math.isnan(window.median())


def test_decayed_windows_of_all_workers() -> None:
    """Weights are brought to the latest moment of any worker before they are added."""

    def work(part: tuple[float, list[Any]], world: ex.World) -> Any:
        window = ex.Window(half_life=10.0)
        window.add(part[1], at=part[0])
        return window.top(3, world), window.median(world)

    parts = [(0, [1.5, 1.5, 1.5, b"x"]), (10, [1.5]), (10, [])]
    results = ex.run(work, parts, transport="threads")

    assert results[0][0] == [(1.5, 2.5), (b"x", 0.5)]
    assert results[0][1] == pytest.approx(1.5, rel=0.01)
    assert results == [results[0]] * 3


@pytest.mark.parametrize("options", [{}, {"last": 0}, {"last": 3, "within": 2.0}, {"half_life": -1.0}])
def test_a_window_has_one_length(options: dict[str, Any]) -> None:
    """Nothing, none, two or a negative one are refused."""
    with pytest.raises(UsageError, match="one of last=, within=, half_life="):
        ex.Window(**options)


def test_time_has_to_be_told() -> None:
    """Nothing here reads a clock."""
    with pytest.raises(UsageError, match="give at="):
        ex.Window(within=5.0).add([1])


def test_time_passes_without_values() -> None:
    """A moment at which nothing comes lets old values go, here and on the other workers."""
    window = ex.Window(within=10)
    window.add([1, 1], at=0)
    window.add([], at=100)
    assert window.top() == []
    assert window.median() is None

    def work(part: Any, world: ex.World) -> Any:
        window = ex.Window(within=10)
        window.add(part[1], at=part[0])
        return window.top(3, world), window.median(world)

    assert ex.run(work, [(0, [1, 1]), (95, [3]), (100, [])], transport="threads") == [([(3, 1)], 3)] * 3


def test_the_last_values_are_counted_whenever_they_come() -> None:
    """What `add` is told of the time does not change how many values a window holds."""
    window = ex.Window(last=2)
    window.add([1, 1, 1, 2, 3], at=0)

    assert window.top() == [(2, 1), (3, 1)]


@pytest.mark.parametrize("at", [math.nan, math.inf, "1", True])
def test_a_moment_is_a_finite_number(at: Any) -> None:
    """Whatever the window is."""
    for window in (ex.Window(within=1), ex.Window(half_life=1)):
        with pytest.raises(UsageError, match="give a finite number"):
            window.add([1], at=at)


@pytest.mark.parametrize(
    "options", [{"last": 1.5}, {"last": "3"}, {"last": True}, {"within": math.nan}, {"half_life": 1.0, "keep": 0.5}]
)
def test_lengths_are_numbers(options: dict[str, Any]) -> None:
    """A number of values is a whole one."""
    with pytest.raises(UsageError, match="give "):
        ex.Window(**options)
