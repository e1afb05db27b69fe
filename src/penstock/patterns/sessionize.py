"""Rows with the session that each belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from penstock import sql
from penstock.errors import UsageError
from penstock.made import remembered
from penstock.runs import Runs, length, runs, time_column
from penstock.tables import By, Table, columns, engine_of, grouped

__all__ = ["sessionize", "with_sessions"]


@remembered
def sessionize(
    t: Table, by: By, at: str, gap: str | timedelta = "30 minutes", max_length: str | timedelta | None = None
) -> Table:
    """All rows, each with the session that it belongs to.

    For one row a session take `sessions`.

    Args:
        t: A table of either engine.
        by: Whose sessions: the key columns.
        at: The column that says when.
        gap: A pause longer than this begins a new session.
        max_length: A session is cut where the next event would make it longer than this.

    Returns:
        All rows and columns, with `session` (1, 2, … for each key, in the order of time) and `session_start`, the time
        of its first event. Both are null where `at` is null.

    Cost:
        Spark: 1 exchange of all rows. DuckDB: 1 sort of all rows, which spills. With `max_length` the rows are kept
        once more, and sessions that are too long are gathered, each in memory, to be cut.

    Ties and nulls:
        Events of one time are of one session. A null key is a key. Rows without a time have no session, and stay.

    Raises:
        ColumnError: a column that the table does not have.
        UsageError: `at` is not a time, `gap` or `max_length` is not positive, or the table has a column `session`.

    Example:
        >>> t = ps.adopt([{"k": 1, "at": f"2026-01-01 {at}"} for at in ("10:00", "10:20", "11:00")])
        >>> t = ps.derive(t, at="at::timestamp")
        >>> sorted((at.minute, session) for _, at, session, _ in sessionize(t, "k", "at").fetchall())
        [(0, 1), (0, 2), (20, 1)]
    """
    keyed, keys = grouped(t, by)
    at = time_column(keyed, at)
    present = columns(keyed)
    for name in present:
        if name.casefold() in ("session", "session_start"):
            raise UsageError(f'the table has a column "{name}" already', "rename it first, or leave it out")
    return with_sessions(keyed, keys, at, gap, max_length)


def with_sessions(
    t: Table, keys: Sequence[str], at: str, gap: str | timedelta, max_length: str | timedelta | None,
    names: tuple[str, str] = ("session", "session_start"),
) -> Table:  # fmt: skip
    """All rows and columns, and under these names the session and its start."""
    engine, present = engine_of(t), list(columns(t))
    longest = None if max_length is None else length(max_length, "max_length")
    found = runs(t, keys, at, pause=length(gap, "gap"), longest=longest)
    session, since = (sql.quote(name, engine.name) for name in names)
    if engine.name == "duckdb":
        number, start, rows = _streamed(found, present, at)
    else:
        number, start, rows = _windowed(found, keys, at)
    known = f"CASE WHEN {found.time} IS NOT NULL THEN"
    statement = (
        f"SELECT {sql.quoted(present, engine.name)}, {known} {number} END AS {session}, {known} {start} END AS {since} "
        f"FROM ({rows})"
    )
    return engine.query(statement, {"t": t})


def _streamed(found: Runs, present: list[str], at: str) -> tuple[str, str, str]:
    """Sessions are counted over all keys; what the count was when the key began is taken off."""
    so_far = "OVER (ROWS UNBOUNDED PRECEDING)"
    words = ("session number", "session first", "session since")
    number, first, since = (sql.quote(sql.unused(word, present)) for word in words)
    counted = (
        f"SELECT *, count(*) FILTER ({found.start}) {so_far} AS {number}, last_value("
        f"CASE WHEN {found.start} THEN {sql.quote(at)} END IGNORE NULLS) {so_far} AS {since} FROM ({found.text})"
    )
    begun = f"last_value(CASE WHEN {found.fresh} THEN {number} END IGNORE NULLS) {so_far} AS {first}"
    return f"{number} - {first} + 1", since, f"SELECT *, {begun} FROM ({counted})"


def _windowed(found: Runs, keys: Sequence[str], at: str) -> tuple[str, str, str]:
    """Events of one time count together, so that their order, which is open, does not matter."""
    partition = f"PARTITION BY {sql.quoted(keys, 'spark')} " if keys else ""
    window = f"({partition}ORDER BY {sql.quote(at, 'spark')} ASC NULLS LAST)"
    started = f"CASE WHEN {found.start} THEN {sql.quote(at, 'spark')} END"
    return f"count_if({found.start}) OVER {window}", f"max({started}) OVER {window}", found.text
