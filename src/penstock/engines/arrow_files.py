"""Write a stream of rows to files one after another, in its order, with one writer open at a time.

For what the engines' own writers do not keep: DuckDB's COPY gives up the order as soon as it splits files by size.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["write_stream"]

ROW_GROUP = 122_880  # rows, as DuckDB's


def write_stream(
    reader: pa.RecordBatchReader, folder: Path, format: str, *, partition_by: Sequence[str] = (), file_bytes: int,
    compression: str | None,
) -> None:  # fmt: skip
    """Write rows as `folder/part-00000.parquet` and on; those of one partition must follow each other."""
    kept = pa.schema([field for field in reader.schema if field.name not in partition_by])
    number = 0
    place: tuple[Any, ...] | None = None
    sink: _Sink | None = None
    for values, rows in _runs(_row_groups(reader), partition_by):
        if sink is not None and (values != place or sink.size() >= file_bytes):
            sink.close()
            sink = None
        if sink is None:
            place, target = values, folder.joinpath(*map(_hive, partition_by, values))
            target.mkdir(parents=True, exist_ok=True)
            sink = _Sink(target / f"part-{number:05}.{format}", format, kept, compression)
            number += 1
        sink.write(rows.select(kept.names))
    if sink is None and not partition_by:  # a table without rows has columns all the same
        sink = _Sink(folder / f"part-00000.{format}", format, kept, compression)
    if sink is not None:
        sink.close()


class _Sink:
    """One open file and the writer of its format."""

    def __init__(self, path: Path, format: str, schema: pa.Schema, compression: str | None) -> None:
        self.file = path.open("wb")
        self.writer = _writer(self.file, format, schema, compression)

    def write(self, rows: pa.Table) -> None:
        self.writer.write_table(rows)

    def size(self) -> int:
        return self.file.tell()

    def close(self) -> None:
        self.writer.close()
        self.file.close()


def _writer(file: Any, format: str, schema: pa.Schema, compression: str | None) -> Any:
    if format == "parquet":
        import pyarrow.parquet

        return pyarrow.parquet.ParquetWriter(file, schema, compression=compression or "none")
    if format == "csv":
        import pyarrow.csv

        return pyarrow.csv.CSVWriter(file, schema)
    options = pa.ipc.IpcWriteOptions(compression=compression if compression in ("zstd", "lz4") else None)
    return pa.ipc.new_file(file, schema, options=options)


def _row_groups(reader: pa.RecordBatchReader) -> Iterator[pa.Table]:
    """The rows in pieces of a row group, whatever the batches are."""
    held: list[pa.RecordBatch] = []
    count = 0
    for batch in reader:
        held.append(batch)
        count += batch.num_rows
        if count >= ROW_GROUP:
            yield pa.Table.from_batches(held)
            held, count = [], 0
    if count:
        yield pa.Table.from_batches(held)


def _runs(tables: Iterable[pa.Table], keys: Sequence[str]) -> Iterator[tuple[tuple[Any, ...], pa.Table]]:
    """Stretches of rows of one partition, with its values."""
    for table in tables:
        starts = _starts([table[key].combine_chunks() for key in keys], table.num_rows)
        for start, end in zip(starts, [*starts[1:], table.num_rows], strict=True):
            yield tuple(table[key][start].as_py() for key in keys), table.slice(start, end - start)


def _starts(columns: Sequence[pa.Array], length: int) -> list[int]:
    starts = {0}
    for column in columns:
        before, after = column.slice(0, length - 1), column.slice(1)
        differs = pc.fill_null(pc.not_equal(before, after), False)
        nullness = pc.not_equal(pc.is_null(before), pc.is_null(after))
        starts.update(i + 1 for i in pc.indices_nonzero(pc.or_(differs, nullness)).to_pylist())
    return sorted(starts)


def _hive(name: str, value: Any) -> str:
    """A folder that spells a column, as Hive, Spark and DuckDB read it."""
    text = "__HIVE_DEFAULT_PARTITION__" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return f"{quote(name, safe='')}={quote(text, safe='')}"
