"""SQL as a tree: what Spark calls the analysed plan. Whatever is not understood is said so, and never guessed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import sqlglot
from sqlglot import exp
from sqlglot.errors import ErrorLevel

from penstock.plans.aggregating import is_aggregate
from penstock.plans.spelled import types_of
from penstock.plans.tree import (
    Aggregate,
    Columns,
    Explode,
    Filter,
    Inner,
    Join,
    Limit,
    Node,
    Project,
    Shuffle,
    Sort,
    Union,
    Values,
    Window,
    attribute,
    column,
    conjuncts,
    display,
    fresh,
    references,
)

__all__ = ["Relation", "UnreadableError", "read"]


IGNORE = ErrorLevel.IGNORE


class UnreadableError(Exception):
    """A query that this reader does not understand, and which part of it."""


class Relation(NamedTuple):
    """A tree, and what its columns are called outside of it, in order."""

    node: Node
    names: tuple[tuple[str, str], ...]
    """Names with the columns of the tree that have them."""

    def typed(self) -> Columns:
        """Names with types."""
        return {name: self.node.columns[place] for name, place in self.names}


def read(text: str, tables: Mapping[str, Relation]) -> Relation:
    """A query of Spark's dialect over named tables."""
    try:
        query = sqlglot.parse_one(text, read="spark")
    except sqlglot.errors.SqlglotError as error:
        raise UnreadableError(str(error).splitlines()[0]) from error
    environment = {name.casefold(): _again(relation) for name, relation in tables.items()}
    return _query(query, _Place(environment)).relation


def _again(relation: Relation) -> Callable[[], Relation]:
    """The same table each time it is named, with columns of its own after the first."""
    uses = 0

    def use() -> Relation:
        nonlocal uses
        uses += 1
        if uses == 1:
            return relation
        node, names = fresh(relation.node)
        return Relation(node, tuple((name, names[place]) for name, place in relation.names))

    return use


# -- names ------------------------------------------------------------------------------------------------------------


@dataclass
class _Place:
    """Where a query stands: the tables it may name, and the columns of the query around it."""

    tables: Mapping[str, Callable[[], Relation]]
    around: _Scope | None = None


