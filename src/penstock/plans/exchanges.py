"""Where rows cross: exchanges put into a tree where Spark's planner puts them (EnsureRequirements, JoinSelection)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlglot import exp

from penstock.plans.aggregating import distinct_sets
from penstock.plans.sizes import size_of
from penstock.plans.tree import (
    Aggregate,
    Exchange,
    Filter,
    Join,
    Label,
    Limit,
    Node,
    Project,
    Scan,
    Shuffle,
    Sort,
    Union,
    Window,
    both,
    column,
    substituted,
    with_children,
)

__all__ = ["BROADCAST", "placed"]

BROADCAST = 10 << 20  # spark.sql.autoBroadcastJoinThreshold


class _Layout(NamedTuple):
    """How the rows of a node lie: by what they are put together, position by position, each under all its names."""

    keys: tuple[frozenset[exp.Expr], ...] = ()
    single: bool = False
    """All in one partition."""

    def gathers(self, wanted: Iterable[exp.Expr]) -> bool:
        """Whether rows that are equal in the wanted keys lie in one partition."""
        known = set(wanted)
        return self.single or (bool(self.keys) and all(names & known for names in self.keys))


NOWHERE = _Layout()
SINGLE = _Layout(single=True)


class _Placed(NamedTuple):
    node: Node
    layout: _Layout


def placed(node: Node, broadcast: int = BROADCAST) -> Node:
    """The tree with its exchanges.

    Args:
        node: As `optimise` leaves it.
        broadcast: Up to which size a side of a join goes to all workers; negative for never.
    """
    found = _place(node, broadcast, top=True).node
    return _reused(found)


def _place(node: Node, broadcast: int, *, top: bool = False) -> _Placed:
    if isinstance(node, Join):
        return _join(node, broadcast)
    if isinstance(node, Union):
        return _Placed(node._replace(branches=tuple(_place(each, broadcast).node for each in node.branches)), NOWHERE)
    if not node.children:
        return _Placed(node, NOWHERE)
    if isinstance(node, Limit) and isinstance(_ordered(node.child), Sort):
        sort = _ordered(node.child)  # TakeOrderedAndProject: the first rows of each partition go to one place
        child = _place(sort.child, broadcast)
        limited = node._replace(child=sort._replace(child=child.node, everywhere=False))
        if child.layout.single:
            return _Placed(_above(node.child, sort, limited), SINGLE)
        taken = Exchange(child.node, "single", sort.order, why=node, combined=(limited,))
        return _Placed(_above(node.child, sort, node._replace(child=sort._replace(child=taken))), SINGLE)
    child = _place(node.children[0], broadcast, top=top and isinstance(node, (Project, Limit)))
    if isinstance(node, Aggregate):
        return _aggregate(node, child)
    if isinstance(node, Window):
        return _window(node, child)
    if isinstance(node, Sort) and node.everywhere and not child.layout.single:
        found = Exchange(child.node, "range", node.order, why=node)
        return _Placed(node._replace(child=found), _Layout(tuple(frozenset([term.this]) for term in node.order)))
    if isinstance(node, Shuffle):
        found = Exchange(child.node, "hash" if node.keys else "spread", node.keys, why=node)
        return _Placed(found, _Layout(tuple(frozenset([key]) for key in node.keys)))
    if isinstance(node, Limit) and not top and not child.layout.single:
        return _Placed(node._replace(child=Exchange(child.node, "single", why=node, combined=(node,))), SINGLE)
    if isinstance(node, Filter):
        beside = {name: each._replace(node=placed(each.node, broadcast)) for name, each in node.beside.items()}
        return _Placed(node._replace(child=child.node, beside=beside), child.layout)
    layout = _renamed(node, child.layout) if isinstance(node, Project) else child.layout
    return _Placed(with_children(node, [child.node]), layout)


def _ordered(node: Node) -> Any:
    """The sort below projections."""
    while isinstance(node, Project):
        node = node.child
    return node


def _above(node: Node, old: Node, new: Node) -> Node:
    return new if node is old else with_children(node, [_above(node.children[0], old, new)])


def _renamed(project: Project, layout: _Layout) -> _Layout:
    """The same rows under the names that a projection gives."""
    names: dict[exp.Expr, set[exp.Expr]] = {}
    for name, value in project.made.items():
        names.setdefault(value, set()).add(column(name))
    return layout._replace(
        keys=tuple(frozenset(keys | {new for key in keys for new in names.get(key, ())}) for keys in layout.keys)
    )


# -- groups and windows -----------------------------------------------------------------------------------------------


def _aggregate(node: Aggregate, child: _Placed) -> _Placed:
    """Groups that are combined in each partition before they meet."""
    keys = tuple(node.keys.values())
    below, layout = child
    if sets := distinct_sets(node):  # first one row a group and distinct value, then one a group
        values = tuple(dict.fromkeys(value for each in sets for value in each))
        if not layout.gathers([*keys, *values]) or len(sets) > 1:
            below = Exchange(below, "hash", (*keys, *values), why=node, combined=(node,))
            layout = _Layout(tuple(frozenset([key]) for key in (*keys, *values)))
    if not keys:
        if not layout.single:
            below, layout = Exchange(below, "single", why=node, combined=(node,)), SINGLE
    elif not layout.gathers(keys):
        below = Exchange(below, "hash", keys, why=node, combined=(node,))
        layout = _Layout(tuple(frozenset([key]) for key in keys))
    names = {value: column(name) for name, value in node.keys.items()}
    named = tuple(frozenset(each | {names[key] for key in each if key in names}) for each in layout.keys)
    return _Placed(node._replace(child=below), layout._replace(keys=named))


def _window(node: Window, child: _Placed) -> _Placed:
    if not node.by:
        if child.layout.single:
            return _Placed(node._replace(child=child.node), child.layout)
        return _Placed(node._replace(child=Exchange(child.node, "single", why=node)), SINGLE)
    if child.layout.gathers(node.by):
        return _Placed(node._replace(child=child.node), child.layout)
    combined = (node,) if node.first else ()
    found = Exchange(child.node, "hash", node.by, why=node, combined=combined)
    return _Placed(node._replace(child=found), _Layout(tuple(frozenset([key]) for key in node.by)))


# -- joins ------------------------------------------------------------------------------------------------------------

#: The sides that each join may send to all workers.
_MAY_SEND: Mapping[str, tuple[str, ...]] = {
    "inner": ("left", "right"), "cross": ("left", "right"), "left": ("right",), "right": ("left",), "full": (),
    "semi": ("right",), "anti": ("right",),
}  # fmt: skip


def _join(node: Join, broadcast: int) -> _Placed:
    left, right = _place(node.left, broadcast), _place(node.right, broadcast)
    pairs = both(node)
    side = _sent(node, broadcast, bool(pairs))
    if side == "right":
        sent = Exchange(right.node, "broadcast", tuple(theirs for _, theirs in pairs), why=node)
        return _Placed(node._replace(left=left.node, right=sent), _joined_layout(node, left.layout, pairs))
    if side == "left":
        sent = Exchange(left.node, "broadcast", tuple(ours for ours, _ in pairs), why=node)
        return _Placed(node._replace(left=sent, right=right.node), _joined_layout(node, right.layout, pairs))
    if not pairs:  # CartesianProduct: each partition of one side reads each of the other
        return _Placed(node._replace(left=left.node, right=right.node), NOWHERE)
    return _shuffled(node, left, right, pairs)


def _sent(node: Join, broadcast: int, equal: bool) -> str:
    """The side that goes to all workers, or none."""
    if node.hint.startswith("broadcast"):
        return node.hint.removeprefix("broadcast ")
    if node.aware and len(node.conditions) == 1 and equal:
        return "right"
    sizes = {side: size_of(getattr(node, side)) for side in _MAY_SEND[node.how]}
    small = {side: size for side, size in sizes.items() if size <= broadcast and node.hint != "merge"}
    if small:
        return "left" if small.get("left", broadcast + 1) < small.get("right", broadcast + 1) else "right"
    if equal or node.how in ("inner", "cross"):
        return ""
    if node.how == "full":
        return "left" if size_of(node.left) < size_of(node.right) else "right"
    return _MAY_SEND[node.how][0]  # BroadcastNestedLoopJoin is all that is left


Pairs = Sequence[tuple[exp.Expr, exp.Expr]]


def _shuffled(node: Join, left: _Placed, right: _Placed, pairs: Pairs) -> _Placed:
    """Both sides by the keys, but for those that lie so already."""
    pairs = list(dict.fromkeys(pairs))
    ours, theirs = [one for one, _ in pairs], [other for _, other in pairs]
    positions = [_positions(left.layout, ours), _positions(right.layout, theirs)]
    order = positions[0] or positions[1] or list(range(len(pairs)))
    nodes, layouts = [left.node, right.node], [left.layout, right.layout]
    for i, keys in enumerate((ours, theirs)):
        if positions[i] != order:
            by = tuple(keys[j] for j in order)
            nodes[i] = Exchange(nodes[i], "hash", by, why=node)
            layouts[i] = _Layout(tuple(frozenset([key]) for key in by))
    kept = layouts[1] if node.how == "right" else NOWHERE if node.how == "full" else layouts[0]
    return _Placed(node._replace(left=nodes[0], right=nodes[1]), _joined_layout(node, kept, pairs))


def _positions(layout: _Layout, keys: Sequence[exp.Expr]) -> list[int]:
    """In which order rows lie by the keys already; nothing unless it is by all of them and no other.

    spark.sql.requireAllClusterKeysForCoPartition: by some of them would do, but a skewed one of them is feared.
    """
    places = [next((i for i, key in enumerate(keys) if key in names), -1) for names in layout.keys]
    return places if sorted(places) == list(range(len(keys))) else []


def _joined_layout(node: Join, layout: _Layout, pairs: Pairs) -> _Layout:
    """An inner join makes keys of both sides equal, so that rows lie by either."""
    if node.how not in ("inner", "cross"):
        return layout
    found = []
    for names in layout.keys:
        equal = {other for one in names for pair in pairs if one in pair for other in pair}
        found.append(frozenset(names | equal))
    return layout._replace(keys=tuple(found))


# -- ReuseExchange ----------------------------------------------------------------------------------------------------


def _reused(node: Node) -> Node:
    """The tree with the exchanges marked that bring the same rows to the same places as an earlier one."""
    seen: set[str] = set()

    def mark(each: Node) -> Node:
        found = with_children(each, [mark(child) for child in each.children])
        if isinstance(found, Filter) and found.beside:
            found = found._replace(
                beside={n: inner._replace(node=mark(inner.node)) for n, inner in found.beside.items()}
            )
        if isinstance(found, Exchange):
            text = fingerprint(found)
            if text in seen:
                return found._replace(reused=True)
            seen.add(text)
        return found

    return mark(node)


def fingerprint(node: Node) -> str:
    """A text that is the same for trees which do the same, whatever their columns are called."""
    numbers: dict[str, int] = {}

    def number(name: str) -> str:
        return f"_{numbers.setdefault(name, len(numbers))}"

    def told(value: Any) -> str:
        if isinstance(value, exp.Expr):
            names = [each.name for each in value.find_all(exp.Column) if "#" in each.name]
            return substituted(value, {name: column(number(name)) for name in names}).sql()
        if isinstance(value, Exchange):
            return f"Exchange({told(value.child)},{value.kind},{told(value.keys)},{told(value.combined and value.why)})"
        if isinstance(value, Scan):
            return f"Scan({value.source!r},{told(value.names)})"
        if isinstance(value, Label):
            return ""
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return f"{type(value).__name__}({','.join(map(told, value))})"
        if isinstance(value, (tuple, list)):
            return f"[{','.join(map(told, value))}]"
        if isinstance(value, Mapping):
            return f"{{{','.join(f'{told(key)}:{told(each)}' for key, each in value.items())}}}"
        return number(value) if isinstance(value, str) and "#" in value else repr(value)

    return told(node)
