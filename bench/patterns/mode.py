"""mode: the most frequent user of a tenth as many users as rows, the least of equals."""

import penstock as ps
from bench import peers

SQL = "select user_id as value, count(*) as n from events group by user_id order by n desc, value limit 1"

ORDERED = False

CONTENDERS = {
    **peers.penstock(lambda events: ps.mode(events, "user_id")),
    "duckdb": peers.duckdb(SQL),
    "polars": peers.polars(
        lambda pl, events: (
            events.group_by(pl.col("user_id").alias("value"))
            .agg(pl.len().alias("n"))
            .sort("n", "value", descending=[True, False])
            .head(1)
        )
    ),
    "chdb": peers.chdb(SQL),
    "datafusion": peers.datafusion(SQL),
    "pyspark": peers.pyspark(
        lambda fn, events: (
            events.groupBy(fn.col("user_id").alias("value"))
            .agg(fn.count("*").alias("n"))
            .orderBy(fn.desc("n"), "value")
            .limit(1)
        )
    ),
}
