"""Tables as trees of a few operators, with the columns of Spark's plans: each is one of its own, as `user_id#12`.

Expressions are sqlglot's, over such columns, and mean what Spark means. `queries` reads a tree from SQL, `optimise` and
`exchanges` do with it what Spark would, and `forecast` asks samples of the files what goes through it.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, TypeAlias

from sqlglot import exp

__all__ = [
    "Aggregate",
    "Columns",
    "Exchange",
    "Explode",
    "Filter",
    "How",
    "Inner",
    "Join",
    "Label",
    "Limit",
    "Node",
    "Project",
    "Scan",
    "Shuffle",
    "Sort",
    "Union",
    "Values",
    "Window",
    "attribute",
    "both",
    "column",
    "conjuncts",
    "display",
    "fresh",
    "labelled",
    "references",
    "rewritten",
    "substituted",
    "walk",
]

#: Columns and their types, in DuckDB's names; "?" where the type is not known.
Columns: TypeAlias = dict[str, str]
How = Literal["inner", "left", "right", "full", "semi", "anti", "cross"]

_numbers = itertools.count(1)


class Label(NamedTuple):
    """The user's call that an operator comes from."""

    name: str
    """Of the function."""
    place: str
    """File and line."""
    step: str = ""
    """Of a job."""


class Scan(NamedTuple):
    """What is read: some columns of a source (see `sources`), each under a name of its own."""

    source: Any
    names: dict[str, str]
    """The source's name of each column."""
    columns: Columns
    label: Label | None = None

    @property
    def children(self) -> tuple[Node, ...]:
        return ()


class Values(NamedTuple):
    """Rows that stand in the query itself, or that it counts."""

    text: str
    """How DuckDB makes them."""
    rows: int | None
    columns: Columns

    @property
    def children(self) -> tuple[Node, ...]:
        return ()


class Inner(NamedTuple):
    """A query within a condition."""

    kind: Literal["value", "exists", "in"]
    node: Any
    conditions: tuple[exp.Expr, ...]
    """What its rows and those outside of it have in common."""


class Filter(NamedTuple):
    """Rows for which all conditions are true."""

    child: Any
    conditions: tuple[exp.Expr, ...]
    beside: Mapping[str, Inner] = MappingProxyType({})
    """The queries within the conditions, under the columns that stand for them there."""
    label: Label | None = None

    @property
    def columns(self) -> Columns:
        found: Columns = self.child.columns
        return found

    @property
    def children(self) -> tuple[Node, ...]:
        return (self.child,)


class Project(NamedTuple):
    """Columns computed from each row."""

    child: Any
    made: dict[str, exp.Expr]
    columns: Columns

    @property
    def children(self) -> tuple[Node, ...]:
        return (self.child,)


class Explode(NamedTuple):
    """A row for each element of a list in the row."""

    child: Any
    generator: exp.Expr
    made: tuple[str, ...]
    """What the element, or the fields of it, are called."""
    columns: Columns
    label: Label | None = None

    @property
    def children(self) -> tuple[Node, ...]:
        return (self.child,)


class Aggregate(NamedTuple):
    """A row a group; without aggregates, the distinct rows."""

    child: Any
    keys: dict[str, exp.Expr]
    made: dict[str, exp.Expr]
    columns: Columns
    label: Label | None = None

    @property
    def children(self) -> tuple[Node, ...]:
        return (self.child,)


class Window(NamedTuple):
    """Columns computed from the rows around each row."""

    child: Any
    by: tuple[exp.Expr, ...]
    made: dict[str, exp.Expr]
    columns: Columns
    first: int | None = None
    """Only so many first rows of each group are wanted, as a filter on `row_number` says."""
    label: Label | None = None

    @property
    def children(self) -> tuple[Node, ...]:
        return (self.child,)


