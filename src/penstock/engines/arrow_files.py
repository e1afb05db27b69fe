"""Arrow IPC files, which neither engine reads or writes by itself."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from penstock.engines.files import filesystem, is_remote
from penstock.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["first_rows", "opened", "schema_of", "write"]


def opened(paths: Sequence[str]) -> Any:
    """The files as an Arrow dataset."""
    import pyarrow.dataset

    files = filesystem(paths[0]) if is_remote(paths[0]) else None
    try:
        return pyarrow.dataset.dataset(list(paths), format="ipc", filesystem=files)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {paths[0]} as Arrow: {error}", "is it an Arrow IPC file?") from error


def first_rows(path: str, columns: Collection[str], most: int) -> tuple[pa.Table, float, bool]:
    """Rows of a file from its beginning, how many it has, and whether that is known: mostly batches are of one size."""
    import pyarrow as pa

    schema = schema_of(path)
    there = [place for place, name in enumerate(schema.names) if name in columns]
    options = pa.ipc.IpcReadOptions(included_fields=there or [0])
    with filesystem(path).open(path) if is_remote(path) else pa.memory_map(path) as file:
        reader = pa.ipc.open_file(file, options=options)
        batches, taken = list[pa.RecordBatch](), 0
        while taken < most and len(batches) < reader.num_record_batches:
            batches.append(reader.get_batch(len(batches)))
            taken += batches[-1].num_rows
        rows = pa.Table.from_batches(batches, reader.schema).slice(0, most)
    total = taken * reader.num_record_batches / max(1, len(batches))
    return rows, total, len(batches) == reader.num_record_batches


def schema_of(path: str) -> pa.Schema:
    """A file's columns."""
    import pyarrow as pa

    try:
        with pa.OSFile(path) as file:
            return pa.ipc.open_file(file).schema
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path} is not a whole Arrow file: {error}", "fetch or write it again") from error


def write(reader: pa.RecordBatchReader, folder: str, *, single: bool, file_bytes: int, compression: str) -> int:
    """Write a stream into files of a folder, in its order, and count its rows."""
    import pyarrow as pa

    options = pa.ipc.IpcWriteOptions(compression=None if compression == "none" else compression)
    rows = number = 0
    batch = next(reader, None)
    while number == 0 or batch is not None:
        with (
            pa.OSFile(f"{folder}/part-{number}.arrow", "wb") as file,
            pa.ipc.new_file(file, reader.schema, options=options) as writer,
        ):
            while batch is not None and (single or file.tell() < file_bytes):
                writer.write_batch(batch)
                rows += batch.num_rows
                batch = next(reader, None)
        number += 1
    return rows
