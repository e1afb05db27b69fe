"""What every pattern must return, worked out slowly and plainly on lists of dicts.

Nothing here is shared with the package: an oracle that borrowed its rules could only agree with its mistakes. One
function a pattern, of the pattern's name. A sort order is a list of `(column, descending)`; a group key is a column
name; `where` and `derive` take Python functions of the row; an aggregate is a pair `(function, column)`.
"""

from __future__ import annotations

import functools
import math
import operator
import statistics
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import Any

Row = dict[str, Any]
Order = Sequence[tuple[str, bool]]


def where(rows: list[Row], predicate: Callable[[Row], bool | None]) -> list[Row]:
    """The rows for which the predicate is true; unknown (None) is not true."""
    return [row for row in rows if predicate(row) is True]


def derive(rows: list[Row], **columns: Callable[[Row], Any]) -> list[Row]:
    """All columns and the new ones, each computed from the row as it came; an old name keeps its place."""
    return [row | {name: compute(row) for name, compute in columns.items()} for row in rows]


def aggregate(rows: list[Row], by: Sequence[str], **aggregates: tuple[str, str | None]) -> list[Row]:
    """One row a group; without keys the whole table is one group, even when it is empty."""
    return [
        key | {name: AGGREGATES[function](_values(group, column)) for name, (function, column) in aggregates.items()}
        for key, group in _groups(rows, by)
    ]


def top(rows: list[Row], by: Sequence[str], n: int = 10, weight: str | None = None) -> list[Row]:
    """The n keys with most rows (or most weight): count descending, then key ascending; a null key is a key."""
    measure = {"n": ("count", None)} if weight is None else {"weight": ("sum", weight)}
    order = [*((name, True) for name in measure), *((column, False) for column in by)]
    return sort(aggregate(rows, by, **measure), order)[:n]


def top_n(rows: list[Row], by: Sequence[str], order: Order, n: int = 1, ties: str = "break") -> list[Row]:
    """The n first rows of each group; `ties="all"` keeps also those that equal the n-th in `order`."""
    kept = []
    for _, group in _groups(rows, by):
        ordered = sort(group, order)
        kept += ordered[:n]
        if ties == "all":
            kept += [row for row in ordered[n:] if _at(row, order) == _at(ordered[n - 1], order)]
    return kept


def mode(rows: list[Row], column: str, by: Sequence[str] = (), ties: str = "least") -> list[Row]:
    """The commonest value of each group with its count; nulls are skipped, all nulls give null and 0."""
    result = []
    for key, group in _groups(rows, by):
        values = [row for row in group if row[column] is not None]
        counted = top([{"value": row[column]} for row in values], ["value"], n=len(values))
        best = [row for row in counted if row["n"] == counted[0]["n"]] or [{"value": None, "n": 0}]
        result += [key | row for row in (best if ties == "all" else best[:1])]
    return result


def distinct(rows: list[Row], *columns: str) -> list[Row]:
    """The different rows over these columns, or over all of them; a null is a value like another."""
    return [key for key, _ in _groups(rows, columns or tuple(rows[0]))] if rows else []


def count_distinct(rows: list[Row], *columns: str, by: Sequence[str] = ()) -> list[Row]:
    """How many different combinations each group has; a row with a null among them is not counted."""
    return [
        key | {"n": len({_at(row, [(name, False) for name in columns]) for row in group if _complete(row, columns)})}
        for key, group in _groups(rows, by)
    ]


def sessionize(
    rows: list[Row], by: Sequence[str], at: str, gap: timedelta, max_length: timedelta | None = None
) -> list[Row]:
    """All rows with their session of the key and its start; what has no time has no session."""
    result = []
    for _, group in _groups(rows, by):
        number, start, before = 0, None, None
        for row in sort([row for row in group if row[at] is not None], [(at, False)]):
            paused = before is None or row[at] - before > gap
            if paused or (max_length is not None and row[at] - start > max_length):
                number, start = number + 1, row[at]
            before = row[at]
            result.append(row | {"session": number, "session_start": start})
        result += [row | {"session": None, "session_start": None} for row in group if row[at] is None]
    return result


