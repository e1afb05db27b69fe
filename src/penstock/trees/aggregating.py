"""Aggregates: what is one, and what of it crosses to where its group meets, as Spark keeps it in a buffer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sqlglot import exp

from penstock.trees.registers import registers_of
from penstock.trees.tree import Aggregate

__all__ = ["aggregates", "buffers", "distinct_sets", "is_aggregate"]

#: Those of Spark's that sqlglot does not know as such.
_NAMED = frozenset(
    ("approx_percentile", "bool_and", "bool_or", "collect_union", "count_if", "count_min_sketch", "every",
     "hll_sketch_agg", "hll_union_agg", "histogram_numeric", "kll_merge_agg_bigint", "kll_merge_agg_double",
     "kll_merge_agg_float", "kll_sketch_agg_bigint", "kll_sketch_agg_double", "kll_sketch_agg_float", "kurtosis",
     "mean", "percentile", "skewness", "some", "std", "theta_intersection_agg", "theta_sketch_agg", "theta_union_agg",
     "try_avg", "try_sum", "tuple_intersection_agg_double", "tuple_intersection_agg_integer",
     "tuple_sketch_agg_double", "tuple_sketch_agg_integer", "tuple_union_agg_double", "tuple_union_agg_integer")
)  # fmt: skip


def is_aggregate(node: exp.Expr) -> bool:
    """Whether an expression is an aggregate, with its FILTER or order."""
    if isinstance(node, (exp.Filter, exp.WithinGroup, exp.IgnoreNulls, exp.RespectNulls)):
        return is_aggregate(node.this)
    if isinstance(node, exp.Anonymous):
        return node.name.lower() in _NAMED
    return isinstance(node, (exp.AggFunc, exp.ArrayAgg, exp.FirstValue, exp.LastValue, exp.Any)) and not isinstance(
        node, (exp.Grouping, exp.GroupingId)
    )


def aggregates(expression: exp.Expr) -> Iterator[exp.Expr]:
    """The outermost aggregates in an expression; a window's own function is none, but there may be some in it."""
    if is_aggregate(expression):
        yield expression
    elif not isinstance(expression, exp.Column):
        for part in _of_window(expression) if isinstance(expression, exp.Window) else expression.iter_expressions():
            yield from aggregates(part)


def _of_window(window: exp.Expr) -> Iterator[exp.Expr]:
    function: exp.Expr = window.this
    while isinstance(function, (exp.Filter, exp.IgnoreNulls, exp.RespectNulls)):
        function = function.this
    yield from function.iter_expressions()
    yield from (part for part in window.iter_expressions() if part is not window.this)


def distinct_sets(node: Aggregate) -> list[tuple[exp.Expr, ...]]:
    """The sets of values that aggregates want each once: `count(DISTINCT a, b)` has one of two."""
    found = [
        tuple(distinct.expressions) for aggregate in node.made.values() for distinct in aggregate.find_all(exp.Distinct)
    ]
    return list(dict.fromkeys(found))


# -- buffers ----------------------------------------------------------------------------------------------------------

#: Where an aggregate's FILTER goes, if not behind it.
ONLY = "\0"


def buffers(
    aggregate: exp.Expr, spelled: Callable[[exp.Expr], str], kind: Callable[[exp.Expr], str]
) -> list[str] | None:
    """The columns of an aggregate's buffer, as DuckDB computes what stands in them; None where they are not known.

    Args:
        aggregate: With its FILTER.
        spelled: An expression as DuckDB text.
        kind: The type of an expression.
    """
    only = ""
    while isinstance(aggregate, (exp.Filter, exp.IgnoreNulls)):
        if isinstance(aggregate, exp.Filter):
            only = f" FILTER (WHERE {spelled(aggregate.expression.this)})"
        aggregate = aggregate.this
    if isinstance(aggregate, exp.WithinGroup):
        values = spelled(aggregate.expression.expressions[0].this)
        return [f"list({{'v': {values}, 'n': 1::BIGINT}}){only}"]
    if any(isinstance(each, exp.Distinct) for each in (aggregate.this, *aggregate.expressions)):
        return [f"count(*){only}"]
    rule = _BUFFERS.get(aggregate.name.lower() if isinstance(aggregate, exp.Anonymous) else type(aggregate))
    if rule is None:
        return None
    value = aggregate.expressions[0] if isinstance(aggregate, exp.Anonymous) else aggregate.this
    text = spelled(value) if isinstance(value, exp.Expr) and not isinstance(value, exp.Star) else "1"
    found = (each if ONLY in each else f"{each}{ONLY}" for each in rule(aggregate, text, spelled, kind))
    return [each.replace(ONLY, only) for each in found]


