"""Sessions, one row each."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from penstock import sql
from penstock.aggregates import check, group
from penstock.made import remembered
from penstock.patterns.sessionize import with_sessions
from penstock.runs import Runs, length, micros, runs, time_column
from penstock.tables import By, Table, columns, engine_of, grouped, refuse_names, resolve

__all__ = ["sessions"]

RESULT = ("session", "started_at", "ended_at", "events")


@remembered
def sessions(
    t: Table, by: By, at: str, gap: str | timedelta = "30 minutes", max_length: str | timedelta | None = None,
    **aggregates: str,
) -> Table:  # fmt: skip
    """One row a session: when it began and ended, and how many events it has.

    For the rows with their sessions take `sessionize`.

    Args:
        t: A table of either engine.
        by: Whose sessions: the key columns.
        at: The column that says when.
        gap: A pause longer than this begins a new session.
        max_length: A session is cut where the next event would make it longer than this.
        **aggregates: Names with aggregates over the rows of a session, as in `aggregate`.

    Returns:
        The key columns, `session` (1, 2, … for each key, in the order of time), `started_at`, `ended_at`, `events`, and
        the aggregates. Rows without a time are one row a key, whose session and times are null.

    Cost:
        Spark: 1 exchange of keys, times and what the aggregates read. DuckDB: 1 sort of the same, which spills. With
        `max_length` they are kept once more, and sessions that are too long are gathered, each in memory, to be cut.

    Ties and nulls:
        Events of one time are of one session. A null key is a key.

    Raises:
        ColumnError: a column that the table does not have.
        UsageError: `at` is not a time, `gap` or `max_length` is not positive, a key or an aggregate is called like a
            column of the result.

    Example:
        >>> t = ps.adopt([{"k": 1, "at": f"2026-01-01 {at}"} for at in ("10:00", "10:20", "11:00")])
        >>> t = ps.derive(t, at="at::timestamp")
        >>> sorted((session, events) for _, session, _, _, events in sessions(t, "k", "at").fetchall())
        [(1, 2), (2, 1)]
    """
    keyed, keys = grouped(t, by)
    at = time_column(keyed, at)
    refuse_names(keys, RESULT)
    refuse_names(aggregates, RESULT)
    refuse_names(keys, aggregates)
    for text in aggregates.values():
        check(text)
    read = resolve(keyed, [*keys, at, *(name for text in aggregates.values() for name in sql.columns_of(text))])
    engine = engine_of(keyed)
    needed = engine.query(f"SELECT {sql.quoted(dict.fromkeys(read), engine.name)} FROM t", {"t": keyed})
    if engine.name == "spark" and not aggregates and max_length is None and _in_bursts(needed, keys, at, gap):
        pieces = engine.query(_pieces(columns(needed), keys, at, length(gap, "gap")), {"t": needed})
        return engine.query(_stitched(keys, length(gap, "gap")), {"t": pieces})
    if engine.name == "duckdb" and not aggregates:
        longest = None if max_length is None else length(max_length, "max_length")
        found = runs(needed, keys, at, pause=length(gap, "gap"), longest=longest)
        return engine.query(_firsts(found, columns(needed), keys, at), {"t": needed})
    names = sql.unused("session", read), sql.unused("session_start", read)  # an aggregate may read a column "session"
    marked = with_sessions(needed, keys, at, gap, max_length, names)
    when = sql.quote(at)
    own = {"started_at": f"min({when})", "ended_at": f"max({when})", "events": "count(*)"}
    found = group(marked, [*keys, names[0]], own | aggregates)
    listed = [sql.quote(name, engine.name) for name in columns(found)]
    listed[len(keys)] += " AS session"
    return engine.query(f"SELECT {', '.join(listed)} FROM t", {"t": found})


def _firsts(found: Runs, present: Mapping[str, str], keys: list[str], at: str) -> str:
    """The first rows of sessions tell all, each with the one after it: no GROUP BY, nothing is held but the sort."""
    words = ("more", "closed", "stop", "number", "earlier", "ended", "next")
    names = (sql.quote(sql.unused(f"session {word}", present)) for word in words)
    more, closed, stop, number, earlier, ended, following = names
    when, start, place = sql.quote(at), found.start, found.place
    so_far = "OVER (ROWS UNBOUNDED PRECEDING)"
    # 1. First rows, and the last of all. A first row knows the row before it, with which a session closed.
    marked = f"SELECT *, lead(true, 1, false) OVER () AS {more} FROM ({found.text})"
    before = f"CASE WHEN {start} THEN {found.before} ELSE {when} END AS {closed}"
    until = f"CASE WHEN {start} THEN {place} ELSE {place} + 1 END AS {stop}"
    closings = f"SELECT *, {before}, {until} FROM ({marked}) WHERE {start} OR NOT {more}"
    # 2. What the next of them says (a default that is no constant would not stream), and how many sessions there were.
    leads = f"lead({closed}) OVER () AS {ended}, lead({stop}) OVER () AS {following}"
    told = f"SELECT *, {leads}, count(*) FILTER ({start}) {so_far} AS {number} FROM ({closings})"
    begun = f"last_value(CASE WHEN {found.fresh} THEN {number} END IGNORE NULLS) {so_far} AS {earlier}"
    groups = "".join(f"{sql.group_key(key, present[key], 'duckdb')}, " for key in keys)
    return (
        f"SELECT {groups}CASE WHEN {when} IS NOT NULL THEN {number} - {earlier} + 1 END AS session, "
        f"{when} AS started_at, CASE WHEN {following} IS NULL THEN {when} ELSE {ended} END AS ended_at, "
        f"coalesce({following}, {place} + 1) - {place} AS events "
        f"FROM (SELECT *, {begun} FROM ({told})) WHERE {start}"
    )


#: A look at this many rows, and the share of them that may be left by a GROUP BY of key and gap, for it to pay.
SAMPLE, LEFT = 100_000, 0.4


def _in_bursts(t: Table, keys: list[str], at: str, gap: str | timedelta) -> bool:
    """Whether events that belong together stand together, so that most of them are gone before anything moves."""
    engine = engine_of(t)
    if not engine.is_narrow(t):
        return False
    pieces = _pieces(columns(t), keys, at, length(gap, "gap")).replace(
        "FROM t", f"FROM (SELECT * FROM t LIMIT {SAMPLE})"
    )
    counted = f"SELECT count(*) AS pieces, sum(events) AS events FROM ({pieces})"
    [found] = engine.batches(engine.query(counted, {"t": t})).read_all().to_pylist()
    return bool(found["pieces"] < LEFT * (found["events"] or 0))


def _pieces(present: Mapping[str, str], keys: list[str], at: str, gap: int) -> str:
    """A GROUP BY of key and a stretch of time as long as the gap: its events are of one session, whatever lies between.

    The combiner so leaves pieces of sessions where whole rows would move: for 2 M events of visits, 8 each, in the
    order of time, 3.7 MB move, where the windows over events move 17 MB and Spark's session_window 33 MB.
    """
    when, time = sql.quote(at, "spark"), micros(sql.quote(at, "spark"), "spark")
    stretch = f"{time} - pmod({time}, {gap})"
    listed = "".join(f"{sql.group_key(key, present[key], 'spark')}, " for key in keys)
    groups = ", ".join([*(sql.quote(key, "spark") for key in keys), stretch])
    measured = f"min({when}) AS started_at, max({when}) AS ended_at, count(*) AS events"
    return f"SELECT {listed}{measured} FROM t GROUP BY {groups}"


def _stitched(keys: list[str], gap: int) -> str:
    """Pieces with no long pause between them are one session."""
    names = sql.quoted(keys, "spark")
    partition = f"PARTITION BY {names} " if keys else ""
    window = f"({partition}ORDER BY started_at ASC NULLS LAST)"
    listed = f"{names}, " if keys else ""
    started, ended = micros("started_at", "spark"), micros("before", "spark")
    starts = f"CASE WHEN before IS NULL OR coalesce({started} - {ended} > {gap}, true) THEN 1 ELSE 0 END"
    return (
        f"SELECT {listed}CASE WHEN min(started_at) IS NOT NULL THEN session END AS session, "
        f"min(started_at) AS started_at, max(ended_at) AS ended_at, sum(events) AS events FROM ("
        f"SELECT *, sum({starts}) OVER {window} AS session FROM ("
        f"SELECT *, lag(ended_at) OVER {window} AS before FROM t)) GROUP BY {listed}session"
    )
