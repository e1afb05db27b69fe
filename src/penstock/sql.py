"""SQL as text: quoting, durations, orders, and one dialect (DuckDB's) spelled for each engine.

Everything here works on text and runs nothing. `spell` is the one door from our dialect to an engine's: it parses with
sqlglot, applies the meanings that docs/semantics.md promises (`meaning`), and lets sqlglot write the engine's dialect,
with the spellings that sqlglot 30 leaves wrong corrected in `SPARK`.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.annotate_types import annotate_types

from penstock.errors import UsageError

__all__ = [
    "Order",
    "columns_of",
    "duration",
    "expression",
    "group_key",
    "literal",
    "orders",
    "plain_column",
    "quote",
    "quoted",
    "sort_key",
    "spell",
    "type_for",
    "unused",
]


def quote(name: str, dialect: str = "duckdb") -> str:
    r"""Any column name as an identifier.

    >>> print(quote('a "b" c'), quote("user`id", "spark"))
    "a ""b"" c" `user``id`
    """
    mark = "`" if dialect == "spark" else '"'
    return f"{mark}{name.replace(mark, mark * 2)}{mark}"


def quoted(names: Iterable[str], dialect: str = "duckdb", prefix: str = "") -> str:
    """A comma-separated list of identifiers, each behind `prefix`."""
    return ", ".join(prefix + quote(name, dialect) for name in names)


def unused(name: str, present: Iterable[str]) -> str:
    """A name that no column has, for what a plan carries along.

    >>> unused("cut", ["k", "Cut"])
    'cut_'
    """
    taken = {column.casefold() for column in present}
    while name.casefold() in taken:
        name += "_"
    return name


def literal(value: str, dialect: str = "duckdb") -> str:
    """A text value as SQL.

    >>> print(literal("it's"), literal("it's", "spark"))
    'it''s' 'it\\'s'
    """
    return exp.Literal.string(value).sql(dialect)


_UNITS = {
    "us": 1, "microsecond": 1, "ms": 1_000, "millisecond": 1_000, "s": 1_000_000, "sec": 1_000_000, "second": 1_000_000,
    "m": 60_000_000, "min": 60_000_000, "minute": 60_000_000, "h": 3_600_000_000, "hour": 3_600_000_000,
    "d": 86_400_000_000, "day": 86_400_000_000, "w": 604_800_000_000, "week": 604_800_000_000,
}  # fmt: skip
_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*", re.IGNORECASE)


def duration(value: str | datetime.timedelta) -> int:
    """A length of time in microseconds.

    >>> duration("30 minutes"), duration("1h 30m"), duration(datetime.timedelta(seconds=1))
    (1800000000, 5400000000, 1000000)
    """
    if isinstance(value, datetime.timedelta):
        return value // datetime.timedelta(microseconds=1)
    total, position = 0.0, 0
    while position < len(value) and (part := _DURATION.match(value, position)):
        unit = part[2].lower()
        micros = _UNITS.get(unit) or _UNITS.get(unit.removesuffix("s"))
        if micros is None:
            break
        total, position = total + float(part[1]) * micros, part.end()
    if position == 0 or position < len(value):
        raise UsageError(f'"{value}" is not a length of time', 'write it like "30 minutes", "1s", "1h 30m" or "2 days"')
    return round(total)


class Order(NamedTuple):
    """One term of a sort order: an expression in our dialect and its direction. Nulls are last in both."""

    expression: str
    descending: bool = False

    def text(self, dialect: str = "duckdb") -> str:
        """The term for an ORDER BY."""
        return f"{spell(self.expression, dialect)} {'DESC' if self.descending else 'ASC'} NULLS LAST"


def expression(text: str) -> exp.Expression:
    """Parse one SQL expression of our dialect; what does not parse is the caller's error, shown with its place."""
    return _parsed(f"SELECT {text}", text).expressions[0]


def orders(order: str | Iterable[str]) -> list[Order]:
    """The terms of `"amount desc, ts"`, or of a list of such.

    >>> orders("amount desc, lower(name)")
    [Order(expression='amount', descending=True), Order(expression='LOWER(name)', descending=False)]
    """
    text = order if isinstance(order, str) else ", ".join(order)
    if not text.strip():
        raise UsageError("the order is empty", 'name columns, each with its direction: "amount desc, ts"')
    clause = _parsed(f"SELECT 1 ORDER BY {text}", text).args["order"]
    return [Order(term.this.sql("duckdb"), bool(term.args.get("desc"))) for term in clause.expressions]


