"""A finding: what in a plan costs more than it needs to, and what to do; and trees as the rules look at them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from sqlglot import exp

from penstock.figures import UNKNOWN, Figure
from penstock.findings.source_lines import words_of
from penstock.forecasts.forecast import Forecast
from penstock.forecasts.outline import Outline
from penstock.trees.lineage import called, under
from penstock.trees.tree import Exchange, Filter, Label, Node, Project, Scan

__all__ = ["MATTERS", "Finding", "Look", "brief", "keys_of", "matters"]

#: Bytes that are worth a word: what adaptive execution gives to one task.
MATTERS = 64 << 20
#: Calls whose operators are what the user asked for in so many words.
WRITTEN = ("", "aggregate", "count_distinct", "derive", "distinct", "join", "query", "sort", "where")
#: Characters of a key or a value that are shown.
BRIEF = 40


class Finding(NamedTuple):
    """A common mistake in a plan."""

    code: str
    """What `penstock explain` knows it by."""
    what: str
    """One sentence with the figures."""
    help: tuple[str, ...]
    """What to do: one or two fixes, as they are typed."""
    place: str = ""
    """The user's file and line."""
    step: str = ""
    """Of a job, or of the plan."""
    cost: Figure = UNKNOWN
    """Bytes that it costs, or would save."""
    call: str = ""
    """The function that was called there."""
    argument: str = ""
    """Which argument of the call is to blame, or a text within it."""

    def to_json(self) -> dict[str, Any]:
        """As it stands in reports."""
        return self._asdict() | {"help": list(self.help), "cost": self.cost.to_json()}


class Look:
    """Trees with what is known of their nodes."""

    def __init__(self, roots: Sequence[Node], forecast: Forecast) -> None:
        self.roots, self.forecast = tuple(roots), forecast
        found = {id(node): node for root in self.roots for node in under(root)}
        self.nodes = tuple(found.values())
        """Each once, in the order of the work."""
        self.parents = {id(child): node for node in self.nodes for child in _below(node)}

    def of(self, *kinds: type) -> Iterator[Any]:
        """The nodes of some types, in the order of the work."""
        return (node for node in self.nodes if isinstance(node, kinds))

    def above(self, node: Node) -> Iterator[Node]:
        """What stands above a node, the nearest first."""
        while (found := self.parents.get(id(node))) is not None:
            yield found
            node = found

    def label(self, node: Node) -> Label:
        """The user's call that a node comes from."""
        for each in (node, *self.above(node)):
            if (found := _own(each)) is not None:
                return found
        below = [_own(each) for each in under(node) if not isinstance(each, Scan)]
        return next((found for found in reversed(below) if found is not None), Label("", ""))

    def is_written(self, node: Node) -> bool:
        """Whether the user wrote what a node does, not a pattern of ours."""
        return self.label(node).name in WRITTEN

    def asked(self, scan: Scan) -> list[exp.Expr]:
        """The conditions that stand right above a scan."""
        for each in self.above(scan):
            if isinstance(each, Filter):
                return list(each.conditions)
            if not isinstance(each, Project):
                break
        return []

    def rows(self, node: Node) -> float:
        """How many rows leave a node; 0 where that is not known."""
        return self.forecast.flows.rows(node).mid or 0.0

    def moved(self, exchange: Exchange) -> float:
        """The bytes that cross; 0 where they are not known."""
        return self.forecast.crossing(exchange).bytes.mid or 0.0

    def subject(self, node: Node, position: int = 0) -> str:
        """What the user calls the table that the call is given, or `t`."""
        label = self.label(node)
        return words_of(label.place, label.name).table(position) or "t"

    def finding(
        self, code: str, node: Node, what: str, help: Sequence[str], cost: Figure = UNKNOWN, argument: str = ""
    ) -> Finding:
        """A finding about a node."""
        label = self.label(node)
        return Finding(code, what, tuple(help), label.place, label.step or self._step(node), cost, label.name, argument)

    def operator(self, exchange: Exchange) -> Node:
        """The operator that an exchange is for; of a shuffle that was asked for, the exchange."""
        kind = type(exchange.why)
        return next((each for each in self.above(exchange) if isinstance(each, kind)), exchange)

    def _step(self, node: Node) -> str:
        """What the plan calls the step."""
        at = self.operator(node) if isinstance(node, Exchange) else node
        steps = list(Outline(self.forecast).own(at, self.asked(at) if isinstance(at, Scan) else ()))
        return steps[-1].name if steps else ""


def _own(node: Node) -> Label | None:
    found: Label | None = getattr(node.why if isinstance(node, Exchange) else node, "label", None)
    return found


def _below(node: Node) -> list[Node]:
    inner = [each.node for each in node.beside.values()] if isinstance(node, Filter) else []
    return [*node.children, *inner]


def keys_of(exchange: Exchange) -> str:
    """The keys of an exchange as a person writes them."""
    return ", ".join(brief(called(key, exchange)) for key in exchange.keys)


def brief(text: str) -> str:
    """A key or a value, cut where it is long.

    >>> brief("a" * 50)
    'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa…'
    """
    return text if len(text) <= BRIEF else f"{text[: BRIEF - 1]}…"


def matters(figure: Figure) -> bool:
    """Whether so many bytes are worth a word; what is not known is not."""
    return figure.mid is not None and figure.mid >= MATTERS
