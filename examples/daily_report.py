"""A report a day: what was sold, to how many, and what sold best, beside the week before.

    penstock run examples/daily_report.py -p output=report

The rows stand here, so that it runs as it is. In earnest `orders` reads files: `return ps.read("orders/*.csv")`.
"""

from __future__ import annotations

import penstock as ps

job = ps.Job("daily_report")

ORDERS = """
2026-03-01 09:12:00  1  lamp   2  3900
2026-03-01 10:40:00  2  chair  4  7900
2026-03-01 18:05:00  1  rug    1 12900
2026-03-02 08:30:00  3  lamp   1  3900
2026-03-02 21:15:00  2  lamp   1  3900
2026-03-04 11:00:00  4  rug    2 12900
2026-03-04 11:45:00  1  chair  1  7900
"""


@job.source
def orders():
    """One row an order: when, who, what, how many, and the price of one in cents."""
    rows = [line.split() for line in ORDERS.strip().splitlines()]
    return ps.adopt(
        [
            {"at": f"{day} {time}", "customer": int(who), "product": what, "pieces": int(pieces), "price": int(price)}
            for day, time, who, what, pieces, price in rows
        ]
    )


@job.step
def sales(orders):
    """With the day, and what the order came to."""
    return ps.derive(orders, day="at::TIMESTAMP::DATE", cents="pieces * price")


@job.step
def days(sales):
    """A row a day on which something was sold."""
    return ps.aggregate(
        sales, "day", orders="count(*)", customers="count(DISTINCT customer)", pieces="sum(pieces)", cents="sum(cents)"
    )


@job.step
def best_sellers(sales):
    """What brought in most, each day."""
    products = ps.aggregate(sales, ["day", "product"], cents="sum(cents)")
    best = ps.top_n(products, by="day", order="cents desc", n=1)
    return ps.query("SELECT day, product AS best_seller FROM best", best=best)


@job.sink("{output}.csv", sort_by="day")
def report(days, best_sellers, output: str = "report"):
    """The two together, with the sum of the seven days that end there."""
    beside = ps.join(days, best_sellers, on="day", expect="1:1")
    return ps.query(
        """
        SELECT *, sum(cents) OVER (ORDER BY day RANGE BETWEEN INTERVAL 6 DAY PRECEDING AND CURRENT ROW) AS week_cents
        FROM beside
        """,
        beside=beside,
    )
