"""A table in a total order."""

from __future__ import annotations

from collections.abc import Sequence

from penstock.made import remembered
from penstock.tables import Table, engine_of, total_order

__all__ = ["sort"]


@remembered
def sort(t: Table, order: str | Sequence[str]) -> Table:
    """The rows of a table in order.

    Args:
        t: A table of either engine.
        order: `"amount desc, ts"`: columns or expressions, each with its direction.

    Returns:
        The same rows. The order holds until the next pattern: SQL tables have none of their own. `ps.write(t, path,
        sort_by=…)` writes files that are in order.

    Cost:
        Spark: 1 exchange of all rows, by sampled ranges. DuckDB: sorts all rows, spills beyond its memory limit.
        For the first rows alone, `top_n` moves a thousandth of it.

    Ties and nulls:
        Nulls last in both directions, NaN above every number. Rows equal in `order` are ordered by their remaining
        columns, in table order, ascending: the same rows always come out in the same order.

    Raises:
        ColumnError: the order names a column that the table does not have.

    Example:
        >>> sort(ps.adopt([{"k": 2, "v": "b"}, {"k": None, "v": "c"}, {"k": 2, "v": "a"}]), "k desc").fetchall()
        [(2, 'a'), (2, 'b'), (None, 'c')]
    """
    engine = engine_of(t)
    terms = ", ".join(term.text(engine.name) for term, _ in total_order(t, order))
    return engine.query(f"SELECT * FROM t ORDER BY {terms}", {"t": t})
