"""Windows in the order in which they move fewest rows, and those of which only the first rows are wanted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlglot import exp

from penstock.trees.columns import uncertain
from penstock.trees.tree import (
    Filter,
    Limit,
    Node,
    Project,
    Sort,
    Window,
    expressions,
    references,
    substituted,
)

__all__ = ["computed_above", "limited", "transposed"]

LARGEST = 1_000  # spark.sql.optimizer.windowGroupLimitThreshold


def transposed(node: Node) -> Node:
    """Of two windows, one by the first keys of the other, the wider groups come first (TransposeWindow)."""
    if not isinstance(node, Window) or not isinstance(node.child, Window):
        return node
    below = node.child
    if references(*node.by, *node.made.values()) & below.made.keys() or not _is_prefix(node, below):
        return node
    lower = node._replace(child=below.child, columns=below.child.columns | _own(node))
    return below._replace(child=transposed(lower), columns=lower.columns | _own(below))


def _is_prefix(one: Window, other: Window) -> bool:
    return len(one.by) < len(other.by) and set(one.by) == set(other.by[: len(one.by)])


def _own(window: Window) -> dict[str, str]:
    return {name: window.columns[name] for name in window.made}


def computed_above(node: Node) -> Node:
    """What is computed below windows of columns that pass them is computed above, if no filter stands between."""
    if not isinstance(node, Project):
        return node
    windows: list[Window] = []
    below: Node = node.child
    while isinstance(below, Window):
        windows.append(below)
        below = below.child
    if not windows or not isinstance(below, Project) or below.beside:
        return node
    made = below.made
    passed = {name for name, each in made.items() if isinstance(each, exp.Column) and each.name == name}
    names = {name: each for name, each in made.items() if name not in passed and references(each) <= passed}
    read = references(*(part for each in windows for part in expressions(each)))
    if not names or read & names.keys() or any(map(uncertain, names.values())):
        return node
    found: Node = below._replace(made=_without(made, names), columns=_without(below.columns, names))
    for window in reversed(windows):
        found = window._replace(child=found, columns=_without(window.columns, names))
    return node._replace(child=found, made={name: substituted(each, names) for name, each in node.made.items()})


def _without(values: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in names}


def limited(node: Node) -> Node:
    """A filter on `row_number` or `rank` tells how many rows of each group are wanted (InferWindowGroupLimit)."""
    if not isinstance(node, Filter) or not isinstance(node.child, Window):
        return node
    window = node.child
    if not all(_ranks(each) for each in window.made.values()):
        return node
    wanted = [first for each in node.conditions if (first := _first(each, window)) is not None]
    if not wanted or not 0 < min(wanted) <= LARGEST:
        return node
    if window.by:
        return node._replace(child=window._replace(first=min(wanted)))
    ranked = next(iter(window.made.values()))
    if not isinstance(ranked.this, exp.RowNumber):
        return node
    ordered = Limit(Sort(window.child, tuple(ranked.args["order"].expressions)), min(wanted))
    return node._replace(child=window._replace(child=ordered))


def _ranks(window: exp.Expr) -> bool:
    return isinstance(window.this, (exp.RowNumber, exp.Rank, exp.DenseRank)) and bool(window.args.get("order"))


def _first(condition: exp.Expr, window: Window) -> int | None:
    """The largest number that a condition on a rank lets through."""
    bare = condition.unnest()
    if isinstance(bare, (exp.LT, exp.LTE, exp.EQ)):
        rank, most = bare.left, bare.right
    elif isinstance(bare, (exp.GT, exp.GTE)):
        most, rank = bare.left, bare.right
    else:
        return None
    if not isinstance(rank, exp.Column) or rank.name not in window.made or not most.is_int:
        return None
    return int(most.sql()) - isinstance(bare, (exp.LT, exp.GT))
