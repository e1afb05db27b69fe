"""What the tests of patterns stand on besides: Spark without generated code."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from penstock.engines.engine import Engine

# Spark writes, compiles and loads Java for every query that it has not seen, and ours see ten rows each: a fifth of the
# time of this folder (250 s of CPU, 203 without). What a plan means does not hang on it. What users run is generated
# code, and so it is wherever every verb is compared byte for byte with DuckDB (cli/test_engines.py, test_cluster.py),
# over Connect, and in all folders but this one.
INTERPRETED = {"spark.sql.codegen.wholeStage": "false", "spark.sql.codegen.factoryMode": "NO_CODEGEN"}
GENERATED = {"spark.sql.codegen.wholeStage": "true", "spark.sql.codegen.factoryMode": "FALLBACK"}


@pytest.fixture(autouse=True)
def interpreted(request: pytest.FixtureRequest) -> Iterator[None]:
    """Spark, where a test uses it, interprets its plans."""
    used: list[Engine] = [
        request.getfixturevalue(name) for name in ("engine", "spark_engine") if name in request.fixturenames
    ]
    sessions = [engine.session for engine in used if engine.name == "spark"]
    for session in sessions:
        for key, value in INTERPRETED.items():
            session.conf.set(key, value)
    yield
    for session in sessions:
        for key, value in GENERATED.items():
            session.conf.set(key, value)
