"""Do two contenders say the same? Engines differ in types, order and the last bits of a float; rows must not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

__all__ = ["disagreement", "load"]

EXACT = '"mine {0}" is distinct from "theirs {0}"'
NEAR = 'abs("mine {0}" - "theirs {0}") <= 1e-9 * greatest(abs("mine {0}"), abs("theirs {0}"))'
FLOAT = f"({EXACT} and ({NEAR}) is not true)"


def load(path: Path) -> pa.Table:
    """A kept answer, mapped and not read: that of `sort` is as large as its input."""
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()


def disagreement(mine: pa.Table, theirs: pa.Table, *, columns: Sequence[str] = (), ordered: bool = False) -> str:
    """The first difference in words, or nothing."""
    names = columns or mine.column_names
    if absent := set(names) - set(theirs.column_names):
        return f"has no column {', '.join(sorted(absent))}"
    if mine.num_rows != theirs.num_rows:
        return f"has {theirs.num_rows} rows, not {mine.num_rows}"

    floats = {name for name in names if _is_float(mine, name) or _is_float(theirs, name)}
    names = sorted(names, key=floats.__contains__)  # floats last: their last bits must not decide the order
    order = "" if ordered else "order by all"
    differs = " or ".join((FLOAT if name in floats else EXACT).format(name) for name in names)
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        for side, table in (("mine", mine), ("theirs", theirs)):
            renamed = table.select(names).rename_columns([f"{side} {name}" for name in names])
            connection.register(side, renamed)
        rows = connection.sql(f"from (from mine {order}) positional join (from theirs {order}) where {differs} limit 1")
        for row in rows.fetchall():
            return f"says {row[len(names) :]}, not {row[: len(names)]}, in {', '.join(names)}"
    return ""


def _is_float(table: pa.Table, name: str) -> bool:
    kind = table.schema.field(name).type
    return bool(pa.types.is_floating(kind) or pa.types.is_decimal(kind))