def columns_of(text: str) -> list[str]:
    """The columns that an expression reads, in order of appearance."""
    tree = expression(text)
    bound = {p.name for scope in tree.find_all(exp.Lambda) for p in scope.expressions}
    found = [column.parts[0].name for column in tree.find_all(exp.Column) if not isinstance(column.this, exp.Star)]
    return list(dict.fromkeys(name for name in found if name not in bound))


def plain_column(text: str) -> str | None:
    """The name of the column that an expression is, if it is no more than that."""
    tree = expression(text)
    return tree.name if isinstance(tree, exp.Column) and len(tree.parts) == 1 else None


def group_key(name: str, kind: str, dialect: str) -> str:
    """A column to group by and to return: DuckDB groups -0.0 with 0.0 but returns the one that came first."""
    column = quote(name, dialect)
    return f"({column} + 0::{kind}) AS {column}" if dialect == "duckdb" and kind in ("FLOAT", "DOUBLE") else column


def _parsed(sql: str, shown: str) -> exp.Expression:
    try:
        tree = sqlglot.parse_one(sql, read="duckdb")
    except SqlglotError as error:
        raise UsageError(f"this is not SQL: {shown}", str(error).splitlines()[0]) from error
    if not isinstance(tree, exp.Query):
        raise UsageError(f"this is not a query: {shown}", "write one SELECT; Penstock never changes what it reads")
    return tree


def spell(text: str, dialect: str, types: Mapping[str, str] | None = None, *, query: bool = False) -> str:
    """An expression (or a whole query) of our dialect, with our meanings, in an engine's dialect.

    `types` are the columns' types, for the few meanings that rest on them.

    >>> spell("a / b", "spark")
    'CAST(a AS DOUBLE) / NULLIF(CAST(b AS DOUBLE), 0)'
    """
    tree = _parsed(text, text) if query else expression(text)
    if types:
        tree = _annotated(tree, types)
    rules: Mapping[type[exp.Expression], Callable[..., exp.Expression]] = {
        **MEANING,
        **(SPARK if dialect == "spark" else {}),
    }
    # Deepest first, so that a rule sees operands that are spelled already and its own output is not visited again.
    for node in reversed(list(tree.walk(bfs=True))):
        rule = rules.get(type(node))
        if rule is None and isinstance(node, exp.Anonymous):
            rule = _NAMED.get(node.name.lower()) if dialect == "spark" else None
        if rule is not None:
            replacement = rule(node, dialect)
            replacement.type = node.type
            if node is tree:
                tree = replacement
            elif replacement is not node:
                node.replace(replacement)
    return tree.sql(dialect)


def _annotated(tree: exp.Expression, types: Mapping[str, str]) -> exp.Expression:
    """The expression with a type on every node; sqlglot looks columns up only behind their table's name."""
    known = {name.casefold(): name for name in types}
    columns = [c for c in tree.find_all(exp.Column) if not c.table and c.name.casefold() in known]
    for column in columns:
        column.set("table", exp.to_identifier("t"))
        column.this.replace(exp.to_identifier(known[column.name.casefold()], quoted=True))
    query = exp.Select(expressions=[tree]).from_("t", copy=False)
    annotate_types(query, schema={"t": dict(types)}, dialect="duckdb")
    for column in columns:
        column.set("table", None)
    return query.expressions[0].pop()


def type_for(duckdb_type: str, dialect: str) -> str:
    """A DuckDB type spelled for the engine.

    >>> type_for("STRUCT(a BIGINT, b VARCHAR)[]", "spark")
    'ARRAY<STRUCT<a: BIGINT, b: STRING>>'
    """
    return exp.DataType.build(duckdb_type, dialect="duckdb").sql(dialect)


def _sql(template: str, **parts: exp.Expression) -> exp.Expression:
    """An expression from a template in our dialect, every `name_` filled with a copy of a part in parentheses."""
    tree = expression(template).transform(
        lambda node: exp.paren(parts[node.name[:-1]]) if isinstance(node, exp.Column) else node
    )
    return exp.paren(tree, copy=False)


def _divide(node: exp.Div, dialect: str) -> exp.Expression:
    left, right = node.this, node.expression
    if dialect == "spark":  # decimal / decimal would stay a decimal there
        left, right = exp.cast(left, "double"), exp.cast(right, "double")
    return exp.Div(this=left.copy(), expression=exp.Nullif(this=right.copy(), expression=exp.Literal.number(0)))


_FRACTIONAL = tuple(exp.DataType.REAL_TYPES)
_REMAINDER_CROSSES = "(a_ % NULLIF(b_, 0) <> 0 AND (a_ % NULLIF(b_, 0) < 0) <> (b_ < 0))"


