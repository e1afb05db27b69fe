"""One row a group, with any aggregates that mean the same on both engines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from sqlglot import exp

from penstock import sql
from penstock.errors import UsageError
from penstock.tables import By, Table, columns, engine_of, grouped, native, resolve, type_of

__all__ = ["aggregate"]

#: Aggregates that give one answer on both engines, in our dialect's names.
PORTABLE = (
    "any_value", "approx_count_distinct", "approx_distinct", "arg_max", "arg_min", "array_agg", "avg", "bit_and", "bit_or",
    "bool_and", "bool_or", "corr", "count", "count_if", "covar_pop", "covar_samp", "list", "max", "max_by", "mean", "median",
    "min", "min_by", "quantile_cont", "quantile_disc", "stddev", "stddev_pop", "stddev_samp", "string_agg", "sum", "var_pop",
    "var_samp", "variance",
)  # fmt: skip
_NODES = (
    exp.AnyValue, exp.ApproxDistinct, exp.ArgMax, exp.ArgMin, exp.ArrayAgg, exp.Avg, exp.BitwiseAndAgg, exp.BitwiseOrAgg,
    exp.Corr, exp.Count, exp.CountIf, exp.CovarPop, exp.CovarSamp, exp.GroupConcat, exp.LogicalAnd, exp.LogicalOr, exp.Max,
    exp.Median, exp.Min, exp.PercentileCont, exp.PercentileDisc, exp.Stddev, exp.StddevPop, exp.StddevSamp, exp.Sum,
    exp.Variance, exp.VariancePop,
)  # fmt: skip
_NUMERIC = (exp.Avg, exp.Corr, exp.CovarPop, exp.CovarSamp, exp.Median, exp.PercentileCont, exp.Stddev, exp.StddevPop,
            exp.StddevSamp, exp.Sum, exp.Variance, exp.VariancePop)  # fmt: skip
#: How much a heavy key is divided, and what makes a key heavy: its share of a sample of rows.
SALTS = 16
HEAVY = 0.05
SAMPLE = 100_000


def aggregate(t: Table, by: By = (), *, skew: Literal["auto", "salt", "none"] = "auto", **aggregates: str) -> Table:
    """Group a table and compute aggregates of each group.

    For the most frequent keys take `top`; for quantiles in bounded memory, `quantiles`.

    Args:
        t: A table of either engine.
        by: Group keys: a column, several, or `{"day": "date_trunc('day', ts)"}`; none for one row over the table.
        skew: What to do about a key that holds many of the rows, on Spark: "salt" divides measured heavy keys by a hash
            of the row, aggregates the parts and then the whole; "none" never does; "auto" does where it pays.
        **aggregates: Names and SQL aggregate expressions: `total="sum(amount)", n="count(*)", rate="sum(ok) / count(*)"`.

    Returns:
        The group keys, then the aggregates in the order given; one row a group.

    Cost:
        Spark: 1 exchange of one row a group and partition (the combiner); `list`, `string_agg`, `median` and exact
        quantiles move every value, and one task must hold those of one group. DuckDB: one hash table of the groups, spills.

    Ties and nulls:
        A null key is a group. Aggregates skip nulls; `count(*)` counts rows. Sums of integers are exact or an error.
        `any_value` is the least value; `arg_max(x, y)` takes the least x where several rows have the highest y.

    Raises:
        ColumnError: a key or an aggregate names a column that the table does not have.
        UsageError: an aggregate that the engines do not agree on, or of the wrong type.

    Example:
        >>> t = ps.adopt([{"k": "a", "v": 1}, {"k": "a", "v": 2}, {"k": "b", "v": None}])
        >>> sorted(aggregate(t, "k", n="count(*)", total="sum(v)").fetchall())
        [('a', 2, 3), ('b', 1, None)]
    """
    if not aggregates:
        raise UsageError("aggregate was given no aggregate", 'name one: aggregate(t, "country", n="count(*)")')
    if skew not in ("auto", "salt", "none"):
        raise UsageError(f'skew="{skew}" is unknown', 'give "auto", "salt" or "none"')
    t, keys = grouped(t, by)
    taken = {key.casefold() for key in keys}
    for name, text in aggregates.items():
        if name.casefold() in taken:
            raise UsageError(f'"{name}" is a group key already', "give the aggregate another name")
        resolve(t, sql.columns_of(text))
    if skew == "salt" and engine_of(t).name == "spark":
        return _salted(t, keys, aggregates)
    return _combined(t, keys, aggregates)


def _combined(t: Table, keys: list[str], aggregates: dict[str, str]) -> Table:
    """One GROUP BY: both engines combine within a partition before they move anything."""
    engine, present = engine_of(t), columns(t)
    groups = [sql.group_key(key, present[key], engine.name) for key in keys]
    computed = [f"{_spelled(t, text)} AS {sql.quote(name, engine.name)}" for name, text in aggregates.items()]
    positions = ", ".join(str(position + 1) for position in range(len(keys)))
    grouping = f" GROUP BY {positions}" if keys else ""
    found = engine.query(f"SELECT {', '.join([*groups, *computed])} FROM t{grouping}", {"t": t})
    # DuckDB sums integers in 128 bits: exact. Back to 64, where a sum that does not fit is an error.
    wide = {name for name, kind in columns(found).items() if kind == "HUGEINT"}
    if not wide:
        return found
    narrowed = [f"CAST({c} AS BIGINT) AS {c}" if name in wide else c for name in columns(found) for c in [sql.quote(name)]]
    return engine.query(f"SELECT {', '.join(narrowed)} FROM t", {"t": found})


# -- spelling one aggregate expression ----------------------------------------------------------------------------------


def _spelled(t: Table, text: str) -> str:
    """An aggregate expression for the table's engine, with what the engines do not agree on made one."""
    dialect = engine_of(t).name
    tree = sql.expression(text)
    _check(tree, text)
    # Fragments that sqlglot cannot hold stand behind names while it works.
    fragments: dict[str, str] = {}
    for node in tree.find_all(*_NUMERIC):
        value = node.this.expressions[0] if isinstance(node.this, exp.Distinct) else node.this
        if (kind := type_of(t, value.sql("duckdb"))) in ("VARCHAR", "BLOB", "BOOLEAN", "DATE") or kind.startswith("TIME"):
            shown = node.sql("duckdb").lower()
            raise UsageError(f"{shown} needs numbers, and {value.sql('duckdb')} is {kind}", "cast it: sum(x::BIGINT)")
    for node in list(tree.find_all(exp.ArgMax, exp.ArgMin, exp.Sum, exp.ArrayAgg)):
        native_text = _one_answer(t, node, dialect)
        if native_text is None:
            continue
        name = f"penstock_fragment_{len(fragments)}"
        fragments[name] = native_text
        if node is tree:
            tree = exp.column(name)
        else:
            node.replace(exp.column(name))
    spelled = sql.spell(tree.sql("duckdb"), dialect)
    for name, fragment in fragments.items():
        spelled = spelled.replace(name, fragment)
    return spelled


