"""Some rows of a source: a long run of one map task's, and short runs from elsewhere; never more than a few per cent.

Rows that stand together are what tells of a map task: what a combiner leaves of it is the number of distinct keys
there, which rows from all over would put far too high. Every row carries the run that it is of, and its number.
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Container, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from penstock import sql
from penstock.engines.asking import ask, embedded, keep, let_go
from penstock.engines.files import beginning, filesystem, is_remote, partition_of
from penstock.errors import PenstockError
from penstock.figures import UNKNOWN, Figure, exact
from penstock.forecasts.cluster import Cluster
from penstock.forecasts.scans import Condition, may_hold
from penstock.forecasts.sources import Group, Piece, Source, footer, identity, pieces
from penstock.trees.tree import Columns

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ROW", "RUN", "THICK", "Sample", "sampled"]

#: The hidden columns: which run a row is of, and its number among all rows of the sample.
RUN, ROW = "run#0", "row#0"

_MARKS = f'0::TINYINT AS "{RUN}", 0::BIGINT AS "{ROW}"'

#: Rows of a sample that has to tell how many keys there are, at most and at least.
THICK, LEAST_THICK = 500_000, 250_000
SHORT_RUNS = 2
AT_ONCE = 4  # row groups
#: Of the bytes of the source that a sample may read, and what it may read of small sources.
SHARE, SMALL = 0.012, 24 << 20
#: Of what is text: the bytes of a run and of all, unpacked; of how many files at most; of how many lines are counted.
TEXT, TEXTS, SPREAD, COUNTED = 2 << 20, 24 << 20, 12, 16


class Sample(NamedTuple):
    """Rows of a source, and how many there are."""

    rows: pa.Table
    """The columns under their names, RUN and ROW."""
    taken: int
    """How many rows."""
    total: Figure
    """Of how many."""
    tasks: int
    """The map tasks that read them."""
    first_run: int
    """How many rows the long run has."""

    @property
    def whole(self) -> bool:
        """Whether these are all rows."""
        return self.total.basis == "exact" and self.total.mid == self.taken


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
    files = tuple(identity(path) for path in paths)
    if source.format == "parquet":
        return _parquet(source, files, tuple(names), tuple(conditions), cluster, wanted)
    if source.format in ("csv", "tsv", "json", "log"):
        return _text(source, files, tuple(names), cluster)
    return None


File = tuple[str, int, Any]


def _in_memory(source: Source, names: Sequence[str], cluster: Cluster, wanted: int) -> Sample | None:
    engine = embedded()
    try:
        rows = engine.batches(
            engine.query(f"SELECT {sql.quoted(names) or '1'} FROM t LIMIT {wanted}", {"t": source.table})
        )
        data = rows.read_all()
    except PenstockError:
        return None
    total = exact(source.rows) if source.rows is not None else UNKNOWN
    return _sample(source, names, [data], total, cluster.cores)


# -- Parquet ----------------------------------------------------------------------------------------------------------


def _parquet(
    source: Source, files: tuple[File, ...], names: tuple[str, ...], conditions: tuple[Condition, ...],
    cluster: Cluster, wanted: int,
) -> Sample:  # fmt: skip
    tasks = _read_tasks(source, files, conditions, cluster)
    if not tasks:  # statistics rule all out
        nothing = ask(f"SELECT {', '.join([*(_typed(name, source.columns, set()) for name in names), _MARKS])} LIMIT 0")
        return Sample(nothing, 0, exact(0), 1, 1)
    total = sum(task.rows or 0 for task in tasks)
    there = sum(file[1] for file in files)
    width = _width(tasks, names) if total else 1.0
    wanted = min(wanted, max(LEAST_THICK, total // 12))  # a twelfth of the rows tells of all of them
    return _parquet_rows(source, tasks, names, max(1_000, min(wanted, int(max(SMALL, SHARE * there) / width))))


@functools.lru_cache(32)
def _parquet_rows(source: Source, tasks: tuple[Piece, ...], names: tuple[str, ...], wanted: int) -> Sample:
    """About so many rows, of row groups that are read side by side: that took 0.6 of the time on two cores."""
    total = sum(task.rows or 0 for task in tasks)
    every = total <= wanted * 5 // 4
    runs = [[(group, group.rows or 0) for group in task.groups] for task in tasks] if every else _runs(tasks, wanted)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        read = [[pool.submit(_read, *part, names, source.hive) for part in run] for run in runs if run]
        found = [_joined(part.result() for part in run) for run in read]
    return _sample(source, names, found, exact(total), len(tasks))


@functools.lru_cache(32)
def _read_tasks(
    source: Source, files: tuple[File, ...], conditions: tuple[Condition, ...], cluster: Cluster
) -> tuple[Piece, ...]:
    """The map tasks, with the row groups that their statistics do not rule out."""

    def may_be_read(group: Group) -> bool:
        told = footer(group.path).row_group(group.number)
        return bool(group.rows) and all(may_hold(told, condition) for condition in conditions)

    tasks = pieces(source, [file[0] for file in files], cluster)
    kept = (Piece(tuple(filter(may_be_read, task.groups))) for task in tasks)
    return tuple(task for task in kept if task.groups)


def _width(tasks: Sequence[Piece], names: Sequence[str]) -> float:
    """The compressed bytes of a row's columns in one row group."""
    group = tasks[len(tasks) // 2].groups[0]
    found = footer(group.path).row_group(group.number)
    chunks = (found.column(number) for number in range(found.num_columns))
    size: int = sum(chunk.total_compressed_size for chunk in chunks if chunk.path_in_schema.split(".")[0] in names)
    return max(0.1, size / max(1, int(found.num_rows)))


Part = tuple[Group, int]
"""A row group, and how many of its rows, from the first."""


def _runs(tasks: Sequence[Piece], wanted: int) -> list[list[Part]]:
    """A long run from the beginning of a task in the middle, and short ones elsewhere."""
    short = max(2_000, wanted // 16)
    long_run = list(_enough(tasks[len(tasks) // 2].groups, wanted - SHORT_RUNS * short))
    taken = {group for group, _ in long_run}
    rest = [group for task in tasks for group in task.groups if group not in taken]
    places = [(2 * part + 1) * len(rest) // (2 * SHORT_RUNS) for part in range(SHORT_RUNS)] if rest else []
    return [long_run, *([(rest[place], min(short, rest[place].rows or 0))] for place in places)]


def _enough(groups: Iterable[Group], rows: int) -> Iterator[Part]:
    for group in groups:
        if rows <= 0:
            break
        yield group, min(rows, group.rows or 0)
        rows -= group.rows or 0


def _read(group: Group, limit: int, names: Sequence[str], hive: Iterable[str]) -> pa.Table:
    """The first rows of a row group. Pages are read as they are needed, not whole row groups."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = group.path
    place, files = path.removeprefix("file://"), filesystem(path) if is_remote(path) else None
    with pq.ParquetFile(place, buffer_size=1 << 16, pre_buffer=False, metadata=footer(path), filesystem=files) as file:
        stored = set(file.schema_arrow.names)
        columns = [name for name in names if name in stored]
        found, left = list[pa.RecordBatch](), limit
        for batch in file.iter_batches(min(65_536, max(1, limit)), row_groups=[group.number], columns=columns):
            found.append(batch.slice(0, left))
            left -= found[-1].num_rows
            if left <= 0:
                break
    return _with_folders(pa.Table.from_batches(found), path, hive, set(names))


def _joined(parts: Iterable[pa.Table]) -> pa.Table:
    import pyarrow as pa

    return pa.concat_tables(parts, promote_options="permissive")


def _with_folders(table: pa.Table, path: str, hive: Iterable[str], names: set[str]) -> pa.Table:
    """Rows with the columns that their folders spell, as text."""
    import pyarrow as pa

    values = partition_of(path)
    for name in hive:
        if name in names:
            table = table.append_column(name, pa.array([values.get(name)] * table.num_rows, pa.string()))
    return table


# -- text -------------------------------------------------------------------------------------------------------------


@functools.lru_cache(32)
def _text(source: Source, files: tuple[File, ...], names: tuple[str, ...], cluster: Cluster) -> Sample | None:
    """Lines of some files, read by the embedded engine as the whole is read; how many there are, from some more."""
    first = len(_lines(files[0][0], TEXT)[0]) if files else 0
    some = _spread(files, min(SPREAD, max(2, TEXTS // max(1, first))))
    runs, read_lines, whole = [], 0, len(files) == len(some)
    with tempfile.TemporaryDirectory(prefix="penstock-sample-") as folder:
        for number, (path, _, _) in enumerate(some):
            text, _, all_of_it = _lines(path, TEXT)
            whole &= all_of_it
            read_lines += text.count(b"\n")
            file = Path(folder, f"{number}.{'ndjson' if source.format == 'json' else source.format}")
            file.write_bytes(text)
            try:
                engine = embedded()
                read = engine.read(str(file), source.format, **dict(source.options))
                wanted = [name for name in names if name in engine.columns(read)]
                data = engine.batches(engine.query(f"SELECT {sql.quoted(wanted) or '1 AS one'} FROM t", {"t": read}))
                runs.append(data.read_all())
            except PenstockError:
                return None
    rows = sum(run.num_rows for run in runs)
    tasks = len(pieces(source, [file[0] for file in files], cluster))
    if whole:
        return _sample(source, names, runs, exact(rows), tasks)
    total = _lines_in(files) * rows / max(1, read_lines)
    return _sample(source, names, runs, Figure(0.85 * total, total, 1.15 * total, "sample"), tasks)


def _spread(files: Sequence[File], count: int) -> list[File]:
    """So many files, from all over, the first among them."""
    return [files[len(files) * i // count] for i in range(count)] if len(files) > count else list(files)


def _lines(path: str, most: int) -> tuple[bytes, float, bool]:
    """The first whole lines of a file, how many of its bytes hold them, and whether these are all."""
    text, taken = beginning(path, most)
    if len(text) < most:
        return text, taken, True
    lines = text[: text.rfind(b"\n") + 1]
    return lines, taken * len(lines) / len(text), False


def _lines_in(files: Sequence[File]) -> float:
    """How many lines all files have, by what some have for each byte: files of one hour differ from another's."""
    found = [_lines(path, TEXT // 4) for path, _, _ in _spread(files, COUNTED)]
    lines, taken = sum(text.count(b"\n") for text, _, _ in found), sum(taken for _, taken, _ in found)
    return lines * sum(size for _, size, _ in files) / max(1.0, taken)


# -- all --------------------------------------------------------------------------------------------------------------


def _sample(source: Source, names: Sequence[str], runs: Sequence[Any], total: Figure, tasks: int) -> Sample:
    import numpy as np
    import pyarrow as pa

    numbered = [run.append_column(RUN, _array(pa.int8(), bytes([i]) * run.num_rows)) for i, run in enumerate(runs)]
    rows = _joined(numbered)
    rows = rows.append_column(ROW, _array(pa.int64(), np.arange(rows.num_rows)))
    found = keep(rows)
    stored = {row["column_name"]: row["column_type"] for row in ask(f"DESCRIBE {found}").to_pylist()}
    if all(stored.get(name) == source.columns[name] for name in names):  # as Parquet has them, mostly
        rows = rows.select([*names, RUN, ROW])
    else:
        columns = "".join(f"{_typed(name, source.columns, stored)}, " for name in names)
        rows = ask(f'SELECT {columns}"{RUN}", "{ROW}" FROM {found}')
    let_go([found])
    return Sample(rows, rows.num_rows, total, max(1, tasks), max(1, runs[0].num_rows))


def _array(kind: Any, values: Any) -> pa.Array:
    """From its buffer: pa.array and pa.scalar import pandas, where there is one, which takes half a second."""
    import pyarrow as pa

    return pa.Array.from_buffers(kind, memoryview(values).nbytes // (kind.bit_width // 8), [None, pa.py_buffer(values)])


def _typed(name: str, columns: Columns, stored: Container[str]) -> str:
    value = sql.quote(name) if name in stored else "NULL"
    return f"TRY_CAST({value} AS {columns[name]}) AS {sql.quote(name)}"
