"""Comparing tables in tests, yours and ours: as multisets of rows, whatever engine holds them."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Hashable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from itertools import zip_longest
from typing import Any

from penstock.tables import adopt, engine_of

__all__ = ["assert_tables_equal", "rows"]

SHOWN = 10
_NAN = object()
_MISSING: tuple[Any, ...] = ()

Cells = tuple[Any, ...]


def rows(table: Any) -> list[dict[str, Any]]:
    """Fetch a table as Python values, one dict a row.

    >>> rows([{"user_id": 1}, {"user_id": 2}])
    [{'user_id': 1}, {'user_id': 2}]
    """
    names, found = _read(table)
    return [dict(zip(names, cells, strict=True)) for cells in found]


def assert_tables_equal(left: Any, right: Any, *, ordered: bool = False, rel: float = 1e-9) -> None:
    """Fail, showing the rows that differ, unless both tables hold the same rows under the same column names.

    Values count as they do everywhere in Penstock: NaN equals NaN, -0.0 equals 0.0, a timestamp with a zone equals the
    naive one at the same moment of UTC. Numbers are compared as numbers, whatever their type.

    Args:
        left: a table of either engine, or anything that `ps.adopt` takes: Arrow, pandas, Polars, a list of dicts. An
            empty list has no column names, so it equals every table without rows.
        right: the same.
        ordered: compare the rows in the order in which they come, too.
        rel: how far two floats may be apart, relative to the larger; integers, decimals and the rest must be equal.

    Raises:
        AssertionError: with the differing rows of each side, ten at most.

    >>> assert_tables_equal([{"x": 1}, {"x": None}], [{"x": None}, {"x": 1.0}])
    >>> assert_tables_equal([{"x": 1}, {"x": 2}], [{"x": 2}, {"x": 2}])
    Traceback (most recent call last):
    AssertionError: the tables differ: 1 row only in left, 1 row only in right (of 2 and 2)
      left:  {'x': 1}
      right: {'x': 2}
    """
    left_names, left_rows = _read(left)
    right_names, right_rows = _read(right)
    if left_names != right_names and left_names and right_names:
        raise AssertionError(f"the columns differ:\n  left:  {left_names}\n  right: {right_names}")

    differ = _differ_in_place if ordered else _differ
    only_left, only_right = differ(left_rows, right_rows, rel)
    if only_left or only_right:
        sides = (("left", left_names, only_left), ("right", right_names, only_right))
        counts = ", ".join(f"{len(only)} row{'s'[: len(only) != 1]} only in {side}" for side, _, only in sides)
        shown = [f"  {side + ':':6} {line}" for side, names, only in sides for line in _shown(names, only)]
        total = f"(of {len(left_rows)} and {len(right_rows)})"
        raise AssertionError("\n".join([f"the tables differ: {counts} {total}", *shown]))


def _read(table: Any) -> tuple[list[str], list[Cells]]:
    """Fetch column names and rows; a list of dicts is taken as it is, so that an expected result needs no engine."""
    if isinstance(table, list):
        names = list(dict.fromkeys(name for row in table for name in row))
        return names, [tuple(row.get(name) for name in names) for row in table]
    adopted = adopt(table)
    reader = engine_of(adopted).batches(adopted)
    found = [cells for batch in reader for cells in zip(*(column.to_pylist() for column in batch.columns), strict=True)]
    return reader.schema.names, found


def _shown(names: list[str], only: list[Cells]) -> Iterator[str]:
    for cells in only[:SHOWN]:
        yield str(dict(zip(names, cells, strict=True))) if cells is not _MISSING else "(no row)"
    if len(only) > SHOWN:
        yield f"... and {len(only) - SHOWN} more"


def _differ_in_place(left: list[Cells], right: list[Cells], rel: float) -> tuple[list[Cells], list[Cells]]:
    """Pair the rows by position."""
    pairs = list(zip_longest(left, right, fillvalue=_MISSING))
    unlike = [
        (one, other) for one, other in pairs if _canonical(one) != _canonical(other) and not _close(one, other, rel)
    ]
    return [one for one, _ in unlike], [other for _, other in unlike]


def _differ(left: list[Cells], right: list[Cells], rel: float) -> tuple[list[Cells], list[Cells]]:
    """Pair the rows in any order: first those that are equal, then of the rest those that are close."""
    waiting: defaultdict[Hashable, list[Cells]] = defaultdict(list)
    for cells in right:
        waiting[_canonical(cells)].append(cells)
    only_left = []
    for cells in left:
        equals = waiting.get(_canonical(cells))
        if equals:
            equals.pop()
        else:
            only_left.append(cells)
    return _differ_by_floats(only_left, [cells for equals in waiting.values() for cells in equals], rel)


def _differ_by_floats(left: list[Cells], right: list[Cells], rel: float) -> tuple[list[Cells], list[Cells]]:
    """Pair rows that are equal but for close floats, greedily.

    Rows meet only where everything else is equal, and there only with the neighbours of their first float, so that two
    large tables which differ do not compare every row with every other.
    """
    width = max((len(cells) for cells in left + right), default=0)
    floats = [at for at in range(width) if any(_holds_float(cells[at]) for cells in left + right)]
    if not floats:
        return left, right

    def rest(cells: Cells) -> Hashable:
        return tuple(_canonical(cell) for at, cell in enumerate(cells) if at not in floats)

    def first(cells: Cells) -> float:
        return _number(cells[floats[0]])

    candidates: defaultdict[Hashable, list[Cells]] = defaultdict(list)
    for cells in sorted(right, key=first):
        candidates[rest(cells)].append(cells)
    only_left = []
    for cells in left:
        same = candidates[rest(cells)]
        number = first(cells)
        slack = 2 * rel * abs(number) if math.isfinite(number) else 0.0
        low, high = bisect_left(same, number - slack, key=first), bisect_right(same, number + slack, key=first)
        near = next((at for at in range(low, high) if _close(cells, same[at], rel)), None)
        if near is None:
            only_left.append(cells)
        else:
            same.pop(near)
    return only_left, [cells for same in candidates.values() for cells in same]


def _canonical(value: Any) -> Hashable:
    """A stand-in that equals another exactly where Penstock holds the two values for one."""
    match value:
        case bool():
            return bool, value  # else True would equal 1
        case float() if math.isnan(value):
            return _NAN
        case datetime(tzinfo=zone) if zone is not None:
            return value.astimezone(UTC).replace(tzinfo=None)
        case dict():
            return tuple((name, _canonical(item)) for name, item in value.items())
        case list() | tuple():
            return tuple(map(_canonical, value))
    return value  # type: ignore[no-any-return]


def _close(one: Any, other: Any, rel: float) -> bool:
    """Equal, or equal but for floats that lie within `rel` of each other."""
    match one, other:
        case (dict(), dict()):
            return one.keys() == other.keys() and all(_close(one[name], other[name], rel) for name in one)
        case (list() | tuple(), list() | tuple()):
            return len(one) == len(other) and all(_close(*pair, rel) for pair in zip(one, other, strict=True))
    if _is_number(one) and _is_number(other) and (isinstance(one, float) or isinstance(other, float)):
        return _canonical(one) == _canonical(other) or math.isclose(one, other, rel_tol=rel)
    return _canonical(one) == _canonical(other)


def _holds_float(value: Any) -> bool:
    match value:
        case dict():
            return any(map(_holds_float, value.values()))
        case list() | tuple():
            return any(map(_holds_float, value))
    return isinstance(value, float)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _number(value: Any) -> float:
    """A place on the line to sort by; whatever has none stands at its end."""
    return float(value) if _is_number(value) and not math.isnan(value) else math.inf
