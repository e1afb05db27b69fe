"""Mistakes for the tests of findings: for each code, what makes it, and a sibling that does not."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

import penstock as ps
from penstock.plans.paper import Paper

__all__ = ["CASES", "Case", "events", "made", "on_paper", "twice"]


def events(rows: int) -> pa.Table:
    """Events in the order of time, three in ten of no known user."""
    i = np.arange(rows)
    return pa.table(
        {
            "id": i,
            "user_id": ["anonymous" if n % 10 < 3 else f"u{n * 7919 % 5000}" for n in range(rows)],
            "country": [f"c{n % 50}" for n in range(rows)],
            "amount": i * 31 % 1000,
            "token": [hashlib.md5(b"%d" % n).hexdigest() for n in range(rows)],
            "ts": pa.array(1_767_225_600_000_000 + i * 60_000_000, pa.timestamp("us")),
        }
    )


def on_paper(text: str, **tables: Any) -> Callable[[Paper], Any]:
    """A query in Spark's own words, as it comes from a DataFrame: what `ps.query` refuses may be in it."""
    return lambda paper: paper.query(text, {name: paper.again(table) for name, table in tables.items()})


# -- each mistake, and its sibling that is none -----------------------------------------------------------------------

LISTS = "(SELECT user_id, list(amount ORDER BY amount) AS l FROM ev GROUP BY ALL)"
GROUPS = "WITH g AS (SELECT user_id, country, count(*) AS n FROM ev GROUP BY ALL) SELECT a.n"
FEW = "about LIKE '%00'"
DAY = "TIMESTAMP '2026-01-04'"


def made(case: Case, data: SimpleNamespace) -> Any:
    """What a case stands for: a query over the tables that it names, or what a function makes of them."""
    if callable(case):
        return case(data)
    return ps.query(case, **{name: table for name, table in vars(data).items() if re.search(rf"\b{name}\b", case)})


def twice(d: SimpleNamespace) -> list[Any]:
    """Two tables that are built on the sessions of a third."""
    visits = ps.sessionize(d.ev, by="country", at="ts")
    return [ps.aggregate(visits, "country", n="max(session)"), ps.aggregate(visits, "user_id", n="max(session)")]


def joined(d: SimpleNamespace, how: str = "inner", where: str = FEW) -> Any:
    """Events with some of the users."""
    return ps.join(d.ev, ps.where(d.us, where), "user_id", how=how, strategy="shuffle")


def groups(d: SimpleNamespace, key: str) -> Any:
    """Two groups of the same rows, by one key or by two."""
    one = ps.aggregate(d.ev, "user_id", n="count(*)")
    return ps.join(one, ps.aggregate(ps.where(d.ev, "amount > 20"), key, m="max(amount)"), {"user_id": key}, how="left")


#: A query in DuckDB's dialect, or a function of the tables.
Case: TypeAlias = "str | Callable[[SimpleNamespace], Any]"

