"""Numbers: division by zero is null, `//` floors, `%` has the divisor's sign; casts round; floats print alike."""

from __future__ import annotations

from sqlglot import exp

from penstock.dialect.kinds import kind
from penstock.dialect.rules import FLOAT, Rules, fill, on_spark
from penstock.errors import UsageError

__all__ = ["RULES"]


def _divide(node: exp.Div, dialect: str) -> exp.Expr:
    left, right = node.this, node.expression
    if dialect == "spark":  # decimal / decimal would stay a decimal there
        left, right = exp.cast(left, "double"), exp.cast(right, "double")
    return exp.Div(this=left.copy(), expression=exp.Nullif(this=right.copy(), expression=exp.Literal.number(0)))


_CROSSES = "(x_ % NULLIF(y_, 0) <> 0 AND (x_ % NULLIF(y_, 0) < 0) <> (y_ < 0))"


def _modulo(node: exp.Mod, _: str) -> exp.Expr:
    remainder = "x_ % NULLIF(y_, 0)"
    template = f"CASE WHEN {_CROSSES} THEN {remainder} + y_ ELSE {remainder} END"
    return fill(template, x=node.this, y=node.expression)


def _floor_divide(node: exp.IntDiv, dialect: str) -> exp.Expr:
    left, right = node.this, node.expression
    kinds = {kind(left), kind(right)}
    if "float" in kinds:
        ratio = fill("CAST(x_ AS DOUBLE) / NULLIF(CAST(y_ AS DOUBLE), 0)", x=left, y=right)
        return _whole(exp.Floor(this=ratio), dialect)
    if dialect == "spark":  # DIV takes no doubles: an operand that turns out to be one is an error, not another answer
        return fill(f"x_ DIV NULLIF(y_, 0) - CASE WHEN {_CROSSES} THEN 1 ELSE 0 END", "spark", x=left, y=right)
    # On DuckDB `//` of what is not whole does not even floor: 7.5 // 2 is 3.75.
    quotient = "x_ // NULLIF(y_, 0)" if kinds == {"integer"} else "TRUNC(x_ // NULLIF(y_, 0))"
    return fill(f"CAST({quotient} - CASE WHEN {_CROSSES} THEN 1 ELSE 0 END AS BIGINT)", x=left, y=right)


def _whole(node: exp.Floor | exp.Ceil | exp.Trunc, dialect: str) -> exp.Expr:
    """floor, ceil, trunc: of a decimal a decimal, of anything else a double.

    Spark's are longs: an error for NaN and 1e300. From 2^52 on every double is whole already.
    """
    if node.args.get("decimals") is not None:
        raise UsageError(f"{node.sql('duckdb')}: trunc to a digit is on one engine only", "take round(x, digits)")
    value, found = node.this, kind(node.this)
    plain: exp.Expr = exp.paren(node)
    if isinstance(node, exp.Trunc) and dialect == "spark":
        plain = fill("CASE WHEN x_ < 0 THEN CEIL(x_) ELSE FLOOR(x_) END", "spark", x=value)
    if found == "decimal":
        return plain
    if found == "integer":
        return exp.cast(value.copy(), "double")
    if dialect == "duckdb":
        return fill("CAST(x_ AS DOUBLE) + 0", x=plain)  # -0.0 + 0 is 0.0, as from a long
    template = "CASE WHEN abs(x_) < 4503599627370496 THEN CAST(whole_ AS DOUBLE) ELSE CAST(x_ AS DOUBLE) END"
    return fill(template, "spark", x=value, whole=plain)


_ROUNDED = "round(x_ {times} 1e{digits}) {over} 1e{digits}"

