"""What crosses at each exchange of a tree: rows, bytes as Spark writes them, and what the largest task gets.

How many rows there are is told by `crossings`, how large they are by `widths`. The bytes are what Spark measures as
"shuffle bytes written".
"""

from __future__ import annotations

from typing import NamedTuple

import sqlglot

from penstock import sql
from penstock.engines.asking import as_parquet, ask
from penstock.errors import PenstockError
from penstock.figures import NOTHING, UNKNOWN, Figure
from penstock.forecasts.cluster import Cluster
from penstock.forecasts.crossings import Rows, hashed, rows_of
from penstock.forecasts.flow import TASK
from penstock.forecasts.flows import Flows
from penstock.forecasts.widths import width_of
from penstock.trees.tree import Exchange, Node

__all__ = ["Crossing", "Forecast"]

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
            width = width_of(exchange, rows, self.reducers(exchange), self.cluster.codec)
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
        flow = self.flows.of(node)
        if flow is None or not flow.taken:
            return UNKNOWN if flow is None else NOTHING
        columns = ", ".join(sql.quote(name) for name in node.columns)
        rows, size = as_parquet(f"SELECT {columns} FROM ({flow.text}) LIMIT {WRITTEN}")
        return flow.total.times(size / max(1, rows), "sample")

    def _heaviest(self, exchange: Exchange, rows: Rows) -> float:
        """The share of the most frequent key: its average in the runs of the sample, if it is in several of them.

        A key that is in one run only is where it is because the rows lie in its order: those rows are all there are.
        """
        flow = rows.flow
        share, several = f"sum(n) / {flow.taken if flow.whole else flow.total.mid or flow.taken}", ""
        if not flow.whole:
            several = "HAVING count(*) > 1"  # a key that came once is not heavy
            share = f"CASE WHEN count(*) > 1 THEN sum(n / rows) / (SELECT count(*) FROM runs) ELSE {share} END"
        [found] = ask(
            f"WITH rows AS (SELECT {TASK} AS run, {hashed(exchange)} AS h FROM ({flow.text})), "
            "runs AS (SELECT run, count(*) AS rows FROM rows GROUP BY ALL), "
            f"keys AS (SELECT run, h, count(*) AS n FROM rows GROUP BY ALL {several}) "
            f"SELECT max(share) AS share FROM (SELECT {share} AS share FROM keys JOIN runs USING (run) GROUP BY h)"
        ).to_pylist()
        return float(found["share"] or 0.0)
