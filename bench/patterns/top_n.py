"""top_n: the ten largest amounts of each country, as whole rows; nine rows in ten are of one country.

Amounts are cents below a thousand, so the tenth has many equals. Most contenders break such ties by the other columns;
those named any-ties do not, and only the countries and amounts of their rows can be compared.
"""

from types import ModuleType
from typing import Any

import penstock as ps
from bench import peers

ROW_NUMBER = """
    select user_id, ts, url, country, amount
    from (select *, row_number() over (partition by country order by {order}) as row_number from events) as numbered
    where row_number <= 10
"""
ALL_COLUMNS = "amount desc, user_id, ts, url"

# One struct as the only key keeps DuckDB's bounded heap, where several columns fall back to a sort of all rows.
STRUCT_KEY = ROW_NUMBER.format(order="(-amount, user_id, ts, url)")

# The fastest deterministic form found by hand: the tenth amount by a bounded heap, then a sort of what reaches it.
TENTH_FIRST = """
    with tenth as (
        select country, min(amount) as amount
        from (
            select country, amount from events
            qualify row_number() over (partition by country order by amount desc) <= 10
        )
        group by country
    )
    select events.*
    from events join tenth on events.country is not distinct from tenth.country
    where events.amount >= tenth.amount
    qualify row_number() over (partition by events.country order by events.amount desc, user_id, ts, url) <= 10
"""

ORDERED = False


def top_10(pl: ModuleType, events: Any, by: str | list[str], reverse: bool | list[bool]) -> Any:
    """Polars: the first ten of each column by the same order."""
    rows = pl.all().top_k_by(by, 10, reverse=reverse)
    return events.group_by("country").agg(rows).explode(pl.exclude("country"))


def row_number(fn: ModuleType, events: Any, *order: str) -> Any:
    """PySpark: the window that everyone writes."""
    from pyspark.sql import Window

    window = Window.partitionBy("country").orderBy(fn.desc("amount"), *order)
    return events.withColumn("row_number", fn.row_number().over(window)).where("row_number <= 10").drop("row_number")


CONTENDERS = {
    **peers.penstock(lambda events: ps.top_n(events, "country", "amount desc", n=10)),
    "duckdb": peers.duckdb(ROW_NUMBER.format(order=ALL_COLUMNS)),
    "duckdb-struct-key": peers.duckdb(STRUCT_KEY),
    "duckdb-tenth-first": peers.duckdb(TENTH_FIRST),
    "polars": peers.polars(
        lambda pl, events: top_10(pl, events, ["amount", "user_id", "ts", "url"], [False, True, True, True])
    ),
    "chdb": peers.chdb(f"select * from events order by country, {ALL_COLUMNS} limit 10 by country"),
    "datafusion": peers.datafusion(ROW_NUMBER.format(order=ALL_COLUMNS)),
    "pyspark": peers.pyspark(lambda fn, events: row_number(fn, events, "user_id", "ts", "url")),
    "duckdb-any-ties": peers.duckdb(ROW_NUMBER.format(order="amount desc"), determined=("country", "amount")),
    "polars-any-ties": peers.polars(
        lambda pl, events: top_10(pl, events, "amount", False), determined=("country", "amount")
    ),
    "pyspark-any-ties": peers.pyspark(row_number, determined=("country", "amount")),
}
