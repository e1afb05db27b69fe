"""distinct: the pairs of user and country that occur, one for each four to eight rows."""

import penstock as ps
from bench import peers

SQL = "select distinct user_id, country from events"

ORDERED = False

CONTENDERS = {
    **peers.penstock(lambda events: ps.distinct(events, "user_id", "country")),
    "duckdb": peers.duckdb(SQL),
    "polars": peers.polars(lambda pl, events: events.select("user_id", "country").unique()),
    "chdb": peers.chdb(SQL),
    "datafusion": peers.datafusion(SQL),
    "pyspark": peers.pyspark(lambda fn, events: events.select("user_id", "country").distinct()),
}
