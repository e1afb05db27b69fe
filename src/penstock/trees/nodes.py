"""The operators that tables are trees of. Columns are as those of Spark's plans: each of its own, `user_id#12`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, TypeAlias

from sqlglot import exp

from penstock.trees.columns import Columns

__all__ = [
    "Aggregate",
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
]

How = Literal["inner", "left", "right", "full", "semi", "anti", "existence", "cross"]


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
    """A query within an expression."""

    kind: Literal["value", "exists", "in"]
    node: Any
    conditions: tuple[exp.Expr, ...]
    """What its rows and those outside of it have in common."""
    values: int = 0
    """Of IN: how many of the conditions, from the first, compare its values."""
    reused: bool = False
    """Whether an equal one is asked elsewhere, so that this one is not."""


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
    beside: Mapping[str, Inner] = MappingProxyType({})
    """The queries within what is computed, under the columns that stand for them there."""

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
    found: str = ""
    """Of an existence join: the column that tells whether a row of the left meets one of the right."""

    @property
    def columns(self) -> Columns:
        if self.how in ("semi", "anti"):
            return dict(self.left.columns)
        if self.how == "existence":
            return {**self.left.columns, self.found: "BOOLEAN"}
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
