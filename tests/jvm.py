"""Which Java Spark needs here, and how its JVMs run: for seconds to minutes, so that their start is what counts.

python tests/jvm.py    # makes the archive of classes beside the virtual environment; `make test` does
"""

from __future__ import annotations

import functools
import os
import sys
import tempfile
from pathlib import Path

import pyarrow as pa

import penstock as ps
from penstock.cli.doctor import java
from penstock.testing import rows

#: Of a JVM that had used 343 s, 141 had gone into compiling for a longer life, and 28 into G1. So: no second compiler,
#: one thread that collects; 0.5 of the time, at starts as well as later.
SHORT_LIFE = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:ReservedCodeCacheSize=240m"

#: Spark's classes as the JVM wants them in memory (AppCDS). A session that counts a table takes 11.7 s of CPU without
#: it and 5.7 s with it; the cluster's tests 0.7 of theirs. The JVM passes over one that is not its own.
ARCHIVE = Path(sys.prefix, "spark-classes.jsa")
USED = f'"-XX:SharedArchiveFile={ARCHIVE}" -Xlog:disable'


def set_for_life(more: str = "") -> None:
    """Every JVM that is started from here on, drivers, workers and executors, runs with these options."""
    options = f"{SHORT_LIFE} {more or (USED if ARCHIVE.exists() else '')}".strip()
    os.environ["SPARK_SUBMIT_OPTS"] = os.environ["SPARK_DAEMON_JAVA_OPTS"] = options
    os.environ["PYSPARK_SUBMIT_ARGS"] = f"--conf 'spark.executor.extraJavaOptions={options}' pyspark-shell"


@functools.cache
def missing() -> str | None:
    """What is wrong with the Java that is here; None where Spark can run."""
    runs, said = java()
    return None if runs else f"java: {said}"


def make_archive() -> None:
    """Do with Spark what tests do, and have its JVM write down at its end which classes that took."""
    aside = ARCHIVE.with_suffix(".unfinished")
    set_for_life(f'"-XX:ArchiveClassesAtExit={aside}" -Xlog:disable')
    with tempfile.TemporaryDirectory() as folder, ps.connect("local[2]", scratch=folder) as engine:
        numbers = list(range(1000))
        events = engine.adopt(
            pa.table({"k": [n % 7 for n in numbers], "at": numbers, "text": [str(n) for n in numbers]})
        )
        for kind in ("parquet", "csv", "json"):
            ps.write(events, f"{folder}/{kind}", format=kind)
            rows(ps.where(ps.read(f"{folder}/{kind}", kind, engine=engine), "k > 3"))
        rows(ps.aggregate(ps.join(events, ps.distinct(events, "k"), "k", strategy="shuffle"), "text", n="count(*)"))
        rows(ps.sort(ps.top_n(events, "k", "at desc"), "at"))
        rows(ps.query("SELECT *, lag(at) OVER (PARTITION BY k ORDER BY at) AS before FROM t", t=events))
        jvm = engine.session.sparkContext._gateway.proc
    jvm.stdin.close()  # it ends, and writes
    jvm.wait(timeout=300)
    if aside.exists():
        aside.rename(ARCHIVE)


if __name__ == "__main__" and missing() is None:
    make_archive()
