"""FROM: tables, queries in their place, and how they are joined."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from sqlglot import exp

from penstock.queries.expressions import Beside, resolved
from penstock.queries.lists import exploded
from penstock.queries.names import Relation, Scope, UnreadableError
from penstock.trees.spelled import types_of
from penstock.trees.tree import (
    Filter,
    How,
    Join,
    Limit,
    Node,
    Project,
    Values,
    attribute,
    column,
    conjuncts,
    references,
)

__all__ = ["from_clause", "pulled_from", "renamed", "values"]


def from_clause(select: exp.Expr, scope: Scope) -> Node:
    """The rows that a SELECT begins with; what they are called is put into the scope."""
    source = select.args.get("from_")
    if source is None:
        return Values("(SELECT 1 AS one)", 1, {})
    node = _joined_source(source.this, scope, _hints(select), select.args.get("joins") or ())
    for lateral in select.args.get("laterals") or ():
        node = _lateral(node, lateral, scope)
    return node


_HINTS = {
    **dict.fromkeys(("BROADCAST", "MAPJOIN", "BROADCASTJOIN"), "broadcast"),
    **dict.fromkeys(("MERGE", "MERGEJOIN", "SHUFFLE_MERGE", "SHUFFLE_HASH"), "merge"),
}


def _hints(select: exp.Expr) -> dict[str, str]:
    """How joins are to be made, by the names of their tables."""
    hint = select.args.get("hint")
    named = [each for each in (hint.expressions if hint else ()) if each.name.upper() in _HINTS]
    return {table.name.casefold(): _HINTS[each.name.upper()] for each in named for table in each.expressions}


# -- sources ----------------------------------------------------------------------------------------------------------


def _joined_source(
    source: exp.Expr, scope: Scope, hints: Mapping[str, str], joins: Sequence[exp.Join] = ()
) -> Node:  # fmt: skip
    """A source with what it is joined to within its own brackets, and then with the rest."""
    if _is_positional(source, joins):
        raise UnreadableError("POSITIONAL JOIN")
    node = _source(source, scope, hints)
    left = _called(source)
    for join in (*(source.args.get("joins") or ()), *joins):
        node = _joined(node, join, scope, hints, left)
        left = ""  # a hint on a table is none on a join of it
    return node


def _is_positional(source: exp.Expr, joins: Sequence[exp.Join]) -> bool:
    """Whether a join may be DuckDB's POSITIONAL one: Spark's dialect takes the word for the name of the table."""
    return any(join.method.upper() == "POSITIONAL" for join in joins) or (
        bool(joins) and source.alias.upper() == "POSITIONAL" and isinstance(joins[0].args.get("on"), exp.Boolean)
    )


def _called(source: exp.Expr) -> str:
    return str(source.alias or source.name).casefold()


def _source(source: exp.Expr, scope: Scope, hints: Mapping[str, str]) -> Node:
    if source.args.get("pivots"):
        raise UnreadableError("PIVOT")
    bracketed = isinstance(source, exp.Subquery) and isinstance(source.this, (exp.Table, exp.Subquery))
    if bracketed and not source.alias:
        return _joined_source(source.this, scope, hints)
    relation = renamed(_relation(source, scope), source)
    name = _called(source) or f"source {len(scope.sources)}"
    if name in scope.sources:
        raise UnreadableError(f"two tables called {name}")
    scope.sources[name] = relation.names
    return _sampled(relation.node, source.args.get("sample"))


def _relation(source: exp.Expr, scope: Scope) -> Relation:
    if isinstance(source, exp.Values):
        return values(source)
    if isinstance(source, exp.Query):
        found, pulled = scope.place.read(source, scope.place)
        scope.pulled += pulled
        return found
    if isinstance(source, exp.Table) and isinstance(source.this, exp.Anonymous):
        return _function(source.this)
    if isinstance(source, exp.Table) and isinstance(source.this, exp.Identifier) and not source.args.get("db"):
        unknown = {name for name, value in source.args.items() if value} - {"this", "alias", "sample", "joins"}
        if unknown:
            raise UnreadableError(f"{unknown.pop().upper()} of a table")
        if table := scope.place.tables.get(source.name.casefold()):
            return table()
    raise UnreadableError(f"FROM {source.sql('spark')}"[:80])


def renamed(relation: Relation, source: exp.Expr) -> Relation:
    """A table whose columns are given other names: `AS t (a, b)`."""
    alias = source.args.get("alias")
    names = [each.name for each in alias.columns] if isinstance(alias, exp.TableAlias) else []
    if not names or isinstance(source, exp.Values):
        return relation
    if len(names) != len(relation.names):
        raise UnreadableError(f"{len(names)} names for {len(relation.names)} columns")
    made: dict[str, exp.Expr] = {
        attribute(name): column(place) for name, (_, place) in zip(names, relation.names, strict=True)
    }
    known = {place for _, place in relation.names}
    everything = made | {name: column(name) for name in relation.node.columns if name not in known}
    node = Project(relation.node, everything, types_of(everything, relation.node.columns))
    return Relation(node, tuple(zip(names, made, strict=True)))


def _sampled(node: Node, sample: exp.Expr | None) -> Node:
    if sample is None:
        return node
    if isinstance(rows := sample.args.get("size"), exp.Literal):
        return Limit(node, int(rows.name))
    if not isinstance(share := sample.args.get("percent"), exp.Literal):
        raise UnreadableError(sample.sql("spark").strip()[:80])
    return Filter(node, (exp.LT(this=exp.Rand(), expression=exp.Literal.number(float(share.name) / 100)),))


def _function(call: exp.Anonymous) -> Relation:
    """`range(…)`, the one function of Spark that makes rows from nothing."""
    given = call.expressions
    if call.name.lower() != "range" or not all(isinstance(each, exp.Literal) and each.is_int for each in given):
        raise UnreadableError(f"the function {call.name}")
    numbers = [int(each.name) for each in given] or [0]
    start, end, step = (*numbers[:3], 1)[:3] if len(numbers) > 1 else (0, numbers[0], 1)
    name = attribute("id")
    text = f'(SELECT range AS "{name}" FROM range({start}, {end}, {step}))'
    return Relation(Values(text, len(range(start, end, step or 1)), {name: "BIGINT"}), (("id", name),))


def values(rows: exp.Values) -> Relation:
    """Rows that stand in the query."""
    cells = [each.expressions if isinstance(each, exp.Tuple) else [each] for each in rows.expressions]
    alias = rows.args.get("alias")
    named = [each.name for each in alias.columns] if isinstance(alias, exp.TableAlias) else []
    names = named or [f"col{i + 1}" for i in range(len(cells[0]))]
    if any(len(row) != len(names) for row in cells) or rows.find(exp.Column, exp.Query):
        raise UnreadableError(rows.sql("spark")[:80])
    places = [attribute(name) for name in names]
    texts = ", ".join(f"({', '.join(cell.sql('duckdb') for cell in row)})" for row in cells)
    called = ", ".join(f'"{place}"' for place in places)
    kinds = types_of(dict(zip(places, cells[0], strict=True)), {})
    text = f"(SELECT * FROM (VALUES {texts}) AS v({called}))"
    return Relation(Values(text, len(cells), kinds), tuple(zip(names, places, strict=True)))


def _lateral(node: Node, lateral: exp.Lateral, scope: Scope) -> Node:
    if not lateral.args.get("view"):
        raise UnreadableError("LATERAL")
    alias = lateral.args.get("alias")
    named = [each.name for each in alias.columns] if isinstance(alias, exp.TableAlias) else []
    found = exploded(node, resolved(lateral.this, scope, {}), named)
    names = named or [place.rpartition("#")[0] for place in found.made]
    scope.sources[lateral.alias.casefold() or f"source {len(scope.sources)}"] = tuple(
        zip(names, found.made, strict=True)
    )
    return found


# -- joins ------------------------------------------------------------------------------------------------------------


def _joined(node: Node, join: exp.Join, scope: Scope, hints: Mapping[str, str], left: str) -> Node:
    if isinstance(join.this, exp.Lateral):
        return _lateral(node, join.this, scope)
    ours, before = scope.star(), set(scope.sources)
    right = _joined_source(join.this, scope, hints)
    theirs = [pair for name in scope.sources if name not in before for pair in scope.sources[name]]
    how = _how(join)
    beside: Beside = {}
    conditions = conjuncts(resolved(join.args["on"], scope, beside)) if join.args.get("on") else []
    names = _names_in_common(join, ours, theirs)
    pairs = [(_column(name, ours), _column(name, theirs)) for name in names]
    conditions += [exp.EQ(this=column(one), expression=column(other)) for one, other in pairs]
    if how == "inner" and not conditions:
        how = "cross"
    found = _conditioned(Join(node, right, how, (), _hint(hints, left, _called(join.this))), conditions, beside, scope)
    if how in ("semi", "anti"):  # what is on the right is seen by the condition only
        scope.sources = {name: columns for name, columns in scope.sources.items() if name in before}
    elif pairs:
        found = _merged(found, how, dict(zip(names, pairs, strict=True)), scope)
    return found


def _hint(hints: Mapping[str, str], left: str, right: str) -> str:
    if hints.get(right) == "broadcast":
        return "broadcast right"
    if hints.get(left) == "broadcast":
        return "broadcast left"
    return "merge" if "merge" in (hints.get(left), hints.get(right)) else ""


def _how(join: exp.Join) -> How:
    kind, side = join.kind.upper(), join.side.upper()
    if kind not in ("", "INNER", "OUTER", "CROSS", "SEMI", "ANTI") or join.method.upper() not in ("", "NATURAL"):
        raise UnreadableError(f"{join.method or kind} JOIN")
    if kind in ("SEMI", "ANTI"):
        return cast("How", kind.lower())
    return cast("How", side.lower()) if side in ("LEFT", "RIGHT", "FULL") else "inner"


Pairs = Sequence[tuple[str, str]]


def _names_in_common(join: exp.Join, ours: Pairs, theirs: Pairs) -> list[str]:
    if join.method.upper() == "NATURAL":
        known = {name.casefold() for name, _ in theirs}
        return [name for name, _ in ours if name.casefold() in known]
    return [each.name for each in join.args.get("using") or ()]


def _column(name: str, among: Pairs) -> str:
    for known, place in among:
        if known.casefold() == name.casefold():
            return place
    raise UnreadableError(f"USING ({name})")


def _merged(node: Node, how: How, pairs: Mapping[str, tuple[str, str]], scope: Scope) -> Node:
    """USING makes one column of two: that of the side that keeps its rows, or of a full join whichever is there."""
    made: dict[str, exp.Expr] = {}
    for name, (one, other) in pairs.items():
        place = other if how == "right" else one
        if how == "full":
            place = attribute(name)
            made[place] = exp.Coalesce(this=column(one), expressions=[column(other)])
        scope.shared[name.casefold()] = (name, place)
        scope.replaced |= {one, other}
    if not made:
        return node
    kept: dict[str, exp.Expr] = {name: column(name) for name in node.columns}
    return Project(node, kept | made, types_of(kept | made, node.columns))


def _conditioned(join: Join, conditions: Sequence[exp.Expr], beside: Beside, scope: Scope) -> Node:
    """The join with its conditions; those that speak of the query around are handed to that, as a filter's are."""
    own = pulled_from(conditions, beside, scope)
    plain = tuple(each for each in own if not references(each) & beside.keys())
    if join.how not in ("inner", "cross") and plain != tuple(conditions):
        raise UnreadableError(f"a query within the condition of a {join.how.upper()} JOIN")
    found = join._replace(conditions=plain, how="cross" if join.how == "inner" and not plain else join.how)
    asking = tuple(each for each in own if each not in plain)
    return Filter(found, asking, beside) if asking else found


def pulled_from(conditions: Sequence[exp.Expr], beside: Beside, scope: Scope) -> list[exp.Expr]:
    """The conditions without those that speak of the query around, which are put into the scope."""
    outside = scope.outside()
    pulled = [each for each in conditions if (read := references(each)) & outside and not read & beside.keys()]
    scope.pulled += pulled
    return [each for each in conditions if each not in pulled]
