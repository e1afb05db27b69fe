"""How a table lies on the disk: how many files, how large, and whether small ones slow its readers down."""

from __future__ import annotations

import os
from collections import Counter
from os import PathLike, fspath
from statistics import median_low
from typing import NamedTuple

from penstock.engines.evolution import footers
from penstock.engines.files import resolve
from penstock.errors import UsageError

__all__ = ["SMALL", "Layout", "layout"]

SMALL = 16_000_000  # bytes: below, opening a file costs readers about as much as reading it


class Layout(NamedTuple):
    """The files of a Parquet table; sizes in bytes."""

    path: str
    files: int
    rows: int
    bytes: int
    partitions: int
    """Hive folders with files in them; 0 where there are none."""
    smallest: int
    median: int
    largest: int
    small: int
    """Files below 16 MB."""
    warning: str | None
    """What is wrong with it and how to mend it, where small files are the most."""


def layout(path: str | PathLike[str]) -> Layout:
    """How the files of a Parquet table lie, by their footers alone.

    Args:
        path: A folder, a file, a glob, or a URL of these.

    Returns:
        path, files, rows, bytes, partitions, smallest, median, largest, small, warning.

    Raises:
        UsageError: the files are not Parquet.
        InputError: no such files, or one that is no whole Parquet file.

    Example:
        >>> import tempfile
        >>> out = f"{tempfile.mkdtemp()}/out"
        >>> _ = ps.write(ps.adopt([{"k": "a", "v": 1}, {"k": "b", "v": 2}]), out, partition_by="k")
        >>> ps.layout(out)[1:3], ps.layout(out).partitions
        ((2, 2), 2)
    """
    source = resolve(path)
    if source.format != "parquet":
        raise UsageError(f"{source.paths[0]} is {source.format}, not parquet", "only Parquet has footers that tell")
    found = [(footer.num_rows, size) for _, footer, size in footers(source.paths)]
    sizes = [size for _, size in found]
    folders = Counter(os.path.dirname(file.removeprefix(source.root)) for file in source.paths)
    small = sum(size < SMALL for size in sizes)
    return Layout(
        path=fspath(path),
        files=len(sizes),
        rows=sum(rows for rows, _ in found),
        bytes=sum(sizes),
        partitions=len(folders) if source.hive else 0,
        smallest=min(sizes),
        median=median_low(sizes),
        largest=max(sizes),
        small=small,
        warning=_warning(fspath(path), len(sizes), small, len(folders)),
    )


def _warning(path: str, files: int, small: int, folders: int) -> str | None:
    if files < 2 or small * 2 <= files:
        return None
    told = f"{small} of {files} files are below 16 MB"
    if files > folders:
        return f"{told}; penstock compact {path}"
    return f"{told}, one a partition; partition by columns of fewer values"
