"""The next version of a local path: built aside of what the engine wrote and what stays, then swapped in.

Files that stay are linked, not copied. Whatever is killed, and whenever, the path holds the old version or the new one;
the left-overs are hidden, and the next write to the path removes them.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from penstock.engines.files import format_of, is_data, partition_of
from penstock.errors import OutputError, PenstockError, UsageError
from penstock.lake.swap import aside, exchange, held, sync, sync_tree

__all__ = [
    "Target",
    "check",
    "data_files",
    "disk_errors",
    "publish",
    "refuse_logged",
    "refuse_lost",
    "renamed",
    "replace",
    "stays",
    "workshop",
]


class Target(NamedTuple):
    """Where a table is to be written and how: a call of `ps.write`, checked."""

    path: str
    format: str
    compression: str
    ending: str
    single: bool
    mode: str
    partition_by: list[str]
    batch: str
    """Part of the files' names: no two writes have the same, unless one is the other done again."""


# -- before anything runs ---------------------------------------------------------------------------------------------


def check(target: Target) -> None:
    """Refuse a path that cannot be written, or that holds what the mode does not say to replace."""
    path, mode, single = Path(target.path), target.mode, target.single
    ancestor = next(folder for folder in path.absolute().parents if folder.exists())
    if not ancestor.is_dir():
        raise OutputError(f"cannot write {path}: {ancestor} is a file", "choose a path below a folder")
    if not os.access(ancestor, os.W_OK | os.X_OK):
        raise OutputError(f"cannot write {path}: no permission in {ancestor}", "choose a folder that you may write in")
    if not path.exists():
        return
    if single and path.is_dir():
        raise OutputError(f"{path} is a folder", "name a new file, or a folder without a file's ending")
    if not single and not path.is_dir():
        raise OutputError(f"{path} is a file", "name a folder, or end the path in a format's ending to write one file")
    if mode == "error" and (any(path.iterdir()) if path.is_dir() else path.stat().st_size):
        raise OutputError(f"{path} is there already", 'mode="overwrite" replaces it')
    if not single:
        refuse_logged(path, target.path)
        foreign = [name for name in data_files(target.path) if format_of(name) is None]
        if foreign:
            raise OutputError(f"{path} holds {foreign[0]}, which is no data file", "write to a folder of its own")


#: What keeps a list of the live files by itself, and by which name: files that it does not list are none to it.
_LOGS = {"_delta_log": "a Delta table", ".hoodie": "a Hudi table", "_spark_metadata": "written by a stream of Spark"}


def refuse_logged(folder: Path, name: str) -> None:
    """Refuse a folder of files that another format keeps a log of."""
    for log, what in _LOGS.items():
        if (folder / log).exists():
            raise UsageError(f"{name} is {what}: its log must know of every file", "use the format's own tools")


def data_files(folder: str | Path) -> list[str]:
    """The files of a folder that are not hidden, relative to it, in order."""
    root = Path(folder)
    return sorted(filter(is_data, (file.relative_to(root).as_posix() for file in root.rglob("*") if file.is_file())))


# -- aside ------------------------------------------------------------------------------------------------------------


@contextmanager
def workshop(target: Target) -> Iterator[str]:
    """A folder for the engine to write into, within a hidden one beside the path that is gone afterwards."""
    real = Path(os.path.realpath(target.path))
    real.parent.mkdir(parents=True, exist_ok=True)
    with aside(real) as hidden:
        written = hidden / "written"
        written.mkdir()
        yield str(written)


def renamed(names: Iterable[str], target: Target) -> dict[str, str]:
    """Names for what an engine wrote, new to old.

    The engines spell a partition's value in different ways; here it is spelled as Hive does it, which both read.
    """
    counts: dict[str, Iterator[int]] = {}
    found = {}
    for name in sorted(names, key=_natural):
        folder = "".join(f"{_hive(part)}/" for part in name.split("/")[:-1])
        number = next(counts.setdefault(folder, itertools.count()))
        found[f"{folder}part-{target.batch}-{number:05}{target.ending}"] = name
    return found


def stays(target: Target, names: Iterable[str]) -> Callable[[str], bool]:
    """Which of the files that are there a write leaves, when it comes with files of these names."""
    if target.mode == "overwrite_partitions":
        replaced = {tuple(partition_of(name).items()) for name in names}
        return lambda name: tuple(partition_of(name).items()) not in replaced
    return lambda name: target.mode == "append" and not is_of(target.batch, name)