def sessions(
    rows: list[Row], by: Sequence[str], at: str, gap: timedelta, max_length: timedelta | None = None,
    **aggregates: tuple[str, str | None],
) -> list[Row]:  # fmt: skip
    """One row a session, and one for the rows of a key that have no time."""
    bounds = {"started_at": ("min", at), "ended_at": ("max", at), "events": ("count", None)}
    marked = sessionize(rows, by, at, gap, max_length)
    return aggregate(marked, [*by, "session"], **bounds, **aggregates)


def dedup(
    rows: list[Row], by: Sequence[str], at: str | None = None, keep: str = "first", within: timedelta | None = None
) -> list[Row]:
    """The first or the last row of each key, or all that come later than `within` after the one kept before."""
    kept = []
    for _, group in _groups(rows, by):
        ordered = sort(group, [(at, keep == "last")] if at else [])
        if within is None:
            kept += ordered[:1]
            continue
        last = None
        for row in ordered:
            if row[at] is None:
                kept.append(row)
            elif last is None or row[at] - last > within:
                last = row[at]
                kept.append(row)
    return kept


def join(
    left: list[Row], right: list[Row], on: dict[str, str], columns: tuple[Sequence[str], Sequence[str]],
    how: str = "inner", suffix: str = "_right",
) -> list[Row]:  # fmt: skip
    """Every pair of rows with equal keys; a null among the keys meets nothing. `columns` are those of each side."""

    def pair(ours: Row | None, theirs: Row | None) -> Row:
        found = {name: ours[name] if ours else theirs[on[name]] if theirs and name in on else None for name in first}
        return found | {called[name]: theirs[name] if theirs else None for name in called}

    first, second = columns
    named = list(on.values())
    partners: dict[Any, list[int]] = {}
    for number, theirs in enumerate(right):
        partners.setdefault(_at(theirs, [(key, False) for key in named]), []).append(number)
    met = [partners.get(_at(ours, [(key, False) for key in on]), []) if _complete(ours, on) else [] for ours in left]
    called = {name: name + suffix if name in first else name for name in second if name not in named}
    if how in ("semi", "anti"):
        return [ours for ours, numbers in zip(left, met, strict=True) if bool(numbers) == (how == "semi")]
    pairs = [pair(ours, right[number]) for ours, numbers in zip(left, met, strict=True) for number in numbers]
    if how in ("left", "full"):
        pairs += [pair(ours, None) for ours, numbers in zip(left, met, strict=True) if not numbers]
    if how in ("right", "full"):
        found = {number for numbers in met for number in numbers}
        pairs += [pair(None, theirs) for number, theirs in enumerate(right) if number not in found]
    return pairs


def asof_join(
    left: list[Row],
    right: list[Row],
    on: Sequence[tuple[str, str]],
    at: tuple[str, str],
    tolerance: Any,
    names: list[str],
) -> list[Row]:
    """Every left row with the latest right row of its keys that is not after it; `names` are the right's columns."""
    mine, theirs = at
    carried = [name for name in names if name not in [key for _, key in on]]
    found = []
    for row in left:
        best = None
        for other in sort(right, [(theirs, True)]):
            if (
                all(row[a] is not None and place(row[a]) == place(other[b]) for a, b in on)
                and row[mine] is not None
                and other[theirs] is not None
                and place(other[theirs]) <= place(row[mine])
            ):
                best = other
                break
        if best and tolerance is not None and place(best[theirs]) < place(row[mine] - tolerance):
            best = None
        found.append(_beside(row, best, carried))
    return found


def range_join(
    left: list[Row], right: list[Row], value: str, low: str, high: str, how: str, names: list[str]
) -> list[Row]:
    """Every left row with every right row whose bounds hold its value; nulls match nothing."""
    found = []
    for row in left:
        held = [
            other
            for other in right
            if None not in (row[value], other[low], other[high])
            and place(other[low]) <= place(row[value]) <= place(other[high])
        ]
        found += [_beside(row, other, names) for other in held or ([None] if how == "left" else [])]
    return found


