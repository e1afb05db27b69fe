"""sessionize: every event with the number of its session and the session's start; pauses of 30 minutes."""

import penstock as ps
from bench import data, peers

TWO_WINDOWS = """
    select user_id, ts, url, session, min(ts) over (partition by user_id, session) as session_start
    from (
        select user_id, ts, url, sum(starts) over (partition by user_id order by ts)::bigint as session
        from (
            select *, case when ts - lag(ts) over (partition by user_id order by ts) <= interval '30 minutes'
                      then 0 else 1 end as starts
            from events
        ) as lagged
    ) as numbered
"""

ORDERED = False
DATA = data.visits

CONTENDERS = {
    **peers.penstock(lambda events: ps.sessionize(events, "user_id", "ts")),
    "duckdb": peers.duckdb(TWO_WINDOWS),
    "datafusion": peers.datafusion(TWO_WINDOWS),
}
