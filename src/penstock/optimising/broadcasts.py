"""Which side of a join goes to all workers, if one does (JoinSelection)."""

from __future__ import annotations

from collections.abc import Mapping

from penstock.trees.sizes import size_of
from penstock.trees.tree import Join

__all__ = ["BROADCAST", "sent"]

BROADCAST = 10 << 20  # spark.sql.autoBroadcastJoinThreshold

#: The sides that each join may send where keys are equal.
_MAY_SEND: Mapping[str, tuple[str, ...]] = {
    "inner": ("left", "right"), "cross": ("left", "right"), "left": ("right",), "right": ("left",), "full": (),
    "semi": ("right",), "anti": ("right",), "existence": ("right",),
}  # fmt: skip


def sent(node: Join, broadcast: int, *, equal: bool) -> str:
    """The side that goes to all workers, or none.

    Args:
        node: The join.
        broadcast: The largest size that is sent unasked.
        equal: Whether keys have to be equal. If not, rows can meet in no other way, but for inner joins.
    """
    allowed = _MAY_SEND[node.how] if equal else ("left", "right")
    hinted = node.hint.removeprefix("broadcast ")
    if hinted in allowed:
        return hinted
    if node.aware and equal and len(node.conditions) == 1:
        return "right"
    if node.hint == "merge" and equal:
        return ""
    sizes = {side: size_of(node.left if side == "left" else node.right) for side in ("left", "right")}
    small = [side for side in allowed if sizes[side] <= broadcast]
    smaller = "left" if sizes["left"] < sizes["right"] else "right"
    if len(small) == 1:
        return small[0]
    if not equal and node.how not in ("inner", "cross", "full"):
        return "left" if node.how == "right" else "right"  # BroadcastNestedLoopJoin is all that is left
    return smaller if small or (not equal and node.how == "full") else ""
