"""Lists put out as rows: `explode` and its like, selected or in a LATERAL VIEW."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from penstock.queries.names import UnreadableError
from penstock.trees.columns import fields_of
from penstock.trees.spelled import types_of
from penstock.trees.tree import Explode, Node, attribute

__all__ = ["GENERATORS", "exploded"]

GENERATORS = (exp.Explode, exp.Posexplode, exp.Inline)


def exploded(node: Node, generator: exp.Expr, names: Sequence[str] = ()) -> Explode:
    """A row for each element of a list in the row.

    Args:
        node: What the rows come from.
        generator: explode, posexplode or inline of a list or a map.
        names: What the columns are called that come of it, if that is said.
    """
    if not isinstance(generator, GENERATORS):
        raise UnreadableError(generator.sql("spark")[:80])
    kind = types_of({"list": generator.this}, node.columns)["list"]
    if isinstance(generator, exp.Inline):
        made = fields_of(kind.removesuffix("[]")) if kind.endswith("[]") else {}
        if not made:
            raise UnreadableError("inline of what is no list of structs")
    elif kind.startswith("MAP("):
        made = fields_of(kind)
    else:
        made = {"col": kind.removesuffix("[]") if kind.endswith("[]") else "?"}
    if isinstance(generator, exp.Posexplode):
        made = {"pos": "INTEGER"} | made
    if names and len(names) != len(made):
        raise UnreadableError(f"{len(names)} names for the {len(made)} columns of {generator.sql('spark')}"[:80])
    columns = {attribute(name): each for name, each in zip(names or made, made.values(), strict=True)}
    return Explode(node, generator, tuple(columns), node.columns | columns)