# A product that seems to end in .5 may have been less (2.675 * 100 is 267.49999999999998…): what it lost, exactly, is
# the sum of the products of the number's two halves (Dekker 1971). A power of ten has to have 26 bits for that.
_HIGH = "((x_ * 134217729) - ((x_ * 134217729) - x_))"
_LOST = f"(({_HIGH} * m_ - x_ * m_) + (x_ - {_HIGH}) * m_)"
_LESS = f"abs(round(x_ * m_) - x_ * m_) = 0.5 AND {_LOST} * sign(x_) < 0"
_ROUNDED_EXACTLY = f"(round(x_ * m_) - CASE WHEN {_LESS} THEN sign(x_) ELSE 0 END) / m_"
_EXACT_DIGITS = 11


def _round(node: exp.Round, dialect: str) -> exp.Expr:
    """A float to some digits, by way of a whole number: Spark alone rounds what is printed, 1.005 to 1.01.

    DuckDB rounds what the number is exactly, since 2.0.1: 2.675, which is a little less, to 2.67.
    """
    decimals = node.args.get("decimals")
    if kind(node.this) != "float":
        return node
    sign, size = ("/", decimals.this) if isinstance(decimals, exp.Neg) else ("*", decimals)
    if size is not None and not size.is_int:
        raise UsageError(f"{node.sql('duckdb')}: the number of digits must be a number", "write it, such as 2")
    if dialect == "duckdb":
        return fill("x_ + 0", x=node)  # never -0.0
    if size is None:
        return node
    if sign == "*" and int(size.name) <= _EXACT_DIGITS:
        template = _ROUNDED_EXACTLY.replace("m_", f"1e{size.name}")
    else:
        template = _ROUNDED.format(times=sign, over="*" if sign == "/" else "/", digits=size.name)
    return fill(f"CASE WHEN abs(x_) < 1e22 THEN {template} ELSE x_ END", "spark", x=node.this)


# Where DuckDB rounds (doubles half to even, decimals half away from zero), Spark cuts.
_HALF_EVEN = "CAST(rint(CAST(x_ AS DOUBLE)) AS {type})"
_HALF_UP = "CAST(CAST(x_ AS DECIMAL(38, 0)) AS {type})"
_ANY = f"CASE WHEN {FLOAT} THEN {_HALF_EVEN} WHEN typeof(x_) IN ('bigint', 'int', 'smallint', 'tinyint', 'boolean') \
THEN CAST(x_ AS {{type}}) ELSE {_HALF_UP} END"

# Both print the shortest digits, DuckDB as C does (1e+16, nan), Spark as Java does (1.0E16, NaN).
_PRINTED = r"""CASE
WHEN x_ = double('nan') THEN 'nan'
WHEN abs(x_) = double('inf') THEN if(x_ > 0, 'inf', '-inf')
WHEN x_ = 0 OR abs(x_) >= 0.001 AND abs(x_) < 1e7 THEN CAST(x_ AS STRING)
WHEN abs(x_) >= 0.0001 AND abs(x_) < 1e16
THEN regexp_replace(CAST(CAST(CAST(x_ AS STRING) AS DECIMAL(38, 21)) AS STRING), '(\\.\\d+?)0+$', '$1')
ELSE replace(regexp_replace(regexp_replace(replace(CAST(x_ AS STRING), '.0E', 'E'), 'E(-?)(\\d)$', 'E$10$2'),
'E(\\d)', 'e+$1'), 'E', 'e') END"""
# The branch for floats is type-checked for what is no number, too.
_IF_FLOAT = _PRINTED.replace("x_", "CAST(CAST(x_ AS STRING) AS DOUBLE)")
_PRINTED_IF_FLOAT = f"CASE WHEN {FLOAT} THEN {_IF_FLOAT} ELSE CAST(x_ AS STRING) END"


