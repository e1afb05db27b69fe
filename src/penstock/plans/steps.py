"""The steps of a table, narrow and wide, in the order in which rows go through them."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from penstock.plans.figures import UNKNOWN, Figure
from penstock.plans.scans import Scan

__all__ = ["Step"]

Kind = Literal["narrow", "wide", "broadcast"]


class Step(NamedTuple):
    """Something that is done to all rows: each by itself (narrow), or where they have to meet (wide, broadcast)."""

    name: str
    kind: Kind
    keys: tuple[str, ...] = ()
    rows: Figure = UNKNOWN
    """How many rows come out."""
    moved_bytes: Figure = UNKNOWN
    """What crosses a shuffle for it on Spark; on one machine, what is put in order or into a hash table anew."""
    how: str = ""
    """What the engine calls it."""
    scan: Scan | None = None

    def to_json(self) -> dict[str, Any]:
        """As it stands in reports."""
        found = self._asdict() | {"rows": self.rows.to_json(), "moved_bytes": self.moved_bytes.to_json()}
        return found | {"keys": list(self.keys), "scan": self.scan._asdict() if self.scan else None}