def _check(tree: exp.Expression, text: str) -> None:
    for node in tree.find_all(exp.AggFunc, exp.Anonymous):
        known = isinstance(node, _NODES) or (isinstance(node, exp.Anonymous) and not _looks_like_aggregate(node))
        if isinstance(node, exp.IgnoreNulls):
            continue
        if not known:
            name = node.name if isinstance(node, exp.Anonymous) else node.sql_name().lower()
            raise UsageError(f'"{name}" in {text} has no one answer on both engines', f"portable: {', '.join(PORTABLE)}")
    if not any(isinstance(node, _NODES) for node in tree.walk()):
        raise UsageError(f"{text} aggregates nothing", "wrap it: sum(…), max(…), count(*)")
    for node in tree.find_all(exp.ArrayAgg, exp.GroupConcat):
        if not node.find(exp.Order):
            raise UsageError(f"{text} has no order", f"give it one: {node.sql_name().lower()}(x ORDER BY x)")


def _looks_like_aggregate(node: exp.Anonymous) -> bool:
    return node.name.lower() in ("product", "histogram", "entropy", "first", "last", "mad", "sem", "reservoir_quantile")


def _one_answer(t: Table, node: exp.Expression, dialect: str) -> str | None:
    """The engine's own text for an aggregate on which the engines differ, or None where they agree."""
    if isinstance(node, exp.ArrayAgg) and dialect == "duckdb":
        value = sql.spell(node.this.this.sql("duckdb") if isinstance(node.this, exp.Order) else node.this.sql("duckdb"), dialect)
        return f"coalesce({node.sql('duckdb')} FILTER (WHERE {value} IS NOT NULL), [])"  # nulls are skipped; none is []
    if isinstance(node, (exp.ArgMax, exp.ArgMin)):
        x, y = node.this.sql("duckdb"), node.expression.sql("duckdb")
        order = [(sql.Order(y, isinstance(node, exp.ArgMax)), type_of(t, y)), (sql.Order(x), type_of(t, x))]
        least = f"min_by({sql.spell(x, dialect)}, {sql.sort_key(order, dialect)})"
        return f"{least} FILTER (WHERE ({sql.spell(x, dialect)}) IS NOT NULL AND ({sql.spell(y, dialect)}) IS NOT NULL)"
    if isinstance(node, exp.Sum) and dialect == "spark" and not isinstance(node.this, exp.Distinct):
        value = node.this.sql("duckdb")
        return _exact_sum(sql.spell(value, dialect)) if type_of(t, value) == "BIGINT" else None
    return None