def _cast(node: exp.Cast, dialect: str) -> exp.Expr:
    to = node.to.sql("duckdb").upper()
    found, target = kind(node.this), kind(node)
    if target == "integer" and (to.startswith("U") or to in ("HUGEINT", "INT128")):
        raise UsageError(f"{node.sql('duckdb')}: Spark has no {to}", "cast to BIGINT or to DECIMAL(38, 0)")
    if to == "BLOB" and found:
        raise UsageError(f"{node.sql('duckdb')}: DuckDB reads escapes there, Spark letters", "take encode(x)")
    if to == "TIME":
        raise UsageError(f"{node.sql('duckdb')}: Spark has no TIME without a date", "strftime(x, '%H:%M:%S')")
    if dialect == "duckdb":
        return node
    if target == "integer" and found not in ("integer", "boolean"):
        template = {"float": _HALF_EVEN, "decimal": _HALF_UP, "text": _HALF_UP}.get(found, _ANY)
        spelled = fill(template.format(type=node.to.sql("spark")), "spark", x=node.this)
        return _tried(spelled) if isinstance(node, exp.TryCast) else spelled
    if target == "decimal" and found == "float":
        digits = node.to.expressions[1].name if len(node.to.expressions) > 1 else "3"
        rounded = _ROUNDED.format(times="*", over="/", digits=digits)
        # What is no number is an error on DuckDB; Spark's cast makes it null, ANSI or not.
        other = "NULL" if isinstance(node, exp.TryCast) else "raise_error(concat(x_, ' is no DECIMAL'))"
        whole = fill(f"if(x_ = double('nan') OR abs(x_) = double('inf'), {other}, {rounded})", "spark", x=node.this)
        return _recast(node, this=whole)
    if target == "text" and found in ("", "float"):
        return fill(_PRINTED if found else _PRINTED_IF_FLOAT, "spark", x=node.this)
    if to in ("TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE"):  # plain TIMESTAMP is naive in our sessions
        return _recast(node, to=exp.DataType.build("timestamp_ltz", dialect="spark"))
    return node


def _recast(node: exp.Cast, **changed: exp.Expr) -> exp.Cast:
    """The same cast, or try at one, with another operand or type."""
    return type(node)(**{**node.copy().args, **changed})


def _tried(tree: exp.Expr) -> exp.Expr:
    for cast in list(tree.find_all(exp.Cast)):
        cast.replace(exp.TryCast(this=cast.this, to=cast.to, safe=True))
    return tree


def _logarithm(node: exp.Ln | exp.Log, dialect: str) -> exp.Expr:
    """Spark's are null at and below zero; here they are -inf and NaN, as on DuckDB."""
    base, value = (
        (exp.Literal.number(10), node.this) if node.args.get("expression") is None else (node.this, node.expression)
    )
    if isinstance(node, exp.Log) and not base.is_number:
        raise UsageError(f"{node.sql('duckdb')}: a base that is no number", "ln(x) / ln(base)")
    if dialect == "duckdb":
        return node
    plain = (
        "ln(x_)" if isinstance(node, exp.Ln) else f"log{base.name}(x_)" if base.name in ("2", "10") else "log(b_, x_)"
    )
    template = f"CASE WHEN x_ > 0 THEN {plain} WHEN x_ = 0 THEN double('-inf') WHEN x_ < 0 THEN double('nan') END"
    return fill(template, "spark", x=value, b=base)


RULES: Rules = {
    exp.Div: _divide,
    exp.IntDiv: _floor_divide,
    exp.Mod: _modulo,
    exp.Cast: _cast,
    exp.TryCast: _cast,
    exp.Floor: _whole,
    exp.Ceil: _whole,
    exp.Trunc: _whole,
    exp.Round: _round,
    exp.Ln: _logarithm,
    exp.Log: _logarithm,
    exp.Sign: on_spark(lambda node, _: fill("CAST(nanvl(sign(x_), 0e0) AS TINYINT)", "spark", x=node.this)),
    exp.IsNan: on_spark(lambda node, _: fill("CAST(x_ AS DOUBLE) = double('nan')", "spark", x=node.this)),
    exp.IsInf: on_spark(lambda node, _: fill("abs(CAST(x_ AS DOUBLE)) = double('inf')", "spark", x=node.this)),
    "isfinite": on_spark(
        lambda node, _: fill("abs(CAST(x_ AS DOUBLE)) < double('inf')", "spark", x=node.expressions[0])
    ),
}
