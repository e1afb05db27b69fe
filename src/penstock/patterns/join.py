"""Rows of two tables that meet on equal keys: small sides broadcast, heavy keys divided, explosions refused."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from typing import Any, Literal

from penstock import sql
from penstock.errors import UsageError
from penstock.made import remembered
from penstock.salting import Heavy, crowded, heavy_keys, reduced, salted, spread
from penstock.samples import Sample, duplicated, expected_rows, forecast, matching, meet, repeats, take
from penstock.sides import Meeting, On, meeting_of, note, pairs_of, same_engine
from penstock.tables import Table, engine_of

__all__ = ["join"]

#: A side of at most this many bytes, by its plan's statistics, is sent whole to every worker, unless Spark's own
#: threshold was set. 2 M users of 15 MB in Parquet: 6.3 s and 0 bytes shuffled against 6.9 s and 246 MB by merging.
BROADCAST = 64 << 20
THRESHOLD, UNSET = "spark.sql.autoBroadcastJoinThreshold", "10485760b"
#: A join forecast to make more rows than this, and more than this many times those of its larger input, is refused.
MANY_ROWS, TIMES = 10_000_000, 20

#: How many partitions a shuffle has before adaptive execution puts small ones together, where that is set apart.
PARTITIONS = "spark.sql.adaptive.coalescePartitions.initialPartitionNum"
#: A side of which a smaller share matches is filtered by the other's keys before it moves, where those are small.
WORTH = 0.5

HOWS = ("inner", "left", "right", "full", "semi", "anti")
STRATEGIES = ("auto", "broadcast", "shuffle", "merge", "skew")
EXPECTED = ("1:1", "1:m", "m:1", "m:m")
#: Which side each kind of join may have at every worker: not one whose unmatched rows are kept.
MAY_BROADCAST: Mapping[str, tuple[str, ...]] = {
    "inner": ("right", "left"), "left": ("right",), "right": ("left",), "full": (), "semi": ("right",),
    "anti": ("right",),
}  # fmt: skip
#: The sides whose unmatched rows each kind of join drops, each with the other side: those may be filtered beforehand.
MAY_REDUCE: Mapping[str, tuple[tuple[str, str], ...]] = {
    "inner": (("left", "right"), ("right", "left")), "left": (("right", "left"),), "right": (("left", "right"),),
    "full": (), "semi": (("right", "left"),), "anti": (("right", "left"),),
}  # fmt: skip


@remembered
def join(
    left: Table, right: Table, on: On,
    how: Literal["inner", "left", "right", "full", "semi", "anti"] = "inner",
    strategy: Literal["auto", "broadcast", "shuffle", "merge", "skew"] = "auto",
    expect: Literal["1:1", "1:m", "m:1", "m:m"] | None = None,
    suffix: str = "_right",
) -> Table:  # fmt: skip
    """Rows of two tables that have equal keys.

    For the latest row before a time take `asof_join`; for a value between two others, `range_join`.

    Args:
        left: A table of either engine.
        right: Another of the same engine.
        on: The columns that must be equal: one, several, or `{"user_id": "id"}`, the left's names with the right's.
        how: "inner"; "left", "right" and "full" keep the rows of those sides that meet nothing; "semi" keeps the rows
            of the left that meet something, "anti" the others.
        strategy: How Spark brings the rows together: "broadcast" a side, "shuffle" both, "merge" sides that lie
            bucketed alike without moving them, "skew" divides heavy keys; "auto" chooses. DuckDB has one way: a hash
            join.
        expect: How many rows of a side a key may have: "m:1" is many of the left and one of the right. Checked before
            the join; "m:m" allows a join that is forecast to explode.
        suffix: Put behind the names of the right's columns that the left has too.

    Returns:
        The left's columns, then the right's without its keys; "semi" and "anti" the left's alone. A row a pair that
        meets. The keys stand under the left's names, filled from the right where the left has no row.

    Cost:
        Spark: a side of at most 64 MB by its plan's statistics goes to every worker whole (broadcast) and no row of the
        other moves; sides that are bucketed alike do not move; else 1 exchange of each side. "auto" then samples the
        keys of sides that are plain scans (a small job, run now): heavy keys are divided, so that no task need hold all
        rows of one, and a side of which less than half matches is filtered by the other's keys before it moves.
        DuckDB: a hash table of the smaller side, spills.

    Ties and nulls:
        A null key meets nothing, nor does a key of several columns with a null among them; such rows are kept by
        "left", "right", "full" and "anti", and are spread over all tasks. NaN meets NaN, -0.0 meets 0.0.

    Raises:
        ColumnError: a key that a side does not have.
        UsageError: keys of unlike types; an unknown option; keys that are not as `expect` says; a join that is forecast
            to make over 10 M rows and over 20 times those of its larger input.

    Example:
        >>> visits = ps.adopt([{"id": 1, "page": "/a"}, {"id": 2, "page": "/b"}])
        >>> users = ps.adopt([{"user": 1, "name": "ann"}, {"user": 3, "name": "bob"}])
        >>> sorted(join(visits, users, on={"id": "user"}, how="left").fetchall())
        [(1, '/a', 'ann'), (2, '/b', None)]
    """
    for option, value, known in [("how", how, HOWS), ("strategy", strategy, STRATEGIES), ("expect", expect, EXPECTED)]:
        if value not in known and not (option == "expect" and value is None):
            raise UsageError(f'{option}="{value}" is unknown', f"one of: {', '.join(known)}")
    same_engine(left, right)
    pairs = pairs_of(left, right, on)
    meeting = meeting_of(left, right, pairs, how, suffix)
    if not MAY_BROADCAST[how] and strategy == "broadcast":
        raise UsageError(f"a {how} join keeps what either side has alone, so none can be broadcast", 'strategy="auto"')
    _hold_to(expect, meeting)
    sample = functools.cache(lambda side: take(meeting.table(side), meeting.keys(side)))
    narrow = functools.cache(lambda: all(engine_of(t).is_narrow(t) for t in (left, right)))
    if expect is None and how not in ("semi", "anti") and narrow():
        _refuse_explosion(meeting, sample)
    if engine_of(left).name == "duckdb":
        ignored = "" if strategy == "auto" else f', strategy="{strategy}" is for Spark'
        return note(meeting.query(), f"join: one hash join{ignored}")
    return _on_spark(meeting, strategy, sample, narrow)


def _hold_to(expect: str | None, meeting: Meeting) -> None:
    """Refuse keys that occur more often than was expected; of a sample that is not known."""
    if engine_of(meeting.table("left")).shows_samples:
        return
    for side, times in zip(("left", "right"), (expect or "m:m").split(":"), strict=True):
        if times == "1" and (found := duplicated(meeting.table(side), meeting.keys(side), 5)):
            told = "; ".join(f"{_told(meeting, row)} in {row['n']:,} rows" for row in found)
            raise UsageError(
                f'expect="{expect}", and keys of the {side} occur more than once: {told}',
                f'keep one row of each, ps.dedup({side}, …), or expect="m:m"',
            )


def _told(meeting: Meeting, row: Mapping[str, Any]) -> str:
    """A key in words."""
    return ", ".join(f'"{pair.left}" = {row[f"k{i}"]!r}' for i, pair in enumerate(meeting.pairs))


def _refuse_explosion(meeting: Meeting, sample: Callable[[str], Sample]) -> None:
    """Refuse a join that samples of both sides forecast to make far more rows than it is given.

    The smaller side is looked at first. Where no key of its sample occurs twice it has hardly more than a row a key, so
    the result is hardly larger than the other side, which is then not read.
    """
    rows = {side: expected_rows(meeting.table(side)) for side in ("left", "right")}
    if rows["left"] * rows["right"] <= MANY_ROWS:
        return
    if not repeats(meeting.left, sample(min(rows, key=lambda side: rows[side]))):
        return
    ours, theirs = sample("left"), sample("right")
    found = forecast(meet(meeting.left, ours, theirs))
    if found.least > max(MANY_ROWS, TIMES * max(ours.rows, theirs.rows)):
        keys = "; ".join(
            f"{_told(meeting, row)} (about {row['ours']:,.0f} x {row['theirs']:,.0f} rows)" for row in found.largest
        )
        raise UsageError(
            f"this join would make about {found.rows:,.0f} rows of {ours.rows:,.0f} and {theirs.rows:,.0f}; "
            f"the keys that make the most: {keys}",
            'keep one row a key of one side (ps.dedup), join on more columns, or allow it with expect="m:m"',
        )


def _on_spark(meeting: Meeting, strategy: str, sample: Callable[[str], Sample], narrow: Callable[[], bool]) -> Table:
    """Broadcast, else merge where nothing has to move, else divide heavy keys, else shuffle."""
    engine = engine_of(meeting.left)
    if strategy in ("auto", "broadcast"):
        side, why = _small_side(meeting, forced=strategy == "broadcast")
        if side:
            return note(meeting.query(hint=f"BROADCAST({side[0]})"), f"join: broadcast the {side} side, {why}")
    # A hint keeps Spark from choosing another way; without one it may still broadcast a side that turns out small.
    hint = "" if strategy == "auto" else "MERGE(l)"
    if strategy in ("auto", "merge"):
        merged = meeting.query(hint=hint)
        if engine.is_narrow(merged):
            return note(merged, "join: merge, both sides are bucketed alike and no row moves")
    tasks = int(engine.setting(PARTITIONS) or engine.setting("spark.sql.shuffle.partitions") or 200)
    if why := _unseen(meeting, strategy, narrow):
        return note(spread(meeting, tasks, hint=hint), f"join: shuffle of both sides, {why}")
    met = meet(meeting.left, sample("left"), sample("right"))
    told = ["join: shuffle of both sides"]
    for side, other in MAY_REDUCE[meeting.how] if strategy == "auto" else ():
        matched = matching(met, side)
        size = _bytes(meeting, other, keys=True)
        if matched < WORTH and size is not None and size <= _limit(meeting):
            meeting = reduced(meeting, side)
            told.append(f"the {side} first reduced to the keys of the {other}: {matched:.0%} match, {_megabytes(size)}")
            break
    distinct = meeting.how in ("semi", "anti") and crowded(met, tasks)
    heavy, dear = heavy_keys(met, meeting.kinds("left"), meeting.kinds("right"), tasks, meeting.how)
    told += [_divided(each, meeting) for each in heavy[:3]] + ["…"] * (len(heavy) > 3)
    told += ["the right is made of different keys first"] * distinct
    told += [f"heavy keys whose copies would cost more than they save: {len(dear)}"] * bool(dear)
    if not heavy and not distinct:
        told += ["no key is heavy"] * (not dear)
        return note(spread(meeting, tasks, hint=hint), "; ".join(told))
    return note(salted(meeting, met, heavy, tasks, distinct=distinct, hint=hint), "; ".join(told))


def _unseen(meeting: Meeting, strategy: str, narrow: Callable[[], bool]) -> str:
    """Why the keys are not to be looked at, or nothing."""
    if strategy != "auto":
        return "" if strategy == "skew" else "as asked"
    limit = _limit(meeting)
    sizes = (_bytes(meeting, side) for side in ("left", "right"))
    if all(size is not None and size <= limit for size in sizes):
        return f"each at most {_megabytes(limit)}"
    return "" if narrow() else "whose keys are not sampled: that would run what they are made of twice"


def _bytes(meeting: Meeting, side: str, *, keys: bool = False) -> int | None:
    """How large a side or its keys are by its plan's statistics; without running it."""
    engine, table = engine_of(meeting.left), meeting.table(side)
    if keys:
        table = engine.query(f"SELECT {sql.quoted(meeting.keys(side), engine.name)} FROM t", {"t": table})
    return engine.size(table).bytes


