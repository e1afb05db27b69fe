"""Conditions that follow from others (InferFiltersFromConstraints)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sqlglot import exp

from penstock.plans.optimising.filters import Beside, filtered, in_terms_of, reads, refuses_nulls
from penstock.plans.tree import (
    Aggregate,
    Filter,
    Inner,
    Join,
    Node,
    Project,
    attribute,
    both,
    column,
    fresh,
    references,
    substituted,
    with_children,
)

__all__ = ["inferred"]

#: The sides that may lose rows by what is asked of the other. Semi and anti joins of EXISTS and IN are made later.
_OPEN: Mapping[str, tuple[str, ...]] = {
    "inner": ("left", "right"), "semi": ("left", "right"), "left": ("right",), "anti": ("right",), "right": ("left",),
}  # fmt: skip


def inferred(node: Node) -> Node:
    """What is asked of a key is asked of the keys equal to it; and keys that are to be equal are not null."""
    found = with_children(node, [inferred(child) for child in node.children])
    if not isinstance(found, Join):
        return found
    sides = {"left": found.left, "right": found.right}
    for ours, theirs in both(found):
        for side, key, other in (("left", ours, theirs), ("right", theirs, ours)):
            if side not in _OPEN.get(found.how, ()) or not isinstance(key, exp.Column):
                continue
            known = [each for each, _ in _asked(sides[side], key.name)]
            beside: dict[str, Inner] = {}
            conditions: list[exp.Expr] = []
            if not any(refuses_nulls(each, {key.name}, {}) for each in known):
                conditions.append(exp.Not(this=exp.Is(this=key.copy(), expression=exp.Null())))
            if isinstance(other, exp.Column):
                opposite = sides["right" if side == "left" else "left"]
                conditions += _of_other(opposite, key, other, beside)
            sides[side] = filtered(sides[side], [each for each in conditions if each not in known], beside)
    return found._replace(**sides)


def _of_other(table: Node, key: exp.Column, other: exp.Column, beside: dict[str, Inner]) -> Iterator[exp.Expr]:
    """What a table asks of its column, asked of the equal one."""
    for asked, inners in _asked(table, other.name):
        condition = substituted(asked, {other.name: key})
        for name, inner in inners.items():
            renamed, again = _again(name, inner, {other.name: key})
            beside[renamed] = again
            condition = substituted(condition, {name: column(renamed)})
        yield condition


def _asked(node: Node, name: str) -> Iterator[tuple[exp.Expr, Beside]]:
    """The conditions on one column alone that a table fulfils."""
    beside: Beside
    if isinstance(node, Filter):
        for condition in node.conditions:
            inners: Beside = {each: node.beside[each] for each in references(condition) & node.beside.keys()}
            if reads(condition, node.beside) == {name} and all(each.kind == "in" for each in inners.values()):
                yield condition, inners
    if isinstance(node, (Project, Aggregate)):
        value = (node.made if isinstance(node, Project) else node.keys).get(name)
        if isinstance(value, exp.Column):
            for condition, inners in _asked(node.child, value.name):
                above, beside = in_terms_of({value.name: column(name)}, [condition], inners)
                yield from ((each, beside) for each in above)
    elif isinstance(node, Join):
        for side in (node.left, node.right):
            kept = node.how in ("inner", "cross") or side is (node.right if node.how == "right" else node.left)
            if name in side.columns and kept and node.how != "full":
                yield from _asked(side, name)
    elif len(node.children) == 1 and name in node.children[0].columns:
        yield from _asked(node.children[0], name)


def _again(name: str, inner: Inner, values: Mapping[str, exp.Expr]) -> tuple[str, Inner]:
    """A query within a condition once more, for another column."""
    node, names = fresh(inner.node)
    columns = {old: column(new) for old, new in names.items()}
    conditions = tuple(substituted(each, {**columns, **values}) for each in inner.conditions)
    return attribute(name), inner._replace(node=node, conditions=conditions)