@dataclass
class _Scope:
    """The sources of one SELECT by their names, each with its columns by theirs."""

    place: _Place
    sources: dict[str, dict[str, str]] = field(default_factory=dict)
    """Names fold their case, as in SQL."""
    spelled: dict[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    """The same as they are spelled, in order, for `*`."""

    def add(self, name: str, columns: Sequence[tuple[str, str]]) -> None:
        """A source of the FROM clause."""
        key = name.casefold()
        self.sources[key] = {spelled.casefold(): place for spelled, place in columns}
        self.spelled[key] = tuple(columns)

    def find(self, parts: Sequence[str]) -> exp.Expr:
        """What a name of one or several parts stands for: a column, or a field within one."""
        folded = [part.casefold() for part in parts]
        if len(parts) > 1 and (place := self.sources.get(folded[0], {}).get(folded[1])):
            return _fields(place, parts[2:])
        for columns in self.sources.values():
            if place := columns.get(folded[0]):
                return _fields(place, parts[1:])
        if self.place.around is not None:
            return self.place.around.find(parts)
        raise UnreadableError(f"the column {'.'.join(parts)}")

    def star(self, source: str = "") -> list[tuple[str, str]]:
        """The columns of a source, or of all."""
        wanted = [source.casefold()] if source else list(self.spelled)
        return [pair for name in wanted for pair in self.spelled.get(name, ())]


def _fields(place: str, names: Sequence[str]) -> exp.Expr:
    found: exp.Expr = column(place)
    for name in names:
        found = exp.Dot(this=found, expression=exp.to_identifier(name, quoted=True))
    return found


# -- queries ----------------------------------------------------------------------------------------------------------


class _Built(NamedTuple):
    """A query, and the conditions of it that speak of the query around it."""

    relation: Relation
    pulled: tuple[exp.Expr, ...] = ()


def _query(query: exp.Expr, place: _Place) -> _Built:
    place = _Place(dict(place.tables), place.around)
    for cte in query.ctes if isinstance(query, exp.Query) else ():
        place.tables = {**place.tables, cte.alias.casefold(): _cte(cte, _Place(place.tables, place.around))}
    if isinstance(query, exp.Subquery):
        inner = _query(query.this, place)
        return _Built(_ordered(query, inner.relation, None), inner.pulled)
    if isinstance(query, exp.Select):
        return _select(query, place)
    if isinstance(query, exp.SetOperation):
        return _Built(_ordered(query, _set_operation(query, place), None))
    if isinstance(query, exp.Values):
        return _Built(_values(query))
    raise UnreadableError(type(query).__name__.upper())


def _cte(cte: exp.CTE, place: _Place) -> Callable[[], Relation]:
    return lambda: _aliased(_query(cte.this, place).relation, cte)  # read anew at each use, as Spark puts it in


def _aliased(relation: Relation, source: exp.Expr) -> Relation:
    """A table whose columns are renamed: `AS t (a, b)`."""
    named = [each.name for each in source.args["alias"].columns] if source.args.get("alias") else []
    if not named:
        return relation
    names = [*named, *(name for name, _ in relation.names[len(named) :])]
    made: dict[str, exp.Expr] = {
        attribute(name): column(place) for name, (_, place) in zip(names, relation.names, strict=True)
    }
    node = Project(relation.node, made, types_of(made, relation.node.columns))
    return Relation(node, tuple(zip(names, made, strict=True)))


def _select(select: exp.Select, place: _Place) -> _Built:
    scope = _Scope(place)
    node = _from(select, scope)
    outside = set() if place.around is None else _visible(place.around)
    pulled: list[exp.Expr] = []
    if where := select.args.get("where"):
        node, pulled = _filtered(node, where.this, scope, outside)
    items = _items(select, scope)
    beside: dict[str, Inner] = {}
    node, items, having = _grouped(select, node, items, scope, pulled, beside)
    if having is not None:
        node = Filter(node, tuple(conjuncts(having)), beside)
    node, items = _windowed(node, items)
    if qualify := select.args.get("qualify"):
        made = [("", _resolved(_unaliased(qualify.this, items, scope), scope, {}))]
        node, made = _windowed(node, made)
        node = Filter(node, tuple(conjuncts(made[0][1])))
    node, items = _exploded(node, items)
    carried = sorted(references(*pulled) & set(node.columns))
    relation, hidden = _projected(select, node, items, scope, carried)
    if select.args.get("distinct"):
        keys = {place_: column(place_) for _, place_ in relation.names} | {name: column(name) for name in carried}
        columns = {name: relation.node.columns[name] for name in keys}
        relation = relation._replace(node=Aggregate(relation.node, keys, {}, columns))
    relation = _ordered(select, relation, scope)
    if hidden:
        kept = [place_ for _, place_ in relation.names] + carried
        made_ = {name: column(name) for name in kept}
        relation = relation._replace(node=Project(relation.node, made_, {n: relation.node.columns[n] for n in made_}))
    return _Built(relation, tuple(pulled))


def _visible(scope: _Scope | None) -> set[str]:
    """The columns of the queries around."""
    found: set[str] = set()
    while scope is not None:
        found.update(place for columns in scope.sources.values() for place in columns.values())
        scope = scope.place.around
    return found


# -- FROM -------------------------------------------------------------------------------------------------------------


def _from(select: exp.Select, scope: _Scope) -> Node:
    source = select.args.get("from_")
    if source is None:
        return Values("(SELECT 1 AS one)", 1, {})
    hints = _hints(select)
    node, first = _source(source.this, scope), _name_of(source.this)
    for join in source.this.args.get("joins") or ():
        node = _joined(node, join, scope, hints, first)
    for join in select.args.get("joins") or ():
        node = _joined(node, join, scope, hints, first)
    for lateral in select.args.get("laterals") or ():
        node = _lateral(node, lateral, scope)
    return node


def _hints(select: exp.Select) -> dict[str, str]:
    """BROADCAST and MERGE hints by the names of the tables."""
    hint = select.args.get("hint")
    found = {}
    for each in hint.expressions if hint else ():
        kind = {"BROADCAST": "broadcast", "MAPJOIN": "broadcast", "BROADCASTJOIN": "broadcast"}.get(each.name.upper())
        kind = kind or ("merge" if each.name.upper() in ("MERGE", "MERGEJOIN", "SHUFFLE_MERGE") else None)
        for table in each.expressions if kind else ():
            found[table.name.casefold()] = kind
    return found


def _name_of(source: exp.Expr) -> str:
    return (source.alias or source.name).casefold()


def _source(source: exp.Expr, scope: _Scope) -> Node:
    if isinstance(source, exp.Table) and isinstance(source.this, exp.Anonymous):
        relation = _function(source.this)
    elif isinstance(source, exp.Table) and isinstance(source.this, exp.Identifier):
        relation = _named(source, scope.place)
    elif isinstance(source, (exp.Subquery, exp.Select, exp.SetOperation, exp.Values)):
        relation = _query(source, scope.place).relation
    elif isinstance(source, exp.Lateral | exp.Unnest | exp.Explode):
        raise UnreadableError("a list in FROM")
    else:
        raise UnreadableError(f"FROM {source.sql('spark')}"[:80])
    relation = _aliased(relation, source)
    scope.add(source.alias or source.name or f"source {len(scope.sources)}", relation.names)
    if sample := source.args.get("sample"):
        share = sample.args.get("percent")
        chance = exp.LT(this=exp.Rand(), expression=exp.Literal.number(float(share.name) / 100)) if share else None
        return Filter(relation.node, (chance,)) if chance else relation.node
    return relation.node


def _named(table: exp.Table, place: _Place) -> Relation:
    found = place.tables.get(table.name.casefold())
    if found is None:
        raise UnreadableError(f"the table {table.name}")
    return found()


def _function(call: exp.Anonymous) -> Relation:
    """`range(…)`, the one function of Spark that makes rows from nothing."""
    if call.name.lower() != "range" or not all(isinstance(each, exp.Literal) for each in call.expressions):
        raise UnreadableError(f"the function {call.name}")
    numbers = [int(each.name) for each in call.expressions]
    start, end, step = (*numbers[:3], 1)[:3] if len(numbers) > 1 else (0, numbers[0], 1)
    name = attribute("id")
    text = f'(SELECT range AS "{name}" FROM range({start}, {end}, {step}))'
    return Relation(Values(text, len(range(start, end, step)), {name: "BIGINT"}), (("id", name),))


def _values(values: exp.Values) -> Relation:
    width = len(values.expressions[0].expressions)
    named = [each.name for each in values.args["alias"].columns] if values.args.get("alias") else []
    names = [named[i] if i < len(named) else f"col{i + 1}" for i in range(width)]
    places = [attribute(name) for name in names]
    rows = ", ".join(each.sql("duckdb") for each in values.expressions)
    renamed = ", ".join(f'"{place}"' for place in places)
    first = values.expressions[0].expressions
    kinds = types_of({place: first[i] for i, place in enumerate(places)}, {})
    text = f"(SELECT * FROM (VALUES {rows}) AS v({renamed}))"
    return Relation(Values(text, len(values.expressions), kinds), tuple(zip(names, places, strict=True)))


def _joined(node: Node, join: exp.Join, scope: _Scope, hints: Mapping[str, str], first: str) -> Node:
    before = scope.star()
    if isinstance(join.this, exp.Lateral):
        return _lateral(node, join.this, scope)
    right = _source(join.this, scope)
    how = _how(join)
    condition = _resolved(join.args["on"], scope, {}) if join.args.get("on") else None
    conditions = conjuncts(condition)
    for each in join.args.get("using") or ():
        theirs = scope.sources[list(scope.sources)[-1]][each.name.casefold()]
        ours = next(place for name, place in before if name.casefold() == each.name.casefold())
        conditions.append(exp.EQ(this=column(ours), expression=column(theirs)))
    hint = ""
    if hints.get(_name_of(join.this)) == "broadcast":
        hint = "broadcast right"
    elif hints.get(first) == "broadcast":
        hint = "broadcast left"
    elif "merge" in (hints.get(_name_of(join.this)), hints.get(first)):
        hint = "merge"
    if how in ("semi", "anti"):  # what is on the right is seen by the condition only
        name = list(scope.sources)[-1]
        del scope.sources[name], scope.spelled[name]
    return Join(node, right, how, tuple(conditions), hint)


def _how(join: exp.Join) -> str:
    kind, side = join.kind.upper(), join.side.upper()
    if join.method.upper() == "NATURAL" or kind in ("ASOF",):
        raise UnreadableError(f"{join.method or kind} JOIN")
    if kind in ("SEMI", "ANTI"):
        return kind.lower()
    if side in ("LEFT", "RIGHT", "FULL"):
        return side.lower()
    return "inner" if join.args.get("on") or join.args.get("using") else "cross"


def _lateral(node: Node, lateral: exp.Lateral, scope: _Scope) -> Node:
    named = [each.name for each in lateral.args["alias"].columns]
    generator = _resolved(lateral.this, scope, {})
    places = tuple(attribute(name) for name in named)
    found = _explosion(node, generator, places)
    scope.add(lateral.alias, list(zip(named, found.made, strict=False)))
    return found


# -- conditions -------------------------------------------------------------------------------------------------------


def _filtered(node: Node, condition: exp.Expr, scope: _Scope, outside: set[str]) -> tuple[Node, list[exp.Expr]]:
    """Rows for which a condition holds; parts of it that speak of the query around are handed to that."""
    beside: dict[str, Inner] = {}
    parts = conjuncts(_resolved(condition, scope, beside))
    pulled = [part for part in parts if references(part) & outside and not references(part) & set(beside)]
    kept = tuple(part for part in parts if part not in pulled)
    return (Filter(node, kept, beside) if kept else node), pulled


def _resolved(expression: exp.Expr, scope: _Scope, beside: dict[str, Inner]) -> exp.Expr:
    """An expression over the tree's columns; queries within it are put beside, under a column that stands for them."""

    def change(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.Column):
            if isinstance(node.this, exp.Star):
                return node
            return node if "#" in node.name else scope.find([part.name for part in node.parts])
        if isinstance(node, exp.Struct):
            return _struct(node, scope, beside)
        if isinstance(node, exp.Exists) and isinstance(node.this, exp.Query):
            return _beside("exists", node.this, None, scope, beside)
        if isinstance(node, exp.In) and node.args.get("query"):
            value = _resolved(node.this, scope, beside)
            return _beside("in", node.args["query"], value, scope, beside)
        if isinstance(node, (exp.Subquery, exp.Select)):
            return _beside("value", node, None, scope, beside)
        return node

    return expression.copy().transform(change, copy=False)


def _struct(struct: exp.Struct, scope: _Scope, beside: dict[str, Inner]) -> exp.Expr:
    """A struct, with its stars put out."""
    fields: list[exp.Expr] = []
    for position, each in enumerate(struct.expressions, 1):
        if isinstance(each, exp.Star) or (isinstance(each, exp.Column) and isinstance(each.this, exp.Star)):
            fields += [_field(name, column(place)) for name, place in scope.star(each.table if each.parts[0] else "")]
        elif isinstance(each, exp.PropertyEQ):
            fields.append(_field(each.this.name, _resolved(each.expression, scope, beside)))
        else:
            name = each.alias_or_name or f"col{position}"
            fields.append(_field(name, _resolved(each.unalias(), scope, beside)))
    return exp.Struct(expressions=fields)


def _field(name: str, value: exp.Expr) -> exp.Expr:
    return exp.PropertyEQ(this=exp.to_identifier(name, quoted=True), expression=value)


def _beside(kind: str, query: exp.Expr, value: exp.Expr | None, scope: _Scope, beside: dict[str, Inner]) -> exp.Expr:
    built = _query(query, _Place(scope.place.tables, scope))
    conditions = list(built.pulled)
    first = built.relation.names[0][1]
    if value is not None:
        conditions.insert(0, exp.EQ(this=value, expression=column(first)))
    stand_in = first if kind == "value" else attribute(kind)
    beside[stand_in] = Inner(kind, built.relation.node, tuple(conditions))  # type: ignore[arg-type]
    return column(stand_in)


# -- SELECT -----------------------------------------------------------------------------------------------------------

_Items = list[tuple[str, exp.Expr]]


def _items(select: exp.Select, scope: _Scope) -> _Items:
    """What is selected, by name; `*` put out."""
    found: _Items = []
    for each in select.expressions:
        bare = each.unalias()
        if isinstance(bare, exp.Star) or (isinstance(bare, exp.Column) and isinstance(bare.this, exp.Star)):
            found += _starred(bare, scope)
        else:
            name = each.alias or (bare.parts[-1].name if isinstance(bare, exp.Column) else "") or bare.sql("spark")
            found.append((name, _item(bare, found, scope)))
    return found


def _item(bare: exp.Expr, before: _Items, scope: _Scope) -> exp.Expr:
    """What is selected; it may speak of what was selected before it, by name."""
    try:
        return _resolved(bare, scope, {})
    except UnreadableError:
        return _resolved(_unaliased(bare, before, scope), scope, {})


def _starred(bare: exp.Expr, scope: _Scope) -> _Items:
    source = "" if isinstance(bare, exp.Star) else bare.table
    star = bare if isinstance(bare, exp.Star) else bare.this
    if source and source.casefold() not in scope.sources:  # the fields of a struct
        raise UnreadableError(f"{source}.*")
    left_out = {each.name.casefold() for each in star.args.get("except_") or ()}
    replaced = {each.alias.casefold(): each.this for each in star.args.get("replace") or ()}
    return [
        (name, _resolved(replaced[name.casefold()], scope, {}) if name.casefold() in replaced else column(place))
        for name, place in scope.star(source)
        if name.casefold() not in left_out
    ]


def _unaliased(expression: exp.Expr, items: _Items, scope: _Scope) -> exp.Expr:
    """An expression with what is selected in place of the names that it is selected under."""
    named = {name.casefold(): each for name, each in items}

    def change(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.Column) and len(node.parts) == 1 and node.name.casefold() in named:
            return named[node.name.casefold()].copy()
        return node

    return expression.copy().transform(change, copy=False)


def _grouped(
    select: exp.Select,
    node: Node,
    items: _Items,
    scope: _Scope,
    pulled: Sequence[exp.Expr],
    beside: dict[str, Inner],
) -> tuple[Node, _Items, exp.Expr | None]:
    """The groups, and what is selected in terms of them. What speaks of the query around becomes a key."""
    group, having = select.args.get("group"), select.args.get("having")
    condition = _resolved(_having(having.this, items, scope), scope, beside) if having else None
    parts = [each for _, each in items] + ([condition] if condition else [])
    aggregates = list(dict.fromkeys(found for part in parts for found in _aggregates(part)))
    if group is None and not aggregates:
        return node, items, condition
    if group is not None and (group.args.get("cube") or group.args.get("rollup") or group.args.get("grouping_sets")):
        raise UnreadableError("GROUPING SETS")
    keys = {place: column(place) for place in sorted(references(*pulled) & set(node.columns))}
    named: dict[exp.Expr, str] = {}
    for key in _keys(group, items, scope) if group is not None else ():
        place = key.name if isinstance(key, exp.Column) else attribute("key")
        named[key], keys[place] = place, key
    made = {attribute(_called(each)): each for each in aggregates}
    places = {each: place for place, each in made.items()}

    def over(part: exp.Expr) -> exp.Expr:
        def change(inner: exp.Expr) -> exp.Expr:
            place = named.get(inner) or places.get(inner)
            return column(place) if place else inner

        return part.copy().transform(change, copy=False)

    columns = types_of(keys, node.columns) | types_of(made, node.columns)
    found = Aggregate(node, keys, made, columns)
    return found, [(name, over(each)) for name, each in items], over(condition) if condition else None


def _called(aggregate: exp.Expr) -> str:
    """What Spark would call the column of an aggregate, about."""
    return re.sub(r'#\d+|"', "", aggregate.sql("duckdb", unsupported_level=IGNORE)).lower()[:60]


def _having(condition: exp.Expr, items: _Items, scope: _Scope) -> exp.Expr:
    """A condition on groups may use the names of what is selected, where no column has them."""
    known = {name for columns in scope.sources.values() for name in columns}
    return _unaliased(condition, [item for item in items if item[0].casefold() not in known], scope)


def _keys(group: exp.Group, items: _Items, scope: _Scope) -> Iterator[exp.Expr]:
    if group.args.get("all"):
        yield from (each for _, each in items if not list(_aggregates(each)))
        return
    for key in group.expressions:
        if isinstance(key, exp.Literal) and not key.is_string:
            yield items[int(key.name) - 1][1]
            continue
        try:
            yield _resolved(key, scope, {})
        except UnreadableError:
            yield _resolved(_unaliased(key, items, scope), scope, {})


def _aggregates(expression: exp.Expr) -> Iterator[exp.Expr]:
    """The outermost aggregates, with their FILTER; a window's own function is none, but there may be some in it."""
    if is_aggregate(expression):
        yield expression
        return
    for key, value in expression.args.items():
        for each in value if isinstance(value, list) else [value]:
            if not isinstance(each, exp.Expr):
                continue
            if isinstance(expression, exp.Window) and key == "this":
                for inner in _bare_window(each).args.values():
                    for argument in inner if isinstance(inner, list) else [inner]:
                        if isinstance(argument, exp.Expr):
                            yield from _aggregates(argument)
            else:
                yield from _aggregates(each)


def _bare_window(function: exp.Expr) -> exp.Expr:
    return function.this if isinstance(function, (exp.IgnoreNulls, exp.RespectNulls, exp.Filter)) else function


def _windowed(node: Node, items: _Items) -> tuple[Node, _Items]:
    """The windows below what is selected, those of one partition and order together."""
    groups: dict[tuple[str, str], dict[str, exp.Expr]] = {}
    places: dict[exp.Expr, str] = {}
    for _, each in items:
        for window in each.find_all(exp.Window):
            if window not in places and not window.find_ancestor(exp.Window):
                places[window] = attribute("window")
                order = window.args.get("order")
                key = (str([p.sql() for p in window.args.get("partition_by") or ()]), order.sql() if order else "")
                groups.setdefault(key, {})[places[window]] = window
    for made in groups.values():
        by = next(iter(made.values())).args.get("partition_by") or ()
        node = Window(node, tuple(by), made, node.columns | types_of(made, node.columns))

    def change(inner: exp.Expr) -> exp.Expr:
        return column(places[inner]) if inner in places else inner

    if not places:
        return node, items
    return node, [(name, each.copy().transform(change, copy=False)) for name, each in items]


def _exploded(node: Node, items: _Items) -> tuple[Node, _Items]:
    """Lists that are selected as rows."""
    found: _Items = []
    for name, each in items:
        if not isinstance(each, exp.Explode | exp.Inline | exp.Posexplode):
            found.append((name, each))
            continue
        node = _explosion(node, each, (attribute(name if not isinstance(each, exp.Inline) else "inline"),))
        if isinstance(each, exp.Explode) and not isinstance(each, exp.Inline | exp.Posexplode):
            found.append((name, column(node.made[0])))
        else:
            found += [(place.rpartition("#")[0], column(place)) for place in node.made]
    return node, found


def _explosion(node: Node, generator: exp.Expr, places: tuple[str, ...]) -> Explode:
    listed = generator.this
    kind = types_of({"list": listed}, node.columns)["list"]
    element = kind.removesuffix("[]") if kind.endswith("[]") else "?"
    if isinstance(generator, exp.Posexplode):
        named = (attribute("pos"), attribute("col")) if len(places) != 2 else places
        kinds = {named[0]: "INTEGER", named[1]: element}
    elif isinstance(generator, exp.Inline):
        if not element.startswith("STRUCT("):
            raise UnreadableError("inline of what is no list of structs")
        fields = exp.DataType.build(element, dialect="duckdb").expressions
        kinds = {attribute(each.name): each.args["kind"].sql("duckdb") for each in fields}
    else:
        kinds = {places[0]: element}
    return Explode(node, generator, tuple(kinds), node.columns | kinds)


def _projected(
    select: exp.Select, node: Node, items: _Items, scope: _Scope, carried: Sequence[str]
) -> tuple[Relation, bool]:
    """What is selected, and columns that only the order needs: whether there are such."""
    made: dict[str, exp.Expr] = {}
    names = []
    for name, each in items:
        same = isinstance(each, exp.Column) and display(each.name).casefold() == name.casefold()
        place = each.name if same and each.name not in made else attribute(name)
        made[place] = each
        names.append((name, place))
    extra = {name: column(name) for name in carried if name not in made}
    hidden: dict[str, exp.Expr] = {}
    if (order := select.args.get("order") or select.args.get("sort")) and not select.args.get("distinct"):
        known = {name.casefold() for name, _ in names}
        for reference in order.find_all(exp.Column):
            if reference.parts[-1].name.casefold() not in known or len(reference.parts) > 1:
                place = scope.find([part.name for part in reference.parts])
                if isinstance(place, exp.Column) and place.name in node.columns and place.name not in made:
                    hidden[place.name] = column(place.name)
    made |= extra | hidden
    return Relation(Project(node, made, types_of(made, node.columns)), tuple(names)), bool(hidden)


def _ordered(query: exp.Expr, relation: Relation, scope: _Scope | None) -> Relation:
    """ORDER BY, SORT BY, DISTRIBUTE BY and LIMIT."""
    node = relation.node
    if hint := query.args.get("hint"):
        for each in hint.expressions:
            if isinstance(each, exp.Anonymous) and each.name.upper() in ("REBALANCE", "REPARTITION"):
                keys = [_output(key, relation, scope) for key in each.expressions if not isinstance(key, exp.Literal)]
                node = Shuffle(node, tuple(keys))
    if distribute := query.args.get("distribute"):
        node = Shuffle(node, tuple(_output(each.this, relation, scope) for each in distribute.expressions))
    for name, everywhere in (("sort", False), ("order", True)):
        if order := query.args.get(name):
            terms = []
            for term in order.expressions:
                copied = term.copy()
                copied.set("this", _output(term.this, relation, scope))
                terms.append(copied)
            node = Sort(node, tuple(terms), everywhere)
    limit = query.args.get("limit")
    if limit is not None and isinstance(limit.expression, exp.Literal):
        node = Limit(node, int(limit.expression.name))
    return relation._replace(node=node)


def _output(expression: exp.Expr, relation: Relation, scope: _Scope | None) -> exp.Expr:
    """An expression over what is selected: by position, by name, or as it was before."""
    if isinstance(expression, exp.Literal) and not expression.is_string:
        return column(relation.names[int(expression.name) - 1][1])
    named = {name.casefold(): place for name, place in relation.names}

    def change(node: exp.Expr) -> exp.Expr:
        if not isinstance(node, exp.Column) or "#" in node.name:
            return node
        if len(node.parts) == 1 and node.name.casefold() in named:
            return column(named[node.name.casefold()])
        if scope is None:
            raise UnreadableError(f"ORDER BY {node.sql('spark')}")
        return scope.find([part.name for part in node.parts])

    return expression.copy().transform(change, copy=False)


# -- sets -------------------------------------------------------------------------------------------------------------


def _set_operation(query: exp.SetOperation, place: _Place) -> Relation:
    sides = [_query(side, place).relation for side in (query.this, query.expression)]
    everything = not query.args.get("distinct")
    if isinstance(query, exp.Union):
        found = _union(sides)
        return found if everything else _distinct(found)
    left, right = sides
    same = tuple(
        exp.NullSafeEQ(this=column(ours), expression=column(theirs))
        for (_, ours), (_, theirs) in zip(left.names, right.names, strict=True)
    )
    how = "semi" if isinstance(query, exp.Intersect) else "anti"
    return _distinct(left._replace(node=Join(left.node, right.node, how, same)))


def _union(sides: Sequence[Relation]) -> Relation:
    places = [attribute(name) for name, _ in sides[0].names]
    branches = []
    for side in sides:
        made: dict[str, exp.Expr] = {new: column(old) for new, (_, old) in zip(places, side.names, strict=True)}
        branches.append(Project(side.node, made, types_of(made, side.node.columns)))
    kinds = {place: _wider([branch.columns[place] for branch in branches]) for place in places}
    node = Union(tuple(branch._replace(columns=kinds) for branch in branches))
    return Relation(node, tuple((name, place) for (name, _), place in zip(sides[0].names, places, strict=True)))


def _wider(kinds: Sequence[str]) -> str:
    """Of the types of one column, that of what is not null everywhere."""
    return next((kind for kind in kinds if kind.strip('"') != "NULL"), kinds[0])


def _distinct(relation: Relation) -> Relation:
    keys: dict[str, exp.Expr] = {place: column(place) for _, place in relation.names}
    return relation._replace(
        node=Aggregate(relation.node, keys, {}, {place: relation.node.columns[place] for place in keys})
    )
