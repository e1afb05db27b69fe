"""`python -m penstock.exchange mode data/part-{rank}.parquet --column id`: a statistic of files on many workers.

Worker 0 prints the result. Under `mpirun` each rank reads the part of its number; else workers are started here.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from penstock import exchange as ex
from penstock.errors import ColumnError, InputError, PenstockError, UsageError

__all__ = ["main"]

Statistic = Callable[[Any, ex.World, argparse.Namespace], Any]

STATISTICS: dict[str, Statistic] = {
    "mode": lambda values, world, options: ex.mode(values, world),
    "top": lambda values, world, options: ex.top(values, world, options.n),
    "median": lambda values, world, options: ex.median(values, world, options.kind),
    "quantiles": lambda values, world, options: ex.quantiles(values, world, options.q),
    "moments": lambda values, world, options: ex.moments(values, world),
    "distinct": lambda values, world, options: ex.distinct(values, world, options.error),
    "histogram": lambda values, world, options: ex.histogram(values, world, options.bins),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one statistic; the exit code is 0, 1 for what fails, 2 for wrong use."""
    options = _parser().parse_args(arguments)
    call = json.dumps(vars(options))
    try:
        if _launched():
            from penstock.exchange.transports import mpi

            world = mpi.world(timeout=options.timeout)
            printed = work([call, world.id], world)
        else:
            parts = [[call, rank] for rank in range(_workers(options))]
            printed = ex.run(work, parts, transport=options.transport, timeout=options.timeout)[0]
    except PenstockError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    if printed:
        print(printed)
    return 0


def work(part: list[Any], world: ex.World) -> str:
    """What each worker does: read its file, take part, and write the result down on worker 0."""
    options = argparse.Namespace(**json.loads(part[0]))
    found = STATISTICS[options.statistic](_column(_path(options, part[1]), options.column), world, options)
    if world.id:
        return ""
    if options.json:
        traffic = {phase: vars(its) for phase, its in world.traffic.items()}
        return json.dumps({options.statistic: _plain(found), "traffic": traffic})
    if isinstance(found, (ex.Moments, ex.Histogram)):
        return "\n".join(f"{name}\t{value}" for name, value in found._asdict().items())
    rows = found if isinstance(found, list) else [found]
    return "\n".join("\t".join(map(str, row)) if isinstance(row, tuple) else str(row) for row in rows)


def _launched() -> bool:
    """Whether an `mpirun` started this process."""
    return any(name in os.environ for name in ("PMI_RANK", "PMIX_RANK", "OMPI_COMM_WORLD_RANK"))


def _workers(options: argparse.Namespace) -> int:
    if _path(options, 0) == _path(options, 1):
        if options.workers not in (None, 1):
            raise UsageError(f"{options.workers} workers would read one file", "write {rank} into the path")
        return 1
    count: int = options.workers or 0
    while not options.workers and Path(_path(options, count)).exists():
        count += 1
    if count < 1:
        raise InputError(f"there is no file {_path(options, 0)}", "parts are numbered from 0")
    return count


def _path(options: argparse.Namespace, rank: int) -> str:
    try:
        return str(options.path.format(rank=rank))
    except (LookupError, ValueError, AttributeError) as error:
        raise UsageError(
            f"the path {options.path} cannot be filled in", "write {rank} for a worker's number, {{ and }} for braces"
        ) from error


def _column(path: str, column: str) -> Iterator[Any]:
    """One column of a Parquet file, a chunk at a time."""
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(path) as file:
            if column not in file.schema_arrow.names:
                raise ColumnError.missing(column, file.schema_arrow.names, path)
            for batch in file.iter_batches(1 << 20, columns=[column]):
                yield batch.column(0)
    except (OSError, ArrowException) as error:
        raise InputError(f"cannot read {path}: {error}", "give a Parquet file for each worker") from error


def _plain(found: Any) -> Any:
    """What JSON can say; NaN and infinities as text."""
    if hasattr(found, "_asdict"):
        return {name: _plain(value) for name, value in found._asdict().items()}
    if isinstance(found, list):
        return list(map(_plain, found))
    if found is None or isinstance(found, (bool, int, str)) or (isinstance(found, float) and math.isfinite(found)):
        return found
    return found.hex() if isinstance(found, bytes) else str(found)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m penstock.exchange", description=__doc__)
    verbs = parser.add_subparsers(dest="statistic", required=True, metavar="statistic")
    for name in STATISTICS:
        verb = verbs.add_parser(name)
        verb.add_argument("path", help="a Parquet file a worker: {rank} is the worker's number")
        verb.add_argument("--column", required=True)
        verb.add_argument("--workers", type=int, help="how many; without it, as many as there are files, or MPI says")
        verb.add_argument("--transport", choices=["process", "threads", "tcp", "mpi"], default="process")
        verb.add_argument("--timeout", type=float, default=600.0, help="seconds to wait for another worker")
        verb.add_argument("--json", action="store_true", help="the result and the traffic of worker 0 as JSON")
        if name == "top":
            verb.add_argument("-n", type=int, default=10)
        if name == "median":
            verb.add_argument("--kind", choices=["upper", "lower", "mean"], default="upper")
        if name == "quantiles":
            verb.add_argument("-q", type=float, nargs="+", default=[0.5, 0.9, 0.99])
        if name == "distinct":
            verb.add_argument("--error", type=float, help="estimate, with this relative standard error")
        if name == "histogram":
            verb.add_argument("--bins", type=int, default=10)
    return parser


if __name__ == "__main__":
    sys.exit(main())
