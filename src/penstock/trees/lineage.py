"""Where the columns of a tree come from, who reads them, and what subtrees do, whatever their columns are called."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sqlglot import exp
from sqlglot.errors import ErrorLevel

from penstock.trees.tree import (
    Aggregate,
    Exchange,
    Explode,
    Filter,
    Join,
    Limit,
    Node,
    Project,
    Scan,
    Sort,
    Union,
    Values,
    Window,
    conjuncts,
    display,
    substituted,
)

__all__ = ["called", "is_presence", "origin", "resolved", "scans", "shape", "under"]


def scans(node: Node) -> list[Scan]:
    """The scans below a node, but not those whose rows have crossed for another operator before."""
    return [each for each in under(node) if isinstance(each, Scan)]


def under(node: Node) -> Iterator[Node]:
    """All that is done for a node, and itself, in the order of the work: what crossed before is not done again."""
    if not (isinstance(node, Exchange) and node.reused):
        for child in node.children:
            yield from under(child)
        if isinstance(node, Filter):
            for inner in node.beside.values():
                yield from under(inner.node)
    yield node


# -- columns ----------------------------------------------------------------------------------------------------------


def origin(node: Node, name: str) -> tuple[Scan, str] | None:
    """The scan that a column comes from unchanged, and its name there."""
    at, name, _ = _made(node, name)
    return (at, name) if isinstance(at, Scan) and name in at.names else None


def _made(node: Node, name: str) -> tuple[Node, str, str]:
    """The node that a column is made in, what it is called there, and what it is called right above."""
    above = name
    while not isinstance(node, Scan):
        if isinstance(node, (Project, Aggregate)):
            value = (node.made if isinstance(node, Project) else node.keys).get(name)
            if not isinstance(value, exp.Column):
                break
            node, name, above = node.child, value.name, name
            continue
        below = [] if isinstance(node, Union) else [child for child in node.children if name in child.columns]
        if not below:
            break
        node = below[0]
    return node, name, above


def _named(node: Node, name: str) -> str:
    """A column as a person calls it: by its name in the files, or where it is made.

    An aggregate is called by its text where it is made; what it is called right above says more.
    """
    at, made, above = _made(node, name)
    if isinstance(at, Scan) and made in at.names:
        return at.names[made]
    return display(above if isinstance(at, Aggregate) else made)


def resolved(node: Node, expression: exp.Expr, until: type) -> tuple[Node, exp.Expr] | None:
    """An expression above a node in terms of the first node of a type below it, through projections and filters."""
    while not isinstance(node, until):
        if isinstance(node, Project):
            expression = substituted(expression, node.made)
        elif not isinstance(node, (Filter, Window, Exchange, Sort)):
            return None
        node = node.children[0]
    return node, expression


def called(key: exp.Expr, node: Node) -> str:
    """An expression as a person writes it: its columns by the names that they had first."""

    def shown(each: exp.Expr) -> exp.Expr:
        return exp.column(_named(node, each.name)) if isinstance(each, exp.Column) and "#" in each.name else each

    bare = key.this if isinstance(key, exp.Ordered) else key
    found = bare.copy().transform(shown, copy=False)
    return found.name if isinstance(found, exp.Column) else found.sql("duckdb", unsupported_level=ErrorLevel.IGNORE)


# -- subtrees ---------------------------------------------------------------------------------------------------------


def shape(node: Node) -> str:
    """What a subtree does with which files, but not which columns it hands on or computes from each row."""
    if isinstance(node, Scan):
        return f"{node.source!r}"
    if isinstance(node, Values):
        return node.text
    below = ", ".join(shape(child) for child in node.children)
    if isinstance(node, Filter):
        asked = sorted({_plain(each) for condition in node.conditions for each in conjuncts(condition)
                        if not is_presence(each)})  # fmt: skip
        return f"where({below}: {asked})" if asked else below
    if isinstance(node, Aggregate):
        return f"group({below}: {_listed(node.keys.values())})"
    if isinstance(node, Window):
        return f"window({below}: {_listed(node.made.values())})"
    if isinstance(node, Join):
        return f"{node.how} join({below}: {_listed(node.conditions)})"
    if isinstance(node, Explode):
        return f"explode({below}: {_plain(node.generator)})"
    if isinstance(node, Limit):
        return f"first({below}: {node.n})"
    return f"union({below})" if isinstance(node, Union) else below


def is_presence(condition: exp.Expr) -> bool:
    """Whether a condition only says that something is not null, as joins do of their keys."""
    bare = condition.unnest()
    return isinstance(bare, exp.Not) and isinstance(bare.this.unnest(), exp.Is)


def _listed(values: Iterable[exp.Expr]) -> list[str]:
    return sorted(_plain(each) for each in values)


def _plain(expression: exp.Expr) -> str:
    """An expression with its columns' names as people know them."""

    def shown(each: exp.Expr) -> exp.Expr:
        return exp.column(display(each.name)) if isinstance(each, exp.Column) else each

    return expression.copy().transform(shown, copy=False).sql()
