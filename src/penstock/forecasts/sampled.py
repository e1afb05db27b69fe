"""Some rows of a source; never more than a few per cent."""

from __future__ import annotations

from collections.abc import Sequence

from penstock import sql
from penstock.engines.asking import embedded
from penstock.errors import PenstockError
from penstock.figures import UNKNOWN, exact
from penstock.forecasts.block_samples import BLOCKS, of_blocks
from penstock.forecasts.cluster import Cluster
from penstock.forecasts.parquet_samples import of_parquet
from penstock.forecasts.sample import Sample, no_rows, of_runs
from penstock.forecasts.scans import Condition
from penstock.forecasts.sources import Source, identity
from penstock.forecasts.text_samples import of_text

__all__ = ["sampled"]


def sampled(
    source: Source, paths: Sequence[str], names: Sequence[str], conditions: Sequence[Condition], cluster: Cluster,
    wanted: int,
) -> Sample | None:  # fmt: skip
    """So many rows of some columns, in runs, or all where there are hardly more; None where the format has no way.

    Args:
        source: Files or rows in memory.
        paths: The files that are not left out by the names of their folders.
        names: Columns.
        conditions: What is asked of row groups.
        cluster: Divides the files among map tasks.
        wanted: About how many rows.
    """
    if source.table is not None:
        return _in_memory(source, names, cluster, wanted)
    if not paths:  # folders' names rule all out
        return no_rows(source.columns, names)
    import pyarrow as pa

    try:
        files = tuple(identity(path) for path in paths)
        if source.format == "parquet":
            return of_parquet(source, files, tuple(names), tuple(conditions), cluster, wanted)
        if source.format in ("csv", "tsv", "json", "log"):
            return of_text(source, files, tuple(names), cluster)
        if source.format in BLOCKS:
            return of_blocks(source, files, tuple(names), cluster, wanted)
    except (PenstockError, OSError, pa.ArrowException):  # what cannot be read, the run will say with its place
        pass
    return None


def _in_memory(source: Source, names: Sequence[str], cluster: Cluster, wanted: int) -> Sample | None:
    engine, few = embedded(), f"SELECT {sql.quoted(names) or '1'} FROM t LIMIT {wanted}"
    try:
        data = engine.batches(engine.query(few, {"t": source.table})).read_all()
    except PenstockError:
        return None
    total = exact(source.rows) if source.rows is not None else UNKNOWN
    return of_runs(source, names, [data], total, cluster.cores)
