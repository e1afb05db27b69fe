"""From which columns of which inputs each column of a statement comes, told from its SQL alone.

`sqlglot` qualifies the names and finds the scopes; a column is then followed from scope to scope, down to the inputs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from sqlglot import exp, parse_one
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, build_scope

Node: TypeAlias = Any  # sqlglot has another name for the class of all expressions from version to version

__all__ = ["Input", "Origin", "Origins", "origins"]

#: How a value gets from an input to the output, the most direct way first. Of the steps of a path the least direct one
#: counts; of several paths the most direct.
WAYS = (
    "IDENTITY", "TRANSFORMATION", "AGGREGATION", "CONDITIONAL", "WINDOW", "FILTER", "JOIN", "GROUP_BY",
)  # fmt: skip
DIRECT = WAYS[:3]
_CLAUSES = {"where": "FILTER", "having": "FILTER", "qualify": "FILTER", "group": "GROUP_BY"}
#: What the engine reads by way of Arrow stands under these names beside the statement that makes rows of it.
_ARROW = re.compile(r"(?:blocks|files)\d+")
#: A list of texts, such as the names of 10 000 files: the first will do. The parser takes 0.4 s for 0.2 MB of them.
_LIST = re.compile(r"\[('(?:[^']|'')*')(?:, '(?:[^']|'')*')+\]")


class Input(NamedTuple):
    """Files that a statement reads, and the columns that they have."""

    name: str
    files: frozenset[str]
    columns: Callable[[], Iterable[str]]
    """Asked for only where the statement reads the files itself, and does not say what is in them."""


class Origin(NamedTuple):
    """A column of an input, and how it counts."""

    input: str
    column: str
    way: str


class Origins(NamedTuple):
    """Where the rows of a statement come from."""

    columns: dict[str, list[Origin]]
    """For each column of the result, folded, those that its values are made of."""
    rows: list[Origin]
    """Those that decide which rows there are: filters, joins, groups."""


_Found = dict[tuple[str, str], int]  # input and column, and the number of the way


def origins(statement: str, inputs: Sequence[Input]) -> Origins | None:
    """The origins of the columns of a statement in DuckDB's dialect; None where they cannot be told."""
    try:
        parsed: Node = parse_one(_LIST.sub(r"[\1]", statement), dialect="duckdb")
        tree = _plain_rows(exp.select("*").from_(parsed.subquery("whole")))  # so that all of it can be replaced
        leaves = _leaves(tree, inputs)
        known: dict[str, object] = {name: dict.fromkeys(leaf.columns, "VARCHAR") for name, leaf in leaves.items()}
        whole = qualify(
            tree, schema=known, dialect="duckdb", validate_qualify_columns=False, quote_identifiers=False,
            allow_partial_qualification=True,
        )  # fmt: skip
        scope: Any = build_scope(whole)
        followed = _Followed(leaves)
        columns = {name.casefold(): _told(followed.column(scope, name)) for name in scope.expression.named_selects}
        return Origins(columns, _told(followed.rows(scope)))
    except Exception:  # what sqlglot makes of SQL that it does not know ends in many ways
        return None


def _told(found: Mapping[tuple[str, str], int]) -> list[Origin]:
    return [Origin(source, column, WAYS[way]) for (source, column), way in sorted(found.items())]


# -- inputs in the statement ------------------------------------------------------------------------------------------


class _Leaf(NamedTuple):
    input: str
    columns: dict[str, str]
    """Folded, and as they are spelled."""


def _leaves(tree: Node, inputs: Sequence[Input]) -> dict[str, _Leaf]:
    """Put a named table in the place of everything that reads an input."""
    leaves: dict[str, _Leaf] = {}

    def leaf(source: Input, columns: Iterable[str]) -> str:
        name = f"input_{len(leaves)}"
        leaves[name] = _Leaf(source.name, {column.casefold(): column for column in columns})
        return name

    rest = {source.name: source for source in inputs}
    for table in list(tree.find_all(exp.Table)):
        if isinstance(table.this, exp.Func) and (source := _read_by(table.this, inputs)):
            rest.pop(source.name, None)
            columns = _typed(table.this) or source.columns()
            table.set("this", exp.to_identifier(leaf(source, columns)))
    for read in list(_through_arrow(tree)):
        if len(rest) == 1:  # of several, the statement does not say which is which
            (source,) = rest.values()
            table = exp.to_table(leaf(source, _names(read)))
            read.replace(exp.select("*").from_(table))
    return leaves


def _read_by(function: Node, inputs: Sequence[Input]) -> Input | None:
    said = {literal.this for literal in function.find_all(exp.Literal) if literal.is_string}
    return next((source for source in inputs if said & source.files), None)


def _typed(function: Node) -> list[str]:
    """The columns that a reader of text is told."""
    for option in function.find_all(exp.EQ, exp.PropertyEQ):
        if option.this.name == "columns" and isinstance(option.expression, exp.Struct):
            return [part.this.name for part in option.expression.expressions]
    return []


def _through_arrow(tree: Node) -> Iterator[Node]:
    """The statements that make rows of Arrow data."""
    for with_ in list(tree.find_all(exp.With)):
        arrow = [cte for cte in with_.expressions if _ARROW.fullmatch(cte.alias)]
        if arrow and with_.parent is not None:
            yield with_.parent


