"""Delta tables for the embedded engine: the files that the log calls live, as an Arrow dataset.

Each file comes with its partition values and the least and the greatest value of its columns, by the log, so that a
filter leaves out files.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from penstock.errors import InputError, MissingExtra

__all__ = ["opened", "package", "parquet_files"]


def package() -> Any:
    """The deltalake package."""
    try:
        import deltalake
    except ImportError as error:
        raise MissingExtra.of(error.name or "deltalake", "delta") from error
    return deltalake


def opened(paths: Sequence[str], version: int | None = None) -> Any:
    """A table as it is, or as it was in a version."""
    return _asked(paths, version, lambda table: table.to_pyarrow_dataset())


def parquet_files(paths: Sequence[str], version: int | None = None) -> list[str]:
    """The files that hold its rows; what Arrow cannot read, as deleted rows in other files, is refused."""
    opened(paths, version)
    return sorted(_asked(paths, version, lambda table: table.file_uris()))


def _asked(paths: Sequence[str], version: int | None, question: Callable[[Any], Any]) -> Any:
    (path,), deltalake = paths, package()
    try:
        return question(deltalake.DeltaTable(path, version=version))
    except deltalake.exceptions.TableNotFoundError as error:
        raise InputError(f"{path} is no Delta table", "it has no _delta_log") from error
    except deltalake.exceptions.DeltaProtocolError as error:
        raise InputError(f"cannot read {path}: {error}", "read it with Spark's Delta connector") from error
    except deltalake.exceptions.DeltaError as error:
        what = path if version is None else f"version {version} of {path}"
        hint = "fetch or write it again" if version is None else "ask for a version that its log has"
        raise InputError(f"cannot read {what}: {str(error).splitlines()[0]}", hint) from error
