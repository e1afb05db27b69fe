"""Single values that are computed of the same rows are computed together (MergeSubplans)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from sqlglot import exp

from penstock.trees.sameness import Numbers
from penstock.trees.tree import (
    Aggregate,
    Filter,
    Inner,
    Node,
    Project,
    Scan,
    attribute,
    column,
    queries,
    rewritten,
    substituted,
    walk,
    with_queries,
)

__all__ = ["together"]


class _Value(NamedTuple):
    """One value over a scan, perhaps filtered."""

    inner: Inner
    aggregate: Aggregate
    conditions: tuple[exp.Expr, ...]
    scan: Scan


def together(node: Node) -> Node:
    """The tree, with queries for single values over one table made one query; others of them are marked as reused.

    If they are not filtered alike, one of them has to be over the whole table (`mergeSubplans.filterPropagation`).
    """
    numbers = Numbers()
    by_table: dict[str, list[_Value]] = {}
    for value in _values(node):
        by_table.setdefault(repr(value.scan.source), []).append(value)
    changed: dict[int, Inner] = {}
    for values in by_table.values():
        by_filter: dict[Any, list[_Value]] = {}
        for value in values:
            by_filter.setdefault(numbers.of(_rows(value)), []).append(value)
        groups = list(by_filter.values())
        if any(not value.conditions for value in values):
            groups = [values]
        for group in groups:
            if len({numbers.of(value.inner.node) for value in group}) > 1:
                changed |= _merged(group)
    if not changed:
        return node

    def change(inner: Inner) -> Inner:
        return changed.get(id(inner), inner)

    return rewritten(node, lambda each: with_queries(each, change))


def _values(node: Node) -> Iterator[_Value]:
    for each in walk(node):
        for inner in queries(each).values():
            if inner.kind == "value" and (value := _value(inner)) is not None:
                yield value


def _value(inner: Inner) -> _Value | None:
    aggregate = inner.node.child if isinstance(inner.node, Project) else inner.node
    if not isinstance(aggregate, Aggregate) or aggregate.keys or queries(inner.node):
        return None
    below: Node = aggregate.child
    if isinstance(below, Project) and all(isinstance(each, exp.Column) for each in below.made.values()):
        if any(each.name != name for name, each in below.made.items()):
            return None
        below = below.child
    conditions: tuple[exp.Expr, ...] = ()
    if isinstance(below, Filter) and not below.beside:
        conditions, below = below.conditions, below.child
    return _Value(inner, aggregate, conditions, below) if isinstance(below, Scan) else None


def _rows(value: _Value) -> Node:
    """The rows that a value is over, with no columns but those of its filter."""
    read = {name for each in value.conditions for name in (part.name for part in each.find_all(exp.Column))}
    names = {place: name for place, name in value.scan.names.items() if place in read}
    scan = value.scan._replace(names=names, columns={place: value.scan.columns[place] for place in names})
    return Filter(scan, value.conditions) if value.conditions else scan


def _merged(group: list[_Value]) -> dict[int, Inner]:
    """The queries of a group by what they were, each with its own value of one aggregate for all."""
    places: dict[str, str] = {}
    kinds: dict[str, str] = {}
    made: dict[str, exp.Expr] = {}
    columns: dict[str, str] = {}
    whole = any(not value.conditions for value in group)
    for value in group:
        for place, name in value.scan.names.items():
            kinds[places.setdefault(name, attribute(name))] = value.scan.columns[place]
        known = _known(value, places)
        for name, each in value.aggregate.made.items():
            made[name] = substituted(each, known)
            if whole and value.conditions:
                only = exp.and_(*(substituted(condition, known) for condition in value.conditions))
                made[name] = exp.Filter(this=made[name], expression=exp.Where(this=only))
        columns |= value.aggregate.columns
    first = group[0]
    scan = first.scan._replace(names={place: name for name, place in places.items()}, columns=kinds)
    conditions = () if whole else tuple(substituted(each, _known(first, places)) for each in first.conditions)
    rows: Node = Filter(scan, conditions) if conditions else scan
    aggregate = Aggregate(rows, {}, made, columns, first.aggregate.label)
    return {id(value.inner): _of(value, aggregate, reused=value is not first) for value in group}


def _known(value: _Value, places: Mapping[str, str]) -> dict[str, exp.Expr]:
    return {place: column(places[name]) for place, name in value.scan.names.items()}


def _of(value: _Value, aggregate: Aggregate, *, reused: bool) -> Inner:
    if isinstance(value.inner.node, Project):
        return value.inner._replace(node=value.inner.node._replace(child=aggregate), reused=reused)
    own: dict[str, exp.Expr] = {name: column(name) for name in value.aggregate.made}
    return value.inner._replace(node=Project(aggregate, own, dict(value.aggregate.columns)), reused=reused)
