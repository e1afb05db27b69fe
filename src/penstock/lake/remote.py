"""Publish files behind a URL, where nothing can be renamed: unique names first, then one put of the list of live files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from penstock.engines.files import MANIFEST, filesystem
from penstock.errors import OutputError, UsageError

__all__ = ["publish"]


def publish(url: str, fill: Callable[[Path], int], *, mode: str, single: bool) -> tuple[int, int, int]:
    """Write files here, put them there, and make them visible by the manifest that `ps.read` honours."""
    there = filesystem(url)
    live = _live(there, url)
    if live and mode == "error":
        raise OutputError(f"{url} is there already", 'give mode="overwrite", "append" or "overwrite_partitions"')
    if single and live and mode in ("append", "overwrite_partitions"):
        raise UsageError(f'one file takes no mode="{mode}"', "write a folder: a URL without an ending")
    with TemporaryDirectory(prefix="penstock-") as name:
        folder = Path(name)
        rows = fill(folder)
        files = [file for file in folder.rglob("*") if file.is_file()]
        size = sum(file.stat().st_size for file in files)
        try:
            if single:
                there.put_file(str(files[0]), url)
            else:
                _publish_folder(there, url.rstrip("/"), folder, files, live, mode)
        except OSError as error:
            raise OutputError(f"cannot write {url}: {error}", "what was there before is intact") from error
    return len(files), rows, size


def _publish_folder(there: Any, url: str, folder: Path, files: list[Path], live: set[str], mode: str) -> None:
    new = {file.relative_to(folder).as_posix() for file in files}
    for name in sorted(new):
        there.put_file(str(folder / name), f"{url}/{name}")
    kept = live if mode == "append" else set()
    if mode == "overwrite_partitions":
        replaced = {name.rpartition("/")[0] for name in new}
        kept = {name for name in live if name.rpartition("/")[0] not in replaced}
    there.pipe_file(f"{url}/{MANIFEST}", json.dumps({"files": sorted(kept | new)}, indent=1).encode())
    for name in sorted(live - kept):
        there.rm_file(f"{url}/{name}")


def _live(there: Any, url: str) -> set[str]:
    """The files that readers see now, relative to the folder."""
    there.invalidate_cache()
    manifest = f"{url.rstrip('/')}/{MANIFEST}"
    if there.exists(manifest):
        return set(json.loads(there.cat_file(manifest))["files"])
    root = there._strip_protocol(url).rstrip("/")
    return {path.removeprefix(root).lstrip("/") for path in there.find(root)}
