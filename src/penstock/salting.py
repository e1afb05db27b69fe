"""Heavy keys of a join, found in samples of both sides, and the salt that divides their rows among tasks (Spark's SQL).

The salt is another join key. It is 0 for nearly every row; rows of a heavy key get a hash of the row, and the few rows
that they meet on the other side are copied once for each salt. Never `rand()`: a task that is tried again would draw
other numbers, and rows would be lost or doubled (SPARK-23207).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from penstock import sql
from penstock.samples import Counts, width
from penstock.sides import Meeting
from penstock.tables import Table, engine_of

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Heavy", "crowded", "heavy_keys", "reduced", "salted", "spread"]

#: Pieces of heavy keys that one task gets on average. They fall on tasks by a hash, so the most that one of 40 tasks
#: gets is some 9 more than that; with one piece a task on average it would be 4 times as many.
PIECES = 16
#: Rows of a sample that a key must have before it is believed heavy, and how many such keys are looked at.
SEEN = 20
MOST = 1_000

#: The sides whose rows are kept also where they meet nothing.
KEEPS: Mapping[str, tuple[str, ...]] = {
    "inner": (), "left": ("left",), "right": ("right",), "full": ("left", "right"), "semi": (), "anti": ("left",)
}  # fmt: skip


class Heavy(NamedTuple):
    """A key that one task should not have to itself, the side whose rows are divided, and into how many parts."""

    key: dict[str, Any]  # k0, k1, …
    side: str
    salts: int
    share: float  # of the rows of that side


def heavy_keys(
    met: Counts, left: Sequence[str], right: Sequence[str], tasks: int, how: str
) -> tuple[list[Heavy], list[Heavy]]:
    """The keys whose rows would make a task twice as large as the median, and those too dear to divide.

    Args:
        met: The samples of both sides.
        left: The types of its columns that move.
        right: The same.
        tasks: How many tasks share the rows.
        how: A semi or anti join asks only whether the right has a key: its rows of one key count as one.
    """
    found = met.rows(_weighed(met, width(left), width(right), once=how in ("semi", "anti")))
    rest = total = found[0]["total"] if found else 0.0
    divided: list[Heavy] = []
    refused: list[Heavy] = []
    for row in found:
        rest -= row["weight"]
        if row["weight"] * tasks <= rest:  # the median task has rest / tasks
            break
        side, other = ("left", "right") if row["ours"] >= row["theirs"] else ("right", "left")
        share = row["ours"] / met.left.rows if side == "left" else row["theirs"] / met.right.rows
        wanted = max(2, math.ceil(PIECES * row["weight"] * tasks / total))
        # What is copied must cost less than what the crowded task is relieved of.
        salts = min(wanted, int(row[f"{side}_bytes"] / row[f"{other}_bytes"]) if row[f"{other}_bytes"] else wanted)
        key = {name: value for name, value in row.items() if name[0] == "k"}
        (divided if salts > 1 else refused).append(Heavy(key, side, salts, share))
    return divided, refused


def _weighed(met: Counts, left: int, right: int, *, once: bool) -> str:
    """A row a key that may be heavy, heaviest first, in rows and bytes of the tables."""
    ours, theirs = met.left.share, met.right.share
    # A key that a sample of the other side does not show may have a row or two there.
    unseen_left, unseen_right = (0 if share == 1 else 1 for share in (ours, theirs))
    places = ", ".join(f"k{i}" for i in range(met.left.keys.num_columns))
    right_rows, seen = f"theirs / {theirs!r}", "greatest(ours, theirs)"
    if once:
        right_rows, seen = "(theirs > 0)::INTEGER", "ours"
    right_most = "1" if once else f"(theirs + {unseen_right}) / {theirs!r}"
    rows = (
        f"SELECT {places}, ours / {ours!r} AS ours, {right_rows} AS theirs, {seen} AS seen, "
        f"(ours + {unseen_left}) / {ours!r} * {left} AS left_bytes, {right_most} * {right} AS right_bytes FROM counts"
    )
    weighed = f"SELECT *, ours * {left} + theirs * {right} AS weight FROM ({rows})"
    return (
        f"SELECT * FROM (SELECT *, sum(weight) OVER () AS total FROM ({weighed})) WHERE seen >= {SEEN} "
        f"ORDER BY weight DESC, {places} LIMIT {MOST}"
    )


def crowded(met: Counts, tasks: int) -> bool:
    """Whether a key of the right holds more rows than a task would get."""
    [found] = met.rows("SELECT coalesce(max(theirs), 0) AS most, coalesce(sum(theirs), 0) AS rows FROM counts")
    return bool(found["most"] >= SEEN and found["most"] * tasks > found["rows"])


def reduced(meeting: Meeting, side: str) -> Meeting:
    """The same with a side filtered by the keys of the other, which every worker gets: fewer rows move."""
    other = "right" if side == "left" else "left"
    ours, theirs = meeting.keys(side), meeting.keys(other)
    keys = ", ".join(f"{sql.quote(name, 'spark')} AS k{i}" for i, name in enumerate(theirs))
    same = " AND ".join(f"t.{sql.quote(name, 'spark')} = other.k{i}" for i, name in enumerate(ours))
    statement = (
        f"SELECT /*+ BROADCAST(other) */ t.* FROM t LEFT SEMI JOIN (SELECT {keys} FROM key_side) AS other ON {same}"
    )
    tables = {"t": meeting.table(side), "key_side": meeting.table(other)}
    return meeting._replace(**{side: engine_of(meeting.left).query(statement, tables)})


def spread(meeting: Meeting, tasks: int, *, hint: str = "") -> Table:
    """The join by a shuffle. Rows that are kept though a null key meets nothing go to every task, not all to one."""
    if not KEEPS[meeting.how]:  # then Spark drops them before they move
        return meeting.query(hint=hint)
    ours, theirs = (
        meeting.input(side, f"{_salt_of_nulls(meeting, side, tasks)} AS {side[0]}_salt") for side in ("left", "right")
    )
    return meeting.query(ours, theirs, hint=hint, salted=True)


def salted(
    meeting: Meeting, met: Counts, heavy: Sequence[Heavy], tasks: int, *, distinct: bool, hint: str = ""
) -> Table:
    """The join by a shuffle in which rows of heavy keys are divided by a hash of the row.

    With `distinct` the right is made of different keys first, which combine before they move (semi and anti joins).
    """
    sides = {side: _salted_side(meeting, side, tasks, distinct=distinct) for side in ("left", "right")}
    # A copy that meets nothing stands for a row that does: its key was seen on the other side, under another salt.
    lone = {"left": "l.copied AND r.r_salt IS NULL", "right": "r.copied AND l.l_salt IS NULL"}
    where = " AND ".join(
        f"NOT ({lone[side]})" for side in KEEPS[meeting.how] if any(each.side != side for each in heavy)
    )
    keys = engine_of(meeting.left).adopt(_as_arrow(met, heavy))
    return meeting.query(sides["left"], sides["right"], hint=hint, salted=True, where=where, tables={"heavy": keys})


def _as_arrow(met: Counts, heavy: Sequence[Heavy]) -> pa.Table:
    """The heavy keys as a small table k0, k1, …, side, salts; the keys typed as the samples have them."""
    import pyarrow as pa

    schema = met.table("SELECT * EXCLUDE (ours, theirs) FROM counts LIMIT 0").schema
    schema = schema.append(pa.field("side", pa.string())).append(pa.field("salts", pa.int64()))
    return pa.Table.from_pylist([each.key | {"side": each.side, "salts": each.salts} for each in heavy], schema)


def _salted_side(meeting: Meeting, side: str, tasks: int, *, distinct: bool) -> str:
    """A side with its salt, and whether a row is a copy."""
    keys, row = (["t." + place for place in places] for places in (meeting.places(side), meeting.row(side)))
    # The heavy keys as this side meets them: with `salts` to divide its rows by, or once for every `copy` to make.
    places = ", ".join(f"k{i}" for i in range(len(keys)))
    heavy = (
        f"SELECT {places}, salts, CAST(NULL AS BIGINT) AS copy FROM heavy WHERE side = '{side}' UNION ALL "
        f"SELECT {places}, CAST(NULL AS BIGINT), explode(sequence(0L, salts - 1L)) FROM heavy WHERE side <> '{side}'"
    )
    divided = f"pmod(xxhash64({', '.join(row)}), h.salts)"
    otherwise = f"coalesce(h.copy, {_salt_of_nulls(meeting, side, tasks, 't.')})"
    salt = f"CASE WHEN h.salts IS NOT NULL THEN {divided} ELSE {otherwise} END AS {side[0]}_salt"
    same = " AND ".join(f"{key} = h.k{i}" for i, key in enumerate(keys))
    rows = meeting.input(side, distinct=distinct and side == "right")
    return (
        f"SELECT /*+ BROADCAST(h) */ t.*, {salt}, h.copy IS NOT NULL AS copied "
        f"FROM ({rows}) AS t LEFT JOIN ({heavy}) AS h ON {same}"
    )


def _salt_of_nulls(meeting: Meeting, side: str, tasks: int, prefix: str = "") -> str:
    keys, row = ([prefix + place for place in places] for places in (meeting.places(side), meeting.row(side)))
    if side not in KEEPS[meeting.how]:
        # Always 0, which the optimiser must not know: a constant is no key to shuffle by.
        return f"pmod(xxhash64({keys[0]}), 1)"
    absent = " OR ".join(f"{key} IS NULL" for key in keys)
    return f"CASE WHEN {absent} THEN pmod(xxhash64({', '.join(row)}), {PIECES * tasks}) ELSE 0 END"
