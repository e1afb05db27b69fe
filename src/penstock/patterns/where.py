"""Keep the rows that a condition holds for."""

from __future__ import annotations

from penstock import sql
from penstock.errors import UsageError
from penstock.made import remembered
from penstock.tables import Table, columns, engine_of, resolve, type_of

__all__ = ["where"]


@remembered
def where(t: Table, predicate: str) -> Table:
    """The rows of a table for which a condition is true.

    Args:
        t: A table of either engine.
        predicate: An SQL condition in DuckDB's dialect over the table's columns.

    Returns:
        The same columns, fewer rows. A row for which the condition is null is left out, as in SQL.

    Cost:
        Spark: no exchange. DuckDB: streams, holds nothing. Both push the condition into the file scan.

    Ties and nulls:
        `x <> 'a'` is null where x is null: write `x IS DISTINCT FROM 'a'` to keep those rows.

    Raises:
        ColumnError: the condition names a column that the table does not have.
        UsageError: it is not SQL, or not a condition.

    Example:
        >>> where(ps.adopt([{"k": "a", "v": 1}, {"k": "b", "v": 0}]), "10 / v > 5").fetchall()
        [('a', 1)]
    """
    resolve(t, sql.columns_of(predicate))
    kind = type_of(t, predicate)
    if kind not in ("BOOLEAN", "NULL"):
        raise UsageError(f"{predicate} is no condition, it is {kind}", f"compare it with something: {predicate} = …")
    engine = engine_of(t)
    return engine.query(f"SELECT * FROM t WHERE {sql.spell(predicate, engine.name, columns(t))}", {"t": t})
