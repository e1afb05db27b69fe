"""Lists, aggregates and windows: nulls are skipped, beyond the end is null, and no answer hangs on an open order."""

from __future__ import annotations

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect

from penstock.dialect.kinds import kind
from penstock.dialect.rules import Rules, call, fill, on_spark
from penstock.errors import UsageError

__all__ = ["RULES", "without_filters"]


# -- lists and maps ----------------------------------------------------------------------------------------------------


def _element(node: exp.Bracket, dialect: str) -> exp.Expr:
    """One element: null beyond the end, counted from the end where negative."""
    if dialect == "duckdb":
        return node
    [place] = Dialect.get_or_raise("duckdb").generator().bracket_offset_expressions(node)
    if kind(node.this) == "list" and not (place.is_number and place.name != "0"):
        place = fill("nullif(CAST(x_ AS INT), 0)", "spark", x=place)  # an error there, null here
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


#: In 64 bits, or as a double; of decimals Spark wants to know the digits. Nulls are skipped; of no value it is null.
_LIST_SUM = "aggregate(x_, CASE WHEN false THEN get(x_, 0) + 0L END, (a, b) -> coalesce(a + b, a, b))"
_INTEGERS = ", ".join(f"'array<{kind}>'" for kind in ("tinyint", "smallint", "int", "bigint"))
#: The sum of integers is exact, as on DuckDB.
_LIST_AVERAGE = (
    f"(CASE WHEN typeof(x_) IN ({_INTEGERS}) THEN CAST(aggregate(x_, CAST(0 AS DECIMAL(38, 0)), "
    "(a, b) -> CAST(a + coalesce(b, 0) AS DECIMAL(38, 0))) AS DOUBLE) ELSE aggregate(x_, CAST(0 AS DOUBLE), "
    "(a, b) -> a + coalesce(CAST(b AS DOUBLE), 0)) END) / nullif(array_size(filter(x_, a -> a IS NOT NULL)), 0)"
)


# -- aggregates --------------------------------------------------------------------------------------------------------


def without_filters(tree: exp.Expr) -> exp.Expr:
    """`f(x) FILTER (WHERE c)` as `f(CASE WHEN c THEN x END)`, which aggregates that skip nulls cannot tell apart.

    What an aggregate becomes on an engine may be no single call, and FILTER takes nothing else.
    """
    for node in list(tree.find_all(exp.Filter)):
        call_, condition = node.this, node.expression.this
        inner = call_.this if isinstance(call_, exp.IgnoreNulls) else call_
        if not isinstance(inner, exp.AggFunc):
            continue
        for value in _filtered(inner):
            one = exp.Literal.number(1) if isinstance(value, exp.Star) else value.copy()
            value.replace(exp.Case(ifs=[exp.If(this=condition.copy(), true=one)]))
        tree = call_ if node is tree else tree
        node.replace(call_)
    return tree


def _filtered(node: exp.AggFunc) -> list[exp.Expr]:
    """The arguments that have to be null for the aggregate to skip the row."""
    if isinstance(node, (exp.ArgMax, exp.ArgMin)):
        return [node.expression]
    value = node.this
    keys = [term.this for term in value.expressions if term.this == value.this] if isinstance(value, exp.Order) else []
    value = value.this if keys or isinstance(value, exp.Order) else value
    return [*keys, *(value.expressions if isinstance(value, exp.Distinct) else [value])]


def _listed(node: exp.ArrayAgg, dialect: str) -> exp.Expr:
    """A list in a total order, without nulls, and empty where there is nothing in it."""
    order, value = _total_order(node)
    if dialect == "spark":
        return _collected(order, value)
    present = exp.Where(this=fill("x_ IS NOT NULL", x=value))
    filtered = exp.Filter(this=exp.ArrayAgg(this=order), expression=present)
    return exp.Coalesce(this=filtered, expressions=[exp.Array()]) if not isinstance(node.parent, exp.Window) else node


def _joined(node: exp.GroupConcat, dialect: str) -> exp.Expr:
    """Texts joined in a total order.

    Not by LISTAGG: beside two aggregates of DISTINCT values Spark 4.3 cannot plan it (ClassCastException).
    """
    order, value = _total_order(node)
    separator = node.args.get("separator") or exp.Literal.string(",")
    if dialect == "duckdb":
        return exp.GroupConcat(this=order, separator=separator.copy())
    template = "CASE WHEN count(x_) > 0 THEN array_join(all_, y_) END"
    return fill(template, "spark", x=value, y=separator, all=_collected(order, value))


def _total_order(node: exp.ArrayAgg | exp.GroupConcat) -> tuple[exp.Order, exp.Expr]:
    """The order inside an aggregate with its ties broken by the value that is collected, and that value."""
    order = node.this
    if not isinstance(order, exp.Order):
        raise UsageError(f"the order of {node.sql('duckdb')} is left open", "add one inside: list(x ORDER BY x)")
    value = order.this.expressions[0] if isinstance(order.this, exp.Distinct) else order.this
    directions = {bool(term.args.get("desc")) for term in order.expressions}
    if len(directions) > 1:
        raise UsageError(f"{node.sql('duckdb')}: an order of two directions", "sort all its terms one way")
    terms = [term.copy() for term in order.expressions]
    if terms[-1].this != value:
        terms.append(exp.Ordered(this=value.copy(), desc=directions.pop(), nulls_first=False))
    return exp.Order(this=order.this.copy(), expressions=terms), value


