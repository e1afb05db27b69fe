"""Which parts of plans do the same: numbers that are equal for them, whatever their columns are called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlglot import exp

from penstock.trees.tree import (
    Aggregate,
    Columns,
    Explode,
    Filter,
    Inner,
    Join,
    Limit,
    Node,
    Project,
    Scan,
    Shuffle,
    Sort,
    Union,
    Values,
    Window,
    queries,
    references,
)

__all__ = ["Numbers"]


class Numbers:
    """Numbers of trees; equal trees have the same."""

    def __init__(self) -> None:
        self._numbers: dict[Any, int] = {}
        self._known: dict[int, tuple[Node, int]] = {}

    def condition(self, condition: exp.Expr, column: str, beside: Mapping[str, Inner]) -> Any:
        """What is the same for equal conditions on one column, whichever that is."""
        places: dict[str, Any] = {column: 0}
        for name in references(condition) & beside.keys():
            inner = beside[name]
            within = {each: ("within", i) for i, each in enumerate(inner.node.columns)}
            places[name] = ("query", self.of(inner.node), _all(inner.conditions, places | within))
        return _expression(condition, places)

    def of(self, node: Node) -> int:
        """The number of a tree: columns count as where they stand in it."""
        if id(node) not in self._known:
            places: dict[str, Any] = {}
            for child in node.children:
                places |= {name: len(places) + i for i, name in enumerate(child.columns)}
            for name, inner in queries(node).items():
                places[name] = ("query", self.of(inner.node))
            below = tuple(self.of(child) for child in node.children)
            told = (type(node).__name__, below, _told(node, places))
            self._known[id(node)] = (node, self._numbers.setdefault(told, len(self._numbers)))
        return self._known[id(node)][1]


def _told(node: Node, places: Mapping[str, Any]) -> Any:
    """What a node does, apart from what is below it."""
    if isinstance(node, Scan):
        return (repr(node.source), tuple(node.names[name] for name in node.columns))
    if isinstance(node, Values):
        return _anonymous(node.text, node.columns)
    if isinstance(node, Filter):
        return frozenset(_all(node.conditions, places))
    if isinstance(node, Join):
        # Spark takes no two existence joins for equal.
        return (node.how, frozenset(_all(node.conditions, places)), node.aware, node.found)
    if isinstance(node, Project):
        return _all(list(node.made.values()), places)
    if isinstance(node, Aggregate):
        return (_all(list(node.keys.values()), places), _all(list(node.made.values()), places))
    if isinstance(node, Window):
        return (_all(node.by, places), _all(list(node.made.values()), places), node.first)
    if isinstance(node, Explode):
        return (_all([node.generator], places), tuple(places.get(name, "made") for name in node.columns))
    if isinstance(node, Sort):
        return (_all(node.order, places), node.everywhere)
    if isinstance(node, Limit):
        return node.n
    if isinstance(node, Union):
        return tuple(tuple(branch.columns).index(name) for branch in node.branches for name in node.columns)
    if isinstance(node, Shuffle):
        return _all(node.keys, places)
    combined = tuple(_told(each, places) for each in node.combined)
    return (node.kind, _all(node.keys, places), combined)


def _anonymous(text: str, columns: Columns) -> str:
    for i, name in enumerate(columns):
        text = text.replace(f'"{name}"', f'"{i}"')
    return text


def _all(expressions: Sequence[exp.Expr], places: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(_expression(each, places) for each in expressions)


def _expression(value: Any, places: Mapping[str, Any]) -> Any:
    if isinstance(value, exp.Column):
        return ("column", places.get(value.name, value.name))
    if isinstance(value, (exp.Paren, exp.Alias)):
        return _expression(value.this, places)
    if isinstance(value, (exp.And, exp.Or)):
        return (type(value).__name__, frozenset(_expression(each, places) for each in value.flatten()))
    if isinstance(value, exp.Expr):
        parts = [(name, _expression(each, places)) for name, each in value.args.items() if each not in (None, False)]
        if isinstance(value, (exp.EQ, exp.NullSafeEQ)):  # in either order
            return (type(value).__name__, frozenset(part for _, part in parts))
        return (type(value).__name__, *parts)
    if isinstance(value, (list, tuple)):
        return tuple(_expression(each, places) for each in value)
    return value
