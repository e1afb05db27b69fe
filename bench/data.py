"""The table that every bench reads: seeded events, made once for a size and kept in bench/data/."""

from __future__ import annotations

from pathlib import Path

import duckdb

__all__ = ["FOLDER", "events"]

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


def events(rows: int, seed: int = 1) -> Path:
    """The Parquet file of `rows` events: zipf-like users and urls, nine rows in ten of one country, money in cents."""
    path = FOLDER / f"events-{rows}-{seed}.parquet"
    if not path.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        aside = path.with_suffix(".unfinished")
        uniforms = ", ".join(f"hash(i, {column}, {seed}) / 18446744073709551616.0 as u{column}" for column in range(7))
        sql = EVENTS.format(uniforms=uniforms, rows=rows, users=max(rows // 10, 1))
        duckdb.sql(f"copy ({sql}) to '{aside}' (format parquet, compression zstd)")
        aside.rename(path)
    return path