def _sum(aggregate: exp.Expr, text: str, _: Any, kind: Callable[[exp.Expr], str]) -> list[str]:
    """The sum, in 64 bits of integers; of decimals, whether there was none yet, too."""
    given = kind(aggregate.this)
    if given.startswith("DECIMAL"):
        return [f"sum({text})", "bool_and(false)"]
    return [f"sum({text})" if given in ("FLOAT", "DOUBLE", "?") else f"CAST(sum({text}){ONLY} AS BIGINT)"]


def _average(_: exp.Expr, text: str, __: Any, ___: Any) -> list[str]:
    return [f"sum({text})", f"count({text})"]


def _extreme(function: str) -> Callable[..., list[str]]:
    return lambda _, text, *__: [f"{function}({text})"]


def _by(function: str, least: str) -> Callable[..., list[str]]:
    """`min_by(x, y)` keeps both; with a number, lists of both and their order in the heap."""

    def kept(aggregate: exp.Expr, text: str, spelled: Callable[[exp.Expr], str], _: Any) -> list[str]:
        order = spelled(aggregate.expression)
        count = aggregate.args.get("count")
        if count is None:
            return [f"{function}({text}, {order})", f"{least}({order})"]
        n = count.sql("duckdb")
        return [f"{function}({text}, {order}, {n})", f"{least}({order}, {n})", f"repeat('0', 4 * least({n}, count(*)))"]

    return kept


def _sketch(aggregate: exp.Expr, text: str, *_: Any) -> list[str]:
    """HyperLogLog++: how many values it saw, and its registers, which `registers` puts out."""
    error = float(aggregate.args["accuracy"].name) if aggregate.args.get("accuracy") else 0.05
    return [f"[approx_count_distinct({text}){ONLY}, {registers_of(error)}]"]


def _moments(number: int) -> Callable[..., list[str]]:
    def kept(_: exp.Expr, text: str, *__: Any) -> list[str]:
        return ["count(*)::DOUBLE", *(f"avg({text}) * {1 + power / 7}" for power in range(number - 1))]

    return kept


_BUFFERS: Mapping[Any, Callable[..., list[str]]] = {
    exp.Sum: _sum,
    exp.Count: lambda _, text, *__: [f"count({text})"],
    exp.CountIf: lambda _, text, *__: [f"count(*) FILTER (WHERE {text})"],
    "count_if": lambda _, text, *__: [f"count(*) FILTER (WHERE {text})"],
    exp.Avg: _average,
    exp.Min: _extreme("min"),
    exp.Max: _extreme("max"),
    exp.LogicalAnd: _extreme("bool_and"),
    exp.LogicalOr: _extreme("bool_or"),
    "bool_and": _extreme("bool_and"),
    "bool_or": _extreme("bool_or"),
    exp.BitwiseAndAgg: _extreme("bit_and"),
    exp.BitwiseOrAgg: _extreme("bit_or"),
    exp.AnyValue: lambda _, text, *__: [f"first({text})", "bool_and(true)"],
    exp.First: lambda _, text, *__: [f"first({text})", "bool_and(true)"],
    exp.Last: lambda _, text, *__: [f"last({text})", "bool_and(true)"],
    exp.ArgMin: _by("min_by", "min"),
    exp.ArgMax: _by("max_by", "max"),
    exp.ArrayAgg: _extreme("list"),
    exp.ApproxDistinct: _sketch,
    exp.Stddev: _moments(3),
    exp.StddevSamp: _moments(3),
    exp.StddevPop: _moments(3),
    exp.Variance: _moments(3),
    exp.VariancePop: _moments(3),
    exp.Corr: _moments(6),
    exp.CovarPop: _moments(4),
    exp.CovarSamp: _moments(4),
    exp.Median: lambda _, text, *__: [f"list({{'v': {text}, 'n': 1::BIGINT}})"],
}
