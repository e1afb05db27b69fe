"""Files by the Hive folder that they lie in, for readers that know nothing of such folders."""

from __future__ import annotations

from collections.abc import Iterator

from penstock import sql
from penstock.engines.files import NULL_PARTITION, Source, partition_of

__all__ = ["by_folder"]


def by_folder(source: Source) -> Iterator[tuple[dict[str, str], list[str]]]:
    """The values of each folder's Hive columns, as DuckDB's SQL, and the files; all files at once if there are none."""
    folders: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for path in source.paths:
        spelled = partition_of(path.removeprefix(source.root)) if source.hive else {}
        folders.setdefault(tuple(spelled.items()), []).append(path)
    for values, paths in folders.items():
        literals = {name: sql.literal(value) for name, value in values if value != NULL_PARTITION}
        yield {n: f"CAST({literals.get(n, 'NULL')} AS {kind})" for n, kind in source.hive.items()}, paths
