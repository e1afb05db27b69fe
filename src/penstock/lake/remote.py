"""The next version of a path behind a URL, where no folder can be renamed.

A folder there keeps a list of its live files, `_penstock/manifest.json`, and a version becomes visible by the one put
of a new list: `ps.read` sees what is listed and nothing else. Other programs see all files, so they may see some of a
version that is under way, or two in the moment before the old one is removed. One writer at a time.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from penstock.engines.files import MANIFEST, filesystem, is_data, listed, live_files
from penstock.errors import OutputError
from penstock.lake.versions import Target, refuse_lost, renamed, stays

__all__ = ["check", "data_files", "publish", "workshop"]

AT_ONCE = 16  # requests
_HIDDEN = MANIFEST.partition("/")[0]


def check(target: Target) -> None:
    """Refuse a URL that holds what the mode does not say to replace."""
    files = _files(target.path)
    try:
        there = files.isfile(target.path) if target.single else bool(data_files(target.path))
        if not target.single and files.isfile(target.path):
            raise OutputError(f"{target.path} is a file", "name a folder, or end the path in a format's ending")
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(f"cannot look at {target.path}: {error}", "check the address and the credentials") from error
    if there and target.mode == "error":
        raise OutputError(f"{target.path} is there already", 'mode="overwrite" replaces it')


def data_files(url: str) -> list[str]:
    """The live files of a folder, relative to it."""
    files = _files(url)
    root = files.unstrip_protocol(url.rstrip("/"))
    found = [path.removeprefix(f"{root}/") for path in listed(files, url) if path != root]
    live = live_files(files, root)
    return [name for name in found if is_data(name) and (live is None or name in live)]


@contextmanager
def workshop(target: Target) -> Iterator[str]:
    """A folder for the engine to write into, hidden below or beside the path, and gone afterwards."""
    files = _files(target.path)
    home = target.path.rpartition("/")[0] if target.single else target.path.rstrip("/")
    folder = f"{home}/{_HIDDEN}/{secrets.token_hex(6)}"
    try:
        yield folder
    finally:
        files.invalidate_cache()
        if files.exists(folder):
            files.rm(folder, recursive=True)


def publish(target: Target, folder: str, rows: int) -> tuple[tuple[str, ...], int]:
    """Make what the engine wrote visible at the path; the files' URLs, and their bytes together."""
    files = _files(target.path)
    stage = files.unstrip_protocol(folder)
    sizes = {path.removeprefix(f"{stage}/"): files.size(path) for path in listed(files, folder)}
    names = renamed(filter(is_data, sizes), target)
    refuse_lost(rows, names, folder)
    size = sum(sizes[old] for old in names.values())
    if target.single:
        files.mv(f"{stage}/{next(iter(names.values()))}", target.path)
        return (target.path,), size
    root = target.path.rstrip("/")
    before = data_files(root)
    if live_files(files, root) is None:  # or what comes now would be visible at once
        _put_manifest(files, root, before)

    def move(name: str, old: str) -> None:
        files.makedirs(f"{root}/{name}".rpartition("/")[0], exist_ok=True)
        files.mv(f"{stage}/{old}", f"{root}/{name}")

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(move, names, names.values()))
    kept = list(filter(stays(target, names), before))
    _put_manifest(files, root, [*kept, *names])
    _remove_unlisted(files, root)
    return tuple(f"{root}/{name}" for name in names), size


def _put_manifest(files: Any, root: str, names: list[str]) -> None:
    text = json.dumps({"version": 1, "files": sorted(names)}, indent=1, ensure_ascii=False)
    files.pipe_file(f"{root}/{MANIFEST}", text.encode())


def _remove_unlisted(files: Any, root: str) -> None:
    """Remove the version before, and what killed writers left."""
    files.invalidate_cache()
    live = {f"{root}/{name}" for name in (*(live_files(files, root) or ()), MANIFEST)}
    gone = [path for path in listed(files, root) if path not in live and _is_ours(path.removeprefix(f"{root}/"))]
    if gone:
        files.rm(gone)


def _is_ours(name: str) -> bool:
    return is_data(name) or name.startswith(f"{_HIDDEN}/")


def _files(url: str) -> Any:
    files = filesystem(url)
    files.invalidate_cache()  # another process may have written since this one listed
    return files
