"""A tree as Spark's optimiser leaves it, in what decides where rows cross: filters low, joins in order, few columns.

The rules stand in `optimising`, under the names that Spark has for them; here is the order in which they are applied.
"""

from __future__ import annotations

from penstock.optimising.asked import existences_joined, values_joined
from penstock.optimising.filters import parts_of_sides, pushed
from penstock.optimising.inferring import inferred
from penstock.optimising.order import reordered
from penstock.optimising.pruning import collapsed, pruned, without_sorts
from penstock.optimising.semis import lowered
from penstock.optimising.subplans import together
from penstock.optimising.windows import computed_above, limited, transposed
from penstock.trees.tree import Node, rewritten, with_queries

__all__ = ["optimised"]


def optimised(node: Node) -> Node:
    """The tree that Spark would plan."""
    return together(_optimised(node))


def _optimised(node: Node) -> Node:
    found = rewritten(_rearranged(node), limited)
    found = rewritten(pruned(found, set(found.columns)), collapsed)
    return rewritten(
        found, lambda each: with_queries(each, lambda inner: inner._replace(node=_optimised(inner.node)))
    )  # fmt: skip


def _rearranged(node: Node) -> Node:
    """Filters and joins where Spark has them."""
    found = rewritten(rewritten(node, transposed), without_sorts)
    found = rewritten(pruned(found, set(found.columns)), collapsed)
    found = rewritten(rewritten(pushed(found), computed_above), lowered)
    found = pushed(reordered(found))
    found = reordered(pushed(rewritten(found, values_joined)))
    found = pushed(inferred(pushed(found)))
    found = rewritten(found, parts_of_sides)
    return pushed(rewritten(found, lambda each: existences_joined(each, _rearranged)))
