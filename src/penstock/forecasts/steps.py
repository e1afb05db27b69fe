"""The steps of a table, narrow and wide, in the order in which rows go through them."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from penstock.figures import NOTHING, UNKNOWN, Figure
from penstock.forecasts.scans import Scan

__all__ = ["Actual", "Kind", "Step"]

Kind = Literal["narrow", "wide", "broadcast"]


class Actual(NamedTuple):
    """What an engine measured of a step; None is what it does not tell."""

    bytes: int | None
    """That moved, in the engine's own unit."""
    rows: int | None
    """That moved."""
    out: int | None
    """That came out."""
    spilled: int | None = None
    largest_bytes: int | None = None
    """That one task read."""


class Step(NamedTuple):
    """Something that is done to all rows: each by itself (narrow), or where they have to meet (wide, broadcast)."""

    name: str
    kind: Kind
    keys: tuple[str, ...] = ()
    rows: Figure = UNKNOWN
    """How many rows come out."""
    moved_bytes: Figure = UNKNOWN
    """What crosses for it on a cluster: shuffle bytes as Spark writes them, or the side that goes to every worker."""
    how: str = ""
    """In words."""
    scan: Scan | None = None
    moved_rows: Figure = UNKNOWN
    """How many rows cross."""
    largest_bytes: Figure = UNKNOWN
    """What goes to one partition at most."""
    even_bytes: float = 0.0
    """What would go to each if all were alike."""
    memory_bytes: Figure = UNKNOWN
    """What the task holds that gets most of it; of a broadcast, every worker."""
    written_bytes: Figure = NOTHING
    """What it writes."""
    files: Figure = NOTHING
    """In how many files."""
    pattern: str = ""
    """The function that was called."""
    place: str = ""
    """The user's file and line."""
    step: str = ""
    """Of a job."""
    measured: Actual | None = None
    """After a run."""

    @property
    def skew(self) -> float | None:
        """How many times what it would be, were all alike, the largest partition is."""
        if self.moved_bytes.mid in (None, 0.0) or self.largest_bytes.mid is None or not self.even_bytes:
            return None
        return self.largest_bytes.mid / self.even_bytes

    def to_json(self) -> dict[str, Any]:
        """As it stands in reports."""
        figures = {name: value.to_json() for name, value in self._asdict().items() if isinstance(value, Figure)}
        more = {"keys": list(self.keys), "scan": self.scan._asdict() if self.scan else None, "skew": self.skew}
        told = {"measured": self.measured._asdict() if self.measured else None}
        return self._asdict() | figures | more | told
