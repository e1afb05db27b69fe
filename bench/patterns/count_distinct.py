"""count_distinct: how many users each country has, exactly; nearly all of them are in one country."""

import penstock as ps
from bench import peers

SQL = "select country, count(distinct user_id) as n from events group by country"
TWO_STEPS = """
    select country, count(*) as n from (select distinct country, user_id from events) group by country
"""

ORDERED = False

CONTENDERS = {
    **peers.penstock(lambda events: ps.count_distinct(events, "user_id", by="country")),
    "duckdb": peers.duckdb(SQL),
    "duckdb-two-steps": peers.duckdb(TWO_STEPS),
    "polars": peers.polars(lambda pl, events: events.group_by("country").agg(pl.col("user_id").n_unique().alias("n"))),
    "chdb": peers.chdb(SQL),
    "datafusion": peers.datafusion(SQL),
    "pyspark": peers.pyspark(lambda fn, events: events.groupBy("country").agg(fn.count_distinct("user_id").alias("n"))),
}
