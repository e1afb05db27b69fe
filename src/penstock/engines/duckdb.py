"""The embedded engine: a DuckDB connection behind the few verbs of `engine.Engine`."""

from __future__ import annotations

import json
import re
import tempfile
import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import duckdb

from penstock import sql
from penstock.engines import (
    arrow_files,
    bad_records,
    copies,
    ctes,
    duckdb_measures,
    duckdb_streams,
    file_errors,
    logs,
    notes,
    partitions,
    placed_lines,
    text_files,
    through_arrow,
)
from penstock.engines.duckdb_measures import profiled
from penstock.engines.engine import Size
from penstock.engines.files import Source, filesystem, is_remote, resolve, uploaded
from penstock.engines.headers import refuse_unlike
from penstock.engines.measures import Measures, measuring, unmeasured, wanted
from penstock.engines.operators import Operator, of_json
from penstock.engines.zstd import refuse_cut
from penstock.errors import EngineError, InputError, OutputError, PenstockError, UsageError
from penstock.made import begins

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["DuckDBEngine"]

# Three slashes before a relative path, four before an absolute one.
_TARGET = re.compile(r"duckdb(?:://(?::memory:|/(.+))?)?")
_SETTINGS = {"memory": "memory_limit", "threads": "threads", "scratch": "temp_directory"}

# A connection refuses a second call while one is at work (ResourceInUseException), so every call of ours takes the
# connection's lock. Kept beside the connection: two engines over one connection must share it.
_LOCKS: weakref.WeakKeyDictionary[duckdb.DuckDBPyConnection, threading.RLock] = weakref.WeakKeyDictionary()
_FIRST_USE = threading.Lock()

# The connections that stream results: each has a state of its own, which `cancel` and `progress` must ask as well.
_STREAMS: weakref.WeakKeyDictionary[duckdb.DuckDBPyConnection, weakref.WeakSet[duckdb.DuckDBPyConnection]] = (
    weakref.WeakKeyDictionary()
)

# `query_progress` answers only where the bar is on. Nothing is drawn.
_BAR = "SET enable_progress_bar = true; SET enable_progress_bar_print = false; SET progress_bar_time = 0"

# A query over several relations names the others in its text only; their Arrow sources live as long as they do.
_INPUTS: weakref.WeakKeyDictionary[duckdb.DuckDBPyRelation, tuple[Any, ...]] = weakref.WeakKeyDictionary()


