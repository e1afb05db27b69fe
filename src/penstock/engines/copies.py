"""The options of DuckDB's COPY."""

from __future__ import annotations

from collections.abc import Sequence

from penstock import sql

__all__ = ["clauses"]

#: What COPY is told of each format.
_FORMATS = {
    "parquet": {"FORMAT": "parquet"},
    "csv": {"FORMAT": "csv", "HEADER": "true"},
    "tsv": {"FORMAT": "csv", "HEADER": "true", "DELIMITER": "'\t'"},
    "json": {"FORMAT": "json"},
    "ndjson": {"FORMAT": "json"},
}


def clauses(format: str, *, single: bool, partition_by: Sequence[str], file_bytes: int, compression: str) -> str:
    """The options in brackets.

    >>> clauses("csv", single=True, partition_by=(), file_bytes=0, compression="none")
    'FORMAT csv, HEADER true, COMPRESSION uncompressed'
    """
    settings = _FORMATS[format] | {"COMPRESSION": "uncompressed" if compression == "none" else compression}
    if not single:
        settings |= {"FILE_SIZE_BYTES": str(file_bytes), "FILENAME_PATTERN": "'part-{i}'"}
    if partition_by:
        settings |= {"PARTITION_BY": f"({sql.quoted(partition_by)})"}
    return ", ".join(f"{key} {value}" for key, value in settings.items())
