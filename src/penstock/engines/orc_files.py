"""ORC files, which DuckDB has no reader for: Arrow's is streamed, stripe by stripe, and reads the columns asked for."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import pyarrow as pa

from penstock.engines.files import filesystem, is_remote
from penstock.errors import InputError

__all__ = ["first_rows", "has_times", "opened", "schema_of"]

BATCH = 65_536  # rows that are read at once of the first ones


def opened(paths: Sequence[str]) -> Any:
    """The files as an Arrow dataset."""
    import pyarrow.dataset

    schema = schema_of(paths[0])
    files = filesystem(paths[0]) if is_remote(paths[0]) else None
    return pyarrow.dataset.dataset(list(paths), schema=schema, format="orc", filesystem=files)


def schema_of(path: str) -> pa.Schema:
    """A file's columns, by its footer."""
    import pyarrow.orc

    try:
        with filesystem(path).open(path) if is_remote(path) else pa.OSFile(path) as file:
            return pyarrow.orc.ORCFile(file).schema
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path} is not a whole ORC file: {error}", "fetch or write it again") from error


def first_rows(path: str, columns: Collection[str], most: int) -> tuple[pa.Table, int, bool]:
    """Rows of a file from its beginning, how many it has, and that this is known."""
    import pyarrow.orc

    found = opened([path])
    there = [name for name in found.schema.names if name in columns]
    rows = found.scanner(columns=there, batch_size=BATCH, batch_readahead=1, fragment_readahead=1).head(most)
    with filesystem(path).open(path) if is_remote(path) else pa.OSFile(path) as file:
        return rows, pyarrow.orc.ORCFile(file).nrows, True


def has_times(path: str) -> bool:
    """Whether a column has times, at any depth: Spark reads those by the zone of the machine that it runs on."""
    return any(pa.types.is_timestamp(kind) for field in schema_of(path) for kind in _within(field.type))


def _within(kind: pa.DataType) -> Iterator[pa.DataType]:
    yield kind
    for position in range(kind.num_fields):
        yield from _within(kind.field(position).type)
