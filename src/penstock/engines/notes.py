"""What a pattern chose and why, one line each, kept with the table that it made and with all that is built on it."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Any, TypeVar

__all__ = ["inherit", "note", "notes_of"]

T = TypeVar("T")

_NOTES: weakref.WeakKeyDictionary[Any, tuple[str, ...]] = weakref.WeakKeyDictionary()


def note(table: T, line: str) -> T:
    """The table, with a line added to its notes."""
    _NOTES[table] = (*notes_of(table), line)
    return table


def notes_of(table: Any) -> tuple[str, ...]:
    """The lines, in the order in which they were decided."""
    return _NOTES.get(table, ())


def inherit(table: T, sources: Iterable[Any]) -> T:
    """The table, with the notes of those that it is made of."""
    if lines := tuple(dict.fromkeys(line for source in sources for line in notes_of(source))):
        _NOTES[table] = lines
    return table
