"""The values that a run is given: their types from annotations, and text from a command line as those types."""

from __future__ import annotations

import datetime
import inspect
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from penstock import sql
from penstock.errors import UsageError

__all__ = ["Parameter", "bound", "plain"]


class Parameter(NamedTuple):
    """A value that a step takes by name."""

    name: str
    kind: Any
    """Its annotation; the type of its default where it has none."""
    default: Any
    """`inspect.Parameter.empty` where a run has to give it."""

    @property
    def required(self) -> bool:
        """Whether a run has to give it."""
        return self.default is inspect.Parameter.empty


def bound(parameters: Mapping[str, Parameter], given: Mapping[str, Any]) -> dict[str, Any]:
    """A value for each parameter: the one given, as its type, or the default."""
    for name in given:
        if name not in parameters:
            known = ", ".join(sorted(parameters)) or "none"
            raise UsageError(f'the job has no parameter "{name}"', f"it has: {known}")
    values = {}
    for name, parameter in parameters.items():
        if name not in given and parameter.required:
            raise UsageError(f'the parameter "{name}" has no value', f"give it: -p {name}=…, or job.run({name}=…)")
        values[name] = converted(name, given[name], parameter.kind) if name in given else parameter.default
    return values


def converted(name: str, value: Any, kind: Any) -> Any:
    """A value as the type of its annotation.

    >>> converted("day", "2026-03-01", datetime.date), converted("n", "12", int | None), converted("n", "a", list[str])
    (datetime.date(2026, 3, 1), 12, ['a'])
    """
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return _first_that_fits(name, value, kind, inner)
    if origin in (list, tuple, Sequence):
        items = value if isinstance(value, (list, tuple)) else [value]
        taken = [converted(name, item, inner[0] if inner else Any) for item in items]
        return tuple(taken) if origin is tuple else taken
    if origin is Literal:
        if value in inner:
            return value
        raise UsageError(f"{name} cannot be {value!r}", f"one of: {', '.join(map(str, inner))}")
    if isinstance(value, list):  # given several times: of each, what one would be
        return [converted(name, item, kind) for item in value]
    if kind is Any or not isinstance(kind, type) or value is None or type(value) is kind:
        return value
    try:
        return _READERS.get(kind, _as_it_is)(value)
    except (ValueError, TypeError) as error:
        raise UsageError(f"{name}={value} is no {kind.__name__}", f"{_EXAMPLES.get(kind, kind.__name__)}") from error


def _first_that_fits(name: str, value: Any, kind: Any, choices: Sequence[Any]) -> Any:
    if value is None or (value == "" and type(None) in choices):
        return None
    # str takes everything, so it is asked last.
    for choice in sorted((c for c in choices if c is not type(None)), key=lambda c: c is str):
        try:
            return converted(name, value, choice)
        except UsageError:
            continue
    raise UsageError(f"{name}={value} is no {kind}", "see the step that takes it")


def _truth(value: Any) -> bool:
    found = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}.get(str(value).lower())
    if found is None:
        raise ValueError(value)
    return found


def _length(value: Any) -> datetime.timedelta:
    return datetime.timedelta(microseconds=sql.duration(value))


def _as_it_is(value: Any) -> Any:
    return value


_READERS: dict[type, Callable[[Any], Any]] = {
    bool: _truth,
    int: int,
    float: float,
    str: str,
    datetime.date: datetime.date.fromisoformat,
    datetime.datetime: datetime.datetime.fromisoformat,
    datetime.timedelta: _length,
    Path: Path,
}
_EXAMPLES = {
    bool: "write true or false",
    int: "write a whole number",
    float: "write a number",
    datetime.date: "write it like 2026-03-01",
    datetime.datetime: "write it like 2026-03-01T12:00:00",
    datetime.timedelta: 'write it like "30 minutes"',
}


def plain(value: Any) -> Any:
    """A value as JSON can hold it, the same for equal values.

    >>> plain({"day": datetime.date(2026, 3, 1), "kinds": {"b", "a"}})
    {'day': '2026-03-01', 'kinds': ['a', 'b']}
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted((plain(item) for item in value), key=str)
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    # The text of a function has its address in memory, which is another one in the next process.
    return value.__qualname__ if callable(value) else str(value)
