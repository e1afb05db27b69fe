"""What a table is: the engine's own lazy table. How anything becomes one, and how SQL goes over it."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from penstock import sql
from penstock.engines.engine import Engine, Table, default_engine, engine_for
from penstock.errors import ColumnError, InputError, UsageError
from penstock.made import remembered

__all__ = [
    "By",
    "Table",
    "adopt",
    "columns",
    "engine_of",
    "grouped",
    "materialize",
    "native",
    "portable",
    "query",
    "read",
    "refuse_names",
    "resolve",
    "resolve_in",
    "total_order",
    "type_of",
]

#: Group keys: a column, several, or names with the expressions they stand for.
By: TypeAlias = "str | Sequence[str] | Mapping[str, str]"


def read(
    path: str | os.PathLike[str] | Iterable[str | os.PathLike[str]], format: str | None = None,
    engine: Engine | None = None, **options: Any,
) -> Table:  # fmt: skip
    """Files as a lazy table.

    Args:
        path: A file, a glob, a folder (Hive columns such as `day=2026-01-01/` become columns), a list of these, or an
            fsspec URL such as `s3://bucket/prefix/`.
        format: parquet, csv, tsv, json (or ndjson), arrow, orc, avro, log (Common and Combined access logs), delta or
            iceberg. Told from the names where it is not given; `.gz` and `.zst` may follow the textual ones.
        engine: Where to read; the default engine otherwise (`ps.use`).
        **options: csv, tsv: `delimiter`, `header`, `null`, `types={"column": "TYPE"}`; json: `types`;
            parquet, csv, json: `union_by_name`, `filename`; csv, tsv, json, log: `bad`; delta, iceberg: `version`.

    Returns:
        The engine's own lazy table. A `log` has the columns host, ident, user, at, method, path, protocol, status,
        bytes, referer, agent, and `raw`: null, or the whole line where it does not parse (the others are null then).

    Raises:
        InputError: no such file, an empty glob or folder, a file that is not what its name says.
    """
    return (engine or default_engine()).read(path, format, **options)


def adopt(obj: Any, engine: Engine | None = None) -> Table:
    """Anything that holds rows, as a table of an engine.

    Args:
        obj: A table already (returned as it is, unless `engine` is another engine's), anything with
            `__arrow_c_stream__` (pandas, Polars, PyArrow, …), a list of dicts, or a path.
        engine: The engine to adopt it into; the default one otherwise.

    Example:
        >>> adopt([{"k": "a", "v": 1}, {"k": "b"}]).fetchall()
        [('a', 1), ('b', None)]
    """
    if is_table(obj):
        return obj if engine is None or engine_for(obj).name == engine.name else engine.adopt(_arrow_of(obj))
    if isinstance(obj, (str, os.PathLike)):
        return read(obj, engine=engine)
    return (engine or default_engine()).adopt(_arrow(obj))


def is_table(obj: Any) -> bool:
    """Whether an object is an engine's own table, or one on paper (`plans/paper.py`)."""
    return type(obj).__name__ in ("DuckDBPyRelation", "DataFrame", "PaperTable") and type(obj).__module__.startswith(
        ("duckdb", "_duckdb", "pyspark.sql", "penstock.plans")
    )


def engine_of(table: Table) -> Engine:
    """The engine that a table belongs to."""
    if not is_table(table):
        raise UsageError(f"a {type(table).__name__} is not a table", "make it one with ps.adopt(…) or ps.read(…)")
    return engine_for(table)


def materialize(table: Table) -> Table:
    """Run a table once and keep its rows: what is built on the result reads those."""
    return engine_of(table).materialize(table)


def _arrow_of(table: Table) -> Any:
    return engine_for(table).batches(table).read_all()


def _arrow(obj: Any) -> Any:
    import pyarrow as pa

    try:
        if isinstance(obj, list):
            if not obj:
                raise UsageError("an empty list has no columns", "adopt an empty pyarrow table with a schema instead")
            names = dict.fromkeys(name for row in obj for name in row)
            return pa.table({name: [row.get(name) for row in obj] for name in names})
        return pa.table(obj)
    except (pa.ArrowException, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, UsageError):
            raise
        raise InputError(
            f"cannot adopt a {type(obj).__name__}: {error}", "give a table, Arrow data, a list of dicts or a path"
        ) from error


def columns(table: Table) -> dict[str, str]:
    """Column names and types, in order, in DuckDB's type names."""
    return engine_of(table).columns(table)


def resolve(table: Table, names: Iterable[str]) -> list[str]:
    """Names as the table spells them, or a `ColumnError` with the nearest one. Case does not count, as in SQL."""
    return resolve_in(columns(table), names)


def resolve_in(present: Mapping[str, str], names: Iterable[str]) -> list[str]:
    """As `resolve`, over columns that are known already."""
    folded = {column.casefold(): column for column in present}
    found = []
    for name in names:
        column = name if name in present else folded.get(name.casefold())
        if column is None:
            raise ColumnError.missing(name, present)
        found.append(column)
    return found


def grouped(table: Table, by: By) -> tuple[Table, list[str]]:
    """A table that has the group keys as columns, and their names; keys given as expressions are computed first."""
    if isinstance(by, Mapping):
        engine, present = engine_of(table), columns(table)
        for expression in by.values():
            resolve_in(present, sql.columns_of(expression))
        replaced = {name.casefold() for name in by}
        kept = [sql.quote(name, engine.name) for name in present if name.casefold() not in replaced]
        computed = [
            f"{sql.spell(expression, engine.name, present)} AS {sql.quote(name, engine.name)}"
            for name, expression in by.items()
        ]
        return engine.query(f"SELECT {', '.join([*kept, *computed])} FROM t", {"t": table}), list(by)
    names = resolve(table, [by] if isinstance(by, str) else by)
    if len(set(names)) < len(names):
        raise UsageError(f"a group key is named twice: {', '.join(names)}", "name each once")
    return table, names


def type_of(table: Table, expression: str) -> str:
    """The type that an expression has over a table, in DuckDB's names; runs nothing."""
    engine, present = engine_of(table), columns(table)
    if plain := sql.plain_column(expression):
        return present[resolve_in(present, [plain])[0]]
    bound = engine.query(f"SELECT {sql.spell(expression, engine.name, present)} AS x FROM t", {"t": table})
    return engine.columns(bound)["x"]


def portable(table: Table) -> Table:
    """A computed table in types that both engines have: sums of integers in 64 bits, and no length of time.

    DuckDB sums integers in 128 bits, which is exact; a sum that does not fit into 64 is an error there as on Spark.
    """
    engine, kinds = engine_of(table), columns(table)
    for name, kind in kinds.items():
        if kind.startswith("INTERVAL"):
            raise UsageError(
                f'"{name}" would be an interval, which is another thing on each engine', "date_diff counts units"
            )
    if "HUGEINT" not in kinds.values():
        return table
    quoted = {name: sql.quote(name, engine.name) for name in kinds}
    narrowed = [
        f"CAST({quoted[name]} AS BIGINT) AS {quoted[name]}" if kind == "HUGEINT" else quoted[name]
        for name, kind in kinds.items()
    ]
    return engine.query(f"SELECT {', '.join(narrowed)} FROM t", {"t": table})


def total_order(table: Table, order: str | Sequence[str]) -> list[tuple[sql.Order, str]]:
    """The terms of an order, then every other column ascending, each with its type: the way that ties are broken.

    A column of a type that has no order on both engines (a map) breaks no tie.
    """
    present = columns(table)
    terms, named = [], set()
    for term in sql.orders(order, present):
        resolve_in(present, sql.columns_of(term.expression))
        plain = sql.plain_column(term.expression)
        named.update(resolve_in(present, [plain]) if plain else [])
        terms.append((term, type_of(table, term.expression)))
    rest = [name for name, kind in present.items() if name not in named and "MAP(" not in kind]
    return terms + [(sql.Order(sql.quote(name)), present[name]) for name in rest]


def refuse_names(keys: Iterable[str], results: Iterable[str]) -> None:
    """Refuse group keys that are called like a column of the result."""
    taken = {name.casefold() for name in results}
    for key in keys:
        if key.casefold() in taken:
            raise UsageError(
                f'a group key is called "{key}", as a column of the result is', f'rename it: by={{"key": "{key}"}}'
            )


@remembered
def query(sql_text: str, **tables: Any) -> Table:
    """SQL in DuckDB's dialect over named tables, spelled for their engine; lazy.

    Args:
        sql_text: One SELECT. Arithmetic means what docs/semantics.md says on either engine: division by zero is null,
            `//` floors, `%` has the divisor's sign.
        **tables: The tables under the names that the SQL uses, all of one engine; other data is adopted into it.

    Example:
        >>> query("SELECT k, 7 // v AS q FROM t ORDER BY k", t=[{"k": 1, "v": -2}, {"k": 2, "v": 0}]).fetchall()
        [(1, -4), (2, None)]
    """
    engine = _common_engine(tables)
    adopted = {name: adopt(table, engine) for name, table in tables.items()}
    types = {name: engine.columns(table) for name, table in adopted.items()}
    spelled = sql.spell_query(sql_text, engine.name, types)
    try:
        return portable(engine.query(spelled, adopted))
    except UsageError as error:
        if not (unknown_ := sql.tables_of(sql_text) - {name.casefold() for name in adopted}):
            raise
        near = difflib.get_close_matches(min(unknown_), adopted, n=1)
        guess = f'did you mean "{near[0]}"? ' if near else ""
        there = ", ".join(adopted) or "none; give them by name: query(sql, events=table)"
        raise UsageError(f'no table "{min(unknown_)}" was given', f"{guess}there is: {there}") from error


def native(spelled: Callable[[str], str], **tables: Table) -> Table:
    """SQL in the engine's own dialect, over tables of one engine: for plans that differ by engine."""
    engine = _common_engine(tables)
    return engine.query(spelled(engine.name), tables)


def _common_engine(tables: Mapping[str, Any]) -> Engine:
    engines = [engine_for(table) for table in tables.values() if is_table(table)]
    names = {engine.name for engine in engines}
    if len(names) > 1:
        raise UsageError(
            f"tables of different engines: {', '.join(sorted(names))}", "adopt them into one: ps.adopt(t, engine)"
        )
    return engines[0] if engines else default_engine()
