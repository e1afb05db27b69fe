"""What a bench has to say: the numbers as JSON, and the same as a table."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from statistics import median
from typing import Any

from rich.box import SIMPLE
from rich.console import Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from bench.harness import Outcome
from bench.peers import Contender

__all__ = ["measures", "setting", "table"]

PACKAGES = ("penstock", "duckdb", "pyspark", "polars", "chdb", "datafusion", "pyarrow")


def measures(outcome: Outcome, contenders: dict[str, Contender]) -> dict[str, dict[str, Any]]:
    """By contender: seconds, the ratio to Penstock on the same engine (2 is twice Penstock's time), memory, bytes."""
    medians = {name: median(reply["seconds"] for reply in replies) for name, replies in outcome.replies.items()}
    ours = {contenders[name].engine: took for name, took in medians.items() if name.startswith("penstock-")}
    return {
        name: {
            "engine": contenders[name].engine,
            "seconds": [reply["seconds"] for reply in replies],
            "median": medians[name],
            "ratio": medians[name] / ours[contenders[name].engine] if contenders[name].engine in ours else None,
            "rows": replies[-1]["rows"],
            "peak_bytes": replies[-1]["peak_bytes"],
            "moved_bytes": replies[-1]["moved_bytes"],
        }
        for name, replies in outcome.replies.items()
    }


def setting() -> dict[str, Any]:
    """The versions and the machine, without its name; `load` tells whether others were using it."""
    machine = {
        "cores": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": f"{platform.system()} {platform.machine()}",
        "load": os.getloadavg()[0],
    }
    return {"machine": machine, "versions": {"python": platform.python_version()} | dict(_versions())}


def table(report: dict[str, Any]) -> RenderableType:
    """Contenders in the order of their file, then who is missing and why, then where it ran."""
    title = f"{report['pattern']}, {report['rows']:,} rows, {report['rounds']} rounds"
    table = Table(Column("contender", no_wrap=True), title=title, box=SIMPLE, pad_edge=False)
    for heading in ("median s", "min - max", "ratio", "peak MB", "moved MB"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, of in report["contenders"].items():
        table.add_row(
            name,
            f"{of['median']:.3f}",
            f"{min(of['seconds']):.3f} - {max(of['seconds']):.3f}",
            f"{of['ratio']:.2f}" if of["ratio"] else "",
            f"{of['peak_bytes'] / 1e6:,.0f}" if of["peak_bytes"] else "",
            f"{of['moved_bytes'] / 1e6:,.1f}" if of["engine"] == "spark" else "",
        )
    machine, memory = report["machine"], report["machine"]["memory_bytes"] / 2**30
    lines = (
        *(f"{name}: {reason}" for name, reason in (report["left_out"] | report["failed"]).items()),
        "ratio: time over that of penstock on the same engine; above 1 penstock is faster",
        f"{machine['cores']} cores, {memory:.0f} GiB, {machine['system']}, load {machine['load']:.1f} at the start",
        ", ".join(f"{package} {number}" for package, number in report["versions"].items()),
    )
    return Group(table, *map(Text, lines))


def _versions() -> Iterator[tuple[str, str]]:
    for package in PACKAGES:
        with suppress(PackageNotFoundError):
            yield package, version(package)
