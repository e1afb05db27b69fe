"""What Spark says of a table before it runs."""

from __future__ import annotations

import contextlib
import io
import re
import threading
from typing import Any

from penstock.engines.engine import Size
from penstock.engines.spark_errors import errors
from penstock.engines.spark_settings import UNCUT, changed

__all__ = ["explained", "size_in", "uncut"]

_STATISTICS = re.compile(r"Statistics\(sizeInBytes=([\d.E+]+) (\w+)(?:, rowCount=([\d.E+]+))?")
_UNITS = {unit: 1 << 10 * power for power, unit in enumerate(["B", "KiB", "MiB", "GiB", "TiB", "PiB"])}

# `explain` prints, and standard output belongs to all threads: two that catch it at once would leave it astray.
_ONE_AT_A_TIME = threading.Lock()


def explained(table: Any, mode: str) -> str:
    """The plan of a DataFrame, as `explain` prints it."""
    with errors("planning", table), _ONE_AT_A_TIME:
        with contextlib.redirect_stdout(io.StringIO()) as text:  # the only public way, classic and Connect
            table.explain(mode=mode)
        return text.getvalue()


def uncut(table: Any, mode: str) -> str:
    """The plan of a DataFrame, with all paths of its scans."""
    with changed(table.sparkSession, UNCUT):
        return explained(table, mode)


def size_in(plan: str) -> Size:
    """The statistics of a plan that was explained with its costs."""
    found = _STATISTICS.search(plan)
    if found is None or found[2] == "EiB":  # what Spark says of a source that it knows nothing about
        return Size()
    return Size(rows=int(float(found[3])) if found[3] else None, bytes=int(float(found[1]) * _UNITS[found[2]]))
