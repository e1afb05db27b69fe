"""The row that was the latest when another one happened: the price at each trade, the plan at each click."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import timedelta
from decimal import Decimal

from penstock import sql
from penstock.errors import UsageError
from penstock.made import remembered
from penstock.sides import On, Pair, carried, pairs_of, refuse_unlike, same_engine
from penstock.tables import Table, columns, native, resolve_in

__all__ = ["asof_join"]

FLOATS = ("FLOAT", "DOUBLE")


@remembered
def asof_join(
    left: Table, right: Table, on: On, at: str | Mapping[str, str],
    tolerance: str | timedelta | float | Decimal | None = None, suffix: str = "_right",
) -> Table:  # fmt: skip
    """Each row of the left with the latest row of the right that is not after it.

    For all rows with equal keys take `join`; for a value between two bounds, `range_join`.

    Args:
        left: A table of either engine.
        right: A table of the same engine.
        on: Keys that have to be equal: a column, several, `{"left": "right"}`, or `()` for none.
        at: The time (or number) to go by: a column of both sides, or `{"left": "right"}`.
        tolerance: How old the right's row may be at most, `"1h"`; a number where `at` is one. None for any age.
        suffix: What the right's columns get where the left has their name.

    Returns:
        The left's columns, then the right's but for its keys; one row for each row of the left, in which the right's
        columns are null where nothing was found.

    Cost:
        Spark: 1 exchange of both sides together by the keys, then a sort in each task; one task must hold a key's
        rows, spills (without keys it holds all rows). Rows of the left with a null key are spread over all tasks.
        DuckDB: sorts both sides, spills; a hash table of the right's keys and times.

    Ties and nulls:
        Of several rows of the right with one key and time, the first by the right's remaining columns in table order,
        ascending, nulls last. A null key matches nothing. A row of the left with a null time is kept without a match,
        one of the right is never taken. NaN is above every number: a row of the left at NaN gets the last one of all,
        and only such rows get one of the right at NaN.

    Raises:
        ColumnError: a column that a table does not have.
        UsageError: keys or times of unlike types, a time that is text, a tolerance that is negative or does not fit
            the type of `at`, tables of two engines.

    Example:
        >>> trades = ps.adopt([{"share": "A", "at": 5}, {"share": "A", "at": 1}])
        >>> prices = ps.adopt([{"share": "A", "at": 2, "price": 7.5}, {"share": "A", "at": 4, "price": 8.0}])
        >>> sorted(asof_join(trades, prices, on="share", at="at").fetchall())
        [('A', 1, None, None), ('A', 5, 4, 8.0)]
    """
    same_engine(left, right)
    keys = pairs_of(left, right, on) if on else []
    ours, theirs = columns(left), columns(right)
    moment = _moment(ours, theirs, at)
    near = _near(ours[moment.left], theirs[moment.right], tolerance)
    shown = carried(ours, theirs, without=[key.right for key in keys], suffix=suffix)
    ties = [name for name in shown if name != moment.right and "MAP(" not in theirs[name]]

    def statement(dialect: str) -> str:
        if dialect == "spark":
            return _union_and_carry(keys, moment, near[dialect], ours, shown, ties)
        return _asof(keys, moment, near[dialect], ours, theirs, shown, ties)

    return native(statement, ours=left, theirs=right)


def _moment(ours: Mapping[str, str], theirs: Mapping[str, str], at: str | Mapping[str, str]) -> Pair:
    """The two columns to go by."""
    named = {at: at} if isinstance(at, str) else dict(at)
    if len(named) != 1:
        raise UsageError(f"at names {len(named)} columns", 'name one: at="ts", or at={"ts": "valid_from"}')
    [(mine, other)] = named.items()
    moment = Pair(resolve_in(ours, [mine])[0], resolve_in(theirs, [other])[0])
    for name, kind in ((moment.left, ours[moment.left]), (moment.right, theirs[moment.right])):
        if not _is_time(kind) and not _is_number(kind):
            raise UsageError(
                f'at is "{name}", which is {kind}: neither a time nor a number',
                f'cast it first: ps.derive(t, {{"{name}": "{sql.quote(name)}::TIMESTAMP"}})',
            )
    refuse_unlike(moment, ours[moment.left], theirs[moment.right])
    return moment


def _is_time(kind: str) -> bool:
    return kind == "DATE" or kind.startswith("TIMESTAMP")


def _is_number(kind: str) -> bool:
    return kind in FLOATS or kind.endswith("INT") or kind.startswith(("INTEGER", "UINTEGER", "DECIMAL"))


def _near(mine: str, other: str, tolerance: str | timedelta | float | Decimal | None) -> dict[str, str]:
    """For each dialect, when a match is young enough; `{0}` is the left's time and `{1}` the right's."""
    if tolerance is None:
        return {"duckdb": "", "spark": ""}
    if _is_time(mine):
        if not isinstance(tolerance, str | timedelta):
            raise UsageError(f"tolerance={tolerance} has no unit", 'at is a time: write it like "30 minutes"')
        length = sql.duration(tolerance)
        if length < 0:
            raise UsageError(f"a tolerance of {tolerance} is negative", "0 is the least: the same instant")
        if mine == "DATE":
            days = length // 86_400_000_000
            return {"duckdb": f"{{0}} - {{1}} <= {days}", "spark": f"datediff({{0}}, {{1}}) <= {days}"}
        micros = "unix_micros(CAST({} AS TIMESTAMP_LTZ))"
        return {
            "duckdb": f"epoch_us({{0}})::HUGEINT - epoch_us({{1}}) <= {length}",
            "spark": f"CAST({micros.format('{0}')} AS DECIMAL(20, 0)) - {micros.format('{1}')} <= {length}",
        }
    if isinstance(tolerance, str | timedelta):
        raise UsageError(f'tolerance="{tolerance}" is a length of time', f"at is {mine}: give a number")
    if not math.isfinite(tolerance) or tolerance < 0:
        raise UsageError(f"a tolerance of {tolerance} reaches nothing", "0 is the least: give a positive number")
    if mine in FLOATS:
        return dict.fromkeys(
            ("duckdb", "spark"), f"CAST({{1}} AS DOUBLE) >= CAST({{0}} AS DOUBLE) - CAST('{tolerance}' AS DOUBLE)"
        )
    exact = f"{Decimal(str(tolerance)):f}"
    # A difference of two BIGINTs may need 65 bits.
    wide = {"duckdb": "{0}" if "UHUGEINT" in (mine, other) else "{0}::HUGEINT", "spark": "CAST({0} AS DECIMAL(20, 0))"}
    return {
        dialect: f"{'{0}' if mine.startswith('DECIMAL') else spelled} - {{1}} <= {exact}"
        for dialect, spelled in wide.items()
    }


def _asof(
    keys: list[Pair], moment: Pair, near: str, ours: Iterable[str], theirs: Mapping[str, str],
    shown: Mapping[str, str], ties: list[str],
) -> str:  # fmt: skip
    """DuckDB's ASOF join, over rows of the right that are one for each key and time.

    Only those that share their key and time are looked at whole. With 1 M rows on either side and hardly a tie 0.6 s
    against 0.37 s for the bare join; a whole row picked for every key and time took twice as long as this.
    """
    meets = [key.right for key in keys] + [moment.right]
    places = sql.quoted(meets)
    dated = f"SELECT * FROM theirs WHERE {_complete(meets, 'duckdb')}"
    ctes, settled = [f"dated AS ({dated})"], "dated"
    if ties:
        row = sql.quote(sql.unused("a whole row", theirs))
        same = " AND ".join(f"dated.{sql.quote(name)} = tied.{sql.quote(name)}" for name in meets)
        first = sql.sort_key([(sql.Order(sql.quote(name)), theirs[name]) for name in ties], "duckdb")
        tied = f"SELECT {places} FROM dated GROUP BY {places} HAVING count(*) > 1"
        several = f"SELECT dated.* FROM dated SEMI JOIN tied ON {same}"
        chosen = f"SELECT min_by({row}, {first}) AS kept FROM ({several}) AS {row} GROUP BY {places}"
        single = f"SELECT dated.* FROM dated ANTI JOIN tied ON {same}"
        ctes += [
            f"tied AS MATERIALIZED ({tied})",
            f"settled AS ({single} UNION ALL SELECT unnest(kept) FROM ({chosen}))",
        ]
        settled = "settled"
    ours_at, theirs_at = f"ours.{sql.quote(moment.left)}", f"{settled}.{sql.quote(moment.right)}"
    young = near.format(ours_at, theirs_at)
    found = [
        f"{f'CASE WHEN {young} THEN {settled}.{sql.quote(name)} END' if near else f'{settled}.{sql.quote(name)}'} "
        f"AS {sql.quote(alias)}"
        for name, alias in shown.items()
    ]
    equal = [f"ours.{sql.quote(key.left)} = {settled}.{sql.quote(key.right)}" for key in keys]
    return (
        f"WITH {', '.join(ctes)} SELECT {', '.join([sql.quoted(ours, prefix='ours.'), *found])} FROM ours "
        f"ASOF LEFT JOIN {settled} ON {' AND '.join([*equal, f'{ours_at} >= {theirs_at}'])}"
    )


def _union_and_carry(
    keys: list[Pair], moment: Pair, near: str, ours: Mapping[str, str], shown: Mapping[str, str], ties: list[str]
) -> str:
    """Both sides in one table by key and time, in which each row of the left looks back to the last one of the right.

    Columns go by their positions, because both sides may have any names: k keys, l the left's, r the right's.
    """
    mine, other = list(ours), list(shown)

    def named(names: Iterable[str], letter: str) -> list[str]:
        return [f"{sql.quote(name, 'spark')} AS {letter}{position}" for position, name in enumerate(names)]

    def absent(names: list[str], letter: str) -> list[str]:
        return [f"NULL AS {letter}{position}" for position in range(len(names))]

    meets = [key.left for key in keys] + [moment.left], [key.right for key in keys] + [moment.right]
    # 1. What cannot match goes apart, each row by its own hash, so that null keys do not meet in one task.
    hashed = sql.quoted((name for name, kind in ours.items() if "MAP(" not in kind), "spark")
    apart = f"CASE WHEN NOT ({_complete(meets[0], 'spark')}) THEN xxhash64({hashed}) END AS apart"
    place = [sql.quote(moment.left, "spark") + " AS place", sql.quote(moment.right, "spark") + " AS place"]
    left = [*named(meets[0][:-1], "k"), place[0], apart, "1 AS side", *named(mine, "l"), *absent(other, "r")]
    right = [*named(meets[1][:-1], "k"), place[1], "NULL", "0", *absent(mine, "l"), *named(other, "r")]
    both = (
        f"SELECT {', '.join(left)} FROM ours UNION ALL "
        f"SELECT {', '.join(right)} FROM theirs WHERE {_complete(meets[1], 'spark')}"
    )
    # 2. Moved before the rows of the right are packed for carrying, or they would move twice: packed and to be sorted.
    together = ", ".join([*(f"k{position}" for position in range(len(keys))), "apart"])
    packed = f"struct({', '.join(f'r{position}' for position in range(len(other)))})"
    gathered = f"SELECT *, CASE WHEN side = 0 THEN {packed} END AS packed FROM (FROM both DISTRIBUTE BY {together})"
    # 3. In the order of time, the right before the left; of the right's equals the first one last.
    order = ["place", "side", *(f"r{other.index(name)} DESC NULLS FIRST" for name in ties)]
    window = f"PARTITION BY {together} ORDER BY {', '.join(order)} ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW"
    met = f"SELECT *, last(packed, true) OVER ({window}) AS latest FROM gathered"
    young = near.format("place", f"latest.r{other.index(moment.right)}")
    kept = [f"l{position} AS {sql.quote(name, 'spark')}" for position, name in enumerate(mine)]
    for position, name in enumerate(other):
        value = f"CASE WHEN {young} THEN latest.r{position} END" if near else f"latest.r{position}"
        kept.append(f"{value} AS {sql.quote(shown[name], 'spark')}")
    return (
        f"WITH both AS ({both}), gathered AS ({gathered}), met AS ({met}) "
        f"SELECT {', '.join(kept)} FROM met WHERE side = 1"
    )


def _complete(names: Iterable[str], dialect: str) -> str:
    return " AND ".join(f"{sql.quote(name, dialect)} IS NOT NULL" for name in names)
