"""By which columns the rows of a table are all different, as far as that follows from the query (DistinctKeyVisitor).

Spark knows of no keys in files: only groups are unique, by what they are grouped by.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from penstock.trees.tree import Aggregate, Filter, Join, Limit, Node, Project, Shuffle, Sort, Window, both

__all__ = ["one_partner", "unique_by"]

Keys = list[frozenset[str]]


def unique_by(node: Node) -> Keys:
    """The sets of columns that no two rows are equal in."""
    if isinstance(node, Aggregate):
        return [frozenset(node.keys)] if node.keys else []
    if isinstance(node, Project):
        names = {value.name: name for name, value in node.made.items() if isinstance(value, exp.Column)}
        kept = [keys for keys in unique_by(node.child) if keys <= names.keys()]
        return [frozenset(names[key] for key in keys) for keys in kept]
    if isinstance(node, Join):
        return _of_join(node)
    return unique_by(node.child) if isinstance(node, (Filter, Sort, Window, Shuffle, Limit)) else []


def _of_join(join: Join) -> Keys:
    if join.how in ("semi", "anti", "existence"):
        return unique_by(join.left)
    pairs = both(join)
    found: Keys = []
    if join.how in ("inner", "left") and one_partner(join.right, [theirs for _, theirs in pairs]):
        found += unique_by(join.left)
    if join.how in ("inner", "right") and one_partner(join.left, [ours for ours, _ in pairs]):
        found += unique_by(join.right)
    return found


def one_partner(side: Node, keys: Sequence[exp.Expr]) -> bool:
    """Whether at most one row of a side is equal to any in these keys."""
    names = {key.name for key in keys if isinstance(key, exp.Column)}
    return bool(names) and any(unique <= names for unique in unique_by(side))
