"""The table that every bench reads: seeded events, made once for a size and kept in bench/data/."""

from __future__ import annotations

import os
from pathlib import Path

import duckdb

__all__ = ["FOLDER", "events", "users", "visits", "write"]

FOLDER = Path(__file__).parent / "data"

# Each u is a hash of (row, column, seed) brought into [0, 1): random() would depend on the number of threads.
EVENTS = """
    select
        1 + floor(pow(u0, 3) * {users})::bigint                                    as user_id,
        timestamp '2026-01-01' + to_microseconds((u1 * 30 * 86400e6)::bigint)      as ts,
        '/p/' || floor(pow(u2, 4) * 100000)::bigint                                as url,
        if(u3 < 0.9, 'US', chr(65 + (u4 * 25)::int) || chr(65 + (u5 * 25)::int))   as country,
        round(u6 * 1000, 2)                                                        as amount
    from (select {uniforms} from range({rows}) as rows(i))
"""

# Visits of 8 events within 40 minutes, written down in the order of time, as servers do.
VISITS = """
    select
        1 + floor(pow(hash(visit, 0, {seed}) / 18446744073709551616.0, 3) * {users})::bigint          as user_id,
        timestamp '2026-01-01'
            + to_microseconds((hash(visit, 1, {seed}) / 18446744073709551616.0 * 30 * 86400e6)::bigint)
            + to_microseconds((hash(i, 2, {seed}) / 18446744073709551616.0 * 40 * 60e6)::bigint)     as ts,
        '/p/' || hash(i, 3, {seed}) % 100000                                                          as url
    from (select i, i // 8 as visit from range({rows}) as rows(i))
    order by ts
"""

# One row for each user_id that events may have, in no order.
USERS = """
    select i + 1 as user_id, 'user ' || i as name, ['free', 'plus', 'pro'][1 + i % 3] as plan, i % 1000 / 1000 as rate
    from range({users}) as users(i)
    order by hash(i)
"""


def events(rows: int, seed: int = 1) -> Path:
    """The Parquet file of `rows` events: zipf-like users and urls, nine rows in ten of one country, money in cents."""
    path = FOLDER / f"events-{rows}-{seed}.parquet"
    if not path.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        uniforms = ", ".join(f"hash(i, {column}, {seed}) / 18446744073709551616.0 as u{column}" for column in range(7))
        write(EVENTS.format(uniforms=uniforms, rows=rows, users=max(rows // 10, 1)), path)
    return path


def visits(rows: int, seed: int = 1) -> Path:
    """The Parquet file of `rows` events of visits: zipf-like users, a twentieth as many."""
    path = FOLDER / f"visits-{rows}-{seed}.parquet"
    if not path.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        write(VISITS.format(seed=seed, rows=rows, users=max(rows // 20, 1)), path)
    return path


def users(events: Path) -> Path:
    """The Parquet file of the users of a file of events: a tenth as many."""
    rows = int(events.stem.split("-")[1])
    path = events.with_name(f"users-{rows // 10}.parquet")
    if not path.exists():
        write(USERS.format(users=max(rows // 10, 1)), path)
    return path


def write(sql: str, path: Path) -> None:
    """The rows of a query as a Parquet file."""
    aside = path.with_suffix(f".unfinished-{os.getpid()}")
    duckdb.sql(f"copy ({sql}) to '{aside}' (format parquet, compression zstd)")
    aside.rename(path)
