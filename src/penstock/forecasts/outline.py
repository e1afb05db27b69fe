"""The steps of a plan, told from a tree with its exchanges: what a person would say of it, in the order of the work."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlglot import exp

from penstock.figures import NOTHING, Figure, exact, total
from penstock.forecasts.forecast import Crossing, Forecast
from penstock.forecasts.scans import Scan as Scanned
from penstock.forecasts.scans import conditions_of, kept_paths, scanned
from penstock.forecasts.sources import Source
from penstock.forecasts.steps import Kind, Step
from penstock.trees.lineage import called, is_presence, origin
from penstock.trees.tree import (
    Aggregate,
    Exchange,
    Explode,
    Filter,
    Join,
    Label,
    Limit,
    Node,
    Project,
    Scan,
    Shuffle,
    Sort,
    Union,
    Values,
    Window,
    both,
)

__all__ = ["Outline"]

#: Functions whose steps are called by what they do, which says more: "group by country".
PLAIN = ("aggregate", "distinct", "join", "query", "sort", "top")


class Outline:
    """Tells trees; what is in two of them is told once."""

    def __init__(self, forecast: Forecast) -> None:
        self.forecast = forecast
        self.told: dict[int, Node] = {}

    def steps(self, node: Node) -> list[Step]:
        """The steps of a tree. Of a pattern, what it does with each row is not told beside what it moves."""
        found = list(self.of(node))
        moving = {(step.pattern, step.place) for step in found if step.kind != "narrow" and step.pattern not in PLAIN}
        return [s for s in found if s.kind != "narrow" or s.scan or (s.pattern, s.place) not in moving]

    def of(self, node: Node, above: Sequence[exp.Expr] = ()) -> Iterator[Step]:
        """The steps below a node and its own; `above` are the conditions that stand right above it."""
        if id(node) in self.told:
            return
        self.told[id(node)] = node
        if isinstance(node, Exchange) and node.reused:
            return
        if isinstance(node, Scan) and node.source.kept is not None:  # the stage that keeps it tells of that
            return
        if isinstance(node, Filter):
            for inner in node.beside.values():
                yield from self.of(inner.node)
        conditions = node.conditions if isinstance(node, Filter) else above if isinstance(node, Project) else ()
        for child in node.children:
            yield from self.of(child, conditions)
        yield from self.own(node, above)

    def own(self, node: Node, above: Sequence[exp.Expr]) -> Iterator[Step]:
        rows = self.forecast.flows.rows
        if isinstance(node, Scan):
            yield self.scan(node, above)
        elif isinstance(node, Values):
            yield Step("rows of the query", "narrow", (), rows(node), NOTHING, "values")
        elif isinstance(node, Filter):
            asked = [each for each in node.conditions if not is_presence(each)]
            if asked:
                yield self.step("filter", node, how=f"{len(asked)} condition{'s' * (len(asked) > 1)}")
        elif isinstance(node, Explode):
            yield self.step("explode", node, how="a row for each element")
        elif isinstance(node, Union):
            yield self.step("union", node)
        elif isinstance(node, Exchange):
            if not _is_told_above(node):
                yield self.crossed(node, node)
        elif isinstance(node, Join):
            yield self.join(node)
        elif isinstance(node, (Aggregate, Window, Sort, Limit)):
            found = [each for each in _exchanges(node) if not (isinstance(node, Sort) and each.kind == "single")]
            for exchange in found:
                yield self.crossed(node, exchange)
            if not found and isinstance(node, (Aggregate, Window)) and not _is_told_elsewhere(node):
                keys = node.keys.values() if isinstance(node, Aggregate) else node.by
                name = _name(node, [called(key, node) for key in keys])
                yield self.step(name, node, how="its rows lie together already")

    def step(self, name: str, node: Node, *, how: str = "") -> Step:
        label: Label | None = getattr(node, "label", None)
        return _of(label, Step(name, "narrow", (), self.forecast.flows.rows(node), NOTHING, how))

    def scan(self, node: Scan, conditions: Sequence[exp.Expr]) -> Step:
        source: Source = node.source
        scan: Scanned | None = None
        rows = self.forecast.flows.rows(node)
        if source.format == "parquet":
            paths = kept_paths(source, conditions, node.names)
            scan = scanned(source, paths, sorted(set(node.names.values())), conditions_of(conditions, node.names))
            rows = exact(scan.rows)
        name = source.name if source.table is not None else f"read {source.name}"
        return _of(node.label, Step(name, "narrow", (), rows, NOTHING, source.format or "rows", scan))

    def join(self, node: Join) -> Step:
        """A join is one step, whatever of its sides crosses for it."""
        found = list(_exchanges(node))
        pairs = both(node)
        keys = tuple(dict.fromkeys(called(ours, node) for ours, _ in pairs))
        name = f"{_HOW.get(node.how, '')}join"
        told = _told(node.label, [ours for ours, _ in pairs], node)
        if told or not pairs:
            name = f"{name} on {', '.join(told)}" if told else "cross join"
        if node.label and node.label.name not in PLAIN:
            name = f"{node.label.name}: {name}"
        kind, how = _meeting(found, bool(pairs))
        most = max(found, key=lambda each: _mid(self.forecast.largest(each)), default=None)
        step = Step(
            name, kind, keys, self.forecast.flows.rows(node),
            total(self.forecast.crossing(each).bytes for each in found), how,
            largest_bytes=self.forecast.largest(most) if most else NOTHING, even_bytes=self.even(most),
            memory_bytes=max((self.forecast.memory(each) for each in found), key=_mid, default=NOTHING),
        )  # fmt: skip
        return _of(node.label, step)

    def even(self, exchange: Exchange | None) -> float:
        """What would go to each partition if all were alike."""
        if exchange is None:
            return 0.0
        return _mid(self.forecast.crossing(exchange).bytes) / self.forecast.reducers(exchange)

    def crossed(self, node: Node, exchange: Exchange) -> Step:
        """A wide step for an exchange, and what is done where the rows have met."""
        crossing: Crossing = self.forecast.crossing(exchange)
        keys = tuple(called(key, exchange) for key in exchange.keys)
        label: Label | None = getattr(node.why if isinstance(node, Exchange) else node, "label", None)
        name = _name(node, keys)
        if label and label.name not in PLAIN:
            told = _told(label, exchange.keys, exchange)
            name = f"{label.name} by {', '.join(told)}" if told else label.name
        how = "combined before it moves" if exchange.combined else "every row moves"
        rows = self.forecast.flows.rows(node) if exchange is _last(node) else self.met(exchange)
        step = Step(
            name, "wide", keys, rows, crossing.bytes, how, moved_rows=crossing.rows,
            largest_bytes=self.forecast.largest(exchange), even_bytes=self.even(exchange),
            memory_bytes=self.forecast.memory(exchange),
        )  # fmt: skip
        return _of(label, step)

    def met(self, exchange: Exchange) -> Figure:
        """The rows after an exchange that is not an operator's last: where they were combined, they are again."""
        flows = self.forecast.flows
        return flows.distinct(exchange.child, exchange.keys).total if exchange.combined else flows.rows(exchange)


