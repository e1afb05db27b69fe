"""`ps.skew`: which keys of a table are heavy, how uneven that makes a shuffle by them, and what to do about it."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from penstock.errors import UsageError
from penstock.figures import Figure, exact
from penstock.samples import width
from penstock.skews import skew_text
from penstock.skews.key_counts import KeyCounts, look
from penstock.skews.murmur3 import places
from penstock.skews.reducers import Spread, heavy_of, over, spread
from penstock.skews.remedies import AQE_BYTES, EVEN, Remedy, remedies
from penstock.tables import By, Table, columns, engine_of, grouped

__all__ = ["HeavyKey", "Skew", "skew"]

FORMAT_VERSION = "1.0"
#: How many heavy keys are told.
TOLD = 100


class HeavyKey(NamedTuple):
    """A key that makes its partition at least twice as large as the median, and where Spark's hash sends it."""

    key: dict[str, Any]
    rows: Figure
    share: Figure
    partition: int | None
    """None where the key is of a type whose hash is not known."""

    def to_json(self) -> dict[str, Any]:
        """As it stands in reports."""
        key = {name: _plain(value) for name, value in self.key.items()}
        return {"key": key, "rows": self.rows.to_json(), "share": self.share.to_json(), "partition": self.partition}


class Skew(NamedTuple):
    """How uneven a shuffle by a key is. It prints as a small table."""

    engine: str
    key: tuple[str, ...]
    partitions: int
    rows: Figure
    distinct: Figure
    """How many keys there are."""
    heavy: tuple[HeavyKey, ...]
    """The heaviest first, at most 100 of them."""
    heavy_keys: int
    """How many there are."""
    spread: Spread
    """Rows of the largest partition, the median and the mean, and how many are empty."""
    row_bytes: Figure
    """Of a row in a shuffle, by the types of its columns."""
    remedies: tuple[Remedy, ...]
    """What to do, the least effort first, each with the partitions that it would leave; none where all is even."""
    notes: tuple[str, ...]

    @property
    def largest(self) -> Figure:
        """Rows of the largest partition."""
        return self.spread.largest

    @property
    def median(self) -> Figure:
        """Rows of the median partition."""
        return self.spread.median

    @property
    def ratio(self) -> Figure:
        """The largest partition over the median; not known where the median is empty."""
        return self.spread.ratio

    @property
    def straggler(self) -> Figure:
        """The largest partition over the mean: how much longer a stage takes than with even partitions."""
        return self.spread.straggler

    def to_json(self) -> dict[str, Any]:
        """As `--json` prints it."""
        figures = {
            "rows": self.rows, "distinct": self.distinct, **self.spread._asdict(), "ratio": self.ratio,
            "straggler": self.straggler, "row_bytes": self.row_bytes,
        }  # fmt: skip
        return {
            "format_version": FORMAT_VERSION,
            "engine": self.engine,
            "key": list(self.key),
            "partitions": self.partitions,
            **{name: each.to_json() for name, each in figures.items()},
            "heavy_keys": self.heavy_keys,
            "heavy": [each.to_json() for each in self.heavy],
            "remedies": [each.to_json() for each in self.remedies],
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        return skew_text.text(self)

    def __repr__(self) -> str:
        return f"Skew(key={self.key!r}, heavy_keys={self.heavy_keys}, ratio={self.ratio.mid!r})"


def skew(t: Table, key: By, partitions: int = 200, *, rows: Literal["all", "sample"] = "all") -> Skew:
    """Which keys are heavy, and how uneven a shuffle by them is.

    This is a look that runs: it reads the key columns, and what the table is built on runs with it.

    Args:
        t: A table of either engine.
        key: What a join or a group is by: a column, several, or `{"day": "date_trunc('day', ts)"}`.
        partitions: How many reducers share the rows; 200 are Spark's default.
        rows: "all" counts heavy keys exactly; "sample" looks at some 150,000 rows, and figures are ranges.

    Returns:
        The heavy keys with their rows, their share and the partition that Spark's own hash sends them to; the largest
        partition against the median and the mean; and what to do about it, each remedy with its predicted effect. A key
        is heavy when its rows make a partition twice as large as the median.

    Raises:
        ColumnError: a key that the table does not have.
        UsageError: no key, or no partition.

    Example:
        >>> visits = ps.adopt([{"user": "anonymous"}] * 60 + [{"user": f"u{i}"} for i in range(40)])
        >>> found = skew(visits, "user", partitions=4)
        >>> found.heavy[0].key, found.heavy[0].share.mid, found.largest.mid, found.median.mid
        ({'user': 'anonymous'}, 0.6, 68, 11.0)
        >>> [remedy.name for remedy in found.remedies]
        ['combine', 'broadcast', 'drop', 'salt']
    """
    if isinstance(partitions, bool) or not isinstance(partitions, int) or partitions < 1:
        raise UsageError(f"partitions={partitions!r} is no number of partitions", "give a positive whole number")
    if rows not in ("all", "sample"):
        raise UsageError(f'rows="{rows}" is unknown', 'give "all" or "sample"')
    if not key:
        raise UsageError("skew was given no key", 'name the columns of a join or a group: skew(t, "user_id")')
    engine, row_bytes = engine_of(t), _row_bytes(t)
    keyed, names = grouped(t, key)
    counts = look(keyed, names, partitions, rows)
    many, found = heavy_of(counts, partitions), spread(counts, partitions)
    uneven = bool(counts.rows.mid) and (many > 0 or (found.ratio.mid or math.inf) > EVEN)
    to_do = tuple(remedies(counts, many, partitions, names, row_bytes.mid or 0)) if uneven else ()
    return Skew(
        engine.name, tuple(names), partitions, counts.rows, counts.distinct,
        _heavy(counts, names, min(many, TOLD), partitions), many, found, row_bytes, to_do,
        tuple(_notes(counts, partitions, found, row_bytes, uneven=uneven)),
    )  # fmt: skip


def _row_bytes(t: Table) -> Figure:
    """What a row takes in a shuffle, where Spark compresses it.

    Measured: 28.8 bytes of 88 for two numbers, two texts and a time; 11.7 of 24 for a number and a time; 9.1 of 24 for
    two numbers.
    """
    most = width(columns(t).values())
    return Figure(most / 3, most / 2, most, "model")


def _heavy(counts: KeyCounts, names: list[str], many: int, partitions: int) -> tuple[HeavyKey, ...]:
    at = places(counts.hashes[:many], partitions).tolist()
    found = []
    for i, key in enumerate(counts.keys.slice(0, many).to_pylist()):
        rows = exact(int(counts.n[i])) if counts.share == 1 else _sampled(float(counts.n[i]), counts.share)
        share = over(rows, exact(counts.rows.mid or 1))
        named = dict(zip(names, key.values(), strict=True))
        found.append(HeavyKey(named, rows, share, at[i] if counts.hashed else None))
    return tuple(found)


def _sampled(rows: float, share: float) -> Figure:
    """What a sampled count tells of the rows, within three standard errors."""
    error = 3 * math.sqrt(rows / share)
    return Figure(round(max(0, rows - error)), round(rows), round(rows + error), "sample")


def _notes(counts: KeyCounts, partitions: int, found: Spread, row_bytes: Figure, *, uneven: bool) -> list[str]:
    notes = []
    if counts.share < 1:
        notes.append(f'from a sample of {counts.share:.2%} of the rows; rows="all" counts them')
    if uneven and (counts.distinct.mid or 0) < partitions:
        notes.append(f"there are fewer keys than partitions: {found.empty.mid:.0f} of {partitions} have no row")
    if uneven and (found.largest.mid or 0) * (row_bytes.mid or 0) <= AQE_BYTES:
        notes.append("Spark's adaptive execution would split nothing: the largest partition has less than 256 MB")
    return notes


def _plain(value: Any) -> Any:
    """A value of a key as JSON has it."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, bytes):
        return value.hex()
    return format(value, "f") if isinstance(value, Decimal) else str(value)
