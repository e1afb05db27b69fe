"""Time: units, formats and lengths that both engines count alike, in UTC."""

from __future__ import annotations

import re
from collections.abc import Callable

from sqlglot import exp

from penstock.dialect.kinds import kind
from penstock.dialect.rules import Rules, call, fill, literal_of, on_spark
from penstock.errors import UsageError

__all__ = ["RULES"]

UNITS = ("year", "quarter", "month", "week", "day", "hour", "minute", "second", "millisecond", "microsecond")


def _unit(node: exp.Expr | None, shown: exp.Expr) -> str:
    unit = node.name.lower().removesuffix("s") if node is not None else "day"
    if unit not in UNITS:
        raise UsageError(f"{shown.sql('duckdb')}: {unit} is a unit of one engine only", f"one of: {', '.join(UNITS)}")
    return unit


def _naive(node: exp.Expr) -> exp.Expr:
    return exp.Cast(this=node, to=exp.DataType.build("timestamp_ntz", dialect="spark"))


def _truncate(node: exp.TimestampTrunc | exp.DateTrunc, dialect: str) -> exp.Expr:
    unit = _unit(node.args.get("unit"), node)
    return _naive(call("date_trunc", unit, node.this)) if dialect == "spark" else node


def _difference(node: exp.DateDiff, dialect: str) -> exp.Expr:
    """DuckDB counts the borders crossed (but seven days a week), Spark the whole units passed.

    Between truncated times the two are equal.
    """
    unit = _unit(node.args.get("unit"), node)
    if dialect == "duckdb":
        return node
    step = "day" if unit == "week" else unit
    start, end = (call("date_trunc", step, side) for side in (node.expression, node.this))
    passed = call("timestampdiff", exp.var(step), start, end)
    return fill("x_ DIV 7", "spark", x=passed) if unit == "week" else passed


def _shifted(node: exp.Add | exp.Sub, dialect: str) -> exp.Expr:
    """A day and a length of time make a timestamp, Spark's days stay days; and days between two are its interval."""
    if dialect == "spark" and isinstance(node, exp.Sub) and kind(node.this) == kind(node.expression) == "date":
        return exp.cast(call("datediff", node.this, node.expression), "bigint")
    if dialect == "duckdb" or not any(isinstance(side, exp.Interval) for side in (node.this, node.expression)):
        return node
    return _naive(node.copy())


def _bucket(node: exp.DateBin, dialect: str) -> exp.Expr:
    """DuckDB counts buckets from the first Monday of 2000; Spark has arithmetic only."""
    width = node.this
    unit = _unit(width.args.get("unit") if isinstance(width, exp.Interval) else exp.var("an expression"), node)
    if unit in ("year", "quarter", "month") or node.args.get("zone") is not None or not width.this.name.isdecimal():
        raise UsageError(f"{node.sql('duckdb')}: buckets of a fixed length only", f"date_trunc('{unit}', x)")
    if dialect == "duckdb":
        return node
    micros = {"week": 604_800_000_000, "day": 86_400_000_000, "hour": 3_600_000_000, "minute": 60_000_000,
              "second": 1_000_000, "millisecond": 1_000, "microsecond": 1}[unit] * int(width.this.name)  # fmt: skip
    template = f"timestamp_micros(x_ - pmod(x_ - 946857600000000, {micros}))"
    return _naive(fill(template, "spark", x=_micros(node.expression)))


# -- parts -------------------------------------------------------------------------------------------------------------


def _micros(node: exp.Expr) -> exp.Expr:
    return call("unix_micros", exp.Cast(this=node.copy(), to=exp.DataType.build("timestamp_ltz", dialect="spark")))


_PARTS = {
    "year": "year(x_)", "quarter": "quarter(x_)", "month": "month(x_)", "week": "weekofyear(x_)",
    "weekofyear": "weekofyear(x_)", "day": "day(x_)", "dayofmonth": "day(x_)", "hour": "hour(x_)",
    "minute": "minute(x_)", "second": "second(x_)", "doy": "dayofyear(x_)", "dayofyear": "dayofyear(x_)",
    "dow": "dayofweek(x_) - 1", "dayofweek": "dayofweek(x_) - 1",
    "weekday": "dayofweek(x_) - 1", "isodow": "weekday(x_) + 1",
    "isoyear": "extract(YEAROFWEEK FROM x_)",
    "epoch": "us_ / 1e6", "millisecond": "pmod(us_, 60000000) DIV 1000", "microsecond": "pmod(us_, 60000000)",
}  # fmt: skip
_PLURALS = {"milliseconds": "millisecond", "microseconds": "microsecond", "years": "year", "months": "month",
            "days": "day", "hours": "hour", "minutes": "minute", "seconds": "second"}  # fmt: skip


def _part(name: str, value: exp.Expr, node: exp.Expr, dialect: str) -> exp.Expr:
    name = _PLURALS.get(name.lower(), name.lower())
    if name not in _PARTS:
        raise UsageError(f"{node.sql('duckdb')}: {name} is a part of one engine only", f"one of: {', '.join(_PARTS)}")
    if dialect == "duckdb":
        return node
    return fill(_PARTS[name], "spark", x=value, us=_micros(value))


def _extract(node: exp.Extract, dialect: str) -> exp.Expr:
    return _part(node.this.name, node.expression, node, dialect)


def _date_part(node: exp.Anonymous, dialect: str) -> exp.Expr:
    part, value = node.expressions
    return _part(literal_of(part, "the part of a time"), value, node, dialect)


