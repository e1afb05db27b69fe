"""A table as files that appear at once, in a size that reads well."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from os import PathLike, fspath, path as paths
from pathlib import Path
from typing import NamedTuple

from penstock import sql
from penstock.engines.files import COMPRESSED, format_of, is_remote, partition_of, resolve as resolve_files, unknown
from penstock.errors import InputError, OutputError, UsageError
from penstock.lake import remote, versions
from penstock.tables import Table, columns, engine_of, resolve, resolve_in

__all__ = ["Written", "write"]

MODES = ("error", "append", "overwrite", "overwrite_partitions")
#: Formats, the ending of their files, and the compressions they know; the first is what is taken where none is named.
FORMATS = {
    "parquet": (".parquet", ("zstd", "snappy", "gzip", "lz4", "none")),
    "csv": (".csv", ("none", "gzip", "zstd")),
    "tsv": (".tsv", ("none", "gzip", "zstd")),
    "json": (".json", ("none", "gzip", "zstd")),
    "ndjson": (".ndjson", ("none", "gzip", "zstd")),
    "arrow": (".arrow", ("zstd", "lz4", "none")),
}
_ENDINGS = {"gzip": ".gz", "zstd": ".zst", "none": ""}


class Written(NamedTuple):
    """What a write did."""

    path: str
    files: tuple[str, ...]
    """The paths of the files that it wrote."""
    rows: int
    bytes: int


class Target(NamedTuple):
    """A call of `write`, checked."""

    path: str
    format: str
    compression: str
    ending: str
    single: bool
    mode: str
    partition_by: list[str]


def write(
    table: Table,
    path: str | PathLike[str],
    *,
    format: str | None = None,
    partition_by: str | Sequence[str] = (),
    sort_by: str | Sequence[str] = (),
    target_file_size: str | int = "256MB",
    mode: str = "error",
    compression: str | None = None,
) -> Written:
    """A table as one file or a folder of files, which become visible in one step.

    A reader sees the old version or the new one, also where the writer is killed.

    Args:
        table: A table of either engine.
        path: With a format's ending and no `partition_by` (`out.parquet`, `out.csv.gz`), one file; a folder otherwise,
            or an fsspec URL of either. Missing folders above it are made.
        format: parquet, csv, tsv, json (one object a line; or ndjson) or arrow; told by the ending, else parquet.
        partition_by: Columns whose values name folders (`day=2026-01-01/`) and leave the files.
        sort_by: `"amount desc, ts"`: an order over all files, in the order of their names; with `partition_by`, within
            each folder's files.
        target_file_size: What a file is to have, about: `"256MB"`, or a number of bytes.
        mode: Where there is something already: "error"; "append" keeps it; "overwrite" replaces it;
            "overwrite_partitions" replaces the partitions that the table has and keeps the others.
        compression: zstd, snappy, gzip, lz4 or none for parquet; zstd, lz4 or none for arrow; gzip, zstd or none for
            text. Told by the ending (`.gz`, `.zst`), else zstd, and none for text.

    Returns:
        path, files (the paths of those written), rows, bytes.

    Raises:
        ColumnError: `partition_by` or `sort_by` names a column that the table does not have.
        UsageError: the options do not go together, or not with the files that are there.
        OutputError: the path cannot be written; what was there is as it was.

    Example:
        >>> written = write([{"k": "a", "v": 1}, {"k": "b", "v": 2}], tmp / "out", partition_by="k")
        >>> written.rows, sorted(p.name for p in (tmp / "out").iterdir())
        (2, ['k=a', 'k=b'])
    """
    engine = engine_of(table)
    target = _target(table, path, format, partition_by, mode, compression)
    order, size = _order(table, target, sort_by), _bytes(target_file_size)
    place = remote if is_remote(target.path) else versions
    prepared = _prepared(table, target)
    place.check(target.path, mode, single=target.single)
    if mode in ("append", "overwrite_partitions"):
        prepared = _fitted(prepared, target)
    with _disk_errors(target.path), place.workshop(target.path) as folder:
        rows = engine.write_files(
            prepared, str(folder), target.format, partition_by=target.partition_by, order=order, single=target.single,
            file_bytes=size, compression=target.compression,
        )  # fmt: skip
        return place.publish(target, folder, rows)
