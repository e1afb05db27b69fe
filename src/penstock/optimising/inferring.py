"""Conditions that follow from others (InferFiltersFromConstraints)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sqlglot import exp

from penstock.optimising.filters import Beside, filtered, in_terms_of, reads, refuses_nulls
from penstock.trees.sameness import Numbers
from penstock.trees.tree import (
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
    walk,
    with_children,
)

__all__ = ["inferred"]

#: The sides that may lose rows by what is asked of the other. Semi and anti joins of EXISTS and IN are made later.
_OPEN: Mapping[str, tuple[str, ...]] = {
    "inner": ("left", "right"), "semi": ("left", "right"), "left": ("right",), "anti": ("right",), "right": ("left",),
}  # fmt: skip


def inferred(node: Node) -> Node:
    """What is asked of a key is asked of the keys equal to it; and keys that are to be equal are not null."""
    return _inferred(node, Numbers())


def _inferred(node: Node, numbers: Numbers) -> Node:
    found = with_children(node, [_inferred(child, numbers) for child in node.children])
    if isinstance(found, Filter) and len(found.beside) > 1:
        return _once(found, numbers)
    if not isinstance(found, Join):
        return found
    sides = {"left": found.left, "right": found.right}
    for ours, theirs in both(found):
        for side, key, other in (("left", ours, theirs), ("right", theirs, ours)):
            if side not in _OPEN.get(found.how, ()) or not isinstance(key, exp.Column):
                continue
            asked = list(_asked(sides[side], key.name))
            known = {numbers.condition(each, key.name, inners) for each, inners in asked}
            beside: dict[str, Inner] = {}
            conditions: list[exp.Expr] = []
            if not any(refuses_nulls(each, {key.name}, {}) for each, _ in asked):
                conditions.append(exp.Not(this=exp.Is(this=key.copy(), expression=exp.Null())))
            if isinstance(other, exp.Column):
                for each, inners in _asked(sides["right" if side == "left" else "left"], other.name):
                    if numbers.condition(each, other.name, inners) not in known:
                        conditions.append(_of_other(each, inners, {other.name: key}, beside))
            sides[side] = filtered(sides[side], conditions, beside)
    pairs = both(found)
    for side, place in (("left", 0), ("right", 1)):
        if side in _OPEN.get(found.how, ()):
            sides[side] = filtered(sides[side], list(_equal_to_one(sides[side], pairs, place)), {})
    return with_children(found, sides.values())


def _equal_to_one(table: Node, pairs: Sequence[tuple[exp.Expr, exp.Expr]], place: int) -> Iterator[exp.Expr]:
    """Keys of a table that are equal to the same are equal to each other."""
    first: dict[exp.Expr, exp.Expr] = {}
    for pair in pairs:
        key, other = pair[place], pair[1 - place]
        known = first.setdefault(other, key)
        plain = isinstance(known, exp.Column) and isinstance(key, exp.Column)
        if plain and not _are_equal(table, known.name, key.name):
            yield exp.EQ(this=known.copy(), expression=key.copy())


def _are_equal(table: Node, one: str, other: str) -> bool:
    """Whether two columns of a table are equal by what it asks already, directly or by way of others."""
    found, equal = {one}, [
        {each.left.name, each.right.name}
        for node in walk(table) if isinstance(node, (Join, Filter))
        for each in node.conditions if isinstance(each, exp.EQ)
    ]  # fmt: skip
    while more := [pair for pair in equal if pair & found and not pair <= found]:
        found = found.union(*more)
    return other in found


def _once(node: Filter, numbers: Numbers) -> Node:
    """The filter without a second query that asks the same of the same column."""
    kept: dict[str, exp.Expr] = {}
    for condition in node.conditions:
        read = sorted(reads(condition, node.beside))
        same = (read, numbers.condition(condition, read[0], node.beside)) if len(read) == 1 else (condition,)
        kept.setdefault(repr(same), condition)
    return node if len(kept) == len(node.conditions) else filtered(node.child, list(kept.values()), node.beside)


def _of_other(asked: exp.Expr, inners: Beside, key: Mapping[str, exp.Expr], beside: dict[str, Inner]) -> exp.Expr:
    """What is asked of a column, asked of the equal one."""
    condition = substituted(asked, key)
    for name, inner in inners.items():
        renamed, again = _again(name, inner, key)
        beside[renamed] = again
        condition = substituted(condition, {name: column(renamed)})
    return condition


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
