"""Expressions of a query, put in terms of the tree: columns for names, and queries within them beside."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from sqlglot import exp

from penstock.queries.names import Place, Scope, UnreadableError
from penstock.trees.tree import Inner, Limit, Project, attribute, column

__all__ = ["Aliases", "Beside", "changed", "named_like", "resolved"]

Aliases = Mapping[str, exp.Expr]
"""What was selected before, by its folded name."""
Beside = dict[str, Inner]


def resolved(expression: exp.Expr, scope: Scope, beside: Beside, aliases: Aliases | None = None) -> exp.Expr:
    """An expression over the tree's columns; queries within it are put beside, under a column that stands for them."""

    def change(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.Column):
            return node if isinstance(node.this, exp.Star) else scope.find([part.name for part in node.parts], aliases)
        if isinstance(node, exp.Struct):
            return _struct(node, lambda value: resolved(value, scope, beside, aliases), scope)
        if isinstance(node, exp.Exists) and isinstance(node.this, exp.Query):
            return _exists(node.this, scope, beside)
        if isinstance(node, exp.In) and isinstance(node.args.get("query"), exp.Expr):
            given = node.this.unnest()
            values = given.expressions if isinstance(given, exp.Tuple) else [given]
            asked = [resolved(value, scope, beside, aliases) for value in values]
            return _beside("in", node.args["query"], asked, scope, beside)
        if isinstance(node, (exp.Any, exp.All)) and node.find(exp.Query):
            raise UnreadableError(type(node).__name__.upper())
        if isinstance(node, exp.Query):
            return _beside("value", node, [], scope, beside)
        if isinstance(node, (exp.Placeholder, exp.Parameter)):
            raise UnreadableError("a placeholder")
        return node

    return changed(expression.copy(), change)


def changed(expression: exp.Expr, change: Callable[[exp.Expr], exp.Expr]) -> exp.Expr:
    """An expression, changed in place from above; what came of a change is left alone."""
    return expression.transform(change, copy=False)


def named_like(expression: exp.Expr) -> str:
    """What a selected expression is called that has no alias."""
    bare = expression.unalias()
    if expression.alias or isinstance(bare, (exp.Explode, exp.Inline)):
        return expression.alias or "col"
    return bare.parts[-1].name if isinstance(bare, exp.Column) else bare.sql("spark")


def _struct(struct: exp.Struct, value: Callable[[exp.Expr], exp.Expr], scope: Scope) -> exp.Struct:
    """A struct with its fields named, and its stars put out."""
    fields: list[exp.Expr] = []
    for position, each in enumerate(struct.expressions, 1):
        if each.is_star and not each.find(exp.AggFunc):
            source = each.table if isinstance(each, exp.Column) else ""
            if source and source.casefold() not in scope.sources:
                raise UnreadableError(f"{source}.*")
            fields += [_field(name, column(place)) for name, place in scope.star(source)]
        elif isinstance(each, exp.PropertyEQ):
            fields.append(_field(each.this.name, value(each.expression)))
        else:
            fields.append(_field(_field_name(each, position), value(each.unalias())))
    return exp.Struct(expressions=fields)


def _field_name(given: exp.Expr, position: int) -> str:
    if given.alias:
        return given.alias
    if isinstance(given, exp.Column):
        return given.parts[-1].name
    return given.expression.name if isinstance(given, exp.Dot) else f"col{position}"


def _field(name: str, value: exp.Expr) -> exp.Expr:
    return exp.PropertyEQ(this=exp.to_identifier(name, quoted=True), expression=value)


# -- queries within ---------------------------------------------------------------------------------------------------


def _exists(query: exp.Query, scope: Scope, beside: Beside) -> exp.Expr:
    """EXISTS; of a query that speaks of nothing outside, whether it has a first row (RewriteNonCorrelatedExists)."""
    stand_in = _beside("exists", query, [], scope, beside)
    inner = beside[stand_in.name]
    if inner.conditions:
        return stand_in
    del beside[stand_in.name]
    one = attribute("one")
    node = Limit(Project(inner.node, {one: exp.true()}, {one: "BOOLEAN"}), 1)
    beside[one] = Inner("value", node, ())
    return exp.Not(this=exp.Is(this=column(one), expression=exp.Null()))


def _beside(
    kind: Literal["value", "exists", "in"], query: exp.Expr, values: list[exp.Expr], scope: Scope, beside: Beside
) -> exp.Column:
    relation, pulled = scope.place.read(query, Place(scope.place.tables, scope.place.read, scope))
    places = [place for _, place in relation.names]
    if len(places) != (len(values) or len(places)):
        raise UnreadableError(f"IN with {len(values)} columns and {len(places)}")
    equal = [exp.EQ(this=value, expression=column(place)) for value, place in zip(values, places, strict=False)]
    stand_in = places[0] if kind == "value" else attribute(kind)
    beside[stand_in] = Inner(kind, relation.node, (*equal, *pulled), len(equal))
    return column(stand_in)
