"""What a join needs to be equal: pairs of keys, which rows are hashed by to meet (ExtractEquiJoinKeys)."""

from __future__ import annotations

from collections.abc import Mapping

from sqlglot import exp

from penstock.trees.columns import references
from penstock.trees.nodes import Join, Node

__all__ = ["both"]


def both(join: Join) -> list[tuple[exp.Expr, exp.Expr]]:
    """The pairs of expressions, one of each side, that have to be equal."""
    found = []
    for condition in join.conditions:
        if not isinstance(condition, (exp.EQ, exp.NullSafeEQ)):
            continue
        one, other = condition.left.unnest(), condition.right.unnest()
        for ours, theirs in ((one, other), (other, one)):
            if _of(ours, join.left) and _of(theirs, join.right):
                found += _equal_nulls(ours, theirs, join) if isinstance(condition, exp.NullSafeEQ) else [(ours, theirs)]
                break
    return [_alike(ours, theirs, join) for ours, theirs in found]


def _of(expression: exp.Expr, side: Node) -> bool:
    read = references(expression)
    return bool(read) and read <= side.columns.keys()


def _equal_nulls(ours: exp.Expr, theirs: exp.Expr, join: Join) -> list[tuple[exp.Expr, exp.Expr]]:
    """Where nulls are equal, Spark has two keys: the value or another, and whether it is null (ExtractEquiJoinKeys)."""
    kind = join.left.columns.get(ours.name, "?")
    other = _STANDS_IN.get(kind.partition("(")[0])
    values = [ours, theirs]
    if other is not None:
        values = [exp.Coalesce(this=each, expressions=[other]) for each in values]
    absent = [exp.Is(this=each, expression=exp.Null()) for each in (ours, theirs)]
    return [(values[0], values[1]), (absent[0], absent[1])]


_STANDS_IN: Mapping[str, exp.Expr] = {
    "VARCHAR": exp.Literal.string(""),
    "BOOLEAN": exp.false(),
    **dict.fromkeys(
        ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "FLOAT", "DOUBLE", "DECIMAL"), exp.Literal.number(0)
    ),
}  # fmt: skip
_WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT")


def _alike(ours: exp.Expr, theirs: exp.Expr, join: Join) -> tuple[exp.Expr, exp.Expr]:
    """Whole numbers of two widths are compared, and hashed, as the wider one."""
    kinds = [join.left.columns.get(ours.name, ""), join.right.columns.get(theirs.name, "")]
    if kinds[0] == kinds[1] or not all(kind in _WHOLE for kind in kinds):
        return ours, theirs
    wider = max(kinds, key=_WHOLE.index)
    one, other = (
        each if kind == wider else exp.Cast(this=each, to=exp.DataType.build(wider, dialect="duckdb"))
        for each, kind in zip((ours, theirs), kinds, strict=True)
    )
    return one, other
