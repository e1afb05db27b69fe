"""How a query ends: DISTRIBUTE BY, SORT BY, ORDER BY and LIMIT, in terms of what comes out or of what went in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlglot import exp

from penstock.queries.expressions import changed, resolved
from penstock.queries.names import Relation, Scope, UnreadableError
from penstock.queries.selected import Selected
from penstock.trees.tree import Limit, Node, Shuffle, Sort, column

__all__ = ["Ending", "ended", "ending"]


class Ending(NamedTuple):
    """The terms of each clause: over what comes out, or the number of one over what goes in (`Selected.terms`)."""

    clauses: tuple[tuple[str, tuple[exp.Expr | int, ...]], ...]
    limit: int | None
    """With the rows that are left out."""
    skipped: int = 0


def ending(query: exp.Expr, names: Sequence[str], chosen: Selected | None = None, scope: Scope | None = None) -> Ending:
    """The end of a query whose columns have these names; terms that are no names of them are put into `chosen`."""
    clauses = []
    for name in ("distribute", "cluster", "sort", "order"):
        if (clause := query.args.get(name)) is not None:
            terms = tuple(_term(each, names, chosen, scope) for each in _put_out(clause.expressions, names))
            clauses += [("distribute", terms), ("sort", terms)] if name == "cluster" else [(name, terms)]
    return Ending((*_hinted(query, names), *clauses), *_limit(query))


def _put_out(terms: Sequence[exp.Expr], names: Sequence[str]) -> list[exp.Expr]:
    """ORDER BY ALL as the positions of all columns."""
    if len(terms) != 1 or not isinstance(terms[0].this, exp.Var) or terms[0].this.name.upper() != "ALL":
        return list(terms)
    found = []
    for position in range(1, len(names) + 1):
        found.append(terms[0].copy())
        found[-1].set("this", exp.Literal.number(position))
    return found


def _term(term: exp.Expr, names: Sequence[str], chosen: Selected | None, scope: Scope | None) -> exp.Expr | int:
    if isinstance(term, exp.Ordered) and isinstance(term.this, exp.Literal) and not term.this.is_string:
        if not term.this.is_int or not 0 < int(term.this.name) <= len(names):
            raise UnreadableError(f"ORDER BY {term.this.name}")
        return term
    known = {name.casefold() for name in names}
    plain = not term.find(exp.AggFunc, exp.Window, exp.Query)
    if plain and all(len(each.parts) == 1 and each.name.casefold() in known for each in term.find_all(exp.Column)):
        return term
    if chosen is None or scope is None:
        raise UnreadableError(f"ORDER BY {term.sql('spark')}"[:80])
    aliases = {name.casefold(): each for name, each in reversed(chosen.items)}
    chosen.terms.append(resolved(term, scope, {}, aliases))
    return len(chosen.terms) - 1


def _hinted(query: exp.Expr, names: Sequence[str]) -> list[tuple[str, tuple[exp.Expr | int, ...]]]:
    """REPARTITION and REBALANCE spread rows, by columns if some are named."""
    known = {name.casefold() for name in names}
    hint = query.args.get("hint")
    found: list[tuple[str, tuple[exp.Expr | int, ...]]] = []
    for each in hint.expressions if hint else ():
        if each.name.upper() in ("REBALANCE", "REPARTITION"):
            keys = tuple(key for key in each.expressions if not isinstance(key, exp.Literal))
            if any(key.name.casefold() not in known for key in keys):
                raise UnreadableError(each.sql("spark")[:80])
            found.append(("distribute", keys))
    return found


def _limit(query: exp.Expr) -> tuple[int | None, int]:
    """How many rows have to be found, and how many of them OFFSET leaves out."""
    limit, offset = query.args.get("limit"), query.args.get("offset")
    if limit is None and offset is None:
        return None, 0
    wanted = limit.args.get("count") or limit.args.get("expression") if limit else None
    if isinstance(wanted, exp.Var) and wanted.name.upper() == "ALL" and offset is None:
        return None, 0
    if limit is None:
        raise UnreadableError("OFFSET without LIMIT")
    if options := limit.args.get("limit_options"):
        raise UnreadableError(f"LIMIT {options.sql('spark').strip()}")
    skipped = offset.expression if offset else exp.Literal.number(0)
    numbers = [int(each.name) for each in (wanted, skipped) if isinstance(each, exp.Literal) and each.is_int]
    if len(numbers) < 2:
        raise UnreadableError("LIMIT of what is no number")
    return sum(numbers), numbers[1]


# -- what it does to the tree -----------------------------------------------------------------------------------------


def ended(relation: Relation, ending: Ending, terms: Sequence[exp.Expr] = ()) -> Relation:
    """The rows of a query with its end; the terms over what goes in have to be among the columns of its node."""
    if relation.skipped and ending != Ending((), None):
        raise UnreadableError("a query over one with OFFSET")
    node = relation.node
    for clause, numbered in ending.clauses:
        given = [terms[each] if isinstance(each, int) else _over(each, relation) for each in numbered]
        node = _clause(node, clause, given)
    if ending.limit is None:
        return relation._replace(node=node)
    return relation._replace(node=Limit(node, ending.limit), skipped=ending.skipped)


def _clause(node: Node, clause: str, terms: Sequence[exp.Expr]) -> Node:
    if clause == "distribute":
        return Shuffle(node, tuple(each.this if isinstance(each, exp.Ordered) else each for each in terms))
    ordered = [each if isinstance(each, exp.Ordered) else exp.Ordered(this=each, nulls_first=True) for each in terms]
    return Sort(node, tuple(ordered), clause == "order")


def _over(term: exp.Expr, relation: Relation) -> exp.Expr:
    """A term over what comes out: by position, or by name."""
    named = {name.casefold(): place for name, place in reversed(relation.names)}

    def change(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.Column):
            return column(named[node.name.casefold()])
        if isinstance(node, exp.Literal) and node.parent is found and not node.is_string:
            return column(relation.names[int(node.name) - 1][1])
        return node

    found = term.copy()
    return changed(found, change)
