"""sort: every event in the order of time, equals by the other columns, all of them fetched."""

import penstock as ps
from bench import peers

SQL = "select * from events order by ts, user_id, url, country, amount"
KEYS = ("ts", "user_id", "url", "country", "amount")

ORDERED = True

CONTENDERS = {
    **peers.penstock(lambda events: ps.sort(events, "ts")),
    "duckdb": peers.duckdb(SQL),
    "polars": peers.polars(lambda pl, events: events.sort(*KEYS), engine="in-memory"),  # 3x its streaming sort
    "chdb": peers.chdb(SQL),
    "datafusion": peers.datafusion(SQL),
    "pyspark": peers.pyspark(lambda fn, events: events.orderBy(*KEYS)),
}
