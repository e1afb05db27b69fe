"""Rows without their repetitions."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from penstock import sql
from penstock.errors import UsageError
from penstock.made import remembered
from penstock.patterns.top_n import top_n
from penstock.runs import length, runs, time_column
from penstock.tables import By, Table, columns, engine_of, grouped, resolve, total_order

__all__ = ["dedup"]


@remembered
def dedup(
    t: Table, by: By, at: str | None = None, keep: Literal["first", "last", "any"] = "first",
    within: str | timedelta | None = None,
) -> Table:  # fmt: skip
    """One row of each key, or one within a length of time.

    For the first n rows of each key take `top_n`; for the keys alone, `distinct`.

    Args:
        t: A table of either engine.
        by: The key columns: rows that are equal there repeat each other.
        at: The column that says which row is first; a time where `within` is given.
        keep: The "first" row of each key, the "last", or "any", which needs no `at`.
        within: Drop a row only if it comes no later than this after the last row that was kept of its key.

    Returns:
        Whole rows, all columns.

    Cost:
        Spark: 1 exchange, of one row a key and partition; with `within`, of all rows. DuckDB: one hash table with a row
        a key; with `within`, 1 sort of all rows, which spills. Bursts that are longer than `within` are gathered, each
        in memory.

    Ties and nulls:
        Of rows at one time the first by the remaining columns, in table order, ascending, nulls last. A null key is a
        key. A null `at` comes after all others, whether the first or the last row is kept. With `within`, rows without
        a time cannot be compared, and are all kept.

    Raises:
        ColumnError: a column that the table does not have.
        UsageError: `at` is missing where it is needed or is not a time, `keep` is unknown, `within` is not positive or
            stands with keep="last".

    Example:
        >>> t = ps.adopt([{"k": 1, "v": 3}, {"k": 1, "v": 2}, {"k": 2, "v": 5}])
        >>> sorted(dedup(t, "k", at="v", keep="last").fetchall())
        [(1, 3), (2, 5)]
    """
    if keep not in ("first", "last", "any"):
        raise UsageError(f'keep="{keep}" is unknown', 'give "first", "last" or "any"')
    if at is None and (keep != "any" or within is not None):
        raise UsageError("which row is kept needs a time", 'name its column, at="ts", or take keep="any"')
    if within is not None:
        if keep == "last":
            raise UsageError("within= counts from the last row kept, so it keeps the first", 'leave out keep="last"')
        return _one_a_window(t, by, str(at), length(within, "within"))
    if at is None:
        return _any_row(t, by)
    [at] = resolve(t, [at])
    return top_n(
        t, by, f"{sql.quote(at)} {'desc' if keep == 'last' else 'asc'}", ties="any" if keep == "any" else "break"
    )


def _any_row(t: Table, by: By) -> Table:
    kept = list(columns(t))
    keyed, keys = grouped(t, by)
    if engine_of(t).name == "duckdb":
        on = f"DISTINCT ON ({sql.quoted(keys)})" if keys else ""
        return engine_of(t).query(f"SELECT {on} {sql.quoted(kept)} FROM t{'' if keys else ' LIMIT 1'}", {"t": keyed})
    grouping = f" GROUP BY {sql.quoted(keys, 'spark')}" if keys else ""
    row = f"struct({sql.quoted(kept, 'spark')})"
    return engine_of(t).query(f"SELECT inline(array(any_value({row}))) FROM t{grouping}", {"t": keyed})


def _one_a_window(t: Table, by: By, at: str, within: int) -> Table:
    """A row that is kept begins a run: what follows within the window of it is in the run, and no pause is longer."""
    kept = list(columns(t))
    keyed, keys = grouped(t, by)
    at, engine = time_column(keyed, at), engine_of(keyed)
    ties = [term for term, _ in total_order(keyed, sql.quote(at))][1:]
    found = runs(keyed, keys, at, pause=within, longest=within, ties=ties)
    wanted = f"SELECT {sql.quoted(kept, engine.name)} FROM ({found.text}) WHERE {found.start} OR {found.time} IS NULL"
    return engine.query(wanted, {"t": keyed})
