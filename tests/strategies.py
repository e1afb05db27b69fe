"""Tables that hypothesis draws: every kind of column, the values that engines disagree about, and unkind names.

Hypothesis draws a seed and how many rows; kinds, names and cells follow from the seed. Drawn cell by cell, six examples
in ten were empty or one value repeated, which is too few for an engine that is asked fifteen times. A failing example
still shrinks: to the fewest of its rows. A table is typed also where it is empty.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

import pyarrow as pa
from hypothesis import strategies as st

INT64 = 2**63

# Names that break SQL which is glued together without quoting, f-strings, % formats, and Spark's dotted paths.
NAMES = [
    "a",
    "user_id",
    'a "b"',
    "select",
    "ü",
    "a`b",
    "x.y",
    "{brace}",
    "per%cent",
    "it's",
    "日本 語",
    "a\\b",
    "order by",
]


def in_turn(*names: str) -> list[tuple[str, str, str]]:
    """Three names at a time, each of them once in every place."""
    return [(names[i - 2], names[i - 1], names[i]) for i in range(len(names))]


EPOCH = datetime(1970, 1, 1)


class Kind(NamedTuple):
    """A kind of column: its type, the values at the edges, and how to make any other."""

    type: pa.DataType
    edges: list[Any]
    other: Callable[[random.Random], Any]


KINDS = {
    "int": Kind(pa.int64(), [INT64 - 1, INT64 - 2, -INT64, 0, -1, 1], lambda r: r.randint(-INT64, INT64 - 1)),
    "small": Kind(pa.int32(), [0, 1, -1, 7, -7], lambda r: r.randint(-1000, 1000)),
    "float": Kind(
        pa.float64(),
        [float("nan"), 0.0, -0.0, float("inf"), float("-inf"), 5e-324, 1.7976931348623157e308, 0.1],
        lambda r: r.uniform(-1, 1) * 10.0 ** r.randint(-300, 300),
    ),
    # Sums of small multiples of 1/4 are exact in any order of adding.
    "quarter": Kind(pa.float64(), [0.0, -0.0, 0.25, -1.0], lambda r: r.randint(-4000, 4000) / 4),
    "decimal": Kind(
        pa.decimal128(10, 2),
        [Decimal("99999999.99"), Decimal("-99999999.99"), Decimal("0.00"), Decimal("0.01")],
        lambda r: Decimal(r.randint(-(10**6), 10**6)).scaleb(-2),
    ),
    "text": Kind(
        pa.string(),
        [
            "",
            " ",
            "a",
            "A",
            "ab",
            "ä",
            "z",
            "\uffee",
            "😀",
            "a'b",
            'a"b',
            "a\\b",
            "NULL",
            "NaN",
            "%s",
            "{0}",
            "10",
            "9",
        ],
        lambda r: "".join(chr(r.choice([r.randint(1, 0x7F), r.randint(0xA0, 0xD7FF)])) for _ in range(r.randint(1, 6))),
    ),
    "bool": Kind(pa.bool_(), [False, True], lambda r: r.random() < 0.5),
    "date": Kind(
        pa.date32(),
        [date(1970, 1, 1), date(1969, 12, 31), date(2024, 2, 29), date(1582, 10, 15)],
        lambda r: date(1900, 1, 1) + timedelta(days=r.randint(0, 100_000)),
    ),
    # The moments beside the epoch, and hours that summer time skips or repeats in the zone of the test run.
    "timestamp": Kind(
        pa.timestamp("us"),
        [EPOCH, EPOCH - timedelta(microseconds=1), datetime(2024, 9, 29, 3, 0, 0, 1), datetime(2024, 4, 7, 3, 30)],
        lambda r: EPOCH + timedelta(microseconds=r.randint(-(10**15), 10**16)),
    ),
}


def kinds(*allowed: str) -> list[str]:
    """A column of one of these kinds, or of any."""
    return list(allowed or KINDS)


@st.composite
def tables(draw: st.DrawFn, *columns: list[str] | str, max_rows: int = 60, values: int = 6) -> pa.Table:
    """A table with a column for each argument, of that kind or one of those kinds, under names from `NAMES`.

    A column holds `values` different values at most, and null in half of all columns, so that ties, repeated keys and
    repeated rows are the rule. In one column of four a single value takes nine tenths of the rows.
    """
    chance = random.Random(draw(st.integers(0, 2**24 - 1)))  # up to 24 bits hypothesis draws evenly
    rows = draw(st.integers(0, max_rows))
    data = {}
    for name, allowed in zip(chance.sample(NAMES, len(columns)), columns, strict=True):
        kind = KINDS[allowed if isinstance(allowed, str) else chance.choice(allowed)]
        pool = [
            chance.choice([chance.choice(kind.edges), kind.other(chance)]) for _ in range(chance.randint(1, values))
        ]
        pool += [None] * chance.randint(0, 1)
        hot = chance.choice([0.9, 0, 0, 0])
        cells = [pool[-1] if chance.random() < hot else chance.choice(pool) for _ in range(max_rows)]
        data[name] = pa.array(cells[:rows], kind.type)
    return pa.table(data)


def quote(name: str) -> str:
    """A column name as it is written in an expression or an order."""
    return '"' + name.replace('"', '""') + '"'


def orders(columns: list[str]) -> st.SearchStrategy[list[tuple[str, bool]]]:
    """One or two of the columns, each with whether it descends: an order as the oracles take it."""
    terms = st.tuples(st.sampled_from(columns), st.booleans())
    return st.lists(terms, min_size=1, max_size=2, unique_by=lambda term: term[0])


def spelled(order: list[tuple[str, bool]]) -> str:
    """An oracle's order as the patterns take it."""
    return ", ".join(quote(column) + (" desc" if descending else "") for column, descending in order)
