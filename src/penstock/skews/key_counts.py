"""A look at the keys of a table: how many rows each has, counted where they are few or heavy, else by the partition.

A sample tells whether the keys are few. If they are, all are counted. If not, those that the sample shows often are
counted, and the rows of all others go into as many heaps as there are partitions: on Spark its own partitions, on
DuckDB heaps by its hash, which are as uneven. That is one pass over the key columns, in memory that does not grow with
the keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from penstock import sql
from penstock.engines.spark_types import spark_arrow
from penstock.figures import Figure, exact
from penstock.samples import ROWS, expected_rows
from penstock.skews.murmur3 import Hashes, hashes, numbers
from penstock.tables import Table, engine_of

if TYPE_CHECKING:
    import pyarrow as pa

    from penstock.engines.engine import Engine

__all__ = ["KeyCounts", "look"]

#: Keys are few when a sample tells of no more than these: then all are counted.
FEW = 200_000
#: What a key must have in a sample to be counted by itself, and how many such keys there are at most.
SEEN, MOST = 10, 1_000
#: A sample with more keys, or with so many times more or fewer rows than meant, was taken of another number of rows.
TOO_MANY, TIMES = 1_000_000, 20


class KeyCounts(NamedTuple):
    """Keys with their rows, the heaviest first, and the rows of all other keys."""

    keys: pa.Table  # k0, k1, …
    n: NDArray[np.float64]  # rows of each
    hashes: Hashes  # of each
    others: NDArray[np.float64]  # rows of all other keys, in as many heaps as there are partitions
    rows: Figure
    distinct: Figure
    share: float  # of the rows that was looked at: 1, or that of a sample
    hashed: bool  # whether the hashes are Spark's
    placed: bool  # whether rows lie in the partitions that Spark sends them to, or in others that are as uneven

    @property
    def basis(self) -> Literal["exact", "sample", "model"]:
        """What the rows of partitions rest on."""
        return "sample" if self.share < 1 else "exact" if self.placed else "model"


def look(table: Table, names: Sequence[str], partitions: int, rows: Literal["all", "sample"]) -> KeyCounts:
    """Read the key columns: once where the rows are few, else twice. What the table is built on runs as often."""
    looking = _Looking(table, names, partitions)
    sample = looking.sample()
    if sample.share == 1:
        return looking.complete(sample.counts)
    if rows == "sample":
        return looking.guessed(sample)
    if sample.expected_keys <= FEW:
        counts = looking.counts(1)
        if len(counts) <= TOO_MANY:
            return looking.complete(counts)
    return looking.heavy(sample)


class _Sample(NamedTuple):
    counts: pa.Table  # k0, k1, …, h, n
    share: float

    @property
    def n(self) -> NDArray[np.float64]:
        return numbers(self.counts["n"]).astype(np.float64)

    @property
    def expected_keys(self) -> float:
        """Chao's estimate: the keys seen, and more, the more were seen once only."""
        once, twice = int((self.n == 1).sum()), int((self.n == 2).sum())
        return len(self.n) + once * (once - 1) / (2 * (twice + 1))

    @property
    def most_keys(self) -> float:
        """As if each key that was seen once stood for others that were not."""
        once = int((self.n == 1).sum())
        return len(self.n) - once + once / self.share


