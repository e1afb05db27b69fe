"""Apache Spark behind the few verbs of `engine.Engine`, classic and Connect. The only file that imports pyspark."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import sys
import tempfile
import warnings
import weakref
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]
from pyspark.errors import AnalysisException, PySparkException
from pyspark.sql import DataFrame, Observation, SparkSession
from pyspark.sql.functions import count, lit
from pyspark.sql.types import StringType, StructField, StructType

from penstock import sql
from penstock.engines import arrow_files, bad_records, ctes, logs, notes, placed_lines, text_files, through_arrow
from penstock.engines.duckdb import DuckDBEngine
from penstock.engines.engine import Size
from penstock.engines.files import Source, is_remote, resolve, uploaded
from penstock.engines.headers import refuse_unlike
from penstock.engines.measures import Measures, measuring, wanted
from penstock.engines.operators import Operator, of_text
from penstock.engines.spark_errors import TOLD, errors
from penstock.engines.spark_files import WRITE, arranged, read_orc, read_parquet, read_text, uri_of
from penstock.engines.spark_masters import on_this_machine, reach
from penstock.engines.spark_measures import by_connect
from penstock.engines.spark_plans import explained, size_in, uncut
from penstock.engines.spark_settings import changed, files_of
from penstock.engines.spark_stores import by_jobs
from penstock.engines.spark_types import duckdb_type, spark_arrow
from penstock.engines.zstd import compress
from penstock.errors import UsageError
from penstock.made import begins

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["SparkEngine"]

#: What every session of ours runs with, because our meanings rest on it.
PINNED = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.timestampType": "TIMESTAMP_NTZ",  # TIMESTAMP is naive, as in DuckDB
    "spark.sql.ansi.enabled": "true",  # overflow and bad casts are errors
    "spark.sql.adaptive.enabled": "true",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",  # Spark's own INT96 is read by few
}
#: What a session that we open on this machine starts with besides.
LOCAL = {
    "spark.ui.enabled": "false",  # its server listens on every interface
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile=file:{Path(__file__).with_name('log4j2.properties')}",
}
_SETTINGS = {"memory": "spark.driver.memory", "scratch": "spark.local.dir", "threads": "spark.cores.max"}

# Data goes through Arrow here, not through pandas.
warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)

_pinned: weakref.WeakSet[SparkSession] = weakref.WeakSet()


@dataclass(frozen=True)
class SparkEngine:
    """One Spark session. `of` finds the engine of a session or DataFrame, `open` makes a session."""

    session: SparkSession
    target: str = "spark"
    owned: bool = False
    scratch: str | None = None
    tag: str = ""
    name: str = field(default="spark", init=False)
    shows_samples: bool = field(default=False, init=False)

    @classmethod
    def open(cls, target: str = "spark", **settings: Any) -> SparkEngine:
        """A session on this machine, a cluster, or a Connect server; see `engine.connect`."""
        master = {"spark": "local[*]", "local": "local[1]"}.get(target, target)
        if target == "spark" and "threads" in settings:
            master = f"local[{settings.pop('threads')}]"
        reach(master)
        config = {_SETTINGS.get(key, key): str(value) for key, value in settings.items()}
        if not master.startswith("sc://"):
            _refuse_second(master)
            if on_this_machine(master):
                config = LOCAL | config
                # Its Python workers are this Python, with the packages that are installed here.
                os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        builder = SparkSession.builder.appName("penstock")
        builder = builder.remote(master) if master.startswith("sc://") else builder.master(master)
        for key, value in (PINNED | config).items():
            builder = builder.config(key, value)
        owned = master.startswith("sc://") or SparkSession.getActiveSession() is None
        with errors(f"opening {target}", ""):
            session = builder.getOrCreate()
        return cls(_pin(session), target, owned, settings.get("scratch"))

    @classmethod
    def of(cls, owner: SparkSession | DataFrame) -> SparkEngine:
        """The engine of a live session, or of the one that a DataFrame belongs to."""
        # Not by its attributes: a DataFrame of Connect takes any name for a column.
        return cls(_pin(owner if type(owner).__name__ == "SparkSession" else owner.sparkSession))

    def columns(self, table: DataFrame) -> dict[str, str]:
        """Names and types, from the analysed plan."""
        return {column.name: duckdb_type(column.dataType) for column in table.schema.fields}

    @begins
    def adopt(self, data: pa.Table) -> DataFrame:
        """Arrow data through the driver, in the types that Spark has."""
        with errors("adopting Arrow data", ""):
            return self.session.createDataFrame(spark_arrow(data))

    @begins
    def read(self, path: Any, format: str | None = None, **options: Any) -> DataFrame:
        """Files as a lazy DataFrame; see `ps.read`."""
        source = resolve(path, format)
        text_files.check_options(source.format, options)
        refuse_unlike(source, options)
        with errors(f"reading {source.paths[0]}", ""):
            if not self._opens(source):
                return self._staged(source, options)
            reader = self.session.read.option("basePath", _uri(source.root)) if source.hive else self.session.read
            if source.format == "parquet":
                try:
                    return read_parquet(lambda: self.session.read, source, options, _with_texts)
                except AnalysisException as error:
                    if "TIMESTAMP(NANOS" not in str(error):  # which pandas writes, and Spark does not read
                        raise
                    return self._staged(source, options)
            if source.format == "orc":
                return read_orc(reader, source, _with_texts)
            if source.format == "log" or bad_records.is_asked(options):
                return self._lines(reader, source, options)
            layout = _layout(source, options)
            if layout.shape == "unstructured":
                return self._staged(source, options)
            TOLD.update(dict.fromkeys(map(os.path.abspath, source.paths), options))
            return read_text(reader, source, layout, options)

    def query(self, sql: str, tables: Mapping[str, DataFrame]) -> DataFrame:
        """One lazy DataFrame from Spark SQL over named DataFrames; analysed here, so that a mistake shows here."""
        marks = {name: f"`penstock {position}`" for position, name in enumerate(tables)}
        # Spark 4.3 numbers the CTEs of a plan from its top: kept rows whose plan has one are not found below another.
        statement = ctes.in_place(sql, {name.casefold(): mark for name, mark in marks.items()}) or ctes.before(
            [f"{_quote(name)} AS (SELECT * FROM {mark})" for name, mark in marks.items()], sql
        )
        # It makes views and drops them; a dropped view uncaches whatever has its plan, which must not be the table's.
        frames = {f"t{position}": frame.filter("true") for position, frame in enumerate(tables.values())}
        if tables:  # spark.sql formats its text then
            statement = statement.replace("{", "{{").replace("}", "}}")
            for slot, mark in zip(frames, marks.values(), strict=True):
                statement = statement.replace(mark, f"{{{slot}}}")
        with errors("planning", sql):
            frame = self.session.sql(statement, **frames)
            frame.schema  # noqa: B018 - Connect analyses only when asked
            return notes.inherit(frame, tables.values())

    def materialize(self, table: DataFrame) -> DataFrame:
        """The rows kept by the executors; a lost one's part is computed again."""
        with errors("materializing", table), self._told():
            kept = table.persist()
            kept.count()
            return kept

    def batches(self, table: DataFrame) -> pa.RecordBatchReader:
        """The rows as Arrow, through the driver."""
        with errors("running", table), self._told(table):
            return table.toArrow().to_reader()

    def drain(self, table: DataFrame) -> None:
        """Spark's sink for nothing. Connect tells what moved of rows that are fetched alone."""
        if self._context() is None:
            for _ in self.batches(table):
                pass
            return
        with errors("running", table):
            table.write.format("noop").mode("overwrite").save()

    def write_files(
        self, table: DataFrame, folder: str, format: str, *, partition_by: Sequence[str], order: str, single: bool,
        file_bytes: int, compression: str,
    ) -> int:  # fmt: skip
        """Spark's writer. Adaptive execution merges and splits the last shuffle to the wanted file size."""
        late = compression == "zstd" and format not in ("parquet", "arrow")  # the wheel has no zstd for text
        if is_remote(folder) and (late or format == "arrow" or not self._has_filesystem(folder)):
            with uploaded(folder, self.scratch) as local:
                return self.write_files(
                    table, local, format, partition_by=partition_by, order=order, single=single, file_bytes=file_bytes,
                    compression=compression,
                )  # fmt: skip
        frame = arranged(self.query, table, partition_by=partition_by, order=order, single=single)
        if format == "arrow":
            batches = self.batches(frame)
            return arrow_files.write(batches, folder, single=single, file_bytes=file_bytes, compression=compression)
        counted = Observation()
        kind, options = WRITE[format]
        writer = frame.observe(counted, count(lit(1)).alias("rows")).write.mode("append").options(**options)
        if partition_by:
            writer = writer.partitionBy(*partition_by)
        with errors("writing", table), changed(self.session, files_of(file_bytes)), self._told():
            writer.option("compression", "none" if late else compression).format(kind).save(_uri(folder))
            if late:
                compress(folder)
            return int(counted.get["rows"])

    def explain(self, table: DataFrame) -> str:
        """Spark's physical plan."""
        return explained(table, "simple")

    def statement(self, table: DataFrame) -> str:
        """Spark does not tell."""
        return ""

    def operators(self, table: DataFrame) -> Operator:
        """Spark's physical plan, as a tree, with all paths of its scans."""
        return of_text(uncut(table, "simple"))

    def is_narrow(self, table: DataFrame) -> bool:
        """No exchange in the physical plan."""
        return "Exchange" not in self.explain(table)

    def size(self, table: DataFrame) -> Size:
        """By the statistics of the optimised plan: of files as they are stored, whatever is filtered."""
        return size_in(explained(table, "cost"))

    def setting(self, name: str) -> str | None:
        """As the session has it; the parallelism, where none is set, is that of its executors."""
        found: str | None = self.session.conf.get(name, None)
        if found is None and name == "spark.default.parallelism" and (context := self._context()):
            return str(context.defaultParallelism)
        return found

    def memory(self) -> int | None:
        """Each executor sees to its own."""
        return None

    def progress(self) -> float | None:
        """How many tasks of the stages at work are done. Connect does not say."""
        context = self._context()
        tracker = context.statusTracker() if context else None
        stages = [tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds()] if tracker else []
        tasks = sum(stage.numTasks for stage in stages if stage)
        return sum(stage.numCompletedTasks for stage in stages if stage) / tasks if tasks else None

    def measured(self) -> AbstractContextManager[Measures]:
        """By what the application knows of the jobs of this thread. Connect tells less, of each frame that ran."""
        return by_jobs(self.session) if self._context() else measuring(self.session)

    def _told(self, frame: DataFrame | None = None) -> AbstractContextManager[None]:
        return by_connect(wanted(self.session), frame)

    def cancel(self) -> None:
        """Stop the session's jobs, or the branch's; they end with an error."""
        context = self._context()
        if not self.tag:
            self.session.interruptAll()
        elif context:  # the session's own tags are known to the thread that gave them alone
            context.cancelJobsWithTag(self.tag)
        else:
            self.session.interruptTag(self.tag)

    @contextmanager
    def branch(self) -> Iterator[SparkEngine]:
        """The same session with a tag on the jobs of this thread."""
        tag = f"penstock-{secrets.token_hex(6)}"
        context = self._context()
        add, remove = (
            (context.addJobTag, context.removeJobTag) if context else (self.session.addTag, self.session.removeTag)
        )
        add(tag)
        try:
            yield replace(self, owned=False, tag=tag)
        finally:
            remove(tag)

    def _context(self) -> Any:
        """The Spark context, which Connect has not."""
        return getattr(self.session, "_sc", None)  # the public name raises on Connect

    def close(self) -> None:
        """Stop the session, if it was opened here."""
        if self.owned:
            self.session.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _opens(self, source: Source) -> bool:
        """Whether Spark's own readers can open the files: the wheel has no S3 client and no zstd for text."""
        if not through_arrow.spark_reads(source) or any(
            Path(path).name.startswith(("_", ".")) for path in source.paths
        ):
            return False  # Spark takes what is hidden for no data, also where it is named
        if source.format not in ("parquet", "orc") and any(path.endswith(".zst") for path in source.paths):
            return False
        return not source.remote or self._has_filesystem(source.paths[0])

    def _has_filesystem(self, url: str) -> bool:
        try:
            self.session.read.format("binaryFile").load(url).schema  # noqa: B018 - Connect looks only when asked
        except (PySparkException, Py4JJavaError) as error:
            if "No FileSystem for scheme" in str(error) or "ClassNotFoundException" in str(error):
                return False
            if "PATH_NOT_FOUND" not in str(error):
                raise
        return True

    def _lines(self, reader: Any, source: Source, options: Mapping[str, Any]) -> DataFrame:
        """What stands in lines, those marked that are malformed; see `bad_records`, `logs` and `placed_lines`."""
        placed, text = placed_lines.is_placed(options), sql.unused("value", source.hive)
        schema = ", ".join(f"{_quote(name)} STRING" for name in (text, *source.hive))
        read = reader.schema(schema).text(list(map(uri_of, source.paths)))
        texts = read.selectExpr(*placed_lines.spark_columns(source, text, placed=placed))
        tables = {"texts": texts}
        if placed:
            tables["splits"] = self.query(placed_lines.SPLITS, tables)
        lines = placed_lines.spark_lines(source, placed=placed)
        if source.format == "log":
            return self.query(logs.parsed(lines, "spark", placed_lines.places(options)), tables)
        dialect = bad_records.spark_dialect()
        return self.query(bad_records.select(lines, source, _layout(source, options), options, dialect), tables)

    def _staged(self, source: Source, options: Mapping[str, Any]) -> DataFrame:
        """What Spark cannot open, copied by the embedded engine to the scratch folder, which the workers must see."""
        folder = tempfile.mkdtemp(prefix="penstock-stage-", dir=self.scratch)
        weakref.finalize(self.session, shutil.rmtree, folder, ignore_errors=True)
        with DuckDBEngine.open() as embedded:
            table = embedded.read_source(source, options)
            embedded.write_files(
                table, folder, "parquet", partition_by=(), order="", single=False, file_bytes=128 << 20,
                compression="zstd",
            )  # fmt: skip
        return self.session.read.parquet(_uri(folder))


