"""A feature table: what was known of each customer at the moment of a question, and nothing of later.

    penstock run examples/features.py -p output=features.parquet

`questions` says whom to look at and when, with the answer that came later; every feature is computed from what was
there before that moment, so that a model is trained on what it will have.
"""

from __future__ import annotations

import penstock as ps

job = ps.Job("features")

ORDERS = [
    {"customer": 1, "ordered_at": "2026-01-05 10:00:00", "cents": 3900},
    {"customer": 1, "ordered_at": "2026-02-20 12:00:00", "cents": 12900},
    {"customer": 1, "ordered_at": "2026-03-02 09:00:00", "cents": 7900},
    {"customer": 2, "ordered_at": "2026-02-27 17:30:00", "cents": 1500},
    {"customer": 2, "ordered_at": "2026-03-15 08:00:00", "cents": 2500},
]
PLANS = [
    {"customer": 1, "since": "2026-01-01 00:00:00", "plan": "free"},
    {"customer": 1, "since": "2026-02-15 00:00:00", "plan": "plus"},
    {"customer": 2, "since": "2026-03-10 00:00:00", "plan": "free"},
]
QUESTIONS = [
    {"customer": 1, "asked_at": "2026-03-01 00:00:00", "churned": False},
    {"customer": 1, "asked_at": "2026-01-01 00:00:00", "churned": False},
    {"customer": 2, "asked_at": "2026-03-01 00:00:00", "churned": True},
    {"customer": 3, "asked_at": "2026-03-01 00:00:00", "churned": True},
]


@job.source
def orders():
    """What was bought."""
    return ps.derive(ps.adopt(ORDERS), ordered_at="ordered_at::TIMESTAMP")


@job.source
def plans():
    """Which plan a customer has had since when."""
    return ps.derive(ps.adopt(PLANS), since="since::TIMESTAMP")


@job.source
def questions():
    """Whom to look at, and when; `churned` is what the model is to learn."""
    return ps.derive(ps.adopt(QUESTIONS), asked_at="asked_at::TIMESTAMP")


@job.step
def bought(questions, orders, days: int = 30):
    """Orders before the moment: how many, how much, how long ago the last."""
    met = ps.join(questions, orders, on="customer", expect="m:m")
    earlier = ps.where(met, "ordered_at < asked_at")
    recent = f"ordered_at >= asked_at - INTERVAL {days} DAY"
    return ps.aggregate(
        earlier, ["customer", "asked_at"],
        orders="count(*)",
        cents="sum(cents)",
        recent_orders=f"count_if({recent})",
        last_order_at="max(ordered_at)",
    )  # fmt: skip


@job.sink("{output}")
def features(questions, plans, bought, output: str = "features.parquet"):
    """One row a question."""
    with_plan = ps.asof_join(questions, plans, on="customer", at={"asked_at": "since"})
    with_orders = ps.join(with_plan, bought, on=["customer", "asked_at"], how="left", expect="1:1")
    return ps.query(
        """
        SELECT customer, asked_at,
               coalesce(plan, 'none') AS plan,
               date_diff('day', since, asked_at) AS days_on_plan,
               coalesce(orders, 0) AS orders,
               coalesce(cents, 0) AS cents,
               coalesce(recent_orders, 0) AS recent_orders,
               date_diff('day', last_order_at, asked_at) AS days_since_order,
               churned
        FROM t
        """,
        t=with_orders,
    )
