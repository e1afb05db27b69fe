"""What a worker keeps of each phase, so that one that is started again goes on where the other stopped.

A folder a worker. `00007.received` is what phase 7 gave: one line of JSON, then the bytes; it appears when the phase is
over, by a rename. `00007.sent` holds the frames that were sent in it, for peers that come back and have lost them.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from penstock.errors import EngineError

__all__ = ["Checkpoint", "Record", "digest"]

ENTRY: Final = struct.Struct("<II")  # the receiver and the length, before each frame that is kept


class Record(NamedTuple):
    """A phase that is over: what went in (as a checksum), what was sent and received, and what came out."""

    phase: str
    inputs: int
    traffic: list[int]
    outputs: list[bytes]


def digest(inputs: Sequence[bytes | bytearray | memoryview]) -> int:
    """A checksum of what a worker brings into a phase: a worker that goes on must bring the same."""
    checksum = 0
    for data in inputs:
        checksum = zlib.crc32(data, zlib.crc32(len(data).to_bytes(8, "little"), checksum))
    return checksum


class Checkpoint:
    """The folder of one worker."""

    def __init__(self, folder: str | os.PathLike[str], worker: int) -> None:
        self._folder = Path(folder) / f"worker-{worker:05}"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._log: tuple[int, BinaryIO] | None = None

    def kept(self, number: int) -> bool:
        """Whether a phase is over."""
        return self._path(number, "received").exists()

    def committed(self) -> int:
        """How many phases, from the first on, are over."""
        number = 0
        while self.kept(number + 1):
            number += 1
        return number

    def load(self, number: int, phase: str, inputs: int) -> Record:
        """What is kept of a phase; an error when it was another phase, or began with other data."""
        path = self._path(number, "received")
        head, _, body = path.read_bytes().partition(b"\n")
        fields = json.loads(head)
        if (fields["phase"], fields["inputs"]) != (phase, inputs):
            raise EngineError(
                f'the checkpoint {path} is of phase "{fields["phase"]}" and other data than "{phase}" has now',
                "give every piece of work a checkpoint folder of its own, and make each worker do the same every time",
            )
        outputs, start = [], 0
        for length in fields["lengths"]:
            outputs.append(body[start : start + length])
            start += length
        return Record(phase, inputs, fields["traffic"], outputs)

    def save(self, number: int, record: Record) -> None:
        """Keep what a phase gave; from now on the phase is over."""
        self._close()
        fields = record._asdict() | {"lengths": [len(data) for data in record.outputs]}
        del fields["outputs"]
        aside = self._path(number, "writing")
        with aside.open("wb") as file:
            file.write(json.dumps(fields).encode() + b"\n")
            file.writelines(record.outputs)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(self._path(number, "received"))

    def forget(self, after: int) -> None:
        """Drop what is kept of the later phases; all workers do those again."""
        for path in self._folder.iterdir():
            if int(path.stem) > after:
                path.unlink()

    def forget_agreement(self) -> None:
        """Drop phase 0, in which the workers agree where they go on: a run that begins agrees anew."""
        self._path(0, "received").unlink(missing_ok=True)

    def keep(self, number: int, to: int, frame: bytes) -> None:
        """Keep a frame that is about to be sent."""
        if self._log is None or self._log[0] != number:
            self._close()
            self._log = number, self._path(number, "sent").open("wb")
        self._log[1].write(ENTRY.pack(to, len(frame)) + frame)

    def sent(self, number: int, to: int) -> Iterator[bytes]:
        """The frames that were sent to a worker in a phase."""
        if self._log is not None:
            self._log[1].flush()
        path = self._path(number, "sent")
        if not path.exists():
            return
        with path.open("rb") as file:
            while entry := file.read(ENTRY.size):
                receiver, length = ENTRY.unpack(entry)
                if receiver == to:
                    yield file.read(length)
                else:
                    file.seek(length, os.SEEK_CUR)

    def _path(self, number: int, ending: str) -> Path:
        return self._folder / f"{number:05}.{ending}"

    def _close(self) -> None:
        if self._log is not None:
            self._log[1].close()
            self._log = None
