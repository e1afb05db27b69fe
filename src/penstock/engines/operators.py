"""An engine's physical plan as a tree: what it says of each operator, under the names that it has there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

__all__ = ["Operator", "of_json", "of_text"]


class Operator(NamedTuple):
    """A node of a physical plan."""

    name: str
    """The engine's own: HASH_JOIN, SortMergeJoin."""
    info: Mapping[str, Any]
    """What the engine says of it; Spark's line is under "text"."""
    children: tuple[Operator, ...]

    def walk(self) -> Iterator[Operator]:
        """This one and all below it, from the top."""
        yield self
        for child in self.children:
            yield from child.walk()


def of_json(plan: Sequence[Mapping[str, Any]]) -> Operator:
    """DuckDB's `EXPLAIN (FORMAT json)`."""
    nodes = [
        Operator(node["name"].strip(), node.get("extra_info", {}), _children(node.get("children", []))) for node in plan
    ]
    return nodes[0] if len(nodes) == 1 else Operator("QUERY", {}, tuple(nodes))


def _children(nodes: Sequence[Mapping[str, Any]]) -> tuple[Operator, ...]:
    return tuple(of_json([node]) for node in nodes)


_LINE = re.compile(r"(?P<indent>[ :|]*(?:[+:]- )?)(?:\*?\(\d+\) |\* )?(?P<text>\w.*)")


def of_text(plan: str) -> Operator:
    """Spark's `explain()`: each operator on a line, three letters further in than the one above it.

    >>> tree = of_text("== Physical Plan ==\\nSort [a]\\n+- Exchange hash\\n   :- Scan x\\n   +- Scan y")
    >>> tree.name, [child.name for child in tree.children[0].children]
    ('Sort', ['Scan', 'Scan'])
    """
    stack: list[tuple[int, str, list[Operator]]] = []
    for line in plan.splitlines():
        found = _LINE.fullmatch(line)
        if not found:
            continue
        depth = len(found["indent"])
        while len(stack) > 1 and stack[-1][0] >= depth:
            _close(stack)
        if stack and not depth:  # what follows the tree: subqueries, told apart
            break
        stack.append((depth, found["text"], []))
    while len(stack) > 1:
        _close(stack)
    return _made(*stack[0][1:])


def _close(stack: list[tuple[int, str, list[Operator]]]) -> None:
    _, text, children = stack.pop()
    stack[-1][2].append(_made(text, children))


def _made(text: str, children: list[Operator]) -> Operator:
    return Operator(re.split(r"[ (\[]", text, maxsplit=1)[0], {"text": text}, tuple(children))