class Join(NamedTuple):
    """Rows of two tables that fulfil the conditions."""

    left: Any
    right: Any
    how: How
    conditions: tuple[exp.Expr, ...]
    hint: str = ""
    """broadcast left, broadcast right, or merge."""
    aware: bool = False
    """Whether a null on the right makes that nothing is kept: NOT IN."""
    label: Label | None = None

    @property
    def columns(self) -> Columns:
        if self.how in ("semi", "anti"):
            return dict(self.left.columns)
        return {**self.left.columns, **self.right.columns}

    @property
    def children(self) -> tuple[Node, ...]:
        return (self.left, self.right)


class Sort(NamedTuple):
    """Rows in order; within each partition only, unless `everywhere`."""

    child: Any
    order: tuple[exp.Expr, ...]
    everywhere: bool = True
    label: Label | None = None

    @property
    def columns(self) -> Columns:
        found: Columns = self.child.columns
        return found

    @property
    def children(self) -> tuple[Node, ...]:
        return (self.child,)


class Limit(NamedTuple):
    """The first rows."""

    child: Any
    n: int
    label: Label | None = None

    @property
    def columns(self) -> Columns:
        found: Columns = self.child.columns
        return found

    @property
    def children(self) -> tuple[Node, ...]:
        return (self.child,)


class Union(NamedTuple):
    """The rows of several tables that have the same columns."""

    branches: tuple[Any, ...]
    label: Label | None = None

    @property
    def columns(self) -> Columns:
        found: Columns = self.branches[0].columns
        return found

    @property
    def children(self) -> tuple[Node, ...]:
        return self.branches


class Shuffle(NamedTuple):
    """Rows brought together by keys because the query says so; without keys, spread evenly."""

    child: Any
    keys: tuple[exp.Expr, ...]
    label: Label | None = None

    @property
    def columns(self) -> Columns:
        found: Columns = self.child.columns
        return found

    @property
    def children(self) -> tuple[Node, ...]:
        return (self.child,)


class Exchange(NamedTuple):
    """Where rows cross to where they meet. To what stands above, it hands the same rows."""

    child: Any
    kind: Literal["hash", "range", "single", "broadcast", "spread"]
    keys: tuple[exp.Expr, ...] = ()
    why: Any = None
    """The operator that needs it."""
    combined: tuple[Any, ...] = ()
    """Operators that leave less of each partition before it moves: a partial Aggregate, the first rows of a Window."""
    reused: bool = False
    """Whether the same rows have crossed before, for another operator."""

    @property
    def columns(self) -> Columns:
        found: Columns = self.child.columns
        return found

    @property
    def children(self) -> tuple[Node, ...]:
        return (self.child,)


Node: TypeAlias = (
    Scan | Values | Filter | Project | Explode | Aggregate | Window | Join | Sort | Limit | Union | Shuffle | Exchange
)


# -- columns ----------------------------------------------------------------------------------------------------------


def attribute(name: str) -> str:
    """A column of its own, called like others may be.

    >>> re.sub("[0-9]+", "…", attribute("user_id"))
    'user_id#…'
    """
    return f"{display(name)}#{next(_numbers)}"


def display(name: str) -> str:
    """What a person calls a column.

    >>> display("user_id#12"), display("a#b")
    ('user_id', 'a#b')
    """
    return re.sub(r"#\d+$", "", name)


def column(name: str) -> exp.Column:
    """A column as an expression."""
    return exp.Column(this=exp.to_identifier(name, quoted=True))


def references(*expressions: exp.Expr) -> set[str]:
    """The columns that expressions read."""
    return {
        found.name
        for expression in expressions
        for found in expression.find_all(exp.Column)
        if "#" in found.name  # a name that a lambda binds is no column
    }


def substituted(expression: exp.Expr, values: Mapping[str, exp.Expr]) -> exp.Expr:
    """An expression with other ones in place of columns."""

    def value(node: exp.Expr) -> exp.Expr:
        return values[node.name].copy() if isinstance(node, exp.Column) and node.name in values else node

    return expression.copy().transform(value, copy=False)


