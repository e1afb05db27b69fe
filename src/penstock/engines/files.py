"""Which files a path means, before any engine opens one: globs, folders, formats, errors that say what was there."""

from __future__ import annotations

import datetime
import difflib
import glob
import itertools
import json
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

from penstock.errors import InputError, MissingExtra, UsageError

__all__ = [
    "FORMATS",
    "MANIFEST",
    "NULL_PARTITION",
    "Read",
    "Source",
    "beginning",
    "filesystem",
    "format_of",
    "head",
    "is_data",
    "is_delta",
    "is_remote",
    "listed",
    "live_files",
    "observed",
    "partition_of",
    "resolve",
    "unknown",
    "uploaded",
]

#: File endings and the format they mean; a compression ending may follow the textual ones.
ENDINGS = {
    ".parquet": "parquet", ".pq": "parquet", ".csv": "csv", ".tsv": "tsv", ".json": "json", ".ndjson": "json",
    ".jsonl": "json", ".arrow": "arrow", ".feather": "arrow", ".ipc": "arrow", ".orc": "orc", ".avro": "avro",
    ".log": "log",
}  # fmt: skip
COMPRESSED = (".gz", ".zst")
FORMATS = ("parquet", "csv", "tsv", "json", "arrow", "orc", "avro", "delta", "iceberg", "log")

#: Formats whose tables are folders with a log of their files, and where that is.
LOGS = {"delta": "_delta_log", "iceberg": "metadata"}

#: Where a folder behind a URL keeps the list of its live files: there is no renaming a folder there (`lake/remote.py`).
MANIFEST = "_penstock/manifest.json"

#: The name of a null in a Hive folder, everywhere.
NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"


class Source(NamedTuple):
    """The files behind a path, and how to read them."""

    paths: list[str]
    format: str
    hive: dict[str, str]
    """The columns that folders below `root` spell (`day=2026-01-01/`), and their types."""
    root: str
    """The folder that was named, or that all the names lie in."""

    @property
    def remote(self) -> bool:
        """Whether the files are behind a URL."""
        return is_remote(self.paths[0])


def is_remote(path: str) -> bool:
    """Whether a path is a URL of a file system other than the machine's own."""
    return "://" in path and not path.startswith("file://")


def filesystem(path: str) -> Any:
    """The fsspec file system of a URL."""
    try:
        import fsspec

        return fsspec.core.url_to_fs(path)[0]
    except ImportError as error:
        raise MissingExtra.of(error.name or "fsspec", "s3") from error
    except ValueError as error:
        raise UsageError(f"cannot open {path}: {error}", "local paths and fsspec URLs such as s3:// work") from error


def resolve(path: str | os.PathLike[str] | Iterable[str | os.PathLike[str]], format: str | None = None) -> Source:
    """The files that a path, a glob, a folder, or a list of these stands for, in path order."""
    if format is not None and format not in (*FORMATS, "ndjson"):
        raise unknown("format", format, FORMATS)
    names = [path] if isinstance(path, (str, os.PathLike)) else list(path)
    if not names:
        raise InputError("no file was named", "give a path, a glob, a folder, or a list of these")
    if format in LOGS or (format is None and any(map(is_delta, map(str, names)))):
        return _logged(names, format or "delta")
    found: list[str] = []
    roots: list[str] = []
    for name in names:
        text = os.fspath(name).removeprefix("file://")
        files, root = _remote(text) if is_remote(text) else _local(text)
        found += files
        roots.append(root)
    alike = itertools.takewhile(lambda parts: len(set(parts)) == 1, zip(*(r.split("/") for r in roots), strict=False))
    root = "/".join(parts[0] for parts in alike)
    kind = "json" if format == "ndjson" else format or _common_format(found)
    if (reads := _observed.get()) is not None:
        reads.append(Read([os.fspath(name) for name in names], format, found))
    return Source(found, kind, _hive(found, root), root)


def is_delta(name: str) -> bool:
    """Whether a path is a Delta table: its folder holds files that are live no more."""
    if not is_remote(name):
        return Path(name.removeprefix("file://"), LOGS["delta"]).is_dir()
    return not glob.has_magic(name) and bool(filesystem(name).isdir(f"{name.rstrip('/')}/{LOGS['delta']}"))


