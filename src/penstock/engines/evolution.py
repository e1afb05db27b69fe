"""Parquet files of one table that were written with different columns: a lake gains columns, and its types widen.

A column that a file lacks is null there, and a value is read as the widest type that its column has in any file, where
that loses nothing. Left alone, DuckDB takes the first file's columns and types for all, and Spark those of any file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

from penstock.engines.files import Source, filesystem, is_remote
from penstock.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Footer", "Shape", "footers", "shapes", "together", "wider"]

AT_ONCE = 16  # footers: behind a URL each is a request or two
BATCH = 1_000


class Shape(NamedTuple):
    """The files that have the same columns of the same types."""

    paths: list[str]
    columns: dict[str, str]
    """Names and types, in DuckDB's words."""


def shapes(source: Source) -> list[Shape]:
    """The shapes of a source's Parquet files, by the footers, in the order in which they appear."""
    if len(source.paths) == 1:
        return []
    found: list[tuple[pa.Schema, Shape]] = []
    for footer in footers(source.paths):
        schema = footer.schema
        known = next((shape for other, shape in found if schema.equals(other)), None)
        if known is None:
            columns = {field.name: _kind(field.type) for field in schema}
            known = next((shape for _, shape in found if list(shape.columns.items()) == list(columns.items())), None)
            known = known or Shape([], columns)
            found.append((schema, known))
        known.paths.append(footer.path)
    return list({id(shape): shape for _, shape in found}.values())


def together(several: Sequence[Shape], options: Mapping[str, Any]) -> dict[str, str | None]:
    """The columns of several shapes, with the type to cast to; None where all files that have the column agree.

    One file has all the columns, unless `union_by_name` says to put together what looks like several tables.
    """
    most = max(several, key=lambda shape: len(shape.columns))
    kinds, owner = dict(most.columns), dict.fromkeys(most.columns, most)
    unlike: set[str] = set()
    for shape in several:
        if not options.get("union_by_name") and not shape.columns.keys() <= most.columns.keys():
            one, other = sorted((shape, most), key=several.index)
            raise InputError(
                f"{other.paths[0]} has the columns {', '.join(other.columns)}; {one.paths[0]} has "
                f"{', '.join(one.columns)}; neither has all",
                "union_by_name=True reads both as one table, with nulls where a column is missing",
            )
        for name, kind in shape.columns.items():
            there, known = owner.setdefault(name, shape), kinds.setdefault(name, kind)
            if kind == known:
                continue
            common = wider(known, kind)
            if common is None:
                raise InputError(
                    f'"{name}" is {kind} in {shape.paths[0]} and {there.columns[name]} in {there.paths[0]}',
                    "no type holds both without loss: read them one by one, and cast",
                )
            kinds[name] = common
            owner[name] = shape if common == kind else there
            unlike.add(name)
    return {name: kind if name in unlike else None for name, kind in kinds.items()}


_WHOLE = {"TINYINT": 3, "SMALLINT": 5, "INTEGER": 10, "BIGINT": 19}
_UNSIGNED = {"UTINYINT": "SMALLINT", "USMALLINT": "INTEGER", "UINTEGER": "BIGINT", "UBIGINT": "DECIMAL(20,0)"}
_DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")


def wider(one: str, other: str) -> str | None:
    """The narrowest type that holds every value of two; None where there is none.

    >>> wider("INTEGER", "BIGINT"), wider("FLOAT", "INTEGER"), wider("DECIMAL(10,2)", "DECIMAL(8,4)")
    ('BIGINT', 'DOUBLE', 'DECIMAL(12,4)')
    >>> wider("DATE", "TIMESTAMP"), wider("BIGINT", "DOUBLE"), wider("BIGINT", "VARCHAR")
    ('TIMESTAMP', None, None)
    """
    if one == other:
        return one
    if '"NULL"' in (one, other):  # a column of nothing but nulls
        return other if one == '"NULL"' else one
    if {one, other} == {"DATE", "TIMESTAMP"}:
        return "TIMESTAMP"
    one, other = _UNSIGNED.get(one, one), _UNSIGNED.get(other, other)
    if one in _WHOLE and other in _WHOLE:
        return max(one, other, key=_WHOLE.__getitem__)
    if {one, other} & {"FLOAT", "DOUBLE"}:
        exact = {"FLOAT", "DOUBLE", "TINYINT", "SMALLINT", "INTEGER"}  # a double has 53 bits for whole numbers
        return "DOUBLE" if {one, other} <= exact else None
    return _wider_decimal(one, other)