def _small_side(meeting: Meeting, *, forced: bool) -> tuple[str, str]:
    """The side to broadcast, or "", and why it."""
    only_keys = meeting.how in ("semi", "anti")
    sizes = {side: _bytes(meeting, side, keys=only_keys) for side in MAY_BROADCAST[meeting.how]}
    known = {side: size for side, size in sizes.items() if size is not None}
    limit = _limit(meeting)
    if forced and not known:
        return next(iter(sizes)), "as asked; its size is unknown"
    side = min(known, key=lambda side: known[side], default="")
    if forced:
        return side, f"as asked; {_megabytes(known[side])} by its plan's statistics"
    if side and known[side] <= limit:
        return side, f"{_megabytes(known[side])} by its plan's statistics, at most {_megabytes(limit)}"
    return "", ""


def _divided(heavy: Heavy, meeting: Meeting) -> str:
    key = _told(meeting, heavy.key)
    return f"{key} holds {heavy.share:.0%} of the {heavy.side} and is divided by {heavy.salts}"


def _limit(meeting: Meeting) -> int:
    """What a side may have to be broadcast: Spark's own threshold where it was set, which is negative for never."""
    setting = engine_of(meeting.left).setting(THRESHOLD) or UNSET
    size = re.fullmatch(r"(-?\d+)\s*([kmgt]?)b?", setting.strip().lower())
    if size is None or setting == UNSET:
        return BROADCAST
    number, unit = size.groups()
    return int(number) << {"": 0, "k": 10, "m": 20, "g": 30, "t": 40}[unit]


def _megabytes(size: int) -> str:
    return f"{size / (1 << 20):,.1f} MB"
