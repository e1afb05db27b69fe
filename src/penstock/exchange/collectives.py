"""How bytes go between all workers, without a funnel and without a deadlock.

Every collective is a schedule of (sender, receiver) pairs that all workers walk in one order, so that of two workers
that need each other one sends while the other receives: no buffer is needed anywhere.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import NamedTuple

from penstock.exchange import bundles, grid
from penstock.exchange.schedules import Seat, mirrored, opponents, seat

__all__ = ["Bytes", "Join", "Line", "Pairwise", "reduced", "reduced_each", "shared", "swapped"]

Bytes = bytes | bytearray | memoryview
Pairwise = Callable[[bytes, bytes], bytes]
Join = Callable[[Sequence[bytes]], bytes]


class Line(NamedTuple):
    """What a worker has to do with the others."""

    id: int
    size: int
    buffered: bool  # nobody who sends waits for the receiver
    send: Callable[[int, Bytes], None]
    receive: Callable[[int], bytes]


# -- all to all --------------------------------------------------------------------------------------------------------


def swapped(line: Line, parts: Sequence[Bytes]) -> list[bytes]:
    """What every worker had for this one, in worker order."""
    if not _small(line, parts, keys=sum(map(len, parts))):  # nothing is combined: every byte for itself
        return _met(line, range(line.size), parts)
    return [part for of_row in _two_hops(line, parts, bundles.join) for part in bundles.split(of_row)]


def reduced_each(line: Line, parts: Sequence[Bytes], join: Join, keys: int) -> bytes:
    """What all workers have for this one as one; `keys` is how many are in this worker's parts."""
    return join(_two_hops(line, parts, join) if _small(line, parts, keys) else _met(line, range(line.size), parts))


def _met(line: Line, members: range, parts: Sequence[Bytes]) -> list[bytes]:
    """Each of the members, and this worker is one, has a part for each other; what they had for this one."""
    here, count = members.index(line.id), len(members)
    received = [b""] * count
    received[here] = bytes(parts[here])
    if line.buffered:
        # Everyone begins with another receiver, so that no port gets all at once; nobody waits for a round to end.
        for shift in range(1, count):
            place = (here + shift) % count
            line.send(members[place], parts[place])
        for shift in range(1, count):
            place = (here - shift) % count
            received[place] = line.receive(members[place])
        return received
    for place in opponents(here, count):
        if here < place:
            line.send(members[place], parts[place])
        received[place] = line.receive(members[place])
        if here > place:
            line.send(members[place], parts[place])
    return received


def _small(line: Line, parts: Sequence[Bytes], keys: int) -> bool:
    """Whether parts are so small that two hops pay: all workers decide alike."""
    if line.size < grid.LEAST:
        return False
    of_rows = [0] * grid.rows(line.size)
    of_rows[line.id // grid.width(line.size)] = sum(map(len, parts))
    layout = struct.Struct(f"<{1 + len(of_rows)}Q")

    def both(one: bytes, other: bytes) -> bytes:
        return layout.pack(*map(int.__add__, layout.unpack(one), layout.unpack(other)))

    [sums] = reduced(line, [layout.pack(keys, *of_rows)], both)
    all_keys, *of_rows = layout.unpack(sums)
    return grid.pays(of_rows, all_keys, line.size)


def _two_hops(line: Line, parts: Sequence[Bytes], join: Join) -> list[bytes]:
    """What each row has for this worker, joined on the way."""
    me, size = line.id, line.size
    row, column, last = grid.row(me, size), grid.column(me, size), grid.rows(size) - 1
    for_takers = [bundles.join([bytes(parts[to]) for to in grid.served(taker, size)]) for taker in row]
    taken = zip(*map(bundles.split, _met(line, row, for_takers)), strict=True)
    of_row = dict(zip(grid.served(me, size), map(join, taken), strict=True))
    received = _met(line, column, [of_row[to] for to in column])
    for to, part in of_row.items():
        if to not in column:
            line.send(to, part)
    if len(column) == last:  # the last row is short, and another column's worker serves this one
        received.append(line.receive(grid.via(last, me, size)))
    return received


# -- trees -------------------------------------------------------------------------------------------------------------


def reduced(line: Line, pieces: Sequence[Bytes], combine: Pairwise) -> list[bytes]:
    """One piece or two, combined over all workers, each along a tree of its own: all go up before any comes down."""
    trees = [tree(line.id, line.size) for tree in (seat, mirrored)[: len(pieces)]]
    results = [_up(line, place, piece, combine) for place, piece in zip(trees, pieces, strict=True)]
    return [_down(line, place, result) for place, result in zip(trees, results, strict=True)]


def _up(line: Line, place: Seat, data: Bytes, combine: Pairwise) -> bytes:
    result = bytes(data)
    if place.left is not None:
        result = combine(line.receive(place.left), result)
    if place.right is not None:
        result = combine(result, line.receive(place.right))
    if place.parent is not None:
        line.send(place.parent, result)
    return result


def _down(line: Line, place: Seat, data: bytes) -> bytes:
    result = data if place.parent is None else line.receive(place.parent)
    for child in (place.left, place.right):
        if child is not None:
            line.send(child, result)
    return result


def shared(line: Line, data: Bytes | None, root: int) -> bytes:
    """What the root gives; `data` is None on all others."""
    place = (line.id - root) % line.size
    result = line.receive(((place - 1) // 2 + root) % line.size) if data is None else bytes(data)
    for child in (2 * place + 1, 2 * place + 2):
        if child < line.size:
            line.send((child + root) % line.size, result)
    return result
