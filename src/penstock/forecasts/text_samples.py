"""Samples of text: lines of files from all over, read by the embedded engine as the whole is read."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from penstock import sql
from penstock.engines.asking import embedded
from penstock.engines.files import COMPRESSED, beginning
from penstock.errors import PenstockError
from penstock.figures import Figure, exact
from penstock.forecasts.cluster import Cluster
from penstock.forecasts.sample import RUN, Sample, of_runs, with_folders
from penstock.forecasts.sources import File, Source, pieces, spread

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["of_text"]

#: The bytes of a run and of all, unpacked; of how many places at most; of how many lines are counted.
TEXT, TEXTS, SPREAD, COUNTED = 2 << 20, 24 << 20, 12, 16
SHORT = 4  # times shorter are the runs within a file than that at its beginning


class Place(NamedTuple):
    """Where lines are taken from, and how many bytes of them at most."""

    path: str
    start: int
    most: int


@functools.lru_cache(32)
def of_text(source: Source, files: tuple[File, ...], names: tuple[str, ...], cluster: Cluster) -> Sample:
    """Lines of some files, read by the embedded engine as the whole is read; how many there are, from some more."""
    first = len(_lines(Place(files[0][0], 0, TEXT))[0])
    places = _places(files, min(SPREAD, max(2, TEXTS // max(1, first))))
    try:
        return _of_places(source, files, places, names, cluster)
    except PenstockError:  # a place within a file may be amid a record of several lines
        return _of_places(source, files, [place for place in places if not place.start], names, cluster)


def _places(files: Sequence[File], count: int) -> list[Place]:
    """The beginnings of files from all over; of few files that are not compressed, places within them as well."""
    found = []
    for path, size, _ in (some := spread(files, count)):
        each = 1 if path.endswith(COMPRESSED) else max(1, min(count // len(some), size // TEXT))
        found += [Place(path, size * i // each, TEXT // SHORT if i else TEXT) for i in range(each)]
    return found


def _of_places(
    source: Source, files: Sequence[File], places: Sequence[Place], names: Sequence[str], cluster: Cluster
) -> Sample:
    read_lines, whole = 0, len(files) == len(places)
    has_header = source.format in ("csv", "tsv") and source.options.get("header", True)
    with tempfile.TemporaryDirectory(prefix="penstock-sample-") as folder:
        for number, place in enumerate(places):
            text, _, all_of_it = _lines(place)
            whole &= all_of_it
            read_lines += text.count(b"\n")
            file = Path(folder, f"{RUN}={number}", f"0.{'ndjson' if source.format == 'json' else source.format}")
            file.parent.mkdir()
            header = beginning(place.path, TEXT)[0].partition(b"\n")[0] + b"\n" if has_header and place.start else b""
            file.write_bytes(header + text)
        read = _read(folder, len(places), source, names)
    runs = [with_folders(run, place.path, source.hive, names) for run, place in zip(read, places, strict=True)]
    rows = sum(run.num_rows for run in runs)
    tasks = len(pieces(source, [file[0] for file in files], cluster))
    if whole:
        return of_runs(source, names, runs, exact(rows), tasks)
    total = _lines_in(files) * rows / max(1, read_lines)
    return of_runs(source, names, runs, Figure(0.85 * total, total, 1.15 * total, "sample"), tasks)


def _read(folder: str, number: int, source: Source, names: Sequence[str]) -> list[pa.Table]:
    """The rows of each piece. All are read at once, so that their layout is looked at once."""
    if source.format == "log":  # it has one layout, and folders spell no columns of it
        return [_rows(f"{folder}/{RUN}={piece}", source, names) for piece in range(number)]
    import pyarrow.compute as pc

    rows = _rows(folder, source, [RUN, *names])
    return [rows.filter(pc.equal(rows[RUN], piece)).drop_columns(RUN) for piece in range(number)]


def _rows(path: str, source: Source, names: Sequence[str]) -> pa.Table:
    engine = embedded()
    read = engine.read(path, source.format, **dict(source.options))
    wanted = [name for name in names if name in engine.columns(read)]
    return engine.batches(engine.query(f"SELECT {sql.quoted(wanted) or '1 AS one'} FROM t", {"t": read})).read_all()


def _lines(place: Place) -> tuple[bytes, float, bool]:
    """The whole lines from a place on, how many of the file's bytes hold them, and whether these are all of it."""
    text, taken = beginning(place.path, place.most, place.start)
    begin = text.find(b"\n") + 1 if place.start else 0
    if len(text) < place.most:
        return text[begin:], taken - begin, not place.start
    lines = text[begin : text.rfind(b"\n") + 1]
    return lines, taken * len(lines) / len(text), False


def _lines_in(files: Sequence[File]) -> float:
    """How many lines all files have, by what some have for each byte: files of one hour differ from another's."""
    found = [_lines(place._replace(most=TEXT // SHORT)) for place in _places(files, COUNTED)]
    lines, taken = sum(text.count(b"\n") for text, _, _ in found), sum(taken for _, taken, _ in found)
    return lines * sum(size for _, size, _ in files) / max(1.0, taken)
