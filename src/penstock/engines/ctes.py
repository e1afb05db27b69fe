"""Named tables within a statement: as common table expressions before its own, or in their places, with none left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import sqlglot
from sqlglot import Token, TokenType, exp
from sqlglot.errors import SqlglotError

__all__ = ["before", "in_place"]

#: Letters; what is longer than this is not written out, so that doubling expressions end somewhere.
LONGEST = 200_000
_OF_CHANCE = (exp.Rand, exp.Randn, exp.Uuid)
_PLAIN = {"this", "alias", "joins", "laterals"}


def before(ctes: Sequence[str], statement: str) -> str:
    """A statement with expressions before its own.

    >>> before(["a AS (FROM b)"], "WITH c AS (FROM a) FROM c"), before(["a AS (FROM b)"], "SELECT 1")
    ('WITH a AS (FROM b), c AS (FROM a) FROM c', 'WITH a AS (FROM b) SELECT 1')
    """
    if not ctes:
        return statement
    head, separator, rest = statement.lstrip().partition(" ")
    return f"WITH {', '.join(ctes)}" + (f", {rest}" if separator and head.upper() == "WITH" else f" {statement}")


def in_place(statement: str, tables: Mapping[str, str]) -> str | None:
    """A statement of Spark's with its tables and common table expressions written where they are used.

    The text besides is left letter for letter. None where that is not possible, or would draw chances twice.

    >>> in_place("WITH c AS (SELECT a.x FROM a) SELECT * FROM c JOIN a AS b USING (x)", {"a": "view_1"})
    'SELECT * FROM (SELECT a.x FROM view_1 AS a) AS c JOIN view_1 AS b USING (x)'
    """
    try:
        tree = sqlglot.parse_one(statement, read="spark")
        tokens = sqlglot.tokenize(statement, read="spark")
        clauses = [_clause(with_, tokens) for with_ in tree.find_all(exp.With)]
        if clauses and tree.find(*_OF_CHANCE):
            return None
        return _written(_Statement(statement, tree, clauses, tables, {}), 0, len(statement))
    except (SqlglotError, RecursionError, _NotPossible):
        return None


class _NotPossible(Exception):
    """A statement that has to keep its expressions."""


class _Span(NamedTuple):
    start: int
    end: int


class _Clause(NamedTuple):
    """A WITH, from its first letter to the query that it stands before, and the bodies within it."""

    span: _Span
    bodies: dict[int, _Span]
    """By the id of the expression."""


class _Statement(NamedTuple):
    text: str
    tree: exp.Expr
    clauses: list[_Clause]
    tables: Mapping[str, str]
    bodies: dict[int, str]
    """Those that are written already."""


def _clause(with_: exp.With, tokens: Sequence[Token]) -> _Clause:
    """Where a WITH and its bodies stand: sqlglot tells the places of names alone."""
    if with_.recursive:
        raise _NotPossible
    at = {token.start: place for place, token in enumerate(tokens)}
    first = place = at[_place(with_.expressions[0].args["alias"].this).start] - 1
    bodies = {}
    for cte in with_.expressions:
        place = at[_place(cte.args["alias"].this).start]
        while tokens[place].token_type != TokenType.ALIAS:
            place += 1
        opened = place + 1
        if tokens[opened].token_type != TokenType.L_PAREN:
            raise _NotPossible
        place = _closing(tokens, opened)
        bodies[id(cte)] = _Span(tokens[opened].start, tokens[place].end + 1)
    return _Clause(_Span(tokens[first].start, tokens[place + 1].start), bodies)


def _closing(tokens: Sequence[Token], opened: int) -> int:
    depth = 0
    for place in range(opened, len(tokens)):
        depth += {TokenType.L_PAREN: 1, TokenType.R_PAREN: -1}.get(tokens[place].token_type, 0)
        if depth == 0:
            return place
    raise _NotPossible


def _place(name: exp.Expr) -> _Span:
    if "start" not in name.meta:
        raise _NotPossible
    return _Span(name.meta["start"], name.meta["end"] + 1)


def _written(statement: _Statement, start: int, end: int) -> str:
    """A piece of the statement, without what stands in its WITHs, and with all tables in their places."""
    inside = [clause.span for clause in statement.clauses if start <= clause.span.start and clause.span.end <= end]
    changes = [(span, "") for span in inside if not any(_within(span, other) for other in inside)]
    for table in statement.tree.find_all(exp.Table):
        if not isinstance(table.this, exp.Identifier) or table.args.get("db") or table.find_ancestor(exp.Hint):
            continue
        span = _place(table.this)
        if not (start <= span.start and span.end <= end) or any(_within(span, other) for other in inside):
            continue
        if (source := _source(statement, table)) is None:
            continue
        if {name for name, value in table.args.items() if value} - _PLAIN:
            raise _NotPossible
        alias = table.args.get("alias")
        changes.append((span, source if alias else f"{source} AS {statement.text[slice(*span)]}"))
    written, at = [], start
    for span, text in sorted(changes):
        written += [statement.text[at : span.start], text]
        at = span.end
    text = "".join([*written, statement.text[at:end]])
    if len(text) > LONGEST:
        raise _NotPossible
    return text


def _within(span: _Span, other: _Span) -> bool:
    return span != other and other.start <= span.start and span.end <= other.end


def _source(statement: _Statement, table: exp.Table) -> str | None:
    """What stands for a name: the body of the nearest expression so called, or a table that was given."""
    below: exp.Expr = table
    while (node := below.parent) is not None:
        with_ = node.args.get("with_")
        known = with_.expressions if with_ is not None and below is not with_ else []
        if isinstance(node, exp.With):  # its expressions see those before them
            known = node.expressions[: below.index]
        for cte in reversed(known):
            if cte.alias.casefold() == table.name.casefold():
                return _body(statement, cte)
        below = node
    return statement.tables.get(table.name.casefold())


def _body(statement: _Statement, cte: exp.CTE) -> str:
    if cte.args["alias"].columns:
        raise _NotPossible
    if id(cte) not in statement.bodies:
        span = next(clause.bodies[id(cte)] for clause in statement.clauses if id(cte) in clause.bodies)
        statement.bodies[id(cte)] = _written(statement, *span)
    return statement.bodies[id(cte)]
