"""The order that rows are printed in, the same on every engine: as `catalog.Pattern.rows` says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock import sql
from penstock.catalog import Pattern

if TYPE_CHECKING:
    from penstock.cli.inputs import Inputs
    from penstock.engines.engine import Table

__all__ = ["in_order", "summed", "written_order"]


def in_order(pattern: Pattern, result: Table, arguments: Mapping[str, Any], inputs: Inputs) -> Table:
    """The result of a pattern in the order that it is printed in."""
    if pattern.rows == "keys":
        return _by_keys(result, arguments)
    return _as_read(result, inputs) if pattern.rows == "input" else result


def written_order(pattern: Pattern, result: Table, arguments: Mapping[str, Any]) -> dict[str, list[str]]:
    """The order that a pattern defines, for `ps.write`: files have none of their own."""
    if pattern.rows != "ordered":
        return {}
    from penstock.tables import columns, total_order

    order = arguments.get("order") or f"{sql.quote(list(columns(result))[-1])} DESC"
    return {"sort_by": [term.text() for term, _ in total_order(result, order)]}


def summed(arguments: Mapping[str, Any], expressions: Mapping[str, str]) -> frozenset[str]:
    """The columns of a result that were added up, so that their last digits depend on the order of addition."""
    from penstock.aggregates import computes

    added = {name for name, expression in expressions.items() if computes(expression)}
    return frozenset(added | ({"weight"} if arguments.get("weight") else set()))


def _by_keys(result: Table, arguments: Mapping[str, Any]) -> Table:
    """By the group keys, then by the order that the pattern took, then by the remaining columns."""
    from penstock.patterns.sort import sort
    from penstock.tables import columns

    present = columns(result)
    by = arguments.get("by", ())
    keys = by if isinstance(by, Mapping) else {name: sql.quote(name) for name in by}
    folded = {name.casefold() for name in present}
    terms = [sql.quote(name) if name.casefold() in folded else expression for name, expression in keys.items()]
    # What joins go by stands under the left's names; a time may have gone into the result by another name.
    left = [
        name for word in ("on", "at", "value") for name in _listed(arguments.get(word, ())) if name.casefold() in folded
    ]
    terms += [sql.quote(name) for name in left]
    return sort(result, [*terms, *arguments.get("order", ())] or sql.quote(next(iter(present))))


def _listed(names: str | Iterable[str]) -> list[str]:
    return [names] if isinstance(names, str) else list(names)


def _as_read(result: Table, inputs: Inputs) -> Table:
    """File after file. DuckDB keeps that order; Spark hands out the largest piece of a file first."""
    from penstock.tables import engine_of

    engine = engine_of(result)
    if len(inputs.paths) == 1 or engine.name == "duckdb":
        return result
    files = ", ".join(
        sql.literal(Path(path).absolute().as_uri() if "://" not in path else path, "spark") for path in inputs.paths
    )
    place = f"array_position(array({files}), input_file_name()), input_file_name(), input_file_block_start()"
    return engine.query(f"SELECT * FROM t ORDER BY {place}, monotonically_increasing_id()", {"t": result})
