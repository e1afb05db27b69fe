"""Penstock: batch patterns that move the fewest bytes, on DuckDB and on Apache Spark."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penstock.engines.engine import connect, use
    from penstock.errors import (
        ColumnError,
        EngineError,
        InputError,
        MissingExtra,
        OutputError,
        PenstockError,
        UsageError,
    )
    from penstock.lake.write import Written, write
    from penstock.patterns.aggregate import aggregate
    from penstock.patterns.count_distinct import count_distinct
    from penstock.patterns.derive import derive
    from penstock.patterns.distinct import distinct
    from penstock.patterns.mode import mode
    from penstock.patterns.sort import sort
    from penstock.patterns.top import top
    from penstock.patterns.top_n import top_n
    from penstock.patterns.where import where
    from penstock.tables import adopt, engine_of, materialize, query, read

__version__ = "0.1.0"

# Where each public name lives. Loaded at first use, so that `penstock --help` pays for no engine (0.1 s, not 1 s).
_HOMES = {
    "ColumnError": "errors",
    "EngineError": "errors",
    "InputError": "errors",
    "MissingExtra": "errors",
    "OutputError": "errors",
    "PenstockError": "errors",
    "UsageError": "errors",
    "Written": "lake.write",
    "adopt": "tables",
    "aggregate": "patterns.aggregate",
    "connect": "engines.engine",
    "count_distinct": "patterns.count_distinct",
    "derive": "patterns.derive",
    "distinct": "patterns.distinct",
    "engine_of": "tables",
    "materialize": "tables",
    "mode": "patterns.mode",
    "query": "tables",
    "read": "tables",
    "sort": "patterns.sort",
    "top": "patterns.top",
    "top_n": "patterns.top_n",
    "use": "engines.engine",
    "where": "patterns.where",
    "write": "lake.write",
}

__all__ = [
    "ColumnError",
    "EngineError",
    "InputError",
    "MissingExtra",
    "OutputError",
    "PenstockError",
    "UsageError",
    "Written",
    "adopt",
    "aggregate",
    "connect",
    "count_distinct",
    "derive",
    "distinct",
    "engine_of",
    "materialize",
    "mode",
    "query",
    "read",
    "sort",
    "top",
    "top_n",
    "use",
    "where",
    "write",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'penstock' has no attribute {name!r}")
    value = getattr(import_module(f"penstock.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
