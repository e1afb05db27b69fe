"""Messages as anyone can carry them: bytes with a small header, and an inbox that puts them in order.

A message longer than a frame goes as several frames. Every frame says which run, worker, phase and place it belongs to,
and carries a checksum, so that a transport may deliver late, twice or out of order.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections import deque
from collections.abc import Iterator
from typing import Final, NamedTuple

from penstock.errors import EngineError

__all__ = [
    "FRAME",
    "HEADER",
    "LAST",
    "MORE",
    "RESUME",
    "RESUMED",
    "Frame",
    "Inbox",
    "frames",
    "name_key",
    "pack",
    "run_key",
    "unpack",
]

#: The most bytes of a message that one frame carries.
FRAME: Final = 4 << 20

#: magic, run, sender, phase, name of the phase, sequence, length, kind, checksum of all of it and of the body
HEADER: Final = struct.Struct("<4s8sIIIIIBI")
MAGIC: Final = b"pnx1"

#: Kinds: a message goes on, a message ends, a worker has come back, an answer to that.
MORE, LAST, RESUME, RESUMED = range(4)


class Frame(NamedTuple):
    """What one frame says."""

    sender: int
    phase: int
    name: int
    sequence: int
    kind: int
    body: memoryview


def run_key(run: str, num_workers: int) -> bytes:
    """What every frame of a run carries: eight bytes that another run or another number of workers does not have."""
    return hashlib.blake2b(f"{num_workers} {run}".encode(), digest_size=8).digest()


def name_key(name: str) -> int:
    """The name of a phase as a frame carries it, so that workers that do different things find out."""
    return zlib.crc32(name.encode())


def pack(run: bytes, frame: Frame) -> bytes:
    """A frame as bytes."""
    fields = (MAGIC, run, frame.sender, frame.phase, frame.name, frame.sequence, len(frame.body), frame.kind)
    checksum = zlib.crc32(frame.body, zlib.crc32(HEADER.pack(*fields, 0)))
    return b"".join((HEADER.pack(*fields, checksum), frame.body))


def unpack(run: bytes, data: bytes | bytearray | memoryview) -> Frame:
    """The frame that the bytes are; an error when they are none, are damaged, or belong to another run."""
    if len(data) < HEADER.size:
        raise EngineError(
            f"a message of {len(data)} bytes is not one of this exchange", "deliver each message whole, as it was sent"
        )
    body = memoryview(data)[HEADER.size :]
    magic, of_run, sender, phase, name, sequence, length, kind, checksum = HEADER.unpack_from(data)
    if magic != MAGIC:
        raise EngineError("a message does not begin as those of this exchange do", "let nothing else use send and recv")
    fields = (magic, of_run, sender, phase, name, sequence, length, kind)
    if length != len(body) or checksum != zlib.crc32(body, zlib.crc32(HEADER.pack(*fields, 0))):
        raise EngineError(
            f"a message from worker {sender} arrived damaged: {len(body)} of {length} bytes, or the checksum differs",
            "look at the network or the transport; nothing was computed from it",
        )
    if of_run != run:
        raise EngineError(
            f"a message from worker {sender} belongs to another run",
            "start all workers with the same num_workers and run, and end those of an earlier run",
        )
    return Frame(sender, phase, name, sequence, kind, body)


def frames(data: bytes | bytearray | memoryview) -> Iterator[tuple[int, memoryview]]:
    """A message cut into bodies of at most `FRAME` bytes, each with its kind; an empty message is one empty body."""
    view = memoryview(data).cast("B")
    starts = range(0, max(len(view), 1), FRAME)
    for start in starts:
        yield LAST if start == starts[-1] else MORE, view[start : start + FRAME]


class Inbox:
    """Frames in the order of arrival go in, whole messages in the order of sending come out, each once."""

    def __init__(self) -> None:
        self._streams: dict[tuple[int, int], _Stream] = {}
        self._phase = 0

    def put(self, frame: Frame) -> None:
        """Keep a frame, unless it came before or its phase is over: then it is a duplicate."""
        if frame.phase >= self._phase:
            self._streams.setdefault((frame.phase, frame.sender), _Stream()).put(frame)

    def take(self, phase: int, sender: int) -> Message | None:
        """The next message of a sender in a phase, if it has arrived whole."""
        stream = self._streams.get((phase, sender))
        return stream.whole.popleft() if stream and stream.whole else None

    def end(self, phase: int) -> None:
        """Forget all phases up to this one: whatever still comes for them is a duplicate."""
        self._phase = phase + 1
        self._streams = {key: stream for key, stream in self._streams.items() if key[0] > phase}


class Message(NamedTuple):
    """A message put together again."""

    data: bytes
    frames: int
    name: int


class _Stream:
    """What one worker sent in one phase."""

    def __init__(self) -> None:
        self.whole: deque[Message] = deque()
        self._next = 0
        self._early: dict[int, Frame] = {}
        self._bodies: list[memoryview] = []

    def put(self, frame: Frame) -> None:
        if frame.sequence >= self._next:
            self._early.setdefault(frame.sequence, frame)
        while (following := self._early.pop(self._next, None)) is not None:
            self._next += 1
            self._bodies.append(following.body)
            if following.kind == LAST:
                self.whole.append(Message(b"".join(self._bodies), len(self._bodies), following.name))
                self._bodies = []
