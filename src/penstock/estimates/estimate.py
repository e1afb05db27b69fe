"""`ps.estimate`: how long a job will take that does not exist yet, on one machine and on a cluster."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

from penstock.errors import UsageError
from penstock.estimates import machine_file, render
from penstock.estimates.crossover import crossover
from penstock.estimates.envelope import Line, envelope
from penstock.estimates.hardware import DEFAULTS, Machines
from penstock.estimates.hardware import machines as described
from penstock.estimates.mapreduce_cluster import mapreduce
from penstock.estimates.one_machine import one_machine
from penstock.estimates.spark_cluster import spark
from penstock.estimates.speeds import DUCKDB, measured_speeds
from penstock.estimates.steps import Side
from penstock.estimates.workload import FILE, Workload, workload
from penstock.figures import UNKNOWN, Figure

__all__ = ["Estimate", "estimate"]

FORMAT_VERSION = "1.0"
ENGINES = ("duckdb", "spark", "mapreduce")
JOB_DEFAULTS: dict[str, Any] = {
    "format": "parquet", "columns": 1, "row_bytes": "250B", "shuffles": 1, "heaviest": 0, "partition": "128MB",
    "storage": "remote",
}  # fmt: skip
_FROM_THE_REST = {"files": f"of {FILE}", "output": "as much as the last wide step moves"}


class Estimate(NamedTuple):
    """What a job needs, by engine. It prints as a table with every formula below."""

    work: Workload
    cluster: Machines
    engines: Mapping[str, Side]
    """By name: "duckdb" (one machine), "spark" and "mapreduce"."""
    envelope: tuple[Line, ...]
    """The plain arithmetic, which the engines' steps can be checked against."""
    crossover: Figure | None
    """The bytes from which on Spark is done before one machine; None unless both were asked for."""
    assumed: Mapping[str, Any]
    """What was not said, and so is taken for granted."""

    @property
    def best(self) -> Side:
        """The engine that is done first, of those that can hold the job."""
        return min(self.engines.values(), key=lambda side: (not side.fits, side.seconds.mid or 0.0))

    def to_json(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {
            "format_version": FORMAT_VERSION,
            "work": self.work._asdict() | {"values": self.work.values.to_json(), "tasks": self.work.tasks},
            "cluster": self.cluster.to_json(),
            "assumed": dict(self.assumed),
            "engines": [side.to_json() for side in self.engines.values()],
            "best": self.best.engine,
            "crossover_bytes": None if self.crossover is None else self.crossover.to_json(),
            "envelope": [line.to_json() for line in self.envelope],
        }

    def __str__(self) -> str:
        return render.text(self)

    def __repr__(self) -> str:
        return f"Estimate({', '.join(f'{name}: {render.lasting(side)}' for name, side in self.engines.items())})"


def estimate(
    *,
    bytes: str | float | None = None,
    machines: int | None = None,
    cores: int | None = None,
    memory: str | float | None = None,
    network: str | float | None = None,
    engine: str | None = None,
    format: str | None = None,
    stored: str | float | None = None,
    files: int | None = None,
    columns: str | float | None = None,
    row_bytes: str | float | None = None,
    shuffles: int | str | float | Iterable[str | float] | None = None,
    heaviest: str | float | None = None,
    broadcasts: str | float | Iterable[str | float] | None = None,
    output: str | float | None = None,
    partition: str | float | None = None,
    storage: str | None = None,
    disk: str | float | None = None,
    disk_size: str | float | None = None,
    measured: bool = True,
) -> Estimate:
    """How long a job will take that does not exist yet: on one machine, on Spark and on MapReduce.

    Args:
        bytes: All rows, uncompressed: `"100 TB"`, or a number of bytes.
        machines: How many the cluster has.
        cores: Of each machine, the single one as well.
        memory: Of each: `"64GB"`.
        network: Of each: `"10 Gb/s"` (a small b is bits), `"1.25 GB/s"`, or bytes a second.
        engine: `"duckdb"`, `"spark"` or `"mapreduce"` alone; all three by default.
        format: Of the files: parquet, orc, avro, arrow, csv, tsv, json, log; the text formats also as csv.gz, json.zst.
        stored: The bytes of the files, in place of `bytes` or beside it where their ratio is known.
        files: How many there are. It matters where files cannot be split.
        columns: The share of each row's bytes that is needed: `0.06`, `"6%"` or `"3/50"`.
        row_bytes: What the values of one row have, about.
        shuffles: How many wide steps there are that move all rows, or what each of them moves, as a share of the rows
            or in bytes: `["100%", 0.02, "20GB"]`. What is combined first moves little.
        heaviest: The share of the rows that have the most frequent key of a wide step.
        broadcasts: The size of each small table that is joined without a wide step: `["10GB", "500MB"]`.
        output: What is written, as a share of the rows or in bytes before it is compressed.
        partition: What one task works on.
        storage: `"remote"`: files are in an object store, behind the network; `"local"`: on the machines' own disks.
        disk: How fast each machine's disk is: `"1 GB/s"`.
        disk_size: How much it holds.
        measured: Use what `penstock estimate --calibrate` found out about this machine, where it did.

    Returns:
        For each engine the steps, with a formula for each resource that they need, as ranges: of what the resources do
        at the same time, the slowest decides. What was not given is listed as `assumed`.

    Raises:
        UsageError: a value is no size, speed, share or count, or an engine or a format is unknown.

    Example:
        >>> found = estimate(bytes="100TB", machines=200, cores=16, network="10 Gb/s", measured=False)
        >>> [f"{line.name}: {line.formula}" for line in found.envelope if line.name in ("tasks", "shuffle 1")]
        ['tasks: 100 TB / 128 MB = 781,250 tasks, say 800,000', 'shuffle 1: 100 TB / (200 x 1.25 GB/s) = 400 s']
        >>> found.best.engine
        'spark'
    """
    given: dict[str, Any] = {
        "format": format, "columns": columns, "row_bytes": row_bytes, "shuffles": shuffles, "heaviest": heaviest,
        "partition": partition, "storage": storage, "machines": machines, "cores": cores, "memory": memory,
        "network": network, "disk": disk, "disk_size": disk_size,
    }  # fmt: skip
    job = {name: default if given[name] is None else given[name] for name, default in JOB_DEFAULTS.items()}
    work = workload(bytes=bytes, stored=stored, files=files, broadcasts=broadcasts or (), output=output, **job)
    own = {name: given[name] for name in ("cores", "memory", "network", "disk", "disk_size")}
    kept = machine_file.nearest() if measured else None
    cluster = described(number=machines, **own)
    alone = described(number=1, measured=kept.machine if kept else None, **own)
    speeds = measured_speeds(kept.rates) if kept else DUCKDB
    models = {
        "duckdb": partial(one_machine, on=alone, speeds=speeds),
        "spark": partial(spark, on=cluster),
        "mapreduce": partial(mapreduce, on=cluster),
    }
    asked = _asked(engine)
    if asked == ("duckdb",):
        cluster = alone
    usual = {**JOB_DEFAULTS, **({} if cluster is alone and kept else DEFAULTS)}
    missing = {name: value for name, value in usual.items() if given[name] is None}
    if cluster is alone:
        missing.pop("machines", None)
    rest = {"files": files, "output": output}
    return Estimate(
        work,
        cluster,
        {name: models[name](work) for name in asked},
        envelope(work, cluster),
        _crossover(work, models) if engine is None else None,
        missing | {name: said for name, said in _FROM_THE_REST.items() if rest[name] is None},
    )


def _crossover(work: Workload, models: Mapping[str, Any]) -> Figure:
    """A cluster of one machine has nothing to win by."""
    alone = models["spark"].keywords["on"].number == 1
    return UNKNOWN if alone else crossover(work, models["duckdb"], models["spark"])


def _asked(engine: str | None) -> tuple[str, ...]:
    if engine is None:
        return ENGINES
    if engine not in ENGINES:
        near = difflib.get_close_matches(str(engine), ENGINES, n=1)
        guess = f"did you mean {near[0]}? " if near else ""
        raise UsageError(f'unknown engine "{engine}"', f"{guess}one of: {', '.join(ENGINES)}; or none, for all of them")
    return (engine,)
