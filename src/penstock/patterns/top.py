"""The most frequent keys of a table."""

from __future__ import annotations

from penstock import sql
from penstock.aggregates import group
from penstock.errors import UsageError
from penstock.made import remembered
from penstock.tables import By, Table, columns, engine_of, grouped, refuse_names, resolve

__all__ = ["top"]


@remembered
def top(t: Table, by: By, n: int = 10, weight: str | None = None) -> Table:
    """The n most frequent keys, with how often each occurs.

    For the first rows of each group take `top_n`; for the one most frequent value of each group, `mode`.

    Args:
        t: A table of either engine.
        by: The key columns.
        n: How many keys.
        weight: An expression to sum instead of counting rows.

    Returns:
        The key columns and `n` (with `weight`, the sum as `weight`), at most `n` rows, in order: the largest first,
        equal ones by key.

    Cost:
        Spark: 1 exchange of one (key, count) a key and partition (the combiner); at last n rows a partition.
        DuckDB: one hash table of the keys and a heap of n rows.

    Ties and nulls:
        A null key is a key. Keys that occur equally often are ordered by key, ascending, nulls last. A key whose
        weights are all null comes last.

    Raises:
        ColumnError: a key column that the table does not have.
        UsageError: n is not positive, or a key has the name of the count.

    Example:
        >>> top(ps.adopt([{"path": p} for p in ["/", "/a", "/", "/b"]]), "path", n=2).fetchall()
        [('/', 2), ('/a', 1)]
    """
    if n < 1:
        raise UsageError(f"n={n} keeps nothing", "give a positive number")
    t, keys = grouped(t, by)
    measure = "n" if weight is None else "weight"
    refuse_names(keys, [measure])
    if weight is not None:
        resolve(t, sql.columns_of(weight))
    counted = group(t, keys, {measure: "count(*)" if weight is None else f"sum({weight})"})
    engine = engine_of(counted)
    order = [sql.Order(measure, descending=True), *(sql.Order(sql.quote(key)) for key in keys)]
    terms = ", ".join(term.text(engine.name) for term in order)
    return engine.query(
        f"SELECT {sql.quoted(columns(counted), engine.name)} FROM t ORDER BY {terms} LIMIT {n}", {"t": counted}
    )
