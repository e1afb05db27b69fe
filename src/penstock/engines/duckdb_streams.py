"""Results of DuckDB as streams of Arrow; those that are left half-read are closed where somebody may wait for it.

Such a stream may be collected as garbage in any thread. To close it is to wait for its tasks, and the thread may be one
of DuckDB's that has such a task at hand: then it waited for itself, and the process never ended.
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

__all__ = ["close_left", "stream"]

#: Streams that nobody reads any more, with their connections.
_left: deque[tuple[duckdb.DuckDBPyConnection, pa.RecordBatchReader]] = deque()


def stream(
    cursor: duckdb.DuckDBPyConnection, reader: pa.RecordBatchReader, told: Callable[[], None],
    errors: Callable[[], AbstractContextManager[None]],
) -> pa.RecordBatchReader:  # fmt: skip
    """The batches of a reader, which is alone on its connection.

    Args:
        cursor: The connection, closed at the end. A connection that is gone cannot be interrupted.
        reader: What DuckDB gave.
        told: Called at the end of all batches.
        errors: Raises DuckDB's errors as ours.
    """
    import pyarrow as pa

    def batches() -> Iterator[pa.RecordBatch]:
        with errors():
            for batch in reader:  # noqa: UP028, `yield from` would close the reader wherever it is collected
                yield batch
            told()
        cursor.close()

    found = batches()
    weakref.finalize(found, _left.append, (cursor, reader)).atexit = False
    return pa.RecordBatchReader.from_batches(reader.schema, found)


def close_left() -> None:
    """Close what nobody reads any more."""
    while _left:
        with suppress(IndexError):  # another thread was quicker
            for each in reversed(_left.popleft()):
                each.close()