def _logged(names: Sequence[str | os.PathLike[str]], format: str) -> Source:
    """A table whose own log says which files there are."""
    path = os.fspath(names[0]).removeprefix("file://")
    if len(names) > 1:
        several = ", ".join(map(str, names))
        raise UsageError(f"a {format} table is read by itself, not with others: {several}", "name one")
    if not is_remote(path) and not Path(path).is_dir():
        raise InputError(f"no such folder: {path}", _nearest(Path(path)))
    if (reads := _observed.get()) is not None:
        log = listed(filesystem(path), f"{path}/{LOGS[format]}") if is_remote(path) else _log_files(path, format)
        reads.append(Read([path], format, log))
    return Source([path], format, {}, path)


def _log_files(path: str, format: str) -> list[str]:
    return sorted(str(file) for file in Path(path, LOGS[format]).glob("*") if file.is_file())


class Read(NamedTuple):
    """A call of `resolve`, and the files that it found."""

    names: list[str]
    format: str | None
    paths: list[str]


_observed: ContextVar[list[Read] | None] = ContextVar("reads of this thread", default=None)


@contextmanager
def observed() -> Iterator[list[Read]]:
    """The reads that happen within a block, in this thread."""
    reads: list[Read] = []
    before = _observed.set(reads)
    try:
        yield reads
    finally:
        _observed.reset(before)


def unknown(what: str, value: str, known: Iterable[str]) -> UsageError:
    """The error for a word that is none of those known, with the nearest.

    >>> print(unknown("format", "parket", ("parquet", "csv")))
    unknown format "parket"; did you mean "parquet"? one of: parquet, csv
    """
    words = list(known)
    near = difflib.get_close_matches(value, words, n=1)
    guess = f'did you mean "{near[0]}"? ' if near else ""
    return UsageError(f'unknown {what} "{value}"', f"{guess}one of: {', '.join(words)}")


def head(path: str, size: int = 1 << 16) -> bytes:
    """The first bytes of a file, local or behind a URL, decompressed."""
    return beginning(path, size)[0]


def beginning(path: str, size: int, start: int = 0) -> tuple[bytes, int]:
    """The first bytes of a file, decompressed, and how many of its own bytes hold them, to a few KiB.

    Of a file that is not compressed, also those from another place.
    """
    import pyarrow as pa

    codec = {".gz": "gzip", ".zst": "zstd"}.get(os.path.splitext(path)[1])
    try:
        with filesystem(path).open(path) if is_remote(path) else open(path, "rb") as file:
            stream = pa.CompressedInputStream(pa.PythonFile(_Sips(file), "r"), codec) if codec else file
            file.seek(start)
            return bytes(stream.read(size)), file.tell() - start
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(f"cannot read {path}: {error}", "is it whole, and what its name says?") from error


class _Sips:
    """A file in small reads, so that no more is taken of it than is decompressed."""

    closed = False

    def __init__(self, file: Any) -> None:
        self.file = file

    def read(self, size: int) -> bytes:
        """Some bytes, fewer than are wanted."""
        found: bytes = self.file.read(min(size, 1 << 12))
        return found

    def close(self) -> None:
        """Whoever opened the file closes it."""


# -- names ------------------------------------------------------------------------------------------------------------


def format_of(path: str) -> str | None:
    """The format that a file's ending means.

    >>> format_of("a/b.csv.gz"), format_of("s3://bucket/lake"), format_of("events.parquet")
    ('csv', None, 'parquet')
    """
    suffixes = [suffix.lower() for suffix in Path(path).suffixes[-2:]]
    if suffixes and suffixes[-1] in COMPRESSED:
        suffixes.pop()
    return ENDINGS.get(suffixes[-1]) if suffixes else None


def is_data(relative: str) -> bool:
    """Whether a file below a folder is data: Spark, Hive and DuckDB all keep their own files behind `_` and `.`."""
    return not any(part.startswith((".", "_")) for part in relative.split("/") if "=" not in part)


def partition_of(path: str) -> dict[str, str]:
    """The columns and values that the folders of a path spell.

    >>> partition_of("day=2026-01-01/country=C%C3%B4te/part-0.parquet")
    {'day': '2026-01-01', 'country': 'Côte'}
    """
    parts = (part.split("=", 1) for part in path.split("/")[:-1] if "=" in part)
    return {unquote(column): unquote(value) for column, value in parts}


_KINDS = {
    "BIGINT": re.compile(r"0|[1-9][0-9]{0,17}"),
    "DATE": re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}"),
    "TIMESTAMP": re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?"),
}


def _hive(paths: Sequence[str], root: str) -> dict[str, str]:
    """The Hive columns below a folder: of a type if all values look like it; `month=01` is text, as `01` in CSV is."""
    found: dict[str, set[str]] = {}
    for path in paths if root else ():
        for column, value in partition_of(path.removeprefix(root)).items():
            found.setdefault(column, set()).add(value)
    return {column: _kind(values - {NULL_PARTITION}) for column, values in found.items()}


