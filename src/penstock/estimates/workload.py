"""What a job has to do, in the terms that its engineer has: bytes, files, wide steps, lookups, what comes out."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from math import ceil
from typing import Any, NamedTuple

from penstock.amounts import bytes_of
from penstock.errors import UsageError
from penstock.estimates.ranges import times
from penstock.figures import Figure, exact

__all__ = ["CODECS", "FORMATS", "PARQUET_SHRINKS", "Format", "Workload", "share_of", "whole", "workload"]


class Format(NamedTuple):
    """What is known of a format's files."""

    shrinks: float
    """How many times smaller than the rows as text, or as plain values, the files are."""
    values: Figure
    """The share of its bytes that are values; JSON says the name of every value with it."""
    columnar: bool = False


PARQUET_SHRINKS = 4

_TEXT = Figure(0.8, 0.9, 1.0, "model")

FORMATS = {
    "parquet": Format(PARQUET_SHRINKS, exact(1), columnar=True),
    "orc": Format(PARQUET_SHRINKS, exact(1), columnar=True),
    "avro": Format(2, exact(1)),
    "arrow": Format(1, exact(1), columnar=True),
    "csv": Format(1, _TEXT),
    "tsv": Format(1, _TEXT),
    "json": Format(1, Figure(0.35, 0.5, 0.75, "model")),
    "log": Format(1, _TEXT),
}
#: How many times a codec shrinks text. No file of these can be read from its middle.
CODECS = {"gz": 5.0, "zst": 6.0}
_OTHER_NAMES = {"ndjson": "json", "jsonl": "json", "gzip": "gz", "zstd": "zst", "pq": "parquet"}

FILE = "256MB"
OPENING = 4_000_000  # bytes that opening a file is taken to cost, as spark.sql.files.openCostInBytes does


class Workload(NamedTuple):
    """A job, whatever it runs on."""

    bytes: int
    """All rows, uncompressed."""
    stored: int
    """The same as the files have it."""
    files: int
    format: str
    columns: float
    """The share of the bytes that the columns have which are needed."""
    row_bytes: int
    """Of the values of one row."""
    shuffles: tuple[float, ...]
    """What each wide step moves, as a share of the values."""
    heaviest: float
    """The share of a wide step's rows that have its most frequent key."""
    broadcasts: tuple[int, ...]
    output: float
    """What is written, as a share of the values."""
    partition: int
    """Of a task."""
    storage: str
    """"remote": an object store behind the network; "local": the machines' own disks."""

    @property
    def kind_name(self) -> str:
        """The format of the files without what they are packed in."""
        return self.format.partition(".")[0]

    @property
    def kind(self) -> Format:
        """What is known of it."""
        return FORMATS[self.kind_name]

    @property
    def codec(self) -> str:
        """What text files are packed in, or nothing."""
        return self.format.partition(".")[2]

    @property
    def splits(self) -> bool:
        """Whether several tasks can read one file."""
        return not self.codec

    @property
    def read(self) -> float:
        """The stored bytes that are read: columns that are not needed are skipped where the format allows that."""
        return self.stored * (self.columns if self.kind.columnar else 1)

    @property
    def parsed(self) -> float:
        """The same, uncompressed."""
        return self.bytes * (self.columns if self.kind.columnar else 1)

    @property
    def values(self) -> Figure:
        """The bytes that rows have once they are read."""
        return times(self.bytes * self.columns, self.kind.values)

    @property
    def tasks(self) -> int:
        """How many tasks read the files: by size, or, where files cannot be split, at most one a file."""
        by_size = ceil((self.stored + self.files * OPENING) / self.partition)
        return by_size if self.splits else min(self.files, by_size)

    def scaled(self, bytes: float) -> Workload:
        """The same job over more or fewer files of the same size."""
        share = bytes / self.bytes
        return self._replace(
            bytes=max(1, round(bytes)), stored=max(1, round(self.stored * share)),
            files=max(1, round(self.files * share)),
        )  # fmt: skip


