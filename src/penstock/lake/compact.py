"""Small files of a Parquet folder put together, in one step that readers do not notice.

Every folder is by itself: what its name spells is neither read nor written. Files that are large enough stay as they
are, linked and not copied. Rows go over as they stand in the files, one piece after another, through Arrow: no engine
has a say in types, so nanoseconds, unsigned numbers and field ids come out as they were.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from penstock.amounts import bytes_of
from penstock.engines.evolution import footers
from penstock.engines.files import format_of, is_remote
from penstock.engines.partitions import row_groups
from penstock.errors import InputError, OutputError, UsageError
from penstock.lake.swap import aside, held, sync, sync_tree
from penstock.lake.versions import data_files, disk_errors, refuse_logged, replace

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Compacted", "Merge", "compact"]

BATCH = 1_000  # merges that are given to the threads at once


class Merge(NamedTuple):
    """Files of one folder that become one."""

    into: str
    """The new file, relative to the path; it stands in the order of names where the first of the old ones stood."""
    files: tuple[str, ...]
    bytes: int
    """Of the old files together."""


class Compacted(NamedTuple):
    """What a compaction did, or with `dry_run` would do."""

    path: str
    folders: int
    """The folders in which files were put together."""
    files_before: int
    files_after: int
    bytes_before: int
    bytes_after: int | None
    """None where nothing was written, with `dry_run`."""
    plan: tuple[Merge, ...]


def compact(
    path: str | PathLike[str],
    target_file_size: str | int = "256MB",
    dry_run: bool = False,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Compacted:
    """Put the small files of a Parquet folder together, each Hive folder by itself.

    Files below half of the target size are put together in the order of their names, up to the target size; all others
    stay. A reader sees the old files or the new ones, also where this is killed. Other writers need not wait: what they
    add meanwhile stays, and of what they replace nothing comes back.

    Args:
        path: A folder of Parquet files on this machine, partitioned or not.
        target_file_size: What a file is to have at most, about: `"256MB"`, or a number of bytes.
        dry_run: Only say what would be done.
        progress: Called with the bytes that are done and those that there are to do.

    Returns:
        path, folders, files_before, files_after, bytes_before, bytes_after, plan.

    Raises:
        UsageError: the path is no folder of Parquet files alone, or keeps a log of its files (Delta, Hudi).
        InputError: a file is no whole Parquet file.
        OutputError: the folder cannot be written; it is as it was.

    Example:
        >>> import tempfile
        >>> out = f"{tempfile.mkdtemp()}/out"
        >>> for v in range(3):
        ...     _ = ps.write(ps.adopt([{"k": "a", "v": v}]), out, partition_by="k", mode="append")
        >>> done = ps.compact(out)
        >>> done.files_before, done.files_after, ps.sort(ps.read(out), "v").fetchall()
        (3, 1, [(0, 'a'), (1, 'a'), (2, 'a')])
    """
    name, target = fspath(path), bytes_of(target_file_size)
    if is_remote(name):
        raise UsageError(
            f"{name} is behind a URL, and compact works on this machine's folders",
            'read it and write it again: ps.write(ps.read(url), url, mode="overwrite")',
        )
    root = Path(os.path.realpath(name))
    there = _listed(root, name)
    plan = tuple(_plan(root, there, target))
    if dry_run or not plan:
        return _outcome(name, plan, there, None if dry_run else {})
    with disk_errors(name), aside(root) as hidden:
        version = hidden / "version"
        version.mkdir()
        _write_all(root, version, plan, progress or (lambda done, of: None))
        sync_tree(version)
        with held(root) as ours:
            if not ours:
                raise OutputError(f"{name} is gone", "somebody removed it meanwhile")
            now = _listed(root, name)
            done = tuple(_undisturbed(plan, there, now, version))
            new = {merge.into: (version / merge.into).stat().st_size for merge in done}
            merged = {file for merge in done for file in merge.files}
            replace(version, root, (file for file in now if file not in merged))
        sync(root.parent)
    return _outcome(name, done, now, new)


def _outcome(
    name: str, plan: tuple[Merge, ...], before: dict[str, tuple[int, int]], new: dict[str, int] | None
) -> Compacted:
    size = sum(size for size, _ in before.values())
    gone = sum(merge.bytes for merge in plan)
    return Compacted(
        path=name,
        folders=len({os.path.dirname(merge.into) for merge in plan}),
        files_before=len(before),
        files_after=len(before) - sum(len(merge.files) - 1 for merge in plan),
        bytes_before=size,
        bytes_after=None if new is None else size - gone + sum(new.values()),
        plan=plan,
    )


# -- what there is, and what becomes of it ----------------------------------------------------------------------------


def _listed(root: Path, name: str) -> dict[str, tuple[int, int]]:
    """The data files of a folder, each with what tells it from another of its name: size and time."""
    if not root.is_dir():
        raise UsageError(f"{name} is no folder" if root.exists() else f"no such folder: {name}", "name a folder")
    refuse_logged(root, name)
    files = data_files(root)
    other = next((file for file in files if format_of(file) != "parquet"), None)
    if other:
        raise UsageError(f"{name} holds {other}, which is no Parquet file", "only folders of Parquet are compacted")
    stats = {file: (root / file).stat() for file in files}
    return {file: (stat.st_size, stat.st_mtime_ns) for file, stat in stats.items()}


def _plan(root: Path, there: dict[str, tuple[int, int]], target: int) -> Iterator[Merge]:
    """Small files of one folder and one schema, in the order of their names, until the target size is full."""
    folders: dict[str, list[str]] = {}
    for file, (size, _) in there.items():
        if size < target / 2:
            folders.setdefault(os.path.dirname(file), []).append(file)
    small = [file for files in folders.values() if len(files) > 1 for file in files]
    read = footers([str(root / file) for file in small])
    open_: list[tuple[pa.Schema, list[str]]] = []
    folder = ""
    for file, footer in zip(small, read, strict=True):
        schema = footer.schema
        if os.path.dirname(file) != folder:
            yield from _closed(open_, there)
            folder, open_ = os.path.dirname(file), []
        files = next((files for other, files in open_ if schema.equals(other)), None)
        if files is None:
            open_.append((schema, [file]))
        elif sum(there[each][0] for each in (*files, file)) <= target:
            files.append(file)
        else:
            yield from _closed([(schema, list(files))], there)
            files[:] = [file]
    yield from _closed(open_, there)


def _closed(bins: Sequence[tuple[pa.Schema, list[str]]], there: dict[str, tuple[int, int]]) -> Iterator[Merge]:
    for _, files in bins:
        if len(files) > 1:
            yield Merge(_name(files), tuple(files), sum(there[file][0] for file in files))


_OURS = re.compile(r"part-(\w+?)(c[0-9a-f]{8})?-(\d{5})(-c[0-9a-f]{8})?\.parquet")


def _name(files: Sequence[str]) -> str:
    """A new name that stands where the first file's stood. One of a batch (`versions.is_of`) has rows of that alone."""
    folder, name = os.path.split(files[0])
    mark = f"c{secrets.token_hex(4)}"
    written = [_OURS.fullmatch(os.path.basename(file)) for file in files]
    if (first := written[0]) is None:
        name = re.sub(r"(-c[0-9a-f]{8})?\.\w+$", f"-{mark}.parquet", name)
    elif len({found and found.group(1, 2) for found in written}) == 1:
        name = f"part-{first[1]}{first[2] or ''}-{first[3]}-{mark}.parquet"
    else:
        name = f"part-{first[1]}{mark}-{first[3]}.parquet"
    return os.path.join(folder, name)


