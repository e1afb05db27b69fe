"""What statements moved, as their engine measured it, in that engine's own unit.

Spark's bytes are rows that crossed a shuffle, serialised and compressed. DuckDB's are vectors in memory, where a text
counts 16 bytes, and its letters only where they were copied. The two are never compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Literal, NamedTuple

__all__ = ["Measured", "Measures", "Side", "Told", "measured_in", "measuring", "together", "unmeasured", "wanted"]

Kind = Literal["wide", "broadcast", "scan", "other"]


class Side(NamedTuple):
    """What came to a join from one side."""

    rows: int | None
    bytes: int | None


class Measured(NamedTuple):
    """An operator that ran. What its engine does not tell is None."""

    operator: str
    """The engine's own name: HASH_GROUP_BY, Exchange."""
    kind: Kind
    keys: tuple[str, ...] = ()
    """Columns, or expressions; "?" is one that the engine does not name. Spark Connect names none."""
    rows: int | None = None
    """Those that moved: of a group by what was left when rows were combined first, of a join in DuckDB those that it
    put into its table. Of a scan those that it gave, of anything else those that came out."""
    bytes: int | None = None
    """What those rows took: on Spark written to the shuffle, or held by each executor after a broadcast. Of a scan,
    what it read of its files."""
    out: int | None = None
    """The rows that came out of what they met for."""
    feeds: str = ""
    """What an exchange of Spark is for: HashAggregate, SortMergeJoin, Window."""
    sides: tuple[Side, ...] = ()
    """Of a join in DuckDB. On Spark each side is an exchange of its own."""
    seconds: float | None = None
    """Of all threads: in the operator (DuckDB), in the stage that read the shuffle (Spark: two sides share one)."""
    spilled: int | None = None
    """To disk, in that stage."""
    tasks: int | None = None
    """That read the shuffle."""
    largest_bytes: int | None = None
    """What the task read that read most."""
    median_bytes: int | None = None


class Told(NamedTuple):
    """What an engine tells of one statement."""

    operators: tuple[Measured, ...] = ()
    read_bytes: int | None = 0
    spilled_bytes: int | None = 0
    peak_bytes: int | None = 0
    seconds: float | None = 0.0
    whole: bool = True
    """Whether these are all its operators."""


class Measures:
    """The statements of a block. A total is None as long as one of them is not told: it failed, it streams still, or
    the engine does not say."""

    def __init__(self, statements: Iterable[Told | None] = ()) -> None:
        self.statements = list(statements)

    def begin(self) -> int:
        """A statement runs; the number to tell of it under."""
        self.statements.append(None)
        return len(self.statements) - 1

    def tell(self, number: int, told: Told) -> None:
        """What a statement did that had begun."""
        self.statements[number] = told

    @property
    def operators(self) -> tuple[Measured, ...]:
        """Those of all statements that are told, in the order of the work: what is read first stands first."""
        return tuple(operator for told in self.statements if told for operator in told.operators)

    @property
    def moved_bytes(self) -> int | None:
        """Of all wide operators."""
        return self._total([operator.bytes for operator in self.operators if operator.kind == "wide"])

    @property
    def read_rows(self) -> int | None:
        """Of all scans."""
        return self._total([operator.rows for operator in self.operators if operator.kind == "scan"])

    @property
    def read_bytes(self) -> int | None:
        """Read of files and of kept rows."""
        return self._total([told.read_bytes for told in self.statements if told])

    @property
    def spilled_bytes(self) -> int | None:
        """Written to disk for want of memory."""
        return self._total([told.spilled_bytes for told in self.statements if told])

    @property
    def peak_bytes(self) -> int | None:
        """The most memory at any time: of all of DuckDB, of Spark's largest task."""
        peaks = [told.peak_bytes if told else None for told in self.statements]
        known = [peak for peak in peaks if peak is not None]
        return max(known, default=0) if len(known) == len(peaks) else None

    @property
    def seconds(self) -> float | None:
        """The time of all threads together."""
        known = [told.seconds for told in self.statements if told and told.seconds is not None]
        return sum(known) if len(known) == len(self.statements) else None

    def to_json(self) -> dict[str, Any]:
        """As it stands in a run's record: the operators that moved rows, and the totals."""
        moved = [operator for operator in self.operators if operator.kind in ("wide", "broadcast")]
        return {
            "operators": [_plain(operator) for operator in moved],
            "moved_bytes": self.moved_bytes,
            "read_rows": self.read_rows,
            "read_bytes": self.read_bytes,
            "spilled_bytes": self.spilled_bytes,
            "peak_bytes": self.peak_bytes,
            "seconds": None if self.seconds is None else round(self.seconds, 3),
        }

    def _total(self, parts: Sequence[int | None]) -> int | None:
        known = [part for part in parts if part is not None]
        whole = all(told and told.whole for told in self.statements)
        return sum(known) if len(known) == len(parts) and whole else None


def together(parts: Iterable[Measures]) -> Measures:
    """Several blocks as one."""
    return Measures(told for part in parts for told in part.statements)


def _plain(operator: Measured) -> dict[str, Any]:
    """What is known of an operator, as JSON has it."""
    plain = operator._asdict() | {
        "keys": list(operator.keys),
        "sides": [side._asdict() for side in operator.sides],
        "seconds": None if operator.seconds is None else round(operator.seconds, 3),
    }
    return {name: value for name, value in plain.items() if name in _ALWAYS or value not in (None, "", [])}


def measured_in(record: Mapping[str, Any]) -> list[Measured]:
    """The operators that stand in a run's record."""
    return [
        Measured(
            **operator | {"keys": tuple(operator["keys"]), "sides": tuple(Side(**s) for s in operator.get("sides", ()))}
        )
        for operator in record["operators"]
    ]


_ALWAYS = ("operator", "kind", "keys", "rows", "bytes")

# Which blocks are open in this thread, each with the connection or session whose statements it is about.
_open: ContextVar[tuple[tuple[Any, Measures], ...]] = ContextVar("blocks that measure", default=())


@contextmanager
def measuring(owner: Any) -> Iterator[Measures]:
    """A block that measures what a connection or session runs in this thread."""
    measures = Measures()
    before = _open.set((*_open.get(), (owner, measures)))
    try:
        yield measures
    finally:
        _open.reset(before)


@contextmanager
def unmeasured() -> Iterator[None]:
    """A question that an engine asks for its own sake is no statement of the block."""
    before = _open.set(())
    try:
        yield
    finally:
        _open.reset(before)


def wanted(owner: Any) -> list[Measures]:
    """The blocks that are open in this thread for a connection or session."""
    return [measures for known, measures in _open.get() if known is owner]
