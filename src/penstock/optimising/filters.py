"""Filters as low as they may stand (PushDownPredicates), and outer joins that a filter makes inner ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from sqlglot import exp

from penstock.trees.columns import uncertain
from penstock.trees.tree import (
    Aggregate,
    Exchange,
    Explode,
    Filter,
    Inner,
    Join,
    Node,
    Project,
    Shuffle,
    Sort,
    Union,
    Window,
    conjuncts,
    references,
    substituted,
    with_children,
)

__all__ = ["Beside", "filtered", "in_terms_of", "parts_of_sides", "pushed", "reads", "refuses_nulls"]

Beside = Mapping[str, Inner]
"""The queries within conditions, under the columns that stand for them."""


def pushed(node: Node, conditions: Sequence[exp.Expr] = (), beside: Beside = MappingProxyType({})) -> Node:
    """The node with conditions from above it, each as low as it may stand."""
    if isinstance(node, Filter):
        inners: Beside = {name: each._replace(node=pushed(each.node)) for name, each in node.beside.items()}
        if any(map(uncertain, node.conditions)):
            child = pushed(node.child)
            return filtered(node._replace(child=child, beside=inners), conditions, beside)
        return pushed(node.child, [*node.conditions, *conditions], {**beside, **inners})
    if isinstance(node, Join):
        return _through_join(node, conditions, beside)
    if isinstance(node, Project):
        return _through_project(node, conditions, beside)
    if isinstance(node, Union) and not beside:
        return with_children(node, [pushed(branch, conditions) for branch in node.branches])
    low, high = _split(conditions, beside, _passed(node))
    lower, inners = in_terms_of(node.keys if isinstance(node, Aggregate) else {}, low, beside)
    below = [pushed(child, lower, inners) for child in node.children]
    return filtered(with_children(node, below), high, beside)


def _through_project(node: Project, conditions: Sequence[exp.Expr], beside: Beside) -> Node:
    own = {name: each._replace(node=pushed(each.node)) for name, each in node.beside.items()}
    node = node._replace(beside=own) if own else node
    fixed = {name for name, each in node.made.items() if uncertain(each) or references(each) & own.keys()}
    high = [each for each in conditions if reads(each, beside) & fixed]
    lower, inners = in_terms_of(node.made, [each for each in conditions if each not in high], beside)
    return filtered(with_children(node, [pushed(node.child, lower, inners)]), high, beside)


def _passed(node: Node) -> Iterable[str]:
    """The columns on which a condition may as well be asked below a node."""
    if isinstance(node, Aggregate):
        return [name for name, key in node.keys.items() if not uncertain(key)]
    if isinstance(node, Window):
        return [key.name for key in node.by if isinstance(key, exp.Column)]
    return node.child.columns if isinstance(node, (Explode, Sort, Shuffle, Exchange)) else ()


def reads(condition: exp.Expr, beside: Beside) -> set[str]:
    """The columns of the tree that a condition rests on, those of queries within it too."""
    found = references(condition)
    for name in found & beside.keys():
        found = found - {name} | (references(*beside[name].conditions) - beside[name].node.columns.keys())
    return found


def _split(
    conditions: Sequence[exp.Expr], beside: Beside, columns: Iterable[str]
) -> tuple[list[exp.Expr], list[exp.Expr]]:
    """The conditions that rest on some columns alone, and the others."""
    known = set(columns)
    low = [each for each in conditions if known and reads(each, beside) <= known]
    return low, [each for each in conditions if each not in low]


def filtered(node: Node, conditions: Sequence[exp.Expr], beside: Beside) -> Node:
    """A filter, where there is something to filter by."""
    if not conditions:
        return node
    used = references(*conditions)
    inners = {name: each for name, each in beside.items() if name in used}
    label = next((each.meta["label"] for each in conditions if "label" in each.meta), None)
    return Filter(node, tuple(dict.fromkeys(conditions)), inners, label)


def in_terms_of(
    made: Mapping[str, exp.Expr], conditions: Sequence[exp.Expr], beside: Beside
) -> tuple[list[exp.Expr], Beside]:
    """Conditions over columns, put in terms of what the columns are made of."""
    if not made:
        return list(conditions), beside
    inners = {
        name: each._replace(conditions=tuple(substituted(condition, made) for condition in each.conditions))
        for name, each in beside.items()
    }
    return [part for each in conditions for part in conjuncts(substituted(each, made))], inners


# -- joins ------------------------------------------------------------------------------------------------------------


def _through_join(join: Join, conditions: Sequence[exp.Expr], beside: Beside) -> Node:
    """PushPredicateThroughJoin and EliminateOuterJoin."""
    left, right = join.left.columns.keys(), join.right.columns.keys()
    how = join.how
    if how in ("left", "full") and any(refuses_nulls(each, right, beside) for each in conditions):
        how = "inner" if how == "left" else "right"
    if how in ("right", "full") and any(refuses_nulls(each, left, beside) for each in conditions):
        how = "inner" if how == "right" else "left"
    above, here = list(conditions), list(join.conditions)
    if how in ("inner", "cross"):
        here = [each for each in above if not references(each) & beside.keys()] + here
        above = [each for each in above if references(each) & beside.keys()]
    to_left: list[exp.Expr] = []
    to_right: list[exp.Expr] = []
    if how in ("inner", "cross", "left", "semi", "anti", "existence"):
        to_left, above = _split(above, beside, left)
    if how in ("inner", "cross", "right"):
        to_right, above = _split(above, beside, right)
    if how in ("inner", "cross", "right", "semi"):
        lower, here = _split(here, {}, left)
        to_left += lower
    if how in ("inner", "cross", "left", "semi", "anti", "existence"):
        lower, here = _split(here, {}, right)
        to_right += lower
    if how == "cross" and here:
        how = "inner"
    sides = pushed(join.left, to_left, beside), pushed(join.right, to_right, beside)
    found = join._replace(left=sides[0], right=sides[1], how=how, conditions=tuple(dict.fromkeys(here)))
    return filtered(found, above, beside)


def refuses_nulls(condition: exp.Expr, columns: Iterable[str], beside: Beside) -> bool:
    """Whether a condition is not true where all these columns are null: then rows without a partner are not kept."""
    asked = [beside[name] for name in references(condition) & beside.keys()]
    if any(inner.kind != "value" or inner.conditions for inner in asked):
        return False
    return bool(_null_with(condition) & set(columns))


def _null_with(expression: exp.Expr) -> set[str]:
    """The columns each of which makes an expression null, or untrue, by being null."""
    if isinstance(expression, exp.Column):
        return {expression.name}
    if isinstance(expression, exp.Or):
        return set.intersection(*(_null_with(branch) for branch in expression.flatten()))
    if isinstance(expression, exp.Not) and isinstance(given := expression.this.unnest(), exp.Is):
        return _null_with(given.this) if isinstance(given.expression, exp.Null) else set()
    if isinstance(expression, exp.In):
        return _null_with(expression.this)
    if isinstance(expression, _LENIENT):
        return set()
    return set().union(*map(_null_with, expression.iter_expressions()))


#: What may be something although a part of it is null.
_LENIENT = (
    exp.Anonymous, exp.Array, exp.Case, exp.Coalesce, exp.ConcatWs, exp.Greatest, exp.If, exp.Is, exp.IsNan, exp.Least,
    exp.NullSafeEQ, exp.NullSafeNEQ, exp.Struct,
)  # fmt: skip


def parts_of_sides(node: Node) -> Node:
    """What a condition with OR asks of one side of a join alone is asked there too (PushExtraPredicateThroughJoin)."""
    if not isinstance(node, Join) or node.how in ("full", "existence"):
        return node
    sides = [node.left, node.right]
    open_to = {"left": (1,), "anti": (1,), "right": (0,)}.get(node.how, (0, 1))
    for i in open_to:
        own = [part for each in node.conditions if (part := _part(each, sides[i].columns.keys())) is not None]
        sides[i] = pushed(sides[i], own) if own else sides[i]
    return with_children(node, sides)


def _part(condition: exp.Expr, columns: Iterable[str]) -> exp.Expr | None:
    """What an OR says of some columns, whichever of its branches is true; nothing unless each says something."""
    known = set(columns)
    bare = condition.unnest()
    if not isinstance(bare, exp.Or):
        return None
    branches = [
        [part for part in conjuncts(branch) if references(part) and references(part) <= known]
        for branch in bare.flatten()
    ]  # fmt: skip
    return exp.paren(exp.or_(*(exp.and_(*branch) for branch in branches)), copy=False) if all(branches) else None
