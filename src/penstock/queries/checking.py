"""Whether a tree that was read holds together: each expression is over columns that are there."""

from __future__ import annotations

from sqlglot import exp

from penstock.queries.lists import GENERATORS
from penstock.queries.names import Relation, UnreadableError
from penstock.trees.tree import Explode, Join, Node, Window, display, expressions, queries, references

__all__ = ["checked"]


def checked(relation: Relation) -> Relation:
    """The relation, if all of it is understood.

    Raises:
        UnreadableError: A part speaks of columns that are not there, as some queries within others do, or stands where
            it has no meaning.
    """
    _check(relation.node)
    return relation


def _check(node: Node) -> None:
    for child in node.children:
        _check(child)
    known = {name for child in node.children for name in child.columns}
    for name, inner in queries(node).items():
        _check(inner.node)
        known.add(name)
        _known(inner.conditions, known | inner.node.columns.keys())
    _known(expressions(node), known | (set(node.columns) if isinstance(node, Join) else set()))
    odd = tuple(kind for kind in (exp.Window, *GENERATORS) if not isinstance(node, _HOMES.get(kind, Explode)))
    for each in expressions(node):
        if found := each.find(*odd):
            raise UnreadableError(found.sql("spark")[:80])


_HOMES: dict[type[exp.Expr], type[Window] | type[Explode]] = {exp.Window: Window}


def _known(conditions: tuple[exp.Expr, ...], columns: set[str]) -> None:
    if missing := references(*conditions) - columns:
        raise UnreadableError(f"the column {display(min(missing))} where it stands")
