"""What a scan reads of its files, and what it skips: folders by their names, row groups by their statistics, columns.

All from the names of files and the footers of Parquet, so the figures are exact; no row is read.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from penstock.engines.files import filesystem, is_remote

__all__ = ["Condition", "Scan", "scanned"]

AT_ONCE = 16  # footers


class Condition(NamedTuple):
    """A column compared with a value, as the engine pushed it into the scan."""

    column: str
    sign: str
    value: str


class Scan(NamedTuple):
    """What is read, of what there is."""

    files: int
    files_read: int
    row_groups: int
    row_groups_read: int
    columns: int
    columns_read: int
    rows: int
    """Of the row groups that are read, before any other filter."""
    read_bytes: int
    skipped_bytes: int


def scanned(paths: Sequence[str], kept: Sequence[str], columns: Sequence[str], conditions: Sequence[Condition]) -> Scan:
    """A scan of Parquet files, of which `kept` are not left out by their folders' names."""
    wanted = set(columns) | {condition.column for condition in conditions}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        footers = dict(zip(paths, pool.map(_footer, paths), strict=True))
    groups_read = rows = read = 0
    names: dict[str, None] = {}
    for path, footer in footers.items():
        names.update(dict.fromkeys(footer.schema.to_arrow_schema().names))
        for group in _groups(footer) if path in set(kept) else ():
            if all(_may_hold(group, condition) for condition in conditions):
                groups_read += 1
                rows += group.num_rows
                read += sum(chunk.total_compressed_size for chunk in _chunks(group) if _top(chunk) in wanted)
    there = sum(
        chunk.total_compressed_size for f in footers.values() for group in _groups(f) for chunk in _chunks(group)
    )
    return Scan(
        len(paths), len(kept), sum(footer.num_row_groups for footer in footers.values()), groups_read, len(names),
        len(wanted & names.keys()), rows, read, there - read,
    )  # fmt: skip


def _footer(path: str) -> Any:
    import pyarrow.parquet as pq

    name = path.removeprefix("file://")
    return pq.read_metadata(name, filesystem=filesystem(path) if is_remote(path) else None)


def _groups(footer: Any) -> Iterator[Any]:
    return (footer.row_group(number) for number in range(footer.num_row_groups))


def _chunks(group: Any) -> Iterator[Any]:
    return (group.column(number) for number in range(group.num_columns))


def _top(chunk: Any) -> str:
    return str(chunk.path_in_schema).split(".")[0]


def _may_hold(group: Any, condition: Condition) -> bool:
    """Whether the statistics of a row group leave room for a row that fulfils a condition."""
    chunk = next((chunk for chunk in _chunks(group) if chunk.path_in_schema == condition.column), None)
    statistics = chunk.statistics if chunk is not None and chunk.is_stats_set else None
    if statistics is None or not statistics.has_min_max:
        return True
    value = _as(type(statistics.min), condition.value)
    if value is None:
        return True
    test: Callable[[Any, Any, Any], bool] = _TESTS[condition.sign]
    return test(statistics.min, statistics.max, value)


_TESTS: dict[str, Callable[[Any, Any, Any], bool]] = {
    "=": lambda low, high, value: low <= value <= high,
    ">": lambda _, high, value: high > value,
    ">=": lambda _, high, value: high >= value,
    "<": lambda low, _, value: low < value,
    "<=": lambda low, _, value: low <= value,
}


def _as(kind: type, text: str) -> Any:
    """A value as the type that statistics are of; None where it cannot be compared."""
    try:
        if kind is bytes:
            return text.encode()
        if kind in (datetime.datetime, datetime.date):
            moment = datetime.datetime.fromisoformat(text)
            return moment if kind is datetime.datetime else moment.date()
        if kind in (int, float, Decimal, str):
            return Decimal(text) if kind is not str else text
    except (ValueError, InvalidOperation):
        return None
    return None


def sizes(paths: Sequence[str]) -> int:
    """The bytes of files of any format."""
    return sum(
        filesystem(path).size(path) if is_remote(path) else os.path.getsize(path.removeprefix("file://"))
        for path in paths
    )
