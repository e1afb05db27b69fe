"""Statistics of data that keeps arriving: of the latest values exactly, or of all with a weight that halves with time.

A sliding window keeps its values: counts for the mode, two heaps for the median, each change in logarithmic time. A
decayed one keeps a few hundred numbers however much arrives: the heavy hitters (Misra and Gries) and a sketch of
quantiles in logarithmic steps. Both ask other workers when a `world` is given.
"""

from __future__ import annotations

import heapq
import json
import math
import zlib
from collections import Counter
from collections.abc import Iterable
from typing import Any, Protocol

from penstock.errors import UsageError
from penstock.exchange.arguments import is_number, number_of
from penstock.exchange.mode import Mode, top
from penstock.exchange.quantiles import median
from penstock.exchange.world import World

__all__ = ["Window"]

STEP = 1.02  # between the borders of a sketch: a median of it is right within one percent
ROOM = 512.0  # doublings of weights before they are scaled back; a float has 1 023


class Window:
    """The latest values of a stream.

    >>> from penstock import exchange as ex
    >>> window = ex.Window(last=3)
    >>> window.add([5, 5, 1, 2, 1])
    >>> window.mode(), window.median()
    (Mode(value=1, count=2), 1)
    >>> faded = ex.Window(half_life=10.0)
    >>> faded.add(["a", "a", "a"], at=0)
    >>> faded.add(["b"], at=20)
    >>> faded.top(2)
    [Mode(value='b', count=1.0), Mode(value='a', count=0.75)]
    """

    def __init__(
        self, last: int | None = None, *, within: float | None = None, half_life: float | None = None, keep: int = 512
    ) -> None:
        """Choose one of three.

        Args:
            last: how many values the window holds.
            within: how long it holds a value: `add` is told when values come.
            half_life: after how long a value weighs half; where `add` is not told when, in numbers of values.
            keep: of how many values a decayed window keeps the weight. A weight is too low by at most the sum of all
                weights divided by `keep`.
        """
        given = [option for option in (last, within, half_life) if option is not None]
        if len(given) != 1 or not is_number(given[0]) or not given[0] > 0:
            raise UsageError("a window has one length above 0", "give one of last=, within=, half_life=")
        if last is not None:
            number_of("last", last, "give a whole number of values")
        number_of("keep", keep, "give a whole number of values")
        self._timed = within is not None
        self._numbered = last is not None
        self._content: _Content = (
            _Sliding(given[0], timed=self._timed) if half_life is None else _Decayed(half_life, keep)
        )
        self._count = 0

    def add(self, values: Iterable[Any], at: float | None = None) -> None:
        """Take values that come together, at a moment in any unit; nulls are skipped. Moments may come out of order.

        A window over time loses what is too old by then, also where no value comes.
        """
        if self._timed and at is None:
            raise UsageError("a window over time has to know when values come", "give at=")
        if at is not None and not (is_number(at) and math.isfinite(at)):
            raise UsageError(f"at={at!r} is no moment", "give a finite number")
        if self._timed and at is not None:
            self._content.pass_to(float(at))
        for value in values:
            if value is not None:
                self._count += 1
                self._content.add(_plain(value), float(self._count if at is None or self._numbered else at))

    def top(self, k: int = 10, world: World | None = None) -> list[Mode]:
        """The k values that occur most often, or weigh most, here or on all workers."""
        return self._content.top(number_of("k", k, "give a k of 1 or more"), world)

    def mode(self, world: World | None = None) -> Mode | None:
        """The first of `top`; None where there are no values."""
        return next(iter(self.top(1, world)), None)

    def median(self, world: World | None = None) -> Any:
        """The upper median, here or on all workers: exact in a sliding window, within one percent in a decayed one."""
        return self._content.median(world)


class _Content(Protocol):
    def add(self, value: Any, at: float) -> None: ...
    def pass_to(self, moment: float) -> None: ...
    def top(self, k: int, world: World | None) -> list[Mode]: ...
    def median(self, world: World | None) -> Any: ...


def _plain(value: Any) -> Any:
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float):
        return math.nan if value != value else value + 0.0  # one NaN, one zero
    return value


