"""What crosses at each exchange of a tree: rows, bytes as Spark writes them, and what the largest task gets.

The rows of one map task are combined, laid out and compressed as Spark would, each reducer's by themselves; then scaled
to all tasks. What is compared with what was measured is Spark's "shuffle bytes written".
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import sqlglot

from penstock import sql
from penstock.engines.asking import ask
from penstock.errors import PenstockError
from penstock.figures import NOTHING, UNKNOWN, Figure
from penstock.forecasts.cluster import Cluster
from penstock.forecasts.crossings import Rows, hashed, ordered, rows_of
from penstock.forecasts.flow import TASK
from penstock.forecasts.flows import Flows
from penstock.forecasts.serialised import compressed, headers, laid_out
from penstock.trees.registers import put_out
from penstock.trees.tree import Exchange, Node

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Crossing", "Forecast"]

#: Rows that are laid out and compressed; fewer where there are lists and structs in them.
LAID_OUT, NESTED = 12_000, 600
#: Rows of a stream that are fewer compress worse.
SHORTEST = 150
#: Rows that are written as Parquet to see how large they are.
WRITTEN = 50_000


class Crossing(NamedTuple):
    """What crosses at an exchange."""

    rows: Figure = UNKNOWN
    bytes: Figure = UNKNOWN
    unpacked: Figure = UNKNOWN
    """What they take in memory, as rows of Spark."""
    heaviest: float = 0.0
    """The share of the rows that have the most frequent key, where each row moves."""


class Width(NamedTuple):
    """The bytes of a row."""

    packed: float
    unpacked: float


class Forecast:
    """The crossings of a tree, each looked at once."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.flows = Flows(cluster, lambda exchange: self.crossing(exchange).bytes)
        self._known: dict[int, tuple[Exchange, Crossing]] = {}

    def crossing(self, exchange: Exchange) -> Crossing:
        """What crosses at an exchange."""
        if id(exchange) not in self._known:
            self._known[id(exchange)] = (exchange, self._crossing(exchange))
        return self._known[id(exchange)][1]

    def _crossing(self, exchange: Exchange) -> Crossing:
        if exchange.reused:
            return Crossing(NOTHING, NOTHING, NOTHING)
        try:
            rows = rows_of(self.flows, exchange)
            if rows is None or rows.text is None:
                return Crossing() if rows is None else Crossing(rows.total)
            width = self._width(exchange, rows)
            heaviest = self._heaviest(exchange, rows) if exchange.kind == "hash" and not exchange.combined else 0.0
        except (PenstockError, sqlglot.errors.SqlglotError):
            return Crossing()
        # Bytes are never exact: they hang on how well rows compress.
        packed, unpacked = (rows.total.times(each, "sample") for each in width)
        return Crossing(rows.total, packed, unpacked, heaviest)

    def reducers(self, exchange: Exchange) -> int:
        """How many partitions the rows go to."""
        return 1 if exchange.kind in ("single", "broadcast") else self.cluster.reducers

    def largest(self, exchange: Exchange) -> Figure:
        """The bytes that go to one partition at most."""
        found = self.crossing(exchange)
        return found.bytes.times(max(found.heaviest, 1 / self.reducers(exchange)))

    def memory(self, exchange: Exchange) -> Figure:
        """What the task holds that gets most of the rows; of a broadcast, every worker."""
        found = self.crossing(exchange)
        share = 1.0 if exchange.kind == "broadcast" else max(found.heaviest, 1 / self.flows.tasks_after(exchange))
        return found.unpacked.times(share)

    def written(self, node: Node) -> Figure:
        """What the rows of a node take as Parquet, measured on some of them."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        flow = self.flows.of(node)
        if flow is None or not flow.taken:
            return UNKNOWN if flow is None else NOTHING
        columns = ", ".join(sql.quote(name) for name in node.columns)
        rows = ask(f"SELECT {columns} FROM ({flow.text}) LIMIT {WRITTEN}")
        into = pa.BufferOutputStream()
        pq.write_table(rows, into, compression="zstd")
        return flow.total.times(into.tell() / max(1, rows.num_rows), "sample")

    def _width(self, exchange: Exchange, rows: Rows) -> Width:
        """The bytes of a row, measured on the streams of some reducers of one task."""
        there = rows.here
        if there is None:
            [there] = ask(f"SELECT count(*) AS n FROM ({rows.text})")["n"].to_pylist()
        if not there:
            return Width(0.0, 0.0)
        reducers = self.reducers(exchange)
        # As many streams as there will be, so that keys lie as far apart; fewer where they would be too short.
        real = max(1.0, (rows.total.mid or there) / max(1.0, rows.flow.tasks)) / reducers
        streams = max(1, round(there / min(real, max(there / reducers, SHORTEST))))
        most = NESTED if rows.nested else LAID_OUT
        wanted = max(1, min(streams, math.ceil(streams * most / there)))
        stream = f"h % {streams}"
        if exchange.kind == "range":
            stream = f"ntile({streams}) OVER ({ordered(exchange.keys).strip()}) - 1"
        chosen = _chosen(f"SELECT *, {stream} AS stream FROM ({rows.text})", wanted, most)
        if chosen.num_rows < min(most, there) / 4:  # few keys: most streams are empty
            stream = f"dense_rank() OVER (ORDER BY {stream}) - 1"
            chosen = _chosen(f"SELECT *, {stream} AS stream FROM ({rows.text})", wanted, most)
        numbers = chosen["stream"].to_pylist()
        data, bounds = laid_out(put_out(chosen.drop_columns(["h", "place", "stream"]), rows.flow.reach))
        flat = data.tobytes()
        ends = [i for i in range(1, len(numbers) + 1) if i == len(numbers) or numbers[i] != numbers[i - 1]]
        parts = [flat[bounds[start] : bounds[end]] for start, end in zip([0, *ends], ends, strict=False)]
        unpacked = len(flat) / max(1, len(numbers))
        if exchange.kind == "broadcast":
            return Width(unpacked, unpacked)
        codec = self.cluster.codec
        packed = compressed(parts, codec) / max(1, len(numbers)) + headers(unpacked * real, codec) / max(1.0, real)
        if rows.listed:
            # Lists are as long as the rows of a group in a whole task are many; what stands beside them is not.
            longer = (rows.flow.total.mid or 0.0) / (rows.total.mid or 1.0) / (rows.listed / there)
            beside = len(laid_out(_emptied(chosen.drop_columns(["h", "place", "stream"])))[0]) / len(flat)
            packed, unpacked = (each * (beside + (1 - beside) * longer) for each in (packed, unpacked))
        return Width(packed, unpacked)

    def _heaviest(self, exchange: Exchange, rows: Rows) -> float:
        """The share of the most frequent key: its average in the runs of the sample, if it is in several of them.

        A key that is in one run only is where it is because the rows lie in its order: those rows are all there are.
        """
        flow = rows.flow
        share = f"sum(n) / {flow.taken if flow.whole else flow.total.mid or flow.taken}"
        if not flow.whole:
            share = f"CASE WHEN count(*) > 1 THEN sum(share) / (SELECT count(DISTINCT run) FROM runs) ELSE {share} END"
        [found] = ask(
            f"WITH rows AS (SELECT {TASK} AS run, {hashed(exchange)} AS h FROM ({flow.text})), "
            "runs AS (SELECT run, h, count(*) AS n FROM rows GROUP BY ALL), "
            "shares AS (SELECT h, n, n / sum(n) OVER (PARTITION BY run) AS share FROM runs) "
            f"SELECT max(share) AS share FROM (SELECT {share} AS share FROM shares GROUP BY h)"
        ).to_pylist()
        return float(found["share"] or 0.0)


def _emptied(table: pa.Table) -> pa.Table:
    """The same rows with nothing in their lists."""
    import pyarrow as pa

    for position, field in enumerate(table.schema):
        if pa.types.is_list(field.type):
            empty = pa.array([[]] * table.num_rows, field.type)
            table = table.set_column(position, field.name, empty)
    return table


def _chosen(rows: str, streams: int, most: int) -> pa.Table:
    """The rows of the first streams, each in its order."""
    return ask(f"SELECT * FROM ({rows}) WHERE stream < {streams} ORDER BY stream, place LIMIT {4 * most}")
