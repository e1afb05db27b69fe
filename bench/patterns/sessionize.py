"""sessionize: every event with the number of its session and the session's start; pauses of 30 minutes."""

from types import ModuleType
from typing import Any

import penstock as ps
from bench import data, peers

TWO_WINDOWS = """
    select user_id, ts, url, session, min(ts) over (partition by user_id, session) as session_start
    from (
        select user_id, ts, url, sum(starts) over (partition by user_id order by ts)::bigint as session
        from (
            select *, case when ts - lag(ts) over (partition by user_id order by ts) <= {pause}
                      then 0 else 1 end as starts
            from events
        ) as lagged
    ) as numbered
"""
HALF_HOUR = "interval '30 minutes'"

ORDERED = False
DATA = data.visits


def polars(pl: ModuleType, events: Any) -> Any:
    """Polars: sorted once, then differences and a running sum by user."""
    pause = (pl.col("ts") - pl.col("ts").shift().over("user_id")) <= pl.duration(minutes=30)
    return (
        events.sort("user_id", "ts")
        .with_columns((~pause.fill_null(False)).cast(pl.Int64).cum_sum().over("user_id").alias("session"))
        .with_columns(pl.col("ts").min().over("user_id", "session").alias("session_start"))
    )


def two_windows(fn: ModuleType, events: Any) -> Any:
    """PySpark: the same two windows."""
    from pyspark.sql import Window

    window = Window.partitionBy("user_id").orderBy("ts")
    starts = fn.when(fn.col("ts") - fn.lag("ts").over(window) <= fn.expr("INTERVAL 30 MINUTES"), 0).otherwise(1)
    return (
        events.withColumn("starts", starts)
        .withColumn("session", fn.sum("starts").over(window))
        .withColumn("session_start", fn.min("ts").over(Window.partitionBy("user_id", "session")))
        .drop("starts")
    )


CONTENDERS = {
    **peers.penstock(lambda events: ps.sessionize(events, "user_id", "ts")),
    "duckdb": peers.duckdb(TWO_WINDOWS.format(pause=HALF_HOUR)),
    "polars": peers.polars(polars),
    "chdb": peers.chdb(TWO_WINDOWS.format(pause=1800)),  # there a difference of times is a number of seconds
    "datafusion": peers.datafusion(TWO_WINDOWS.format(pause=HALF_HOUR)),
    "pyspark": peers.pyspark(two_windows),
}
