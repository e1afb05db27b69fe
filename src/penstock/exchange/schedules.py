"""Who sends to whom: two trees that share the burden, and a tournament.

A worker of a binary tree receives from two children and from its parent, a leaf from its parent alone. So there are two
trees, and who has children in one is a leaf in the other: where half of the bytes goes through each, all receive alike
(the two trees of Sanders, Speck and Träff, 2009).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["Seat", "mirrored", "opponents", "seat"]


class Seat(NamedTuple):
    """A worker's place in a tree; read from left to right, the tree has the workers in order."""

    parent: int | None
    left: int | None
    right: int | None


def seat(worker: int, size: int) -> Seat:
    """A worker's place in the tree whose leaves are the workers 0, 2, 4, …

    Of the numbers from 1, the odd ones are leaves; any other has half of its lowest bit to each child. Where the right
    child would be beyond the last worker, the next one below takes its place.
    """
    number = worker + 1
    step = number & -number
    parent = (number - step) | (2 * step)
    if parent > size:
        parent = number - step
    left = right = 0
    if step > 1:
        left, below = number - step // 2, step // 2
        while below and number + below > size:
            below //= 2
        right = number + below if below else 0
    return Seat(*(place - 1 if place else None for place in (parent, left, right)))


def mirrored(worker: int, size: int) -> Seat:
    """A worker's place in the other tree, whose leaves are the workers 1, 3, 5, …: the first one seen from behind.

    Where their number is odd, one who is not there sits behind the last, as a leaf.
    """
    last = size - 1 + size % 2
    parent, right, left = (
        None if place is None or last - place == size else last - place for place in seat(last - worker, last + 1)
    )
    return Seat(parent, left, right)


def opponents(worker: int, size: int) -> Iterator[int]:
    """A tournament: in each round everybody meets one other, and nobody meets two. A bye where the number is odd."""
    even = size + size % 2
    for number in range(even - 1):
        if worker == even - 1:
            other = number * (even // 2) % (even - 1)
        else:
            other = (number - worker) % (even - 1)
            other = even - 1 if other == worker else other
        if other < size:
            yield other
