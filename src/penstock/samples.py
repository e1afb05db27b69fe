"""What a sample of two tables' join keys tells before they meet: how many rows come out, and which keys are heavy."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from penstock import sql
from penstock.engines.engine import Engine, connect
from penstock.tables import Table, engine_of

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "Counts",
    "Forecast",
    "Sample",
    "duplicated",
    "expected_rows",
    "forecast",
    "matching",
    "meet",
    "repeats",
    "take",
]

#: Rows in a sample: 0.7 % of them is 1 000 rows, counted within 10 %.
ROWS = 150_000


class Sample(NamedTuple):
    """Join keys of rows taken by chance, each row as likely as any other; rows with a null key are left out."""

    keys: pa.Table  # columns k0, k1, …
    share: float  # of the rows

    @property
    def rows(self) -> float:
        """How many rows with a whole key the table has, about."""
        return float(self.keys.num_rows / self.share)


def expected_rows(table: Table) -> int:
    """Rows by the plan's own statistics; counted where those are silent."""
    engine = engine_of(table)
    size = engine.size(table)
    if size.rows is not None:
        return size.rows
    if size.bytes is not None:
        return size.bytes // width(engine.columns(table).values())
    [counted] = engine.batches(engine.query("SELECT count(*) AS n FROM t", {"t": table})).read_all()["n"].to_pylist()
    return int(counted)


def width(kinds: Iterable[str]) -> int:
    """Bytes of a row of these types, about: 8 a field and for the row, 20 more where the length is open."""
    return 8 + sum(8 if kind.startswith(_FIXED) else 28 for kind in kinds)


_FIXED = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "FLOAT", "DOUBLE", "BOOLEAN", "DATE", "TIMESTAMP", "DECIMAL")


def take(table: Table, names: Sequence[str]) -> Sample:
    """Read the key columns once and keep some rows of them: a small job, run now."""
    sample = _taken(table, names, min(1.0, ROWS / max(1, expected_rows(table))))
    if sample.share < 1 and sample.keys.num_rows < ROWS / 20:  # a filter left fewer rows than the plan expects
        return _taken(table, names, min(1.0, sample.share * ROWS / max(1, sample.keys.num_rows)))
    return sample


def _taken(table: Table, names: Sequence[str], share: float) -> Sample:
    engine = engine_of(table)
    keys = ", ".join(f"{sql.quote(name, engine.name)} AS k{i}" for i, name in enumerate(names))
    whole = " AND ".join(f"{sql.quote(name, engine.name)} IS NOT NULL" for name in names)
    # Repeatable, so that no join is refused now and then; DuckDB then takes one thread: 38 ms, not 23, for 2 M keys.
    chance = {
        "duckdb": " TABLESAMPLE bernoulli({}%) REPEATABLE (7)",
        "spark": " TABLESAMPLE ({} PERCENT) REPEATABLE (7)",
    }
    sampled = chance[engine.name].format(f"{share * 100:.9f}") if share < 1 else ""
    statement = f"SELECT * FROM (SELECT {keys} FROM t WHERE {whole}){sampled}"
    return Sample(engine.batches(engine.query(statement, {"t": table})).read_all(), share)


def duplicated(table: Table, names: Sequence[str], n: int) -> list[dict[str, Any]]:
    """The n most frequent of the whole keys that occur more than once, as k0, k1, … and their count, `n`."""
    engine = engine_of(table)
    keys = ", ".join(f"{sql.quote(name, engine.name)} AS k{i}" for i, name in enumerate(names))
    whole = " AND ".join(f"{sql.quote(name, engine.name)} IS NOT NULL" for name in names)
    places = ", ".join(f"k{i}" for i in range(len(names)))
    counted = f"SELECT {places}, count(*) AS n FROM (SELECT {keys} FROM t WHERE {whole}) AS keys GROUP BY {places}"
    most = f"SELECT * FROM ({counted}) AS counted WHERE n > 1 ORDER BY n DESC, {places} LIMIT {n}"
    found: list[dict[str, Any]] = engine.batches(engine.query(most, {"t": table})).read_all().to_pylist()
    return found


