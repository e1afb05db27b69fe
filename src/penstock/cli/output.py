"""The result on standard output: a table for people, csv and ndjson for pipes, Parquet and Arrow for programs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import IO, TYPE_CHECKING, Any

from penstock.cli import text
from penstock.errors import UsageError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Batches", "chosen", "show"]

#: Rows of a table on a terminal; more of them are for a program to read.
SHOWN = 1_000
#: Rows turned to text at once: the text of a batch must stay below 2 GiB.
SLICE = 1 << 16

Batches = "Iterator[pa.RecordBatch]"


def chosen(format: str | None) -> str:
    """The format to print in; nothing binary goes to a terminal."""
    terminal = sys.stdout.isatty()
    if format in ("parquet", "arrow") and terminal:
        raise UsageError(
            f"{format} is not for a terminal", f"send it somewhere: -o result.{format}, or > result.{format}"
        )
    return format or ("table" if terminal else "csv")


def show(schema: pa.Schema, batches: Iterator[pa.RecordBatch], format: str, summed: frozenset[str]) -> bool:
    """Print rows as they come; False if there were more than the format shows."""
    if format == "table":
        return _table(schema, batches, summed)
    out = sys.stdout.buffer
    if format in ("parquet", "arrow"):
        _binary(schema, batches, format, out)
    else:
        lines: Callable[..., bytes] = text.csv_lines if format == "csv" else text.json_lines
        if format == "csv":
            out.write(text.csv_line(schema.names))
        for batch in batches:
            for start in range(0, batch.num_rows, SLICE):
                out.write(lines(batch.slice(start, SLICE), summed))
    out.flush()
    return True


def _table(schema: pa.Schema, batches: Iterator[pa.RecordBatch], summed: frozenset[str]) -> bool:
    import pyarrow as pa
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for field in schema:
        number = pa.types.is_integer(field.type) or pa.types.is_floating(field.type) or pa.types.is_decimal(field.type)
        table.add_column(
            Text(_printable(field.name)), justify="right" if number else "left", overflow="ellipsis", no_wrap=True
        )
    null = Text("null", style="dim")
    left = SHOWN
    for batch in batches:
        columns = [
            text.plain(batch.column(i).slice(0, left), summed=name in summed).to_pylist()
            for i, name in enumerate(schema.names)
        ]
        for row in zip(*columns, strict=True):
            table.add_row(*(null if cell is None else Text(_printable(cell)) for cell in row))
        left -= batch.num_rows
        if left < 0:
            break
    # A pipe has no width: nothing is cut short there.
    Console(width=None if sys.stdout.isatty() else 100_000).print(table)
    return left >= 0


def _printable(cell: str) -> str:
    """Nothing in a cell moves the cursor or ends the line."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cell)


def _binary(schema: pa.Schema, batches: Iterator[pa.RecordBatch], format: str, out: IO[bytes]) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    counted: Any = pa.PythonFile(_Counted(out), mode="w")
    with (
        parquet.ParquetWriter(counted, schema, compression="zstd")
        if format == "parquet"
        else pa.ipc.new_file(counted, schema) as writer
    ):
        for batch in batches:
            writer.write_batch(batch)


class _Counted:
    """A stream that knows its place, as a pipe does not: both formats note places in their footers."""

    closed = False

    def __init__(self, out: IO[bytes]) -> None:
        self.out, self.place = out, 0

    def write(self, data: Any) -> int:
        self.place += memoryview(data).nbytes
        return self.out.write(data)

    def tell(self) -> int:
        return self.place

    def flush(self) -> None:
        self.out.flush()

    def close(self) -> None:
        self.flush()
