"""sessions: one row a session of 30 minutes' pause, by integer and by text keys; events in the order of time.

`lag` and a running sum are the SQL that everyone writes. Those named text have keys such as `user 17`: compare them
with text-penstock.
"""

from dataclasses import replace
from types import ModuleType
from typing import Any

import penstock as ps
from bench import data, peers

LAG_AND_SUM = """
    select user_id, session::bigint as session, min(ts) as started_at, max(ts) as ended_at, count(*) as events
    from (
        select user_id, ts, sum(starts) over (partition by user_id order by ts) as session
        from (
            select user_id, ts, case when ts - lag(ts) over (partition by user_id order by ts) <= {pause}
                                then 0 else 1 end as starts
            from {events}
        ) as lagged
    ) as numbered
    group by user_id, session
"""
HALF_HOUR = "interval '30 minutes'"
TEXT = "(select 'user ' || user_id as user_id, ts from events) as named"

ORDERED = False
DATA = data.visits


def polars_sessions(pl: ModuleType, events: Any) -> Any:
    """Polars: sorted once, then differences and a running sum by user."""
    pause = (pl.col("ts") - pl.col("ts").shift().over("user_id")) <= pl.duration(minutes=30)
    return (
        events.select("user_id", "ts")
        .sort("user_id", "ts")
        .with_columns((~pause.fill_null(False)).cast(pl.Int64).cum_sum().over("user_id").alias("session"))
        .group_by("user_id", "session")
        .agg(
            pl.col("ts").min().alias("started_at"),
            pl.col("ts").max().alias("ended_at"),
            pl.len().cast(pl.Int64).alias("events"),
        )
    )


def polars_text(pl: ModuleType, events: Any) -> Any:
    """The same by text."""
    return polars_sessions(pl, events.with_columns(pl.format("user {}", "user_id").alias("user_id")))


def session_window(fn: ModuleType, events: Any) -> Any:
    """PySpark: its own session window, which ends a pause after the last event and has no number."""
    window = fn.session_window("ts", "30 minutes")
    return (
        events.groupBy("user_id", window.alias("window"))
        .agg(fn.min("ts").alias("started_at"), fn.max("ts").alias("ended_at"), fn.count("*").alias("events"))
        .drop("window")
    )


def two_windows(fn: ModuleType, events: Any) -> Any:
    """PySpark: lag and a running sum."""
    from pyspark.sql import Window

    window = Window.partitionBy("user_id").orderBy("ts")
    starts = fn.when(fn.col("ts") - fn.lag("ts").over(window) <= fn.expr("INTERVAL 30 MINUTES"), 0).otherwise(1)
    return (
        events.select("user_id", "ts", starts.alias("starts"))
        .withColumn("session", fn.sum("starts").over(window))
        .groupBy("user_id", "session")
        .agg(fn.min("ts").alias("started_at"), fn.max("ts").alias("ended_at"), fn.count("*").alias("events"))
    )


def named(events: Any) -> Any:
    """The events with text keys."""
    return ps.query("SELECT 'user ' || user_id AS user_id, ts FROM t", t=events)


TIMES = ("started_at", "ended_at", "events")

CONTENDERS = {
    **peers.penstock(lambda events: ps.sessions(events, "user_id", "ts")),
    "duckdb": peers.duckdb(LAG_AND_SUM.format(events="events", pause=HALF_HOUR)),
    "polars": peers.polars(polars_sessions),
    "chdb": peers.chdb(LAG_AND_SUM.format(events="events", pause=1800)),  # there times differ by a number of seconds
    "datafusion": peers.datafusion(LAG_AND_SUM.format(events="events", pause=HALF_HOUR)),
    "pyspark": peers.pyspark(two_windows),
    "pyspark-session-window": peers.pyspark(session_window, determined=("user_id", *TIMES)),
    "text-penstock": replace(
        peers.penstock(lambda events: ps.sessions(named(events), "user_id", "ts"))["penstock-duckdb"], determined=TIMES
    ),
    "text-duckdb": peers.duckdb(LAG_AND_SUM.format(events=TEXT, pause=HALF_HOUR), determined=TIMES),
    "text-polars": peers.polars(polars_text, determined=TIMES),
}
