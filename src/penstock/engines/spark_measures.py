"""What the operators of a Spark plan measured: the plan after adaptive execution, with the metrics of its nodes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from penstock.engines.measures import Measured, Measures, Told

__all__ = [
    "DATA_SIZE", "ROWS", "WRITTEN_BYTES", "WRITTEN_RECORDS", "Graph", "Node", "Shuffle", "by_connect", "measured",
]  # fmt: skip

#: The names that metrics have here, those of Connect; the status store has words in their place.
WRITTEN_BYTES, WRITTEN_RECORDS, ROWS, DATA_SIZE = (
    "shuffleBytesWritten", "shuffleRecordsWritten", "numOutputRows", "dataSize",
)  # fmt: skip


class Node(NamedTuple):
    """An operator of a plan that ran."""

    name: str
    text: str
    """As `explain` prints it; empty over Connect."""
    metrics: Mapping[str, int]


class Graph(NamedTuple):
    """A plan: its nodes, and below which each stands. One that is used twice has two above it."""

    nodes: Mapping[int, Node]
    above: Mapping[int, list[int]]

    def below_first(self) -> Iterator[int]:
        """The nodes in the order of the work, each once."""
        below: dict[int, list[int]] = {number: [] for number in self.nodes}
        for number in sorted(self.above):
            for parent in self.above[number]:
                below.setdefault(parent, []).append(number)
        seen: set[int] = set()

        def visited(number: int) -> Iterator[int]:
            if number not in seen:
                seen.add(number)
                for child in below[number]:
                    yield from visited(child)
                yield number

        for number in self.nodes:
            if not self.above.get(number):
                yield from visited(number)
        for number in self.nodes:  # of a graph that goes in circles, since two nodes got one number
            yield from visited(number)

    def over(self, number: int) -> Iterator[Node]:
        """The nodes above one, from the nearest."""
        seen = {number}
        while parents := [parent for parent in self.above.get(number, []) if parent not in seen]:
            number = parents[0]
            seen.add(number)
            yield self.nodes[number]


class Shuffle(NamedTuple):
    """What the stages say of a shuffle that the plan's node does not, or only in rounded numbers."""

    bytes: int | None
    seconds: float | None = None
    spilled: int | None = None
    tasks: int | None = None
    largest_bytes: int | None = None
    median_bytes: int | None = None


def measured(graph: Graph, shuffle: Callable[[int, Node], Shuffle | None]) -> Iterator[Measured]:
    """The operators that say how many rows they had."""
    for number in graph.below_first():
        node = graph.nodes[number]
        rows = node.metrics.get(ROWS)
        if WRITTEN_BYTES in node.metrics:
            moved = shuffle(number, node)
            if moved or not _was_kept(graph, number):
                yield _exchange(graph, number, moved or Shuffle(0))
        elif "BroadcastExchange" in node.name:
            feeds, out = _purpose(graph, number, rows)
            yield Measured(node.name, "broadcast", (), rows, node.metrics.get(DATA_SIZE), out, feeds)
        elif rows is not None and not (rows == 0 and _was_kept(graph, number)):
            scans = number not in {parent for parents in graph.above.values() for parent in parents}
            kind = "scan" if scans or node.name == "InMemoryTableScan" else "other"
            yield Measured(node.name, kind, (), rows, None, rows)  # type: ignore[arg-type]


def _exchange(graph: Graph, number: int, moved: Shuffle) -> Measured:
    node = graph.nodes[number]
    rows, itself = node.metrics.get(WRITTEN_RECORDS), "Exchange" not in node.name
    feeds, out = ("", node.metrics.get(ROWS)) if itself else _purpose(graph, number, rows)
    return Measured(
        node.name, "wide", _keys(graph, node), rows, moved.bytes, out, feeds, (), moved.seconds, moved.spilled,
        moved.tasks, moved.largest_bytes, moved.median_bytes,
    )  # fmt: skip


def _was_kept(graph: Graph, number: int) -> bool:
    """Whether a node stands below rows that are kept: plans show how those were made, also where it was earlier."""
    return any(node.name == "InMemoryTableScan" for node in graph.over(number))


# What leaves the number of rows as it is.
_PASSES = re.compile(
    r"AQEShuffleRead|Sort|Project|InputAdapter|\w+QueryStage|WholeStageCodegen.*|ColumnarToRow|CollectMetrics|"
    r"BroadcastExchange"
)
_KEEPS = re.compile(r"Window|WriteFiles|Execute .*|Exchange")


def _purpose(graph: Graph, number: int, rows: int | None) -> tuple[str, int | None]:
    """What rows meet for, and how many come out of it."""
    feeds, above = "", list(graph.over(number))
    for place, node in enumerate(above):
        if node.name == "AdaptiveSparkPlan":
            break
        if node.name == "Sort":
            feeds = "Sort"
            if ", true, " in node.text:  # of all rows, not of each task's
                break
        if not _PASSES.fullmatch(node.name):
            return node.name, rows if _KEEPS.fullmatch(node.name) else _came_out(node, above[place + 1 :])
    return feeds, rows


