"""Expressions over the columns of trees: sqlglot's, meaning what Spark means, and never changed in place."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from typing import TypeAlias

from sqlglot import exp

__all__ = [
    "Columns",
    "attribute",
    "column",
    "conjuncts",
    "display",
    "fields_of",
    "references",
    "substituted",
    "uncertain",
]

#: Columns and their types, in DuckDB's names; "?" where the type is not known.
Columns: TypeAlias = dict[str, str]

_numbers = itertools.count(1)


def attribute(name: str) -> str:
    """A column of its own, called like others may be.

    >>> attribute("user_id").partition("#")[:2]
    ('user_id', '#')
    """
    return f"{display(name)}#{next(_numbers)}"


def display(name: str) -> str:
    """What a person calls a column.

    >>> display("user_id#12"), display("a#b")
    ('user_id', 'a#b')
    """
    called, sign, number = name.rpartition("#")
    return called if sign and number.isdigit() else name


def column(name: str) -> exp.Column:
    """A column as an expression."""
    return exp.Column(this=exp.Identifier(this=name, quoted=True))


def references(*expressions: exp.Expr) -> set[str]:
    """The columns that expressions read."""
    names = (part.name for part in _parts(*expressions) if isinstance(part, exp.Column))
    return {name for name in names if "#" in name}  # a name that a lambda binds is no column


def substituted(expression: exp.Expr, values: Mapping[str, exp.Expr]) -> exp.Expr:
    """An expression with other ones in place of columns."""
    if not references(expression) & values.keys():
        return expression

    def value(node: exp.Expr) -> exp.Expr:
        return values[node.name].copy() if isinstance(node, exp.Column) and node.name in values else node

    return expression.copy().transform(value, copy=False)


def uncertain(expression: exp.Expr) -> bool:
    """Whether an expression may have another value each time it is asked."""
    return any(
        isinstance(part, _BY_CHANCE) or (isinstance(part, exp.Anonymous) and part.name.lower() in _BY_CHANCE_TOO)
        for part in _parts(expression)
    )


_BY_CHANCE = (exp.Rand, exp.Randn, exp.Uuid)
_BY_CHANCE_TOO = frozenset(("monotonically_increasing_id", "shuffle", "spark_partition_id"))


def _parts(*expressions: exp.Expr) -> Iterator[exp.Expr]:
    """All that stands in expressions, columns as one."""
    waiting = list(expressions)
    while waiting:
        part = waiting.pop()
        yield part
        if isinstance(part, exp.Column):
            continue
        for value in part.args.values():
            if isinstance(value, exp.Expr):
                waiting.append(value)
            elif isinstance(value, list):
                waiting += [each for each in value if isinstance(each, exp.Expr)]


def conjuncts(condition: exp.Expr | None) -> list[exp.Expr]:
    """The conditions that all have to hold; what each branch of an OR has is one of them (BooleanSimplification).

    >>> import sqlglot
    >>> [each.sql() for each in conjuncts(sqlglot.parse_one("a = 1 AND ((b = 2 AND c = 3) OR (d = 4 AND b = 2))"))]
    ['a = 1', 'b = 2', '(c = 3 OR d = 4)']
    >>> [each.sql() for each in conjuncts(sqlglot.parse_one("NOT (a = 1 OR NOT b = 2)"))]
    ['NOT a = 1', 'b = 2']
    """
    if condition is None:
        return []
    bare = condition.unnest()
    if isinstance(bare, exp.And):
        return [part for side in (bare.left, bare.right) for part in conjuncts(side)]
    if isinstance(bare, exp.Not):
        denied = bare.this.unnest()
        if isinstance(denied, exp.Not):
            return conjuncts(denied.this)
        if isinstance(denied, exp.Or):
            return [part for side in (denied.left, denied.right) for part in conjuncts(exp.not_(side))]
    if isinstance(bare, exp.Or):
        branches = [conjuncts(branch) for branch in bare.flatten()]
        shared = [part for part in branches[0] if all(part in branch for branch in branches[1:])]
        if shared:
            rest = [[part for part in branch if part not in shared] for branch in branches]
            if not all(rest):
                return shared
            return [*shared, exp.paren(exp.or_(*(exp.and_(*branch) for branch in rest)), copy=False)]
    same = isinstance(bare, exp.EQ) and isinstance(bare.left, exp.Literal) and bare.left == bare.right
    return [] if same or bare == exp.true() else [bare]


# -- types ------------------------------------------------------------------------------------------------------------


def fields_of(kind: str) -> dict[str, str]:
    """The fields of a struct with their types, or of a map `key` and `value`; none of another type.

    >>> fields_of('STRUCT("user, id" BIGINT, at STRUCT(d DATE, n INTEGER)[])')
    {'user, id': 'BIGINT', 'at': 'STRUCT(d DATE, n INTEGER)[]'}
    >>> fields_of("MAP(VARCHAR, DECIMAL(9,2))")
    {'key': 'VARCHAR', 'value': 'DECIMAL(9,2)'}
    """
    name, _, rest = kind.partition("(")
    if name not in ("STRUCT", "MAP") or not rest.endswith(")"):
        return {}
    parts = list(_parts_of_type(rest[:-1]))
    if name == "MAP":
        return dict(zip(("key", "value"), parts, strict=True))
    fields = (re.fullmatch(r'(?:"((?:[^"]|"")*)"|(\S+)) (.*)', part, re.DOTALL) for part in parts)
    return {each[2] or each[1].replace('""', '"'): each[3] for each in fields if each}


def _parts_of_type(text: str) -> Iterator[str]:
    """What stands between the commas that are in no brackets and no quotes."""
    part, depth, quoted = "", 0, False
    for letter in text:
        quoted ^= letter == '"'
        depth += 0 if quoted else (letter == "(") - (letter == ")")
        if letter == "," and not depth and not quoted:
            yield part.strip()
            part = ""
        else:
            part += letter
    yield part.strip()
