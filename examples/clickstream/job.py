"""The clicks of a day, from many servers, as visits: who came, from where, for how long, and what was looked at.

    penstock run examples/clickstream/job.py -p data=data -p output=lake
    penstock run examples/clickstream/job.py -p data=data -p output=lake --engine 'local[2]'  # the same, by Spark

`generate.py` writes the data; `demo.py` shows the whole. The steps, and what crosses a shuffle for them:

    logs ──check──▶ clicks of the day, once each ──▶ with country, user and page ──▶ visits ──▶ engagement
                    by event: every row              broadcast: nothing              by visitor: few columns
"""

from __future__ import annotations

from datetime import date

import penstock as ps

job = ps.Job("clickstream")

#: What a line holds. Told, not guessed: a guess would hang on which lines come first.
TYPES = {
    "event_id": "VARCHAR", "at": "TIMESTAMP", "received_at": "TIMESTAMP", "user_id": "BIGINT", "ip": "VARCHAR",
    "kind": "VARCHAR", "url": "VARCHAR", "cents": "BIGINT",
}  # fmt: skip

REQUIRED = ["event_id", "at", "received_at", "ip", "kind", "url"]  # a guest has no user, a view costs nothing
KINDS = ["view", "search", "share", "cart", "buy"]

OCTET = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
RULES = {
    "time is possible": "at BETWEEN received_at - INTERVAL 1 DAY AND received_at + INTERVAL 5 MINUTE",
    "address is one": f"ip LIKE '%:%' OR regexp_full_match(ip, '{OCTET}([.]{OCTET}){{3}}')",
}


@job.source
def events(data: str = "data", mended: str = ""):
    """Every line of every server. What is no event, or cannot be right, goes to the quarantine with its reasons.

    `penstock quarantine last events -o mended.ndjson` writes those lines; once they are mended, `-p mended=…` reads
    them beside the others.
    """
    lines = ps.read([f"{data}/logs/*/*.json.gz", *filter(None, [mended])], bad="quarantine", types=TYPES)
    return ps.check(lines, RULES, required=REQUIRED, allowed={"kind": KINDS}, fail_above=0.05)


@job.source
def users(data: str = "data"):
    """Who had signed up before the day."""
    return ps.read(f"{data}/users.parquet")


@job.source
def pages(data: str = "data"):
    """What is known of a URL."""
    return ps.read(f"{data}/pages.csv")


@job.source
def ranges(data: str = "data"):
    """Which country has which addresses."""
    return ps.read(f"{data}/ranges.csv")


@job.step
def unique(events, day: date = date(2026, 3, 1)):
    """The events of the day, once each: a sender that hears no answer within a second sends again."""
    of_the_day = ps.where(events, f"at >= DATE '{day}' AND at < DATE '{day}' + INTERVAL 1 DAY")
    return ps.dedup(of_the_day, by="event_id", at="at", within="1s")


@job.step
def countries(events, ranges):
    """The country of each address: looked up once an address, not once an event."""
    return ps.range_join(ps.distinct(events, "ip"), ranges, value="ip", low="first", high="last", how="left")


@job.step(keep=True)
def clicks(unique, countries, users, pages):
    """With country, plan and page: small tables, so they come to the events. What none of them knows is marked."""
    located = ps.join(unique, countries, on="ip", how="left", strategy="broadcast", expect="m:1")
    signed_in = ps.join(located, users, on="user_id", how="left", strategy="broadcast", expect="m:1")
    described = ps.join(signed_in, pages, on="url", how="left", strategy="broadcast", expect="m:1")
    return ps.query(
        """
        SELECT at, kind, url, title, section, cents,
               coalesce('user ' || user_id::VARCHAR, ip) AS visitor,
               coalesce(country, 'unknown') AS country,
               CASE WHEN user_id IS NULL THEN 'guest' ELSE coalesce(plan, 'new') END AS plan
        FROM described
        """,
        described=described,
    )


@job.step
def visits(clicks, gap: str = "30 minutes"):
    """One row a visit. It is of the country that it began in."""
    found = ps.sessions(
        clicks, by="visitor", at="at", gap=gap,
        country="arg_min(country, at)",
        plan="min(plan)",
        landed_on="arg_min(url, at)",
        views="count_if(kind = 'view')",
        purchases="count_if(kind = 'buy')",
        cents="coalesce(sum(cents), 0)",
    )  # fmt: skip
    return ps.derive(found, date="started_at::DATE", seconds="date_diff('second', started_at, ended_at)")


@job.sink("{output}/visits", partition_by=["date", "country"], sort_by="started_at")
def visit_lake(visits, output: str = "lake"):
    """For whoever looks into a day of a country."""
    return visits


@job.sink("{output}/engagement", partition_by="date")
def engagement(visits, output: str = "lake"):
    """A row a day, country and plan."""
    return ps.aggregate(
        visits, ["date", "country", "plan"],
        visitors="count(DISTINCT visitor)",
        visits="count(*)",
        bounces="count_if(events = 1)",
        events="sum(events)",
        seconds="sum(seconds)",
        purchases="sum(purchases)",
        cents="sum(cents)",
    )  # fmt: skip


@job.sink("{output}/top_pages", partition_by="date")
def top_pages(clicks, n: int = 100, output: str = "lake"):
    """The most viewed pages of the day."""
    views = ps.where(clicks, "kind = 'view'")
    keys = {"date": "at::DATE", "url": "url", "title": "title", "section": "section"}
    counted = ps.aggregate(views, keys, views="count(*)", visitors="count(DISTINCT visitor)")
    return ps.top_n(counted, by="date", order="views desc, url", n=n)