def _plain_rows(tree: Node) -> Node:
    """Say of rows that travel as one value, and are taken apart again, that all their columns are selected."""
    for select in list(tree.find_all(exp.Select)):
        below = _below(select)
        apart = select.expressions[0] if len(select.expressions) == 1 else None
        if not isinstance(below, exp.Select) or not isinstance(apart, (exp.Explode, exp.Unnest)):
            continue
        packed = next((packed for packed in below.expressions if packed.alias == apart.this.name), exp.null())
        rows = {table.alias_or_name for table in below.find_all(exp.Table)}
        if any(column.name in rows for column in packed.find_all(exp.Column)):
            select.set("expressions", [exp.Star()])
            below.set("expressions", [exp.Star()])
            below.set("group", None)
    return tree


def _below(select: Node) -> Any:
    """What a SELECT selects from, if that is another query."""
    source = select.args.get("from_") or select.args.get("from")
    return source.this.this if isinstance(source, exp.From) and isinstance(source.this, exp.Subquery) else None


def _names(select: Node) -> list[str]:
    """The columns of a SELECT; those of the one below where it takes all."""
    while select.is_star and (below := _below(select)):
        select = below
    return [name for name in select.named_selects if name != "*"]


# -- following a column -----------------------------------------------------------------------------------------------


class _Followed:
    """What is known of the columns of each scope."""

    def __init__(self, leaves: Mapping[str, _Leaf]) -> None:
        self.leaves = leaves
        self.known: dict[tuple[int, str], _Found] = {}

    def column(self, scope: Any, name: str) -> _Found:
        """Where a column of a scope's result comes from."""
        key = (id(scope), name)
        if key not in self.known:
            self.known[key] = {}  # a recursive one asks for itself
            self.known[key] = self._column(scope, name)
        return self.known[key]

    def _column(self, scope: Any, name: str) -> _Found:
        select = scope.expression
        if isinstance(select, exp.SetOperation):
            return self._either(scope, select, name)
        if not isinstance(select, exp.Query):  # UNNEST and the like
            return self._used(scope, select, 1)
        for projection in select.selects:
            if projection.alias_or_name.casefold() == name.casefold():
                return self._used(scope, projection, _way(projection))
        return {}

    def _either(self, scope: Any, both: Node, name: str) -> _Found:
        left, right = getattr(scope, "set_operation_scopes", None) or scope.union_scopes  # as it was called before
        there = [one.casefold() for one in left.expression.named_selects]
        names = right.expression.named_selects
        place = there.index(name.casefold()) if name.casefold() in there else -1
        other = name if both.args.get("by_name") else names[place] if 0 <= place < len(names) else name
        return _nearest([self.column(left, name), self.column(right, other)])

    def _used(self, scope: Any, expression: Node, way: int) -> _Found:
        """Where the columns within an expression come from."""
        found = [_after(way, below) for below in self._subqueries(scope, expression)]
        for column in expression.find_all(exp.Column):
            farther = max(way, _within(column, expression))
            found.append(_after(farther, self._source(scope.sources.get(column.table), column.name)))
        return _nearest(found)

    def _subqueries(self, scope: Any, expression: Node) -> Iterator[_Found]:
        inside = {id(node) for node in expression.find_all(exp.Query)}
        for below in scope.subquery_scopes:
            if id(below.expression) in inside:
                yield from (self.column(below, name) for name in below.expression.named_selects)

    def _source(self, source: Any, name: str) -> _Found:
        if isinstance(source, Scope):
            return self.column(source, name)
        leaf = self.leaves.get(source.name) if isinstance(source, exp.Table) else None
        spelled = leaf.columns.get(name.casefold()) if leaf else None
        return {(leaf.input, spelled): 0} if leaf and spelled else {}

    def rows(self, scope: Any) -> _Found:
        """The columns that decide which rows there are, in all scopes."""
        found = []
        for one in scope.traverse():
            if not isinstance(one.expression, exp.Select):
                continue
            for clause, way in _CLAUSES.items():
                if part := one.expression.args.get(clause):
                    found.append(self._used(one, part, WAYS.index(way)))
            for join in one.expression.args.get("joins") or ():
                if condition := join.args.get("on"):
                    found.append(self._used(one, condition, WAYS.index("JOIN")))
        return _nearest(found)


def _way(projection: Node) -> int:
    """How a projection takes its columns."""
    value = projection.unalias()
    if isinstance(value, exp.Column):
        return 0
    summed = any(not isinstance(part.parent, exp.Window) for part in value.find_all(exp.AggFunc))
    return 2 if summed else 1


def _within(column: Node, top: Node) -> int:
    """Whether a column is only asked about: in a condition, or in the order of a window."""
    node = column
    while node is not top and node.parent is not None:
        above = node.parent
        if isinstance(above, exp.Window) and node.arg_key != "this":
            return WAYS.index("WINDOW")
        if isinstance(above, exp.If) and node.arg_key == "this":
            return WAYS.index("CONDITIONAL")
        node = above
    return 0


def _after(way: int, found: _Found) -> _Found:
    return {key: max(way, before) for key, before in found.items()}


def _nearest(found: Sequence[_Found]) -> _Found:
    nearest: _Found = {}
    for one in found:
        for key, way in one.items():
            nearest[key] = min(way, nearest.get(key, way))
    return nearest
