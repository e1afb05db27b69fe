"""The lines of text files as SQL, with what their folders spell and, for `bad="quarantine"`, the place of each.

A place is the file, as it was named, and the number of the line in its text, from 1; every line counts, empty ones too.

The embedded engine's blocks of lines know where they begin. Spark's rows do not: what it has is the split that a row
stands in (a file, or a part of one) and an id that grows by one from row to row of a task. So the files are read
twice: once to count the lines of each split and to find its first id, in a table of one row a split that is broadcast,
and once for the lines. A task may hold many splits and a file may be in many tasks; only the cut into tasks must be the
same in both scans. It would not be if executors came or went between them: then an id is not within its split, which is
an error, never another number.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from penstock import sql
from penstock.engines.files import Source
from penstock.engines.folders import by_folder
from penstock.engines.lines import Blocks
from penstock.engines.spark_files import PATH, value_of
from penstock.errors import UsageError

__all__ = ["SPLITS", "duckdb_lines", "is_placed", "places", "refuse_taken", "spark_columns", "spark_lines"]

PLACES = ("source_file", "source_line")


def is_placed(options: Mapping[str, Any]) -> bool:
    """Whether every row is to say where it came from."""
    return bool(options.get("bad") == "quarantine")


def places(options: Mapping[str, Any]) -> Sequence[str]:
    """The columns that say it."""
    return PLACES if is_placed(options) else ()


def refuse_taken(source: Source, columns: Iterable[str], options: Mapping[str, Any]) -> None:
    """Refuse columns of the files that are called as one that is added."""
    added = {"raw", *places(options)}
    for name in (*columns, *source.hive):
        if name.casefold() in added:
            raise UsageError(f'{source.paths[0]} has a column "{name}" of its own', 'read it with bad="error"')


def _refuse_twice(source: Source) -> None:
    """Refuse a file that is named twice: each of its lines would have two places."""
    seen: set[str] = set()
    for path in source.paths:
        real = path if source.remote else os.path.abspath(path)
        if real in seen:
            raise UsageError(f'{path} is named twice, which bad="quarantine" cannot tell apart', "name it once")
        seen.add(real)


# -- DuckDB -----------------------------------------------------------------------------------------------------------


def duckdb_lines(source: Source, *, placed: bool) -> tuple[str, dict[str, Blocks]]:
    """A SELECT of `line`, of the Hive columns as h0, h1, … and of the place, and the tables that it is over."""
    if placed:
        _refuse_twice(source)
    selects: list[str] = []
    tables: dict[str, Blocks] = {}
    for values, paths in by_folder(source):
        table = f"blocks{len(tables)}"
        tables[table] = Blocks(paths)
        hive = [f"{value} AS h{i}" for i, value in enumerate(values.values())]
        lines = f"SELECT unnest(string_split(block, chr(10))) AS line FROM {table}"
        if placed:
            pieces = f"SELECT string_split(block, chr(10)) AS pieces, file, first FROM {table}"
            lines = (
                "SELECT unnest(pieces) AS line, file AS source_file, "
                f"unnest(range(first, first + len(pieces))) AS source_line FROM ({pieces})"
            )
        columns = ["line", *hive, *(PLACES if placed else ())]
        selects.append(f"SELECT {', '.join(columns)} FROM ({lines}) WHERE line <> ''")
    return " UNION ALL ".join(selects), tables


# -- Spark ------------------------------------------------------------------------------------------------------------

#: What Spark must know of each split, over the columns that are read.
SPLITS = """
SELECT file, start, id, lines, sum(lines) OVER (PARTITION BY file ORDER BY start) - lines AS earlier
FROM (SELECT file, start, min(id) AS id, count(*) AS lines FROM texts GROUP BY file, start)
"""


def spark_columns(source: Source, text: str, *, placed: bool) -> list[str]:
    """What is read of text files, each line in a column of that name: as `duckdb_lines`, but the place not yet told."""
    hive = [f"{value_of(sql.quote(n, 'spark'), kind)} AS h{i}" for i, (n, kind) in enumerate(source.hive.items())]
    split = [
        "_metadata.file_path AS file",
        "_metadata.file_block_start AS start",
        "monotonically_increasing_id() AS id",
    ]
    return [f"make_valid_utf8({sql.quote(text, 'spark')}) AS line", *hive, *(split if placed else ())]


def spark_lines(source: Source, *, placed: bool) -> str:
    """The same SELECT as `duckdb_lines` over `texts`, which has the columns above, and `splits`, which has `SPLITS`."""
    if not placed:
        return "SELECT * FROM texts WHERE line <> ''"
    _refuse_twice(source)
    hive = [f"t.h{i}" for i, _ in enumerate(source.hive)]
    place = "t.id - s.id"
    fault = "raise_error('the files were cut into other tasks when their lines were counted: run it again')"
    columns = [
        "t.line",
        *hive,
        f"{_named('t.file', source.paths)} AS source_file",
        f"CASE WHEN {place} BETWEEN 0 AND s.lines - 1 THEN s.earlier + {place} + 1 ELSE {fault} END AS source_line",
    ]
    return f"""SELECT /*+ BROADCAST(s) */ {", ".join(columns)}
        FROM texts AS t LEFT JOIN splits AS s ON t.file = s.file AND t.start = s.start WHERE t.line <> ''"""


def _named(uri: str, paths: Sequence[str]) -> str:
    """A file's path as it was named, from the URI that Spark has for it."""
    path = PATH.format(uri)
    starts = {_starts(name) for name in paths}
    if len(starts) > 1:
        names = json.dumps({os.path.abspath(name): name for name in paths}, ensure_ascii=False)
        return f"from_json({sql.literal(names, 'spark')}, 'map<string, string>')[{path}]"
    ((absolute, named),) = starts
    if absolute == named:
        return path
    return f"concat({sql.literal(named, 'spark')}, substr({path}, {len(absolute) + 1}))"


def _starts(name: str) -> tuple[str, str]:
    """How a path starts where it is absolute, and where it is as it was named, up to where both are the same.

    >>> _starts("/data/a.csv")
    ('', '')
    """
    absolute = name if "://" in name else os.path.abspath(name)
    letters = zip(reversed(absolute), reversed(name), strict=False)
    same = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], letters))
    return absolute[: len(absolute) - same], name[: len(name) - same]
