"""range_join: as many addresses as there are events, looked up in 400 000 ranges that do not overlap.

The addresses are made of the events within each query. `equality` is what the target is measured against: a hash join
of the same sizes and columns, on the number of the range; it finds the same rows, because that number is made of the
address too.
"""

from types import ModuleType
from typing import Any

import penstock as ps
from bench import peers

RANGES = 400_000
WIDTH = 10_737  # 400 000 of these fill the addresses of 32 bits
ADDRESS = f"(user_id * 2654435761 + round(amount * 100)::bigint * 40503) % {RANGES * WIDTH}"

NETS = f"select net * {WIDTH} as low, net * {WIDTH} + {WIDTH - 1} as high, net from range({RANGES}) as t(net)"
VISITS = f"select user_id, amount, {ADDRESS} as ip from events"
ORDERED = False
SHOWN = "user_id, amount, ip, low, high, net"


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


CONTENDERS = {
    **peers.penstock(ours),
    "equality": peers.duckdb(
        f"select {SHOWN} from ({VISITS}) as visits join ({NETS}) as nets on visits.ip // {WIDTH} = nets.net"
    ),
    "duckdb-inequality": peers.duckdb(
        f"select {SHOWN} from ({VISITS}) as visits join ({NETS}) as nets on ip >= low and ip <= high"
    ),
    "duckdb-asof": peers.duckdb(
        f"select {SHOWN} from ({VISITS}) as visits asof join ({NETS}) as nets on ip >= low where ip <= high"
    ),
    "polars": peers.polars(polars),
}