def _of(label: Label | None, step: Step) -> Step:
    """A step, with the call that it comes from."""
    return step if label is None else step._replace(pattern=label.name, place=label.place, step=label.step)


def _meeting(crossing: Sequence[Exchange], has_keys: bool) -> tuple[Kind, str]:
    """How the sides of a join come together, in a word and in words."""
    if any(each.kind == "broadcast" for each in crossing):
        return "broadcast", "the small side goes to every worker"
    if not has_keys:
        return "wide", "every row of one side with every row of the other"
    if not crossing:
        return "narrow", "both sides lie by their keys already"
    if len(crossing) == 1:
        return "wide", "one side by its key, the other lies so already"
    return "wide", "both sides by their keys"


_HOW = {"left": "left ", "right": "right ", "full": "full ", "semi": "semi ", "anti": "anti "}


def _mid(figure: Figure) -> float:
    return figure.mid or 0.0


def _is_told_above(node: Exchange) -> bool:
    """Whether an exchange belongs to the step of the operator that needs it."""
    return not isinstance(node.why, Shuffle)


def _is_told_elsewhere(node: Node) -> bool:
    """Whether the rows that an operator meets have crossed for the same before."""
    return any(isinstance(child, Exchange) and child.reused for child in node.children)


def _exchanges(node: Node) -> Iterator[Exchange]:
    """The exchanges right below an operator, the lowest first."""
    for child in node.children:
        chain = []
        at = child
        while isinstance(at, (Exchange, Project)) or (isinstance(at, Sort) and isinstance(node, Limit)):
            if isinstance(at, Exchange):
                if at.reused or isinstance(at.why, Shuffle):
                    break
                chain.append(at)
            elif isinstance(at, Project) and chain:
                break
            at = at.children[0]
        yield from reversed(chain)


def _last(node: Node) -> Exchange | None:
    found = list(_exchanges(node))
    return found[-1] if found else node if isinstance(node, Exchange) else None


def _name(node: Node, keys: Sequence[str]) -> str:
    listed = ", ".join(keys)
    if isinstance(node, Aggregate):
        if not keys:
            return "aggregate all"
        return f"{'group by' if node.made else 'distinct'} {listed}"
    if isinstance(node, Window):
        return f"window by {listed}" if keys else "window over all"
    if isinstance(node, Limit):
        return f"top {node.n} by {listed}" if keys else f"first {node.n}"
    return f"sort by {listed}" if isinstance(node, Sort) else f"shuffle by {listed}" if keys else "shuffle evenly"


def _told(label: Label | None, keys: Sequence[exp.Expr], node: Node) -> list[str]:
    """The keys that a step is called by: a pattern's own columns say nothing to whoever called it."""
    named = label is None or label.name in PLAIN
    told = [called(key, node) for key in keys if named or _is_read(node, key)]
    return list(dict.fromkeys(told))


def _is_read(node: Node, key: exp.Expr) -> bool:
    bare = key.this if isinstance(key, exp.Ordered) else key
    return isinstance(bare, exp.Column) and origin(node, bare.name) is not None