def _floor_divide(node: exp.IntDiv, dialect: str) -> exp.Expression:
    left, right = node.this, node.expression
    if dialect == "spark" and any(side.is_type(*_FRACTIONAL) for side in (left, right)):
        ratio = _sql("CAST(a_ AS DOUBLE) / NULLIF(CAST(b_ AS DOUBLE), 0)", a=left, b=right)  # DIV takes integers only
        return _rounded(exp.Floor(this=ratio), dialect)
    quotient = "a_ // NULLIF(b_, 0)" if dialect == "spark" else "TRUNC(a_ // NULLIF(b_, 0))"  # 7.5 // 2 is 3.75 there
    return _sql(f"{quotient} - CASE WHEN {_REMAINDER_CROSSES} THEN 1 ELSE 0 END", a=left, b=right)


def _modulo(node: exp.Mod, _: str) -> exp.Expression:
    template = f"CASE WHEN {_REMAINDER_CROSSES} THEN a_ % NULLIF(b_, 0) + b_ ELSE a_ % NULLIF(b_, 0) END"
    return _sql(template, a=node.this, b=node.expression)


def _cast(node: exp.Cast, dialect: str) -> exp.Expression:
    """A fraction cast to an integer is rounded as DuckDB does (doubles half to even, decimals half up); Spark cuts."""
    if dialect != "spark" or not node.to.is_type(*exp.DataType.INTEGER_TYPES) or not node.this.is_type(*_FRACTIONAL):
        return node
    rounding = "bround" if node.this.is_type("double", "float") else "round"
    return exp.Cast(this=_function(rounding, node.this), to=node.to.copy())


def _count_if(node: exp.CountIf, _: str) -> exp.Expression:
    return _sql("count(CASE WHEN x_ THEN 1 END)", x=node.this)  # DuckDB's count_if of no rows is null


def _any_value(node: exp.IgnoreNulls, _: str) -> exp.Expression:
    return exp.Min(this=node.this.this.copy()) if isinstance(node.this, exp.AnyValue) else node


#: What our dialect means where the engines differ from it or from each other (docs/semantics.md, "Numbers").
MEANING: Mapping[type[exp.Expression], Callable[..., exp.Expression]] = {
    exp.Div: _divide,
    exp.IntDiv: _floor_divide,
    exp.Mod: _modulo,
    exp.Cast: _cast,
    exp.CountIf: _count_if,
    exp.IgnoreNulls: _any_value,  # which value is not left to the engine: the least
}


def _function(name: str, *arguments: exp.Expression | str) -> exp.Anonymous:
    return exp.Anonymous(this=name, expressions=[exp.convert(a) if isinstance(a, str) else a.copy() for a in arguments])


def _naive(node: exp.Expression) -> exp.Expression:
    return exp.Cast(this=node, to=exp.DataType.build("timestamp_ntz", dialect="spark"))


def _micros(node: exp.Expression) -> exp.Expression:
    zoned = exp.Cast(this=node.copy(), to=exp.DataType.build("timestamp_ltz", dialect="spark"))
    return _function("unix_micros", zoned)


def _truncate(node: exp.Expression, _: str) -> exp.Expression:
    return _naive(_function("date_trunc", node.unit.name.lower(), node.this))


def _date_diff(node: exp.DateDiff, _: str) -> exp.Expression:
    unit = (node.args.get("unit") or exp.var("day")).name.lower()
    # DuckDB counts the borders crossed, Spark the whole units passed: between truncated times the two are equal.
    start, end = (_function("date_trunc", unit, side) for side in (node.expression, node.this))
    return _function("timestampdiff", exp.var(unit.upper()), start, end)  # type: ignore[arg-type]


def _quantile(name: str) -> Callable[[exp.Expression, str], exp.Expression]:
    def spelled(node: exp.Expression, _: str) -> exp.Expression:
        order = exp.Order(expressions=[exp.Ordered(this=node.this.copy())])
        return exp.WithinGroup(this=_function(name, node.expression), expression=order)

    return spelled


def _sorted_list(node: exp.ArrayAgg, _: str) -> exp.Expression:
    inner = node.this
    if not isinstance(inner, exp.Order):
        return node
    term = inner.expressions[0]
    if len(inner.expressions) > 1 or term.this != inner.this:
        raise UsageError(f"list in another order than its own: {node.sql('duckdb')}", "order it by the value itself")
    ascending = "false" if term.args.get("desc") else "true"
    return _function("sort_array", _function("collect_list", inner.this), exp.var(ascending))  # type: ignore[arg-type]


