"""Avro files as an Arrow stream. No engine here reads them by itself: DuckDB's and Spark's readers are downloads.

A column has the type that all files' schemas have together. Times are in UTC microseconds, whether Avro calls them
local or not; a UUID and a time of day are text, as in csv and JSON; an enum is its word.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import IO, Any

import pyarrow as pa

from penstock.engines.files import filesystem, is_remote
from penstock.errors import InputError, MissingExtra, PenstockError

__all__ = ["Records", "first_rows", "opened", "schema_of"]

BATCH = 8192  # records: all that is in memory of a file

_PLAIN = {
    "null": pa.string(), "boolean": pa.bool_(), "int": pa.int32(), "long": pa.int64(), "float": pa.float32(),
    "double": pa.float64(), "bytes": pa.binary(), "string": pa.string(), "fixed": pa.binary(), "enum": pa.string(),
}  # fmt: skip
_LOGICAL = {
    "date": pa.date32(), "timestamp-millis": pa.timestamp("us"), "timestamp-micros": pa.timestamp("us"),
    "timestamp-nanos": pa.timestamp("ns"), "local-timestamp-millis": pa.timestamp("us"),
    "local-timestamp-micros": pa.timestamp("us"), "local-timestamp-nanos": pa.timestamp("ns"),
}  # fmt: skip
_TEXTS = ("uuid", "time-millis", "time-micros")
_NUMBERS = ("int", "long", "float", "double")  # each holds those before it


def opened(paths: Sequence[str]) -> Records:
    """The files as an Arrow stream."""
    return Records(paths)


class Records:
    """The files as an Arrow stream, read anew by every scan."""

    def __init__(self, paths: Sequence[str]) -> None:
        self.paths = tuple(paths)
        seen = paths[:1] if is_remote(paths[0]) else paths  # behind a URL every look costs a request
        try:
            self.schema = pa.unify_schemas(list(map(schema_of, seen)), promote_options="permissive")
        except pa.ArrowException as error:
            raise InputError(f"the files have columns of unlike types: {error}", "read each kind by itself") from error

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Arrow's PyCapsule protocol; no record is read before the first batch is asked for."""
        batches = (batch for path in self.paths for batch in _batches(path, self.schema))
        return pa.RecordBatchReader.from_batches(self.schema, batches).__arrow_c_stream__(requested_schema)


def schema_of(path: str) -> pa.Schema:
    """A file's columns."""
    with _opened(path) as reader:
        written = _written(reader, path)
        return pa.schema([pa.field(field["name"], _kind(field["type"], path)) for field in written["fields"]])


def first_rows(path: str, columns: Collection[str], most: int) -> tuple[pa.Table, float, bool]:
    """Rows of a file from its beginning, how many it has by their share of its bytes, and whether these are all."""
    schema = schema_of(path)
    with _opened(path) as reader:
        found, taken = list[pa.RecordBatch](), 0
        for batch in _records(reader, path, schema):
            found.append(batch)
            taken += batch.num_rows
            if taken >= most:
                break
        behind = reader.fo.tell()
        every = behind / max(1, reader.fo.seek(0, os.SEEK_END))
    rows = pa.Table.from_batches(found, schema).slice(0, most)
    return rows.select([name for name in schema.names if name in columns]), taken / every, every == 1


def _batches(path: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    with _opened(path) as reader:
        yield from _records(reader, path, schema)


def _records(reader: Any, path: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    turned = _turned(_written(reader, path)) or (lambda record: record)
    while records := list(islice(reader, BATCH)):
        yield pa.RecordBatch.from_pylist(list(map(turned, records)), schema=schema)


@contextmanager
def _opened(path: str) -> Iterator[Any]:
    try:
        import fastavro
    except ImportError as error:
        raise MissingExtra.of(error.name or "fastavro", "avro") from error
    try:
        file: IO[bytes] = filesystem(path).open(path) if is_remote(path) else open(path, "rb")  # noqa: SIM115
        with file:
            yield fastavro.reader(file)
    except (PenstockError, GeneratorExit):
        raise
    except Exception as error:  # whatever the bytes lead fastavro to
        said = str(error) or type(error).__name__
        raise InputError(f"{path} is not a whole Avro file: {said}", "fetch or write it again") from error


def _written(reader: Any, path: str) -> Any:
    """The schema that a file was written with, every named type in its place."""
    from fastavro.schema import expand_schema

    written = expand_schema(reader.writer_schema)
    if not (isinstance(written, dict) and written["type"] == "record"):
        raise InputError(f"{path} holds no records but {written}", "only records have columns")
    return written


# -- types ------------------------------------------------------------------------------------------------------------


def _kind(schema: Any, path: str) -> pa.DataType:
    schema = _present(schema)
    if isinstance(schema, list):
        if all(branch in _NUMBERS for branch in schema):
            return _PLAIN[max(schema, key=_NUMBERS.index)]
        raise InputError(f"{path} has values of several types in one column: {schema}", "write them as one type")
    if isinstance(schema, str):
        if schema not in _PLAIN:
            raise InputError(f'{path} has a type "{schema}" that is within itself', "no table has such a column")
        return _PLAIN[schema]
    logical, kind = schema.get("logicalType"), schema["type"]
    if logical in _TEXTS:
        return pa.string()
    if logical == "decimal" and schema["precision"] <= 38:
        return pa.decimal128(schema["precision"], schema.get("scale", 0))
    if logical in _LOGICAL:
        return _LOGICAL[logical]
    if kind == "record":
        return pa.struct([pa.field(field["name"], _kind(field["type"], path)) for field in schema["fields"]])
    if kind == "array":
        return pa.list_(_kind(schema["items"], path))
    if kind == "map":
        return pa.map_(pa.string(), _kind(schema["values"], path))
    return _kind(kind, path)


def _present(schema: Any) -> Any:
    """A type without null, which any column may hold."""
    if not isinstance(schema, list):
        return schema
    branches = [branch for branch in schema if branch != "null"] or ["null"]
    return branches[0] if len(branches) == 1 else branches


Turn = Callable[[Any], Any]


def _turned(schema: Any) -> Turn | None:
    """What makes a value of fastavro's one that Arrow takes; None where it is one."""
    schema = _present(schema)
    turn = _turned_whole(schema) if isinstance(schema, dict) else None
    return (lambda value: None if value is None else turn(value)) if turn else None


def _turned_whole(schema: Any) -> Turn | None:
    kind = schema["type"]
    if schema.get("logicalType") in _TEXTS:
        return str
    if kind == "record":
        turns = {field["name"]: turn for field in schema["fields"] if (turn := _turned(field["type"]))}
        return (lambda record: {**record, **{n: turn(record[n]) for n, turn in turns.items()}}) if turns else None
    if kind == "array":
        item = _turned(schema["items"])
        return (lambda values: list(map(item, values))) if item else None
    if kind == "map":
        value = _turned(schema["values"]) or (lambda value: value)
        return lambda entries: [(key, value(entry)) for key, entry in entries.items()]
    return _turned(kind) if isinstance(kind, (dict, list)) else None
