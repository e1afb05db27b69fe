"""How each engine is asked: one function a peer, from SQL or an expression to a contender that reads a Parquet file.

Every contender opens the file anew in each run and ends with the whole answer as an Arrow table in this process; only
connections and sessions are kept. The two Spark contenders share their settings, so that only the plan differs.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, build_opener

import pyarrow as pa

import penstock as ps

__all__ = ["Contender", "chdb", "datafusion", "duckdb", "missing", "moved_bytes", "penstock", "polars", "pyspark"]


@dataclass(frozen=True)
class Contender:
    """One way to answer, and what the harness has to know about it."""

    run: Callable[[Path], pa.Table]
    package: str
    determined: tuple[str, ...] = ()  # the only columns to compare, where ties leave the others open; () is all

    @property
    def engine(self) -> str:
        """The engine whose Penstock answer this one is measured against."""
        return "spark" if self.package == "pyspark" else "duckdb"


#: The files that stand beside the events of a path, by the names of their tables.
Beside = Callable[[Path], dict[str, Path]]


def penstock(answer: Callable[..., Any], *, beside: Beside = lambda path: {}) -> dict[str, Contender]:
    """This project, on either engine."""

    def on(package: str, target: Callable[[], Any]) -> Contender:
        connect = cache(lambda: ps.connect(target()))

        def run(path: Path) -> pa.Table:
            files = [path, *beside(path).values()]
            return connect().batches(answer(*(connect().read(str(file)) for file in files))).read_all()

        return Contender(run, package)

    return {"penstock-duckdb": on("duckdb", lambda: "duckdb"), "penstock-spark": on("pyspark", _spark)}


def duckdb(sql: str, *, determined: tuple[str, ...] = (), beside: Beside = lambda path: {}) -> Contender:
    """Hand-written SQL over the view `events`."""

    @cache
    def connect(path: Path) -> Any:
        import duckdb

        connection = duckdb.connect()
        for name, file in {"events": path, **beside(path)}.items():
            connection.execute(f"create view {name} as from '{file}'")
        return connection

    return Contender(lambda path: connect(path).sql(sql).to_arrow_table(), "duckdb", determined)


def chdb(sql: str, *, beside: Beside = lambda path: {}) -> Contender:
    """ClickHouse's SQL over the view `events`."""

    @cache
    def connect(path: Path) -> Any:
        import chdb

        connection = chdb.connect(":memory:")
        for name, file in {"events": path, **beside(path)}.items():
            connection.query(f"create view {name} as select * from file('{file}', Parquet)")
        return connection

    return Contender(lambda path: connect(path).query(sql, "ArrowTable"), "chdb")


def datafusion(sql: str, *, beside: Beside = lambda path: {}) -> Contender:
    """DataFusion's SQL over the table `events`."""

    def run(path: Path) -> pa.Table:
        from datafusion import SessionContext

        context = SessionContext()
        for name, file in {"events": path, **beside(path)}.items():
            context.register_parquet(name, str(file))
        return context.sql(sql).to_arrow_table()

    return Contender(run, "datafusion")


def polars(
    answer: Callable[..., Any], *, engine: str = "auto", determined: tuple[str, ...] = (),
    beside: Beside = lambda path: {},
) -> Contender:  # fmt: skip
    """A lazy frame: `answer(polars, events)`."""

    def run(path: Path) -> pa.Table:
        import polars

        files = [path, *beside(path).values()]
        return answer(polars, *map(polars.scan_parquet, files)).collect(engine=engine).to_arrow()

    return Contender(run, "polars", determined)


def pyspark(
    answer: Callable[..., Any], *, determined: tuple[str, ...] = (), beside: Beside = lambda path: {}
) -> Contender:
    """A DataFrame: `answer(pyspark.sql.functions, events)`."""

    def run(path: Path) -> pa.Table:
        from pyspark.sql import functions

        files = [path, *beside(path).values()]
        return answer(functions, *(_spark().read.parquet(str(file)) for file in files)).toArrow()

    return Contender(run, "pyspark", determined)


def missing(contender: Contender) -> str:
    """What to install before this contender can run, or nothing."""
    if find_spec(contender.package) is None:
        return f"not installed: pip install 'penstock[{'spark' if contender.engine == 'spark' else 'bench'}]'"
    if contender.engine == "spark" and not (shutil.which("java") or os.environ.get("JAVA_HOME")):
        return "no Java: install version 17 or newer, or set JAVA_HOME"
    return ""


def moved_bytes(contender: Contender) -> int:
    """The shuffle bytes that this process's Spark has written until now."""
    if contender.engine != "spark":
        return 0
    context = _spark().sparkContext
    context._jsc.sc().listenerBus().waitUntilEmpty()  # stages are reported some time after their result is here
    url = f"{context.uiWebUrl}/api/v1/applications/{context.applicationId}/stages"
    with build_opener(ProxyHandler({})).open(url) as reply:
        return sum(stage["shuffleWriteBytes"] for stage in json.load(reply))


@cache
def _spark() -> Any:
    from pyspark.sql import SparkSession

    settings = {
        "spark.driver.memory": "4g",
        "spark.driver.maxResultSize": "0",  # `sort` brings every row home
        "spark.ui.port": "0",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.session.timeZone": "UTC",
    }
    return SparkSession.builder.master("local[*]").config(map=settings).getOrCreate()
