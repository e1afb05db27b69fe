"""Events that hypothesis draws: bursts of each key with pauses about the length of the gap, so that sessions are many.

As in `strategies`, hypothesis draws a seed and how many rows, and the rest follows from the seed. Every combination of
keys has a clock of its own that stands still, or goes on by a unit, by about the gap, or by far more.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pyarrow as pa
from hypothesis import strategies as st

from strategies import KINDS, NAMES

UNITS = {
    pa.timestamp("us"): [timedelta(microseconds=1), timedelta(milliseconds=1), timedelta(seconds=1)],
    pa.timestamp("us", "UTC"): [timedelta(microseconds=1), timedelta(seconds=1)],
    pa.date32(): [timedelta(days=1)],
}
STARTS = [datetime(2024, 3, 31, 1), datetime(1970, 1, 1), datetime(1969, 12, 31, 23, 59, 59, 999990), datetime(1, 1, 1)]


class Events(NamedTuple):
    """A table, its keys and its times, and lengths of time that divide them."""

    data: pa.Table
    by: list[str]
    at: str
    gap: timedelta
    max_length: timedelta | None

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The table as the oracles take it."""
        return self.data.to_pylist()


@st.composite
def events(draw: st.DrawFn, keys: Sequence[str] = tuple(KINDS), max_rows: int = 60) -> Events:
    """A table with one or two keys of these kinds, times with some nulls, and a column of few values."""
    chance = random.Random(draw(st.integers(0, 2**24 - 1)))
    size = draw(st.integers(0, max_rows))
    by_kinds = [chance.choice(keys) for _ in range(chance.choice([1, 1, 2]))]
    *by, at, other = chance.sample(NAMES, len(by_kinds) + 2)

    kind = chance.choice([pa.timestamp("us"), *UNITS])
    unit = chance.choice(UNITS[kind])
    gap = chance.choice([1, 2, 7, 30]) * unit
    lengths = [unit, max(unit, gap - unit), gap, gap + unit, 2 * gap, 5 * gap]
    max_length = chance.choice([None, chance.choice(lengths), chance.choice(lengths)])

    pools = [[*(_value(kind, chance) for _ in range(chance.randint(1, 2))), None] for kind in by_kinds]
    combined = list(itertools.product(*pools))
    clocks = [chance.choice(STARTS) for _ in combined]
    steps = [0, 0, 1, gap // unit // 2, gap // unit - 1, gap // unit, gap // unit + 1, 9 * (gap // unit)]
    unknown = chance.choice([0, 0.15])
    cells = []
    for _ in range(max_rows):
        key = min(int(chance.expovariate(0.7)), len(combined) - 1)  # some keys have most of the rows
        clocks[key] += chance.choice(steps) * unit
        time = clocks[key].replace(tzinfo=UTC) if getattr(kind, "tz", None) else clocks[key]
        cells.append([*combined[key], None if chance.random() < unknown else time, chance.choice([1, 2, 3, None])])
    names = [*by, at, other]
    kinds = [*(KINDS[name].type for name in by_kinds), kind, pa.int32()]
    schema = pa.schema(list(zip(names, kinds, strict=True)))
    data = pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in cells[:size]], schema)
    return Events(data.select(chance.sample(names, len(names))), by, at, gap, max_length)


def _value(kind: str, chance: random.Random) -> Any:
    return chance.choice([chance.choice(KINDS[kind].edges), KINDS[kind].other(chance)])
