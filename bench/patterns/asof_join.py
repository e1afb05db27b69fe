"""asof_join: each event with the latest payment of its user that is not after it; one event in four is a payment.

Payments of one user and second are told apart by their amount, so that every contender has to find the same one.
"""

from types import ModuleType
from typing import Any

import penstock as ps
from bench import peers

PAYMENT = "round(amount * 100)::bigint % 4 = 0"
ORDERED = False

SQL = f"""
    with payments as (select user_id, ts, min(amount) as paid from events where {PAYMENT} group by user_id, ts)
    select e.user_id, e.ts, e.amount, p.ts as ts_right, p.paid
    from events as e asof left join payments as p on e.user_id = p.user_id and e.ts >= p.ts
"""

# Where there is no such join: both sides in one column of times, along which the latest payment is carried.
CARRIED = f"""
    select user_id, ts, amount, ts_right, paid
    from (
        select user_id, ts, amount, paid_at,
            last_value(paid_at) ignore nulls over (partition by user_id order by ts) as ts_right,
            last_value(paid) ignore nulls over (partition by user_id order by ts) as paid
        from (
            select user_id, ts, amount, null as paid_at, null as paid from events
            union all
            select user_id, ts, null, ts as paid_at, min(amount) as paid
            from events where {PAYMENT} group by user_id, ts
        ) as both_sides
    ) as carried
    where paid_at is null
"""


def ours(events: Any) -> Any:
    """The payments are made one a second before, as for the others; `asof_join` looks for ties all the same."""
    paid = ps.aggregate(ps.where(events, PAYMENT), ["user_id", "ts"], paid="min(amount)")
    asked = ps.query("SELECT user_id, ts, amount FROM e", e=events)
    return ps.asof_join(asked, paid, on="user_id", at="ts")


def polars(pl: ModuleType, events: Any) -> Any:
    """Polars: sorted by time, as its join wants it."""
    cents = (pl.col("amount") * 100).round().cast(pl.Int64)
    paid = events.filter(cents % 4 == 0).group_by("user_id", "ts").agg(pl.min("amount").alias("paid"))
    paid = paid.with_columns(pl.col("ts").alias("ts_right")).sort("ts")
    asked = events.select("user_id", "ts", "amount").sort("ts")
    found = asked.join_asof(paid, on="ts", by="user_id", check_sortedness=False)
    return found.select("user_id", "ts", "amount", "ts_right", "paid")


def carried(fn: ModuleType, events: Any) -> Any:
    """PySpark: both sides in one table, along which the latest payment is carried."""
    from pyspark.sql import Window

    window = Window.partitionBy("user_id").orderBy("ts")
    paid = events.where(PAYMENT).groupBy("user_id", "ts").agg(fn.min("amount").alias("paid"))
    both = events.select("user_id", "ts", "amount").unionByName(
        paid.withColumn("paid_at", fn.col("ts")), allowMissingColumns=True
    )
    return (
        both.withColumn("ts_right", fn.last("paid_at", ignorenulls=True).over(window))
        .withColumn("paid", fn.last("paid", ignorenulls=True).over(window))
        .where("paid_at is null")
        .drop("paid_at")
    )


CONTENDERS = {
    **peers.penstock(ours),
    "duckdb": peers.duckdb(SQL),
    "polars": peers.polars(polars),
    "chdb": peers.chdb(SQL),
    "datafusion": peers.datafusion(CARRIED),
    "pyspark": peers.pyspark(carried),
}
