"""Penstock: batch patterns that move the fewest bytes, on DuckDB and on Apache Spark."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penstock.engines.engine import connect, use
    from penstock.errors import (
        CheckFailed,
        ColumnError,
        EngineError,
        InputError,
        MissingExtra,
        OutputError,
        OverBudget,
        PenstockError,
        StepFailed,
        UsageError,
    )
    from penstock.estimates.estimate import Estimate, estimate
    from penstock.jobs.checks import Checked, check
    from penstock.jobs.job import Job
    from penstock.jobs.runner import Run
    from penstock.lake.compact import Compacted, compact
    from penstock.lake.layout import Layout, layout
    from penstock.lake.write import Written, write
    from penstock.patterns.aggregate import aggregate
    from penstock.patterns.asof_join import asof_join
    from penstock.patterns.count_distinct import count_distinct
    from penstock.patterns.dedup import dedup
    from penstock.patterns.derive import derive
    from penstock.patterns.distinct import distinct
    from penstock.patterns.join import join
    from penstock.patterns.mode import mode
    from penstock.patterns.range_join import range_join
    from penstock.patterns.sessionize import sessionize
    from penstock.patterns.sessions import sessions
    from penstock.patterns.sort import sort
    from penstock.patterns.top import top
    from penstock.patterns.top_n import top_n
    from penstock.patterns.where import where
    from penstock.plans.plan import Plan, plan
    from penstock.skews.skew import Skew, skew
    from penstock.tables import adopt, engine_of, materialize, query, read

__version__ = "0.1.0"

# Where each public name lives. Loaded at first use, so that `penstock --help` pays for no engine (0.1 s, not 1 s).
_HOMES = {
    "CheckFailed": "errors",
    "Checked": "jobs.checks",
    "ColumnError": "errors",
    "Compacted": "lake.compact",
    "EngineError": "errors",
    "Estimate": "estimates.estimate",
    "InputError": "errors",
    "Job": "jobs.job",
    "Layout": "lake.layout",
    "MissingExtra": "errors",
    "OutputError": "errors",
    "OverBudget": "errors",
    "PenstockError": "errors",
    "Plan": "plans.plan",
    "Run": "jobs.runner",
    "Skew": "skews.skew",
    "StepFailed": "errors",
    "UsageError": "errors",
    "Written": "lake.write",
    "adopt": "tables",
    "aggregate": "patterns.aggregate",
    "asof_join": "patterns.asof_join",
    "check": "jobs.checks",
    "compact": "lake.compact",
    "connect": "engines.engine",
    "count_distinct": "patterns.count_distinct",
    "dedup": "patterns.dedup",
    "derive": "patterns.derive",
    "distinct": "patterns.distinct",
    "engine_of": "tables",
    "estimate": "estimates.estimate",
    "join": "patterns.join",
    "layout": "lake.layout",
    "materialize": "tables",
    "mode": "patterns.mode",
    "plan": "plans.plan",
    "query": "tables",
    "range_join": "patterns.range_join",
    "read": "tables",
    "sessionize": "patterns.sessionize",
    "sessions": "patterns.sessions",
    "skew": "skews.skew",
    "sort": "patterns.sort",
    "top": "patterns.top",
    "top_n": "patterns.top_n",
    "use": "engines.engine",
    "where": "patterns.where",
    "write": "lake.write",
}

__all__ = [
    "CheckFailed",
    "Checked",
    "ColumnError",
    "Compacted",
    "EngineError",
    "Estimate",
    "InputError",
    "Job",
    "Layout",
    "MissingExtra",
    "OutputError",
    "OverBudget",
    "PenstockError",
    "Plan",
    "Run",
    "Skew",
    "StepFailed",
    "UsageError",
    "Written",
    "adopt",
    "aggregate",
    "asof_join",
    "check",
    "compact",
    "connect",
    "count_distinct",
    "dedup",
    "derive",
    "distinct",
    "engine_of",
    "estimate",
    "join",
    "layout",
    "materialize",
    "mode",
    "plan",
    "query",
    "range_join",
    "read",
    "sessionize",
    "sessions",
    "skew",
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
