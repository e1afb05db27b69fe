"""How large Spark takes a table to be: by the sizes of its files and the widths of its columns, whatever is filtered.

With nothing but these (SizeInBytesOnlyStatsPlanVisitor) it decides which side of a join to broadcast.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from penstock.plans.tree import Aggregate, Columns, Join, Limit, Node, Scan, Union, Values

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
        return min(size_of(node.child), node.n * width(node.columns.values()))
    if isinstance(node, Join):
        return size_of(node.left) if node.how in ("semi", "anti") else size_of(node.left) * size_of(node.right)
    if isinstance(node, Aggregate) and not node.keys:
        return width(node.columns.values())
    [child] = node.children
    return max(1, math.ceil(size_of(child) * width(node.columns.values()) / width(_given(child).values())))


def _given(child: Node) -> Columns:
    return child.columns


def width(kinds: Iterable[str]) -> int:
    """Bytes of a row of these types, as Spark's optimiser takes them to be: 8 and those of its fields.

    >>> width(["BIGINT", "VARCHAR"]), width(["STRUCT(a INTEGER, b DATE)[]"])
    (36, 16)
    """
    return 8 + sum(map(_width, kinds))


def _width(kind: str) -> int:
    if kind.endswith("]"):
        return _width(kind.rpartition("[")[0])
    if kind.startswith("STRUCT("):
        import sqlglot

        fields = sqlglot.exp.DataType.build(kind, dialect="duckdb").expressions
        return sum(_width(each.args["kind"].sql("duckdb")) for each in fields)
    if found := re.fullmatch(r"DECIMAL\((\d+),\d+\)", kind):
        return 8 if int(found[1]) <= 18 else 16
    return _WIDTHS.get(kind, 8)
