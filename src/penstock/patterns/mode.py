"""The most frequent value of a column."""

from __future__ import annotations

from typing import Literal

from penstock import sql
from penstock.errors import UsageError
from penstock.made import remembered
from penstock.tables import By, Table, columns, grouped, native, refuse_names, resolve

__all__ = ["mode"]


@remembered
def mode(t: Table, column: str, by: By = (), ties: Literal["least", "all"] = "least") -> Table:
    """The value that occurs most often, overall or in each group.

    For the n most frequent values with their counts, take `top`.

    Args:
        t: A table of either engine.
        column: The column to look at.
        by: Group keys; none for the whole table.
        ties: Of values that occur equally often, the "least" one or "all" of them.

    Returns:
        The group keys, `value` and how often it occurs, `n`; one row a group, or more with `ties="all"`.

    Cost:
        Spark: 1 exchange of (key, value, count) combined within each partition, 1 of the best in each partition.
        DuckDB: one hash table of the distinct values, spills.

    Ties and nulls:
        Nulls do not count. A group (or a whole table) without any value has value null and n 0.

    Raises:
        ColumnError: a column that the table does not have.
        UsageError: a group key is called like a column of the result.

    Example:
        >>> t = ps.adopt([{"k": "a", "v": 2}, {"k": "a", "v": 1}, {"k": "b", "v": None}])
        >>> sorted(mode(t, "v", by="k").fetchall())
        [('a', 1, 1), ('b', None, 0)]
    """
    if ties not in ("least", "all"):
        raise UsageError(f'ties="{ties}" is unknown', 'give "least" or "all"')
    t, keys = grouped(t, by)
    refuse_names(keys, ["value", "n"])
    present = columns(t)
    [column] = resolve(t, [column])
    return native(lambda dialect: _statement(keys, column, present, ties, dialect), t=t)


def _statement(keys: list[str], column: str, present: dict[str, str], ties: str, dialect: str) -> str:
    # 1. Combine before anything moves: one row a (key, value) with its count. Null values keep their group, with n = 0.
    #    Renamed, because a group key may have any name, `value` and `n` included.
    kinds = [present[name] for name in keys] + [present[column]]
    sources = [*keys, column]
    names = [f"k{position}" for position in range(len(keys))] + ["value"]
    zero = [f" + 0::{kind}" if dialect == "duckdb" and kind in ("FLOAT", "DOUBLE") else "" for kind in kinds]
    select = ", ".join(
        f"{sql.quote(source, dialect)}{plus} AS {name}" for source, plus, name in zip(sources, zero, names, strict=True)
    )
    positions = ", ".join(str(position + 1) for position in range(len(names)))
    counts = f"SELECT {select}, count({sql.quote(column, dialect)}) AS n FROM t GROUP BY {positions}"
    shown = "".join(f"{name} AS {sql.quote(key, dialect)}, " for key, name in zip(keys, names, strict=False))
    if ties == "all":
        # 2. Keep every value that reaches its group's highest count; a table without rows has the count 0 too.
        if keys:
            best = f"SELECT *, max(n) OVER (PARTITION BY {', '.join(names[:-1])}) AS best FROM counts"
            return f"WITH counts AS ({counts}), best AS ({best}) SELECT {shown}value, n FROM best WHERE n = best"
        best = "SELECT coalesce(max(n), 0) AS best FROM counts"
        found = "SELECT value, best AS n FROM best LEFT JOIN counts ON n = best"
        return f"WITH counts AS ({counts}), best AS ({best}) {found}"
    # 2. One pass over the counts with a combined key: 1.3 s where the window form takes 2.0 s (20 M rows, 5.6 M pairs).
    key = sql.sort_key([(sql.Order("n", descending=True), "BIGINT"), (sql.Order("value"), kinds[-1])], dialect)
    grouping = f" GROUP BY {', '.join(names[:-1])}" if keys else ""
    found = f"SELECT {shown}min_by(value, {key}) AS value, coalesce(max(n), 0) AS n FROM counts{grouping}"
    return f"WITH counts AS ({counts}) {found}"
