"""dedup: the first event of each user and url, whole; nearly all events are of different ones.

Most contenders break ties of time by the other columns, as Penstock does; those named any-ties do not.
"""

from types import ModuleType
from typing import Any

import penstock as ps
from bench import peers

KEYS = ["user_id", "url"]
COLUMNS = "user_id, ts, url, country, amount"
ROW_NUMBER = f"""
    select {COLUMNS} from (
        select *, row_number() over (partition by user_id, url order by {{order}}) as place from events
    ) as numbered
    where place = 1
"""
EVERY_TIE = "ts, country, amount"

ORDERED = False


def row_number(fn: ModuleType, events: Any) -> Any:
    """PySpark: the window that everyone writes."""
    from pyspark.sql import Window

    window = Window.partitionBy(*KEYS).orderBy("ts", "country", "amount")
    return events.withColumn("place", fn.row_number().over(window)).where("place = 1").drop("place")


CONTENDERS = {
    **peers.penstock(lambda events: ps.dedup(events, KEYS, at="ts")),
    "duckdb": peers.duckdb(ROW_NUMBER.format(order=EVERY_TIE)),
    "duckdb-distinct-on": peers.duckdb(
        f"select distinct on (user_id, url) {COLUMNS} from events order by user_id, url, {EVERY_TIE}"
    ),
    "polars": peers.polars(
        lambda _, events: events.sort("ts", "country", "amount").unique(KEYS, keep="first", maintain_order=False)
    ),
    "chdb": peers.chdb(f"select {COLUMNS} from events order by user_id, url, {EVERY_TIE} limit 1 by user_id, url"),
    "datafusion": peers.datafusion(ROW_NUMBER.format(order=EVERY_TIE)),
    "pyspark": peers.pyspark(row_number),
    "duckdb-any-ties": peers.duckdb(ROW_NUMBER.format(order="ts"), determined=("user_id", "ts", "url")),
    "polars-any-ties": peers.polars(
        lambda _, events: events.sort("ts").unique(KEYS, keep="first", maintain_order=False),
        determined=("user_id", "ts", "url"),
    ),
    "pyspark-drop-duplicates": peers.pyspark(
        lambda _, events: events.dropDuplicates(KEYS), determined=("user_id", "url")
    ),
}