def _undisturbed(
    plan: Sequence[Merge], there: dict[str, tuple[int, int]], now: dict[str, tuple[int, int]], version: Path
) -> Iterator[Merge]:
    """The merges whose files are there as they were; the others are undone: a writer replaced some of their files."""
    for merge in plan:
        if (version / merge.into).exists():
            if all(now.get(file) == there[file] for file in merge.files):
                yield merge
            else:
                (version / merge.into).unlink()


# -- one file of several ----------------------------------------------------------------------------------------------


def _write_all(root: Path, version: Path, plan: Sequence[Merge], progress: Callable[[int, int], None]) -> None:
    total, done = sum(merge.bytes for merge in plan), 0
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        for start in range(0, len(plan), BATCH):
            some = plan[start : start + BATCH]
            for merge, _ in zip(some, pool.map(lambda merge: _write(root, version, merge), some), strict=True):
                done += merge.bytes
                progress(done, total)
    finally:
        pool.shutdown(cancel_futures=True)


def _write(root: Path, version: Path, merge: Merge) -> None:
    """Write the rows of files into one, in their order; nothing where a file is gone by now."""
    import pyarrow.parquet as pq

    into = version / merge.into
    into.parent.mkdir(parents=True, exist_ok=True)
    first = root / merge.files[0]
    try:
        with _opened(first) as like:
            schema, settings, leaves = like.schema_arrow, _settings(like), _leaves(like)
        with pq.ParquetWriter(into, schema, **settings) as writer:
            for group in row_groups(_batches(root / file for file in merge.files)):
                writer.write_table(group)
    except FileNotFoundError:
        into.unlink(missing_ok=True)
        return
    with pq.ParquetFile(into) as written:
        changed = [one[0] for one, other in zip(leaves, _leaves(written), strict=True) if one != other]
    if changed:
        raise UsageError(f'"{changed[0]}" in {first} is of a type that Arrow cannot write', "nothing was changed")


def _opened(file: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(file, coerce_int96_timestamp_unit="us", arrow_extensions_enabled=True)
    except pa.ArrowException as error:
        raise InputError(f"{file} is not a whole Parquet file: {error}", "fetch or write it again") from error


def _batches(files: Iterator[Path]) -> Iterator[pa.RecordBatch]:
    for file in files:
        with _opened(file) as opened:
            yield from opened.iter_batches()


def _settings(like: Any) -> dict[str, Any]:
    """How to write what reads as a file does."""
    groups = like.metadata.num_row_groups
    codec = like.metadata.row_group(0).column(0).compression.lower() if groups else "zstd"
    leaves = _leaves(like)
    decimals = [physical for _, physical, logical in leaves if logical.startswith("Decimal")]
    return {
        "compression": "none" if codec == "uncompressed" else codec,
        "use_deprecated_int96_timestamps": any(physical == "INT96" for _, physical, _ in leaves),
        "store_decimal_as_integer": any(packed in ("INT32", "INT64") for packed in decimals),
        "store_schema": b"ARROW:schema" in (like.metadata.metadata or {}),
    }


def _leaves(file: Any) -> list[tuple[str, str, str]]:
    """The columns of a Parquet file as the format has them: their paths, physical and logical types."""
    schema = file.metadata.schema
    columns = [schema.column(number) for number in range(len(schema))]
    return [(column.path, column.physical_type, _named(str(column.logical_type))) for column in columns]


def _named(logical: str) -> str:
    """A logical type; a whole number of 32 or 64 bits may be called one or not."""
    return "None" if re.fullmatch(r"Int\(bitWidth=(32|64), isSigned=true\)", logical) else logical
