"""A table as files that appear at once, in a size that reads well."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from os import PathLike, fspath
from os.path import getsize, splitext
from pathlib import Path
from typing import Any, NamedTuple

from penstock import sql
from penstock.amounts import bytes_of
from penstock.engines.evolution import wider
from penstock.engines.files import filesystem, format_of, is_remote, partition_of, unknown
from penstock.errors import UsageError
from penstock.lake import delta, iceberg, remote, versions
from penstock.lake.swap import clear_away
from penstock.lake.versions import Target
from penstock.tables import Table, columns, engine_of, resolve, resolve_in

__all__ = ["Written", "write"]

MODES = ("error", "append", "overwrite", "overwrite_partitions")
#: Formats, the ending of their files, and the compressions they know; the first is what is taken where none is named.
FORMATS = {
    "parquet": (".parquet", ("zstd", "snappy", "gzip", "lz4", "none")),
    "csv": (".csv", ("none", "gzip", "zstd")),
    "tsv": (".tsv", ("none", "gzip", "zstd")),
    "json": (".json", ("none", "gzip", "zstd")),
    "ndjson": (".ndjson", ("none", "gzip", "zstd")),
    "arrow": (".arrow", ("zstd", "lz4", "none")),
    "delta": ("", ("zstd", "snappy", "gzip", "lz4", "none")),
    "iceberg": ("", ("zstd", "snappy", "gzip", "lz4", "none")),
}
#: The rooms of formats that keep a log of their own.
LOGGED: dict[str, Any] = {"delta": delta, "iceberg": iceberg}
_TEXT = (".csv", ".tsv", ".json", ".ndjson")
_SUFFIXES = {"gzip": ".gz", "zstd": ".zst", "none": ""}


class Written(NamedTuple):
    """What a write did."""

    path: str
    files: tuple[str, ...]
    """The paths of the files that it wrote."""
    rows: int
    bytes: int


def write(
    table: Table,
    path: str | PathLike[str],
    format: str | None = None,
    *,
    partition_by: str | Sequence[str] = (),
    sort_by: str | Sequence[str] = (),
    target_file_size: str | int = "256MB",
    mode: str = "error",
    compression: str | None = None,
    batch: str | None = None,
) -> Written:
    """A table as one file or a folder of files, which become visible in one step.

    A reader sees the old version or the new one, also where the writer is killed.

    Args:
        table: A table of either engine.
        path: With a format's ending and no `partition_by` (`out.parquet`, `out.csv.gz`), one file; a folder otherwise,
            or an fsspec URL of either. Missing folders above it are made.
        format: parquet, csv, tsv, json (one object a line; or ndjson) or arrow; told by the ending, else parquet.
            "delta" and "iceberg" are tables with a log of their own, which the embedded engine writes.
        partition_by: Columns whose values name folders (`day=2026-01-01/`) and leave the files.
        sort_by: `"amount desc, ts"`: an order over all files, in the order of their names; with `partition_by`, within
            each folder's files.
        target_file_size: What a file is to have, about: `"256MB"`, or a number of bytes.
        mode: Where there is something already: "error"; "append" keeps it; "overwrite" replaces it;
            "overwrite_partitions" replaces the partitions that the table has and keeps the others.
        compression: zstd, snappy, gzip, lz4 or none for parquet; zstd, lz4 or none for arrow; gzip, zstd or none for
            text. Told by the ending (`.gz`, `.zst`), else zstd, and none for text.
        batch: A name for what this call writes, of letters and digits. Writing it again with mode "append" replaces
            it, so that a job which is run twice appends once.

    Returns:
        path, files (the paths of those written), rows, bytes.

    Raises:
        ColumnError: `partition_by` or `sort_by` names a column that the table does not have.
        UsageError: the options do not go together, or not with the files that are there.
        OutputError: the path cannot be written; what was there is as it was.

    Example:
        >>> import os, tempfile
        >>> out = f"{tempfile.mkdtemp()}/out"
        >>> written = write(ps.adopt([{"k": "a", "v": 1}, {"k": "b", "v": 2}]), out, partition_by="k")
        >>> written.rows, len(written.files), sorted(os.listdir(out))
        (2, 2, ['k=a', 'k=b'])
    """
    engine = engine_of(table)
    target = _target(table, fspath(path), format, partition_by, mode, compression, batch)
    order, size = _order(table, sort_by), bytes_of(target_file_size)
    if target.format in LOGGED:
        with versions.disk_errors(target.path):
            room, rows_of = LOGGED[target.format], _ready(table, target)
            files, rows, written = room.write(rows_of, target, order=order, file_bytes=size, batch=batch)
        return Written(target.path, files, rows, written)
    place: Any = remote if is_remote(target.path) else versions
    place.check(target)
    ready = _fitted(_ready(table, target), target, place)
    with versions.disk_errors(target.path), place.workshop(target) as folder:
        rows = engine.write_files(
            ready, folder, target.format, partition_by=target.partition_by, order=order, single=target.single,
            file_bytes=size, compression=target.compression,
        )  # fmt: skip
        files, written = place.publish(target, folder, rows)
    return Written(target.path, files, rows, written)


def unpublished(table: Table, folder: Path) -> Written:
    """Parquet files of a table in a new folder, for whoever makes that visible himself."""
    target = _target(table, str(folder), "parquet", (), "error", None, None)
    folder.mkdir()
    with versions.disk_errors(target.path):
        rows = engine_of(table).write_files(
            _ready(table, target), target.path, target.format, partition_by=(), order="", single=False,
            file_bytes=bytes_of("256MB"), compression=target.compression,
        )  # fmt: skip
    names = versions.data_files(folder)
    for file in folder.iterdir():  # Spark's marks and checksums
        if file.name not in names:
            file.unlink()
    return Written(target.path, tuple(names), rows, sum(getsize(folder / name) for name in names))


def published(path: str, batch: str) -> Written | None:
    """What a batch wrote to a folder of Parquet files, if it is there; what a killed writer left beside it is not."""
    import pyarrow.parquet as pq

    place: Any = remote if is_remote(path) else versions
    if place is versions and Path(path).exists():
        clear_away(Path(path).resolve())
    names = [name for name in place.data_files(path) if versions.is_of(batch, name)]
    if not names or any(format_of(name) != "parquet" for name in names):
        return None
    root = path.rstrip("/")
    files = tuple(f"{root}/{name}" for name in names)
    opened = filesystem(path) if is_remote(path) else None
    rows = sum(pq.read_metadata(file, filesystem=opened).num_rows for file in files)
    return Written(path, files, rows, sum(opened.size(file) if opened else getsize(file) for file in files))


# -- checks, before anything runs -------------------------------------------------------------------------------------


def _target(
    table: Table, path: str, format: str | None, partition_by: str | Sequence[str], mode: str,
    compression: str | None, batch: str | None,
) -> Target:  # fmt: skip
    if mode not in MODES:
        raise unknown("mode", mode, MODES)
    if format is not None and format not in FORMATS:
        raise unknown("format", format, FORMATS)
    partitions = resolve(table, [partition_by] if isinstance(partition_by, str) else partition_by)
    if partitions and len(partitions) == len(columns(table)):
        raise UsageError(
            "partition_by names every column, which leaves nothing for the files", "leave some columns out"
        )
    named = format_of(path)
    chosen = format or named or "parquet"
    if chosen not in FORMATS:
        raise UsageError(f"cannot write {chosen} files", f"one of: {', '.join(FORMATS)}")
    if named and named != {"ndjson": "json"}.get(chosen, chosen):
        raise UsageError(f"{path} is named as {named}, and format is {chosen}", "leave one of them out")
    single = named is not None and not partitions
    if single and mode not in ("error", "overwrite"):
        raise UsageError(f"one file cannot be written with mode {mode}", "write to a folder: a path without an ending")
    if batch is not None and not batch.isalnum():
        raise UsageError(f'"{batch}" cannot name a batch', "use letters and digits")
    if mode == "overwrite_partitions" and not partitions:
        raise UsageError("overwrite_partitions replaces partitions, and there are none", "give partition_by=")
    if chosen == "arrow" and partitions:
        raise UsageError("arrow files are not partitioned", "partition parquet, csv or json")
    packed, ending = _compression(path, chosen, compression)
    return Target(path, chosen, packed, ending, single, mode, partitions, batch or secrets.token_hex(4))


def _compression(path: str, format: str, compression: str | None) -> tuple[str, str]:
    """The compression, and the ending of files that have it."""
    ending, known = FORMATS[format]
    if compression is not None and compression not in known:
        raise unknown(f"compression of {format}", compression, known)
    suffix = splitext(path)[1].lower()
    if ending not in _TEXT:
        if suffix in (".gz", ".zst"):
            raise UsageError(f"{format} is compressed within: {path} names {suffix}", f"name it {path[: -len(suffix)]}")
        return compression or known[0], ending
    named = next((name for name, known in _SUFFIXES.items() if known == suffix), None)
    if format_of(path) and compression not in (None, named or "none"):
        right = path.removesuffix(suffix if named else "") + _SUFFIXES[str(compression)]
        raise UsageError(f"{path} does not name {compression}, which it would be written in", f"name it {right}")
    chosen = compression or named or known[0]
    return chosen, ending + _SUFFIXES[chosen]


def _order(table: Table, sort_by: str | Sequence[str]) -> str:
    if not sort_by:
        return ""
    engine, present = engine_of(table), columns(table)
    terms = sql.orders(sort_by, present)
    for term in terms:
        resolve_in(present, sql.columns_of(term.expression))
    return ", ".join(term.text(engine.name) for term in terms)


# -- the table, as it will stand in the files -------------------------------------------------------------------------


def _fitted(table: Table, target: Target, place: Any) -> Table:
    """The table with its columns in the order of the files that it joins, then those that are new to them.

    In Parquet, which has types and names, a table may bring columns and wider types; the others have what was there.
    """
    names = place.data_files(target.path) if target.mode in ("append", "overwrite_partitions") else []
    if not names:
        return table
    if format_of(names[0]) != (wanted := {"ndjson": "json"}.get(target.format, target.format)):
        raise UsageError(f"{target.path} holds {format_of(names[0])} files, not {wanted}", 'use mode="overwrite"')
    partitions = list(partition_of(names[0]))
    if partitions != target.partition_by:
        given, had = (", ".join(keys) or "nothing" for keys in (target.partition_by, partitions))
        raise UsageError(f"{target.path} is partitioned by {had}, not by {given}", f"give partition_by={partitions}")
    engine, present = engine_of(table), columns(table)
    parquet = target.format == "parquet"
    one = f"{target.path.rstrip('/')}/{names[0]}"  # where files have no types, they are all alike
    stored = engine.columns(engine.read(target.path if parquet else one))
    there = [*(name for name in stored if name not in partitions), *partitions]
    new = [name for name in present if name not in there]
    if not present.keys() >= set(there) or (new and not parquet):
        raise UsageError(
            f"{target.path} has the columns {', '.join(there)}; the table has {', '.join(present)}",
            "select the same columns",
        )
    selected = []
    for name in (*there, *new):
        column = sql.quote(name, engine.name)
        known = stored[name] if parquet and name in stored and name not in partitions else present[name]
        kind = wider(known, present[name])
        if kind is None:
            raise UsageError(f'"{name}" is {known} in {target.path} and {present[name]} in the table', "cast it")
        cast = f"CAST({column} AS {sql.type_for(kind, engine.name)}) AS {column}"
        selected.append(column if kind == present[name] else cast)
    return engine.query(f"SELECT {', '.join(selected)} FROM t", {"t": table})


def _ready(table: Table, target: Target) -> Table:
    """The table with the values that files cannot hold as they are, cast or refused."""
    engine = engine_of(table)
    changed = {}
    for name, kind in columns(table).items():
        column = sql.quote(name, engine.name)
        if kind.endswith("HUGEINT"):  # DuckDB writes it to Parquet as a rounded double
            changed[name] = f"CAST({column} AS DECIMAL(38,0)) AS {column}"
        elif name in target.partition_by and kind == "VARCHAR":  # Spark makes it null, and cannot read DuckDB's
            said = sql.literal(f'"{name}" is the empty text in some row, which cannot name a folder', engine.name)
            fail = "raise_error" if engine.name == "spark" else "error"
            changed[name] = f"CASE WHEN {column} = '' THEN {fail}({said}) ELSE {column} END AS {column}"
    if not changed:
        return table
    selected = (changed.get(name, sql.quote(name, engine.name)) for name in columns(table))
    return engine.query(f"SELECT {', '.join(selected)} FROM t", {"t": table})
