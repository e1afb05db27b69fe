"""join: each event with its user, a tenth as many users as events; then the few that a product of both sides leaves.

The last filter cannot be moved before the join, so every row is joined, and the answer is small.
"""

from pathlib import Path
from types import ModuleType
from typing import Any

import penstock as ps
from bench import data, peers

KEPT = "amount * rate > 990"
SQL = f"""
    select user_id, ts, url, country, amount, name, plan, rate
    from (select events.*, name, plan, rate from events join users on events.user_id = users.user_id) as joined
    where {KEPT}
"""

ORDERED = False


def beside(path: Path) -> dict[str, Path]:
    """The users of these events."""
    return {"users": data.users(path)}


def joined(fn: ModuleType, events: Any, users: Any) -> Any:
    """PySpark, left alone: it broadcasts what it believes to be below 10 MB."""
    return events.join(users, "user_id").where(KEPT)


def merged(fn: ModuleType, events: Any, users: Any) -> Any:
    """PySpark, told to sort both sides and merge."""
    return events.join(users.hint("merge"), "user_id").where(KEPT)


CONTENDERS = {
    **peers.penstock(lambda events, users: ps.where(ps.join(events, users, "user_id"), KEPT), beside=beside),
    "duckdb": peers.duckdb(SQL, beside=beside),
    "polars": peers.polars(
        lambda pl, events, users: events.join(users, on="user_id").filter(pl.col("amount") * pl.col("rate") > 990),
        beside=beside,
    ),
    "chdb": peers.chdb(SQL, beside=beside),
    "datafusion": peers.datafusion(SQL, beside=beside),
    "pyspark": peers.pyspark(joined, beside=beside),
    "pyspark-merge": peers.pyspark(merged, beside=beside),
}