def _came_out(node: Node, above: Sequence[Node]) -> int | None:
    """The rows that an operator gave. It counts them twice below an exchange by ranges, whose sample runs all of it."""
    exchange = next((place for place, other in enumerate(above) if WRITTEN_BYTES in other.metrics), None)
    if ROWS not in node.metrics or exchange is None or "Exchange" not in above[exchange].name:
        return node.metrics.get(ROWS)
    if all(_PASSES.fullmatch(other.name) for other in above[:exchange]):
        return above[exchange].metrics.get(WRITTEN_RECORDS)
    by_ranges = "rangepartitioning" in above[exchange].text or not above[exchange].text
    return None if by_ranges else node.metrics.get(ROWS)


# -- keys -------------------------------------------------------------------------------------------------------------

_NUMBER = re.compile(r"#\d+L?")
_DIRECTION = re.compile(r" (ASC|DESC)( NULLS (FIRST|LAST))?$")
_OWN_NAME = re.compile(r"_w\d+|_groupingexpression")
_EQUAL_FLOATS = re.compile(r"knownfloatingpointnormalized\(normalizenanandzero\((.*)\)\)")


def _keys(graph: Graph, node: Node) -> tuple[str, ...]:
    """The columns or expressions that an exchange is by, those too that Spark computed under a name of its own."""
    keys = keys_in(node.text)
    named = {f" AS {key}": place for place, key in enumerate(keys) if _OWN_NAME.fullmatch(key)}
    texts = (other.text.partition("[")[2] for other in graph.nodes.values() if other.name == "Project" and named)
    for term in (_NUMBER.sub("", term) for text in texts for term in _terms(text)):
        for ending, place in named.items():
            if term.endswith(ending):
                keys = (*keys[:place], term.removesuffix(ending), *keys[place + 1 :])
    return keys


def keys_in(text: str) -> tuple[str, ...]:
    """The columns that an exchange is by, without the numbers that Spark tells them apart by.

    >>> keys_in("Exchange hashpartitioning(country#7, cast(day#3 as date), 200), ENSURE_REQUIREMENTS, [plan_id=27]")
    ('country', 'cast(day as date)')
    >>> keys_in("TakeOrderedAndProject(limit=5, orderBy=[n#1L DESC NULLS LAST], output=[page#2,n#1L])")
    ('n',)
    """
    _, hashed, terms = text.partition("hashpartitioning(")
    if not hashed:
        _, ranged, terms = text.partition("rangepartitioning(")
        _, ordered, by = text.partition("orderBy=[")
        terms = terms if ranged else by if ordered else "]"
    known = [term for term in _terms(terms) if not term.isdecimal()]  # the last is the number of partitions
    return tuple(_EQUAL_FLOATS.sub(r"\1", _DIRECTION.sub("", _NUMBER.sub("", term))) for term in known)


def _terms(text: str) -> Iterator[str]:
    """What commas divide, up to the bracket that closes all; those within a term are its own."""
    depth = start = 0
    for place, letter in enumerate(text):
        depth += (letter in "([") - (letter in ")]")
        if depth < 0 or (depth == 0 and text.startswith(", ", place)):
            yield from filter(None, [text[start:place]])
            start = place + 2
        if depth < 0:
            break


# -- Connect ----------------------------------------------------------------------------------------------------------


@contextmanager
def by_connect(wanted: Sequence[Measures], frame: Any = None) -> Iterator[None]:
    """Measure the action that runs within on a frame of Connect, for the blocks that want to know.

    Connect says nothing of writing, nor of keeping rows: without a frame, the action is one that is not told.
    """
    numbers = [measures.begin() for measures in wanted]
    yield
    told = over_connect(frame.executionInfo) if numbers and frame is not None else None
    for measures, number in zip(wanted, numbers, strict=True):
        if told:
            measures.tell(number, told)


def over_connect(info: Any) -> Told | None:
    """What Connect says of a frame that ran: nothing of stages, of keys, and of how kept rows were made."""
    # By its own list: `extract_graph` loses nodes, since the numbers of query stages begin at 0 as those of others do.
    told = getattr(getattr(info, "metrics", None), "_metrics", None)
    if not told:
        return None
    nodes = {
        place: Node(one.name.strip(), "", {metric.name: int(metric.value) for metric in one.metrics})
        for place, one in enumerate(told)
    }
    graph = Graph(nodes, {place: _parents(told, place) for place in nodes})
    operators = tuple(measured(graph, lambda _, node: Shuffle(node.metrics[WRITTEN_BYTES])))
    whole = not any(node.name == "InMemoryTableScan" for node in nodes.values())
    return Told(operators, None, None, None, None, whole)


def _parents(told: Any, place: int) -> list[int]:
    """The node above one, by its number; of two with that number, a query stage stands over exchanges only."""
    one = told[place]
    found = [above for above, other in enumerate(told) if other.plan_id == one.parent_plan_id and above != place]
    staged = [above for above in found if told[above].name.endswith("QueryStage") == ("Exchange" in one.name)]
    return [] if one.parent_plan_id == one.plan_id else (staged or found)[:1]
