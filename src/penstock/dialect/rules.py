"""What a rule is, and the templates that rules are written in."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import sqlglot
from sqlglot import exp

from penstock.errors import UsageError

__all__ = ["FLOAT", "Rule", "Rules", "call", "fill", "literal_of", "on_spark"]

#: Takes a node, with operands that are spelled already, and the engine's dialect; returns the node or its replacement.
Rule: TypeAlias = Callable[[Any, str], exp.Expr]
Rules: TypeAlias = Mapping[type[exp.Expr] | str, Rule]

#: A condition for templates, for operands whose type only the engine knows. Both engines decide it while planning.
FLOAT = "lower(typeof(x_)) IN ('float', 'double')"


def on_spark(rule: Rule) -> Rule:
    """A rule for Spark's spelling alone."""
    return lambda node, dialect: rule(node, dialect) if dialect == "spark" else node


@functools.cache
def _template(text: str, dialect: str) -> exp.Expr:
    tree: exp.Expr = sqlglot.parse_one(f"SELECT {text}", read=dialect).expressions[0]
    return tree


def fill(template: str, dialect: str = "duckdb", **parts: exp.Expr) -> exp.Expr:
    """An expression from a template in a dialect, every `name_` filled with a copy of a part."""
    tree = _template(template, dialect).copy()
    for column in list(tree.find_all(exp.Column)):
        part = parts.get(column.name.removesuffix("_"))
        if part is not None:
            filled = part.copy() if _holds_together(part) else exp.paren(part)
            tree = filled if column is tree else tree
            column.replace(filled)
    return exp.paren(tree, copy=False)


def _holds_together(part: exp.Expr) -> bool:
    called = isinstance(part, exp.Func) and not isinstance(part, exp.Binary)
    return called or isinstance(part, (exp.Column, exp.Literal, exp.Paren))


def call(name: str, *arguments: exp.Expr | str | int) -> exp.Anonymous:
    """A function by the engine's own name, which sqlglot must not translate; text arguments are literals."""
    return exp.Anonymous(
        this=name, expressions=[a.copy() if isinstance(a, exp.Expr) else exp.convert(a) for a in arguments]
    )


def literal_of(node: exp.Expr | None, what: str) -> str:
    """The text of a literal, where the engines agree on nothing else."""
    if isinstance(node, exp.Literal) and node.is_string:
        return str(node.this)
    raise UsageError(f"{what} must be a text in quotes", "a column there would mean something else on each engine")
