"""Samples of Parquet: of row groups that the statistics do not rule out, whose footers say how many rows there are."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from penstock.engines.files import filesystem, is_remote
from penstock.figures import exact
from penstock.forecasts.cluster import Cluster
from penstock.forecasts.sample import Sample, joined, no_rows, of_runs, with_folders
from penstock.forecasts.scans import Condition, may_hold
from penstock.forecasts.sources import File, Group, Piece, Source, footer, pieces

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["THICK", "of_parquet"]

#: Rows of a sample that has to tell how many keys there are, at most and at least.
THICK, LEAST_THICK = 500_000, 250_000
SHORT_RUNS = 2
AT_ONCE = 4  # row groups
#: Of the bytes of the source that a sample may read, and what it may read of small sources.
SHARE, SMALL = 0.012, 24 << 20


def of_parquet(
    source: Source, files: tuple[File, ...], names: tuple[str, ...], conditions: tuple[Condition, ...],
    cluster: Cluster, wanted: int,
) -> Sample:  # fmt: skip
    """About so many rows, or all where there are hardly more; never more than some per cent of the bytes."""
    tasks = _read_tasks(source, files, conditions, cluster)
    if not tasks:  # statistics rule them out
        return no_rows(source.columns, names)
    total = sum(task.rows or 0 for task in tasks)
    there = sum(file[1] for file in files)
    width = _width(tasks, names) if total else 1.0
    wanted = min(wanted, max(LEAST_THICK, total // 12))  # a twelfth of the rows tells of all of them
    return _rows(source, tasks, names, max(1_000, min(wanted, int(max(SMALL, SHARE * there) / width))))


@functools.lru_cache(32)
def _rows(source: Source, tasks: tuple[Piece, ...], names: tuple[str, ...], wanted: int) -> Sample:
    """About so many rows, of row groups that are read side by side: of one column that took 0.75 of the time."""
    total = sum(task.rows or 0 for task in tasks)
    every = total <= wanted * 5 // 4
    runs = [[(group, group.rows or 0) for group in task.groups] for task in tasks] if every else _runs(tasks, wanted)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        read = [[pool.submit(_read, *part, names, source.hive) for part in run] for run in runs if run]
        found = [joined(part.result() for part in run) for run in read]
    return of_runs(source, names, found, exact(total), len(tasks))


@functools.lru_cache(32)
def _read_tasks(
    source: Source, files: tuple[File, ...], conditions: tuple[Condition, ...], cluster: Cluster
) -> tuple[Piece, ...]:
    """The map tasks, with the row groups that their statistics do not rule out."""

    def may_be_read(group: Group) -> bool:
        told = footer(group.path).row_group(group.number)
        return bool(group.rows) and all(may_hold(told, condition) for condition in conditions)

    tasks = pieces(source, [file[0] for file in files], cluster)
    kept = (Piece(tuple(filter(may_be_read, task.groups))) for task in tasks)
    return tuple(task for task in kept if task.groups)


def _width(tasks: Sequence[Piece], names: Sequence[str]) -> float:
    """The compressed bytes of a row's columns in one row group."""
    group = tasks[len(tasks) // 2].groups[0]
    found = footer(group.path).row_group(group.number)
    chunks = (found.column(number) for number in range(found.num_columns))
    size: int = sum(chunk.total_compressed_size for chunk in chunks if chunk.path_in_schema.split(".")[0] in names)
    return max(0.1, size / max(1, int(found.num_rows)))


Part = tuple[Group, int]
"""A row group, and how many of its rows, from the first."""


def _runs(tasks: Sequence[Piece], wanted: int) -> list[list[Part]]:
    """A long run from the beginning of a task in the middle, and short ones elsewhere."""
    short = max(2_000, wanted // 16)
    long_run = list(_enough(tasks[len(tasks) // 2].groups, wanted - SHORT_RUNS * short))
    taken = {group for group, _ in long_run}
    rest = [group for task in tasks for group in task.groups if group not in taken]
    places = [(2 * part + 1) * len(rest) // (2 * SHORT_RUNS) for part in range(SHORT_RUNS)] if rest else []
    return [long_run, *([(rest[place], min(short, rest[place].rows or 0))] for place in places)]


def _enough(groups: Iterable[Group], rows: int) -> Iterator[Part]:
    for group in groups:
        if rows <= 0:
            break
        yield group, min(rows, group.rows or 0)
        rows -= group.rows or 0


def _slimmest(group: Any) -> str:
    """The column that takes the fewest bytes."""
    chunks = (group.column(number) for number in range(group.num_columns))
    return str(min(chunks, key=lambda chunk: chunk.total_compressed_size).path_in_schema.split(".")[0])


def _read(group: Group, limit: int, names: Sequence[str], hive: Iterable[str]) -> pa.Table:
    """The first rows of a row group. Pages are read as they are needed, not whole row groups."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = group.path
    place, files = path.removeprefix("file://"), filesystem(path) if is_remote(path) else None
    with pq.ParquetFile(place, buffer_size=1 << 16, pre_buffer=False, metadata=footer(path), filesystem=files) as file:
        stored = set(file.schema_arrow.names)
        # At least one, which tells how many rows there are.
        columns = [name for name in names if name in stored] or [_slimmest(footer(path).row_group(group.number))]
        found, left = list[pa.RecordBatch](), limit
        for batch in file.iter_batches(min(65_536, max(1, limit)), row_groups=[group.number], columns=columns):
            found.append(batch.slice(0, left))
            left -= found[-1].num_rows
            if left <= 0:
                break
    return with_folders(pa.Table.from_batches(found), path, hive, names)
