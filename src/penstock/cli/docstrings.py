"""A docstring taken apart, so that the help of a verb is what stands at its function."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any, NamedTuple

__all__ = ["Docstring", "read"]

_HEADING = re.compile(r"^(\w[\w ]*):$", re.MULTILINE)
_ARGUMENT = re.compile(r"^    \*{0,2}(\w+): ", re.MULTILINE)


class Docstring(NamedTuple):
    """The parts of a docstring, each as running text; `arguments` by name without stars."""

    summary: str
    text: str
    arguments: dict[str, str]
    sections: dict[str, str]


def read(function: Callable[..., Any]) -> Docstring:
    """Take apart the docstring of a function of ours.

    >>> read(read).sections["Example"]
    ''
    >>> read(read).summary
    'Take apart the docstring of a function of ours.'

    Example:
    """
    opening, *rest = _HEADING.split(inspect.getdoc(function) or "")
    sections = dict(zip(rest[::2], rest[1::2], strict=True))
    _, *arguments = _ARGUMENT.split(sections.get("Args", ""))
    summary, _, text = opening.partition("\n\n")
    return Docstring(
        summary.strip(),
        text.strip(),
        {name: _running(said) for name, said in zip(arguments[::2], arguments[1::2], strict=True)},
        {heading: _running(body) for heading, body in sections.items()},
    )


def _running(text: str) -> str:
    return " ".join(text.split())
