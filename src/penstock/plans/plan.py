"""`ps.plan`: what a table, a query or a job will read, where rows have to meet, and what crosses for it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlglot.errors import SqlglotError

from penstock.engines.engine import default_engine
from penstock.engines.notes import notes_of
from penstock.errors import PenstockError, UsageError
from penstock.figures import NOTHING, Figure, total
from penstock.findings.findings import Finding, findings
from penstock.forecasts.cluster import cluster_of
from penstock.forecasts.outline import Outline
from penstock.forecasts.steps import Step
from penstock.plans import duckdb_steps, render, spark_steps
from penstock.plans.actuals import Compared, beside, beside_run, compared
from penstock.plans.advice import advice
from penstock.plans.paper import Paper
from penstock.queries.names import OF_TEXTS, first_line
from penstock.queries.read import UnreadableError
from penstock.tables import engine_of, is_table, query
from penstock.trees.tree import Exchange, Limit, Node, Project, Sort

if TYPE_CHECKING:
    from penstock.engines.measures import Measures
    from penstock.jobs.job import Job

__all__ = ["Plan", "plan"]

FORMAT_VERSION = "1.0"


class Looked(NamedTuple):
    """What a plan looked at."""

    files: int
    rows: int
    seconds: float


class Plan(NamedTuple):
    """What a table will do. It prints as a table of its steps."""

    engine: str
    steps: tuple[Step, ...]
    notes: tuple[str, ...] = ()
    """What patterns chose, and why; what is not understood."""
    job: str = ""
    """Its name, of a job."""
    looked: Looked = Looked(0, 0, 0.0)
    advice: tuple[str, ...] = ()
    """Where it had better run, and why."""
    findings: tuple[Finding, ...] = ()
    """Common mistakes, the most costly first."""
    measured: Compared | None = None
    """After a run."""

    @property
    def moved_bytes(self) -> Figure:
        """What all steps move."""
        return total(step.moved_bytes for step in self.steps)

    @property
    def read_bytes(self) -> int:
        """What is read of Parquet files."""
        return sum(step.scan.read_bytes for step in self.steps if step.scan)

    @property
    def skipped_bytes(self) -> int:
        """What is not, thanks to folders, row groups and columns."""
        return sum(step.scan.skipped_bytes for step in self.steps if step.scan)

    def beside(self, measures: Measures) -> Plan:
        """The plan of a table that has run, with what `engine.measured()` told of that."""
        steps = tuple(beside(self.steps, measures.operators))
        return self._replace(steps=steps, measured=compared(steps, self.engine, measures.moved_bytes))

    def beside_run(self, run: Mapping[str, Any]) -> Plan:
        """The plan of a job that has run, with what the summary of the run says was measured."""
        records = [step for step in run["steps"] if step.get("measured")]
        steps = tuple(beside_run(self.steps, records))
        moved = [record["measured"]["moved_bytes"] for record in records]
        whole = compared(steps, self.engine, None if None in moved else sum(moved))
        return self._replace(steps=steps, measured=whole)

    def to_json(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {
            "format_version": FORMAT_VERSION,
            "engine": self.engine,
            "steps": [step.to_json() for step in self.steps],
            "moved_bytes": self.moved_bytes.to_json(),
            "read_bytes": self.read_bytes,
            "skipped_bytes": self.skipped_bytes,
            "notes": list(self.notes),
            "job": self.job or None,
            "looked": self.looked._asdict(),
            "advice": list(self.advice),
            "findings": [finding.to_json() for finding in self.findings],
            "measured": self.measured.to_json() if self.measured else None,
        }

    def __str__(self) -> str:
        return render.text(self)

    def __repr__(self) -> str:
        return f"Plan({json.dumps([step.name for step in self.steps])})"


def plan(of: Any, cluster: Mapping[str, Any] | None = None, **tables: Any) -> Plan:
    """What a table or a query will do, and what will cross a shuffle for it on a cluster; nothing of it runs.

    Args:
        of: A table of either engine, SQL in DuckDB's dialect, or a job.
        cluster: What it is to be planned for, where that is another than the table's own Spark or this machine:
            `{"machines": 20, "cores": 16, "memory": "64GB", "reducers": 400}`.
        **tables: The tables that the SQL is over, under its names; of a job, values for its parameters.

    Returns:
        The steps in the order in which rows go through them: narrow ones work on each row by itself, for wide ones
        rows have to meet, and broadcast ones bring a small table to the rows. A scan of Parquet says, from the
        footers, which files, row groups and columns it reads, and the bytes that it skips. Rows and moved bytes are
        forecast from samples of the files, a few per cent of them at most, or are unknown.

    Raises:
        UsageError: the SQL is none, or the cluster has no such property or cannot have such a value.

    Example:
        >>> events = ps.adopt([{"user": "a", "amount": 1}, {"user": "b", "amount": 2}])
        >>> [(step.name, step.kind) for step in plan(ps.aggregate(events, "user", total="sum(amount)")).steps]
        [('rows in memory', 'narrow'), ('group by user', 'wide')]
    """
    from penstock.jobs.job import Job

    began = time.perf_counter()
    if isinstance(of, Job):
        return _of_job(of, cluster, tables, began)
    table = of if is_table(of) else _asked(of, tables)
    engine = engine_of(table)
    paper = Paper(cluster_of(cluster, engine), engine if engine.name == "spark" else None)
    notes, found, advised = notes_of(table), list[Finding](), tuple[str, ...]()
    try:
        node, skipped = _understood(paper, table)
        steps = [*Outline(paper.forecast).steps(node), *_limited(node, skipped, paper.forecast.flows.rows(node))]
        found, advised = findings(node, paper.forecast), advice([node], steps, paper.cluster, cluster)
    except UnreadableError as error:
        read: Mapping[str, Any] = {"duckdb": duckdb_steps.steps_of, "spark": spark_steps.steps_of}
        steps = read[engine.name](engine, table)
        notes = (*notes, f"what it moves is not forecast: the plan does not understand {error}")
    return Plan(engine.name, tuple(steps), notes, "", _looked(paper, began), advised, tuple(found))


def _asked(text: Any, tables: Mapping[str, Any]) -> Any:
    """The table that SQL asks for."""
    if not isinstance(text, str):
        raise UsageError(f"there is no plan of {text!r}", "give a table, SQL with its tables by name, or a job")
    try:
        return query(text, **tables)
    except PenstockError:
        raise
    except (SqlglotError, *OF_TEXTS) as error:
        raise UsageError(f"this SQL is not understood: {first_line(error)}", "write it in other words") from error


def _understood(paper: Paper, table: Any) -> tuple[Node, int]:
    """The tree of a table, and how many of its first rows are left out."""
    try:
        found = paper.again(table)
        return paper.placed(found), found.relation.skipped
    except PenstockError:
        raise
    except (SqlglotError, *OF_TEXTS) as error:
        raise UnreadableError(first_line(error)) from error


def _of_job(job: Job, cluster: Mapping[str, Any] | None, params: Mapping[str, Any], began: float) -> Plan:
    from penstock.plans.of_jobs import on_paper

    engine = default_engine()
    paper = Paper(cluster_of(cluster, engine), engine if engine.name == "spark" else None)
    planned = on_paper(job, paper, params)
    found = findings(planned.trees[0], paper.forecast, *planned.trees[1:]) if planned.trees else ()
    advised = advice(planned.trees, planned.steps, paper.cluster, cluster)
    return Plan(
        engine.name, tuple(planned.steps), tuple(planned.notes), job.name, _looked(paper, began), advised, tuple(found)
    )


def _looked(paper: Paper, began: float) -> Looked:
    return Looked(*paper.forecast.flows.looked, round(time.perf_counter() - began, 3))


# -- LIMIT, at whose end nothing moves but what the user sees ----------------------------------------------------------


def _limited(node: Node, skipped: int, found: Figure) -> Iterator[Step]:
    """The steps that the outline of a tree does not have, since no row crosses for them.

    Args:
        node: The last operator of a query.
        skipped: How many of its rows are found and left out.
        found: How many rows it has with those.
    """
    while isinstance(node, Project):
        node = node.child
    if isinstance(node, Limit):
        if not _is_told(node):
            yield Step(f"first {node.n}", "narrow", (), found, NOTHING, "each task ends when it has them")
        if skipped:
            yield Step(f"skip {skipped}", "narrow", (), _without(found, skipped), NOTHING, "first rows are left out")


def _is_told(limit: Limit) -> bool:
    """Whether rows cross for the limit itself, so that the outline tells of it."""
    below = limit.child
    while isinstance(below, (Project, Sort)):
        below = below.child
    return isinstance(below, Exchange) and isinstance(below.why, Limit)


def _without(found: Figure, skipped: int) -> Figure:
    """Never fewer rows than none."""
    low, mid, high = (None if each is None else max(0, each - skipped) for each in found[:3])
    return Figure(low, mid, high, found.basis)
