"""How fast each engine works: what one core does in a second, and how much of a network and a disk it can use.

Measured with 2 M clicks of 211 bytes (294 as JSON), as the processor's time of one core. DuckDB 2.0 reads 482 MB/s of
JSON, 266 in gzip, 444 of csv, 1.7 GB/s of Parquet, and writes 211 MB/s of Parquet; a wide step takes 0.19 us a row of
16 bytes, and 0.4 to 1.3 us a row of 211. Spark 4.3 reads 65 MB/s of JSON, 71 in gzip, 61 of csv, 57 in gzip; a wide
step takes 1.8 us a narrow row, and 3.8 us a wide one. What a data centre rents as a core is often half of one, so the
figures here are a little lower. MapReduce was not measured: half of Spark's speed in reading and a third in
regrouping, from the four times as much processor time that Facebook needed for a job on Hive (Apache Spark @Scale,
2016).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from penstock.estimates.ranges import over, range_of, times
from penstock.estimates.workload import Workload
from penstock.figures import Figure, exact, total

__all__ = ["DUCKDB", "MAPREDUCE", "SPARK", "Speeds", "measured_speeds"]

MB = 1_000_000
INFLATED = {"gz": range_of(550 * MB), "zst": range_of(1500 * MB)}


class Speeds(NamedTuple):
    """An engine's. Bytes are uncompressed ones."""

    parse: Mapping[str, Figure]
    """Bytes a second and core, by format."""
    inflate: Mapping[str, Figure]
    """The same, by codec."""
    row: Figure
    """Seconds that a row costs in a wide step, however narrow it is."""
    regroup: Figure
    """Bytes a second and core besides, in a wide step."""
    combine: Figure
    """Seconds that a row costs which is put together with others before it moves."""
    write: Figure
    """Values to Parquet, bytes a second and core."""
    pack: Figure
    """Rows to lz4, for the disk: bytes a second and core."""
    launch: Figure
    """Seconds until a task works."""
    network: Figure
    """The share of a network's speed that a stage gets."""
    disk: Figure
    """The share of a disk's speed that a stage gets."""

    def reading(self, work: Workload) -> Figure:
        """Bytes a second that a core unpacks and parses."""
        base, _, codec = work.format.partition(".")
        parse = self.parse[base]
        return over(1, total([over(1, parse), over(1, self.inflate[codec])])) if codec else parse

    def wide(self, row_bytes: int) -> Figure:
        """Bytes a second that a core gets through a wide step."""
        return over(row_bytes, total([self.row, over(row_bytes, self.regroup)]))


def _each(**megabytes: float) -> dict[str, Figure]:
    return {name: range_of(number * MB) for name, number in megabytes.items()}


DUCKDB = Speeds(
    parse=_each(json=400, csv=400, tsv=400, log=250, parquet=1500, orc=500, avro=150, arrow=3000),
    inflate=INFLATED,
    row=range_of(0.15e-6, 2),
    regroup=range_of(350 * MB, 2),
    combine=range_of(0.05e-6, 2),
    write=range_of(180 * MB),
    pack=range_of(600 * MB),
    launch=exact(0),
    network=Figure(0.5, 0.75, 0.95, "model"),
    disk=Figure(0.6, 0.8, 1.0, "model"),
)
SPARK = Speeds(
    parse=_each(json=72, csv=70, tsv=70, log=60, parquet=200, orc=180, avro=100, arrow=250),
    inflate=INFLATED,
    row=range_of(1.0e-6),
    regroup=range_of(120 * MB),
    combine=range_of(0.3e-6),
    write=range_of(100 * MB),
    pack=range_of(600 * MB),
    launch=Figure(0.02, 0.05, 0.1, "model"),
    network=Figure(0.35, 0.6, 0.85, "model"),
    disk=Figure(0.4, 0.6, 0.9, "model"),
)
MAPREDUCE = Speeds(
    parse=_each(json=36, csv=35, tsv=35, log=30, parquet=100, orc=90, avro=50, arrow=100),
    inflate=INFLATED,
    row=range_of(3.0e-6),
    regroup=range_of(40 * MB),
    combine=range_of(1.0e-6),
    write=range_of(50 * MB),
    pack=range_of(600 * MB),
    launch=Figure(1, 2, 3, "model"),
    network=Figure(0.1, 0.25, 0.5, "model"),
    disk=Figure(0.1, 0.25, 0.5, "model"),
)

_AGAIN = 1.25  # how far two measurements of one machine are apart


def measured_speeds(found: Mapping[str, Any]) -> Speeds:
    """DuckDB's, with what was measured in place of what is assumed; formats that were not measured keep their ratio."""

    def of(name: str) -> Figure:
        return range_of(float(found[name]), _AGAIN, basis="sample")

    parse = {name: of(name) for name in ("json", "csv", "parquet")} | {"tsv": of("csv")}
    for name, like in (("log", "csv"), ("orc", "parquet"), ("avro", "parquet"), ("arrow", "parquet")):
        ratio = (DUCKDB.parse[name].mid or 0) / (DUCKDB.parse[like].mid or 1)
        parse[name] = times(of(like), range_of(ratio))
    return DUCKDB._replace(
        parse=parse,
        inflate=INFLATED | {"gz": of("gz")},
        row=of("wide_row_seconds"),
        regroup=of("wide"),
        write=of("write"),
        pack=of("lz4"),
        disk=exact(1),
    )
