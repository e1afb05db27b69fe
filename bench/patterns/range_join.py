"""range_join: as many addresses as there are events, looked up in 400 000 ranges that do not overlap.

The addresses are made of the events within each query. `equality` is what the target is measured against: a hash join
of the same sizes and columns, on the number of the range; it finds the same rows, because that number is made of the
address too. `ipv4` and `ipv6` ask the same of addresses written as text, and have equalities of their own, on the text
of the low; their texts stand in files, because it takes longer to write them than to join them.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import penstock as ps
from bench import data, peers

RANGES = 400_000
WIDTH = 10_737  # 400 000 of these fill the addresses of 32 bits
ADDRESS = f"(user_id * 2654435761 + round(amount * 100)::bigint * 40503) % {RANGES * WIDTH}"

NETS = f"select net * {WIDTH} as low, net * {WIDTH} + {WIDTH - 1} as high, net from range({RANGES}) as t(net)"
VISITS = f"select user_id, amount, {ADDRESS} as ip from events"
ORDERED = False
SHOWN = "user_id, amount, ip, low, high, net"

# ClickHouse: the latest low, of a key that all rows have, as its join wants one.
LATEST = f"""
    select {SHOWN}
    from (select *, 0 as every from ({VISITS}) as v) as visits
    asof join (
        select 0 as every, net * {WIDTH} as low, net * {WIDTH} + {WIDTH - 1} as high, net
        from (select number::bigint as net from numbers({RANGES})) as numbered
    ) as nets on visits.every = nets.every and ip >= low
    where ip <= high
"""

# Where there is no such join: each range in every bin of its width that it touches, and a hash join on the bin.
BINS = f"""
    select {SHOWN}
    from (select *, ip / {WIDTH} as bin from ({VISITS}) as v) as visits
    join (
        select *, unnest(range(low / {WIDTH}, high / {WIDTH} + 1)) as bin
        from (
            select value * {WIDTH} as low, value * {WIDTH} + {WIDTH - 1} as high, value as net
            from range(0, {RANGES})
        ) as numbered
    ) as nets on visits.bin = nets.bin and ip between low and high
"""


def ours(events: Any) -> Any:
    """Both sides by the engine that the events are on."""
    engine = ps.engine_of(events)
    nets = engine.query(NETS, {})
    visits = ps.query(VISITS, events=events)
    return ps.range_join(visits, nets, "ip", "low", "high")


def polars(pl: ModuleType, events: Any) -> Any:
    """Polars: the latest low, then the high."""
    cents = (pl.col("amount") * 100).round().cast(pl.Int64)
    address = (pl.col("user_id") * 2654435761 + cents * 40503) % (RANGES * WIDTH)
    visits = events.select("user_id", "amount", address.alias("ip")).sort("ip")
    nets = pl.select(pl.int_range(RANGES).alias("net")).lazy()
    nets = nets.select((pl.col("net") * WIDTH).alias("low"), (pl.col("net") * WIDTH + WIDTH - 1).alias("high"), "net")
    met = visits.join_asof(nets, left_on="ip", right_on="low", coalesce=False)
    return met.filter(pl.col("ip") <= pl.col("high")).select("user_id", "amount", "ip", "low", "high", "net")


def bins(fn: ModuleType, events: Any) -> Any:
    """PySpark: each range in every bin that it touches, and a join on the bin."""
    nets = events.sparkSession.range(RANGES).selectExpr(
        f"id * {WIDTH} as low", f"id * {WIDTH} + {WIDTH - 1} as high", "id as net"
    )
    nets = nets.withColumn("bin", fn.explode(fn.expr(f"sequence(low div {WIDTH}, high div {WIDTH})")))
    visits = events.selectExpr("user_id", "amount", f"{ADDRESS} as ip").withColumn("bin", fn.expr(f"ip div {WIDTH}"))
    return visits.join(nets, "bin").where("ip between low and high").drop("bin")


#: An address as text, and the ends of the texts of a value, a low and a high.
TEXTS = {
    "ipv4": ("concat_ws('.', {n} >> 24, {n} >> 16 & 255, {n} >> 8 & 255, {n} & 255)", "''", "''", "''"),
    "ipv6": (
        "'2001:' || to_hex({n} >> 16) || ':' || to_hex({n} & 65535)",
        "':0:' || to_hex(user_id & 65535) || ':8a2e:370:7334'", "'::'", "':ffff:ffff:ffff:ffff:ffff'",
    ),
}  # fmt: skip


def texts(version: str) -> Callable[[Path], dict[str, Path]]:
    """The files of the addresses and the ranges as text; `since` is the low of the range that an address lies in."""
    text, *ends = TEXTS[version]
    value, low, high = (f"{text.format(n=n)} || {end}" for n, end in zip(("ip", "low", "high"), ends, strict=True))
    since = f"{text.format(n=f'(ip // {WIDTH} * {WIDTH})')} || {ends[1]}"
    nets = f"select {low} as low, {high} as high, net from ({NETS})"

    def beside(path: Path) -> dict[str, Path]:
        visits = VISITS.replace("events", f"'{path}'")
        queries = {
            f"visits-{version}-{path.stem}": f"select user_id, amount, {value} as ip, {since} as since from ({visits})",
            f"nets-{version}": nets,
        }
        files = {name.partition("-")[0]: path.with_name(f"{name}.parquet") for name in queries}
        for file, query in zip(files.values(), queries.values(), strict=True):
            if not file.exists():
                data._write(query, file)
        return files

    return beside


def on_text(version: str) -> dict[str, peers.Contender]:
    """Ours on DuckDB and the equality; the texts differ from the integers, so the rest of a row is compared."""
    beside, told = texts(version), ("user_id", "amount", "net")

    def joined(events: Any, visits: Any, nets: Any) -> Any:
        return ps.range_join(
            ps.query("select user_id, amount, ip from visits", visits=visits), nets, "ip", "low", "high"
        )

    equality = f"select {SHOWN} from visits join nets on since = low"
    return {
        version: replace(peers.penstock(joined, beside=beside)["penstock-duckdb"], determined=told),
        f"{version}-equality": peers.duckdb(equality, determined=told, beside=beside),
    }


CONTENDERS = {
    **peers.penstock(ours),
    "equality": peers.duckdb(
        f"select {SHOWN} from ({VISITS}) as visits join ({NETS}) as nets on visits.ip // {WIDTH} = nets.net"
    ),
    "duckdb": peers.duckdb(
        f"select {SHOWN} from ({VISITS}) as visits join ({NETS}) as nets on ip >= low and ip <= high"
    ),
    "duckdb-asof": peers.duckdb(
        f"select {SHOWN} from ({VISITS}) as visits asof join ({NETS}) as nets on ip >= low where ip <= high"
    ),
    "polars": peers.polars(polars),
    "chdb": peers.chdb(LATEST),
    "datafusion": peers.datafusion(BINS),
    "pyspark": peers.pyspark(bins),
    **on_text("ipv4"),
    **on_text("ipv6"),
}
