"""Windows in the order in which they move fewest rows, and those of which only the first rows are wanted."""

from __future__ import annotations

from sqlglot import exp

from penstock.plans.tree import Filter, Limit, Node, Sort, Window, references

__all__ = ["limited", "transposed"]

LARGEST = 1_000  # spark.sql.optimizer.windowGroupLimitThreshold


def transposed(node: Node) -> Node:
    """Of two windows, one by the first keys of the other, the wider groups come first (TransposeWindow)."""
    if not isinstance(node, Window) or not isinstance(node.child, Window):
        return node
    below = node.child
    if references(*node.by, *node.made.values()) & below.made.keys() or not _is_prefix(node, below):
        return node
    lower = node._replace(child=below.child, columns=below.child.columns | _own(node))
    return below._replace(child=transposed(lower), columns=lower.columns | _own(below))


def _is_prefix(one: Window, other: Window) -> bool:
    return len(one.by) < len(other.by) and set(one.by) == set(other.by[: len(one.by)])


def _own(window: Window) -> dict[str, str]:
    return {name: window.columns[name] for name in window.made}


def limited(node: Node) -> Node:
    """A filter on `row_number` or `rank` tells how many rows of each group are wanted (InferWindowGroupLimit)."""
    if not isinstance(node, Filter) or not isinstance(node.child, Window):
        return node
    window = node.child
    if not all(_ranks(each) for each in window.made.values()):
        return node
    wanted = [first for each in node.conditions if (first := _first(each, window)) is not None]
    if not wanted or not 0 < min(wanted) <= LARGEST:
        return node
    if window.by:
        return node._replace(child=window._replace(first=min(wanted)))
    ranked = next(iter(window.made.values()))
    if not isinstance(ranked.this, exp.RowNumber):
        return node
    ordered = Limit(Sort(window.child, tuple(ranked.args["order"].expressions)), min(wanted))
    return node._replace(child=window._replace(child=ordered))


def _ranks(window: exp.Expr) -> bool:
    return isinstance(window.this, (exp.RowNumber, exp.Rank, exp.DenseRank)) and bool(window.args.get("order"))


def _first(condition: exp.Expr, window: Window) -> int | None:
    """The largest number that a condition on a rank lets through."""
    bare = condition.unnest()
    if isinstance(bare, (exp.LT, exp.LTE, exp.EQ)):
        rank, most = bare.left, bare.right
    elif isinstance(bare, (exp.GT, exp.GTE)):
        most, rank = bare.left, bare.right
    else:
        return None
    if not isinstance(rank, exp.Column) or rank.name not in window.made or not most.is_int:
        return None
    return int(most.sql()) - isinstance(bare, (exp.LT, exp.GT))
