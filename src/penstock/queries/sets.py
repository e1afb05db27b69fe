"""UNION, INTERSECT and EXCEPT."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlglot import exp

from penstock.queries.names import Place, Relation, UnreadableError
from penstock.trees.spelled import types_of
from penstock.trees.tree import Aggregate, How, Join, Project, Union, attribute, column

__all__ = ["combined", "distinct"]


def combined(query: exp.SetOperation, place: Place) -> Relation:
    """The rows of the queries together, those of both, or those of the first alone."""
    unique = bool(query.args.get("distinct"))
    unknown = {name for name, value in query.args.items() if value} & {"by_name", "side", "kind", "on"}
    if unknown or not isinstance(query, exp.Union | exp.Intersect | exp.Except):
        raise UnreadableError(f"{type(query).__name__.upper()} {' '.join(unknown).upper()}".strip())
    sides = [query.this, query.expression]
    if isinstance(query, exp.Union):
        sides = [branch for side in sides for branch in _branches(side, unique)]
    found = [_side(side, place) for side in sides]
    if len({len(side.names) for side in found}) > 1:
        raise UnreadableError(f"{type(query).__name__.upper()} of queries with different numbers of columns")
    if isinstance(query, exp.Union):
        return distinct(_union(found)) if unique else _union(found)
    if not unique:
        raise UnreadableError(f"{type(query).__name__.upper()} ALL")
    left, right = found
    same = tuple(
        exp.NullSafeEQ(this=column(ours), expression=column(theirs))
        for (_, ours), (_, theirs) in zip(left.names, right.names, strict=True)
    )
    how: How = "semi" if isinstance(query, exp.Intersect) else "anti"
    return distinct(left._replace(node=Join(left.node, right.node, how, same)))


def _branches(query: exp.Expr, unique: bool) -> Iterator[exp.Expr]:
    """The queries of a chain of unions (CombineUnions): if only the last has to leave each row once, so do all."""
    bare = query.unnest() if _plain(query) else query
    if isinstance(bare, exp.Union) and (unique or not bare.args.get("distinct")) and _plain(bare):
        yield from _branches(bare.this, unique)
        yield from _branches(bare.expression, unique)
    else:
        yield query


def _plain(query: exp.Expr) -> bool:
    """Whether nothing but brackets stands around a query, or within it after its branches."""
    names = {name for name, value in query.args.items() if value}
    allowed = {"this"} if isinstance(query, exp.Subquery) else {"this", "expression", "distinct"}
    return isinstance(query, exp.Subquery | exp.Union) and names <= allowed


def _side(query: exp.Expr, place: Place) -> Relation:
    relation, pulled = place.read(query, place)
    if pulled:
        raise UnreadableError("a UNION that speaks of the query around")
    return relation


def _union(sides: Sequence[Relation]) -> Relation:
    places = [attribute(name) for name, _ in sides[0].names]
    branches = []
    for side in sides:
        made: dict[str, exp.Expr] = {new: column(old) for new, (_, old) in zip(places, side.names, strict=True)}
        branches.append(Project(side.node, made, types_of(made, side.node.columns)))
    kinds = {place: _wider([branch.columns[place] for branch in branches]) for place in places}
    node = Union(tuple(branch._replace(columns=kinds) for branch in branches))
    return Relation(node, tuple((name, place) for (name, _), place in zip(sides[0].names, places, strict=True)))


_NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "DECIMAL", "FLOAT", "DOUBLE")


def _wider(kinds: Sequence[str]) -> str:
    """Of the types of one column the widest, and no null's."""
    known = [kind for kind in kinds if kind.strip('"') != "NULL"] or list(kinds)
    if all(kind.partition("(")[0] in _NUMBERS for kind in known):
        return max(known, key=lambda kind: _NUMBERS.index(kind.partition("(")[0]))
    return known[0]


def distinct(relation: Relation, carried: Sequence[str] = ()) -> Relation:
    """Each row once."""
    keys: dict[str, exp.Expr] = {place: column(place) for _, place in relation.names}
    keys |= {name: column(name) for name in carried}
    columns = {name: relation.node.columns[name] for name in keys}
    return relation._replace(node=Aggregate(relation.node, keys, {}, columns))
