"""What a scan reads: files as Spark divides them among map tasks, or rows in memory."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from penstock.engines.files import filesystem, is_remote, partition_of
from penstock.forecasts.cluster import Cluster
from penstock.trees.tree import Columns

__all__ = ["File", "Group", "Piece", "Source", "as_parquet", "footer", "groups_of", "identity", "pieces", "spread"]

FOOTERS = 4_096  # kept in memory, of files that did not change


File = tuple[str, int, Any]
"""A path, the size, and the time of the last change."""


@dataclass(frozen=True, eq=False)
class Source:
    """Files or rows in memory, with their columns and types."""

    name: str
    """What a person calls it: the file, the folder."""
    columns: Columns
    bytes: int | None
    """What Spark takes its size to be: that of the files."""
    format: str = ""
    paths: tuple[str, ...] = ()
    hive: Mapping[str, str] = field(default_factory=dict)
    """The columns that folders' names spell, and their types."""
    options: Mapping[str, Any] = field(default_factory=dict)
    table: Any = None
    """Rows in memory, as a table of the embedded engine."""
    rows: int | None = None
    """How many, where that is known without a look."""
    kept: Any = None
    """In a job, the tree whose rows will be written down and read from there, and what its columns are called."""

    def __repr__(self) -> str:
        return f"{self.format}:{self.name}:{self.paths}:{sorted(self.options)}"


def as_parquet(source: Source, files: Sequence[str]) -> Source | None:
    """A table with a log as the Parquet files that it has; None where these do not have all of its columns."""
    spelled = partition_of(files[0])
    stored = {name for file in files for name in footer(file).schema.to_arrow_schema().names}
    hive = {name: kind for name, kind in source.columns.items() if name in spelled and name not in stored}
    whole = stored | hive.keys() >= source.columns.keys()
    return replace(source, format="parquet", paths=tuple(files), hive=hive) if whole else None


class Group(NamedTuple):
    """A row group of a Parquet file, or some bytes of a file that has none."""

    path: str
    number: int
    """Of the row group."""
    start: int
    length: int
    rows: int | None


class Piece(NamedTuple):
    """What one map task reads."""

    groups: tuple[Group, ...]

    @property
    def rows(self) -> int | None:
        """How many rows that are, where footers tell."""
        known = [group.rows for group in self.groups]
        return None if None in known else sum(rows or 0 for rows in known)


# -- files ------------------------------------------------------------------------------------------------------------


def identity(path: str) -> File:
    """A file with its size and the time of its last change: the same as long as it is not written again."""
    if is_remote(path):
        found = filesystem(path).info(path)
        return path, int(found["size"]), str(found.get("ETag") or found.get("LastModified") or "")
    told = os.stat(path.removeprefix("file://"))
    return path, told.st_size, told.st_mtime_ns


def spread(files: Sequence[File], count: int) -> list[File]:
    """So many files, from all over, the first among them."""
    return [files[len(files) * i // count] for i in range(count)] if len(files) > count else list(files)


def footer(path: str) -> Any:
    """The footer of a Parquet file."""
    return _footer(identity(path))


@functools.lru_cache(FOOTERS)
def _footer(file: File) -> Any:
    import pyarrow.parquet as pq

    path = file[0]
    return pq.read_metadata(path.removeprefix("file://"), filesystem=filesystem(path) if is_remote(path) else None)


def groups_of(path: str) -> Iterator[Group]:
    """The row groups of a Parquet file, with the bytes that they stand at."""
    found = footer(path)
    for number in range(found.num_row_groups):
        group = found.row_group(number)
        first = group.column(0)
        start = first.data_page_offset
        if first.has_dictionary_page and first.dictionary_page_offset is not None:
            start = min(start, first.dictionary_page_offset)
        length = sum(group.column(i).total_compressed_size for i in range(group.num_columns))
        yield Group(path, number, start, length, group.num_rows)


# -- map tasks --------------------------------------------------------------------------------------------------------


def pieces(source: Source, paths: Sequence[str], cluster: Cluster) -> list[Piece]:
    """The files divided among map tasks as Spark does it (FilePartition): by bytes, small files put together."""
    sizes = {path: identity(path)[1] for path in paths}
    a_core = sum(size + cluster.open_cost for size in sizes.values()) // max(1, cluster.cores)
    most = min(cluster.split, max(cluster.open_cost, a_core))
    whole = source.format != "parquet" and any(path.endswith((".gz", ".zst")) for path in paths)
    splits = [
        (path, start, min(most, size - start) if not whole else size)
        for path, size in sizes.items()
        for start in (range(0, max(size, 1), most) if not whole else (0,))
    ]
    splits.sort(key=lambda split: -split[2])
    found: list[list[tuple[str, int, int]]] = []
    filled = most + 1
    for split in splits:
        if filled + split[2] > most:
            found.append([])
            filled = 0
        found[-1].append(split)
        filled += split[2] + cluster.open_cost
    return [Piece(tuple(_groups(source, each))) for each in found]


def _groups(source: Source, splits: Iterable[tuple[str, int, int]]) -> Iterator[Group]:
    """A task reads the row groups whose middle lies in its bytes."""
    for path, start, length in splits:
        if source.format != "parquet":
            yield Group(path, 0, start, length, None)
            continue
        for group in groups_of(path):
            if start <= group.start + group.length // 2 < start + length:
                yield group
