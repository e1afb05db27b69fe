"""What the tests stand on: both engines, tables laid out unkindly on each, and a Spark cluster.

A test that asks for `engine`, `table`, `layouts` or `explore` runs on every engine. Sessions are opened at first need
and serve the whole run. Nothing here or in a test may depend on the machine's time zone: the run has an odd one.
"""

from __future__ import annotations

import functools
import os
import random
import time
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import jvm
import penstock as ps
from clusters import Cluster, standalone
from penstock.cli.doctor import INSTALL_JAVA
from penstock.engines.engine import Engine, Table

# Before any engine starts: a zone 12:45 ahead of UTC, with summer time. Whatever reads the machine's zone shows it.
os.environ["TZ"] = "Pacific/Chatham"
time.tzset()

jvm.set_for_life()

# The same examples in every run, so that a red run is red again; Spark's first query of a kind takes a second or more.
settings.register_profile("penstock", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("penstock")

EXAMPLES = {"duckdb": 30, "spark": 3}  # a query costs about 20 ms on DuckDB, 0.3 s and more on Spark


# -- engines -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def duckdb_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The embedded engine, with two threads however many the machine has."""
    with ps.connect("duckdb", threads=2, scratch=str(tmp_path_factory.mktemp("duckdb"))) as engine:
        yield engine


@pytest.fixture(scope="session")
def spark_engine(java: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """One local Spark session for the run; no setting that would hide what several partitions do."""
    scratch = tmp_path_factory.mktemp("spark")
    own = {
        "spark.sql.shuffle.partitions": 3,  # more than one, or a shuffle is none; the usual 200 tasks take seconds
        "spark.sql.warehouse.dir": str(scratch / "warehouse"),  # else a folder appears where pytest was started
    }
    with ps.connect("local[2]", scratch=str(scratch), **own) as engine:
        # Asked of every table it took a tenth of the time of a test.
        assert _on_spark(engine, [{"x": 1}, {"x": 2}]).rdd.getNumPartitions() == 3
        yield engine


@pytest.fixture(scope="session", params=["duckdb", "spark"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """Each engine in turn."""
    return request.getfixturevalue(f"{request.param}_engine")


@pytest.fixture(scope="session")
def spark(spark_engine: Any) -> Any:
    """The Spark session beneath the Spark engine."""
    return spark_engine.session


# -- tables ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def table(engine: Engine) -> Callable[..., Table]:
    """Make a table of the engine from literal rows or Arrow: its rows shuffled, in several pieces."""
    return functools.partial(LAYOUTS[engine.name], engine)


@pytest.fixture(scope="session")
def layouts(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Any], list[Table]]]:
    """The same rows laid out in several ways: other orders, other pieces, files, another number of threads."""
    others = [ps.connect(target, **own) for target, own in OTHER_ENGINES[engine.name]]

    def lay_out(data: Any) -> list[Table]:
        folder = tmp_path_factory.mktemp("layout")
        arrow = shuffled(data, seed=4)
        for number, start in enumerate(range(0, arrow.num_rows, 400)):
            pq.write_table(arrow.slice(start, 400), folder / f"{number}.parquet", row_group_size=150)
        in_memory = [LAYOUTS[engine.name](engine, data, seed=seed, pieces=pieces) for seed, pieces in [(1, 7), (2, 1)]]
        return in_memory + [each.read(str(folder)) for each in (engine, *others)]

    yield lay_out
    for other in others:
        other.close()


@pytest.fixture(scope="session")
def explore(engine: Engine) -> Callable[..., None]:
    """Run a check on examples of the strategies: many on DuckDB, few on Spark, fewer where a check asks it often."""

    def run(check: Callable[..., None], *strategies: st.SearchStrategy[Any], on_spark: int = EXAMPLES["spark"]) -> None:
        settings(max_examples=on_spark if engine.name == "spark" else EXAMPLES[engine.name])(
            given(*strategies)(check)
        )()

    return run


def shuffled(data: pa.Table | list[dict[str, Any]], seed: int) -> pa.Table:
    """Arrow data in an order of chance that is the same in every run."""
    arrow = data if isinstance(data, pa.Table) else pa.Table.from_pylist(data)
    order = list(range(arrow.num_rows))
    random.Random(seed).shuffle(order)
    return arrow.take(pa.array(order, pa.int64()))


def _on_duckdb(engine: Engine, data: Any, *, seed: int = 0, pieces: int = 3) -> Table:
    arrow = shuffled(data, seed)
    batches = arrow.combine_chunks().to_batches(max_chunksize=max(1, -(-arrow.num_rows // pieces)))
    return engine.adopt(pa.Table.from_batches(batches, arrow.schema))


def _on_spark(engine: Engine, data: Any, *, seed: int = 0, pieces: int = 3) -> Table:
    return engine.adopt(shuffled(data, seed)).repartition(pieces)


LAYOUTS: dict[str, Callable[..., Table]] = {"duckdb": _on_duckdb, "spark": _on_spark}
OTHER_ENGINES: dict[str, list[tuple[str, dict[str, Any]]]] = {"duckdb": [("duckdb", {"threads": 1})], "spark": []}


# -- Java and the cluster ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def java() -> None:
    """Java 17 or newer; where it is missing, what needs it is skipped, and fails in CI."""
    if (complaint := jvm.missing()) is None:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(complaint, pytrace=False)
    pytest.skip(complaint)


@pytest.fixture(scope="session")
def cluster(java: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A standalone Spark cluster of two workers; what uses it runs in a process of its own."""
    with standalone(tmp_path_factory.mktemp("cluster")) as running:
        yield running


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The cluster's tests first: they are the longest, and the last file must not keep one process waiting."""
    items.sort(key=lambda item: "cluster" not in getattr(item, "fixturenames", ()))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say loudly that half of the tests did not run, and what to type."""
    skipped = [report for report in terminalreporter.stats.get("skipped", []) if INSTALL_JAVA in str(report.longrepr)]
    if skipped:
        terminalreporter.section("SPARK WAS NOT TESTED", sep="!", red=True, bold=True)
        terminalreporter.line(f"{len(skipped)} tests were skipped. {jvm.missing()}", red=True, bold=True)
