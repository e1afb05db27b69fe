"""Window functions: each set of rows that they look around in is a node below what is selected."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from penstock.queries.lists import GENERATORS
from penstock.queries.names import UnreadableError
from penstock.queries.selected import Selected
from penstock.trees.spelled import types_of
from penstock.trees.tree import Node, Project, Window, attribute, column, display, references

__all__ = ["named_windows", "windowed"]


def named_windows(select: exp.Expr) -> exp.Expr:
    """The query with `OVER name` put out, as WINDOW says."""
    known = {each.name.casefold(): each for each in select.args.get("windows") or ()}
    if not known:
        return select

    def change(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.Window) and node.args.get("alias"):
            of = known.get(node.alias.casefold())
            if of is None or node.args.get("partition_by"):
                raise UnreadableError(f"the window {node.alias}")
            for name in ("partition_by", "order", "spec"):
                value = node.args.get(name) or of.args.get(name)
                node.set(name, [each.copy() for each in value] if isinstance(value, list) else value and value.copy())
            node.set("alias", None)
        return node

    found = select.copy().transform(change, copy=False)
    found.set("windows", None)
    return found


def windowed(node: Node, chosen: Selected) -> Node:
    """The windows that are asked for, those of one partition and order together; the first innermost.

    What is selected besides is computed below them: Spark knows of no renamed column that its windows lie by it.
    """
    together: dict[tuple[exp.Expr, ...], dict[str, exp.Expr]] = {}
    places: dict[exp.Expr, str] = {}
    for part in chosen.parts():
        for window in _outermost(part):
            if window not in places:
                places[window] = attribute("window")
                together.setdefault(_frame(window), {})[places[window]] = window
    if not places:
        return node
    node = _computed_below(node, chosen)
    for made in together.values():
        by = next(iter(made.values())).args.get("partition_by") or ()
        node = Window(node, tuple(by), made, node.columns | types_of(made, node.columns))
    chosen.replace(places)
    return node


def _computed_below(node: Node, chosen: Selected) -> Node:
    made: dict[str, exp.Expr] = {}
    items = []
    for name, each in chosen.items:
        named = isinstance(each, exp.Column) and display(each.name).casefold() == name.casefold()
        if not named and not each.find(exp.Window, *GENERATORS) and not references(each) & chosen.beside.keys():
            place = attribute(name)
            made[place] = each
            each = column(place)
        items.append((name, each))
    chosen.items = items
    if not made:
        return node
    everything: dict[str, exp.Expr] = {name: column(name) for name in node.columns}
    return Project(node, everything | made, node.columns | types_of(made, node.columns))


def _outermost(part: exp.Expr) -> Sequence[exp.Window]:
    windows = list(part.find_all(exp.Window))
    for window in windows:
        if next(window.this.find_all(exp.Window), None):
            raise UnreadableError("a window function of a window function")
    return windows


def _frame(window: exp.Window) -> tuple[exp.Expr, ...]:
    by, order = window.args.get("partition_by") or (), window.args.get("order")
    return (exp.Tuple(expressions=[each.copy() for each in by]), order or exp.Null())