def _rounded(node: exp.Floor | exp.Ceil, _: str) -> exp.Expression:
    """Spark's floor is a long: 0 for NaN, the highest long for 1e300. From 2^52 on every double is whole already."""
    whole = exp.cast(node.copy(), "double")
    return _sql(
        "CASE WHEN abs(x_) < 4503599627370496 THEN whole_ ELSE CAST(x_ AS DOUBLE) END", x=node.this, whole=whole
    )


def _replace_first(node: exp.RegexpReplace, _: str) -> exp.Expression:
    if "g" not in (node.args.get("modifiers") or exp.Literal.string("")).name:
        raise UsageError(
            "regexp_replace without 'g' replaces once on DuckDB, always on Spark", "add 'g' as 4th argument"
        )
    return node


#: Spellings that sqlglot 30 gets wrong from DuckDB to Spark; each is run on both engines by tests/test_sql.py.
SPARK: Mapping[type[exp.Expression], Callable[..., exp.Expression]] = {
    exp.ArrayAgg: _sorted_list,
    exp.Avg: lambda node, _: exp.Avg(this=exp.cast(node.this.copy(), "double"))
    if not isinstance(node.this, exp.Distinct) else node,  # avg(decimal) stays a decimal there
    exp.Ceil: _rounded,
    exp.DateDiff: _date_diff,
    # Sunday is 1 there and 0 here.
    exp.DayOfWeek: lambda node, _: exp.paren(exp.Sub(this=node.copy(), expression=exp.convert(1))),
    exp.DayOfWeekIso: lambda node, _: _sql("weekday(x_) + 1", x=node.this),
    exp.Floor: _rounded,
    exp.Log: lambda node, _: _function("log10", node.this) if node.args.get("expression") is None else node,
    exp.PercentileCont: _quantile("percentile_cont"),
    exp.PercentileDisc: _quantile("percentile_disc"),
    exp.RegexpReplace: _replace_first,
    exp.TimestampTrunc: _truncate,
    exp.TimeToUnix: lambda node, _: exp.Div(this=exp.cast(_micros(node.this), "double"), expression=exp.convert(1e6)),
}  # fmt: skip
_NAMED: Mapping[str, Callable[..., exp.Expression]] = {
    "epoch_us": lambda node, _: _micros(node.expressions[0]),
}


def sort_key(terms: Iterable[tuple[Order, str]], dialect: str) -> str:
    """One value whose ascending order is that of all the terms (each with its DuckDB type), nulls last in each.

    A single key lets both engines keep a bounded heap a group where several order columns make them sort every row
    (DuckDB: 5.7 s against 1.3 s for the top 10 of 676 countries in 20 M rows; Spark: 26 s against 8.3 s).
    """
    if dialect == "duckdb":
        pairs = (f"{spell(o.expression, dialect)}, '{'DESC' if o.descending else 'ASC'} NULLS LAST'" for o, _ in terms)
        return f"create_sort_key({', '.join(pairs)})"
    fields = [field for order, kind in terms for field in _spark_key_fields(order, kind)]
    return f"struct({', '.join(fields)})"


def _spark_key_fields(order: Order, kind: str) -> list[str]:
    value = spell(order.expression, "spark")
    absent = f"({value}) IS NULL"  # false sorts before true: nulls last
    if not order.descending:
        return [absent, value]
    if kind in ("TINYINT", "SMALLINT", "INTEGER", "BIGINT"):
        return [absent, f"~({value})"]  # -x would overflow at the least integer
    if kind.startswith("DECIMAL"):
        return [absent, f"-({value})"]
    if kind in ("FLOAT", "DOUBLE"):
        return [absent, f"NOT isnan({value})", f"-({value})"]  # NaN is above every number, and -NaN is NaN
    if kind == "BOOLEAN":
        return [absent, f"NOT ({value})"]
    if kind == "DATE":
        return [absent, f"-unix_date({value})"]
    if kind.startswith("TIMESTAMP"):
        return [absent, f"-unix_micros(CAST({value} AS TIMESTAMP_LTZ))"]
    if kind in ("VARCHAR", "BLOB"):
        # Hexadecimal digits complemented turn the byte order round; "G" after them puts the longer text first.
        return [absent, f"translate(hex({value}), '0123456789ABCDEF', 'FEDCBA9876543210') || 'G'"]
    raise UsageError(
        f"cannot order by {order.expression} downwards: it is {kind}", "order by a number, a time or a text"
    )
