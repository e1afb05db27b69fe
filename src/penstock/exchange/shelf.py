"""Where arrays wait: in memory as long as there is room, then in files that are mapped back."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from penstock.errors import UsageError
from penstock.exchange.arguments import is_number

__all__ = ["MEMORY", "Shelf", "Strings", "sorted_runs"]

MEMORY = 1 << 30  # bytes of a worker's own copies in memory


class Shelf:
    """Keeps arrays within a budget of bytes; the files go when the `with` block ends."""

    def __init__(self, memory: int = MEMORY) -> None:
        if not is_number(memory) or memory <= 0:
            raise UsageError(f"memory={memory!r} cannot be", "give a number of bytes, such as 1 << 30")
        self._room = memory
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._files = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._folder is not None:
            self._folder.cleanup()

    def holds(self, size: float) -> bool:
        """Whether there is room for so many bytes more."""
        return size <= self._room

    def keep(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The array, or its like in a file."""
        if array.dtype.kind == "O" or not len(array) or isinstance(array, np.memmap):
            return array
        if array.nbytes <= self._room:
            self._room -= array.nbytes
            return array
        column = self.column(array.dtype)
        column.add(array)
        return column.array()

    def column(self, dtype: npt.DTypeLike) -> Column:
        """An array to be, in a file."""
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="penstock-exchange-")
        self._files += 1
        return Column(Path(self._folder.name, str(self._files)), dtype)

    def strings(self) -> StringColumn:
        """Byte strings to be, in two files."""
        return StringColumn(self.column(np.uint8), self.column(np.int64))


class Column:
    """An array that is written part by part."""

    def __init__(self, file: Path, dtype: npt.DTypeLike) -> None:
        self._file = file
        self._dtype = dtype

    def add(self, part: npt.NDArray[Any]) -> None:
        """Write the next part."""
        with self._file.open("ab") as file:
            part.tofile(file)

    def array(self) -> npt.NDArray[Any]:
        """What was written, mapped."""
        if not self._file.exists() or not self._file.stat().st_size:
            return np.empty(0, self._dtype)  # there is no map of an empty file
        return np.memmap(self._file, self._dtype, "r")


class StringColumn:
    """Byte strings that are written part by part."""

    def __init__(self, text: Column, ends: Column) -> None:
        self._text = text
        self._ends = ends
        self._length = 0

    def add(self, part: npt.NDArray[Any]) -> None:
        """Write the next part."""
        text = b"".join(part.tolist())
        self._text.add(np.frombuffer(text, np.uint8))
        self._ends.add(self._length + np.cumsum(np.fromiter(map(len, part), np.int64, len(part))))
        self._length += len(text)

    def array(self) -> Strings:
        """What was written."""
        return Strings(self._text.array(), self._ends.array())


class Strings:
    """Byte strings in a file, which are read where they are asked for."""

    def __init__(self, text: npt.NDArray[np.uint8], ends: npt.NDArray[np.int64]) -> None:
        self._text = text
        self._ends = ends

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, which: Any) -> Any:
        """One string for a number; an array of them for a slice of neighbours or an array of places."""
        if isinstance(which, (int, np.integer)):
            return self._text[self._ends[which - 1] if which else 0 : self._ends[which]].tobytes()
        if isinstance(which, slice):
            start, stop, _ = which.indices(len(self))
            first = int(self._ends[start - 1]) if start else 0
            ends = (self._ends[start:stop] - first).tolist()
            text = self._text[first : first + (ends[-1] if ends else 0)].tobytes()
            read = [text[low:high] for low, high in pairwise([0, *ends])]
        else:
            read = [self[place] for place in which]
        strings = np.empty(len(read), object)
        strings[:] = read
        return strings


def sorted_runs(blocks: Iterable[npt.NDArray[np.uint64]], rows: int, memory: int) -> Iterator[npt.NDArray[np.uint64]]:
    """The numbers of all blocks, sorted: one array where they fit into memory, else several."""
    buffer = np.empty(min(rows, max(memory // 8, 1)), np.uint64)
    filled = 0
    for block in blocks:
        while len(block):
            part = block[: len(buffer) - filled]
            buffer[filled : filled + len(part)] = part
            filled += len(part)
            block = block[len(part) :]
            if filled == len(buffer):
                rows -= filled
                buffer.sort()
                yield buffer
                buffer = np.empty(min(rows, len(buffer)), np.uint64)
                filled = 0