def _key(value: Any) -> tuple[bool, Any]:
    return (True, 0) if value != value else (False, value)


def _ranked(weights: Iterable[tuple[Any, Any]], k: int) -> list[Mode]:
    return [Mode(*pair) for pair in heapq.nsmallest(k, weights, key=lambda pair: (-pair[1], _key(pair[0])))]


# -- sliding -----------------------------------------------------------------------------------------------------------


class _Down:
    """A key that sorts the other way, for a heap with the greatest on top."""

    __slots__ = ("key",)

    def __init__(self, key: Any) -> None:
        self.key = key

    def __lt__(self, other: _Down) -> bool:
        return bool(other.key < self.key)


class _Sliding:
    def __init__(self, span: float, *, timed: bool) -> None:
        self._span = span
        self._timed = timed
        self._now = -math.inf
        self._waiting: list[tuple[float, int]] = []  # what leaves next, on top
        self._values: dict[int, Any] = {}
        self._counts: Counter[Any] = Counter()
        self._low: list[_Down] = []  # the lower half, greatest on top; what has left is taken out when it comes on top
        self._high: list[tuple[Any, int]] = []
        self._below: set[int] = set()  # which values are in the lower half
        self._number = 0

    def add(self, value: Any, at: float) -> None:
        self._now = max(self._now, at)
        if at > self._now - self._span:
            self._number += 1
            heapq.heappush(self._waiting, (at, self._number))
            self._values[self._number] = value
            self._counts[value] += 1
            entry = (_key(value), self._number)
            if self._high and entry < self._high[0]:
                self._below.add(self._number)
                heapq.heappush(self._low, _Down(entry))
            else:
                heapq.heappush(self._high, entry)
        self.pass_to(at)

    def pass_to(self, moment: float) -> None:
        """Let go of what is too old at a moment."""
        self._now = max(self._now, moment)
        while self._waiting and self._waiting[0][0] <= self._now - self._span:
            number = heapq.heappop(self._waiting)[1]
            left = self._values.pop(number)
            self._below.discard(number)
            self._counts[left] -= 1
            if not self._counts[left]:
                del self._counts[left]
        self._even_out()

    def _even_out(self) -> None:
        """As many below as above, or one less: the upper median is on top of the upper half."""
        while True:
            while self._low and self._low[0].key[1] not in self._values:
                heapq.heappop(self._low)
            while self._high and self._high[0][1] not in self._values:
                heapq.heappop(self._high)
            below = len(self._below)
            if below > len(self._values) - below:
                entry = heapq.heappop(self._low).key
                self._below.discard(entry[1])
                heapq.heappush(self._high, entry)
            elif below + 1 < len(self._values) - below:
                entry = heapq.heappop(self._high)
                self._below.add(entry[1])
                heapq.heappush(self._low, _Down(entry))
            else:
                return

    def _on_all(self, world: World) -> list[Any]:
        """The values that are not too old at the latest moment of any worker."""
        now = _latest(self._now, world) if self._timed else self._now
        return [self._values[number] for at, number in self._waiting if at > now - self._span]

    def top(self, k: int, world: World | None) -> list[Mode]:
        return _ranked(self._counts.items(), k) if world is None else top(self._on_all(world), world, k)

    def median(self, world: World | None) -> Any:
        if world is not None:
            return median(self._on_all(world), world)
        return self._values[self._high[0][1]] if self._high else None


# -- decayed -----------------------------------------------------------------------------------------------------------


