"""What the engines lack for zstd files.

DuckDB 2.0 reads the rows before the place where a file was cut, and says nothing; Spark's wheel has no zstd for text.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from penstock.engines.files import filesystem, is_remote
from penstock.errors import InputError

__all__ = ["compress", "refuse_cut"]

_MAGIC = 0xFD2FB528
_SKIPPABLE = range(0x184D2A50, 0x184D2A60)


def compress(folder: str) -> None:
    """Compress what Spark wrote into a folder, file by file."""
    import pyarrow as pa

    for path in [path for path in Path(folder).rglob("part-*") if path.is_file()]:
        with path.open("rb") as plain, pa.CompressedOutputStream(f"{path}.zst", "zstd") as packed:
            shutil.copyfileobj(plain, packed)
        path.unlink()


def refuse_cut(path: str) -> None:
    """Follow the frames of a zstd file from block to block, decompressing nothing (RFC 8878, section 3.1)."""
    with filesystem(path).open(path) if is_remote(path) else open(path, "rb") as file:
        size = file.seek(0, 2)
        file.seek(0)
        while file.tell() < size:
            magic = _number(file, 4)
            if magic in _SKIPPABLE:
                file.seek(_number(file, 4), 1)
            elif magic == _MAGIC:
                _skip_frame(file, size)
            else:
                raise InputError(f"{path} is not zstd", "is it what its name says?")
            if file.tell() > size:
                raise InputError(f"{path} is cut short: its zstd stream does not end", "fetch or write it again")


def _skip_frame(file: Any, size: int) -> None:
    descriptor = _number(file, 1)
    single_segment, checksum = descriptor & 32, descriptor & 4
    window = 0 if single_segment else 1
    dictionary = (0, 1, 2, 4)[descriptor & 3]
    content = (1 if single_segment else 0, 2, 4, 8)[descriptor >> 6]
    file.seek(window + dictionary + content, 1)
    last = 0
    while not last and file.tell() <= size:
        block = _number(file, 3)
        last, kind, length = block & 1, block >> 1 & 3, block >> 3
        file.seek(1 if kind == 1 else length, 1)  # 1: one byte, repeated
    file.seek(4 if checksum else 0, 1)


def _number(file: Any, width: int) -> int:
    found = file.read(width)
    if len(found) < width:  # past the end: `refuse_cut` sees it by the position
        file.seek(width, 1)
    return int.from_bytes(found, "little")
