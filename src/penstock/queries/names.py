"""What names mean in a query: its tables, their columns, and what stands in the queries around it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlglot import exp

from penstock.trees.tree import Columns, Node, column, fresh, walk

__all__ = ["OF_TEXTS", "Built", "Place", "Relation", "Scope", "UnreadableError", "first_line", "used_again"]


class UnreadableError(Exception):
    """A query that this reader does not understand, and which part of it."""


#: What sqlglot, and what reads its trees, raise besides errors of their own on texts that nobody thought of.
OF_TEXTS = (ValueError, TypeError, LookupError, AttributeError)


def first_line(error: Exception) -> str:
    """What an error says, in short."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__


class Relation(NamedTuple):
    """A tree, and what its columns are called outside of it, in order."""

    node: Node
    names: tuple[tuple[str, str], ...]
    """Names with the columns of the tree that have them."""
    skipped: int = 0
    """How many of the first rows are left out (OFFSET): they are found, and not told."""

    def typed(self) -> Columns:
        """Names with types."""
        return {name: self.node.columns[place] for name, place in self.names}


class Built(NamedTuple):
    """A query, and the conditions of it that speak of the query around it."""

    relation: Relation
    pulled: tuple[exp.Expr, ...] = ()


@dataclass(frozen=True)
class Place:
    """Where a query stands."""

    tables: Mapping[str, Callable[[], Relation]]
    """Those that it may name; names fold their case, as in SQL."""
    read: Callable[[exp.Expr, Place], Built]
    """How a query within it is read."""
    around: Scope | None = None


def used_again(relation: Relation, used: set[str]) -> Callable[[], Relation]:
    """The same table each time it is named, with columns of its own where some of them are used in the query already.

    Two names may be one table, or tables that are made of one.
    """

    def use() -> Relation:
        if relation.skipped:
            raise UnreadableError("a table that is made with OFFSET")
        found = relation
        if used & _columns(relation.node):
            node, names = fresh(relation.node)
            found = Relation(node, tuple((name, names[place]) for name, place in relation.names))
        used.update(_columns(found.node))
        return found

    return use


def _columns(node: Node) -> set[str]:
    return {name for each in walk(node) for name in each.columns}


@dataclass
class Scope:
    """What the FROM clause of one SELECT brings."""

    place: Place
    sources: dict[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    """The columns of each source, in order, by its folded name."""
    shared: dict[str, tuple[str, str]] = field(default_factory=dict)
    """What USING joins: one column instead of two, by its folded name."""
    replaced: set[str] = field(default_factory=set)
    """The columns that `shared` ones stand for."""
    pulled: list[exp.Expr] = field(default_factory=list)
    """Conditions that speak of the query around."""

    def find(self, parts: Sequence[str], aliases: Mapping[str, exp.Expr] | None = None) -> exp.Expr:
        """What a name of one or several parts stands for: a column, a field within one, what was selected before."""
        folded = [part.casefold() for part in parts]
        if len(parts) > 1:
            for name, place in self.sources.get(folded[0], ()):
                if name.casefold() == folded[1]:
                    return _fields(column(place), parts[2:])
        if folded[0] in self.shared:
            return _fields(column(self.shared[folded[0]][1]), parts[1:])
        for columns in self.sources.values():
            for name, place in columns:
                if name.casefold() == folded[0]:
                    return _fields(column(place), parts[1:])
        if aliases and folded[0] in aliases:
            return _fields(aliases[folded[0]].copy(), parts[1:])
        if self.place.around is not None:
            return self.place.around.find(parts)
        raise UnreadableError(f"the column {'.'.join(parts)}")

    def names(self) -> set[str]:
        """All column names, folded."""
        return {name.casefold() for columns in self.sources.values() for name, _ in columns}

    def star(self, source: str = "") -> list[tuple[str, str]]:
        """The columns of a source, or of all."""
        if source:
            return list(self.sources[source.casefold()])
        everything = [pair for columns in self.sources.values() for pair in columns]
        return [*self.shared.values(), *(pair for pair in everything if pair[1] not in self.replaced)]

    def outside(self) -> set[str]:
        """The columns of the queries around."""
        return set(_seen(self.place.around))


def _seen(scope: Scope | None) -> Iterator[str]:
    while scope is not None:
        yield from (place for columns in scope.sources.values() for _, place in columns)
        yield from (place for _, place in scope.shared.values())
        scope = scope.place.around


def _fields(value: exp.Expr, names: Sequence[str]) -> exp.Expr:
    for name in names:
        value = exp.Dot(this=value, expression=exp.to_identifier(name, quoted=True))
    return value
