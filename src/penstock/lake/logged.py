"""Writing tables whose own log makes a version visible: Delta and Iceberg, by the embedded engine."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from penstock import sql
from penstock.engines.files import is_remote
from penstock.errors import OutputError, UsageError
from penstock.lake.versions import Target
from penstock.tables import Table, columns, engine_of

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Rows", "Stored", "partitions_of", "ready", "refuse_others"]


#: What a first write that was killed leaves: no log names it, so nobody reads it.
_LEFT = re.compile(
    r"(.*/)?(part-\d{5}-[0-9a-f-]{36}-c\d+\.\w+\.parquet|_delta_log/.*)|data/.*\.parquet|metadata/.*", re.DOTALL
)


class Stored(NamedTuple):
    """What a table in a folder has already."""

    columns: Sequence[str]
    partition_by: Sequence[str]


def refuse_others(table: Table, target: Target, there: bool) -> None:
    """Refuse what cannot be written: from Spark, over a table that the mode does not replace, among other files."""
    if engine_of(table).name != "duckdb":
        raise UsageError(
            f"{target.format} is written by the embedded engine", f"or by Spark's own connector for {target.format}"
        )
    if there and target.mode == "error":
        raise OutputError(f"{target.path} is there already", 'mode="overwrite" replaces it, "append" adds to it')
    if not there and not is_remote(target.path) and os.path.exists(target.path):
        if not os.path.isdir(target.path):
            raise OutputError(f"{target.path} is a file", "name a folder")
        for file in Path(target.path).rglob("*"):
            if file.is_file() and not _LEFT.fullmatch(str(file.relative_to(target.path))):
                raise OutputError(
                    f"{target.path} holds {file.name}, and is no {target.format} table", "name a new folder"
                )


def ready(table: Table, target: Target, order: str, stored: Stored | None) -> Table:
    """The rows in the columns of the table that they join, in order."""
    present = columns(table)
    names = list(present)
    if stored:
        names = list(stored.columns)
        if set(names) != present.keys():
            raise UsageError(
                f"{target.path} has the columns {', '.join(names)}; the table has {', '.join(present)}",
                "select the same columns",
            )
        if list(stored.partition_by) != target.partition_by:
            given, had = (", ".join(keys) or "nothing" for keys in (target.partition_by, stored.partition_by))
            raise UsageError(
                f"{target.path} is partitioned by {had}, not by {given}",
                f"give partition_by={list(stored.partition_by)}",
            )
    terms = ", ".join(filter(None, [sql.quoted(target.partition_by), order]))
    statement = f"SELECT {sql.quoted(names)} FROM t{f' ORDER BY {terms}' if terms else ''}"
    return engine_of(table).query(statement, {"t": table})


def partitions_of(table: Table, target: Target) -> list[dict[str, Any]]:
    """The partitions that a table has rows for."""
    engine = engine_of(table)
    found = engine.query(f"SELECT DISTINCT {sql.quoted(target.partition_by)} FROM t", {"t": table})
    rows: list[dict[str, Any]] = engine.batches(found).read_all().to_pylist()
    return rows


class Rows:
    """A table's rows as a stream that counts them, and keeps the error that ended it from being told as another's."""

    def __init__(self, table: Table) -> None:
        self.source = engine_of(table).batches(table)
        self.count = 0
        self.failed: BaseException | None = None

    def reader(self) -> pa.RecordBatchReader:
        """The stream; it can be read once."""
        import pyarrow as pa

        return pa.RecordBatchReader.from_batches(self.source.schema, self._batches())

    def _batches(self) -> Iterator[pa.RecordBatch]:
        try:
            for batch in self.source:
                self.count += batch.num_rows
                yield batch
        except Exception as error:
            self.failed = error
            raise
