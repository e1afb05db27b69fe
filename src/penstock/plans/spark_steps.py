"""The steps of a Spark plan: a wide one wherever an Exchange stands."""

from __future__ import annotations

import re
from collections.abc import Iterator

from penstock.engines.engine import Engine, Table
from penstock.engines.operators import Operator
from penstock.figures import NOTHING, UNKNOWN, Figure, exact
from penstock.forecasts.scans import Condition, scanned
from penstock.forecasts.sources import Source
from penstock.forecasts.steps import Step

__all__ = ["steps_of"]

_JOINS = ("SortMergeJoin", "ShuffledHashJoin", "BroadcastHashJoin", "BroadcastNestedLoopJoin", "CartesianProduct")
_NARROW = {"Filter": "filter", "Generate": "explode", "Union": "union", "Expand": "expand"}
_SIGNS = {
    "EqualTo": "=", "GreaterThan": ">", "GreaterThanOrEqual": ">=", "LessThan": "<", "LessThanOrEqual": "<=",
}  # fmt: skip


def steps_of(engine: Engine, table: Table) -> list[Step]:
    """The steps, from what is read to what comes out."""
    found: list[Step] = []
    _gather(engine.operators(table), None, found)
    return found


def _gather(at: Operator, above: Operator | None, found: list[Step]) -> None:
    if at.name == "InMemoryTableScan":  # what is below was done before
        found.append(Step("kept rows", "narrow", (), UNKNOWN, NOTHING, at.name))
        return
    for child in at.children:
        _gather(child, at if not _is_passed(at) else above, found)
    if at.name == "FileScan":
        found.append(_scan(at))
    elif at.name in _NARROW:
        found.append(Step(_NARROW[at.name], "narrow", (), UNKNOWN, NOTHING, at.name))
    elif at.name in _JOINS:
        found.append(_join(at))
    elif at.name == "Exchange" and above is not None and above.name not in _JOINS:
        found.append(_shuffle(at, above))
    elif at.name == "TakeOrderedAndProject":
        terms = _listed(at, "orderBy")
        found.append(Step(f"top by {', '.join(terms)}", "wide", terms, UNKNOWN, UNKNOWN, at.name))


def _is_passed(at: Operator) -> bool:
    """Whether an operator only stands between an exchange and what it is for."""
    local = at.name == "Sort" and ", false, " in str(at.info["text"])
    return local or at.name in ("Project", "Exchange", "AQEShuffleRead", "InputAdapter", "AdaptiveSparkPlan")


def _shuffle(at: Operator, above: Operator) -> Step:
    text = str(at.info["text"])
    keys = _plain(re.match(r"Exchange \w*partitioning\((.*), \d+\)", text)) or ()
    if "Aggregate" in above.name:
        counted = "functions=[]" not in str(above.info["text"])
        name = ("group by" if counted else "distinct") if keys else "aggregate all"
        rows = UNKNOWN if keys else exact(1)
        return Step(f"{name} {', '.join(keys)}".strip(), "wide", keys, rows, UNKNOWN, above.name)
    if above.name == "Window":
        name = f"window by {', '.join(keys)}" if keys else "window over all"
        return Step(name, "wide", keys, UNKNOWN, UNKNOWN, above.name)
    name = f"sort by {', '.join(keys)}" if "rangepartitioning" in text else f"shuffle by {', '.join(keys)}"
    return Step(name, "wide", keys, UNKNOWN, UNKNOWN, above.name)


def _join(at: Operator) -> Step:
    text = str(at.info["text"])
    keys = _plain(re.match(r"\w+ \[(.*?)\], \[", text)) or ()
    shuffled = any(node.name == "Exchange" for child in at.children for node in _near(child))
    name = f"join on {', '.join(keys)}" if keys else "cross join"
    if "Broadcast" in at.name:
        return Step(name, "broadcast", keys, UNKNOWN, UNKNOWN, at.name)
    if shuffled or not keys:
        return Step(name, "wide", keys, UNKNOWN, UNKNOWN, at.name)
    return Step(name, "narrow", keys, UNKNOWN, NOTHING, at.name)  # both sides lie as the join needs them


def _near(at: Operator) -> Iterator[Operator]:
    """An operator and what stands below it, as far as nothing is worked out there."""
    yield at
    if _is_passed(at) and at.name != "Exchange":
        for child in at.children:
            yield from _near(child)


def _scan(at: Operator) -> Step:
    text = str(at.info["text"])
    paths = _paths(text)
    if "Format: Parquet" not in text or not paths:
        return Step(f"read {_place(paths)}", "narrow", (), UNKNOWN, NOTHING, "files")
    columns = list(_fields(text.partition("ReadSchema: struct<")[2]))
    source = Source(_place(paths), {}, None, "parquet", tuple(paths))
    scan = scanned(source, paths, columns, list(_conditions(text)))
    pruned = "PartitionFilters: []" not in text
    rows = Figure(0, None, scan.rows, "model") if pruned or "DataFilters: []" not in text else exact(scan.rows)
    return Step(f"read {_place(paths)}", "narrow", (), rows, NOTHING, "parquet", scan)


def _paths(text: str) -> list[str]:
    found = re.search(r"Location: \w+\(\d+ paths?\)\[(.*?)\], PartitionFilters", text)
    return [path.removeprefix("file:") for path in found[1].split(", ")] if found and "..." not in found[1] else []


def _place(paths: list[str]) -> str:
    folders = [part for part in paths[0].split("/")[:-1] if "=" not in part] if paths else []
    return paths[0].rpartition("/")[2] if len(paths) == 1 else f"{folders[-1]}/" if folders else "files"


def _fields(schema: str) -> Iterator[str]:
    """The names on the outermost level of `a:bigint,b:struct<c:int>>`."""
    depth, name, in_name = 0, "", True
    for letter in schema:
        depth += (letter in "<(") - (letter in ">)")
        if depth < 0:
            break
        if letter == "," and not depth:
            yield name
            name, in_name = "", True
        elif letter == ":" and not depth:
            in_name = False
        elif in_name:
            name += letter
    if name:
        yield name


def _conditions(text: str) -> Iterator[Condition]:
    pushed = re.search(r"PushedFilters: \[(.*?)\], ReadSchema", text)
    for sign, column, value in re.findall(r"(\w+)\((\w+),([^(),]+)\)", pushed[1] if pushed else ""):
        if sign in _SIGNS:
            yield Condition(column, _SIGNS[sign], value)


def _listed(at: Operator, name: str) -> tuple[str, ...]:
    return _plain(re.search(rf"{name}=\[(.*?)\]", str(at.info["text"]))) or ()


def _plain(found: re.Match[str] | None) -> tuple[str, ...]:
    """Names without the numbers that Spark tells columns apart by, and without directions."""
    if not found:
        return ()
    names = re.sub(r"#\d+L?", "", found[1]).split(", ")
    return tuple(re.sub(r" (ASC|DESC)( NULLS \w+)?$", "", name) for name in names)