def workload(
    *, bytes: Any, stored: Any, format: str, files: Any, columns: Any, row_bytes: Any, shuffles: Any, heaviest: Any,
    broadcasts: Any, output: Any, partition: Any, storage: str,
) -> Workload:  # fmt: skip
    """A workload of what was given; what was not follows from the rest."""
    name = _format(format)
    base, _, codec = name.partition(".")
    shrinks = CODECS[codec] if codec else FORMATS[base].shrinks
    if bytes is None and stored is None:
        raise UsageError("how much is there to read?", 'give bytes="100 TB" uncompressed, or stored="20 TB" of files')
    there = bytes_of(bytes) if bytes is not None else round(bytes_of(stored) * shrinks)
    packed = bytes_of(stored) if stored is not None else max(1, round(there / shrinks))
    share = share_of(columns, "columns", most=1)
    if not share:
        raise UsageError("columns is 0: nothing would be read", 'give the share that is read: 0.1, "10%" or "3/50"')
    if storage not in ("remote", "local"):
        raise UsageError(f'unknown storage "{storage}"', 'one of: "remote" (an object store), "local" (own disks)')
    of = there * share * (FORMATS[base].values.mid or 1)
    moves = tuple(_moved(each, of, "shuffles") for each in _each(shuffles))
    return Workload(
        bytes=there,
        stored=packed,
        files=ceil(packed / bytes_of(FILE)) if files is None else whole(files, "files"),
        format=name,
        columns=share,
        row_bytes=bytes_of(row_bytes),
        shuffles=tuple(move for move in moves if move),
        heaviest=share_of(heaviest, "heaviest", most=1),
        broadcasts=tuple(bytes_of(each) for each in ([broadcasts] if _is_one(broadcasts) else broadcasts)),
        output=(moves[-1] if moves else 1.0) if output is None else _moved(output, of, "output"),
        partition=bytes_of(partition),
        storage=storage,
    )


def _format(format: str) -> str:
    parts = [_OTHER_NAMES.get(part, part) for part in str(format).lower().strip(". ").split(".")]
    base, codec = parts[0], ".".join(parts[1:])
    if base in FORMATS and (not codec or (codec in CODECS and base in ("csv", "tsv", "json", "log"))):
        return f"{base}.{codec}" if codec else base
    known = [*FORMATS, *(f"{base}.{codec}" for base in ("csv", "json", "log") for codec in CODECS)]
    near = difflib.get_close_matches(str(format).lower(), known, n=1)
    guess = f"did you mean {near[0]}? " if near else ""
    raise UsageError(f'unknown format "{format}"', f"{guess}one of: {', '.join(known)}")


def whole(value: Any, name: str) -> int:
    """A count that is at least one."""
    try:
        number = int(str(value))
    except ValueError:
        number = 0
    if number < 1 or isinstance(value, bool):
        raise UsageError(f"{name} is {value}", f"give a whole number from 1 on: {name}=10")
    return number


_SHARE = re.compile(r"\s*(\d+(?:\.\d+)?(?:e-?\d+)?)\s*(%|/\s*(\d+(?:\.\d+)?))?\s*")


def share_of(value: Any, name: str, *, most: float | None = None) -> float:
    """A share as a number.

    >>> share_of("30%", "columns"), share_of("3/50", "columns"), share_of(0.3, "columns")
    (0.3, 0.06, 0.3)
    """
    found = None if isinstance(value, bool) else _SHARE.fullmatch(str(value))
    if found is None or (found[3] is not None and not float(found[3])):
        raise UsageError(f"{name} is {value!r}, which is no share", f'write it like 0.3, "30%" or "3/50": {name}="30%"')
    share = float(found[1]) / (100 if found[2] == "%" else float(found[3] or 1))
    if most is not None and share > most:
        raise UsageError(f"{name} is {value!r}, more than all", f'write it like 0.3, "30%" or "3/50": {name}="30%"')
    return share


def _moved(value: Any, of: float, name: str) -> float:
    """What a step moves, given as a share of the values or as bytes."""
    if isinstance(value, str) and re.search(r"[A-Za-z]", value) and not _SHARE.fullmatch(value):
        return bytes_of(value) / of
    return share_of(value, name)


def _each(shuffles: Any) -> Iterable[Any]:
    """The wide steps: a number of them, each of which moves everything, or what each of them moves."""
    if isinstance(shuffles, int) and not isinstance(shuffles, bool):
        if shuffles < 0:
            raise UsageError(f"shuffles is {shuffles}", 'give how many there are, or what each moves: ["100%", "5%"]')
        return [1.0] * shuffles
    return [shuffles] if _is_one(shuffles) else shuffles


def _is_one(value: Any) -> bool:
    return isinstance(value, str) or not isinstance(value, Iterable)
