"""DuckDB's profile of the statement that has just run, as what it moved."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from penstock.engines.measures import Measured, Measures, Side, Told

__all__ = ["ON", "begin", "of_profile", "profiled", "tell"]

#: Profile what this connection runs, and print nothing.
ON = "SET enable_profiling = 'no_output'"

# Of a join, the sides that are put into a table or in order: the others stream by.
_BOTH = ("PIECEWISE_MERGE_JOIN", "IE_JOIN", "ASOF_JOIN")
_WIDE = re.compile(r"GROUP_BY$|AGGREGATE|JOIN|^CROSS_PRODUCT$|^WINDOW$|^ORDER_BY$|^TOP_N$")


@contextmanager
def profiled(connection: Any, wanted: Sequence[Measures]) -> Iterator[None]:
    """Measure the one statement that runs within, for the blocks that want to know. A failed one is not told."""
    if not wanted:
        yield
        return
    numbers = begin(wanted)
    ours = _profile(connection).get("result") == "disabled"  # else the user profiles it himself
    if ours:
        connection.execute(ON)
    try:
        yield
        tell(connection, wanted, numbers)
    finally:
        if ours:
            connection.execute("PRAGMA disable_profiling")


def begin(wanted: Sequence[Measures]) -> list[int]:
    """A statement begins that each block wants to know about."""
    return [measures.begin() for measures in wanted]


def tell(connection: Any, wanted: Sequence[Measures], numbers: Sequence[int]) -> None:
    """The connection's last statement is through."""
    if wanted:
        told = of_profile(_profile(connection))
        for measures, number in zip(wanted, numbers, strict=True):
            measures.tell(number, told)


