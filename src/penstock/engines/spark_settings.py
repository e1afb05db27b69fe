"""Settings of a Spark session that hold for one statement."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

__all__ = ["UNCUT", "changed", "files_of"]

#: A plan as text, with all paths of its scans.
UNCUT = {"spark.sql.maxMetadataStringLength": str(2**30)}


def files_of(size: int) -> dict[str, str]:
    """Have adaptive execution aim at files of a size. Rows are 3 times as large when shuffled."""
    return {
        "spark.sql.adaptive.advisoryPartitionSizeInBytes": str(3 * size),
        "spark.sql.adaptive.coalescePartitions.parallelismFirst": "false",  # else a file a core
    }


@contextmanager
def changed(session: Any, settings: Mapping[str, str]) -> Iterator[None]:
    """Have other settings for a while."""
    before = {key: session.conf.get(key) for key in settings}
    for key, value in settings.items():
        session.conf.set(key, value)
    try:
        yield
    finally:
        for key, value in before.items():
            session.conf.set(key, value)
