"""What crosses at each exchange of a tree: rows, bytes as Spark writes them, and what the largest task gets.

The rows of one map task are combined, laid out and compressed as Spark would, each reducer's by themselves; then scaled to
all tasks. What is compared with what was measured is Spark's "shuffle bytes written".
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import sqlglot
from sqlglot import exp

from penstock import sql
from penstock.errors import PenstockError
from penstock.plans.aggregating import buffers, distinct_sets
from penstock.plans.cluster import Cluster
from penstock.plans.figures import NOTHING, UNKNOWN, Figure
from penstock.plans.flows import Flow, Flows
from penstock.plans.sampled import ROW, RUN
from penstock.plans.serialised import compressed, headers, laid_out
from penstock.plans.spelled import spelled, types_of
from penstock.plans.tree import Aggregate, Exchange, Join, Limit, Node, references

__all__ = ["Crossing", "Forecast"]

#: The rows that are laid out and compressed; fewer where there are lists and structs in them.
LAID_OUT, NESTED = 12_000, 1_500
#: Rows that are written as Parquet to see how large they are.
WRITTEN = 50_000
#: Rows of a stream that are fewer compress worse.
SHORTEST = 150


class Crossing(NamedTuple):
    """What crosses at an exchange."""

    rows: Figure
    bytes: Figure
    largest: Figure
    """Of what one task receives, in bytes."""


class Forecast:
    """The crossings of a tree, each looked at once."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.flows = Flows(cluster, lambda exchange: self.crossing(exchange).bytes)
        self._known: dict[int, tuple[Exchange, Crossing]] = {}

    def crossing(self, exchange: Exchange) -> Crossing:
        """What crosses at an exchange."""
        if id(exchange) not in self._known:
            self._known[id(exchange)] = (exchange, _crossing(self.flows, exchange))
        return self._known[id(exchange)][1]

    def written(self, node: Node) -> Figure:
        """What the rows of a node take as Parquet, measured on some of them."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        flow = self.flows.of(node)
        if flow is None or not flow.taken:
            return UNKNOWN if flow is None else NOTHING
        columns = ", ".join(sql.quote(name) for name in node.columns)
        rows = self.flows.query(f"SELECT {columns} FROM ({flow.text}) LIMIT {WRITTEN}", flow)
        into = pa.BufferOutputStream()
        pq.write_table(rows, into, compression="zstd")
        return flow.total.times(into.tell() / max(1, rows.num_rows), "sample")


def _crossing(flows: Flows, exchange: Exchange) -> Crossing:
    if exchange.reused:
        return Crossing(NOTHING, NOTHING, NOTHING)
    flow = flows.of(exchange.child)
    if flow is None:
        return Crossing(UNKNOWN, UNKNOWN, UNKNOWN)
    try:
        if exchange.combined and isinstance(exchange.combined[0], Aggregate):
            flow = flows.distinct(exchange.child, exchange.keys).flow or flow  # the larger sample, where keys are many
        text, rows = _crossing_rows(flows, exchange, flow)
        if text is None:
            return Crossing(rows, UNKNOWN, UNKNOWN)
        width = _bytes_a_row(flows, exchange, flow, text, rows)
    except (PenstockError, sqlglot.errors.SqlglotError):
        return Crossing(flow.total if not exchange.combined else UNKNOWN, UNKNOWN, UNKNOWN)
    # Bytes are never exact: they hang on how well rows compress.
    moved = rows.times(width, "sample")
    return Crossing(rows, moved, moved.times(1 / _reducers(flows, exchange)))


# -- rows -------------------------------------------------------------------------------------------------------------


def _crossing_rows(flows: Flows, exchange: Exchange, flow: Flow) -> tuple[str | None, Figure]:
    """A SELECT of the rows that cross, in the order in which a task sends them, and how many there are."""
    columns = ", ".join(sql.quote(name) for name in exchange.columns) or "1 AS one"
    plain = f"SELECT {columns}, {_key(exchange)} AS h, {_ROW} AS place FROM ({flow.text}){_one_run(flow)}"
    if not exchange.combined:
        if isinstance(exchange.why, Join) and exchange.kind == "hash" and _drops_nulls(exchange):
            whole = " AND ".join(f"({spelled(key)}) IS NOT NULL" for key in exchange.keys)
            return f"SELECT * FROM ({plain}) WHERE {whole}", flow.total
        return plain, flow.total
    [combiner] = exchange.combined
    if isinstance(combiner, Aggregate):
        return _combined(flows, exchange, flow, combiner)
    if isinstance(combiner, Limit):
        most = _times(flow.tasks, combiner.n)
        order = getattr(combiner.child, "order", ())
        first = f"SELECT * FROM ({flow.text}){_one_run(flow)}{_ordered(order)} LIMIT {combiner.n}"
        return f"SELECT {columns}, 0 AS h, {_ROW} AS place FROM ({first})", _least(flow.total, most)
    groups = flows.distinct(exchange.child, exchange.keys).in_tasks
    window = next(iter(combiner.made.values()))
    ranked = window.copy()
    ranked.set("this", exp.RowNumber())
    qualified = (
        f"SELECT {columns}, {_key(exchange)} AS h, {_ROW} AS place FROM ({flow.text}){_one_run(flow)} "
        f"QUALIFY {spelled(ranked)} <= {combiner.first}"
    )
    return qualified, _least(flow.total, groups.times(combiner.first, "sample"))


def _drops_nulls(exchange: Exchange) -> bool:
    join = exchange.why
    kept = {
        "inner": (),
        "semi": (),
        "left": ("left",),
        "right": ("right",),
        "full": ("left", "right"),
        "anti": ("left",),
    }
    side = "left" if references(*exchange.keys) <= set(join.left.columns) else "right"
    return side not in kept.get(join.how, ("left", "right"))


def _combined(flows: Flows, exchange: Exchange, flow: Flow, node: Aggregate) -> tuple[str | None, Figure]:
    """The groups of each task with their buffers."""
    sets = distinct_sets(node)
    first = bool(sets) and len(exchange.keys) > len(node.keys)
    keys = list(exchange.keys) if first else list(node.keys.values())
    rows = flows.distinct(exchange.child, tuple(exchange.keys)).in_tasks
    types = types_of({str(i): each for i, each in enumerate(_arguments(node))}, exchange.columns)
    kinds = dict(zip(_arguments(node), types.values(), strict=True))
    columns = [f"{spelled(key)} AS k{i}" for i, key in enumerate(keys)]
    if first and (len(sets) > 1 or any(each.find(exp.Filter) for each in node.made.values())):
        columns.append("1::INTEGER AS gid")  # Expand, and what each FILTER said
        columns += [f"true AS f{i}" for i, each in enumerate(node.made.values()) if each.find(exp.Filter)]
    for aggregate in node.made.values():
        if first and aggregate.find(exp.Distinct):
            continue
        buffer = buffers(aggregate, spelled, lambda each: kinds.get(each, "?"))
        if buffer is None:
            return None, rows
        columns += [f"{each} AS b{len(columns)}_{i}" for i, each in enumerate(buffer)]
    if not exchange.keys:
        grouping, hashed = "", "0"
    else:
        grouping = f" GROUP BY {', '.join(spelled(key) for key in exchange.keys)}"
        hashed = _key(exchange)
    place = f"min({_ROW})"
    if any("min_by" in each or "max_by" in each for each in columns):
        place = (
            f"row_number() OVER (ORDER BY {', '.join(spelled(key) for key in exchange.keys) or '1'})"  # SortAggregate
        )
    text = f"SELECT {', '.join(columns)}, {hashed} AS h, {place} AS place FROM ({flow.text}){_one_run(flow)}{grouping}"
    return text, rows


def _arguments(node: Aggregate) -> list[exp.Expr]:
    found = [
        each.this for made in node.made.values() for each in made.find_all(exp.Sum) if isinstance(each.this, exp.Expr)
    ]
    return list(dict.fromkeys(found))


# -- bytes ------------------------------------------------------------------------------------------------------------


def _bytes_a_row(flows: Flows, exchange: Exchange, flow: Flow, text: str, rows: Figure) -> float:
    """What a row takes as it is written, measured on the streams of some reducers of one task."""
    query = flows.query
    [there] = query(f"SELECT count(*) AS n FROM ({text})", flow)["n"].to_pylist()
    if not there:
        return 0.0
    each_task = max(1.0, (rows.mid or there) / max(1.0, flow.tasks))
    reducers = _reducers(flows, exchange)
    # As many streams as there will be, so that keys lie as far apart; fewer where they would be too short to compress.
    real = each_task / reducers
    streams = max(1, round(there / min(real, max(there / reducers, SHORTEST))))
    nested = any("STRUCT" in kind or kind.endswith("]") for kind in exchange.columns.values()) or "min_by" in text
    most = NESTED if nested else LAID_OUT
    wanted = max(1, min(streams, math.ceil(streams * most / there)))
    if exchange.kind == "range":
        order = _ordered(exchange.keys)
        cut = f"ntile({streams}) OVER ({order.strip()}) - 1"
        text = f"SELECT *, {cut} AS stream FROM ({_with_order(exchange, flow)})"
    else:
        text = f"SELECT *, h % {streams} AS stream FROM ({text})"
    chosen = query(f"SELECT * FROM ({text}) WHERE stream < {wanted} ORDER BY stream, place LIMIT {4 * most}", flow)
    if not chosen.num_rows:
        return 0.0
    numbers = chosen["stream"].to_pylist()
    data, bounds = laid_out(chosen.drop_columns(["h", "place", "stream"]))
    flat = data.tobytes()
    ends = [i for i in range(1, len(numbers) + 1) if i == len(numbers) or numbers[i] != numbers[i - 1]]
    starts = [0, *ends[:-1]]
    parts = [flat[bounds[start] : bounds[end]] for start, end in zip(starts, ends, strict=True)]
    if exchange.kind == "broadcast":
        return len(flat) / chosen.num_rows
    codec, length = flows.cluster.codec, len(flat) / chosen.num_rows * real
    return (compressed(parts, codec)) / chosen.num_rows + headers(length, codec) / max(1.0, real)


def _with_order(exchange: Exchange, flow: Flow) -> str:
    columns = ", ".join(sql.quote(name) for name in exchange.columns)
    return f"SELECT {columns}, 0 AS h, {_ROW} AS place FROM ({flow.text}){_one_run(flow)}"


def _reducers(flows: Flows, exchange: Exchange) -> int:
    return 1 if exchange.kind in ("single", "broadcast") else flows.cluster.reducers


# -- texts ------------------------------------------------------------------------------------------------------------

_RUN, _ROW = sql.quote(RUN), sql.quote(ROW)


def _one_run(flow: Flow) -> str:
    return f" WHERE {_RUN} = 0" if flow.runs and not flow.whole else ""


def _key(exchange: Exchange) -> str:
    if not exchange.keys or exchange.kind in ("single", "broadcast", "range"):
        return _ROW if exchange.kind == "spread" else "0"
    return f"hash({', '.join(spelled(key) for key in exchange.keys)})"


def _ordered(order: Sequence[exp.Expr]) -> str:
    return f" ORDER BY {', '.join(spelled(term) for term in order)}" if order else ""


def _times(tasks: float, n: int) -> Figure:
    return Figure(n, tasks * n, tasks * n, "model")


def _least(one: Figure, other: Figure) -> Figure:
    values = [None if a is None or b is None else min(a, b) for a, b in zip(one[:3], other[:3], strict=True)]
    return Figure(*values, basis="sample" if "sample" in (one.basis, other.basis) else one.basis)
