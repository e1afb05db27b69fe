"""The order of inner joins: each with the next table that a condition ties to those before it (ReorderJoin)."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from penstock.optimising.filters import filtered
from penstock.trees.tree import Filter, Inner, Join, Node, references, with_children

__all__ = ["reordered"]


def reordered(node: Node) -> Node:
    """The tree with its chains of inner joins in Spark's order."""
    beside: dict[str, Inner] = {}
    tables, conditions = _chain(node, beside)
    if len(tables) < 3 or not conditions:
        return with_children(node, [reordered(child) for child in node.children])
    asking = [each for each in conditions if references(each) & beside.keys()]
    conditions = [each for each in conditions if each not in asking]
    found, *rest = map(reordered, tables)
    while rest:
        tied = next((table for table in rest if _ties(conditions, found, table)), rest[0])
        rest = [table for table in rest if table is not tied]
        seen = found.columns.keys() | tied.columns.keys()
        here = tuple(each for each in conditions if references(each) <= seen)
        conditions = [each for each in conditions if not references(each) <= seen]
        found = Join(found, tied, "inner" if here else "cross", here, label=getattr(node, "label", None))
    return filtered(found, [*conditions, *asking], beside)


def _chain(node: Node, beside: dict[str, Inner]) -> tuple[list[Node], list[exp.Expr]]:
    """The tables of inner joins from left to right, and all conditions on them, with the queries within those."""
    join = node.child if isinstance(node, Filter) else node
    if not isinstance(join, Join) or join.how not in ("inner", "cross") or join.hint:
        return [node], []
    tables, conditions = _chain(join.left, beside)
    conditions += join.conditions
    if isinstance(node, Filter):
        conditions += node.conditions
        beside |= node.beside
    return [*tables, join.right], conditions


def _ties(conditions: Sequence[exp.Expr], one: Node, other: Node) -> bool:
    ours, theirs = one.columns.keys(), other.columns.keys()
    return any(
        (read := references(each)) <= ours | theirs and not read <= ours and not read <= theirs for each in conditions
    )