def _layout(source: Source, options: Mapping[str, Any]) -> text_files.Layout:
    """What the embedded engine sees in a sample, so that both engines see the same names and types."""
    with DuckDBEngine.open() as embedded:
        return embedded.layout(source, options)


def _with_texts(schema: StructType, names: Collection[str]) -> StructType:
    return StructType([StructField(f.name, StringType()) if f.name in names else f for f in schema])


def _refuse_second(master: str) -> None:
    active = SparkSession.getActiveSession()
    running = active.conf.get("spark.master", "") if active is not None else master
    if active is not None and running != master:
        raise UsageError(
            f"this process runs Spark on {running} already, and one process has one Spark application",
            "close that engine first, or use Spark Connect (sc://host:port) for the other",
        )


def _pin(session: SparkSession) -> SparkSession:
    # Spark's Python client prints a JSON line for every exception that it raises; ours carry the message.
    logging.getLogger("SQLQueryContextLogger").setLevel(logging.CRITICAL)
    if session not in _pinned:
        for key, value in PINNED.items():
            session.conf.set(key, value)
        _pinned.add(session)
    return session


def _quote(name: str) -> str:
    return sql.quote(name, "spark")


def _uri(path: str) -> str:
    return path if "://" in path else f"file://{os.path.abspath(path)}"