def _profile(connection: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(connection.get_profiling_information(format="json"))
    return found


def of_profile(profile: Mapping[str, Any]) -> Told:
    """What `get_profiling_information` says; nothing where nothing ran, since the rows were there already."""
    operators = tuple(_measured(node) for root in profile.get("operator", []) for node in _below_first(root))
    if not operators:
        return Told()
    system = profile.get("system", {})
    return Told(
        operators, profile.get("io", {}).get("total_bytes_read"), system.get("total_bytes_spilled"),
        system.get("peak_buffer_memory"), sum(operator.seconds or 0.0 for operator in operators),
    )  # fmt: skip


def _below_first(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for child in node.get("children", []):
        yield from _below_first(child)
    yield node


def _measured(node: Mapping[str, Any]) -> Measured:
    name, out = node["name"].strip(), _given(node)
    if node["type"] == "TABLE_SCAN":
        return Measured(name, "scan", (), out.rows, node.get("bytes_scanned"), out.rows, seconds=node["timing"])
    if not _WIDE.search(name):
        return Measured(name, "other", (), out.rows, out.bytes, out.rows, seconds=node["timing"])
    sides = tuple(map(_given, node["children"])) if len(node.get("children", [])) == 2 else ()
    held = sides if name in _BOTH else sides[1:]
    moved = Side(_sum(side.rows for side in held), _sum(side.bytes for side in held)) if sides else out
    return Measured(name, "wide", _keys(node, name), *moved, out.rows, sides=sides, seconds=node["timing"])


def _given(node: Mapping[str, Any]) -> Side:
    """The rows that an operator gave. Those that only bring others' together count none themselves."""
    children = node.get("children", [])
    if node["name"] == "UNION":
        sides = list(map(_given, children))
        return Side(_sum(side.rows for side in sides), _sum(side.bytes for side in sides))
    if node["name"] == "CTE":  # the query that uses it is the second
        return _given(children[-1])
    return Side(node["intermediate_rows"], node["intermediate_size_bytes"])


def _sum(numbers: Iterator[int | None]) -> int | None:
    known = list(numbers)
    return None if None in known else sum(number or 0 for number in known)


# -- keys -------------------------------------------------------------------------------------------------------------

UNNAMED = "?"
_EQUAL = re.compile(r" (?:=|IS NOT DISTINCT FROM) ")
_COMPARED = re.compile(r" (?:>=|<=|>|<|!=|IS DISTINCT FROM) ")
_DIRECTION = re.compile(r" (ASC|DESC)( NULLS (FIRST|LAST))?$")
# What the optimiser puts around columns to make them narrow, and wide again.
_NARROWED = re.compile(
    r"CAST\((.+) AS U?(?:TINY|SMALL|BIG|HUGE)?INT(?:EGER)?\)|__internal_\w*compress_\w+\((.+?)(?:, .*)?\)"
)


def _keys(node: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """The columns by whose values rows meet."""
    info = node.get("extra_info", {})
    children = node.get("children", [])
    below = _columns(children[0]) if children else None
    if name.endswith("GROUP_BY") or "AGGREGATE" in name:
        return tuple(_named(text, below) for text in _listed(info.get("Groups")))
    if name in ("ORDER_BY", "TOP_N"):
        return tuple(_named(_DIRECTION.sub("", text), below) for text in _listed(info.get("Order By")))
    if name == "WINDOW":
        return tuple(_named(text, below) for text in _partitions(_listed(info.get("Projections"))))
    conditions = _listed(info.get("Conditions"))
    equal = [text for text in conditions if _EQUAL.search(text)]
    sign = _EQUAL if equal else _COMPARED
    return tuple(_named(sign.split(text, maxsplit=1)[0], below) for text in equal or conditions)


def _named(text: str, columns: Sequence[str] | None) -> str:
    """A column or an expression, where the plan has the numbers of columns below: "#0" is the first."""
    while narrowed := _NARROWED.fullmatch(text):
        text = narrowed[1] or narrowed[2]
    if re.fullmatch(r"#\d+", text):
        number = int(text[1:])
        return columns[number] if columns is not None and number < len(columns) else UNNAMED
    if "#[" in text:
        return UNNAMED
    return re.sub(r"#\d+", lambda found: _named(found[0], columns), text)


def _columns(node: Mapping[str, Any]) -> list[str] | None:
    """The columns that an operator gives; None where it may have left some out without saying so."""
    name, info, children = node["name"], node.get("extra_info", {}), node.get("children", [])
    if node["type"] == "TABLE_SCAN":
        return _listed(info.get("Projections"))
    below = _columns(children[0]) if children else None
    if name == "PROJECTION":
        return [_named(text, below) for text in _listed(info.get("Projections"))]
    if name.endswith("GROUP_BY"):
        groups = [_named(text, below) for text in _listed(info.get("Groups"))]
        return [*groups, *_listed(info.get("Aggregates"))]
    if name.endswith("WINDOW") and below is not None:
        return [*below, *_listed(info.get("Projections"))]
    return below if name in ("FILTER", "LIMIT", "STREAMING_LIMIT", "TOP_N", "UNION", "STREAMING_SAMPLE") else None


def _partitions(projections: Sequence[str]) -> list[str]:
    """The terms of the first PARTITION BY; commas and brackets within a term are its own.

    >>> _partitions(["sum(v) OVER (PARTITION BY k, date_trunc('day', at) ORDER BY v ASC NULLS LAST)"])
    ['k', "date_trunc('day', at)"]
    """
    _, found, text = (projections[0] if projections else "").partition("OVER (PARTITION BY ")
    terms, depth, start = [], 0, 0
    for place, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        ends = depth < 0 or (depth == 0 and re.match(r" (ORDER BY|ROWS|RANGE|GROUPS) ", text[place:]))
        if ends or (depth == 0 and text.startswith(", ", place)):
            terms.append(text[start:place].strip())
            start = place + 2
        if ends:
            break
    return terms if found else []


def _listed(value: Any) -> list[str]:
    return [] if value in (None, "") else [value] if isinstance(value, str) else list(value)
