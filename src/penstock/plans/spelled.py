"""Spark's expressions as DuckDB spells them: samples are asked on the embedded engine, whichever the tables are of.

Close is enough here: what an expression keeps, how many values it has, how wide they are. The rows that users see never
come from this.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import sqlglot
from sqlglot import exp

from penstock import sql
from penstock.engines.engine import Engine, connect
from penstock.errors import PenstockError
from penstock.plans.tree import Columns

__all__ = ["UNKNOWN_TYPE", "embedded", "spelled", "types_of"]

UNKNOWN_TYPE = "?"


@functools.cache
def embedded() -> Engine:
    """An engine of the plans' own: what users run on theirs is not in the way."""
    return connect("duckdb")


def spelled(expression: exp.Expr) -> str:
    """An expression over columns of a tree, as DuckDB text.

    >>> from penstock.plans.tree import column
    >>> spelled(exp.Anonymous(this="pmod", expressions=[column("k#1"), exp.Literal.number(3)]))
    '((("k#1" % 3) + 3) % 3)'
    """

    def meant(node: exp.Expr) -> exp.Expr:
        rule = _MEANINGS.get(node.name.lower() if isinstance(node, exp.Anonymous) else type(node))
        return rule(node) if rule else node

    tree = expression.copy()
    for node in reversed(list(tree.walk(bfs=True))):  # the innermost first
        found = meant(node)
        if found is not node:
            if node is tree:
                tree = found
            else:
                node.replace(found)
    return tree.sql("duckdb")


def _text(pattern: str) -> Callable[[exp.Expr], exp.Expr]:
    """A rule: the arguments of a function put into a pattern of DuckDB's."""

    def rule(node: exp.Expr) -> exp.Expr:
        given = node.expressions if isinstance(node, exp.Anonymous) else [node.this, node.expression]
        texts = [each.sql("duckdb") for each in given if each is not None]
        return _parsed(pattern.format(*texts, all=", ".join(texts)))

    return rule


def _parsed(text: str) -> exp.Expr:
    """DuckDB's own text, which is printed as it stands."""
    return exp.Var(this=text)


def _sequence(node: exp.Expr) -> exp.Expr:
    given = [node.args.get(name) for name in ("start", "end", "step")]
    return _parsed(f"generate_series({', '.join(each.sql('duckdb') for each in given if each)})")


def _reduced(node: exp.Expr) -> exp.Expr:
    given = (node.this, node.args["merge"], node.args["initial"])
    return _parsed(f"list_reduce({', '.join(each.sql('duckdb') for each in given)})")


#: Hashes stand for Spark's: as wide, and as hard to compress.
_MEANINGS: Mapping[Any, Callable[[exp.Expr], exp.Expr]] = {
    "xxhash64": _text("(hash({all}) >> 1)::BIGINT"),
    "hash": _text("(hash({all}) >> 33)::INTEGER"),
    "pmod": _text("((({0} % {1}) + {1}) % {1})"),
    "unix_micros": _text("epoch_us({0})"),
    "get": _text("({0})[{1} + 1]"),
    "count_if": _text("count(*) FILTER (WHERE {0})"),
    "assert_true": _text("NULL"),
    "bool_and": _text("bool_and({0})"),
    "bool_or": _text("bool_or({0})"),
    exp.CountIf: lambda node: _parsed(f"count(*) FILTER (WHERE {node.this.sql('duckdb')})"),
    exp.GenerateSeries: _sequence,
    exp.Reduce: _reduced,
    exp.IntDiv: _text("({0} // {1})"),
}


def types_of(made: Mapping[str, exp.Expr], columns: Columns, keys: Iterable[exp.Expr] | None = None) -> Columns:
    """The types of expressions over columns; of aggregates, where there are keys. Those that DuckDB cannot tell are "?"."""
    texts = {}
    for name, expression in made.items():
        if isinstance(expression, exp.Column) and expression.name in columns:
            texts[name] = None
            continue
        texts[name] = _spelled_or_none(expression)
    asked = {name: text for name, text in texts.items() if text}
    found = _asked(asked, columns)
    if found is None:  # one of them is to blame: each by itself
        found = {name: (_asked({name: text}, columns) or {}).get(name, UNKNOWN_TYPE) for name, text in asked.items()}
    return {
        name: found.get(name, UNKNOWN_TYPE) if text or text == "" else columns.get(made[name].name, UNKNOWN_TYPE)
        for name, text in texts.items()
    }


def _spelled_or_none(expression: exp.Expr) -> str:
    try:
        return spelled(expression)
    except sqlglot.errors.SqlglotError:
        return ""


def _asked(texts: Mapping[str, str], columns: Columns) -> Columns | None:
    if not texts:
        return {}
    nulls = ", ".join(
        f"NULL::{'INTEGER' if kind == UNKNOWN_TYPE else kind} AS {sql.quote(name)}" for name, kind in columns.items()
    )
    made = ", ".join(f"{text} AS {sql.quote(name)}" for name, text in texts.items())
    engine = embedded()
    try:
        return engine.columns(engine.query(f"SELECT {made} FROM (SELECT {nulls or '0 AS none'})", {}))
    except PenstockError:
        return None
