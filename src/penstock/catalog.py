"""The patterns that there are, as one tuple: the command line, the table in the docs and the tests iterate it."""

from __future__ import annotations

from typing import Literal, NamedTuple

__all__ = ["PATTERNS", "Pattern"]


class Pattern(NamedTuple):
    """What is said about a pattern without importing it."""

    name: str
    summary: str
    """The first line of the function's docstring; a test compares them."""
    kind: Literal["narrow", "wide"]
    """Whether each row is worked on by itself, or rows have to meet."""
    rows: Literal["input", "keys", "ordered"]
    """The order that rows are printed in: that of the input, by the group keys, or the pattern's own."""


PATTERNS = (
    Pattern("where", "The rows of a table for which a condition is true.", "narrow", "input"),
    Pattern("derive", "A table with columns computed from each row.", "narrow", "input"),
    Pattern("aggregate", "Group a table and compute aggregates of each group.", "wide", "keys"),
    Pattern("top", "The n most frequent keys, with how often each occurs.", "wide", "ordered"),
    Pattern("top_n", "The n first rows of each group, in an order.", "wide", "keys"),
    Pattern("mode", "The value that occurs most often, overall or in each group.", "wide", "keys"),
    Pattern("distinct", "One row for every distinct combination of some columns.", "wide", "keys"),
    Pattern(
        "count_distinct", "Count the distinct combinations of some columns, overall or in each group.", "wide", "keys"
    ),
    Pattern("sort", "The rows of a table in order.", "wide", "ordered"),
    Pattern("sessionize", "All rows, each with the session that it belongs to.", "wide", "keys"),
    Pattern("sessions", "One row a session: when it began and ended, and how many events it has.", "wide", "keys"),
    Pattern("dedup", "One row of each key, or one within a length of time.", "wide", "keys"),
    Pattern("join", "Rows of two tables that have equal keys.", "wide", "keys"),
    Pattern("asof_join", "Each row of the left with the latest row of the right that is not after it.", "wide", "keys"),
    Pattern("range_join", "Rows of the left with the ranges of the right that their value lies in.", "wide", "keys"),
)