def _kind(values: set[str]) -> str:
    for kind, pattern in _KINDS.items():
        if values and all(map(pattern.fullmatch, values)):
            return kind if kind == "BIGINT" or all(map(_is_date, values)) else "VARCHAR"
    return "VARCHAR"


def _is_date(value: str) -> bool:
    try:
        datetime.datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def _common_format(paths: Sequence[str]) -> str:
    formats = {format_of(path) for path in paths}
    if None in formats:
        path = next(path for path in paths if format_of(path) is None)
        known = ", ".join(FORMATS)
        raise UsageError(f"cannot tell the format of {path} from its name", f"give format=, one of: {known}")
    if len(formats) > 1:
        several = ", ".join(sorted(map(str, formats)))
        raise UsageError(f"files of several formats: {several}", "read each kind by itself")
    return str(formats.pop())


# -- this machine -----------------------------------------------------------------------------------------------------


def _local(name: str) -> tuple[list[str], str]:
    path = Path(name)
    if path.is_dir():
        folder = str(path)
        if not (files := _in_folder(path)):
            raise InputError(f"no data files in {name}", "the folder is empty, or holds only hidden files")
        return files, folder
    if path.exists():
        return [name], str(path.parent)
    if glob.has_magic(name):
        root = _before_magic(name)
        found = (p for p in glob.glob(name, recursive=True) if is_data(os.path.relpath(p, root)) and os.path.isfile(p))
        if not (files := sorted(found)):
            raise InputError(f"no file matches {name}", f"it was looked for in {Path.cwd()}")
        return files, root
    raise InputError(f"no such file: {name}", _nearest(path))


def _in_folder(path: Path) -> list[str]:
    """The data files of a folder, of one version: writers swap the whole folder, and may do so while it is listed."""
    while True:
        before = path.stat().st_ino
        files = sorted(str(p) for p in path.rglob("*") if is_data(p.relative_to(path).as_posix()) and p.is_file())
        if path.stat().st_ino == before:
            return files


def _before_magic(name: str) -> str:
    return re.split(r"[*?\[]", name, maxsplit=1)[0].rpartition("/")[0] or "."


def _nearest(path: Path) -> str:
    if not path.parent.is_dir():
        return f"there is no folder {path.parent} either"
    names = sorted(os.listdir(path.parent))
    near = difflib.get_close_matches(path.name, names, n=1)
    return f'did you mean "{path.parent / near[0]}"?' if near else f"{path.parent} holds {len(names)} other names"


# -- behind a URL -----------------------------------------------------------------------------------------------------


def _remote(name: str) -> tuple[list[str], str]:
    files = filesystem(name)
    files.invalidate_cache()  # another process may have written since this one listed
    magic = glob.has_magic(name)
    root = files.unstrip_protocol(_before_magic(name) if magic else name.rstrip("/"))
    try:
        found = listed(files, name)
        live = None if found == [root] else live_files(files, root)
    except OSError as error:
        raise InputError(f"cannot list {name}: {error}", "check the address and the credentials") from error
    if found == [root]:
        return found, root.rpartition("/")[0]
    relative = [path.removeprefix(f"{root}/") for path in found]
    paths = [f"{root}/{path}" for path in relative if is_data(path) and (live is None or path in live)]
    if not paths:
        raise InputError(f"no file at {name}", "check the bucket, the prefix and the glob")
    return paths, root


def listed(files: Any, name: str) -> list[str]:
    """The files of an fsspec file system below a folder or matching a glob, as URLs, in order."""
    found = files.glob(name) if glob.has_magic(name) else files.find(name)
    return sorted(map(files.unstrip_protocol, found))


@contextmanager
def uploaded(url: str, scratch: str | None = None) -> Iterator[str]:
    """A local folder, within `scratch`, whose files are behind the URL afterwards."""
    with tempfile.TemporaryDirectory(prefix="penstock-upload-", dir=scratch) as folder:
        yield folder
        filesystem(url).put(f"{folder}/", f"{url}/", recursive=True)


def live_files(files: Any, root: str) -> set[str] | None:
    """The live files of a folder that keeps a list of them."""
    try:
        text = files.cat_file(f"{root}/{MANIFEST}")
    except FileNotFoundError:
        return None
    manifest: Mapping[str, Any] = json.loads(text)
    return set(manifest["files"])
