"""All to all in two hops, for parts smaller than their headers: rows, then columns.

Workers stand in rows of about sqrt(W). A part goes to the worker of the sender's row that stands in the receiver's
column, and from there, with those of the whole row, to the receiver. So a worker sends 2 sqrt(W) messages and not W:
at 1 000 workers 62 and not 999. Where the last row is short, its workers stand for several columns each.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

__all__ = ["LEAST", "SHORT", "bundle", "row", "served", "unbundle", "via"]

#: The number of workers from which the second hop pays, and the mean size of a part up to which it does.
LEAST: Final = 64
SHORT: Final = 32


def row(worker: int, size: int) -> range:
    """The workers of a worker's row."""
    width = math.isqrt(size - 1) + 1
    start = worker - worker % width
    return range(start, min(start + width, size))


def via(start: int, receiver: int, size: int) -> int:
    """Who, in the row that begins at `start`, takes what is for a receiver."""
    members = row(start, size)
    return members[receiver % (math.isqrt(size - 1) + 1) % len(members)]


def served(worker: int, size: int) -> list[int]:
    """The receivers for whom a worker takes what its row has."""
    members, width = row(worker, size), math.isqrt(size - 1) + 1
    columns = range(worker - members.start, width, len(members))
    return sorted(receiver for column in columns for receiver in range(column, size, width))


def bundle(parts: Sequence[bytes]) -> bytes:
    """Several parts as one message: how wide a length is, the lengths, the parts."""
    lengths = list(map(len, parts))
    kind = np.min_scalar_type(max(lengths, default=0)).newbyteorder("<")
    return b"".join((bytes([kind.itemsize]), np.array(lengths, kind).tobytes(), *parts))


def unbundle(message: bytes, count: int) -> list[bytes]:
    """So many parts out of one message."""
    width = message[0]
    start = 1 + width * count
    ends = (start + np.cumsum(np.frombuffer(message, f"<u{width}", count, 1), dtype=np.int64)).tolist()
    return [message[begin:end] for begin, end in zip([start, *ends], ends, strict=False)]
