"""derive: the day of each event, of which the events of one day are fetched."""

import penstock as ps
from bench import peers

SQL = "select * from (select *, date_trunc('day', ts) as day from events) where day = timestamp '2026-01-15'"
DAY = "2026-01-15"

ORDERED = False

CONTENDERS = {
    **peers.penstock(
        lambda events: ps.where(ps.derive(events, day="date_trunc('day', ts)"), f"day = timestamp '{DAY}'")
    ),
    "duckdb": peers.duckdb(SQL),
    "polars": peers.polars(
        lambda pl, events: events.with_columns(day=pl.col("ts").dt.truncate("1d")).filter(
            pl.col("day") == pl.lit(DAY).str.to_datetime("%Y-%m-%d")
        )
    ),
    "chdb": peers.chdb(SQL),
    "datafusion": peers.datafusion(SQL),
    "pyspark": peers.pyspark(
        lambda fn, events: events.withColumn("day", fn.date_trunc("day", "ts")).where(fn.col("day") == fn.lit(DAY))
    ),
}
