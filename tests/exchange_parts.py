"""Values as hypothesis draws them for the exchange: parts of unlike sizes, of every kind, with ties and skew.

Hypothesis draws a seed, from which all follows, as in `tests/strategies.py`.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

WORKERS = [1, 2, 2, 3, 3, 5, 5, 8, 8, 16, 64]

KINDS: dict[str, Callable[[int], Any]] = {
    "int": lambda n: n,
    "negative": lambda n: -n,
    "around 2^63": lambda n: 2**63 + n * (1 if n % 2 else -1),
    "all 64 bits and more": lambda n: [-(2**63), 2**63, 2**64 - 1, -1, 10**30, n][n % 6],
    "float": lambda n: [math.nan, -0.0, 0.0, math.inf, -math.inf, n / 7, -n / 7, 1e300 * n][n % 8],
    "bool": lambda n: n % 3 == 0,
    "text": lambda n: ["", "ä", "z", "\uffee", "😀", "a\0", str(n)][n % 7],
    "bytes": lambda n: bytes(str(n), "ascii") + b"\0" * (n % 3),
}


@st.composite
def parts(draw: st.DrawFn, *kinds: str, max_rows: int = 200) -> list[list[Any]]:
    """One list of values a worker: some empty, some equal to another, some much larger than the rest."""
    chance = random.Random(draw(st.integers(0, 2**24 - 1)))
    make = KINDS[chance.choice(kinds or tuple(KINDS))]
    span, power = chance.choice([3, 20, 1000, 10**6]), chance.choice([1, 1, 8])
    result: list[list[Any]] = []
    for _ in range(chance.choice(WORKERS)):
        rows = chance.choice([0, 1, max_rows // 20, max_rows])
        values = [make(int(span * chance.random() ** power)) for _ in range(rows)]
        nulls = [None] * chance.choice([0, 0, 3])
        result.append(chance.choice([values + nulls, values + nulls, result[-1] if result else values]))
    return result


def key(value: Any) -> tuple[bool, Any]:
    """Where a value stands in the order: NaN last, text by its UTF-8 bytes."""
    if value != value:
        return True, 0
    return False, value.encode() if isinstance(value, str) else value


def there(parts: list[list[Any]]) -> list[Any]:
    """All values in order, without nulls; one NaN and one zero."""
    values = [value for part in parts for value in part if value is not None]
    return sorted(
        [math.nan if value != value else value + 0.0 if isinstance(value, float) else value for value in values],
        key=key,
    )


def counts(parts: list[list[Any]]) -> list[tuple[Any, int]]:
    """Each value and how often it occurs, most frequent first, then least first."""
    return sorted(Counter(there(parts)).items(), key=lambda pair: (-pair[1], key(pair[0])))


def same(one: Any, other: Any) -> bool:
    """Whether two results are equal, where NaN equals NaN, -0.0 is not 0.0 and True is not 1."""
    return repr(one) == repr(other)
