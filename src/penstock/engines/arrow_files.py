"""Arrow IPC files, which neither engine writes by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["write"]


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
