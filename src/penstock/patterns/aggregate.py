"""One row a group, with any aggregates that mean the same on both engines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from sqlglot import exp

from penstock import sql
from penstock.aggregates import check, group, is_aggregate
from penstock.errors import UsageError
from penstock.made import remembered
from penstock.tables import By, Table, columns, engine_of, grouped, refuse_names, resolve

__all__ = ["aggregate"]

#: How much a heavy key is divided, and what makes a key heavy: its share of a sample of rows.
SALTS = 16
HEAVY = 0.05
SAMPLE = 100_000


@remembered
def aggregate(t: Table, /, by: By = (), *, skew: Literal["auto", "salt", "none"] = "auto", **aggregates: str) -> Table:
    """Group a table and compute aggregates of each group.

    For the most frequent keys take `top`; for quantiles in bounded memory, `quantiles`.

    Args:
        t: A table of either engine.
        by: Group keys: a column, several, or `{"day": "date_trunc('day', ts)"}`; none for one row over the table.
        skew: What to do about a key that holds many of the rows, on Spark: "salt" divides measured heavy keys by a hash
            of the row, aggregates the parts and then the whole; "none" never does; "auto" does where it pays.
        **aggregates: Names and SQL aggregate expressions: `total="sum(amount)", n="count(*)", r="sum(ok) / count(*)"`.

    Returns:
        The group keys, then the aggregates in the order given; one row a group.

    Cost:
        Spark: 1 exchange of one row a group and partition (the combiner); `list`, `string_agg`, `median` and exact
        quantiles move every value, and one task must hold those of one group. DuckDB: one hash table, spills.

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
    refuse_names(keys, aggregates)
    for text in aggregates.values():
        resolve(t, sql.columns_of(text))
    if skew == "salt" and keys and engine_of(t).name == "spark":
        return _salted(t, keys, aggregates)
    return group(t, keys, aggregates)


#: Each aggregate that can be taken in parts, and the aggregate that merges the parts.
_MERGE: Mapping[type[exp.Expr], str] = {
    exp.Sum: "sum", exp.Count: "sum", exp.CountIf: "sum", exp.Min: "min", exp.Max: "max", exp.AnyValue: "min",
    exp.LogicalAnd: "bool_and", exp.LogicalOr: "bool_or",
}  # fmt: skip


def _salted(t: Table, keys: list[str], aggregates: dict[str, str]) -> Table:
    """Divide the heavy keys of a sample by a hash of the row, aggregate the parts, then the whole.

    Never by `rand()`: a task that is tried again would draw other numbers and lose or double rows (SPARK-23207).
    """
    parts: dict[str, str] = {}
    whole = {name: _over_parts(text, parts) for name, text in aggregates.items()}
    # 1. The heavy keys, found inside the same plan, so that nothing runs before the result is asked for.
    names = sql.quoted(keys, "spark")
    sample = f"SELECT {names} FROM t LIMIT {SAMPLE}"
    counts = "count(*) AS penstock_n, sum(count(*)) OVER () AS penstock_all"
    shares = f"SELECT {names}, {counts} FROM ({sample}) GROUP BY {names}"
    heavy = f"SELECT * FROM ({shares}) WHERE penstock_n > {HEAVY} * penstock_all"
    # 2. A salt a row: a hash of the row for heavy keys, 0 for all others.
    same = " AND ".join(f"t.{key} <=> heavy.{key}" for key in (sql.quote(key, "spark") for key in keys))
    row = sql.quoted([name for name, kind in columns(t).items() if "MAP(" not in kind], "spark", "t.")
    salt = f"CASE WHEN heavy.penstock_n IS NULL THEN 0 ELSE pmod(xxhash64({row}), {SALTS}) END"
    divided = engine_of(t).query(
        f"WITH heavy AS ({heavy}) SELECT /*+ BROADCAST(heavy) */ t.*, {salt} AS penstock_salt "
        f"FROM t LEFT JOIN heavy ON {same}",
        {"t": t},
    )
    # 3. The parts, then the whole.
    return group(group(divided, [*keys, "penstock_salt"], parts), keys, whole)


def _over_parts(text: str, parts: dict[str, str]) -> str:
    """Rewrite an aggregate over rows as one over its parts, and note the parts by name."""
    names = {known: name for name, known in parts.items()}

    def part(aggregate_text: str) -> str:
        name = names.setdefault(aggregate_text, f"penstock_part_{len(names)}")
        parts[name] = aggregate_text
        return name

    def merged(node: exp.Expr) -> exp.Expr:
        if not is_aggregate(node):
            return node
        if isinstance(node.this, exp.Distinct) or type(node) not in (*_MERGE, exp.Avg):
            raise UsageError(f"{text} cannot be salted: its parts cannot be merged", 'leave skew="auto"')
        if isinstance(node, exp.Avg):
            value = node.this.sql("duckdb")
            return sql.expression(f"(sum({part(f'sum({value})')}) / sum({part(f'count({value})')}))")
        return sql.expression(f"{_MERGE[type(node)]}({part(node.sql('duckdb'))})")

    return check(text).transform(merged).sql("duckdb")
