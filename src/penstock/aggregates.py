"""What an aggregate expression means on both engines, and the one GROUP BY that patterns are built on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlglot import exp

from penstock import sql
from penstock.dialect.groups import without_filters
from penstock.errors import UsageError
from penstock.tables import Table, columns, engine_of, portable, type_of

__all__ = ["PORTABLE", "check", "computes", "group", "is_aggregate"]

#: Aggregates that give one answer on both engines, by the names of our dialect.
PORTABLE = (
    "any_value", "approx_count_distinct", "arg_max", "arg_min", "avg", "bit_and", "bit_or", "bool_and", "bool_or",
    "corr", "count", "count_if", "covar_pop", "covar_samp", "list", "max", "median", "min", "quantile_cont",
    "quantile_disc", "stddev", "stddev_pop", "string_agg", "sum", "var_pop", "variance",
)  # fmt: skip
_COMPUTING = (
    exp.Avg, exp.Corr, exp.CovarPop, exp.CovarSamp, exp.Median, exp.PercentileCont, exp.Stddev, exp.StddevPop,
    exp.StddevSamp, exp.Sum, exp.Variance, exp.VariancePop,
)  # fmt: skip
_NODES = (
    *_COMPUTING, exp.AnyValue, exp.ApproxDistinct, exp.ArgMax, exp.ArgMin, exp.ArrayAgg, exp.BitwiseAndAgg,
    exp.BitwiseOrAgg, exp.Count, exp.CountIf, exp.GroupConcat, exp.LogicalAnd, exp.LogicalOr, exp.Max, exp.Min,
    exp.PercentileDisc,
)  # fmt: skip


def group(t: Table, keys: Sequence[str], aggregates: Mapping[str, str]) -> Table:
    """One row a group with its aggregates. Both engines combine within a partition before they move anything."""
    engine, present = engine_of(t), columns(t)
    groups = [sql.group_key(key, present[key], engine.name) for key in keys]
    computed = [f"{_spelled(t, text)} AS {sql.quote(name, engine.name)}" for name, text in aggregates.items()]
    positions = ", ".join(str(position + 1) for position in range(len(keys)))
    grouping = f" GROUP BY {positions}" if keys else ""
    return portable(engine.query(f"SELECT {', '.join([*groups, *computed])} FROM t{grouping}", {"t": t}))


def is_aggregate(node: exp.Expr) -> bool:
    """Whether a node is an aggregate with one answer on both engines."""
    return isinstance(node, _NODES)


def computes(text: str) -> bool:
    """Whether an aggregate computes with numbers. The others hand on a value that stands in the input."""
    return sql.expression(text).find(*_COMPUTING) is not None


def check(text: str) -> exp.Expr:
    """Parse an aggregate expression; every column of it must be inside an aggregate that the engines agree on."""
    tree = without_filters(sql.expression(text))
    if not any(map(is_aggregate, tree.walk())) and not tree.find(exp.Func):
        raise UsageError(f"{text} aggregates nothing", "wrap it: sum(…), max(…), count(*)")
    for column in tree.find_all(exp.Column):
        if not column.find_ancestor(*_NODES):
            outer = column.find_ancestor(exp.Func) or column
            raise UsageError(
                f"{outer.sql('duckdb')} has no one answer on both engines", f"portable: {', '.join(PORTABLE)}"
            )
    for node in tree.find_all(exp.ArrayAgg, exp.GroupConcat):
        if not node.find(exp.Order):
            raise UsageError(f"the order of {text} is left open", "add one inside: list(x ORDER BY x)")
    return tree


def _spelled(t: Table, text: str) -> str:
    """An aggregate expression in the dialect of the table's engine, made one where the engines differ."""
    dialect = engine_of(t).name
    tree = check(text)
    _check_types(t, tree)
    # A fragment in the engine's own dialect stands behind a name while sqlglot works.
    fragments: dict[str, str] = {}
    for node in list(tree.find_all(exp.ArgMax, exp.ArgMin, exp.Sum)):
        fragment = _fragment(t, node, dialect)
        if fragment is not None:
            stand_in = exp.column(f"penstock_fragment_{len(fragments)}_")
            fragments[stand_in.name] = fragment
            if node is tree:
                tree = stand_in
            else:
                node.replace(stand_in)
    spelled = sql.spell(tree.sql("duckdb"), dialect, columns(t))
    for name, fragment in fragments.items():
        spelled = spelled.replace(name, fragment)
    return spelled


def _check_types(t: Table, tree: exp.Expr) -> None:
    for node in tree.find_all(*_COMPUTING):
        value = (node.this.expressions[0] if isinstance(node.this, exp.Distinct) else node.this).sql("duckdb")
        kind = type_of(t, value)
        if kind in ("VARCHAR", "BLOB", "BOOLEAN", "DATE") or kind.startswith("TIME"):
            call = node.sql("duckdb")
            raise UsageError(f"{call} needs numbers, and {value} is {kind}", f"cast it: {value}::BIGINT, or count it")


def _fragment(t: Table, node: exp.Expr, dialect: str) -> str | None:
    """The engine's own text for an aggregate on which the engines differ, or None where they agree."""
    if isinstance(node, (exp.ArgMax, exp.ArgMin)):
        x, y = node.this.sql("duckdb"), node.expression.sql("duckdb")
        highest, least = sql.Order(y, isinstance(node, exp.ArgMax), columns(t)), sql.Order(x, types=columns(t))
        order = [(highest, type_of(t, y)), (least, type_of(t, x))]
        x_native, y_native = least.spelled(dialect), highest.spelled(dialect)
        first = f"min_by({x_native}, {sql.sort_key(order, dialect)})"
        return f"{first} FILTER (WHERE ({x_native}) IS NOT NULL AND ({y_native}) IS NOT NULL)"
    if isinstance(node, exp.Sum) and dialect == "spark" and not isinstance(node.this, exp.Distinct):
        value = node.this.sql("duckdb")
        return _exact_sum(sql.spell(value, dialect, columns(t))) if type_of(t, value) == "BIGINT" else None
    return None


def _exact_sum(value: str) -> str:
    """Spark's sum of longs fails when a part overflows although the whole fits, and the parts depend on the partitions.

    Sums of the high and of the low halves cannot overflow; put together as a decimal they are exact, or do not fit at
    the very end, as on DuckDB.
    """
    high, low = f"sum(shiftright({value}, 32))", f"sum(({value}) & 4294967295)"
    return f"CAST(CAST({high} AS DECIMAL(20, 0)) * 4294967296 + {low} AS BIGINT)"
