"""Where arrays wait: in memory as long as there is room, then in files that are mapped back."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

__all__ = ["MEMORY", "Shelf", "sorted_runs"]

MEMORY = 1 << 30  # bytes of a worker's own copies in memory


class Shelf:
    """Keeps arrays within a budget of bytes; the files go when the `with` block ends."""

    def __init__(self, memory: int = MEMORY) -> None:
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

    @property
    def spilled(self) -> bool:
        """Whether the budget did not hold everything."""
        return self._folder is not None

    def keep(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The array, or its like in a file."""
        if array.dtype.kind == "O" or not len(array) or isinstance(array, np.memmap):
            return array
        if array.nbytes <= self._room:
            self._room -= array.nbytes
            return array
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="penstock-exchange-")
        file = Path(self._folder.name, str(self._files))
        self._files += 1
        array.tofile(file)
        return np.memmap(file, array.dtype, "r")


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
