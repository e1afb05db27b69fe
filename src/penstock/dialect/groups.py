"""Lists, aggregates and windows: nulls are skipped, beyond the end is null, and no answer hangs on an open order."""

from __future__ import annotations

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect

from penstock.dialect.kinds import kind
from penstock.dialect.rules import Rules, call, fill, on_spark
from penstock.errors import UsageError

__all__ = ["RULES"]


# -- lists and maps ----------------------------------------------------------------------------------------------------


def _element(node: exp.Bracket, dialect: str) -> exp.Expr:
    """One element: null beyond the end, counted from the end where negative."""
    if dialect == "duckdb":
        return node
    [place] = Dialect.get_or_raise("duckdb").generator().bracket_offset_expressions(node)
    if kind(place) == "integer" and not place.is_number:
        place = exp.cast(place, "int")
    return (
        call("substring", node.this, place, 1)
        if kind(node.this) == "text"
        else call("try_element_at", node.this, place)
    )


def _length(node: exp.Length, _: str) -> exp.Expr:
    return call("array_size", node.this) if kind(node.this) == "list" else node


def _position(node: exp.ArrayPosition | exp.Anonymous, _: str) -> exp.Expr:
    values, wanted = node.expressions if isinstance(node, exp.Anonymous) else (node.this, node.expression)
    return fill("nullif(array_position(x_, y_), 0)", "spark", x=values, y=wanted)


def _contains(node: exp.ArrayContains, _: str) -> exp.Expr:
    template = "CASE WHEN x_ IS NOT NULL AND y_ IS NOT NULL THEN coalesce(array_contains(x_, y_), false) END"
    return fill(template, "spark", x=node.this, y=node.expression)


# -- aggregates --------------------------------------------------------------------------------------------------------


def _ordered(node: exp.ArrayAgg | exp.GroupConcat, dialect: str) -> exp.Expr:
    """Sorted lists. Nulls are skipped, as in every other aggregate."""
    order = node.this
    if not isinstance(order, exp.Order):
        raise UsageError(f"the order of {node.sql('duckdb')} is left open", "add one inside: list(x ORDER BY x)")
    if isinstance(node, exp.GroupConcat) or dialect == "duckdb":
        return node
    term = order.expressions[0]
    if len(order.expressions) > 1 or term.this != order.this:
        raise UsageError(f"{node.sql('duckdb')}: another order than the list's own", "order it by the value itself")
    return call("sort_array", call("collect_list", order.this), exp.var("false" if term.args.get("desc") else "true"))


def _quantile(node: exp.PercentileCont | exp.PercentileDisc, _: str) -> exp.Expr:
    """Spark's percentile_disc is a double whatever the values are: right for floats alone."""
    value, share = node.this, node.expression
    if isinstance(node, exp.PercentileDisc) and kind(value) != "float" and not isinstance(share, exp.Array):
        place = f"CAST(greatest(ceil({share.sql('spark')} * count(x_)), 1) AS INT) - 1"
        return fill(f"get(sort_array(collect_list(x_)), {place})", "spark", x=value)
    name = "percentile_cont" if isinstance(node, exp.PercentileCont) else "percentile_disc"
    order = exp.Order(expressions=[exp.Ordered(this=value.copy())])
    return exp.WithinGroup(this=call(name, share), expression=order)


def _any_value(node: exp.IgnoreNulls, _: str) -> exp.Expr:
    return exp.Min(this=node.this.this.copy()) if isinstance(node.this, exp.AnyValue) else node


def _average(node: exp.Avg, _: str) -> exp.Expr:
    """Spark's average of decimals is a decimal."""
    if isinstance(node.this, exp.Distinct):
        [value] = node.this.expressions
        return exp.Avg(this=exp.Distinct(expressions=[exp.cast(value.copy(), "double")]))
    return exp.Avg(this=exp.cast(node.this.copy(), "double"))


def _long_sum(node: exp.Sum | exp.Filter | exp.Window, dialect: str) -> exp.Expr:
    """DuckDB sums integers in 128 bits, which no file format holds: back to 64, where too much is an error."""
    if dialect == "spark" or (isinstance(node.parent, (exp.Filter, exp.Window)) and node.parent.this is node):
        return node
    inner: exp.Expr = node
    while isinstance(inner, (exp.Filter, exp.Window)):
        inner = inner.this
    summed = isinstance(inner, exp.Sum) and kind(inner.this) == "integer"
    return exp.cast(node.copy(), "bigint") if summed else node


# -- windows -----------------------------------------------------------------------------------------------------------

_BY_PLACE = (
    exp.CumeDist, exp.DenseRank, exp.FirstValue, exp.Lag, exp.LastValue, exp.Lead, exp.NthValue, exp.Ntile,
    exp.PercentRank, exp.Rank, exp.RowNumber,
)  # fmt: skip


def _window(node: exp.Window, dialect: str) -> exp.Expr:
    if isinstance(node.this, _BY_PLACE) and not node.args.get("order") and not node.args.get("alias"):
        raise UsageError(f"the order of {node.sql('duckdb')} is left open", "add ORDER BY inside OVER (…)")
    return _long_sum(node, dialect)


RULES: Rules = {
    exp.Bracket: _element,
    exp.ArrayContains: on_spark(_contains),
    exp.ArrayPosition: on_spark(_position),
    "list_position": on_spark(_position),
    exp.Length: on_spark(_length),
    exp.ArrayAgg: _ordered,
    exp.GroupConcat: _ordered,
    exp.PercentileCont: on_spark(_quantile),
    exp.PercentileDisc: on_spark(_quantile),
    exp.Avg: on_spark(_average),
    # DuckDB's count_if of no rows is null.
    exp.CountIf: lambda node, _: fill("count(CASE WHEN x_ THEN 1 END)", x=node.this),
    exp.IgnoreNulls: _any_value,  # which value is not left to the engine: the least
    exp.Sum: _long_sum,
    exp.Filter: _long_sum,
    exp.Window: _window,
}
