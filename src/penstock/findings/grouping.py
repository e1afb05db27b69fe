"""Groups: lists that are collected only to be added up, distinct values that are counted exactly."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from sqlglot import exp

from penstock.amounts import size
from penstock.figures import Figure
from penstock.findings.finding import Finding, Look, keys_of, matters
from penstock.trees.lineage import called
from penstock.trees.tree import Aggregate, Exchange, Node, Project, Union, expressions

__all__ = ["collected", "counted_exactly"]

#: Functions that make one value of a list, and the aggregate that makes the same of the rows.
OF_LISTS: Mapping[str, str] = {
    "arraysize": "count(*)", "cardinality": "count(*)", "size": "count(*)", "list_count": "count({0})",
    "arraymax": "max({0})", "arraymin": "min({0})", "list_sum": "sum({0})", "list_avg": "avg({0})",
    "arraysum": "sum({0})", "arraycontains": "bool_or({0} = …)", "list_unique": "count(DISTINCT {0})",
    "bracket": "arg_min({0}, …)", "elementat": "arg_min({0}, …)", "reduce": "sum({0})",
}  # fmt: skip
#: Functions that make another list of a list.
STILL_LISTS = (exp.ArraySort, exp.ArrayFilter, exp.Transform, exp.ArrayDistinct, exp.Paren)
#: A sketch of 2 %: 4,096 registers of 6 bits, ten to a word of 8 bytes.
ERROR, SKETCH = 0.02, math.ceil(4096 / 10) * 8
#: How much larger the values have to be than their sketches.
TIMES = 10


def collected(look: Look) -> Iterator[Finding]:
    """PEN201: a group whose lists are only counted, added up or searched."""
    for node in look.of(Aggregate):
        exchange = _exchange(node)
        lists = {name: each for name, each in node.made.items() if each.find(exp.ArrayAgg)}
        if (
            exchange is None
            or not lists
            or not look.is_written(node)
            or not matters(look.forecast.crossing(exchange).bytes)
        ):
            continue
        uses = {name: _uses(look, node, name) for name in lists}
        if not all(uses.values()):
            continue
        moved = look.forecast.crossing(exchange).bytes
        asked = [
            OF_LISTS[use].format(called(next(lists[name].find_all(exp.ArrayAgg)).this, node.child))
            for name, found in uses.items() for use in sorted(found)
        ]  # fmt: skip
        wanted = ", ".join(f'{_named(text)}="{text}"' for text in dict.fromkeys(asked))
        keys = ", ".join(f'"{called(key, node.child)}"' for key in node.keys.values()) or "()"
        by = f"[{keys}]" if len(node.keys) > 1 else keys
        yield look.finding(
            "PEN201",
            node,
            f"lists of each group cross whole, {size(moved.mid)}, only to be made one value each: "
            f"{', '.join(dict.fromkeys(asked))} would be combined before anything moves",
            [f"ps.aggregate({look.subject(node)}, {by}, {wanted})"],
            moved,
            argument="list(",
        )


def _uses(look: Look, node: Node, name: str) -> set[str]:
    """The functions that make one value of a list; none if it is used in any other way, or is in the result."""
    names, found = {name}, set()
    for above in look.above(node):
        if isinstance(above, Union):
            return set()
        renamed = set()
        made = list(above.made.items()) if isinstance(above, Project) else [("", each) for each in expressions(above)]
        for new, each in made:
            for column in each.find_all(exp.Column):
                if column.name not in names:
                    continue
                use = _use(column)
                if use is None:
                    return set()
                if use == "list":
                    if not new:
                        return set()
                    renamed.add(new)
                elif use:
                    found.add(use)
        names = renamed if isinstance(above, (Project, Aggregate)) else names
    return set() if any(names & set(root.columns) for root in look.roots) else found


def _use(column: exp.Expr) -> str | None:
    """What becomes of a list: another "list", one value by a function of a name, "" for a test on null, else None."""
    at = column
    while isinstance(at.parent, STILL_LISTS) and at.parent.this is at:
        at = at.parent
    above = at.parent
    if above is None or isinstance(above, exp.Alias):
        return "list"
    if isinstance(above, exp.Is):
        return ""
    name = above.name.lower() if isinstance(above, exp.Anonymous) else type(above).__name__.lower()
    first = above.expressions[0] if isinstance(above, exp.Anonymous) else above.this
    return name if name in OF_LISTS and first is at else None


def _named(text: str) -> str:
    """A name for an aggregate in an example."""
    function = text.partition("(")[0]
    return {"count": "n", "sum": "total", "avg": "mean", "arg_min": "first", "bool_or": "has"}.get(function, function)


def _exchange(node: Aggregate) -> Exchange | None:
    """The exchange right below a group."""
    return node.child if isinstance(node.child, Exchange) and not node.child.reused else None


# -- distinct values --------------------------------------------------------------------------------------------------


def counted_exactly(look: Look) -> Iterator[Finding]:
    """PEN213: distinct values that cross to be counted, where sketches of them would be a tenth or less."""
    for node in look.of(Aggregate):
        exact = _exact(node)
        distinct = [found for each in node.made.values() for found in each.find_all(exp.Distinct)]
        if exact is None or not distinct or not all(isinstance(each.parent, exp.Count) for each in distinct):
            continue
        moved = look.forecast.crossing(exact).bytes
        keys = tuple(node.keys.values())
        groups = look.forecast.flows.distinct(exact.child, keys).in_tasks
        if not matters(moved) or groups.mid is None or groups.mid * SKETCH * TIMES > (moved.mid or 0.0):
            continue
        sketches = groups.times(SKETCH, "model")
        values = [called(each, exact.child) for each in distinct[0].expressions]
        by = [called(key, exact.child) for key in keys]
        given = f", by={by[0]!r}" if len(by) == 1 else f", by={by!r}" if by else ""
        subject, counted = look.subject(node), ", ".join(f'"{value}"' for value in values)
        yield look.finding(
            "PEN213",
            node,
            f"to count {keys_of(exact) if not by else ', '.join(values)} exactly, each distinct value crosses: "
            f"{size(moved.mid)}; sketches within 2 % would be {size(sketches.mid)}",
            [f"ps.count_distinct({subject}, {counted}{given}, error={ERROR})".replace("'", '"')],
            Figure(moved.low, (moved.mid or 0.0) - (sketches.mid or 0.0), moved.high, "sample"),
            argument=values[0],
        )


def _exact(node: Aggregate) -> Exchange | None:
    """The exchange of the distinct values, below that of the groups."""
    at = node.child
    while isinstance(at, Exchange):
        if not at.reused and len(at.keys) > len(node.keys):
            return at
        at = at.child
    return None