def _wider_decimal(one: str, other: str) -> str | None:
    digits, scales = [], []
    for kind in (one, other):
        found = _DECIMAL.fullmatch(kind)
        if not found and kind not in _WHOLE:
            return None
        precision, scale = (int(found[1]), int(found[2])) if found else (_WHOLE[kind], 0)
        digits.append(precision - scale)
        scales.append(scale)
    precision = max(digits) + max(scales)
    return f"DECIMAL({precision},{max(scales)})" if precision <= 38 else None


# -- footers ----------------------------------------------------------------------------------------------------------


class Footer(NamedTuple):
    """What stands at the end of a Parquet file."""

    path: str
    metadata: Any
    """pyarrow's FileMetaData."""
    bytes: int
    """Of the whole file."""

    @property
    def schema(self) -> pa.Schema:
        """The columns, in Arrow's types."""
        return self.metadata.schema.to_arrow_schema()


def footers(paths: Sequence[str]) -> Iterator[Footer]:
    """The footers of Parquet files, in the order of the paths, several at once."""
    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        for start in range(0, len(paths), BATCH):  # `map` starts all at once, and keeps what comes early
            yield from pool.map(_footer, paths[start : start + BATCH])
    finally:
        # Without a wait: who stops half-way may be collected in the very thread of fsspec that the rest needs.
        pool.shutdown(wait=False, cancel_futures=True)


def _footer(path: str) -> Footer:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with filesystem(path).open(path) if is_remote(path) else pa.OSFile(path) as file:
            return Footer(path, pq.read_metadata(file), file.size if is_remote(path) else file.size())
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path} is not a whole Parquet file: {error}", "fetch or write it again") from error


def _kind(kind: pa.DataType) -> str:
    """An Arrow type in DuckDB's words; how texts, lists and times are laid out in memory makes no difference."""
    import pyarrow as pa

    types = pa.types
    if types.is_dictionary(kind):
        return _kind(kind.value_type)
    if types.is_timestamp(kind):
        return "TIMESTAMP WITH TIME ZONE" if kind.tz else "TIMESTAMP"
    if types.is_decimal(kind):
        return f"DECIMAL({kind.precision},{kind.scale})"
    if types.is_struct(kind):
        return f"STRUCT({', '.join(f'{field.name} {_kind(field.type)}' for field in kind)})"
    if types.is_map(kind):
        return f"MAP({_kind(kind.key_type)}, {_kind(kind.item_type)})"
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return f"{_kind(kind.value_type)}[]"
    if types.is_time(kind):
        return "TIME"
    return _SCALARS.get(str(kind), str(kind).upper())


_SCALARS = {
    "null": '"NULL"', "bool": "BOOLEAN", "int8": "TINYINT", "int16": "SMALLINT", "int32": "INTEGER", "int64": "BIGINT",
    "uint8": "UTINYINT", "uint16": "USMALLINT", "uint32": "UINTEGER", "uint64": "UBIGINT", "halffloat": "FLOAT",
    "float": "FLOAT", "double": "DOUBLE", "date32[day]": "DATE", "date64[ms]": "DATE", "string": "VARCHAR",
    "large_string": "VARCHAR", "string_view": "VARCHAR", "binary": "BLOB", "large_binary": "BLOB",
    "binary_view": "BLOB",
}  # fmt: skip
