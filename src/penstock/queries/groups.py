"""GROUP BY: the groups, of one set of keys or of several, and what is selected in terms of them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence

from sqlglot import exp
from sqlglot.errors import ErrorLevel

from penstock.queries.expressions import resolved
from penstock.queries.names import Scope, UnreadableError
from penstock.queries.selected import Selected
from penstock.trees.aggregating import aggregates
from penstock.trees.spelled import types_of
from penstock.trees.tree import Aggregate, Explode, Node, attribute, column, display, references

__all__ = ["grouped"]


def grouped(select: exp.Expr, node: Node, chosen: Selected, scope: Scope, pulled: Sequence[exp.Expr]) -> Node:
    """The groups that a SELECT asks for, if it does. What speaks of the query around becomes a key."""
    group = select.args.get("group")
    wanted = list(dict.fromkeys(found for part in chosen.parts() for found in aggregates(part)))
    if group is None and not wanted and chosen.having is None:
        return node
    keys: dict[str, exp.Expr] = {}
    for condition in pulled:
        for name in sorted(references(condition) & node.columns.keys()):
            keys[name] = column(name)
    places: dict[exp.Expr, str] = {}
    sets = _sets(group, chosen, scope) if group is not None else [[]]
    listed = list(dict.fromkeys(key for each in sets for key in each))
    if len(sets) == 1:
        for key in listed:
            place = key.name if isinstance(key, exp.Column) else attribute("key")
            places[key], keys[place] = place, key
    elif keys:
        raise UnreadableError("GROUPING SETS within a query that speaks of the one around")
    else:
        node, places = _expanded(node, listed, sets, chosen)
        keys = {place: column(place) for place in node.made}
    made = {attribute(_called(each)): each for each in wanted}
    places |= {each: place for place, each in made.items()}
    columns = types_of(keys, node.columns) | types_of(made, node.columns)
    chosen.replace(places)
    return Aggregate(node, keys, made, columns)


def _called(aggregate: exp.Expr) -> str:
    """What Spark would call the column of an aggregate, about."""
    return re.sub(r'#\d+|"', "", aggregate.sql("duckdb", unsupported_level=ErrorLevel.IGNORE)).lower()[:60]


# -- keys -------------------------------------------------------------------------------------------------------------


def _sets(group: exp.Group, chosen: Selected, scope: Scope) -> list[list[exp.Expr]]:
    """The sets of keys that there are groups for: one, but for ROLLUP, CUBE and GROUPING SETS."""
    if group.args.get("totals"):
        raise UnreadableError("WITH TOTALS")
    if group.args.get("all"):
        return [[each for _, each in chosen.items if not any(aggregates(each))]]
    keys = [each for each in group.expressions if not isinstance(each, _SEVERAL)]
    several = [each for each in group.expressions if isinstance(each, _SEVERAL)]
    for name in ("rollup", "cube", "grouping_sets"):
        for each in group.args.get(name) or ():
            if each.expressions:
                several.append(each)
            else:  # WITH ROLLUP is about all keys
                several.append(type(each)(expressions=keys))
                keys = []
    choices = [[keys], *(list(_choices(each)) for each in several)]
    return [
        [_key(key, chosen, scope) for part in choice for key in part] for choice in itertools.product(*choices)
    ]  # fmt: skip


_SEVERAL = (exp.Rollup, exp.Cube, exp.GroupingSets)


def _choices(several: exp.Expr) -> Iterator[list[exp.Expr]]:
    units = [_unit(each) for each in several.expressions]
    if isinstance(several, exp.GroupingSets):
        for each in several.expressions:
            yield from _choices(each) if isinstance(each, _SEVERAL) else [_unit(each)]
    elif isinstance(several, exp.Rollup):
        for length in range(len(units), -1, -1):
            yield [key for unit in units[:length] for key in unit]
    else:
        for taken in itertools.product((True, False), repeat=len(units)):
            yield [key for unit, kept in zip(units, taken, strict=True) if kept for key in unit]


def _unit(each: exp.Expr) -> list[exp.Expr]:
    bare = each.unnest()
    return list(bare.expressions) if isinstance(bare, exp.Tuple) else [bare]


def _key(key: exp.Expr, chosen: Selected, scope: Scope) -> exp.Expr:
    """A key by its position, its name, or as an expression; the names of columns go before those of items."""
    if isinstance(key, exp.Literal) and not key.is_string:
        return _item(key, chosen)
    aliases = {name.casefold(): each for name, each in reversed(chosen.items)}
    return resolved(key, scope, {}, aliases)


def _item(position: exp.Literal, chosen: Selected) -> exp.Expr:
    if not position.is_int or not 0 < int(position.name) <= len(chosen.items):
        raise UnreadableError(f"GROUP BY {position.name}")
    return chosen.items[int(position.name) - 1][1]


# -- several sets -----------------------------------------------------------------------------------------------------


def _expanded(
    node: Node, keys: Sequence[exp.Expr], sets: Sequence[Sequence[exp.Expr]], chosen: Selected
) -> tuple[Explode, dict[exp.Expr, str]]:
    """Each row once for each set, with nulls for the keys that are not of it (Expand)."""
    kinds = list(types_of({str(i): key for i, key in enumerate(keys)}, node.columns).values())
    names: list[str] = []
    for i, key in enumerate(keys):
        name = display(key.name) if isinstance(key, exp.Column) else "key"
        names.append(name if name not in names else f"{name} {i}")
    names.append("grouping_id")
    if repeated := len(set(map(frozenset, sets))) < len(sets):
        names.append("grouping_pos")  # a set that stands twice gives its groups twice
    rows = [
        exp.Struct(
            expressions=[
                exp.PropertyEQ(this=exp.to_identifier(name, quoted=True), expression=value)
                for name, value in zip(names, [*_of_set(keys, kinds, each), _number(position)], strict=False)
            ]
        )
        for position, each in enumerate(sets)
    ]
    made = dict(zip(map(attribute, names), [*kinds, "BIGINT", "BIGINT"], strict=False))
    *places, number = list(made)[:-1] if repeated else made
    _without_grouping(chosen, keys, number)
    expanded = Explode(node, exp.Inline(this=exp.Array(expressions=rows)), tuple(made), node.columns | made)
    return expanded, dict(zip(keys, places, strict=True)) | {column(number): number}


def _of_set(keys: Sequence[exp.Expr], kinds: Sequence[str], kept: Sequence[exp.Expr]) -> Iterator[exp.Expr]:
    bits = 0
    for key, kind in zip(keys, kinds, strict=True):
        bits = 2 * bits + (key not in kept)
        typed = exp.Null() if kind == "?" else exp.cast(exp.Null(), exp.DataType.build(kind, dialect="duckdb"))
        yield key.copy() if key in kept else typed
    yield _number(bits)


def _number(value: int) -> exp.Expr:
    return exp.cast(exp.Literal.number(value), "BIGINT")


_ZERO = exp.Literal.number(0)


def _without_grouping(chosen: Selected, keys: Sequence[exp.Expr], number: str) -> None:
    """`grouping(key)` and `grouping_id()` are told by the number of the set, which has a bit for each key."""

    def told(part: exp.Expr) -> exp.Expr:
        if isinstance(part, exp.GroupingId):
            return column(number)
        if isinstance(part, exp.Grouping):
            asked = part.expressions[0]
            if asked not in keys:
                raise UnreadableError(part.sql("spark")[:80])
            bit = exp.Literal.number(2 ** (len(keys) - 1 - keys.index(asked)))
            return exp.cast(
                exp.GT(this=exp.BitwiseAnd(this=column(number), expression=bit), expression=_ZERO), "TINYINT"
            )
        return part

    chosen.change(told)
