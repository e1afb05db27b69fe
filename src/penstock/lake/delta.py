"""Delta tables: the rows stream into Parquet files, and one new entry of the log makes them visible."""

from __future__ import annotations

import datetime
from typing import Any
from urllib.parse import unquote

from penstock import sql
from penstock.engines.delta_files import package
from penstock.errors import OutputError
from penstock.lake.logged import Rows, Stored, partitions_of, ready, refuse_others
from penstock.lake.versions import Target
from penstock.tables import Table

__all__ = ["write"]


def write(
    table: Table, target: Target, *, order: str, file_bytes: int, batch: str | None
) -> tuple[tuple[str, ...], int, int]:
    """Write a table; the new files, the rows, the bytes. A batch that the log knows is not written again."""
    deltalake = package()
    there = deltalake.DeltaTable.is_deltatable(target.path)
    refuse_others(table, target, there)
    before = deltalake.DeltaTable(target.path) if there else None
    stored = None
    if before is not None:
        columns = [field.name for field in before.schema().fields]
        stored = None if target.mode == "overwrite" else Stored(columns, before.metadata().partition_columns)
        if batch and before.transaction_version(batch) is not None:
            return (), 0, 0
    rows = ready(table, target, order, stored)
    replaced = _predicate(partitions_of(rows, target)) if target.mode == "overwrite_partitions" and there else ""
    if replaced is None:
        return (), 0, 0
    old = _files(before) if before is not None else {}  # now: the write brings `before` up to date
    stream = Rows(rows)
    entry = [deltalake.Transaction(batch, 1)] if batch else None
    try:
        deltalake.write_deltalake(
            target.path if before is None else before,
            stream.reader(),
            partition_by=target.partition_by or None,
            mode="overwrite" if replaced else {"overwrite_partitions": "append"}.get(target.mode, target.mode),
            schema_mode="overwrite" if target.mode == "overwrite" else None,
            predicate=replaced or None,
            target_file_size=file_bytes,
            writer_properties=deltalake.WriterProperties(compression=_CODECS[target.compression]),
            commit_properties=deltalake.CommitProperties(app_transactions=entry),
        )
    except deltalake.exceptions.DeltaError as error:
        if stream.failed:
            raise stream.failed from None
        what = f"cannot write {target.path}: {str(error).splitlines()[0]}"
        raise OutputError(what, "what was there before is intact") from error
    new = {path: size for path, size in _files(deltalake.DeltaTable(target.path)).items() if path not in old}
    return tuple(f"{target.path.rstrip('/')}/{path}" for path in new), stream.count, sum(new.values())


_CODECS = {"zstd": "ZSTD", "snappy": "SNAPPY", "gzip": "GZIP", "lz4": "LZ4_RAW", "none": "UNCOMPRESSED"}


def _files(table: Any) -> dict[str, int]:
    import pyarrow as pa

    live = pa.table(table.get_add_actions(flatten=True)).select(["path", "size_bytes"]).to_pydict()
    return dict(zip(map(unquote, live["path"]), live["size_bytes"], strict=True))


def _predicate(partitions: list[dict[str, Any]]) -> str | None:
    """The rows of some partitions, in the log's SQL; None where there are none."""
    terms = [" AND ".join(_equal(name, value) for name, value in row.items()) for row in partitions]
    return " OR ".join(f"({term})" for term in terms) or None


def _equal(name: str, value: Any) -> str:
    if value is None:
        return f"{sql.quote(name)} IS NULL"
    if isinstance(value, (bool, int, float)):
        return f"{sql.quote(name)} = {str(value).lower()}"
    text = value.isoformat(sep=" ") if isinstance(value, datetime.datetime) else str(value)
    return f"{sql.quote(name)} = '{text.replace(chr(39), chr(39) * 2)}'"