def is_of(batch: str, name: str) -> bool:
    """Whether a file was written by a batch."""
    return name.rpartition("/")[2].startswith(f"part-{batch}-")


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(digits or 0), text) for text, digits in re.findall(r"([^0-9]*)([0-9]*)", name)]


def _hive(part: str) -> str:
    column, _, value = part.partition("=")
    return f"{_escaped(column)}={_escaped(value)}"


def _escaped(text: str) -> str:
    special = re.compile(r"""[\x00-\x1f"#%'*/:=?\\\x7f{\[\]^]""")
    return special.sub(lambda letter: f"%{ord(letter[0]):02X}", unquote(text))


# -- into place -------------------------------------------------------------------------------------------------------


def publish(target: Target, folder: str, rows: int) -> tuple[tuple[str, ...], int]:
    """Make what the engine wrote visible at the path; the files' paths, and their bytes together."""
    written, path = Path(folder), Path(os.path.realpath(target.path))
    names = renamed(data_files(written), target)
    refuse_lost(rows, names, folder)
    size = sum((written / name).stat().st_size for name in names.values())
    if target.single:
        _publish_file(written / next(iter(names.values())), path, target.mode)
        return (target.path,), size
    version = written.with_name("version")
    version.mkdir()
    for name, old in names.items():
        (version / name).parent.mkdir(parents=True, exist_ok=True)
        os.rename(written / old, version / name)
    _publish_folder(version, path, target.mode, stays(target, names))
    return tuple(f"{target.path}/{name}" for name in names), size


def refuse_lost(rows: int, names: Iterable[str], folder: str) -> None:
    """Refuse to publish nothing for rows that were written, somewhere."""
    if rows and not any(names):
        raise OutputError(
            f"the engine wrote {rows} rows, and they are not in {folder}",
            "its workers must share that folder with this machine",
        )


def _publish_file(written: Path, path: Path, mode: str) -> None:
    sync(written)
    if mode == "error" and not (path.exists() and path.stat().st_size == 0):
        try:
            os.link(written, path)  # unlike a rename, this replaces nothing
        except FileExistsError as error:
            raise OutputError(f"{path} appeared meanwhile", 'mode="overwrite" replaces it') from error
        except OSError:  # a file system without links
            os.replace(written, path)
    else:
        os.replace(written, path)
    sync(path.parent)


def _publish_folder(version: Path, path: Path, mode: str, kept: Callable[[str], bool]) -> None:
    sync_tree(version)
    while True:
        with held(path) as there:
            if there:
                if mode == "error" and any(path.iterdir()):
                    raise OutputError(f"{path} appeared meanwhile", 'mode="overwrite" replaces it')
                replace(version, path, filter(kept, data_files(path)))
                break
            if _moved(version, path):
                break
    sync(path.parent)


def replace(version: Path, path: Path, kept: Iterable[str]) -> None:
    """Put a version in the place of the one that is held, with those of its files that stay."""
    _link(kept, path, version)
    shutil.copymode(path, version)
    exchange(version, path)


def _moved(version: Path, path: Path) -> bool:
    try:
        os.rename(version, path)
    except OSError:
        if path.is_dir():  # another writer was first
            return False
        raise
    return True


def _link(names: Iterable[str], old: Path, new: Path) -> None:
    for name in names:
        (new / name).parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(old / name, new / name)
        except OSError:  # a file system without links, or a file with as many as it can have
            shutil.copy2(old / name, new / name)
            sync(new / name)
    sync_tree(new, names_only=True)


_FULL = re.compile("No space left on device|File too large|Disk quota exceeded", re.IGNORECASE)


@contextmanager
def disk_errors(path: str) -> Iterator[None]:
    """Say which path could not be written, and not which hidden one beside it."""
    try:
        yield
    except (PenstockError, OSError) as error:
        full = _FULL.search(str(error))
        of_ours = full and any(place in str(error) for place in (".penstock-", path))
        if isinstance(error, PenstockError) and not of_ours:  # a scratch folder can be full, too
            raise
        hint = "free some space; what was there before is intact" if full else "what was there before is intact"
        raise OutputError(f"cannot write {path}: {full[0] if full else error}", hint) from error
