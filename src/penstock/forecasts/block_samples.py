"""Samples of the formats that are read by way of Arrow and come in blocks of rows: Arrow IPC, ORC, Avro."""

from __future__ import annotations

import functools

from penstock.engines.through_arrow import ROOMS
from penstock.figures import Figure, exact
from penstock.forecasts.cluster import Cluster
from penstock.forecasts.sample import Sample, of_runs, with_folders
from penstock.forecasts.sources import File, Source, pieces, spread

__all__ = ["BLOCKS", "of_blocks"]

BLOCKS = ("arrow", "orc", "avro")
SPREAD = 5  # files


@functools.lru_cache(32)
def of_blocks(source: Source, files: tuple[File, ...], names: tuple[str, ...], cluster: Cluster, wanted: int) -> Sample:
    """The first rows of some files, most of one of them; how many there are, for each byte of those."""
    some, short = spread(files, SPREAD), wanted // 16
    longest = wanted - short * (len(some) - 1)
    runs, there, sure = [], 0.0, len(some) == len(files)
    for number, (path, _, _) in enumerate(some):
        rows, of, known = ROOMS[source.format].first_rows(path, names, short if number else longest)
        runs.append(with_folders(rows, path, source.hive, names))
        there, sure = there + of, sure and known
    total = there * sum(size for _, size, _ in files) / max(1, sum(size for _, size, _ in some))
    figure = exact(round(there)) if sure else Figure(0.9 * total, total, 1.1 * total, "sample")
    return of_runs(source, names, runs, figure, len(pieces(source, [file[0] for file in files], cluster)))
