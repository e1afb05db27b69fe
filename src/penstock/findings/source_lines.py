"""The user's own line: where a call stands on it, its arguments, and what the tables are called there."""

from __future__ import annotations

import ast
import functools
import linecache
import os
from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["Span", "Words", "short", "words_of"]


class Span(NamedTuple):
    """Some characters of a line."""

    line: int
    """From 1."""
    start: int
    """From 0."""
    end: int


class Words(NamedTuple):
    """A call as it is written. Nothing is known of one that cannot be read."""

    call: ast.Call | None = None
    lines: tuple[str, ...] = ()
    """Of its file."""

    def table(self, position: int) -> str:
        """The name that stands for a table among the arguments; nothing where it is more than a name."""
        if self.call is None:
            return ""
        arguments = self.call.args
        if name_of(self.call) == "query":  # whose tables have names of their own
            arguments = [each.value for each in self.call.keywords] if len(self.call.keywords) == 1 else []
        given = arguments[position] if position < len(arguments) else None
        return given.id if isinstance(given, ast.Name) else ""

    @property
    def target(self) -> str:
        """The name that the result gets; nothing where it gets none."""
        for statement in _statements("\n".join(self.lines)) if self.call else ():
            if statement.value.lineno <= self.call.lineno <= (statement.end_lineno or 0):  # type: ignore[union-attr]
                [name, *others] = statement.targets
                return name.id if isinstance(name, ast.Name) and not others else ""
        return ""

    def span(self, argument: str) -> Span | None:
        """Where an argument stands: by its name, or by a text in it; else the function's name."""
        if self.call is None:
            return None
        for keyword in self.call.keywords:
            if keyword.arg == argument:
                return self._span(keyword.value)
        for given in (*self.call.args, *(keyword.value for keyword in self.call.keywords)):
            found = self._span(given)
            if argument and (at := self._text(found).find(argument)) >= 0:
                return Span(found.line, found.start + at, found.start + at + len(argument))
        if argument.isdigit() and int(argument) < len(self.call.args):
            return self._span(self.call.args[int(argument)])
        return self._span(self.call.func)

    def _span(self, node: ast.expr) -> Span:
        """The part of a node on its first line."""
        line = self.lines[node.lineno - 1]
        start = len(line.encode()[: node.col_offset].decode())
        whole = node.end_lineno == node.lineno and node.end_col_offset is not None
        end = len(line.encode()[: node.end_col_offset].decode()) if whole else len(line.rstrip())
        return Span(node.lineno, start, end)

    def _text(self, span: Span) -> str:
        return self.lines[span.line - 1][span.start : span.end]


def words_of(place: str, name: str) -> Words:
    """The call of a function at a place, `file:line`."""
    file, _, line = place.rpartition(":")
    if not file or not line.isdigit():
        return Words()
    lines = tuple(each.rstrip("\n") for each in linecache.getlines(file))
    for call in _calls("\n".join(lines)):
        if name_of(call) == name and call.lineno <= int(line) <= (call.end_lineno or call.lineno):
            return Words(call, lines)
    return Words(None, lines)


def name_of(call: ast.Call) -> str:
    """The function that is called, without its module."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def short(file: str) -> str:
    """A path as seen from here, where that is shorter."""
    near = os.path.relpath(file)
    return near if len(near) < len(file) and not near.startswith("..") else file


@functools.lru_cache(16)
def _nodes(text: str) -> tuple[ast.AST, ...]:
    """What a file is made of, outer parts first; nothing where it is no Python, or has changed since."""
    try:
        return tuple(ast.walk(ast.parse(text)))
    except (SyntaxError, ValueError):
        return ()


def _calls(text: str) -> Iterator[ast.Call]:
    return (node for node in _nodes(text) if isinstance(node, ast.Call))


def _statements(text: str) -> Iterator[ast.Assign]:
    return (node for node in _nodes(text) if isinstance(node, ast.Assign))
