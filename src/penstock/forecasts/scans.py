"""What a scan reads of its files, and what it skips: folders by their names, row groups by their statistics, columns.

All from the names of files and the footers of Parquet, so the figures are exact; no row is read.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from sqlglot import exp

from penstock import sql
from penstock.engines.asking import ask
from penstock.engines.files import NULL_PARTITION, partition_of
from penstock.forecasts.sources import Source, footer
from penstock.trees.spelled import spelled
from penstock.trees.tree import references

__all__ = ["Condition", "Scan", "conditions_of", "kept_paths", "may_hold", "scanned"]

AT_ONCE = 16  # footers


class Condition(NamedTuple):
    """A column compared with a value, as the engine pushed it into the scan."""

    column: str
    sign: str
    value: str


class Scan(NamedTuple):
    """What is read, of what there is."""

    files: int
    files_read: int
    row_groups: int
    row_groups_read: int
    columns: int
    columns_read: int
    rows: int
    """Of the row groups that are read, before any other filter."""
    read_bytes: int
    skipped_bytes: int


def scanned(source: Source, paths: Sequence[str], columns: Sequence[str], conditions: Sequence[Condition]) -> Scan:
    """A scan of Parquet files, of which `paths` are not left out by their folders' names."""
    wanted = set(columns) | {condition.column for condition in conditions}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        footers = dict(zip(source.paths, pool.map(footer, source.paths), strict=True))
    groups_read = rows = read = 0
    names: dict[str, None] = {}
    kept = set(paths)
    for path, found in footers.items():
        names.update(dict.fromkeys(found.schema.to_arrow_schema().names))
        for group in _groups(found) if path in kept else ():
            if all(may_hold(group, condition) for condition in conditions):
                groups_read += 1
                rows += group.num_rows
                read += sum(chunk.total_compressed_size for chunk in _chunks(group) if _top(chunk) in wanted)
    there = sum(
        chunk.total_compressed_size for f in footers.values() for group in _groups(f) for chunk in _chunks(group)
    )
    return Scan(
        len(source.paths), len(paths), sum(found.num_row_groups for found in footers.values()), groups_read, len(names),
        len(wanted & names.keys()), rows, read, there - read,
    )  # fmt: skip


_SIGNS: dict[type[exp.Expr], str] = {exp.EQ: "=", exp.GT: ">", exp.GTE: ">=", exp.LT: "<", exp.LTE: "<="}
_TURNED = {"=": "=", ">": "<", ">=": "<=", "<": ">", "<=": ">="}


def conditions_of(filters: Sequence[exp.Expr], names: Mapping[str, str]) -> list[Condition]:
    """The comparisons of a column with a value among conditions over columns of a tree."""
    found: list[Condition] = []
    for condition in filters:
        comparison = condition.unnest()
        if isinstance(comparison, exp.Between):
            found += _comparison(comparison.this, ">=", comparison.args["low"], names)
            found += _comparison(comparison.this, "<=", comparison.args["high"], names)
        elif sign := _SIGNS.get(type(comparison)):
            found += _comparison(comparison.this, sign, comparison.expression, names)
            found += _comparison(comparison.expression, _TURNED[sign], comparison.this, names)
    return found


def _comparison(column: exp.Expr, sign: str, value: exp.Expr, names: Mapping[str, str]) -> list[Condition]:
    bare = value.this if isinstance(value, (exp.Cast, exp.TsOrDsToDate)) else value
    name = names.get(column.name) if isinstance(column, exp.Column) else None
    if name is None or not isinstance(bare, (exp.Literal, exp.Neg)):
        return []
    text = bare.name if isinstance(bare, exp.Literal) else f"-{bare.this.name}"
    return [Condition(name, sign, text)]


def kept_paths(source: Source, filters: Sequence[exp.Expr], names: Mapping[str, str]) -> list[str]:
    """The files whose folders' names pass the conditions on them, which the embedded engine is asked about."""
    asked = [each for each in filters if (read := references(each)) and all(names.get(r) in source.hive for r in read)]
    if not asked or not source.hive:
        return list(source.paths)
    folders = [partition_of(path) for path in source.paths]
    rows = ", ".join(
        f"({number}, {', '.join(_text(values.get(name)) for name in source.hive)})"
        for number, values in enumerate(folders)
    )
    typed = ", ".join(
        f"CAST({sql.quote(name)} AS {kind}) AS {sql.quote(place)}"
        for name, kind in source.hive.items() for place, of in names.items() if of == name
    )  # fmt: skip
    where = " AND ".join(f"({spelled(each)})" for each in asked)
    listed = f"SELECT file, {typed} FROM (VALUES {rows}) AS v(file, {sql.quoted(source.hive)})"
    picked = ask(f"SELECT file FROM ({listed}) WHERE {where} ORDER BY file")
    return [source.paths[number] for number in picked["file"].to_pylist()]


def _text(value: str | None) -> str:
    return "NULL" if value is None or value == NULL_PARTITION else sql.literal(value)


def _groups(footer: Any) -> Iterator[Any]:
    return (footer.row_group(number) for number in range(footer.num_row_groups))


def _chunks(group: Any) -> Iterator[Any]:
    return (group.column(number) for number in range(group.num_columns))


def _top(chunk: Any) -> str:
    return str(chunk.path_in_schema).split(".")[0]


def may_hold(group: Any, condition: Condition) -> bool:
    """Whether the statistics of a row group leave room for a row that fulfils a condition."""
    chunk = next((chunk for chunk in _chunks(group) if chunk.path_in_schema == condition.column), None)
    statistics = chunk.statistics if chunk is not None and chunk.is_stats_set else None
    if statistics is None or not statistics.has_min_max:
        return True
    value = _as(type(statistics.min), condition.value)
    if value is None:
        return True
    test: Callable[[Any, Any, Any], bool] = _TESTS[condition.sign]
    return test(statistics.min, statistics.max, value)


_TESTS: dict[str, Callable[[Any, Any, Any], bool]] = {
    "=": lambda low, high, value: low <= value <= high,
    ">": lambda _, high, value: high > value,
    ">=": lambda _, high, value: high >= value,
    "<": lambda low, _, value: low < value,
    "<=": lambda low, _, value: low <= value,
}


def _as(kind: type, text: str) -> Any:
    """A value as the type that statistics are of; None where it cannot be compared."""
    try:
        if kind is bytes:
            return text.encode()
        if kind in (datetime.datetime, datetime.date):
            moment = datetime.datetime.fromisoformat(text)
            return moment if kind is datetime.datetime else moment.date()
        if kind in (int, float, Decimal, str):
            return Decimal(text) if kind is not str else text
    except (ValueError, InvalidOperation):
        return None
    return None
