"""Named tables as the first common table expressions of a statement."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["before"]


def before(ctes: Sequence[str], statement: str) -> str:
    """A statement with expressions before its own.

    >>> before(["a AS (FROM b)"], "WITH c AS (FROM a) FROM c"), before(["a AS (FROM b)"], "SELECT 1")
    ('WITH a AS (FROM b), c AS (FROM a) FROM c', 'WITH a AS (FROM b) SELECT 1')
    """
    if not ctes:
        return statement
    head, separator, rest = statement.lstrip().partition(" ")
    return f"WITH {', '.join(ctes)}" + (f", {rest}" if separator and head.upper() == "WITH" else f" {statement}")