def _exact_sum(value: str) -> str:
    """Spark's sum of longs fails when a part overflows although the whole fits, and which part depends on the partitions.

    The high and low halves cannot overflow; put together as a decimal they are exact, or fail to fit at the very end.
    """
    high, low = f"sum(shiftright({value}, 32))", f"sum(({value}) & 4294967295)"
    return f"CAST(CAST({high} AS DECIMAL(20, 0)) * 4294967296 + {low} AS BIGINT)"


# -- heavy keys -----------------------------------------------------------------------------------------------------------

# A partial aggregate and the one that merges its parts.
_MERGE = {exp.Sum: "sum", exp.Count: "sum", exp.CountIf: "sum", exp.Min: "min", exp.Max: "max",
          exp.LogicalAnd: "bool_and", exp.LogicalOr: "bool_or"}  # fmt: skip


def _salted(t: Table, keys: list[str], aggregates: dict[str, str]) -> Table:
    """Divide the heavy keys of a sample by a hash of the row, aggregate the parts, then the whole.

    Never by `rand()`: a task that is tried again would draw other numbers and lose or double rows (SPARK-23207).
    """
    if not keys:
        return _combined(t, keys, aggregates)
    parts: dict[str, str] = {}
    whole = {name: _parts_of(text, parts) for name, text in aggregates.items()}
    # 1. Heavy keys, found in the same plan: nothing runs before the result is asked for.
    names, same = sql.quoted(keys, "spark"), " AND ".join(f"t.{k} <=> heavy.{k}" for k in (sql.quote(k, "spark") for k in keys))
    sample = f"SELECT {names} FROM t LIMIT {SAMPLE}"
    heavy = f"SELECT {names}, true AS is_heavy FROM (SELECT {names}, count(*) AS n, sum(count(*)) OVER () AS total FROM ({sample}) GROUP BY {names}) WHERE n > {HEAVY} * total"
    hashed = sql.quoted([name for name, kind in columns(t).items() if "MAP(" not in kind], "spark", "t.")
    salt = f"CASE WHEN heavy.is_heavy THEN pmod(xxhash64({hashed}), {SALTS}) ELSE 0 END AS penstock_salt"
    salted = native(
        {"spark": f"WITH heavy AS ({heavy}) SELECT /*+ BROADCAST(heavy) */ t.*, {salt} FROM t LEFT JOIN heavy ON {same}"}, t=t
    )
    # 2. The parts, then the whole.
    return _combined(_combined(salted, [*keys, "penstock_salt"], parts), keys, whole)


def _parts_of(text: str, parts: dict[str, str]) -> str:
    """Rewrite an aggregate over rows as one over its parts, noting the parts by name."""
    tree = sql.expression(text)
    _check(tree, text)
    for node in list(_aggregates(tree)):
        merge = _MERGE.get(type(node))
        if isinstance(node, exp.Avg):
            total, number = (_part(parts, f"{f}({node.this.sql('duckdb')})") for f in ("sum", "count"))
            merged = f"(sum({total}) / sum({number}))"
        elif merge is None or isinstance(node.this, exp.Distinct):
            raise UsageError(f"{text} cannot be salted: its parts cannot be merged", 'leave skew="auto"')
        else:
            merged = f"{merge}({_part(parts, node.sql('duckdb'))})"
        replacement = sql.expression(merged)
        if node is tree:
            tree = replacement
        else:
            node.replace(replacement)
    return tree.sql("duckdb")


def _part(parts: dict[str, str], text: str) -> str:
    return next((name for name, known in parts.items() if known == text), None) or parts.setdefault(
        f"penstock_part_{len(parts)}", text
    ) and f"penstock_part_{len(parts) - 1}"


def _aggregates(tree: exp.Expression) -> Iterator[exp.Expression]:
    return (node for node in tree.walk() if isinstance(node, _NODES))
