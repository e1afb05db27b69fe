"""All to all in two hops, for parts smaller than their headers: rows, then columns.

Workers stand in rows of about sqrt(W). A part goes to the worker of the sender's row that stands in the receiver's
column, and from there, with those of the whole row, to the receiver. So a worker sends 2 sqrt(W) messages and not W:
at 1 000 workers 62 and not 999. Where the last row is short, its workers stand for several columns each.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

__all__ = ["LEAST", "column", "pays", "row", "rows", "served", "via", "width"]

#: The number of workers from which the second hop pays, and the mean size of a part up to which it does.
LEAST: Final = 64
SHORT: Final = 32

#: Keys in a part, however long, of which one that all workers have would burden its owner too much.
FEW: Final = 4


def width(size: int) -> int:
    """How many workers a row has; the last one may have fewer."""
    return math.isqrt(size - 1) + 1


def rows(size: int) -> int:
    """How many rows there are."""
    return -(-size // width(size))


def row(worker: int, size: int) -> range:
    """The workers of a worker's row."""
    start = worker - worker % width(size)
    return range(start, min(start + width(size), size))


def column(worker: int, size: int) -> range:
    """The workers of a worker's column, one in each row; the last row may have none."""
    return range(worker % width(size), size, width(size))


def via(number: int, receiver: int, size: int) -> int:
    """Who, in a row, takes what is for a receiver."""
    members = row(number * width(size), size)
    return members[receiver % width(size) % len(members)]


def served(worker: int, size: int) -> list[int]:
    """The receivers for whom a worker takes what its row has: those of its column, and of those that its row lacks."""
    members = row(worker, size)
    columns = range(worker - members.start, width(size), len(members))
    return sorted(receiver for place in columns for receiver in range(place, size, width(size)))


def pays(sums: Sequence[int], keys: int, size: int) -> bool:
    """Whether two hops are better, given the bytes of each row, and of how many keys all are.

    The workers of a row take all that it sends. So the fullest may send twice the mean, and two bytes for each part
    beyond that, which is less than what the messages take by themselves.
    """
    mean = sum(sums) / size**2
    fullest = max(sums[number] / len(row(number * width(size), size)) / size for number in range(rows(size)))
    return (mean <= SHORT or keys <= FEW * size**2) and fullest <= 2 * mean + 2
