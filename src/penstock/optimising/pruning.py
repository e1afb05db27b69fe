"""No column, row or order that nothing above asks for (ColumnPruning, EliminateOuterJoin, EliminateSorts)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from sqlglot import exp

from penstock.optimising.filters import reads
from penstock.trees.columns import uncertain
from penstock.trees.spelled import types_of
from penstock.trees.tree import (
    Aggregate,
    Explode,
    Filter,
    Join,
    Node,
    Project,
    Scan,
    Shuffle,
    Sort,
    Union,
    Values,
    Window,
    both,
    column,
    expressions,
    queries,
    references,
    substituted,
    with_children,
)
from penstock.trees.unique import one_partner

__all__ = ["collapsed", "pruned", "without_sorts"]


def pruned(node: Node, wanted: set[str]) -> Node:
    """The node with the columns that are wanted of it, and below it those that it needs for them."""
    if isinstance(node, Scan):
        kept = [name for name in node.columns if name in wanted]
        return node._replace(names={n: node.names[n] for n in kept}, columns={n: node.columns[n] for n in kept})
    if isinstance(node, Values):
        return node
    if isinstance(node, Union):
        return with_children(node, [_narrowed(branch, wanted & node.columns.keys()) for branch in node.branches])
    if isinstance(node, Join):
        return _pruned_join(node, wanted)
    if isinstance(node, (Project, Aggregate, Window)):
        made = {name: each for name, each in node.made.items() if name in wanted}
        if isinstance(node, Window) and not made:
            return pruned(node.child, wanted)
        node = node._replace(made=made)
    needed = _needed(node, wanted)
    if isinstance(node, Project):
        columns = {name: node.columns[name] for name in node.made}
        beside = {name: each for name, each in node.beside.items() if name in references(*node.made.values())}
        return Project(pruned(node.child, needed), node.made, columns, beside)
    if isinstance(node, Filter):
        return node._replace(child=pruned(node.child, wanted | needed))
    if isinstance(node, Aggregate):
        child = _narrowed(_distinct_rows_only(node, needed), needed)
        return node._replace(child=child, columns={name: node.columns[name] for name in (*node.keys, *node.made)})
    child = _narrowed(node.children[0], needed | (wanted & node.children[0].columns.keys()))
    if isinstance(node, (Window, Explode)):
        own = {name: node.columns[name] for name in node.made}
        return node._replace(child=child, columns=child.columns | own)
    return with_children(node, [child])


def _needed(node: Node, wanted: set[str]) -> set[str]:
    """What a node reads of the one below for itself."""
    found = set().union(*(reads(each, queries(node)) for each in expressions(node)))
    return found - queries(node).keys()


def _narrowed(node: Node, wanted: set[str]) -> Node:
    """A node pruned, and a projection above it where it has more columns than are wanted."""
    found = pruned(node, wanted)
    kept = {name: kind for name, kind in found.columns.items() if name in wanted}
    if len(kept) == len(found.columns):
        return found
    return Project(found, {name: column(name) for name in kept}, kept)


# -- rows -------------------------------------------------------------------------------------------------------------


def _pruned_join(node: Join, wanted: set[str]) -> Node:
    for side, other in (("left", node.right), ("right", node.left)):
        if node.how == side and not wanted & other.columns.keys():
            keys = [pair[side == "left"] for pair in both(node)]
            if one_partner(other, keys):
                return pruned(node.left if side == "left" else node.right, wanted)
    needed = wanted | references(*node.conditions)
    left, right = (_narrowed(side, needed & side.columns.keys()) for side in (node.left, node.right))
    return node._replace(left=left, right=right)


def _distinct_rows_only(node: Aggregate, needed: set[str]) -> Node:
    """What groups are made of, without an outer join that only repeats rows, if that makes no difference to them."""
    child: Node = node.child
    while isinstance(child, Project) and all(isinstance(each, exp.Column) for each in child.made.values()):
        needed = references(*(child.made[name] for name in needed if name in child.made))
        child = child.child
    below: Node = node.child
    if not isinstance(child, Join) or not all(map(_same_of_repeated, node.made.values())):
        return below
    for side, kept, other in (("left", child.left, child.right), ("right", child.right, child.left)):
        if child.how == side and not needed & other.columns.keys():
            return _in_place(below, child, kept)
    return below


def _same_of_repeated(aggregate: exp.Expr) -> bool:
    return isinstance(aggregate, (exp.Min, exp.Max)) or isinstance(aggregate.this, exp.Distinct)


def _in_place(node: Node, old: Node, new: Node) -> Node:
    return new if node is old else with_children(node, [_in_place(child, old, new) for child in node.children])


# -- projections ------------------------------------------------------------------------------------------------------


def collapsed(node: Node) -> Node:
    """One projection of two, and none that changes nothing (CollapseProject)."""
    if not isinstance(node, Project):
        return node
    if isinstance(node.child, Project) and _may_merge(node, node.child):
        below = node.child
        made = {name: substituted(each, below.made) for name, each in node.made.items()}
        node = Project(below.child, made, node.columns, {**below.beside, **node.beside})
    same = all(isinstance(each, exp.Column) and each.name == name for name, each in node.made.items())
    return node.child if same and list(node.made) == list(node.child.columns) else node


def _may_merge(above: Project, below: Project) -> bool:
    """Whether nothing is computed twice then."""
    uses = Counter(each.name for made in above.made.values() for each in made.find_all(exp.Column))
    costly = [name for name, each in below.made.items() if not isinstance(each, (exp.Column, exp.Literal, exp.Null))]
    return all(uses[name] <= 1 and not uncertain(below.made[name]) for name in costly)


# -- orders -----------------------------------------------------------------------------------------------------------


def without_sorts(node: Node) -> Node:
    """The node, with nothing below it in an order that it does not keep or need."""
    careless = isinstance(node, (Join, Sort)) or (isinstance(node, Shuffle) and bool(node.keys))
    if careless or (isinstance(node, Aggregate) and _same_in_any_order(node)):
        return with_children(node, [_unsorted(child) for child in node.children])
    return node


def _unsorted(node: Node) -> Node:
    if isinstance(node, Sort):
        return _unsorted(node.child)
    if isinstance(node, (Project, Filter)) and not any(map(uncertain, expressions(node))):
        return with_children(node, [_unsorted(node.child)])
    return node


def _same_in_any_order(node: Aggregate) -> bool:
    """Whether sums come out the same in any order, as those of floating numbers do not."""
    added = [each.this for each in node.made.values() if isinstance(each, (exp.Sum, exp.Avg))]
    others = [each for each in node.made.values() if not isinstance(each, (exp.Sum, exp.Avg))]
    if not all(isinstance(each, (exp.Min, exp.Max, exp.Count)) for each in others) or not _has_sort(node.child):
        return False
    kinds: Iterable[str] = types_of({str(i): each for i, each in enumerate(added)}, node.child.columns).values()
    return not any(kind in ("FLOAT", "DOUBLE", "?") for kind in kinds)


def _has_sort(node: Node) -> bool:
    return isinstance(node, Sort) or (isinstance(node, (Project, Filter)) and _has_sort(node.child))
