"""What an engine is: the few verbs that every pattern is built on, and the way to get one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self, TypeAlias

from penstock.errors import MissingExtra, UsageError

if TYPE_CHECKING:
    import pyarrow as pa

    from penstock.engines.measures import Measures
    from penstock.engines.operators import Operator
    from penstock.engines.spark import SparkEngine

__all__ = ["Engine", "Size", "Table", "connect", "default_engine", "engine_for", "use", "using"]

#: A `duckdb.DuckDBPyRelation` or a `pyspark.sql.DataFrame`: the engine's own lazy table, nothing of ours around it.
Table: TypeAlias = Any


class Size(NamedTuple):
    """How large a table is by its plan's own statistics; None where they do not say."""

    rows: int | None = None
    bytes: int | None = None


class Engine(Protocol):
    """A handful of verbs. An engine

    MUST keep `query` lazy: it checks the SQL and runs nothing,
    MUST answer `columns` without reading rows, in DuckDB's type names,
    MUST work in UTC, with integer overflow an error, whatever the machine and the session it was given say.
    """

    @property
    def name(self) -> str:
        """The engine's SQL dialect: "duckdb" or "spark"."""

    @property
    def shows_samples(self) -> bool:
        """Whether the rows that it shows are not all there are: an engine that only plans."""

    def columns(self, table: Table) -> dict[str, str]:
        """Column names and their types, in order."""

    def adopt(self, data: pa.Table) -> Table:
        """Arrow data as a table of this engine."""

    def read(self, path: Any, format: str | None = None, **options: Any) -> Table:
        """Files as a table; see `ps.read`."""

    def query(self, sql: str, tables: Mapping[str, Table]) -> Table:
        """SQL of this engine's own dialect over named tables."""

    def materialize(self, table: Table) -> Table:
        """Run the table once; what comes back reads the kept result."""

    def batches(self, table: Table) -> pa.RecordBatchReader:
        """Run the table and stream its rows as Arrow."""

    def drain(self, table: Table) -> None:
        """Run the table for nobody: its rows are dropped where they are made."""

    def write_files(
        self, table: Table, folder: str, format: str, *, partition_by: Sequence[str], order: str, single: bool,
        file_bytes: int, compression: str,
    ) -> int:  # fmt: skip
        """Write data files into an empty folder and count the rows. Making them visible is the caller's work (`lake/`).

        With `partition_by`, `order` is that of the rows in each file; without, that of all rows, in the natural order
        of the files' names.
        """

    def explain(self, table: Table) -> str:
        """The engine's own physical plan, as text."""

    def statement(self, table: Table) -> str:
        """The SQL that the table stands for, where the engine tells."""

    def operators(self, table: Table) -> Operator:
        """The physical plan as a tree."""

    def is_narrow(self, table: Table) -> bool:
        """Whether the plan only reads, filters and projects, so that running it twice costs two reads at most."""

    def size(self, table: Table) -> Size:
        """How large the table is by the statistics of its plan, without running it."""

    def setting(self, name: str) -> str | None:
        """One of the engine's own settings, as text; None where it has none of that name."""

    def memory(self) -> int | None:
        """The bytes that all its statements together may hold, where one process runs them."""

    def progress(self) -> float | None:
        """How much of what is running is done, from 0 to 1, where the engine knows."""

    def measured(self) -> AbstractContextManager[Measures]:
        """A block whose statements are measured: those that this engine runs in it for this thread.

        What they moved is known when the block has ended, and a stream counts once it is read to its end.
        """

    def cancel(self) -> None:
        """Stop what is running now."""

    def branch(self) -> AbstractContextManager[Engine]:
        """The same engine for one thread's statements beside others': `cancel` of it stops those alone."""

    def close(self) -> None:
        """Give everything back."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...


TARGETS = (
    '"duckdb", "duckdb:///file.db", "spark", "local[4]", "spark://host:port", "sc://host:port", '
    "a DuckDB connection or a Spark session"
)


def connect(target: Any = "duckdb", **settings: Any) -> Engine:
    """Open an engine.

    Args:
        target: `"duckdb"` (in memory), `"duckdb:///file.db"`, `"spark"` (this machine), `"local[4]"`,
            `"spark://host:port"`, `"yarn"`, `"k8s://…"`, `"sc://host:port"` (Spark Connect), or a live connection or
            session.
        **settings: `memory="8GB"`, `threads=4`, `scratch="folder"`; anything else is the engine's own setting
            (`**{"spark.sql.shuffle.partitions": 64}`, `max_temp_directory_size="50GB"`).

    Example:
        >>> with connect("duckdb", threads=2) as engine:
        ...     engine.name
        'duckdb'
    """
    if not isinstance(target, str):
        return engine_for(target)
    if target == "duckdb" or target.startswith("duckdb:"):
        from penstock.engines.duckdb import DuckDBEngine

        return DuckDBEngine.open(target, **settings)
    if target in ("spark", "local", "yarn") or target.startswith(("local[", "spark://", "sc://", "k8s://")):
        return _spark_engine().open(target, **settings)
    raise UsageError(f'unknown engine target "{target}"', f"one of: {TARGETS}")


def engine_for(owner: Any) -> Engine:
    """The engine of a live connection or session, or of a table that came from one."""
    root = type(owner).__module__.partition(".")[0]
    if root in ("duckdb", "_duckdb"):
        from penstock.engines.duckdb import DuckDBEngine

        return DuckDBEngine.of(owner)
    if root == "pyspark":
        return _spark_engine().of(owner)
    if root == "penstock":  # a table on paper
        found: Engine = owner.engine
        return found
    raise UsageError(f"a {type(owner).__name__} belongs to no engine", f"give one of: {TARGETS}")


def _spark_engine() -> type[SparkEngine]:
    try:
        from penstock.engines.spark import SparkEngine
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("pyspark", "py4j", "grpc", "google"):
            raise MissingExtra.of(package, "spark") from error
        raise
    return SparkEngine


_default: list[Engine] = []
_here: ContextVar[Engine | None] = ContextVar("engine of this thread", default=None)


def use(engine: Engine) -> Engine:
    """Make an engine the default: the one that `ps.read` and `ps.adopt` use when none is named."""
    _default[:] = [engine]
    return engine


@contextmanager
def using(engine: Engine) -> Iterator[Engine]:
    """Make an engine the default within a block, in this thread only."""
    before = _here.set(engine)
    try:
        yield engine
    finally:
        _here.reset(before)


def default_engine() -> Engine:
    """The engine set by `using` or `use`; the embedded one is made at first need."""
    return _here.get() or (_default[0] if _default else use(connect("duckdb")))
