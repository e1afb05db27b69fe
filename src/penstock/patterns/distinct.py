"""The distinct rows of a table."""

from __future__ import annotations

from penstock import sql
from penstock.made import remembered
from penstock.tables import Table, columns, engine_of, resolve_in

__all__ = ["distinct"]


@remembered
def distinct(t: Table, *names: str) -> Table:
    """One row for every distinct combination of some columns.

    To keep whole rows, one a key, take `dedup`; to count them only, `count_distinct`.

    Args:
        t: A table of either engine.
        *names: The columns to look at; all of them where none is named.

    Returns:
        These columns; no two rows alike.

    Cost:
        Spark: 1 exchange of the rows distinct within each partition (the combiner). DuckDB: one hash table, spills.

    Ties and nulls:
        Null is a value like another; NaN equals NaN; -0.0 comes out as 0.0.

    Raises:
        ColumnError: a column that the table does not have.

    Example:
        >>> sorted(distinct(ps.adopt([{"k": "a", "v": 1}, {"k": "b", "v": 2}, {"k": "a", "v": 3}]), "k").fetchall())
        [('a',), ('b',)]
    """
    engine, present = engine_of(t), columns(t)
    kept = resolve_in(present, names) or list(present)
    keys = ", ".join(sql.group_key(name, present[name], engine.name) for name in kept)
    return engine.query(f"SELECT DISTINCT {keys} FROM t", {"t": t})
