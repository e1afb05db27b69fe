"""A sample of a source's rows in runs: a long one of a map task's rows, and short ones from elsewhere.

Rows that stand together are what tells of a map task: what a combiner leaves of it is the number of distinct keys
there, which rows from all over would put far too high. Every row carries the run that it is of, and its number.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from penstock import sql
from penstock.engines.asking import ask, keep, let_go
from penstock.engines.files import NULL_PARTITION, partition_of
from penstock.figures import Figure, exact
from penstock.forecasts.sources import Source
from penstock.trees.tree import Columns

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ROW", "RUN", "Sample", "joined", "no_rows", "of_runs", "with_folders"]

#: The hidden columns: which run a row is of, and its number among all rows of the sample.
RUN, ROW = "run#0", "row#0"


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


def of_runs(source: Source, names: Sequence[str], runs: Sequence[Any], total: Figure, tasks: int) -> Sample:
    """A sample of runs of rows, in the types that the source's columns have."""
    import numpy as np
    import pyarrow as pa

    numbered = [run.append_column(RUN, _array(pa.int8(), bytes([i]) * run.num_rows)) for i, run in enumerate(runs)]
    rows = joined(numbered)
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


def no_rows(columns: Columns, names: Sequence[str]) -> Sample:
    """Of files that statistics rule out."""
    marks = f'0::TINYINT AS "{RUN}", 0::BIGINT AS "{ROW}"'
    listed = ", ".join([*(_typed(name, columns, ()) for name in names), marks])
    return Sample(ask(f"SELECT {listed} LIMIT 0"), 0, exact(0), 1, 1)


def joined(tables: Iterable[pa.Table]) -> pa.Table:
    """Tables behind each other, whose columns may be of like types."""
    import pyarrow as pa

    return pa.concat_tables(tables, promote_options="permissive")


def with_folders(table: pa.Table, path: str, hive: Iterable[str], names: Container[str]) -> pa.Table:
    """Rows with the columns that their folders spell, as text."""
    import pyarrow as pa

    values = partition_of(path)
    for name in hive:
        if name in names:
            value = None if values.get(name) == NULL_PARTITION else values.get(name)
            table = table.append_column(name, pa.array([value] * table.num_rows, pa.string()))
    return table


def _array(kind: Any, values: Any) -> pa.Array:
    """From its buffer: pa.array and pa.scalar import pandas, where there is one, which takes half a second."""
    import pyarrow as pa

    return pa.Array.from_buffers(kind, memoryview(values).nbytes // (kind.bit_width // 8), [None, pa.py_buffer(values)])


def _typed(name: str, columns: Columns, stored: Container[str]) -> str:
    value = sql.quote(name) if name in stored else "NULL"
    return f"TRY_CAST({value} AS {columns[name]}) AS {sql.quote(name)}"
