"""What a SELECT asks for, over the rows that its FROM and WHERE leave: its items, and what it orders or filters by."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from sqlglot import exp

from penstock.queries.expressions import Beside, changed, named_like, resolved
from penstock.queries.names import Scope, UnreadableError
from penstock.trees.columns import fields_of
from penstock.trees.tree import Columns, column

__all__ = ["Items", "Selected", "selected"]

Items = list[tuple[str, exp.Expr]]
"""What is selected, each under its name."""


@dataclass
class Selected:
    """All that is said in terms of the rows that go in; groups and windows change it to what they leave."""

    items: Items
    terms: list[exp.Expr] = field(default_factory=list)
    """Those of ORDER BY and its like that are no names of items."""
    having: exp.Expr | None = None
    qualify: exp.Expr | None = None
    beside: Beside = field(default_factory=dict)
    """The queries within items."""
    beside_having: Beside = field(default_factory=dict)

    def parts(self) -> Iterator[exp.Expr]:
        """All the expressions."""
        yield from (each for _, each in self.items)
        yield from self.terms
        yield from (each for each in (self.having, self.qualify) if each is not None)

    def change(self, change: Callable[[exp.Expr], exp.Expr]) -> None:
        """Change parts of each expression, from above."""

        def whole(expression: exp.Expr) -> exp.Expr:
            return changed(expression.copy(), change)

        self.items = [(name, whole(each)) for name, each in self.items]
        self.terms = [whole(each) for each in self.terms]
        self.having = self.having and whole(self.having)
        self.qualify = self.qualify and whole(self.qualify)

    def replace(self, places: Mapping[exp.Expr, str]) -> None:
        """Put columns in place of what is computed below now."""
        self.change(lambda part: column(places[part]) if part in places else part)


def selected(select: exp.Expr, scope: Scope, columns: Columns) -> Selected:
    """What is selected from rows of some columns; `*` put out."""
    found = Selected([])
    aliases: dict[str, exp.Expr] = {}
    for each in select.expressions:
        bare = each.unalias()
        if isinstance(each, exp.Aliases):
            raise UnreadableError(each.sql("spark")[:80])
        if isinstance(bare, exp.Star) or (isinstance(bare, exp.Column) and isinstance(bare.this, exp.Star)):
            items = list(_starred(bare, scope, columns))
        else:
            items = [(named_like(each), resolved(bare, scope, found.beside, aliases))]
        for name, value in items:
            aliases.setdefault(name.casefold(), value)
        found.items += items
    if not found.items:
        raise UnreadableError("SELECT of nothing")
    if having := select.args.get("having"):
        found.having = resolved(having.this, scope, found.beside_having, aliases)
    if qualify := select.args.get("qualify"):
        found.qualify = resolved(qualify.this, scope, {}, aliases)
    return found


def _starred(bare: exp.Expr, scope: Scope, columns: Columns) -> Iterator[tuple[str, exp.Expr]]:
    """All columns, those of a table, or the fields of a struct; without some, or with others in their place."""
    star = bare.this if isinstance(bare, exp.Column) else bare
    if star.args.get("rename") or star.args.get("ilike"):
        raise UnreadableError(star.sql("spark"))
    left_out = {each.name.casefold() for each in star.args.get("except_") or ()}
    replaced = {each.alias.casefold(): each.this for each in star.args.get("replace") or ()}
    for name, value in _all(bare, scope, columns):
        if name.casefold() not in left_out:
            other = replaced.get(name.casefold())
            yield name, value if other is None else resolved(other, scope, {})


def _all(bare: exp.Expr, scope: Scope, columns: Columns) -> Items:
    of = [part.name for part in bare.parts[:-1]] if isinstance(bare, exp.Column) else []
    if not of or (len(of) == 1 and of[0].casefold() in scope.sources):
        return [(name, column(place)) for name, place in scope.star("".join(of))]
    struct = scope.find(of)
    fields = fields_of(columns.get(struct.name, "") if isinstance(struct, exp.Column) else "")
    if not fields:
        raise UnreadableError(f"{'.'.join(of)}.*")
    return [
        (name, exp.Dot(this=struct.copy(), expression=exp.to_identifier(name, quoted=True))) for name in fields
    ]  # fmt: skip