class _Decayed:
    def __init__(self, half_life: float, keep: int) -> None:
        self._half_life = half_life
        self._keep = keep
        self._start: float | None = None  # the moment at which a value weighs 1
        self._now = -math.inf
        self._heavy: dict[Any, float] = {}
        self._steps: dict[int, float] = {}

    def add(self, value: Any, at: float) -> None:
        self._now = max(self._now, at)
        if self._start is None:
            self._start = at
        if (self._now - self._start) / self._half_life > ROOM:
            self._heavy, self._steps = self._at(self._now)
            self._start = self._now
        weight = 2.0 ** ((at - self._start) / self._half_life)  # later values weigh more: no old one has to change
        self._heavy[value] = self._heavy.get(value, 0.0) + weight
        if len(self._heavy) > 2 * self._keep:
            self._heavy = _fewer(self._heavy, self._keep)
        if isinstance(value, (int, float)):
            step = _step(value)
            self._steps[step] = self._steps.get(step, 0.0) + weight

    def pass_to(self, moment: float) -> None:
        """Later weights are seen from there."""
        self._now = max(self._now, moment)

    def _at(self, moment: float) -> tuple[dict[Any, float], dict[int, float]]:
        """All weights as they are at a moment."""
        scale = 2.0 ** max(-1000.0, ((self._start or 0.0) - moment) / self._half_life) if self._heavy else 1.0
        heavy, steps = (
            {key: weight * scale for key, weight in weights.items()} for weights in (self._heavy, self._steps)
        )
        return heavy, steps

    def _on_all(self, world: World | None) -> tuple[dict[Any, float], dict[int, float]]:
        """All weights as they are at the latest moment of any worker."""
        if world is None:
            return self._at(self._now)
        return self._at(_latest(self._now, world))

    def top(self, k: int, world: World | None) -> list[Mode]:
        heavy = self._on_all(world)[0]
        return _ranked((heavy if world is None else _summed(heavy, world, self._keep)).items(), k)

    def median(self, world: World | None) -> Any:
        on_all = self._on_all(world)[1]
        steps = sorted((on_all if world is None else _summed(on_all, world)).items())
        half = sum(weight for _, weight in steps) / 2
        for step, weight in steps:
            half -= weight
            if half < 0:
                return _middle(step)
        return _middle(steps[-1][0]) if steps else None


def _latest(now: float, world: World) -> float:
    """The latest moment of any worker."""
    data = world.reduce("moment", json.dumps(now).encode(), lambda one, other: max(one, other, key=json.loads))
    return float(json.loads(data))


def _summed(weights: dict[Any, float], world: World, keep: int | None = None) -> dict[Any, float]:
    """The weights of all workers, or the heaviest of them."""

    def added(one: dict[Any, float], other: dict[Any, float]) -> dict[Any, float]:
        sums = {key: one.get(key, 0.0) + other.get(key, 0.0) for key in {**one, **other}}
        return sums if keep is None else _fewer(sums, keep)

    def both(one: bytes, other: bytes) -> bytes:
        return _written(added(_read(one), _read(other)))

    halves: list[dict[Any, float]] = [{}, {}]
    for value, weight in weights.items():
        halves[zlib.crc32(repr(value).encode()) % 2][value] = weight
    low, high = map(_written, halves)
    return added(*map(_read, world.reduce_halves("weights", (low, high), both)))


def _fewer(weights: dict[Any, float], keep: int) -> dict[Any, float]:
    """The heaviest: the next one's weight is taken from all of them (Misra and Gries, and so it can be merged)."""
    if len(weights) <= keep:
        return weights
    least = heapq.nlargest(keep + 1, weights.values())[-1]
    return {value: weight - least for value, weight in weights.items() if weight > least}


TOP = 1 << 20  # the step of infinity; NaN is one above


def _step(value: float) -> int:
    """The place of a number in a scale that grows by STEP, the same way below zero."""
    if value != value:
        return TOP + 1
    if not value:
        return 0
    size = TOP if math.isinf(value) else round(math.log(abs(value), STEP)) + TOP // 2
    return size if value > 0 else -size


def _middle(step: int) -> float:
    if step > TOP:
        return math.nan
    if abs(step) == TOP:
        return math.copysign(math.inf, step)
    return math.copysign(STEP ** (abs(step) - TOP // 2), step) if step else 0.0


def _written(weights: dict[Any, float]) -> bytes:
    pairs = [({"hex": value.hex()} if isinstance(value, bytes) else value, weight) for value, weight in weights.items()]
    return json.dumps(pairs).encode()


def _read(data: bytes) -> dict[Any, float]:
    return {
        bytes.fromhex(value["hex"]) if isinstance(value, dict) else _plain(value): weight
        for value, weight in json.loads(data)
    }
