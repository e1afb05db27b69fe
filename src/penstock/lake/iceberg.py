"""Iceberg tables in a folder: the files, the metadata, and beside it a catalog in SQLite that says which is the newest.

A write is one transaction. Its last step is one row of the catalog, so readers of `ps.read` see all of it or nothing.
Rows that go to partitions come sorted, in pieces: pyiceberg puts only whole tables into partitions.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from functools import reduce
from typing import TYPE_CHECKING, Any

from penstock.engines.files import is_remote
from penstock.engines.iceberg_files import CATALOG, missing, newest
from penstock.errors import OutputError, PenstockError, UsageError
from penstock.lake.logged import Rows, Stored, partitions_of, ready, refuse_others
from penstock.lake.versions import Target
from penstock.tables import Table

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["write"]

_NAME = ("penstock", "table")
_BATCH = "penstock.batch"


def write(
    table: Table, target: Target, *, order: str, file_bytes: int, batch: str | None
) -> tuple[tuple[str, ...], int, int]:
    """Write a table; the new files, the rows, the bytes. A batch that a snapshot names is not written again."""
    try:
        from pyiceberg.catalog.sql import SqlCatalog
    except ImportError as error:
        raise missing(error) from error
    if is_remote(target.path):
        raise UsageError("Iceberg tables are written to folders of this machine", "write Delta to a URL")
    folder = os.path.abspath(target.path)
    there = newest(folder) is not None
    refuse_others(table, target, there)
    if there and not os.path.exists(f"{folder}/metadata/{CATALOG}"):
        raise UsageError(f"{target.path} belongs to a catalog elsewhere", "write it through that one")
    os.makedirs(f"{folder}/metadata", exist_ok=True)
    catalog = SqlCatalog("penstock", uri=f"sqlite:///{folder}/metadata/{CATALOG}", warehouse=f"file://{folder}")
    try:
        return _written(catalog, table, target, order, file_bytes, batch)
    finally:
        catalog.close()


def _written(
    catalog: Any, table: Table, target: Target, order: str, file_bytes: int, batch: str | None
) -> tuple[tuple[str, ...], int, int]:
    before = catalog.load_table(_NAME) if catalog.table_exists(_NAME) else None
    if batch and before and any(_batch_of(snapshot) == batch for snapshot in before.metadata.snapshots):
        return (), 0, 0
    rows = ready(table, target, order, _stored(before) if before else None)
    filter_ = _replaced(rows, target) if before else None
    old = _files(before) if before else {}  # now: the write brings `before` up to date
    stream = Rows(rows)
    properties = {
        "write.target-file-size-bytes": str(file_bytes),
        "write.parquet.compression-codec": "uncompressed" if target.compression == "none" else target.compression,
    }
    said = {_BATCH: batch} if batch else {}
    try:
        with before.transaction() if before else _created(catalog, stream, target) as change:
            change.set_properties(properties)
            if filter_ is not None:
                with warnings.catch_warnings():
                    warnings.filterwarnings("ignore", "Delete operation did not match any records")
                    change.delete(filter_)
            for piece in _pieces(stream, file_bytes) if target.partition_by else [stream.reader()]:
                change.append(piece, snapshot_properties=said)
    except PenstockError:
        raise
    except Exception as error:  # pyiceberg's have no root of their own
        if stream.failed:
            raise stream.failed from None
        what = f"cannot write {target.path}: {str(error).splitlines()[0]}"
        raise OutputError(what, "what was there before is intact") from error
    new = {path: size for path, size in _files(catalog.load_table(_NAME)).items() if path not in old}
    return tuple(path.removeprefix("file://") for path in new), stream.count, sum(new.values())


def _created(catalog: Any, stream: Rows, target: Target) -> Any:
    catalog.create_namespace_if_not_exists(_NAME[:1])
    location = f"file://{os.path.abspath(target.path)}"
    change = catalog.create_table_transaction(_NAME, schema=stream.source.schema, location=location)
    with change.update_spec() as spec:
        for name in target.partition_by:
            spec.add_identity(name)
    return change


def _stored(table: Any) -> Stored:
    return Stored(
        [field.name for field in table.schema().fields],
        [table.schema().find_column_name(field.source_id) for field in table.spec().fields],
    )


def _batch_of(snapshot: Any) -> str | None:
    found: str | None = snapshot.summary.additional_properties.get(_BATCH) if snapshot.summary else None
    return found


def _replaced(rows: Table, target: Target) -> Any:
    """The rows that a write takes the place of, in pyiceberg's terms; None where it adds."""
    from pyiceberg.expressions import AlwaysFalse, AlwaysTrue, And, EqualTo, IsNull, Or

    if target.mode == "overwrite":
        return AlwaysTrue()
    if target.mode != "overwrite_partitions":
        return None
    partitions = [
        reduce(And, [IsNull(name) if value is None else EqualTo(name, value) for name, value in row.items()])
        for row in partitions_of(rows, target)
    ]
    return Or(AlwaysFalse(), *partitions) if partitions else None


def _pieces(stream: Rows, size: int) -> Iterator[pa.Table]:
    """The rows as tables of about so many bytes in memory."""
    import pyarrow as pa

    reader = stream.reader()
    gathered: list[pa.RecordBatch] = []
    for batch in reader:
        gathered.append(batch)
        if sum(each.nbytes for each in gathered) >= size:
            yield pa.Table.from_batches(gathered, reader.schema)
            gathered = []
    if gathered:
        yield pa.Table.from_batches(gathered, reader.schema)


def _files(table: Any) -> dict[str, int]:
    return {task.file.file_path: task.file.file_size_in_bytes for task in table.scan().plan_files()}
