"""The rows that cross at an exchange: one task's as SQL, each with its reducer's hash and its place, and how many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlglot import exp

from penstock import sql
from penstock.engines.asking import ask
from penstock.figures import Figure
from penstock.forecasts.flow import PLACE, TASK, Flow
from penstock.forecasts.flows import Flows
from penstock.trees.aggregating import buffers, distinct_sets
from penstock.trees.registers import MARK
from penstock.trees.spelled import spelled, types_of
from penstock.trees.tree import Aggregate, Exchange, Join, Limit, Window, references

__all__ = ["Rows", "hashed", "ordered", "rows_of"]

#: The sides whose rows a join keeps also where they meet nothing: their null keys cross.
_KEEPS: Mapping[str, tuple[str, ...]] = {
    "inner": (), "semi": (), "left": ("left",), "right": ("right",), "full": ("left", "right"), "anti": ("left",),
}  # fmt: skip


#: Rows whose lists are laid out: each element is, one by one.
LISTED = 30_000


class Rows(NamedTuple):
    """What crosses."""

    text: str | None
    """A SELECT of the columns that cross, `h` and `place`; None where a buffer of an aggregate is not known."""
    flow: Flow
    """What it is over: a larger sample, where keys are many."""
    total: Figure
    nested: bool = False
    """Whether there are lists or structs in them."""
    here: int | None = None
    """How many of them the text has, where that is known."""
    listed: int = 0
    """Where lists are made: of how many rows those of the text are."""


def rows_of(flows: Flows, exchange: Exchange) -> Rows | None:
    """The rows that cross; None where nothing is known of what is below."""
    flow = flows.of(exchange.child)
    if flow is None:
        return None
    if not exchange.combined:
        return _as_they_are(exchange, flow)
    [combiner] = exchange.combined
    if isinstance(combiner, Aggregate):
        return _groups(flows, exchange, flow, combiner)
    return _first(exchange, flow, combiner) if isinstance(combiner, Limit) else _ranked(flows, exchange, flow, combiner)


def _as_they_are(exchange: Exchange, flow: Flow) -> Rows:
    text = f"SELECT {_columns(exchange)}, {hashed(exchange)} AS h, {PLACE} AS place FROM ({flow.text}){_one_task(flow)}"
    join = exchange.why
    if isinstance(join, Join) and exchange.kind == "hash":
        side = "left" if references(*exchange.keys) <= set(join.left.columns) else "right"
        if side not in _KEEPS.get(join.how, ("left", "right")):
            whole = " AND ".join(f"({spelled(key)}) IS NOT NULL" for key in exchange.keys)
            text += f"{' AND' if ' WHERE ' in _one_task(flow) else ' WHERE'} {whole}"
    return Rows(text, flow, flow.total, _is_nested(exchange))


def _first(exchange: Exchange, flow: Flow, limit: Limit) -> Rows:
    """The first rows of each task."""
    rows = f"SELECT * FROM ({flow.text}){_one_task(flow)}{ordered(getattr(limit.child, 'order', ()))} LIMIT {limit.n}"
    most = Figure(limit.n, flow.tasks * limit.n, flow.tasks * limit.n, "model")
    text = f"SELECT {_columns(exchange)}, 0 AS h, {PLACE} AS place FROM ({rows})"
    return Rows(text, flow, _least(flow.total, most), _is_nested(exchange))


def _ranked(flows: Flows, exchange: Exchange, flow: Flow, window: Window) -> Rows:
    """The first rows of each group in each task (WindowGroupLimit)."""
    rank = next(iter(window.made.values())).copy()
    rank.set("this", exp.RowNumber())
    text = (
        f"SELECT {_columns(exchange)}, {hashed(exchange)} AS h, {PLACE} AS place FROM ({flow.text}){_one_task(flow)} "
        f"QUALIFY {spelled(rank)} <= {window.first}"
    )
    groups = flows.distinct(exchange.child, exchange.keys).in_tasks
    return Rows(text, flow, _least(flow.total, groups.times(window.first or 1, "sample")), _is_nested(exchange))


def _groups(flows: Flows, exchange: Exchange, flow: Flow, node: Aggregate) -> Rows:
    """The groups of each task, with what is kept of their aggregates."""
    found = flows.distinct(exchange.child, exchange.keys)
    flow = found.flow or flow
    sets = distinct_sets(node)
    first = bool(sets) and len(exchange.keys) > len(node.keys)  # one row a group and distinct value
    keys = exchange.keys if first else tuple(node.keys.values())
    columns = [f"{spelled(key)} AS k{i}" for i, key in enumerate(keys)]
    filtered = [each for each in node.made.values() if each.find(exp.Filter)]
    if first and (len(sets) > 1 or filtered):  # Expand: which set a row is of, and what each FILTER said
        columns += ["1::INTEGER AS gid", *(f"true AS f{i}" for i, _ in enumerate(filtered))]
    kinds = _kinds(node, exchange)
    for aggregate in node.made.values():
        if first and aggregate.find(exp.Distinct):
            continue
        buffer = buffers(aggregate, spelled, lambda each: kinds.get(each, "?"))
        if buffer is None:
            return Rows(None, flow, found.in_tasks)
        kind = MARK if aggregate.find(exp.ApproxDistinct) else "b"
        columns += [f"{each} AS {kind}{len(columns)}_{i}" for i, each in enumerate(buffer)]
    named = ", ".join(spelled(key) for key in exchange.keys)
    # Groups leave a task in the order in which they began there, or sorted.
    sorts = _sorts(node, kinds)
    place = (f"row({named})" if named else "0") if sorts else f"min({PLACE})"
    grouping = f" GROUP BY {named}" if named else ""
    below = f"FROM ({flow.text}){_one_task(flow)}"
    lists = any("list(" in each for each in columns)
    listed = 0
    if lists and named:
        below, listed = _whole_groups(below, named, flow)
    text = f"SELECT {', '.join(columns)}, {hashed(exchange)} AS h, {place} AS place {below}{grouping}"
    if lists:
        return Rows(text, flow, found.in_tasks, True, listed=listed)
    return Rows(text, flow, found.in_tasks, any("_by(" in each for each in columns), found.here or None)


def _whole_groups(below: str, keys: str, flow: Flow) -> tuple[str, int]:
    """All rows of some groups, so that lists are as long as they are; and how many rows that are."""
    many = max(1, flow.first_run // LISTED)
    whole = f"SELECT * FROM (SELECT * {below}) WHERE hash({keys}) % {many} = 0 LIMIT {4 * LISTED}"
    for some in (whole, f"SELECT * {below} LIMIT {LISTED}"):
        [count] = ask(f"SELECT count(*) AS n FROM ({some})")["n"].to_pylist()
        if count >= LISTED // 4:
            break
    return f"FROM ({some})", count


_EXTREMES = (exp.Min, exp.Max, exp.AnyValue, exp.First, exp.Last)


def _kinds(node: Aggregate, exchange: Exchange) -> dict[exp.Expr, str]:
    """The types of what is summed, or one of which is kept: buffers hang on them."""
    found = (each.this for made in node.made.values() for each in made.find_all(exp.Sum, *_EXTREMES))
    values = list(dict.fromkeys(each for each in found if isinstance(each, exp.Expr)))
    types = types_of({str(i): each for i, each in enumerate(values)}, exchange.columns)
    return dict(zip(values, types.values(), strict=True))


def _sorts(node: Aggregate, kinds: Mapping[exp.Expr, str]) -> bool:
    """Whether Spark sorts the rows of a task to group them (SortAggregate), for a buffer has no fixed size."""
    kept = [each for made in node.made.values() for each in made.find_all(exp.ArgMin, exp.ArgMax, *_EXTREMES)]
    return any(
        isinstance(each, (exp.ArgMin, exp.ArgMax)) or kinds.get(each.this, "").startswith(("VARCHAR", "BLOB", "STRUCT"))
        for each in kept
    )


# -- texts ------------------------------------------------------------------------------------------------------------


def _columns(exchange: Exchange) -> str:
    return ", ".join(sql.quote(name) for name in exchange.columns) or "1 AS one"


def _one_task(flow: Flow) -> str:
    """The long run stands for a task; of tables that are there whole, all rows do."""
    return f" WHERE {TASK} = 0" if flow.runs and not flow.whole else ""


def hashed(exchange: Exchange) -> str:
    """What says to which reducer a row goes."""
    if exchange.kind == "spread":
        return f"hash({PLACE})"
    if exchange.kind != "hash" or not exchange.keys:
        return "0"
    return f"hash({', '.join(spelled(key) for key in exchange.keys)})"


def ordered(order: Sequence[exp.Expr]) -> str:
    """An ORDER BY of terms, or nothing."""
    return f" ORDER BY {', '.join(spelled(term) for term in order)}" if order else ""


def _is_nested(exchange: Exchange) -> bool:
    return any("STRUCT" in kind or kind.endswith("]") for kind in exchange.columns.values())


def _least(one: Figure, other: Figure) -> Figure:
    low, mid, high = (None if a is None or b is None else min(a, b) for a, b in zip(one[:3], other[:3], strict=True))
    return Figure(low, mid, high, "sample" if "sample" in (one.basis, other.basis) else one.basis)
