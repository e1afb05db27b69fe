"""What there is to do about uneven partitions, and how even each remedy would make them."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from penstock import sql
from penstock.errors import UsageError
from penstock.skews.key_counts import KeyCounts
from penstock.skews.murmur3 import places, salted
from penstock.skews.reducers import Spread, guessed, loads

__all__ = ["AQE_BYTES", "Remedy", "remedies"]

#: Spark's defaults: what adaptive execution takes for skewed in a join, what it aims at, and what a map task reads.
AQE_TIMES, AQE_BYTES, AQE_TARGET, MAP_BYTES = 5, 256 << 20, 64 << 20, 128 << 20
#: How many times the median is even enough, and how many pieces of salted keys are looked at.
EVEN, PIECES = 2, 4_000_000
#: Keys are worth leaving out where the largest partition has at most this share of its rows after.
WORTH = 0.9

#: What often stands where there is no value. It is named when it is heavy; whether it is none, only the user knows.
TEXTS = frozenset(
    ["", "-", "--", "?", "0", "-1", "(none)", "(not set)", "anon", "anonymous", "empty", "guest", "missing", "n/a",
     "na", "nan", "nil", "none", "not set", "null", "undefined", "unknown", "00000000-0000-0000-0000-000000000000"]
)  # fmt: skip
NUMBERS = frozenset([0, -1, -99, -999, -9999])
DATES = frozenset(["0001-01-01", "1900-01-01", "1970-01-01", "9999-12-31"])


class Remedy(NamedTuple):
    """Something to do, and the partitions that it would leave."""

    name: str
    """combine, broadcast, drop, aqe, salt or partitions."""
    what: str
    after: Spread

    def to_json(self) -> dict[str, Any]:
        """As it stands in reports."""
        after = {"largest": self.after.largest, "median": self.after.median, "ratio": self.after.ratio}
        return {"name": self.name, "what": self.what} | {name: each.to_json() for name, each in after.items()}


def remedies(
    counts: KeyCounts, heavy: int, partitions: int, names: Sequence[str], row_bytes: float
) -> Iterator[Remedy]:
    """Those that apply, the least effort first.

    Args:
        counts: The rows of keys.
        heavy: How many of them are heavy.
        partitions: How many reducers there are.
        names: Those of k0, k1, …
        row_bytes: Of a row, about.
    """
    alone = loads(counts, partitions)
    yield _combined(counts, partitions, row_bytes)
    yield Remedy(
        "broadcast",
        "join: broadcast the other side, where it is small; no row of this one moves",
        guessed(np.full(partitions, (alone.sum() + counts.others.sum()) / partitions)),
    )
    if dropped := _dropped(counts, heavy, partitions, names):
        yield dropped
    if split := _split_by_aqe(alone + counts.others, row_bytes):
        yield split
    if heavy:
        yield _salted(counts, heavy, partitions)
    elif fewer := _fewer(counts, partitions):
        yield fewer


def _combined(counts: KeyCounts, partitions: int, row_bytes: float) -> Remedy:
    """An aggregate moves one row a key and map partition."""
    total = counts.n.sum() + counts.others.sum()
    maps = max(1, math.ceil(total * row_bytes / MAP_BYTES))

    def left(n: Any) -> Any:
        return maps * (1 - (1 - 1 / maps) ** n)

    unseen = max(0.0, (counts.distinct.mid or 0) - len(counts.n))
    of_others = left(counts.others.sum() / unseen) * unseen / max(1.0, counts.others.sum()) if unseen else 0.0
    rows = loads(counts._replace(n=left(counts.n)), partitions) + counts.others * of_others
    return Remedy("combine", "aggregate: nothing to do, one row a key and map partition moves", guessed(rows))


def _dropped(counts: KeyCounts, heavy: int, partitions: int, names: Sequence[str]) -> Remedy | None:
    """Heavy keys that are null, or look like what stands for no value; where it helps to be without them."""
    none = {
        (place, repr(value)): value
        for key in counts.keys.slice(0, heavy).to_pylist()
        for place, value in key.items()
        if _stands_for_none(value)
    }
    kept = [not none.keys() & {(place, repr(value)) for place, value in key.items()} for key in counts.keys.to_pylist()]
    after = _after(counts._replace(n=counts.n * np.array(kept, bool)), partitions)
    if not none or (after.largest.mid or 0) > WORTH * (loads(counts, partitions) + counts.others).max():
        return None
    shown = {f"k{i}": _spelled(name) for i, name in enumerate(names)}
    tests = " AND ".join(_differs(shown[place], value) for (place, _), value in none.items())
    quoted = f'"{tests}"' if '"' not in tests else repr(tests)
    return Remedy("drop", f"leave out, or treat apart, what is no value: ps.where(t, {quoted})", after)


def _spelled(name: str) -> str:
    """A name as SQL, in quotes only where it needs them."""
    try:
        bare = name.isascii() and name.isidentifier() and sql.plain_column(name) == name
    except UsageError:  # a keyword
        bare = False
    return name if bare else sql.quote(name)


def _after(counts: KeyCounts, partitions: int) -> Spread:
    return guessed(loads(counts, partitions) + counts.others)


def _stands_for_none(value: Any) -> bool:
    if value is None:
        return True
    if isinstance(value, bool):
        return False
    if isinstance(value, str):
        return value.strip().casefold() in TEXTS
    if isinstance(value, (datetime.date, datetime.datetime)):
        return value.isoformat().removesuffix("T00:00:00") in DATES
    return isinstance(value, (int, float)) and (value in NUMBERS or value != value)


def _differs(column: str, value: Any) -> str:
    if value is None:
        return f"{column} IS NOT NULL"
    kind = {datetime.date: "DATE ", datetime.datetime: "TIMESTAMP "}.get(type(value), "")
    if isinstance(value, float) and value != value:
        return f"NOT isnan({column})"
    return f"{column} IS DISTINCT FROM {kind}{sql.literal(str(value)) if kind or isinstance(value, str) else value}"


def _split_by_aqe(rows: NDArray[np.float64], row_bytes: float) -> Remedy | None:
    """Adaptive execution splits partitions of a join that are large, and large beside the median."""
    skewed = rows * row_bytes > max(AQE_TIMES * float(np.median(rows)) * row_bytes, AQE_BYTES)
    if not skewed.any():
        return None
    usual = rows[~skewed].mean() * row_bytes if not skewed.all() else 0
    pieces = np.where(skewed, np.ceil(rows * row_bytes / max(AQE_TARGET, usual)), 1).astype(int)
    what = "join: Spark's adaptive execution splits partitions that are so large, unless it is off"
    return Remedy("aqe", what, guessed(np.repeat(rows / pieces, pieces)))


def _salted(counts: KeyCounts, heavy: int, partitions: int) -> Remedy:
    """The heavy keys divided by R, the least power of two that brings the largest partition within twice the median."""
    zero = counts._replace(hashes=salted(counts.hashes, 1)[:, 0])  # the others have a salt too
    light = loads(zero, partitions, without=heavy) + counts.others
    best: tuple[float, int, Spread] | None = None
    for salts in (2**power for power in range(1, 31)):
        if best and (salts * heavy > PIECES or salts > counts.n[0]):
            break
        at = places(salted(counts.hashes[:heavy], salts).ravel(), partitions)
        after = guessed(light + np.bincount(at, np.repeat(counts.n[:heavy] / salts, salts), partitions))
        ratio = after.ratio.mid or math.inf
        if best is None or ratio < best[0]:
            best = (ratio, salts, after)
        if ratio <= EVEN:
            break
    _, salts, after = best or (0, 2, guessed(light))
    return Remedy("salt", f'join: salt the heavy keys with R = {salts}; ps.join(…, strategy="skew") does it', after)


def _fewer(counts: KeyCounts, partitions: int) -> Remedy | None:
    """Keys that are few, and none of them heavy, lie more evenly in fewer partitions."""
    if counts.others.any():
        return None
    for fewer in (partitions >> shift for shift in range(1, partitions.bit_length() - 2)):
        after = _after(counts._replace(others=np.zeros(fewer)), fewer)
        if (after.ratio.mid or math.inf) <= EVEN and counts.n[0] * fewer <= counts.n.sum():
            return Remedy("partitions", f"the keys are few: {fewer} partitions have about as many rows each", after)
    return None
