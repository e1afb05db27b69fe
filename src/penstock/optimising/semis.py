"""Semi and anti joins that a query names, as low as they may stand (PushDownLeftSemiAntiJoin)."""

from __future__ import annotations

from sqlglot import exp

from penstock.trees.columns import uncertain
from penstock.trees.tree import (
    Aggregate,
    Filter,
    Join,
    Node,
    Project,
    Sort,
    Window,
    expressions,
    queries,
    references,
    substituted,
    with_children,
)

__all__ = ["lowered"]


def lowered(node: Node) -> Node:
    """A semi or anti join below what does not change what it asks."""
    if not isinstance(node, Join) or node.how not in ("semi", "anti"):
        return node
    below: Node = node.left
    asked = references(*node.conditions) & below.columns.keys()
    if isinstance(below, Join):
        return _below_join(node, below, asked)
    if not _passed(below, asked) or queries(below) or any(map(uncertain, expressions(below))):
        return node
    values: dict[str, exp.Expr] = {}
    if isinstance(below, (Project, Aggregate)):
        made = below.made if isinstance(below, Project) else below.keys
        values = {name: made[name] for name in asked}
    conditions = tuple(substituted(each, values) for each in node.conditions)
    return with_children(below, [lowered(node._replace(left=below.children[0], conditions=conditions))])


def _below_join(node: Join, below: Join, asked: set[str]) -> Node:
    if asked <= below.left.columns.keys() and below.how in ("inner", "cross", "left"):
        return below._replace(left=lowered(node._replace(left=below.left)))
    if asked <= below.right.columns.keys() and below.how in ("inner", "cross", "right"):
        return below._replace(right=lowered(node._replace(left=below.right)))
    return node


def _passed(below: Node, asked: set[str]) -> bool:
    if isinstance(below, Aggregate):
        return bool(below.keys) and asked <= below.keys.keys()
    if isinstance(below, Window):
        return bool(asked) and asked <= references(*(key for key in below.by if isinstance(key, exp.Column)))
    if isinstance(below, Project):
        return all(isinstance(below.made[name], exp.Column) for name in asked)
    return isinstance(below, (Filter, Sort))
