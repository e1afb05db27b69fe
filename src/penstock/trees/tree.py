"""Tables as trees of a few operators, over which Spark's plans are made.

The operators are in `nodes`, what is said of their columns in `columns`. `queries` reads a tree from SQL, `optimise`
and `exchanges` do with it what Spark would, and `forecast` asks samples of the files what goes through it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from sqlglot import exp

from penstock import sql
from penstock.trees.columns import (
    Columns,
    attribute,
    column,
    conjuncts,
    display,
    references,
    substituted,
)
from penstock.trees.equals import both
from penstock.trees.nodes import (
    Aggregate,
    Exchange,
    Explode,
    Filter,
    How,
    Inner,
    Join,
    Label,
    Limit,
    Node,
    Project,
    Scan,
    Shuffle,
    Sort,
    Union,
    Values,
    Window,
)

__all__ = [
    "Aggregate",
    "Columns",
    "Exchange",
    "Explode",
    "Filter",
    "How",
    "Inner",
    "Join",
    "Label",
    "Limit",
    "Node",
    "Project",
    "Scan",
    "Shuffle",
    "Sort",
    "Union",
    "Values",
    "Window",
    "attribute",
    "both",
    "column",
    "conjuncts",
    "display",
    "expressions",
    "fresh",
    "labelled",
    "queries",
    "references",
    "rewritten",
    "substituted",
    "walk",
    "with_children",
    "with_queries",
]


def walk(node: Node) -> Iterator[Node]:
    """All below and the node itself, in the order of the work."""
    for child in node.children:
        yield from walk(child)
    for inner in queries(node).values():
        if not inner.reused:
            yield from walk(inner.node)
    yield node


def queries(node: Node) -> Mapping[str, Inner]:
    """The queries within the expressions of a node."""
    return node.beside if isinstance(node, (Filter, Project)) else {}


def expressions(node: Node) -> tuple[exp.Expr, ...]:
    """All that is said of columns in a node itself."""
    if isinstance(node, (Filter, Join)):
        return node.conditions
    if isinstance(node, Project):
        return tuple(node.made.values())
    if isinstance(node, Aggregate):
        return (*node.keys.values(), *node.made.values())
    if isinstance(node, Window):
        return (*node.by, *node.made.values())
    if isinstance(node, Explode):
        return (node.generator,)
    if isinstance(node, Sort):
        return node.order
    return node.keys if isinstance(node, (Shuffle, Exchange)) else ()


def rewritten(node: Node, change: Callable[[Node], Node]) -> Node:
    """The tree with each node changed, those below it first."""
    return change(with_children(node, [rewritten(child, change) for child in node.children]))


def with_children(node: Node, children: Iterable[Node]) -> Node:
    """The same operator over others; over the same, the same node."""
    below = tuple(children)
    if all(old is new for old, new in zip(node.children, below, strict=True)):
        return node
    if isinstance(node, (Scan, Values)):
        return node
    if isinstance(node, Join):
        return node._replace(left=below[0], right=below[1])
    if isinstance(node, Union):
        return node._replace(branches=below)
    return node._replace(child=below[0])


def with_queries(node: Node, change: Callable[[Inner], Inner]) -> Node:
    """The node with each query within its expressions changed."""
    if isinstance(node, (Filter, Project)) and node.beside:
        return node._replace(beside={name: change(inner) for name, inner in node.beside.items()})
    return node


def labelled(node: Node, label: Label) -> Node:
    """The tree with a label on the operators that have none."""
    if getattr(node, "label", None) is not None:
        return node  # and so has all below it
    found = with_children(node, [labelled(child, label) for child in node.children])
    found = with_queries(found, lambda inner: inner._replace(node=labelled(inner.node, label)))
    if isinstance(found, Filter):
        found = found._replace(conditions=tuple(_said_in(each, label) for each in found.conditions))
    return found if isinstance(found, (Values, Project, Exchange)) else found._replace(label=label)


def _said_in(condition: exp.Expr, label: Label) -> exp.Expr:
    """A condition that knows the call that it comes from, wherever the optimiser takes it."""
    if "label" in condition.meta:
        return condition
    found = condition.copy()
    found.meta["label"] = label
    return found


def fresh(node: Node) -> tuple[Node, dict[str, str]]:
    """The same tree with columns of its own, and what the old ones are called now: a table may be used twice."""
    names: dict[str, str] = {}
    for each in walk(node):
        for name in (*each.columns, *queries(each)):
            names.setdefault(name, attribute(name))
    columns: dict[str, exp.Expr] = {old: column(new) for old, new in names.items()}

    def renamed(value: Any) -> Any:
        if isinstance(value, exp.Expr):
            return substituted(value, columns)
        if isinstance(value, Scan):
            kinds, theirs = ({names[name]: each for name, each in of.items()} for of in (value.columns, value.names))
            return value._replace(columns=kinds, names=theirs)
        if isinstance(value, Values):
            text = value.text
            for name in value.columns:
                text = text.replace(sql.quote(name), sql.quote(names[name]))
            return Values(text, value.rows, {names[name]: kind for name, kind in value.columns.items()})
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return type(value)(*map(renamed, value))
        if isinstance(value, tuple):
            return tuple(map(renamed, value))
        if isinstance(value, Mapping):
            return {names.get(name, name): renamed(each) for name, each in value.items()}
        return names.get(value, value) if isinstance(value, str) else value

    found: Node = renamed(node)
    return found, names
