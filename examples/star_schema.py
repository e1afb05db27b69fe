"""A star schema from flat rows: dimensions with keys of their own, and facts of keys and numbers.

    penstock run examples/star_schema.py -p output=warehouse

A key is the place of its member in the order of first appearance. So a load of more days gives the members that were
there their old keys, as long as no earlier day is added.
"""

from __future__ import annotations

import penstock as ps

job = ps.Job("star_schema")

SALES = [
    {"sold_at": "2026-03-01 09:12:00", "store": "Oslo", "region": "north", "product": "lamp", "n": 2, "cents": 7800},
    {"sold_at": "2026-03-01 10:40:00", "store": "Rome", "region": "south", "product": "chair", "n": 4, "cents": 31600},
    {"sold_at": "2026-03-02 18:05:00", "store": "Oslo", "region": "north", "product": "rug", "n": 1, "cents": 12900},
    {"sold_at": "2026-03-02 18:30:00", "store": "Rome", "region": "south", "product": "lamp", "n": 1, "cents": 3900},
    {"sold_at": "2026-03-03 08:30:00", "store": "Bonn", "region": None, "product": "lamp", "n": 1, "cents": 3900},
    {"sold_at": "2026-03-03 21:15:00", "store": None, "region": None, "product": "rug", "n": 1, "cents": 12900},
]


@job.source
def sales():
    """One row a sale, with everything that is known of it; in earnest, `ps.read("sales/*.parquet")`."""
    return ps.derive(ps.adopt(SALES), sold_at="sold_at::TIMESTAMP")


def dimension(sales, key, member, **attributes):
    """One row a member: its key, 1, 2, …; the member; its attributes, the latest that were told of each."""
    latest = {name: f"arg_max({column}, sold_at)" for name, column in attributes.items()}
    known = ps.where(sales, f"{member} IS NOT NULL")
    members = ps.aggregate(known, member, first_sold_at="min(sold_at)", **latest)
    columns = ", ".join([member, *attributes, "first_sold_at"])
    numbered = f"SELECT row_number() OVER (ORDER BY first_sold_at, {member}) AS {key}, {columns} FROM members"
    return ps.query(numbered, members=members)


@job.step(keep=True)
def stores(sales):
    """Where things are sold."""
    return dimension(sales, "store_key", "store", region="region")


@job.step(keep=True)
def products(sales):
    """What is sold."""
    return dimension(sales, "product_key", "product")


@job.sink("{output}/dim_store")
def dim_store(stores, output: str = "warehouse"):
    """The dimension of stores."""
    return stores


@job.sink("{output}/dim_product")
def dim_product(products, output: str = "warehouse"):
    """The dimension of products."""
    return products


@job.sink("{output}/dim_date")
def dim_date(sales, output: str = "warehouse"):
    """The dimension of days: its key is the day as a number, such as 20260301."""
    days = ps.distinct(ps.derive(sales, date="sold_at::DATE"), "date")
    return ps.derive(
        days,
        date_key="year(date) * 10000 + month(date) * 100 + day(date)",
        year="year(date)", quarter="quarter(date)", month="month(date)", weekday="dayname(date)",
    )  # fmt: skip


@job.sink("{output}/fact_sales", partition_by="date_key")
def fact_sales(sales, stores, products, output: str = "warehouse"):
    """Keys and numbers. A sale without a store has the key 0, so that a join on it loses nothing to null."""
    with_store = ps.join(sales, stores, on="store", how="left", expect="m:1")
    with_both = ps.join(with_store, products, on="product", how="left", expect="m:1")
    return ps.query(
        """
        SELECT year(sold_at) * 10000 + month(sold_at) * 100 + day(sold_at) AS date_key,
               coalesce(store_key, 0) AS store_key, coalesce(product_key, 0) AS product_key, sold_at, n, cents
        FROM t
        """,
        t=with_both,
    )
