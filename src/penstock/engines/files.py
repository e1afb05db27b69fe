"""Which files a path means, before any engine opens one: globs, folders, formats, and errors that say what was there."""

from __future__ import annotations

import difflib
import glob
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from penstock.errors import InputError, MissingExtra, UsageError

__all__ = ["FORMATS", "Source", "filesystem", "format_of", "is_remote", "resolve"]

#: File endings and the format they mean; a compression ending may follow the textual ones.
ENDINGS = {
    ".parquet": "parquet", ".pq": "parquet", ".csv": "csv", ".tsv": "tsv", ".json": "json", ".ndjson": "json",
    ".jsonl": "json", ".arrow": "arrow", ".feather": "arrow", ".ipc": "arrow", ".log": "log",
}  # fmt: skip
COMPRESSED = (".gz", ".zst")
FORMATS = ("parquet", "csv", "tsv", "json", "arrow", "log")


class Source(NamedTuple):
    """The files behind a path, and how to read them."""

    paths: list[str]
    format: str
    root: str
    """The folder that was named, if one was: Hive columns are spelled below it."""

    @property
    def hive(self) -> bool:
        """Whether folders below the root spell columns: `day=2026-01-01/`."""
        return bool(self.root) and any("=" in path.removeprefix(self.root).rpartition("/")[0] for path in self.paths)

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
        raise UsageError(f"cannot open {path}: {error}", "local paths, file:// and fsspec URLs such as s3:// work") from error


def resolve(path: str | os.PathLike[str] | Iterable[str | os.PathLike[str]], format: str | None = None) -> Source:
    """The files that a path, a glob, a folder, or a list of these stands for, in path order."""
    if format == "ndjson":
        format = "json"
    if format is not None and format not in FORMATS:
        near = difflib.get_close_matches(format, FORMATS, n=1)
        guess = f'did you mean "{near[0]}"? ' if near else ""
        raise UsageError(f'unknown format "{format}"', f"{guess}one of: {', '.join(FORMATS)}")
    names = [path] if isinstance(path, (str, os.PathLike)) else list(path)
    if not names:
        raise InputError("no file was named", "give a path, a glob, a folder, or a list of these")
    found: list[str] = []
    root = ""
    for name in map(os.fspath, names):
        files, folder = (_remote if is_remote(name) else _local)(name.removeprefix("file://"))
        found += files
        root = root or folder
    return Source(found, format or _common_format(found), root)


def format_of(path: str) -> str | None:
    """The format that a file's ending means."""
    suffixes = [suffix.lower() for suffix in Path(path).suffixes[-2:]]
    if suffixes and suffixes[-1] in COMPRESSED:
        suffixes.pop()
    return ENDINGS.get(suffixes[-1]) if suffixes else None


def _common_format(paths: Sequence[str]) -> str:
    formats = {format_of(path) for path in paths}
    if None in formats:
        unknown = next(path for path in paths if format_of(path) is None)
        raise UsageError(f"cannot tell the format of {unknown} from its name", f"give format=, one of: {', '.join(FORMATS)}")
    if len(formats) > 1:
        raise UsageError(f"files of several formats: {', '.join(sorted(map(str, formats)))}", "read each kind by itself")
    return str(formats.pop())


def _visible(relative: str) -> bool:
    """Whether a file below a folder is data: Spark, Hive and DuckDB all keep their own files behind `_` and `.`."""
    return not any(part.startswith((".", "_")) for part in relative.split("/") if "=" not in part)


def _local(name: str) -> tuple[list[str], str]:
    path = Path(name)
    if path.is_dir():
        folder = str(path)
        files = sorted(str(p) for p in path.rglob("*") if p.is_file() and _visible(p.relative_to(path).as_posix()))
        if not files:
            raise InputError(f"no data files in {name}", "the folder is empty, or holds only hidden files")
        return files, folder
    if path.exists():
        return [name], ""
    if glob.has_magic(name):
        files = sorted(p for p in glob.glob(name, recursive=True) if os.path.isfile(p))
        if not files:
            raise InputError(f"no file matches {name}", f"it was looked for in {Path.cwd()}")
        return files, name.partition("*")[0].rpartition("/")[0]
    raise InputError(f"no such file: {name}", _nearest(path))


def _nearest(path: Path) -> str:
    if not path.parent.is_dir():
        return f"there is no folder {path.parent} either"
    names = sorted(os.listdir(path.parent))
    near = difflib.get_close_matches(path.name, names, n=1)
    return f'did you mean "{path.parent / near[0]}"?' if near else f"{path.parent} holds {len(names)} other names"


def _remote(name: str) -> tuple[list[str], str]:
    files = filesystem(name)
    protocol = name.partition("://")[0]
    try:
        if glob.has_magic(name):
            found = files.glob(name)
            root = name.partition("*")[0].rpartition("/")[0]
        else:
            found = files.find(name)
            root = "" if found and f"{protocol}://{found[0]}".rstrip("/") == name else name.rstrip("/")
    except OSError as error:
        raise InputError(f"cannot list {name}: {error}", "check the address and the credentials") from error
    paths = sorted(path if "://" in path else f"{protocol}://{path}" for path in found)
    paths = [path for path in paths if _visible(path.removeprefix(root or path))]
    if not paths:
        raise InputError(f"no file at {name}", "check the bucket, the prefix and the glob")
    return paths, root
