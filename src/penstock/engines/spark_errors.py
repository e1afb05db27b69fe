"""Spark's errors as ours: whose mistake it is, which file and line, and what to do."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from py4j.protocol import Py4JError, Py4JJavaError  # type: ignore[import-untyped]
from pyspark.errors import AnalysisException, ParseException, PySparkException

from penstock.engines import file_errors
from penstock.engines.duckdb import DuckDBEngine
from penstock.errors import EngineError, InputError, OutputError, PenstockError, UsageError

__all__ = ["FAILURES", "TOLD", "errors"]

#: What a call into the JVM may end with.
FAILURES = (PySparkException, Py4JError)
#: The options that a file is being read with.
TOLD: dict[str, Mapping[str, Any]] = {}


@contextmanager
def errors(step: str, statement: Any) -> Iterator[None]:
    """Raise Spark's errors as ours, once, with the step and the SQL."""
    try:
        yield
    except PenstockError:
        raise
    except (PySparkException, Py4JJavaError, OSError, RuntimeError) as error:
        raise _ours(error, step, statement if isinstance(statement, str) else "") from error


def _told_first(message: str) -> str:
    """The line that says what happened; what a broadcast or a subquery died of stands behind the first cause."""
    lines = message.strip().splitlines() or [""]
    causes = [line.removeprefix("Caused by: ") for line in lines if line.startswith("Caused by: ")]
    return causes[0] if causes and "awaitResult" in lines[0] else lines[0]


def _ours(error: Exception, step: str, statement: str) -> PenstockError:
    message = str(error)
    if isinstance(error, Py4JJavaError):  # one that PySpark has no class for: its text starts on the second line
        message = message.partition("\n: ")[2]
    what = f"{step}: {_told_first(message) or type(error).__name__}"
    shown = f"the SQL was: {statement}" if statement else ""
    if "No space left on device" in message:
        return OutputError(what, "free some space; what was there before is intact")
    if told := file_errors.explained(message) or _fault(file_errors.file_of(message)):
        return told
    if any(
        sign in message
        for sign in ("MALFORMED_RECORD", "FAILED_READ_FILE", "CANNOT_READ_FILE", "Unexpected end of", "PATH_NOT_FOUND")
    ):
        return InputError(what, "the file may be broken, cut short, or not of the format that its name says")
    if isinstance(error, (AnalysisException, ParseException)):
        return UsageError(what, shown)
    return EngineError(what, shown)


def _fault(path: str) -> InputError | None:
    """What the embedded engine has to say about a local file that Spark could not read: it knows the line."""
    if not os.path.isfile(path):
        return None
    with DuckDBEngine.open() as embedded:
        try:
            for _ in embedded.batches(embedded.read(path, **TOLD.get(path, {}))):
                pass
        except InputError as found:
            return found
    return None
