"""Work that is done twice: the same rows by the same keys, the same steps over the same files."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence

from sqlglot import exp

from penstock.amounts import size
from penstock.figures import Figure, exact, total
from penstock.findings.finding import Finding, Look, keys_of, matters
from penstock.findings.source_lines import words_of
from penstock.forecasts.outline import PLAIN
from penstock.trees.lineage import called, origin, scans, shape, under
from penstock.trees.tree import Aggregate, Exchange, Explode, Filter, Join, Node, Project, Scan, Window

__all__ = ["done_twice", "shuffled_twice"]

#: What is worth keeping: where rows meet or become many, and text, which is parsed anew.
WORK = (Aggregate, Window, Join, Explode)
TEXT = ("csv", "tsv", "json", "log")


def done_twice(look: Look) -> Iterator[Finding]:
    """PEN208: the same steps over the same files at two places."""
    for nodes in twice(look):
        node = nodes[0]
        cost = _cost(look, node)
        if not matters(cost):
            continue
        names = ", ".join(dict.fromkeys(scan.source.name for scan in scans(node)))
        label = look.label(node)
        verb = "are" if "," in names else "is"
        what = (
            f"{verb} read and parsed" if isinstance(node, Scan) else f"{verb} worked on by {label.name or 'the plan'}"
        )
        fixes = ["@job.step(keep=True)"] if label.step else []
        if all(_is_inside(look, each) for each in nodes):  # what a query names twice
            fixes.append(f'part = ps.materialize(ps.query("…", t={look.subject(node)}))')
        else:
            fixes.append(f"{_target(look, node)} = ps.materialize({_target(look, node)})")
        yield look.finding(
            "PEN208",
            node,
            f"{names} {what} {_times(nodes)}: each time {size(cost.mid)} are read and moved",
            fixes,
            cost.times(len(nodes) - 1),
        )


def twice(look: Look) -> list[list[Node]]:
    """The largest pieces of work that are done more than once."""
    done: dict[str, list[Node]] = defaultdict(list)
    for node in look.nodes:
        if isinstance(node, WORK) or (isinstance(node, Scan) and node.source.format in TEXT):
            done[shape(node)].append(node)
    found = [nodes for nodes in done.values() if len(nodes) > 1 and not _is_of_one_pattern(look, nodes)]
    covered = {id(below) for nodes in found for node in nodes for below in under(node) if below is not node}
    return [nodes for nodes in found if any(id(node) not in covered for node in nodes)]


def _is_of_one_pattern(look: Look, nodes: list[Node]) -> bool:
    """Whether a pattern does the work twice by itself: that is its plan, and nothing that a user can change."""
    labels = {look.label(node) for node in nodes}
    return len(labels) == 1 and next(iter(labels)).name not in PLAIN and all(_is_inside(look, node) for node in nodes)


def _is_inside(look: Look, node: Node) -> bool:
    """Whether what stands above is of the same call."""
    label = look.label(node)
    above = next((each for each in look.above(node) if getattr(each, "label", None) is not None), None)
    return above is not None and look.label(above) == label


def _times(nodes: Sequence[Node]) -> str:
    return "twice" if len(nodes) == 2 else f"{len(nodes)} times"


def _target(look: Look, node: Node) -> str:
    label = look.label(node)
    return words_of(label.place, label.name).target or "t"


def _cost(look: Look, node: Node) -> Figure:
    """What is read and moved for a node."""
    moved = [look.forecast.crossing(each).bytes for each in under(node) if isinstance(each, Exchange)]
    return total([exact(sum(map(bytes_read, scans(node)))), *moved])


def bytes_read(scan: Scan) -> int:
    """The bytes of a scan: of Parquet those of its columns, about; of text all."""
    source = scan.source
    there = source.bytes or 0
    if source.format in TEXT or not source.columns:
        return there
    return int(there * len(scan.columns) / len(source.columns))


# -- shuffles ---------------------------------------------------------------------------------------------------------


def shuffled_twice(look: Look) -> Iterator[Finding]:
    """PEN204: rows of the same files that cross by the same keys for two operators."""
    again = {id(below) for nodes in twice(look) for node in nodes for below in under(node)}
    known: dict[tuple[str, frozenset[str]], list[Exchange]] = defaultdict(list)
    for exchange in look.of(Exchange):
        rows = _rows_of(exchange)
        if rows is not None and exchange.kind == "hash" and not exchange.reused and id(exchange) not in again:
            known[rows].append(exchange)
    for exchanges in known.values():
        if len(exchanges) < 2:
            continue
        exchanges.sort(key=look.moved)
        saved = total(look.forecast.crossing(each).bytes for each in exchanges[:-1])
        if not matters(saved):
            continue
        least = exchanges[0]
        name = scans(least)[0].source.name
        yield look.finding(
            "PEN204",
            look.operator(least),
            f"rows of {name} cross by {keys_of(least)} {_times(exchanges)}, {size(saved.mid)} more than once would be: "
            "their columns or filters differ, so Spark uses no shuffle again",
            [_together(look, exchanges)],
            saved,
        )


def _rows_of(exchange: Exchange) -> tuple[str, frozenset[str]] | None:
    """The files whose rows cross, with nothing but filters and computed columns below, and the keys in them."""
    at: Node = exchange.child
    while isinstance(at, (Project, Filter)):
        at = at.child
    keys = [origin(exchange.child, key.name) if isinstance(key, exp.Column) else None for key in exchange.keys]
    if not isinstance(at, Scan) or not keys or None in keys:
        return None
    return repr(at.source), frozenset(found[0].names[found[1]] for found in keys if found)


def _together(look: Look, exchanges: list[Exchange]) -> str:
    """One statement in place of several, so that the rows cross once."""
    operators = [look.operator(each) for each in exchanges]
    subject = look.subject(operators[0])
    keys = [called(key, exchanges[0]) for key in exchanges[0].keys]
    by = json.dumps(keys if len(keys) > 1 else keys[0])
    if all(isinstance(each, Aggregate) for each in operators):
        return f'ps.aggregate({subject}, {by}, one="…", other="… FILTER (WHERE …)")'
    if all(isinstance(each, Join) for each in operators) and len({id(each) for each in operators}) == len(operators):
        return f"ps.join(ps.join({subject}, …, on={by}), …, on={by})"
    return f'ps.query("SELECT *, … OVER (PARTITION BY {", ".join(keys)}) FROM t", t={subject})'
