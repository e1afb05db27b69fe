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


CONTENDERS = {
    **peers.penstock(ours),
    "duckdb-asof": peers.duckdb(SQL),
    "polars": peers.polars(polars),
}
