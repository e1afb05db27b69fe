"""Spark's expressions as DuckDB spells them: samples are asked on the embedded engine, whichever the tables are of.

Close is enough here: what an expression keeps, how many values it has, how wide they are. The rows that users see never
come from this.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import ErrorLevel

from penstock import sql
from penstock.engines.asking import columns_of
from penstock.errors import PenstockError
from penstock.trees.columns import Columns, references

__all__ = ["UNKNOWN_TYPE", "spelled", "types_of"]

UNKNOWN_TYPE = "?"


def spelled(expression: exp.Expr) -> str:
    """An expression over columns of a tree, as DuckDB text.

    >>> from penstock.trees.tree import column
    >>> spelled(exp.Anonymous(this="pmod", expressions=[column("k#1"), exp.Literal.number(3)]))
    '((("k#1" % 3) + 3) % 3)'
    """

    def meant(node: exp.Expr) -> exp.Expr:
        rule = _MEANINGS.get(node.name.lower() if isinstance(node, exp.Anonymous) else type(node))
        return rule(node) if rule else node

    tree = expression.copy()
    for lambda_ in list(tree.find_all(exp.Lambda)):
        _count_from_one(lambda_)
    for node in reversed(list(tree.walk(bfs=True))):  # the innermost first
        found = meant(node)
        if found is not node:
            if node is tree:
                tree = found
            else:
                node.replace(found)
    return _duckdb(tree)


def _duckdb(node: exp.Expr) -> str:
    """The text, without what DuckDB has none of, such as the error of a sketch."""
    return node.sql("duckdb", unsupported_level=ErrorLevel.IGNORE)


def _text(pattern: str) -> Callable[[exp.Expr], exp.Expr]:
    """A rule: the arguments of a function put into a pattern of DuckDB's."""

    def rule(node: exp.Expr) -> exp.Expr:
        given = node.expressions if isinstance(node, exp.Anonymous) else [node.this, node.expression]
        texts = [_duckdb(each) for each in given if each is not None]
        return _parsed(pattern.format(*texts, all=", ".join(texts)))

    return rule


def _parsed(text: str) -> exp.Expr:
    """DuckDB's own text, which is printed as it stands."""
    return exp.Var(this=text)


def _sequence(node: exp.Expr) -> exp.Expr:
    given = [node.args.get(name) for name in ("start", "end", "step")]
    return _parsed(f"generate_series({', '.join(_duckdb(each) for each in given if each)})")


def _reduced(node: exp.Expr) -> exp.Expr:
    """`aggregate`; DuckDB cannot add up structs, so they stay as at the start: the type is right then."""
    start, finish = _duckdb(node.args["initial"]), node.args.get("finish")
    if isinstance(node.args["initial"], exp.Struct):
        found = start
    else:
        found = f"list_reduce({_duckdb(node.this)}, {_duckdb(node.args['merge'])}, {start})"
    return _parsed(f"list_transform([{found}], {_duckdb(finish)})[1]" if finish else found)


def _sorted(node: exp.Expr) -> exp.Expr:
    """`array_sort` with a comparison of its own is taken for one by the first field."""
    return _parsed(f"list_sort({_duckdb(node.this)})") if node.args.get("expression") else node


def _count_from_one(function: exp.Lambda) -> None:
    """The second name that `transform` binds is the place in the list, which DuckDB counts from 1."""
    if not isinstance(function.parent, exp.Transform) or len(function.expressions) < 2:
        return
    place = function.expressions[1].name
    for each in list(function.this.find_all(exp.Identifier)):
        of_field = (exp.Dot, "expression"), (exp.PropertyEQ, "this")
        is_field = any(isinstance(each.parent, kind) and each.arg_key == name for kind, name in of_field)
        if each.name == place and not is_field:
            each.replace(_parsed(f"({_duckdb(each)} - 1)"))


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
    exp.CountIf: lambda node: _parsed(f"count(*) FILTER (WHERE {_duckdb(node.this)})"),
    exp.GenerateSeries: _sequence,
    exp.Reduce: _reduced,
    exp.ArraySort: _sorted,
    exp.IntDiv: _text("({0} // {1})"),
}


def types_of(made: Mapping[str, exp.Expr], columns: Columns) -> Columns:
    """The types of expressions over columns, aggregates too. Those that DuckDB cannot tell are "?"."""
    kinds = {
        name: columns[each.name] if isinstance(each, exp.Column) and each.name in columns else UNKNOWN_TYPE
        for name, each in made.items()
    }
    told = {name: each for name, each in made.items() if not isinstance(each, exp.Column)}
    asked = {name: text for name, each in told.items() if (text := _spelled_or_none(each))}
    used = {name: columns[name] for name in sorted(references(*told.values()) & columns.keys())}
    found = _asked(asked, used)
    if found is None:  # one of them is to blame: each by itself
        found = {}
        for name, text in asked.items():
            found |= _asked({name: text}, used) or {}
    return kinds | found


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
    try:
        return dict(columns_of(f"SELECT {made} FROM (SELECT {nulls or '0 AS none'})"))
    except PenstockError:
        return None
