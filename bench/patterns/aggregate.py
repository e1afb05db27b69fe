"""aggregate: the sum, the mean and the number of events of each country, nine rows in ten being of one."""

import penstock as ps
from bench import peers

SQL = "select country, sum(amount) as total, avg(amount) as mean, count(*) as n from events group by country"

ORDERED = False

CONTENDERS = {
    **peers.penstock(
        lambda events: ps.aggregate(events, "country", total="sum(amount)", mean="avg(amount)", n="count(*)")
    ),
    "duckdb": peers.duckdb(SQL),
    "polars": peers.polars(
        lambda pl, events: events.group_by("country").agg(
            pl.sum("amount").alias("total"), pl.mean("amount").alias("mean"), pl.len().alias("n")
        )
    ),
    "chdb": peers.chdb(SQL),
    "datafusion": peers.datafusion(SQL),
    "pyspark": peers.pyspark(
        lambda fn, events: events.groupBy("country").agg(
            fn.sum("amount").alias("total"), fn.mean("amount").alias("mean"), fn.count("*").alias("n")
        )
    ),
}
