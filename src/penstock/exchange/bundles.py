"""Several byte strings as one, with a byte or two for each where they are short."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

__all__ = ["join", "split"]

HEAD: Final = struct.Struct("<BH")  # how many bytes a length takes, how many lengths there are
CODES: Final = {1: "B", 2: "H", 4: "I", 8: "Q"}


def join(parts: Sequence[bytes]) -> bytes:
    """Several byte strings, at most 65 535, as one."""
    lengths = list(map(len, parts))
    longest = max(lengths, default=0)
    width = next(width for width in CODES if longest < 1 << 8 * width)
    return b"".join((HEAD.pack(width, len(parts)), struct.pack(f"<{len(parts)}{CODES[width]}", *lengths), *parts))


def split(data: bytes) -> list[bytes]:
    """The byte strings of `join`."""
    width, count = HEAD.unpack_from(data)
    start = HEAD.size + width * count
    parts = []
    for length in struct.unpack_from(f"<{count}{CODES[width]}", data, HEAD.size):
        parts.append(data[start : start + length])
        start += length
    return parts