def repeats(table: Table, sample: Sample) -> bool:
    """Whether any key of a sample occurs in it twice."""
    places = ", ".join(f"k{i}" for i in range(sample.keys.num_columns))
    counted = f"SELECT count(*) AS n FROM (SELECT DISTINCT {places} FROM keys) AS keys"
    embedded = _embedded(table)
    found = embedded.batches(embedded.query(counted, {"keys": embedded.adopt(sample.keys)})).read_all()
    return bool(found["n"][0].as_py() < sample.keys.num_rows)


class Counts(NamedTuple):
    """Two samples counted and joined: a row a key (k0, …), with how many rows of the left and right sample have it."""

    engine: Engine
    counts: Table  # k0, k1, …, ours, theirs
    left: Sample
    right: Sample

    def rows(self, statement: str) -> list[dict[str, Any]]:
        """The rows of a query over `counts`."""
        found: list[dict[str, Any]] = self.table(statement).to_pylist()
        return found

    def table(self, statement: str) -> pa.Table:
        """The same as Arrow."""
        return self.engine.batches(self.engine.query(statement, {"counts": self.counts})).read_all()


def meet(table: Table, left: Sample, right: Sample) -> Counts:
    """Count the keys of two samples and join them, on the embedded engine: they are small."""
    places = [f"k{i}" for i in range(left.keys.num_columns)]
    counted = f"SELECT {', '.join(places)}, count(*) AS n FROM {{}} GROUP BY ALL"
    keys = ", ".join(f"coalesce(l.{place}, r.{place}) AS {place}" for place in places)
    same = " AND ".join(f"l.{place} = r.{place}" for place in places)
    statement = (
        f"WITH l AS ({counted.format('ours')}), r AS ({counted.format('theirs')}) "
        f"SELECT {keys}, coalesce(l.n, 0) AS ours, coalesce(r.n, 0) AS theirs FROM l FULL JOIN r ON {same}"
    )
    embedded = _embedded(table)
    both = {"ours": embedded.adopt(left.keys), "theirs": embedded.adopt(right.keys)}
    return Counts(embedded, embedded.materialize(embedded.query(statement, both)), left, right)


def matching(met: Counts, side: str) -> float:
    """The share of a side's rows that meet something, about; too high rather than too low."""
    ours, theirs, other = ("ours", "theirs", met.right) if side == "left" else ("theirs", "ours", met.left)
    [found] = met.rows(f"SELECT sum({ours}) FILTER ({theirs} > 0) / sum({ours}) AS share FROM counts")
    # A key that stands once in the other table is in its sample with the chance of one row.
    return float(min(1.0, (found["share"] or 0) / other.share))


class Forecast(NamedTuple):
    """How many rows of two tables have equal keys: the estimate, and what it is hardly below."""

    rows: float
    least: float
    largest: list[dict[str, Any]]  # the keys that make most of them: k0, k1, …, ours, theirs, in rows of the tables


def forecast(met: Counts, n: int = 5) -> Forecast:
    """Sum, over the keys in both samples, the rows of the left times those of the right.

    A heavy key that stands once in the other sample is no evidence of two rows there: the estimate is lowered by three
    standard errors (both counts are binomial), so that it takes many pairs, or a key often seen on both sides.
    """
    ours, theirs = met.left.share, met.right.share
    over_ours, over_theirs = (f"({1 - share!r})" for share in (ours, theirs))
    product = "ours::DOUBLE * theirs"
    variance = (
        f"ours::DOUBLE * ours * theirs * {over_theirs} + theirs::DOUBLE * theirs * ours * {over_ours}"
        f" + {product} * {over_ours} * {over_theirs}"
    )
    sums = f"SELECT coalesce(sum({product}), 0) AS pairs, coalesce(sum({variance}), 0) AS variance FROM counts"
    [found] = met.rows(sums)
    scale = ours * theirs
    places = ", ".join(f"k{i}" for i in range(met.left.keys.num_columns))
    most = met.rows(f"SELECT * FROM counts WHERE {product} > 0 ORDER BY {product} DESC, {places} LIMIT {n}")
    return Forecast(
        found["pairs"] / scale,
        (found["pairs"] - 3 * math.sqrt(found["variance"])) / scale,
        [row | {"ours": row["ours"] / ours, "theirs": row["theirs"] / theirs} for row in most],
    )


def _embedded(table: Table) -> Engine:
    engine = engine_of(table)
    return engine if engine.name == "duckdb" else connect("duckdb")
