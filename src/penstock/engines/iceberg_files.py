"""Iceberg tables for the embedded engine, by their newest metadata: a stream of Arrow, the files of one snapshot.

Which file of metadata is the newest is for a catalog to say. Tables that `ps.write` made have theirs within; otherwise
it is the one with the greatest number in its name.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from penstock.engines.files import filesystem, is_remote
from penstock.errors import InputError, MissingExtra

__all__ = ["CATALOG", "Snapshot", "missing", "newest", "opened", "parquet_files"]

CATALOG = "penstock.db"  # what `lake/iceberg.py` keeps beside the metadata


def missing(error: ImportError) -> MissingExtra:
    """The error for a part of pyiceberg that is not installed."""
    return MissingExtra.of(error.name or "pyiceberg", "iceberg")


def opened(paths: Sequence[str], version: int | None = None) -> Snapshot:
    """A table as it is, or as it was in a snapshot."""
    return Snapshot(paths[0], version)


def parquet_files(paths: Sequence[str], version: int | None = None) -> list[str]:
    """The files that hold its rows; none where some of these are deleted in other files."""
    tasks = list(Snapshot(paths[0], version).scan.plan_files())
    return [] if any(task.delete_files for task in tasks) else sorted(task.file.file_path for task in tasks)


class Snapshot:
    """The rows of a snapshot as an Arrow stream, read anew by every scan."""

    def __init__(self, path: str, snapshot: int | None) -> None:
        try:
            from pyiceberg.io.pyarrow import schema_to_pyarrow
            from pyiceberg.table import StaticTable
        except ImportError as error:
            raise missing(error) from error
        metadata = newest(path)
        if metadata is None:
            raise InputError(f"{path} is no Iceberg table", "it has no metadata/*.metadata.json")
        try:
            self.scan = StaticTable.from_metadata(metadata).scan(snapshot_id=snapshot)
            self.schema = schema_to_pyarrow(self.scan.projection(), include_field_ids=False)
        except Exception as error:  # pyiceberg's have no root of their own
            raise InputError(f"cannot read {path}: {str(error).splitlines()[0]}", "is its metadata whole?") from error

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Arrow's PyCapsule protocol."""
        import pyarrow as pa

        batches = (batch.cast(self.schema) for batch in self.scan.to_arrow_batch_reader())
        return pa.RecordBatchReader.from_batches(self.schema, batches).__arrow_c_stream__(requested_schema)


def newest(path: str) -> str | None:
    """The table's newest file of metadata, if there is one."""
    folder = f"{path.rstrip('/')}/metadata"
    if is_remote(path):
        files = filesystem(path)
        files.invalidate_cache()
        names = [name.rpartition("/")[2] for name in files.find(folder, maxdepth=1)]
    else:
        if os.path.exists(f"{folder}/{CATALOG}"):
            with closing(sqlite3.connect(f"file:{quote(folder)}/{CATALOG}?mode=ro", uri=True)) as catalog:
                found = catalog.execute("SELECT metadata_location FROM iceberg_tables").fetchone()
            return str(found[0]) if found else None
        names = [file.name for file in Path(folder).glob("*.metadata.json")]
    numbered = {name: int(found[1]) for name in names if (found := re.match(r"v?(\d+).*\.metadata\.json$", name))}
    return f"{folder}/{max(numbered, key=lambda name: (numbered[name], name))}" if numbered else None
