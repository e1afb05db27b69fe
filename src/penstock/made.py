"""The call that made a table, kept with it: a plan makes the table again on paper, call by call."""

from __future__ import annotations

import functools
import sys
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, NamedTuple, ParamSpec, TypeVar

__all__ = ["Call", "Made", "begins", "calling", "current", "made_by", "remembered"]

P = ParamSpec("P")
T = TypeVar("T")

_PACKAGE = str(Path(__file__).parent)


class Made(NamedTuple):
    """A call, and the line of the user's that it stands on."""

    name: str
    """Of the function: a pattern, query, check or read."""
    function: Callable[..., Any] | None
    """None where an engine read files or adopted rows: the arguments are those of its method."""
    arguments: tuple[Any, ...]
    options: Mapping[str, Any]
    place: str
    """File and line, or nothing where the call came from no file."""


class Call(NamedTuple):
    """What a user called, and where."""

    name: str
    place: str


_MADE: weakref.WeakKeyDictionary[Any, Made] = weakref.WeakKeyDictionary()
_NOW: ContextVar[Call | None] = ContextVar("the outermost call of this thread", default=None)


def made_by(table: Any) -> Made | None:
    """The call that made a table, or None where it was made without us."""
    return _MADE.get(table)


def current() -> Call | None:
    """The call of the user's that is at work."""
    return _NOW.get()


@contextmanager
def calling(name: str, place: str) -> Iterator[Call]:
    """A call at work; within another one, that one."""
    outer = _NOW.get()
    call = outer or Call(name, place)
    before = _NOW.set(call)
    try:
        yield call
    finally:
        _NOW.reset(before)


def remembered(function: Callable[P, T]) -> Callable[P, T]:
    """A function whose results remember its call. A function that calls others of these stands for them."""

    @functools.wraps(function)
    def call(*arguments: P.args, **options: P.kwargs) -> T:
        with calling(function.__name__, _place()) as now:
            result = function(*arguments, **options)
        # Of a check, the rows with their marks. Not by attribute: a Connect DataFrame takes any for a column.
        table = result.marked if type(result).__name__ == "Checked" else result  # type: ignore[attr-defined]
        if not any(table is given for given in (*arguments, *options.values())):
            _MADE[table] = Made(function.__name__, call, arguments, options, now.place)
        return result

    return call


def begins(method: Callable[P, T]) -> Callable[P, T]:
    """The `read` or `adopt` of an engine: its tables remember what they are read or adopted from."""

    @functools.wraps(method)
    def call(*arguments: P.args, **options: P.kwargs) -> T:
        table = method(*arguments, **options)
        _MADE[table] = Made(method.__name__, None, arguments[1:], options, _place())
        return table

    return call


def _place() -> str:
    """The nearest line that is not of this package."""
    frame = sys._getframe(2)
    while frame and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back  # type: ignore[assignment]
    file = frame.f_code.co_filename if frame else "<"
    # What is typed has no file, and what a library calls (the command line's does) is no line of the user's.
    return "" if file.startswith("<") or "site-packages" in file else f"{file}:{frame.f_lineno}"