CASES: dict[str, list[tuple[Case, Case]]] = {
    "PEN201": [
        (f"SELECT user_id, len(l) AS n, list_max(l) AS m FROM {LISTS}", f"SELECT user_id, len(l) AS n, l FROM {LISTS}"),
        (
            f"SELECT user_id, len(list_filter(l, x -> x > 5)) AS n FROM {LISTS}",
            f"SELECT user_id, list_filter(l, x -> x > 5) AS n FROM {LISTS}",
        ),
        (
            f"SELECT s.user_id, n FROM (SELECT user_id, len(l) AS n FROM {LISTS}) AS s JOIN us USING (user_id)",
            f"SELECT s.user_id, l FROM {LISTS} AS s JOIN us USING (user_id)",
        ),
    ],
    "PEN202": [
        (joined, lambda d: joined(d, where="true")),
        # The right keeps what it has alone, so it cannot be sent.
        (lambda d: joined(d, "left"), lambda d: joined(d, "right")),
        # Above, the rows go on by the same key: they would have to cross there.
        (joined, lambda d: ps.query("SELECT user_id, list(id ORDER BY id) AS l FROM t GROUP BY ALL", t=joined(d))),
    ],
    "PEN203": [
        (
            lambda d: ps.sessionize(d.ev, by="user_id", at="ts"),
            lambda d: ps.sessionize(d.ev, by={"k": "id % 997"}, at="ts"),
        ),
        (
            "SELECT user_id, list(id ORDER BY id) AS l FROM ev GROUP BY ALL",
            "SELECT user_id, count(*) AS n FROM ev GROUP BY ALL",
        ),
        # Of few keys each is many times the mean; none dominates.
        (
            "SELECT id, lag(id) OVER (PARTITION BY user_id ORDER BY id) AS n FROM ev",
            "SELECT id, lag(id) OVER (PARTITION BY id % 4 ORDER BY id) AS n FROM ev",
        ),
    ],
    "PEN204": [(lambda d: groups(d, "user_id"), lambda d: groups(d, "country"))],
    "PEN205": [
        ("SELECT ev.id, us.plan FROM ev, us", "SELECT ev.id, us.plan FROM ev, us WHERE ev.user_id = us.user_id"),
        (
            "SELECT a.id, b.id AS o FROM ev AS a JOIN ev AS b USING (country)",
            "SELECT a.id, b.ts FROM ev AS a JOIN ev AS b USING (id)",
        ),
        (
            "SELECT ev.id FROM ev JOIN us ON ev.amount < length(us.about)",
            "SELECT id, amount / (SELECT max(amount) FROM ev) AS r FROM ev",
        ),
    ],
    "PEN206": [(lambda d: d.many, lambda d: d.few)],
    "PEN207": [
        ("SELECT country, count(*) AS n FROM csv GROUP BY ALL", "SELECT * FROM csv WHERE amount > 5"),
        ("SELECT count(*) AS n FROM csv", "SELECT count(*) AS n FROM ev"),
    ],
    "PEN208": [
        (twice, lambda d: twice(d)[0]),
        (
            f"{GROUPS}, b.n AS m FROM g AS a JOIN g AS b ON a.user_id = b.user_id AND a.n < b.n + 1",
            f"{GROUPS}, b.plan FROM g AS a JOIN us AS b ON a.user_id = b.user_id",
        ),
        (
            "SELECT a.id FROM csv AS a JOIN csv AS b ON a.id = b.amount",
            "SELECT a.id FROM ev AS a JOIN ev AS b ON a.id = b.amount",
        ),
    ],
    "PEN209": [
        (
            "SELECT *, row_number() OVER (ORDER BY ts) AS n FROM ev",
            "SELECT * FROM ev QUALIFY row_number() OVER (ORDER BY ts) <= 5",
        ),
        (
            "SELECT *, lag(amount) OVER (ORDER BY ts) AS n FROM ev",
            "SELECT *, lag(amount) OVER (PARTITION BY user_id ORDER BY ts) AS n FROM ev",
        ),
        (
            "SELECT *, row_number() OVER (ORDER BY ts) AS n FROM ev",
            "SELECT *, row_number() OVER (ORDER BY n) AS r FROM (SELECT country, count(*) AS n FROM ev GROUP BY ALL)",
        ),
    ],
    "PEN210": [
        (lambda d: on_paper("SELECT *, rand() AS r FROM t", t=d.ev), "SELECT *, md5(user_id) AS r FROM ev"),
        (lambda d: on_paper("SELECT * FROM t WHERE ts < now()", t=d.ev), f"SELECT * FROM ev WHERE ts < {DAY}"),
        (lambda d: on_paper("SELECT * FROM t TABLESAMPLE (10 PERCENT)", t=d.ev), lambda d: d.ev),
        (lambda d: on_paper("SELECT uuid() AS u, * FROM t", t=d.ev), "SELECT * FROM ev LIMIT 10"),
        (
            "SELECT country, count(*) AS n FROM (SELECT * FROM ev LIMIT 99) GROUP BY ALL",
            "SELECT country, count(*) AS n FROM (SELECT * FROM ev ORDER BY id LIMIT 99) GROUP BY ALL",
        ),
    ],
    "PEN211": [(lambda d: d.gz, lambda d: d.csv)],
    "PEN213": [
        (lambda d: ps.count_distinct(d.ev, "id"), lambda d: ps.count_distinct(d.ev, "id", error=0.02)),
        (
            "SELECT count(DISTINCT id) AS n FROM ev",
            "SELECT country, count(DISTINCT id) AS n FROM ev GROUP BY ALL",  # as many bytes in sketches
        ),
    ],
    "PEN214": [
        (
            "SELECT * FROM ev QUALIFY ts = max(ts) OVER (PARTITION BY country)",
            lambda d: ps.top_n(d.ev, "country", "ts desc", ties="all"),
        ),
        (
            "SELECT * FROM ev QUALIFY rank() OVER (PARTITION BY country ORDER BY ts) IN (1, 3)",
            "SELECT * FROM ev QUALIFY rank() OVER (PARTITION BY country ORDER BY ts) <= 3",
        ),
        (
            "SELECT * FROM ev QUALIFY ts = min(ts) OVER (PARTITION BY country)",
            "SELECT * FROM ev QUALIFY ts = min(ts) OVER (PARTITION BY id)",  # leaves nothing out
        ),
    ],
    "PEN215": [
        (
            "SELECT lag(id) OVER (PARTITION BY country ORDER BY ts) AS n FROM (SELECT * FROM ev ORDER BY id)",
            "SELECT lag(id) OVER (PARTITION BY country ORDER BY ts) AS n FROM ev ORDER BY n",
        ),
        (
            "SELECT id FROM (SELECT id FROM ev ORDER BY amount) UNION ALL SELECT id FROM ev",
            "SELECT country, count(*) AS n FROM (SELECT * FROM ev ORDER BY id) GROUP BY ALL",  # left out by Spark
        ),
    ],
    "PEN216": [
        (
            f"SELECT * FROM ev WHERE date_trunc('day', ts) = {DAY}",
            f"SELECT * FROM ev WHERE ts >= {DAY} AND ts < TIMESTAMP '2026-01-05'",
        ),
        ("SELECT * FROM ev WHERE year(ts) = 2025", "SELECT * FROM ev WHERE year(ts) = 2026"),
        (
            "SELECT * FROM ev WHERE date_trunc('hour', ts) = TIMESTAMP '2026-01-04 10:00:00'",
            "SELECT * FROM ev WHERE date_trunc('month', ts) = TIMESTAMP '2026-01-01'",
        ),
    ],
}
