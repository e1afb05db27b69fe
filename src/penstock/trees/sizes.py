"""How large Spark takes a table to be: by the sizes of its files and the widths of its columns, whatever is filtered.

With nothing but these (SizeInBytesOnlyStatsPlanVisitor) it decides which side of a join to broadcast.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from sqlglot import exp

from penstock.trees.columns import fields_of
from penstock.trees.tree import (
    Aggregate,
    Exchange,
    Explode,
    Filter,
    Join,
    Limit,
    Node,
    Scan,
    Shuffle,
    Sort,
    Union,
    Values,
    both,
)
from penstock.trees.unique import one_partner

__all__ = ["size_of", "width"]

UNKNOWN = 8 << 60  # spark.sql.defaultSizeInBytes
_WIDTHS = {
    "BOOLEAN": 1, "TINYINT": 1, "SMALLINT": 2, "INTEGER": 4, "FLOAT": 4, "DATE": 4, "VARCHAR": 20, "BLOB": 100,
}  # fmt: skip


def size_of(node: Node) -> int:
    """Bytes, by the rules of Spark; it multiplies those of two joined tables."""
    if isinstance(node, Scan):
        found: int | None = node.source.bytes
        whole = width(node.source.columns.values())
        return UNKNOWN if found is None else max(1, found * width(node.columns.values()) // whole)
    if isinstance(node, Values):
        return (node.rows or 1) * width(node.columns.values())
    if isinstance(node, Union):
        return sum(map(size_of, node.branches))
    if isinstance(node, Limit):
        return max(1, node.n * width(node.columns.values()))
    if isinstance(node, Join):
        return _of_join(node)
    if isinstance(node, Aggregate) and not node.keys:
        return width(node.columns.values())
    [child] = node.children
    if isinstance(node, (Filter, Sort, Shuffle, Exchange)):
        return size_of(child)
    if isinstance(node, Explode) and not _is_expand(node):
        return size_of(child)
    times = len(node.generator.this.expressions) if isinstance(node, Explode) else 1
    return max(1, times * size_of(child) * width(node.columns.values()) // width(child.columns.values()))


def _of_join(join: Join) -> int:
    """Of semi and anti joins the left; where rows have one partner at most, the sum (SPARK-39851)."""
    left = size_of(join.left)
    if join.how in ("semi", "anti"):
        return left
    right = size_of(join.right)
    if join.how in ("inner", "left", "right", "full") and (pairs := both(join)):
        ours, theirs = zip(*pairs, strict=True)
        if one_partner(join.left, ours) or one_partner(join.right, theirs):
            return left + right
    return left * right


def _is_expand(node: Explode) -> bool:
    """Whether rows are multiplied for several sets of keys, and by no list in them."""
    return isinstance(node.generator, exp.Inline) and isinstance(node.generator.this, exp.Array)


def width(kinds: Iterable[str]) -> int:
    """Bytes of a row of these types, as Spark's optimiser takes them to be: 8 and those of its fields.

    >>> width(["BIGINT", "VARCHAR"]), width(["STRUCT(a INTEGER, b DATE)[]"])
    (36, 16)
    """
    return 8 + sum(map(_width, kinds))


def _width(kind: str) -> int:
    if kind.endswith("]"):
        return _width(kind.rpartition("[")[0])
    if fields := fields_of(kind):
        return sum(map(_width, fields.values()))
    if found := re.fullmatch(r"DECIMAL\((\d+),\d+\)", kind):
        return 8 if int(found[1]) <= 18 else 16
    return _WIDTHS.get(kind, 8)
