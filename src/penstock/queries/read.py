"""SQL as a tree: what Spark calls the analysed plan. Whatever is not understood is said so, and never guessed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import sqlglot
from sqlglot import exp

from penstock.queries.checking import checked
from penstock.queries.constants import parsed
from penstock.queries.endings import ended, ending
from penstock.queries.expressions import Beside, changed, resolved
from penstock.queries.groups import grouped
from penstock.queries.lists import GENERATORS, exploded
from penstock.queries.names import OF_TEXTS, Built, Place, Relation, Scope, UnreadableError, first_line, used_again
from penstock.queries.selected import Items, Selected, selected
from penstock.queries.sets import combined, distinct
from penstock.queries.tables import from_clause, pulled_from, renamed, values
from penstock.queries.windows import named_windows, windowed
from penstock.trees.spelled import types_of
from penstock.trees.tree import Filter, Node, Project, attribute, column, conjuncts, display, references

__all__ = ["Relation", "UnreadableError", "read"]


def read(text: str, tables: Mapping[str, Relation]) -> Relation:
    """A query of Spark's dialect over named tables.

    Raises:
        UnreadableError: It is no query, or has parts that are not understood.
    """
    try:
        query = parsed(text)
        used: set[str] = set()
        known = {name.casefold(): used_again(relation, used) for name, relation in tables.items()}
        relation = _query(query, Place(known, _within)).relation
    except (sqlglot.errors.SqlglotError, *OF_TEXTS) as error:
        raise UnreadableError(first_line(error)) from error
    except RecursionError as error:
        raise UnreadableError("a query that is nested too deeply") from error
    return checked(relation)


def _within(query: exp.Expr, place: Place) -> Built:
    """A query within another one. How many rows OFFSET leaves of it is told of the last query only."""
    found = _query(query, place)
    if found.relation.skipped:
        raise UnreadableError("OFFSET in a query within another one")
    return found


def _query(query: exp.Expr, place: Place) -> Built:
    if isinstance(query, exp.Query) and (with_ := query.args.get("with_")):
        if with_.recursive:
            raise UnreadableError("WITH RECURSIVE")
        for cte in with_.expressions:
            place = Place({**place.tables, cte.alias.casefold(): _cte(cte, place)}, place.read, place.around)
    if isinstance(query, exp.Subquery):
        inner = _query(query.this, place)
        names = [name for name, _ in inner.relation.names]
        return inner._replace(relation=ended(inner.relation, ending(query, names)))
    if isinstance(query, exp.Select):
        return _select(query, place)
    if isinstance(query, exp.SetOperation):
        relation = combined(query, place)
        return Built(ended(relation, ending(query, [name for name, _ in relation.names])))
    if isinstance(query, exp.Values):
        return Built(values(query))
    if isinstance(query, exp.Table) and place.tables.get(query.name.casefold()):
        return _select(exp.select("*").from_(query), place)
    raise UnreadableError(query.sql("spark")[:80])


def _cte(cte: exp.CTE, place: Place) -> Callable[[], Relation]:
    def read_anew() -> Relation:  # at each use, as Spark puts it in
        relation, pulled = _within(cte.this, place)
        if pulled:
            raise UnreadableError(f"WITH {cte.alias}, which speaks of the query around")
        return renamed(relation, cte)

    return read_anew


#: What a SELECT may have; of what it has besides, it is not known what it does.
_CLAUSES = frozenset(
    ("cluster", "distinct", "distribute", "expressions", "from_", "group", "having", "hint", "joins", "laterals",
     "limit", "offset", "order", "qualify", "sort", "where", "with_")
)  # fmt: skip


def _select(select: exp.Expr, place: Place) -> Built:
    select = named_windows(select)
    if unknown := {name for name, value in select.args.items() if value} - _CLAUSES:
        raise UnreadableError(unknown.pop().upper())
    scope = Scope(place)
    node = _filtered(from_clause(select, scope), select, scope)
    chosen = selected(select, scope, node.columns)
    end = ending(select, [name for name, _ in chosen.items], chosen, scope)
    before = node
    node = grouped(select, node, chosen, scope, scope.pulled)
    if chosen.having is not None:
        node = Filter(node, tuple(conjuncts(chosen.having)), chosen.beside_having)
    node = windowed(node, chosen)
    if chosen.qualify is not None:
        node = Filter(node, tuple(conjuncts(chosen.qualify)))
    node = _exploded(node, chosen)
    carried = sorted(references(*scope.pulled) & node.columns.keys())
    unique = _unique(select)
    names, made = _placed(chosen.items)
    terms = chosen.terms if node is before and not unique else _over_items(chosen.terms, made)
    hidden = [] if unique else sorted(references(*terms) - made.keys())
    everything = made | {name: column(name) for name in (*carried, *hidden)}
    relation = Relation(Project(node, everything, types_of(everything, node.columns), chosen.beside), names)
    if unique:
        relation = distinct(relation, carried)
    if scope.pulled and end.limit is not None:
        raise UnreadableError("LIMIT in a query that speaks of the one around")
    relation = ended(relation, end, terms)
    if hidden:
        kept: dict[str, exp.Expr] = {name: column(name) for name in (*made, *carried)}
        relation = relation._replace(node=Project(relation.node, kept, types_of(kept, relation.node.columns)))
    return Built(relation, tuple(scope.pulled))


def _unique(select: exp.Expr) -> bool:
    found = select.args.get("distinct")
    if found is not None and found.args.get("on"):
        raise UnreadableError("DISTINCT ON")
    return found is not None


def _filtered(node: Node, select: exp.Expr, scope: Scope) -> Node:
    """Rows for which WHERE holds; parts of it that speak of the query around are handed to that."""
    where = select.args.get("where")
    if where is None:
        return node
    beside: Beside = {}
    own = pulled_from(conjuncts(resolved(where.this, scope, beside)), beside, scope)
    return Filter(node, tuple(own), beside) if own else node


def _exploded(node: Node, chosen: Selected) -> Node:
    """Lists that are selected as rows."""
    found: Items = []
    for name, each in chosen.items:
        if not isinstance(each, GENERATORS):
            found.append((name, each))
            continue
        node = exploded(node, each)
        names = [name] if len(node.made) == 1 else map(display, node.made)
        found += [(called, column(place)) for called, place in zip(names, node.made, strict=True)]
    chosen.items = found
    return node


def _placed(items: Items) -> tuple[tuple[tuple[str, str], ...], dict[str, exp.Expr]]:
    """A column for each item; one that is selected as it is keeps its own."""
    names = []
    made: dict[str, exp.Expr] = {}
    for name, each in items:
        same = isinstance(each, exp.Column) and display(each.name).casefold() == name.casefold()
        place = each.name if same and each.name not in made else attribute(name)
        made[place] = each
        names.append((name, place))
    return tuple(names), made


def _over_items(terms: Sequence[exp.Expr], made: dict[str, exp.Expr]) -> list[exp.Expr]:
    """Terms with the columns that come out in place of what is selected under them."""
    places = {each: place for place, each in reversed(made.items())}

    def change(part: exp.Expr) -> exp.Expr:
        return column(places[part]) if part in places else part

    return [changed(term.copy(), change) for term in terms]