def conjuncts(condition: exp.Expr | None) -> list[exp.Expr]:
    """The conditions that all have to hold; what each branch of an OR has is one of them.

    >>> import sqlglot
    >>> [each.sql() for each in conjuncts(sqlglot.parse_one("a = 1 AND ((b = 2 AND c = 3) OR (d = 4 AND b = 2))"))]
    ['a = 1', 'b = 2', '(c = 3 OR d = 4)']
    """
    if condition is None:
        return []
    bare = condition.unnest()
    if isinstance(bare, exp.And):
        return [part for side in (bare.left, bare.right) for part in conjuncts(side)]
    if isinstance(bare, exp.Or):
        branches = [conjuncts(branch) for branch in bare.flatten()]
        shared = [part for part in branches[0] if all(part in branch for branch in branches[1:])]
        if shared:
            rest = [[part for part in branch if part not in shared] for branch in branches]
            if not all(rest):
                return shared
            return [*shared, exp.paren(exp.or_(*(exp.and_(*branch) for branch in rest)), copy=False)]
    return [bare]


def both(join: Join) -> list[tuple[exp.Expr, exp.Expr]]:
    """The pairs of expressions, one of each side, that have to be equal."""
    found = []
    for condition in join.conditions:
        if not isinstance(condition, (exp.EQ, exp.NullSafeEQ)):
            continue
        one, other = condition.left.unnest(), condition.right.unnest()
        for ours, theirs in ((one, other), (other, one)):
            reads_ours, reads_theirs = references(ours), references(theirs)
            if reads_ours and reads_theirs and reads_ours <= set(join.left.columns):
                if reads_theirs <= set(join.right.columns):
                    found.append((ours, theirs))
                break
    return found


# -- trees ------------------------------------------------------------------------------------------------------------


def walk(node: Node) -> Iterator[Node]:
    """All below and the node itself, in the order of the work."""
    for child in node.children:
        yield from walk(child)
    if isinstance(node, Filter):
        for inner in node.beside.values():
            yield from walk(inner.node)
    yield node


def rewritten(node: Node, change: Callable[[Node], Node]) -> Node:
    """The tree with each node changed, those below it first."""
    return change(with_children(node, [rewritten(child, change) for child in node.children]))


def with_children(node: Node, children: Iterable[Node]) -> Node:
    """The same operator over others."""
    below = list(children)
    if isinstance(node, (Scan, Values)):
        return node
    if isinstance(node, Join):
        return node._replace(left=below[0], right=below[1])
    if isinstance(node, Union):
        return node._replace(branches=tuple(below))
    return node._replace(child=below[0])


def labelled(node: Node, label: Label) -> Node:
    """The tree with a label on the operators that have none."""
    if getattr(node, "label", None) is not None:
        return node  # and so has all below it
    found = with_children(node, [labelled(child, label) for child in node.children])
    if isinstance(found, Filter) and found.beside:
        inners = {name: each._replace(node=labelled(each.node, label)) for name, each in found.beside.items()}
        found = found._replace(beside=inners)
    return found._replace(label=label) if "label" in found._fields else found


def fresh(node: Node) -> tuple[Node, dict[str, str]]:
    """The same tree with columns of its own, and what the old ones are called now: a table may be used twice."""
    names: dict[str, str] = {}
    for each in walk(node):
        for name in each.columns:
            names.setdefault(name, attribute(name))
    columns = {old: column(new) for old, new in names.items()}

    def renamed(value: Any) -> Any:
        if isinstance(value, exp.Expr):
            return substituted(value, columns)
        if isinstance(value, (Scan, Values)):
            return value._replace(columns=renamed(value.columns), **_names_of(value, names))
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return type(value)(*map(renamed, value))
        if isinstance(value, tuple):
            return tuple(map(renamed, value))
        if isinstance(value, Mapping):
            return {names.get(name, name): renamed(each) for name, each in value.items()}
        return names.get(value, value) if isinstance(value, str) else value

    found: Node = renamed(node)
    return found, names


def _names_of(node: Scan | Values, names: Mapping[str, str]) -> dict[str, Any]:
    return {"names": {names[new]: old for new, old in node.names.items()}} if isinstance(node, Scan) else {}
