"""How large rows are as Spark sends them: those of one map task, laid out and compressed, reducer by reducer."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from penstock.engines.asking import ask
from penstock.forecasts.crossings import Rows, ordered
from penstock.forecasts.serialised import compressed, headers, laid_out
from penstock.trees.registers import put_out
from penstock.trees.tree import Exchange

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Width", "width_of"]

#: Rows that are laid out and compressed; fewer where there are lists and structs in them.
LAID_OUT, NESTED = 12_000, 600
#: Rows of a stream that are fewer compress worse.
SHORTEST = 150


class Width(NamedTuple):
    """The bytes of a row."""

    packed: float
    unpacked: float


def width_of(exchange: Exchange, rows: Rows, reducers: int, codec: str) -> Width:
    """The bytes of a row that crosses, measured on the streams of some reducers of one task."""
    there = rows.here
    if there is None:
        [there] = ask(f"SELECT count(*) AS n FROM ({rows.text})")["n"].to_pylist()
    if not there:
        return Width(0.0, 0.0)
    # As many streams as there will be, so that keys lie as far apart; fewer where they would be too short.
    real = max(1.0, (rows.total.mid or there) / max(1.0, rows.flow.tasks)) / reducers
    streams = max(1, round(there / min(real, max(there / reducers, SHORTEST))))
    numbers, chosen = _some(exchange, rows, streams, there)
    data, bounds = laid_out(put_out(chosen, rows.flow.reach))
    flat = data.tobytes()
    unpacked = len(flat) / max(1, len(numbers))
    if exchange.kind == "broadcast":
        return Width(unpacked, unpacked)
    ends = [i for i in range(1, len(numbers) + 1) if i == len(numbers) or numbers[i] != numbers[i - 1]]
    parts = [flat[bounds[start] : bounds[end]] for start, end in zip([0, *ends], ends, strict=False)]
    packed = compressed(parts, codec) / max(1, len(numbers)) + headers(unpacked * real, codec) / max(1.0, real)
    if not rows.listed:
        return Width(packed, unpacked)
    # Lists are as long as the rows of a group in a whole task are many; what stands beside them is not.
    longer = (rows.flow.total.mid or 0.0) / (rows.total.mid or 1.0) / (rows.listed / there)
    beside = len(laid_out(_emptied(chosen))[0]) / len(flat)
    times = beside + (1 - beside) * longer
    return Width(packed * times, unpacked * times)


def _some(exchange: Exchange, rows: Rows, streams: int, there: int) -> tuple[list[int], pa.Table]:
    """The rows of the first streams in order, and the number of each one's stream."""
    most = NESTED if rows.nested else LAID_OUT
    wanted = max(1, min(streams, math.ceil(streams * most / there)))
    stream = f"h % {streams}"
    if exchange.kind == "range":
        stream = f"ntile({streams}) OVER ({ordered(exchange.keys).strip()}) - 1"
    found = _first(rows, stream, wanted, most)
    if found.num_rows < min(most, there) / 4:  # few keys: most streams are empty
        found = _first(rows, f"dense_rank() OVER (ORDER BY {stream}) - 1", wanted, most)
    return found["stream"].to_pylist(), found.drop_columns(["h", "place", "stream"])


def _first(rows: Rows, stream: str, wanted: int, most: int) -> pa.Table:
    numbered = f"SELECT *, {stream} AS stream FROM ({rows.text})"
    return ask(f"SELECT * FROM ({numbered}) WHERE stream < {wanted} ORDER BY stream, place LIMIT {4 * most}")


def _emptied(table: pa.Table) -> pa.Table:
    """The same rows with nothing in their lists."""
    import pyarrow as pa

    for position, field in enumerate(table.schema):
        if pa.types.is_list(field.type):
            empty = pa.array([[]] * table.num_rows, field.type)
            table = table.set_column(position, field.name, empty)
    return table
