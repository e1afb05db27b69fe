"""Queries within expressions that become joins: single values, and whether there is something."""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from penstock.optimising.filters import filtered, refuses_nulls
from penstock.trees.tree import (
    Aggregate,
    Filter,
    How,
    Inner,
    Join,
    Node,
    Project,
    column,
    expressions,
    references,
    rewritten,
    substituted,
    walk,
)

__all__ = ["existences_joined", "values_joined"]


def values_joined(node: Node) -> Node:
    """RewriteCorrelatedScalarSubquery: one value for each row outside is a join with the values of all."""
    if not isinstance(node, (Filter, Project)):
        return node
    child, beside = node.child, dict(node.beside)
    counted: dict[str, exp.Expr] = {}
    for name, inner in node.beside.items():
        if inner.kind == "value" and inner.conditions:
            table = rewritten(inner.node, values_joined)
            readers = [each for each in expressions(node) if name in references(each)]
            needed = isinstance(node, Filter) and all(refuses_nulls(each, {name}, {}) for each in readers)
            how: How = "inner" if needed and not _counts(table) else "left"
            # With several values for a row Spark has to fail, which only a broadcast join does (LeftSingle).
            hint = "" if _has_one(table, references(*inner.conditions)) else "broadcast right"
            child = Join(child, table, "left" if hint else how, inner.conditions, hint)
            if _counts(table):
                counted[name] = exp.Coalesce(this=column(name), expressions=[exp.Literal.number(0)])
            del beside[name]
    if child is node.child:
        return node
    found = node._replace(child=child, beside=beside)
    if isinstance(found, Project):
        found = found._replace(made={name: substituted(each, counted) for name, each in found.made.items()})
    else:
        found = found._replace(conditions=tuple(substituted(each, counted) for each in found.conditions))
    if isinstance(found, Project):
        return found
    kept = node.child.columns
    return Project(found, {name: column(name) for name in kept}, dict(kept))


def _has_one(table: Node, asked: set[str]) -> bool:
    """Whether there is no more than one value for each row outside: it is an aggregate by what they have in common."""
    while isinstance(table, (Project, Filter)):
        table = table.child
    return isinstance(table, Aggregate) and table.keys.keys() <= asked


def _counts(table: Node) -> bool:
    """Whether the value is a number where there is no row at all."""
    return any(
        isinstance(node, Aggregate) and any(each.find(exp.Count) for each in node.made.values()) for node in walk(table)
    )


def existences_joined(node: Node, optimised: Callable[[Node], Node]) -> Node:
    """RewritePredicateSubquery: EXISTS and IN keep the rows that meet something, NOT those that meet nothing.

    Where that is but a part of a condition, or is selected, it becomes a column of each row.
    """
    if not isinstance(node, (Filter, Project)) or not any(inner.kind != "value" for inner in node.beside.values()):
        return node
    child, beside = node.child, dict(node.beside)
    conditions: list[exp.Expr] = []
    constants = _constants(node)
    for condition in node.conditions if isinstance(node, Filter) else ():
        bare = condition.unnest()
        negated = isinstance(bare, exp.Not)
        asked = bare.this.unnest() if negated else bare
        inner = beside.get(asked.name) if isinstance(asked, exp.Column) else None
        if inner is None or inner.kind == "value":
            conditions.append(condition)
            continue
        how: How = "anti" if negated else "semi"
        aware = negated and inner.kind == "in"
        met = _denied(inner) if aware and len(inner.conditions) > 1 else inner.conditions
        met = tuple(substituted(each, constants) for each in met) if inner.kind == "exists" else met
        child = Join(child, optimised(inner.node), how, met, aware=aware)
        del beside[asked.name]
    for name, inner in list(beside.items()):
        if inner.kind != "value":
            met = _denied(inner) if any(_negates(each, name) for each in expressions(node)) else inner.conditions
            child = Join(child, optimised(inner.node), "existence", met, found=name)
            del beside[name]
    if isinstance(node, Project):
        return node._replace(child=child, beside=beside)
    found = filtered(child, conditions, beside)
    kept = node.child.columns
    return found if found.columns == kept else Project(found, {name: column(name) for name in kept}, dict(kept))


def _constants(node: Node) -> dict[str, exp.Expr]:
    """The columns that a filter wants equal to a constant, which stands for them in what else it asks."""
    equal = [each for each in expressions(node) if isinstance(each, exp.EQ)] if isinstance(node, Filter) else []
    return {
        each.left.name: each.right
        for each in equal
        if isinstance(each.left, exp.Column) and isinstance(each.right, exp.Literal)
    }  # fmt: skip


def _negates(expression: exp.Expr, name: str) -> bool:
    return any(
        isinstance(each.this.unnest(), exp.Column) and each.this.unnest().name == name
        for each in expression.find_all(exp.Not)
    )  # fmt: skip


def _denied(inner: Inner) -> tuple[exp.Expr, ...]:
    """What NOT IN asks: also where it is not known whether values are equal, something is met."""
    unknown = [
        exp.paren(exp.or_(each, exp.Is(this=each.copy(), expression=exp.Null())), copy=False)
        for each in inner.conditions[: inner.values]
    ]
    return (*unknown, *inner.conditions[inner.values :])
