"""top: the hundred most frequent urls of some 100,000, in order, equals by name."""

import penstock as ps
from bench import peers

SQL = "select url, count(*) as n from events group by url order by n desc, url limit 100"

ORDERED = True

CONTENDERS = {
    **peers.penstock(lambda events: ps.top(events, "url", n=100)),
    "duckdb": peers.duckdb(SQL),
    "polars": peers.polars(
        lambda pl, events: (
            events.group_by("url").agg(pl.len().alias("n")).sort("n", "url", descending=[True, False]).head(100)
        )
    ),
    "chdb": peers.chdb(SQL),
    "datafusion": peers.datafusion(SQL),
    "pyspark": peers.pyspark(
        lambda fn, events: events.groupBy("url").agg(fn.count("*").alias("n")).orderBy(fn.desc("n"), "url").limit(100)
    ),
}
