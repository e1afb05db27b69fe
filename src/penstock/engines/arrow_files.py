"""Arrow IPC files, which neither engine reads or writes by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from penstock.engines.files import filesystem, is_remote
from penstock.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["opened", "schema_of", "write"]


def opened(paths: Sequence[str]) -> Any:
    """The files as an Arrow dataset."""
    import pyarrow.dataset

    files = filesystem(paths[0]) if is_remote(paths[0]) else None
    try:
        return pyarrow.dataset.dataset(list(paths), format="ipc", filesystem=files)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {paths[0]} as Arrow: {error}", "is it an Arrow IPC file?") from error


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