def _collected(order: exp.Order, value: exp.Expr) -> exp.Expr:
    """The values as a list of Spark's, sorted by one struct a value; what is null stands last in both directions."""
    descending = bool(order.expressions[0].args.get("desc"))
    direction = exp.var("false" if descending else "true")
    if len(order.expressions) == 1:
        name = "collect_set" if isinstance(order.this, exp.Distinct) else "collect_list"
        return call("sort_array", call(name, value), direction)
    last = "IS NOT NULL" if descending else "IS NULL"
    keys = [key for term in order.expressions for key in (fill(f"x_ {last}", x=term.this), term.this)]
    fields: list[exp.Expr | str] = [part for place, key in enumerate(keys) for part in (f"k{place}", key)]
    item = call("named_struct", *fields, "item", value)
    template = "transform(sort_array(collect_list(CASE WHEN x_ IS NOT NULL THEN s_ END), d_), one -> one.item)"
    return fill(template, "spark", x=value, s=item, d=direction)


def _quantile(node: exp.Median | exp.PercentileCont | exp.PercentileDisc, dialect: str) -> exp.Expr:
    """On DuckDB what lies between two decimals is a decimal, rounded; on Spark percentile_disc is always a double."""
    value, share = node.this, node.args.get("expression")
    discrete = isinstance(node, exp.PercentileDisc)
    if not discrete and kind(value) == "decimal":
        value = exp.cast(value, "double")
    if dialect == "duckdb" or share is None:
        return (
            type(node)(this=value.copy(), expression=share.copy())
            if share is not None
            else type(node)(this=value.copy())
        )
    if discrete and kind(value) != "float" and not isinstance(share, exp.Array):
        place = f"CAST(greatest(ceil({share.sql('spark')} * count(x_)), 1) AS INT) - 1"
        return fill(f"get(sort_array(collect_list(x_)), {place})", "spark", x=value)
    order = exp.Order(expressions=[exp.Ordered(this=value.copy())])
    return exp.WithinGroup(this=call("percentile_disc" if discrete else "percentile_cont", share), expression=order)


def _average(node: exp.Avg, _: str) -> exp.Expr:
    """Spark's average of decimals is a decimal, and that of longs loses what cancels out."""
    value = node.this
    if isinstance(value, exp.Distinct):
        return exp.Avg(this=exp.Distinct(expressions=[exp.cast(value.expressions[0].copy(), "double")]))
    if kind(value) != "integer" or isinstance(node.parent, exp.Window):
        return exp.Avg(this=exp.cast(value.copy(), "double"))
    halves = "CAST(sum(shiftright(x_, 32)) AS DOUBLE) * 4294967296 + sum(x_ & 4294967295)"
    return fill(f"({halves}) / nullif(count(x_), 0)", "spark", x=exp.cast(value, "bigint"))


def _sum(node: exp.Sum | exp.Window, dialect: str) -> exp.Expr:
    """DuckDB sums integers in 128 bits, which no file format holds: back to 64, where too much is an error."""
    inner = node.this if isinstance(node, exp.Window) else node
    wrapped = node is inner and isinstance(node.parent, exp.Window) and node.parent.this is node
    if dialect == "spark" or wrapped or not isinstance(inner, exp.Sum) or kind(inner.this) != "integer":
        return node
    return exp.cast(node.copy(), "bigint")


# -- windows -----------------------------------------------------------------------------------------------------------

_BY_PLACE = (
    exp.CumeDist, exp.DenseRank, exp.FirstValue, exp.Lag, exp.LastValue, exp.Lead, exp.NthValue, exp.Ntile,
    exp.PercentRank, exp.Rank, exp.RowNumber,
)  # fmt: skip


def _window(node: exp.Window, dialect: str) -> exp.Expr:
    if isinstance(node.this, _BY_PLACE) and not node.args.get("order") and not node.args.get("alias"):
        raise UsageError(f"the order of {node.sql('duckdb')} is left open", "add ORDER BY inside OVER (…)")
    return _sum(node, dialect)


# -- queries within conditions -----------------------------------------------------------------------------------------


def _any(node: exp.EQ | exp.NEQ, _: str) -> exp.Expr:
    """`= ANY (SELECT …)` and `<> ALL (SELECT …)`, which Spark knows as IN and NOT IN."""
    quantified = {exp.EQ: exp.Any, exp.NEQ: exp.All}[type(node)]
    inner = node.expression.this if isinstance(node.expression, quantified) else None
    if not isinstance(inner, exp.Query):
        return node
    found = node.this.isin(query=inner.unnest().copy())
    return found if isinstance(node, exp.EQ) else exp.not_(found, copy=False)


RULES: Rules = {
    exp.Bracket: _element,
    exp.EQ: on_spark(_any),
    exp.NEQ: on_spark(_any),
    exp.ArrayContains: on_spark(_contains),
    exp.ArrayPosition: on_spark(_position),
    "list_position": on_spark(_position),
    "list_sum": on_spark(lambda node, _: fill(_LIST_SUM, "spark", x=node.expressions[0])),
    "list_avg": on_spark(lambda node, _: fill(_LIST_AVERAGE, "spark", x=node.expressions[0])),
    exp.Length: on_spark(_length),
    exp.ArrayAgg: _listed,
    exp.GroupConcat: _joined,
    exp.Median: _quantile,
    exp.PercentileCont: _quantile,
    exp.PercentileDisc: _quantile,
    exp.Avg: on_spark(_average),
    # DuckDB's count_if of no rows is null.
    exp.CountIf: lambda node, _: exp.Count(this=exp.Case(ifs=[exp.If(this=node.this.copy(), true=exp.convert(1))])),
    # Which value any_value gives is not left to the engine: the least.
    exp.IgnoreNulls: lambda node, _: (
        exp.Min(this=node.this.this.copy()) if isinstance(node.this, exp.AnyValue) else node
    ),
    exp.Sum: _sum,
    exp.Window: _window,
}