def _named(name: str) -> Callable[[exp.Expr, str], exp.Expr]:
    def rule(node: exp.Expr, dialect: str) -> exp.Expr:
        value = node.expressions[0] if isinstance(node, exp.Anonymous) else node.this
        return _part(name, value, node, dialect)

    return rule


# -- moments from numbers, zones ---------------------------------------------------------------------------------------


def _from_number(node: exp.UnixToTime, dialect: str) -> exp.Expr:
    scale = node.args.get("scale")
    if scale is not None and scale.name == "3":
        raise UsageError(
            f"{node.sql('duckdb')} goes both ways on DuckDB", "epoch_us(t) // 1000, make_timestamp(ms * 1000)"
        )
    if dialect == "duckdb":
        return node
    if scale is not None:
        return _naive(call("timestamp_micros", node.this))
    return fill("timestamp_micros(CAST(round(x_ * 1e6) AS BIGINT))", "spark", x=node.this)


def _zone(node: exp.AtTimeZone, dialect: str) -> exp.Expr:
    """Naive times are UTC, so a zone's wall clock is `t AT TIME ZONE 'UTC' AT TIME ZONE 'Europe/Berlin'`."""
    zone, inner = literal_of(node.args["zone"], "a time zone"), node.this
    if isinstance(node.parent, exp.AtTimeZone) and zone.upper() == "UTC":
        return node
    if isinstance(inner, exp.AtTimeZone) and inner.args["zone"].name.upper() == "UTC":
        return _naive(call("from_utc_timestamp", _naive(inner.this.copy()), zone)) if dialect == "spark" else node
    hint = f"{inner.sql('duckdb')} AT TIME ZONE 'UTC' AT TIME ZONE '{zone}' is that zone's wall clock; or cast it"
    raise UsageError(f"{node.sql('duckdb')} means two things, after the type of its time", hint)


# -- formats -----------------------------------------------------------------------------------------------------------

#: The letters of strftime that both engines write alike, in Java's; in strptime a number may be short.
FORMATS = {
    "Y": "yyyy", "y": "yy", "m": "MM", "-m": "M", "d": "dd", "-d": "d", "H": "HH", "-H": "H", "I": "hh", "-I": "h",
    "M": "mm", "-M": "m", "S": "ss", "-S": "s", "f": "SSSSSS", "p": "a", "b": "MMM", "B": "MMMM", "a": "EEE",
    "A": "EEEE", "j": "DDD", "-j": "D",
}  # fmt: skip
_SHORT = {"m": "M", "d": "d", "H": "H", "I": "h", "M": "m", "S": "s", "-m": "M", "-d": "d"}
_CODE = re.compile(r"%(-?.)|([^%]+)", re.DOTALL)


def java_format(text: str, *, parsing: bool = False) -> str:
    """A format of strftime in Java's letters.

    >>> print(java_format("%d/%b/%Y o'clock"), java_format("%Y-%m-%d", parsing=True))
    dd/MMM/yyyy' o''clock' yyyy-M-d
    """
    written: list[str] = []
    after_code = False
    for found in _CODE.finditer(text):
        code, plain = found[1], found[2]
        if plain or code == "%":
            plain = plain or "%"
            quoted = "'" + plain.replace("'", "''") + "'"
            written.append(quoted if re.search(r"[A-Za-z'\[\]{}#]", plain) else plain)
            after_code = False
            continue
        if code not in FORMATS:
            known = ", ".join(f"%{letter}" for letter in FORMATS)
            raise UsageError(f'the engines do not write "%{code}" alike', f"both know {known}")
        adjacent = after_code or text[found.end() : found.end() + 1] == "%"
        written.append(_SHORT.get(code, FORMATS[code]) if parsing and not adjacent else FORMATS[code])
        after_code = True
    return "".join(written)


def _formatted(node: exp.TimeToStr, dialect: str) -> exp.Expr:
    text = java_format(literal_of(node.args["format"], "a format"))
    return call("date_format", node.this, text) if dialect == "spark" else node


def _parsed(node: exp.StrToTime, dialect: str) -> exp.Expr:
    text = java_format(literal_of(node.args["format"], "a format"), parsing=True)
    return call("to_timestamp_ntz", node.this, text) if dialect == "spark" else node


RULES: Rules = {
    exp.TimestampTrunc: _truncate,
    exp.DateTrunc: _truncate,
    exp.DateDiff: _difference,
    exp.Add: _shifted,
    exp.Sub: _shifted,
    exp.DateAdd: lambda node, dialect: _shifted(
        exp.Add(this=node.this.copy(), expression=node.expression.copy()), dialect
    ),
    exp.DateBin: _bucket,
    exp.Extract: _extract,
    "date_part": _date_part,
    "datepart": _date_part,
    exp.DayOfWeek: _named("dow"),
    exp.DayOfWeekIso: _named("isodow"),
    exp.TimeToUnix: _named("epoch"),
    exp.Week: _named("week"),
    "weekday": _named("weekday"),
    "isoyear": _named("isoyear"),
    "millisecond": _named("millisecond"),
    "microsecond": _named("microsecond"),
    "epoch_us": on_spark(lambda node, _: _micros(node.expressions[0])),
    exp.Dayname: on_spark(lambda node, _: call("date_format", node.this, "EEEE")),
    exp.Monthname: on_spark(lambda node, _: call("date_format", node.this, "MMMM")),
    exp.UnixToTime: _from_number,
    exp.AtTimeZone: _zone,
    exp.TimeToStr: _formatted,
    exp.StrToTime: _parsed,
}
