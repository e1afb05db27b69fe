"""where: the one event in a hundred that is worth most."""

import penstock as ps
from bench import peers

SQL = "select * from events where amount >= 990"

ORDERED = False

CONTENDERS = {
    **peers.penstock(lambda events: ps.where(events, "amount >= 990")),
    "duckdb": peers.duckdb(SQL),
    "polars": peers.polars(lambda pl, events: events.filter(pl.col("amount") >= 990)),
    "chdb": peers.chdb(SQL),
    "datafusion": peers.datafusion(SQL),
    "pyspark": peers.pyspark(lambda fn, events: events.where(fn.col("amount") >= 990)),
}