def _beside(row: Row, other: Row | None, names: list[str]) -> Row:
    """A row with columns of another one, suffixed where it has them itself; null where there is no other."""
    return row | {f"{name}_right" if name in row else name: other[name] if other else None for name in names}


def sort(rows: list[Row], order: Order) -> list[Row]:
    """The rows in order, nulls last both ways; equals stand by their remaining columns, ascending, in table order."""
    ordered = list(rows)
    named = [column for column, _ in order]
    remaining = [(column, False) for column in (rows[0] if rows else ()) if column not in named]
    for column, descending in reversed([*order, *remaining]):
        if descending:
            ordered.sort(key=lambda row: (row[column] is not None, place(row[column])), reverse=True)
        else:
            ordered.sort(key=lambda row: place(row[column]))
    return ordered


def place(value: Any) -> tuple[int, Any]:
    """Where a value stands in ascending order: numbers, then NaN, then null; equal places are one key.

    Text stands by its UTF-8 bytes; Python already holds -0.0 and 0.0 for one number with one hash.
    """
    if value is None:
        return 2, 0
    if isinstance(value, float) and math.isnan(value):
        return 1, 0
    return 0, value.encode() if isinstance(value, str) else value


def _groups(rows: list[Row], by: Sequence[str]) -> list[tuple[Row, list[Row]]]:
    groups: dict[tuple[Any, ...], list[Row]] = {} if by else {(): []}
    for row in rows:
        groups.setdefault(_at(row, [(column, False) for column in by]), []).append(row)
    return [({column: group[0][column] for column in by}, group) for group in groups.values()]


def _at(row: Row, order: Order) -> tuple[Any, ...]:
    return tuple(place(row[column]) for column, _ in order)


def _complete(row: Row, columns: Iterable[str]) -> bool:
    return all(row[column] is not None for column in columns)


def _values(rows: list[Row], column: str | None) -> list[Any]:
    return [1] * len(rows) if column is None else [row[column] for row in rows if row[column] is not None]


def _spread(function: Callable[[list[float]], float], least: int) -> Callable[[list[Any]], float | None]:
    return lambda values: function([float(value) for value in values]) if len(values) >= least else None


def _median(ordered: list[float]) -> float | None:
    middle = ordered[(len(ordered) - 1) // 2 : len(ordered) // 2 + 1]
    return sum(middle) / len(middle) if middle else None


# A function of the values of a group that are not null; `count` without a column is given a 1 for every row.
AGGREGATES: dict[str, Callable[[list[Any]], Any]] = {
    "count": len,
    "count_distinct": lambda values: len({place(value) for value in values}),
    "sum": lambda values: sum(values) if values else None,
    "min": lambda values: min(values, key=place, default=None),
    "max": lambda values: max(values, key=place, default=None),
    "avg": lambda values: float(sum(values)) / len(values) if values else None,
    "stddev": _spread(statistics.stdev, least=2),
    "stddev_pop": _spread(statistics.pstdev, least=1),
    "var_samp": _spread(statistics.variance, least=2),
    "var_pop": _spread(statistics.pvariance, least=1),
    "bool_and": lambda values: all(values) if values else None,
    "bool_or": lambda values: any(values) if values else None,
    "count_if": lambda values: sum(map(bool, values)),
    "list": lambda values: sorted(values, key=place),
    "list_desc": lambda values: sorted(values, key=place, reverse=True),
    "quantile_disc": lambda values: (
        sorted(values, key=place)[max(0, math.ceil(0.75 * len(values)) - 1)] if values else None
    ),
    "bit_and": lambda values: functools.reduce(operator.and_, values) if values else None,
    "bit_or": lambda values: functools.reduce(operator.or_, values) if values else None,
    "median": lambda values: _median(sorted(map(float, values), key=place)),
}
