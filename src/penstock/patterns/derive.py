"""Add columns computed from the row."""

from __future__ import annotations

from penstock import sql
from penstock.errors import UsageError
from penstock.made import remembered
from penstock.tables import Table, columns, engine_of, portable, resolve

__all__ = ["derive"]


@remembered
def derive(t: Table, /, **columns_: str) -> Table:
    """A table with columns computed from each row.

    Args:
        t: A table of either engine.
        **columns_: Names and SQL expressions in DuckDB's dialect: `day="date_trunc('day', ts)"`. The expressions see
            the table's columns, not each other. A column that the table has already is replaced in its place.

    Returns:
        All columns, then the new ones in the order given; one row a row.

    Cost:
        Spark: no exchange. DuckDB: streams, holds nothing. A column that nothing uses later is never computed.

    Ties and nulls:
        Division by zero is null, `//` floors, `%` has the divisor's sign, on both engines.

    Raises:
        ColumnError: an expression names a column that the table does not have.
        UsageError: an expression is not SQL, or none was given.

    Example:
        >>> derive(ps.adopt([{"a": 7, "b": 2}]), half="a / b", whole="a // b").fetchall()
        [(7, 2, 3.5, 3)]
    """
    if not columns_:
        raise UsageError("derive was given no column", "name one: derive(t, day=\"date_trunc('day', ts)\")")
    engine, present = engine_of(t), columns(t)
    for expression in columns_.values():
        resolve(t, sql.columns_of(expression))
    new = {name.casefold(): (name, sql.spell(text, engine.name, present)) for name, text in columns_.items()}
    select = []
    for name in present:
        replaced, text = new.pop(name.casefold(), (name, sql.quote(name, engine.name)))
        select.append(f"{text} AS {sql.quote(replaced, engine.name)}")
    select += [f"{text} AS {sql.quote(name, engine.name)}" for name, text in new.values()]
    return portable(engine.query(f"SELECT {', '.join(select)} FROM t", {"t": t}))
