"""A job on paper: its functions are called on tables that are only planned, so that nothing of it runs."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from penstock import sql
from penstock.amounts import bytes_of
from penstock.engines.engine import using
from penstock.engines.spark_files import arranged
from penstock.errors import PenstockError
from penstock.figures import NOTHING, UNKNOWN, Figure, exact
from penstock.forecasts.outline import Outline
from penstock.forecasts.steps import Step
from penstock.jobs.checks import Checked, check, good_of, is_marked
from penstock.jobs.job import LOGICAL_TIME, Job
from penstock.jobs.job import Step as JobStep
from penstock.jobs.parameters import bound
from penstock.jobs.runner import logical_time
from penstock.jobs.stages import stages_of
from penstock.made import calling
from penstock.plans.paper import Paper, PaperTable
from penstock.queries.read import UnreadableError
from penstock.tables import adopt, is_table
from penstock.trees.tree import Exchange, Label, Node, column

__all__ = ["Planned", "on_paper"]


class Planned(NamedTuple):
    """A job that was planned."""

    steps: list[Step]
    """Of all stages, in order."""
    trees: list[Node]
    """What is written down, each as Spark would plan it."""
    notes: list[str]
    """What is not understood."""


def on_paper(job: Job, paper: Paper, params: Mapping[str, Any]) -> Planned:
    """Plan all stages of a job."""
    work = _OnPaper(job, paper, params)
    return Planned(list(work.steps()), work.trees, work.notes)


class _OnPaper:
    def __init__(self, job: Job, paper: Paper, params: Mapping[str, Any]) -> None:
        given = dict(params)
        told = given.pop(LOGICAL_TIME, None)
        self.ordered = job.ordered()
        self.values = bound(job.parameters, given) | {LOGICAL_TIME: logical_time(told)}
        self.paper = paper
        self.notes: list[str] = []
        self.trees: list[Node] = []
        self.stages = {stage.name: stage for stage in stages_of(self.ordered, (), {}, self.values)}
        self.tables: dict[str, PaperTable | None] = {}
        self.outline = Outline(paper.forecast)

    def steps(self) -> Iterator[Step]:
        with using(self.paper):  # type: ignore[arg-type]
            for step in self.ordered:
                self.paper.step = step.name
                yield from self.step(step)

    def step(self, step: JobStep) -> Iterator[Step]:
        """What a function of the job adds: where its rows are written down, all that leads to them."""
        result = self.called(step)
        if isinstance(result, str):
            self.tables[step.name] = None
            self.notes.append(f"{step.name}: {result}")
            files = UNKNOWN if step.target else NOTHING
            yield Step(step.name, "narrow", how="not known", files=files, place=step.place, step=step.name)
            return
        marked = isinstance(result, Checked)
        table = result.marked if isinstance(result, Checked) else result
        stage = self.stages.get(step.name)
        if stage is None and not marked:
            self.tables[step.name] = table
            return
        try:
            node = yield from self.written(step, table)
            if step.target is None:
                kept = self.paper.kept(table, node, step.name)
                self.tables[step.name] = good_of(kept) if marked else kept
        except UnreadableError as error:
            self.tables[step.name] = None
            self.notes.append(f"{step.name}: the plan does not understand {error}")

    def called(self, step: JobStep) -> Any:
        """What a function returns for tables on paper, as a table or a check; or why that is not known."""
        given: dict[str, Any] = {need: self.tables[need] for need in step.needs}
        if lost := [need for need in step.needs if given[need] is None]:
            return f"it needs {', '.join(lost)}, of which nothing is known"
        given |= {parameter.name: self.values[parameter.name] for parameter in step.parameters}
        try:
            result = step.function(**given)
        except PenstockError:
            raise
        except UnreadableError as error:
            return f"the plan does not understand {error}"
        except Exception as error:  # the function wants rows, and there are none
            return f"it works on rows itself ({type(error).__name__}: {error})"
        if isinstance(result, Checked):
            return result
        if result is None or isinstance(result, (str, bytes, int, float)) or callable(result):
            return f"it returned a {type(result).__name__}"
        table = self.paper.again(result) if is_table(result) else adopt(result, self.paper)  # type: ignore[arg-type]
        return check(table) if step.kind == "source" and is_marked(table) else table

    def written(self, step: JobStep, table: PaperTable) -> Generator[Step, None, Node]:
        """The steps that lead to what is written, and the writing, which puts rows of a folder together; what is
        written, as a tree."""
        options: Mapping[str, Any] = step.target.options if step.target else {}
        by = _listed(options.get("partition_by", ()))
        terms = sql.orders(_listed(options["sort_by"])) if options.get("sort_by") else []
        order = ", ".join(term.text("spark") for term in terms)
        path = step.target.at(self.values) if step.target else ""
        single = bool(path) and not by and "." in path.rpartition("/")[2]
        with calling("write", step.place):
            rows = arranged(self.paper.query, table, partition_by=by, order=order, single=single)
        node = self.paper.placed(rows)
        self.trees.append(node)
        found = self.outline.steps(node)
        name = f"write {path}" if path else f"keep {step.name}"
        bytes_, total = self.paper.forecast.written(node), self.paper.forecast.flows.rows(node)
        moving = found[-1] if found and found[-1].pattern == "write" and found[-1].kind == "wide" else None
        yield from found[:-1] if moving else found
        written = Step(name, "narrow", (), total, NOTHING, "to Parquet")
        if moving:
            written = moving._replace(name=name, keys=tuple(by), rows=total, how="to Parquet")
        yield written._replace(
            pattern="write", place=step.place, step=step.name, written_bytes=bytes_,
            files=self.files(rows, by, bytes_, single, options),
        )  # fmt: skip
        return _before_writing(node)

    def files(
        self, rows: PaperTable, by: Sequence[str], written: Figure, single: bool, options: Mapping[str, Any]
    ) -> Figure:
        """How many files are written: one a folder, or more where they would be too large."""
        if single:
            return exact(1)
        a_file = bytes_of(options.get("target_file_size", "256MB"))
        places = dict(rows.relation.names)
        keys = tuple(column(places[name]) for name in by)
        folders = self.paper.forecast.flows.distinct(rows.relation.node, keys).total if keys else exact(1)
        if folders.mid is None or written.mid is None:
            return UNKNOWN
        return folders._replace(mid=max(folders.mid, written.mid / a_file), high=None, basis="sample")


def _before_writing(node: Node) -> Node:
    """The tree of the rows themselves, without what puts them together for files."""
    found = at = node
    while len(at.children) == 1:
        label: Label | None = getattr(at.why if isinstance(at, Exchange) else at, "label", None)
        at = at.children[0]
        if label and label.name == "write":
            found = at
        elif label:
            break
    return found


def _listed(value: str | Sequence[str]) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
