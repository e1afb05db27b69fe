"""Where rows cross: exchanges put into a tree where Spark's planner puts them (EnsureRequirements)."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlglot import exp

from penstock.optimising.broadcasts import BROADCAST, sent
from penstock.trees.aggregating import distinct_sets
from penstock.trees.sameness import Numbers
from penstock.trees.tree import (
    Aggregate,
    Exchange,
    Inner,
    Join,
    Limit,
    Node,
    Project,
    Shuffle,
    Sort,
    Union,
    Window,
    both,
    column,
    with_children,
    with_queries,
)

__all__ = ["BROADCAST", "placed"]


Keys = tuple[exp.Expr, ...]
WAYS = 100  # spark.sql.optimizer.expressionProjectionCandidateLimit


class _Layout(NamedTuple):
    """How the rows of a node lie: by which keys they are put together, which may be said in several ways."""

    ways: tuple[Keys, ...] = ()
    hashed: bool = True
    """So that rows of two tables that are equal in the keys meet; not if they lie in order."""
    single: bool = False
    """All in one partition."""

    def gathers(self, wanted: Iterable[exp.Expr]) -> bool:
        """Whether rows that are equal in the wanted keys lie in one partition."""
        known = set(wanted)
        return self.single or any(keys and known.issuperset(keys) for keys in self.ways)

    def said(self, names: Mapping[exp.Expr, Sequence[exp.Expr]]) -> _Layout:
        """The same with other names for the keys, as far as there are some; each key in every way."""
        ways = (itertools.product(*(names.get(key, ()) for key in keys)) for keys in self.ways)
        found = dict.fromkeys(way for each in ways for way in itertools.islice(each, WAYS))
        return self._replace(ways=tuple(itertools.islice(found, WAYS)))


NOWHERE = _Layout()
SINGLE = _Layout(single=True)


def _by(keys: Iterable[exp.Expr], *, hashed: bool = True) -> _Layout:
    return _Layout((tuple(keys),), hashed)


class _Placed(NamedTuple):
    node: Node
    layout: _Layout


def placed(node: Node, broadcast: int = BROADCAST) -> Node:
    """The tree with its exchanges.

    Args:
        node: As `optimise` leaves it.
        broadcast: Up to which size a side of a join goes to all workers; negative for never.
    """
    return _reused(_place(node, broadcast, top=True).node)


def _place(node: Node, broadcast: int, *, top: bool = False) -> _Placed:
    node = with_queries(node, lambda inner: inner._replace(node=_place(inner.node, broadcast, top=True).node))
    if isinstance(node, Join):
        return _join(node, broadcast)
    if isinstance(node, Union):
        return _union(node, [_place(branch, broadcast) for branch in node.branches])
    if not node.children:
        return _Placed(node, NOWHERE)
    if isinstance(node, Limit):
        return _limit(node, broadcast, top)
    child = _place(node.children[0], broadcast, top=top and isinstance(node, Project))
    if isinstance(node, Aggregate):
        return _aggregate(node, child)
    if isinstance(node, Window):
        return _window(node, child)
    if isinstance(node, Sort) and node.everywhere and not child.layout.single:
        found = Exchange(child.node, "range", node.order, why=node)
        return _Placed(node._replace(child=found), _by((term.this for term in node.order), hashed=False))
    if isinstance(node, Shuffle):
        if node.keys and child.layout.hashed and node.keys in child.layout.ways:
            return child
        return _Placed(Exchange(child.node, "hash" if node.keys else "spread", node.keys, why=node), _by(node.keys))
    layout = _renamed(node, child.layout) if isinstance(node, Project) else child.layout
    return _Placed(with_children(node, [child.node]), layout)


def _renamed(project: Project, layout: _Layout) -> _Layout:
    """The same rows under the names that a projection gives."""
    names: dict[exp.Expr, list[exp.Expr]] = {}
    for name, value in project.made.items():
        names.setdefault(value, []).append(column(name))
    return layout.said(names)


def _limit(node: Limit, broadcast: int, top: bool) -> _Placed:
    """The first rows of each partition go to one place. At the top nothing moves but what the user sees."""
    projects: list[Project] = []
    below = node.child
    while isinstance(below, Project):
        projects.append(below)
        below = below.child
    if isinstance(below, Sort) and below.everywhere:  # TakeOrderedAndProject
        child = _place(below.child, broadcast)
        first = node._replace(child=below._replace(child=child.node, everywhere=False))
        found: Node = first
        if not child.layout.single:
            taken = Exchange(child.node, "single", below.order, why=node, combined=(first,))
            found = node._replace(child=below._replace(child=taken))
        for project in reversed(projects):
            found = project._replace(child=found)
        return _Placed(found, SINGLE)
    child = _place(node.child, broadcast, top=top)
    if top or child.layout.single:
        return _Placed(node._replace(child=child.node), child.layout)
    return _Placed(node._replace(child=Exchange(child.node, "single", why=node, combined=(node,))), SINGLE)


def _union(node: Union, branches: Sequence[_Placed]) -> _Placed:
    """Rows lie as in the branches, if they lie alike in all of them."""
    own: dict[exp.Expr, list[exp.Expr]] = {column(name): [column(name)] for name in node.columns}
    layouts = [each.layout.said(own) for each in branches]
    first = layouts[0]
    alike = all(each == first for each in layouts) and first.hashed and len(first.ways) <= 1
    return _Placed(with_children(node, [each.node for each in branches]), first if alike else NOWHERE)


# -- groups and windows -----------------------------------------------------------------------------------------------


def _aggregate(node: Aggregate, child: _Placed) -> _Placed:
    """Groups that are combined in each partition before they meet."""
    keys = tuple(node.keys.values())
    below, layout = child
    if sets := distinct_sets(node):  # first one row a group and distinct value, then one a group
        values = tuple(dict.fromkeys(value for each in sets for value in each))
        several = len(sets) > 1 or any(each.find(exp.Filter) for each in node.made.values())
        if several or not layout.gathers([*keys, *values]):
            below = Exchange(below, "hash", (*keys, *values), why=node, combined=(node,))
            layout = NOWHERE if several else _by((*keys, *values))
    if not keys:
        if not layout.single:
            below, layout = Exchange(below, "single", why=node, combined=(node,)), SINGLE
    elif not layout.gathers(keys):
        below, layout = Exchange(below, "hash", keys, why=node, combined=(node,)), _by(keys)
    names: dict[exp.Expr, list[exp.Expr]] = {}
    for name, value in node.keys.items():
        names.setdefault(value, []).append(column(name))
    return _Placed(node._replace(child=below), layout.said(names))


def _window(node: Window, child: _Placed) -> _Placed:
    if child.layout.single or (node.by and child.layout.gathers(node.by)):
        return _Placed(node._replace(child=child.node), child.layout)
    if not node.by:
        return _Placed(node._replace(child=Exchange(child.node, "single", why=node)), SINGLE)
    combined = (node,) if node.first else ()
    found = Exchange(child.node, "hash", node.by, why=node, combined=combined)
    return _Placed(node._replace(child=found), _by(node.by))


# -- joins ------------------------------------------------------------------------------------------------------------

Pairs = Sequence[tuple[exp.Expr, exp.Expr]]


def _join(node: Join, broadcast: int) -> _Placed:
    left, right = _place(node.left, broadcast), _place(node.right, broadcast)
    pairs = list(dict.fromkeys(both(node)))
    side = sent(node, broadcast, equal=bool(pairs))
    if side == "right":
        copied = Exchange(right.node, "broadcast", tuple(theirs for _, theirs in pairs), why=node)
        return _Placed(node._replace(left=left.node, right=copied), _streamed(node, left.layout, side, pairs))
    if side == "left":
        copied = Exchange(left.node, "broadcast", tuple(ours for ours, _ in pairs), why=node)
        return _Placed(node._replace(left=copied, right=right.node), _streamed(node, right.layout, side, pairs))
    if not pairs:  # CartesianProduct: each partition of one side reads each of the other
        return _Placed(node._replace(left=left.node, right=right.node), NOWHERE)
    return _shuffled(node, left, right, pairs)


SHORT = 8  # spark.sql.execution.broadcastHashJoin.outputPartitioningExpandLimit


def _streamed(node: Join, layout: _Layout, side: str, pairs: Pairs) -> _Layout:
    """What is not copied stays where it is; but an outer join that keeps rows of the copy knows not where those are."""
    kept = {"left": "right", "right": "left"}.get(node.how)
    if node.how == "full" or kept not in (None, side):
        return NOWHERE
    if node.how not in ("inner", "cross"):
        return layout
    names: dict[exp.Expr, list[exp.Expr]] = {key: [key] for keys in layout.ways for key in keys}
    for pair in pairs:
        streamed, copied = pair if side == "right" else pair[::-1]
        if streamed in names and copied not in names[streamed]:
            names[streamed].append(copied)
    found = layout.said(names)
    return found._replace(ways=found.ways[:SHORT])


def _shuffled(node: Join, left: _Placed, right: _Placed, pairs: Pairs) -> _Placed:
    """Both sides by the keys, but for those that lie so already."""
    sides, layouts = [left.node, right.node], [left.layout, right.layout]
    keys = [one for one, _ in pairs], [other for _, other in pairs]
    if not all(layout.single for layout in layouts):
        positions = [_positions(layout, by) for layout, by in zip(layouts, keys, strict=True)]
        order = positions[0] or positions[1] or list(range(len(pairs)))
        for i in range(2):
            if positions[i] != order:
                others = keys[1 - i]
                # A side that lies by some of the keys is moved as the other is: the first of equal ones stands for all.
                places = [others.index(others[j]) for j in order] if layouts[i].gathers(keys[i]) else order
                by = tuple(keys[i][place] for place in places)
                sides[i], layouts[i] = Exchange(sides[i], "hash", by, why=node), _by(by)
    kept = layouts[1] if node.how == "right" else NOWHERE if node.how == "full" else layouts[0]
    if node.how == "inner" and not kept.single:
        kept = _Layout((*layouts[0].ways, *layouts[1].ways))
    return _Placed(node._replace(left=sides[0], right=sides[1]), kept)


def _positions(layout: _Layout, keys: Sequence[exp.Expr]) -> list[int]:
    """In which order rows lie by the keys already; nothing unless it is by all of them and no other.

    spark.sql.requireAllClusterKeysForCoPartition: by some of them would do, but a skewed one of them is feared.
    """
    for way in layout.ways if layout.hashed else ():
        if len(way) == len(keys) and set(way) == set(keys) and len(set(way)) == len(way):
            return [keys.index(key) for key in way]
    return []


# -- ReuseExchangeAndSubquery -----------------------------------------------------------------------------------------


def _takes_first(exchange: Exchange) -> bool:
    """Whether it stands for what TakeOrderedAndProject does, which Spark never shares."""
    return any(isinstance(each, Limit) and isinstance(each.child, Sort) for each in exchange.combined)


def _reused(node: Node) -> Node:
    """The tree with what brings the same rows to the same places as an earlier exchange, or asks the same, marked."""
    numbers = Numbers()
    seen: set[int] = set()
    asked: set[int] = set()

    def ask(inner: Inner) -> Inner:
        number = numbers.of(inner.node)
        if inner.reused or number in asked:
            return inner._replace(reused=True)
        asked.add(number)
        return inner._replace(node=mark(inner.node))

    def mark(each: Node) -> Node:
        found = with_queries(with_children(each, [mark(child) for child in each.children]), ask)
        if not isinstance(found, Exchange) or _takes_first(found):
            return found
        number = numbers.of(each)
        if number in seen:
            return found._replace(reused=True)
        seen.add(number)
        return found

    return mark(node)