@dataclass(frozen=True)
class DuckDBEngine:
    """One DuckDB connection. `of` finds the engine of a connection or relation, `open` makes a new one."""

    connection: duckdb.DuckDBPyConnection
    target: str = "duckdb"
    name: str = field(default="duckdb", init=False)
    shows_samples: bool = field(default=False, init=False)

    @classmethod
    def open(cls, target: str = "duckdb", **settings: Any) -> DuckDBEngine:
        """A new database, in memory or in a file; see `engine.connect`."""
        spelled = _TARGET.fullmatch(target)
        if spelled is None:
            raise UsageError(f'unknown engine target "{target}"', 'write "duckdb" or "duckdb:///file.db"')
        config: dict[str, Any] = {_SETTINGS.get(key, key): str(value) for key, value in settings.items()}
        try:
            connection = duckdb.connect(spelled[1] or ":memory:", config=config)
        except duckdb.Error as error:
            what = f"cannot open {target}: {_first_line(error)}"
            raise UsageError(what, "check the path and the settings") from error
        return cls(_pinned(connection), target)

    @classmethod
    def of(cls, owner: duckdb.DuckDBPyConnection | duckdb.DuckDBPyRelation) -> DuckDBEngine:
        """The engine of a live connection, or of the one that a relation came from."""
        # DuckDB 2 has no public way from a relation to its connection.
        connection = owner._con if isinstance(owner, duckdb.DuckDBPyRelation) else owner
        return cls(_pinned(connection))

    def columns(self, table: duckdb.DuckDBPyRelation) -> dict[str, str]:
        """Names and types, from the bound plan."""
        with self._at_work("planning", table):  # a relation binds again after the catalog has changed
            return {name: str(kind) for name, kind in zip(table.columns, table.types, strict=True)}

    @begins
    def adopt(self, data: pa.Table) -> duckdb.DuckDBPyRelation:
        """Arrow data in place: DuckDB scans it where it lies."""
        with self._at_work("adopting Arrow data"):
            return self.connection.from_arrow(data)

    @begins
    def read(self, path: Any, format: str | None = None, **options: Any) -> duckdb.DuckDBPyRelation:
        """Files as a lazy relation; see `ps.read`."""
        return self.read_source(resolve(path, format), options)

    def read_source(self, source: Source, options: Mapping[str, Any]) -> duckdb.DuckDBPyRelation:
        """The files of a source as a lazy relation."""
        text_files.check_options(source.format, options)
        refuse_unlike(source, options)
        if source.format in through_arrow.ROOMS:
            statement, opened = through_arrow.select(source, options)
            tables = {name: self.adopt(files) for name, files in opened.items()}
            return self._in_microseconds(self.query(statement, tables))
        if source.format == "log" or bad_records.is_asked(options):
            return self._lines(source, options)
        with self._opening(source):
            table = self.connection.sql(text_files.duckdb_select(self.connection, source, options))
        return self._in_microseconds(table)

    def _lines(self, source: Source, options: Mapping[str, Any]) -> duckdb.DuckDBPyRelation:
        """What stands in lines, those marked that are malformed; see `bad_records` and `logs`."""
        lines, blocks = placed_lines.duckdb_lines(source, placed=placed_lines.is_placed(options))
        if source.format == "log":
            statement = logs.parsed(lines, "duckdb", placed_lines.places(options))
        else:
            dialect = bad_records.duckdb_dialect(self.connection)
            statement = bad_records.select(lines, source, self.layout(source, options), options, dialect)
        return self.query(statement, {name: self.adopt(table) for name, table in blocks.items()})

    def layout(self, source: Source, options: Mapping[str, Any]) -> text_files.Layout:
        """What a source of text holds; Spark asks too."""
        with self._opening(source), tempfile.TemporaryDirectory(prefix="penstock-sample-") as folder:
            seen = bad_records.sampled(source, options, folder) if bad_records.is_asked(options) else source
            return text_files.layout_of(self.connection, seen, options)

    def query(self, sql: str, tables: Mapping[str, duckdb.DuckDBPyRelation]) -> duckdb.DuckDBPyRelation:
        """One lazy relation from DuckDB SQL over named relations."""
        with self._at_work("planning", sql):
            if not tables:
                return self.connection.sql(sql)
            (name, first), *others = tables.items()
            bound = first.query(name, ctes.before([_cte(*other) for other in others], sql))
            if bound is None:
                raise UsageError("the statement returns no rows", "give one SELECT")
            if others:
                _INPUTS[bound] = tuple(relation for _, relation in others)
            return notes.inherit(bound, tables.values())

    def materialize(self, table: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
        """The rows, held in the client's memory."""
        with self._at_work("materializing", table), profiled(self.connection, wanted(self.connection)):
            return table.materialize()

    def batches(self, table: duckdb.DuckDBPyRelation) -> pa.RecordBatchReader:
        """Stream the rows on a connection of their own, so that this one stays free for others."""
        with self._at_work("running", table):
            cursor = self.connection.cursor()
            cursor.execute(_BAR)
            _STREAMS.setdefault(self.connection, weakref.WeakSet()).add(cursor)
            try:
                return self._stream(cursor, table)
            except duckdb.CatalogException:  # a temporary table or view is seen by its own connection only
                with profiled(self.connection, wanted(self.connection)):
                    return table.to_arrow_table().to_reader()

    def drain(self, table: duckdb.DuckDBPyRelation) -> None:
        """The stream, read to its end."""
        for _ in self.batches(table):
            pass

    def write_files(
        self, table: duckdb.DuckDBPyRelation, folder: str, format: str, *, partition_by: Sequence[str], order: str,
        single: bool, file_bytes: int, compression: str,
    ) -> int:  # fmt: skip
        """DuckDB's COPY, which splits files by size itself; many partitions one after the other."""
        if is_remote(folder):
            with uploaded(folder) as local:
                return self.write_files(
                    table, local, format, partition_by=partition_by, order=order, single=single, file_bytes=file_bytes,
                    compression=compression,
                )  # fmt: skip
        kinds = self.columns(table)
        alone = partition_by and format == "parquet" and partitions.carried(kinds)
        if alone and (order or self._has_many(table, partition_by)):
            rows = self.batches(self.query(partitions.by_folder(kinds, partition_by, order), {"t": table}))
            return partitions.write(rows, folder, file_bytes=file_bytes, compression=compression)
        if order:
            terms = ", ".join(filter(None, [sql.quoted(partition_by), order]))
            table = self.query(f"SELECT * FROM t ORDER BY {terms}", {"t": table})
        if format == "arrow":
            batches = self.batches(table)
            return arrow_files.write(batches, folder, single=single, file_bytes=file_bytes, compression=compression)
        clauses = copies.clauses(
            format, single=single, partition_by=partition_by, file_bytes=file_bytes, compression=compression
        )
        target = f"{folder}/part-0.{format}" if single else folder
        if not order or single:
            return self._copy(table, target, clauses)
        # Several threads keep the order of rows in a single file only; one thread keeps it in any number.
        with DuckDBEngine.open(threads=1, memory=f"{self.memory() // 2} B") as writer:
            return writer._copy(writer.connection.from_arrow(self.batches(table)), target, clauses)

    def _has_many(self, table: duckdb.DuckDBPyRelation, partition_by: Sequence[str]) -> bool:
        """Whether a table has many partitions; where counting them is to run it twice, it is taken to have."""
        if not self.is_narrow(table):
            return True
        counted = self.query(f"SELECT approx_count_distinct(hash({sql.quoted(partition_by)})) FROM t", {"t": table})
        with unmeasured():
            return bool(self.batches(counted).read_all()[0][0].as_py() > partitions.MANY)

    def _copy(self, table: duckdb.DuckDBPyRelation, target: str, clauses: str) -> int:
        statement = f"COPY ({table.sql_query()}) TO {sql.literal(target)} ({clauses})"
        with self._at_work("writing", statement), profiled(self.connection, wanted(self.connection)):
            return int(self.connection.execute(statement).fetchall()[0][0])

    def explain(self, table: duckdb.DuckDBPyRelation) -> str:
        """DuckDB's physical plan."""
        with self._at_work("planning", table):
            return str(table.explain())

    def is_narrow(self, table: duckdb.DuckDBPyRelation) -> bool:
        """Scans, filters and projections only."""
        return all(_NARROW.search(node.name) for node in self.operators(table).walk())

    def size(self, table: duckdb.DuckDBPyRelation) -> Size:
        """The rows that DuckDB expects; it does not guess at bytes."""
        known = (node.info.get("Estimated Cardinality") for node in self.operators(table).walk())
        return Size(rows=next((int(rows) for rows in known if rows), None))

    def setting(self, name: str) -> str | None:
        """As `duckdb_settings()` lists it."""
        with self._at_work("planning"):
            found = self.connection.execute("SELECT value FROM duckdb_settings() WHERE name = ?", [name]).fetchall()
        return str(found[0][0]) if found else None

    def statement(self, table: duckdb.DuckDBPyRelation) -> str:
        """All of it, with the tables that it is built on."""
        return str(table.sql_query())

    def operators(self, table: duckdb.DuckDBPyRelation) -> Operator:
        """DuckDB's physical plan, as a tree."""
        with self._at_work("planning", table):
            found = self.connection.sql(f"EXPLAIN (FORMAT json) {table.sql_query()}").fetchall()
        return of_json(json.loads(found[0][1]))

    def memory(self) -> int:
        """The limit that all cursors share."""
        number, unit = str(self.setting("memory_limit")).split()
        return int(float(number) * _UNITS[unit])

    def progress(self) -> float | None:
        """How much of what runs is done, from 0 to 1, as DuckDB guesses it."""
        known = -1.0
        with suppress(duckdb.ConnectionException):  # closed meanwhile
            known = max(connection.query_progress() for connection in self._connections())
        return known / 100 if known >= 0 else None

    def measured(self) -> AbstractContextManager[Measures]:
        """By its profile of each statement, which is off for all others."""
        return measuring(self.connection)

    def cancel(self) -> None:
        """Interrupt the statements at work; they end with an error."""
        for connection in self._connections():
            with suppress(duckdb.ConnectionException):  # closed meanwhile
                connection.interrupt()

    @contextmanager
    def branch(self) -> Iterator[DuckDBEngine]:
        """A cursor: it sees the same tables, and shares the memory and the threads."""
        with DuckDBEngine.of(self.connection.cursor()) as beside:
            beside.connection.execute(_BAR)
            yield beside

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @contextmanager
    def _opening(self, source: Source) -> Iterator[None]:
        if source.remote:
            files = filesystem(source.paths[0])
            names = (files.protocol,) if isinstance(files.protocol, str) else files.protocol
            if not set(names) & set(self.connection.list_filesystems()):
                self.connection.register_filesystem(files)
        for path in source.paths:
            if path.endswith(".zst"):
                refuse_cut(path)
        with self._at_work(f"reading {source.paths[0]}"):
            yield

    def _in_microseconds(self, table: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
        """Times of nanoseconds, as pandas writes them, in the microseconds that all else has."""
        kinds = self.columns(table)
        spelled = {name: _FINE.sub(r"TIMESTAMP\1", kind) for name, kind in kinds.items()}
        finer = {name: kind for name, kind in spelled.items() if kind != kinds[name]}
        casts = ", ".join(f"CAST({sql.quote(n)} AS {kind}) AS {sql.quote(n)}" for n, kind in finer.items())
        return self.query(f"SELECT * REPLACE ({casts}) FROM t", {"t": table}) if finer else table

    def _connections(self) -> list[duckdb.DuckDBPyConnection]:
        return [self.connection, *_STREAMS.get(self.connection, ())]

    def _stream(self, cursor: duckdb.DuckDBPyConnection, table: duckdb.DuckDBPyRelation) -> pa.RecordBatchReader:
        measures = wanted(self.connection)
        if measures:
            cursor.execute(duckdb_measures.ON)
        bound = cursor.sql(table.sql_query())
        numbers = duckdb_measures.begin(measures)
        told = partial(duckdb_measures.tell, cursor, measures, numbers)
        return duckdb_streams.stream(cursor, bound.to_arrow_reader(), told, partial(_errors, "running", table))

    @contextmanager
    def _at_work(self, step: str, statement: Any = "") -> Iterator[None]:
        """Hold the connection, and raise DuckDB's errors as ours, once, with the step and the SQL."""
        duckdb_streams.close_left()
        with _LOCKS[self.connection], _errors(step, statement):
            yield


_UNITS = {"bytes": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_FINE = re.compile(r"\bTIMESTAMP(TZ)?_NS\b")  # at any depth of a type
# The last: where the planner expects few rows, and behind `x % 2 = 0` it does, an ASOF join is a nested loop.
_PINNED = ("TimeZone = 'UTC'", "default_null_order = 'NULLS_LAST'", "asof_loop_join_threshold = 0")
_NARROW = re.compile(r"SCAN|READ_|FILTER|PROJECTION|PARQUET|CSV|DUMMY", re.IGNORECASE)


def _cte(name: str, table: duckdb.DuckDBPyRelation) -> str:
    return f"{sql.quote(name)} AS NOT MATERIALIZED ({table.sql_query()}\n)"


def _pinned(connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """Give a connection its lock and the session settings that our meanings rest on, once."""
    with _FIRST_USE:
        if connection not in _LOCKS:
            try:
                # For this connection, and for the cursors that stream results.
                for scope in ("GLOBAL", "SESSION"):
                    connection.execute("; ".join(f"SET {scope} {setting}" for setting in _PINNED))
            except duckdb.Error as error:
                what = f"this DuckDB connection cannot be used: {_first_line(error)}"
                raise UsageError(what, "open a new one") from error
            _LOCKS[connection] = threading.RLock()
    return connection


@contextmanager
def _errors(step: str, statement: Any) -> Iterator[None]:
    try:
        yield
    except PenstockError:
        raise
    except (duckdb.Error, OSError) as error:  # an Arrow stream ends with an OSError, whatever DuckDB's error was
        raise _ours(error, step, statement) from error


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def _ours(error: duckdb.Error | OSError, step: str, statement: Any) -> PenstockError:
    """The error of our tree that says whose mistake it is."""
    message = str(error)
    what = f"{step}: {_first_line(error)}"
    if isinstance(statement, duckdb.DuckDBPyRelation):
        statement = statement.sql_query()
    shown = f"the SQL was: {statement}" if statement else ""
    if "No space left" in message or "disk quota" in message.lower():
        return OutputError(what, "free some space; what was there before is intact")
    if told := file_errors.explained(message):
        return told
    if isinstance(error, (duckdb.BinderException, duckdb.CatalogException, duckdb.ParserException)):
        near = re.search(r"Candidate bindings: (.+)", message)
        return UsageError(what, f"is it one of these? {near[1]}" if near else shown)
    if message.startswith("IO Error"):
        return InputError(what, "the file may be cut short or not of the format that its name says")
    if message.startswith("Out of Memory Error"):
        return EngineError(what, 'raise memory=, or name a folder with room: connect("duckdb", scratch="folder")')
    return EngineError(what, shown)