class _Looking(NamedTuple):
    table: Table
    names: Sequence[str]
    partitions: int

    @property
    def engine(self) -> Engine:
        return engine_of(self.table)

    @property
    def places(self) -> list[str]:
        return [f"k{i}" for i in range(len(self.names))]

    @property
    def rows(self) -> str:
        """The key columns, under the names k0, k1, …"""
        named = zip(self.names, self.places, strict=True)
        return f"SELECT {', '.join(f'{sql.quote(name, self.engine.name)} AS {place}' for name, place in named)} FROM t"

    def run(self, statement: str, **tables: Any) -> pa.Table:
        engine = self.engine
        adopted = {name: engine.adopt(data) for name, data in tables.items()}
        return engine.batches(engine.query(statement, {"t": self.table, **adopted})).read_all()

    def sample(self) -> _Sample:
        """Counts of some rows taken by chance; of all, where that is no more."""
        share = min(1.0, ROWS / max(1, expected_rows(self.table)))
        found = _Sample(self.counts(share), share)
        wanted, seen = ROWS if share < 1 else 0, found.n.sum()
        if len(found.n) <= TOO_MANY and wanted / TIMES <= seen <= ROWS * TIMES:
            return found
        # The plan expected another number of rows: it does not know what a filter leaves.
        [counted] = self.run("SELECT count(*) AS n FROM t")["n"].to_pylist()
        share = min(1.0, ROWS / max(1, counted))
        return _Sample(self.counts(share), share)

    def counts(self, share: float) -> pa.Table:
        """The keys of some of the rows, or of all, with the rows that each has, and on Spark its hash."""
        chance = {"duckdb": "bernoulli({}%)", "spark": "({} PERCENT)"}[self.engine.name].format(f"{share * 100:.9f}")
        sampled = f" TABLESAMPLE {chance} REPEATABLE (7)" if share < 1 else ""
        places = ", ".join(self.places)
        hashed = f", hash({places}) AS h" if self.engine.name == "spark" else ""
        rows = f"SELECT * FROM ({self.rows}){sampled}"
        counted = f"SELECT {places}{hashed}, count(*) AS n FROM ({rows}) GROUP BY {places}"
        order = ", ".join(f"{place} NULLS LAST" for place in self.places)
        limit = f" LIMIT {TOO_MANY + 1}" if share == 1 else ""
        return self.run(f"SELECT * FROM ({counted}) ORDER BY n DESC, {order}{limit}")

    def complete(self, counts: pa.Table) -> KeyCounts:
        """Every key counted."""
        n = numbers(counts["n"]).astype(np.float64)
        hashed, known = self.hashed(counts)
        none = np.zeros(self.partitions)
        return KeyCounts(self.keys(counts), n, hashed, none, exact(int(n.sum())), exact(len(n)), 1, known, known)

    def heavy(self, sample: _Sample) -> KeyCounts:
        """The keys that a sample shows often are counted; of all others, the rows that a partition gets."""
        often = sample.counts.slice(0, min(MOST, int((sample.n >= SEEN).sum())))
        keys = ", ".join(f"r.{place}" for place in self.places)
        # Spark says the partition itself. Any other hash makes heaps that are as uneven as the partitions are.
        duckdb, spark = f"(hash({keys}) % {self.partitions})::BIGINT", f"pmod(hash({keys}), {self.partitions})"
        heap = {"duckdb": duckdb, "spark": spark}[self.engine.name]
        one_hash = {"duckdb": f"hash({keys})", "spark": f"xxhash64({keys})"}[self.engine.name]
        same = " AND ".join(f"r.{place} IS NOT DISTINCT FROM often.{place}" for place in self.places)
        found = self.run(
            f"SELECT coalesce(often.i, -1) AS i, CASE WHEN often.i IS NULL THEN {heap} ELSE -1 END AS heap, "
            f"count(*) AS n, approx_count_distinct({one_hash}) AS keys "
            f"FROM ({self.rows}) AS r LEFT JOIN often ON {same} GROUP BY 1, 2",
            often=self.keys(often).append_column("i", _in_arrow(np.arange(len(often)))),
        )
        i, at, rows, seen = (numbers(found[name]).astype(np.int64) for name in ("i", "heap", "n", "keys"))
        n, others = np.zeros(len(often)), np.zeros(self.partitions)
        n[i[i >= 0]], others[at[at >= 0]] = rows[i >= 0], rows[at >= 0]
        distinct = len(often) + int(seen[at >= 0].sum())
        order = np.argsort(-n, kind="stable")
        often = often.take(_in_arrow(order))
        hashed, known = self.hashed(often)
        return KeyCounts(
            self.keys(often), n[order], hashed, others, exact(int(n.sum() + others.sum())),
            # Sketches of each heap: within 0.3 % of what 100,000 to 19 M keys are.
            Figure(round(distinct * 0.98), distinct, round(distinct * 1.02), "model"),
            1, known, self.engine.name == "spark",
        )  # fmt: skip

    def guessed(self, sample: _Sample) -> KeyCounts:
        """Sampled counts as those of all rows; keys that were seen seldom fall on partitions as chance has it."""
        often, n = int((sample.n >= SEEN).sum()), sample.n
        seldom, rows = n[often:], float(n.sum() / sample.share)
        error = 3 * float(np.sqrt(n.sum())) / sample.share
        # A partition gets the seldom ones' rows evenly, give or take the root of the sum of their squares. Of that sum
        # a sample tells without bias by the pairs of rows that it has of one key.
        squares = float((seldom * (seldom - 1)).sum()) / sample.share**2
        even, spread = seldom.sum() / sample.share / self.partitions, np.sqrt(squares / self.partitions)
        ranks = (np.arange(self.partitions) + 0.5) / self.partitions
        normal = np.array([NormalDist().inv_cdf(rank) for rank in np.random.default_rng(7).permutation(ranks)])
        hashed, known = self.hashed(sample.counts.slice(0, often))
        once = float((n == 1).sum())
        keys = len(n) - once + once / np.sqrt(sample.share)
        return KeyCounts(
            self.keys(sample.counts.slice(0, often)), n[:often] / sample.share, hashed,
            np.maximum(0, even + spread * normal), Figure(rows - error, rows, rows + error, "sample"),
            Figure(len(n), round(keys), round(sample.most_keys), "sample"), sample.share, known, known,
        )  # fmt: skip

    def keys(self, counts: pa.Table) -> pa.Table:
        return counts.select(self.places)

    def hashed(self, counts: pa.Table) -> tuple[Hashes, bool]:
        """The hash of each key, and whether it is Spark's."""
        import pyarrow as pa

        if "h" in counts.column_names:
            return numbers(counts["h"]).view(np.uint32), True
        columns = spark_arrow(self.keys(counts)).columns
        found = hashes(columns, len(counts))
        if found is not None:
            return found, True
        texts = [pa.array([None if value is None else str(value) for value in column.to_pylist()], pa.string())
                 for column in columns]  # fmt: skip
        other = hashes(texts, len(counts))
        return (np.zeros(0, np.uint32) if other is None else other), False


def _in_arrow(values: NDArray[np.int64]) -> pa.Array:
    """Whole numbers as Arrow has them; `pa.array` imports pandas where there is one: 0.2 s."""
    import pyarrow as pa

    return pa.Array.from_buffers(pa.int64(), len(values), [None, pa.py_buffer(values)])
