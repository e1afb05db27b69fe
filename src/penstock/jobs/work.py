"""The work of one stage, in a thread of its own: call the functions, run the one statement, write, record."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

from penstock.engines.engine import Engine, Table, engine_for, using
from penstock.engines.files import observed
from penstock.engines.measures import Measures, together
from penstock.errors import StepFailed, UsageError
from penstock.jobs import checks
from penstock.jobs.checks import Checked
from penstock.jobs.fingerprint import digest, identities
from penstock.jobs.job import Job, Step
from penstock.jobs.resume import made_of, parts_of
from penstock.jobs.run_folder import RunFolder, sums_of
from penstock.jobs.stages import Stage
from penstock.lake.write import published, unpublished, write
from penstock.tables import adopt, columns, is_table, read

__all__ = ["Work"]


class _Built(NamedTuple):
    """A lazy table, and what it is made of."""

    table: Table | None
    steps: dict[str, Any]
    needs: dict[str, str]
    measured: tuple[Measures, ...] = ()
    """What its functions and those of its members had the engine do at once."""


class Work:
    """A stage that is to be done.

    Args:
        done: The stages that are done, and their fingerprints.
        without: Those that failed, and may be done without.
    """

    def __init__(
        self, job: Job, stage: Stage, folder: RunFolder, values: Mapping[str, Any], done: dict[str, str],
        without: frozenset[str],
    ) -> None:  # fmt: skip
        self.job, self.stage, self.folder, self.values = job, stage, folder, values
        self.done, self.without = done, without
        self.kept: dict[str, dict[str, Any]] = {}
        """Records of members that had to be written down, which showed when they were called."""
        self.engine: Engine | None = None
        self.stopped = threading.Event()

    def run(self, engine: Engine) -> dict[str, Any]:
        """Do it, and give its record."""
        with engine.branch() as branch, using(branch):
            self.engine = branch
            step, began = self.stage.step, time.monotonic()
            built, result = self._called(step)
            if step.target:
                return self._sunk(step, built, self._lazy(result, step), began)
            if self._reads_as_fast(step, built, result):
                return self._recorded(step, built, began, {"copied": False}, result)
            return self._written(step, built, result, self.stage.why, began)

    def progress(self) -> float | None:
        """How far the statement is, where the engine knows."""
        return self.engine.progress() if self.engine else None

    def stop(self) -> None:
        """Have it end with an error as soon as it can."""
        self.stopped.set()
        if self.engine:
            self.engine.cancel()

    # -- tables -------------------------------------------------------------------------------------------------------

    def _built(self, step: Step) -> _Built:
        """The rows of a step: read from where they are written down, or as its function makes them."""
        if step.name in self.without:
            return _Built(None, {}, {step.name: "failed"})
        if step.name in self.done and (record := self.folder.record(step.name)) and record.get("copied", True):
            return _Built(self._read(step, record), {}, {step.name: self.done[step.name]})
        built, result = self._called(step)
        if isinstance(result, Checked):
            return self._found(step, built, result, "its check splits the rows")
        if not is_table(result):
            return self._found(step, built, result, "Python computed it")
        return built._replace(table=self._lazy(result, step))

    def _called(self, step: Step) -> tuple[_Built, Any]:
        """What a step's function returns for its inputs, and what that depends on."""
        inputs = {need: self._built(self.job.steps[need]) for need in step.needs}
        self._go_on()
        given = {name: built.table for name, built in inputs.items()}
        given |= {parameter.name: self.values[parameter.name] for parameter in step.parameters}
        with observed() as reads, self._measured() as measured:
            result = step.function(**given)
        seen = [{"names": r.names, "format": r.format, "files": identities(r.paths)} for r in reads]
        own = parts_of(step, self.values) | {"reads": seen}
        steps = {name: parts for built in inputs.values() for name, parts in built.steps.items()} | {step.name: own}
        needs = {name: fingerprint for built in inputs.values() for name, fingerprint in built.needs.items()}
        if is_table(result) and step.kind == "source" and checks.is_marked(result):
            result = checks.check(result)
        if result is None:
            raise UsageError(f'"{step.name}" returned None', "return a table, ps.check(…), or data that ps.adopt takes")
        before = [measures for built in inputs.values() for measures in built.measured]
        return _Built(None, steps, needs, (*before, measured)), result

    def _lazy(self, result: Any, step: Step) -> Table:
        """What a function returned, as a table of this stage's engine."""
        if isinstance(result, Checked):
            raise UsageError(f'the sink "{step.name}" returned a check', "check in a step before it")
        if is_table(result):
            theirs = engine_for(result)
            return result if _same(theirs, self.engine) else adopt(theirs.batches(result), self.engine)
        if isinstance(result, (str, bytes, int, float)) or callable(result):
            raise UsageError(
                f'"{step.name}" returned a {type(result).__name__}', "return a table, or data that ps.adopt takes"
            )
        return adopt(result, self.engine)

    def _reads_as_fast(self, step: Step, built: _Built, result: Any) -> bool:
        """Whether each user of a source had better read its files than a copy of them."""
        files = [path for read in built.steps[step.name]["reads"] for path in read["files"]]
        parquet = bool(files) and all(path.endswith((".parquet", ".pq")) for path in files)
        wanted = step.kind == "source" and not step.keep and "use it" in self.stage.why
        return wanted and parquet and is_table(result) and engine_for(result).is_narrow(result)

    def _read(self, step: Step, record: Mapping[str, Any]) -> Table:
        """The rows of a step that is done."""
        rows = read(self.folder.rows(step.name), "parquet", self.engine)
        return checks.good_of(rows) if record.get("checked") else rows

    # -- writing ------------------------------------------------------------------------------------------------------

    def _found(self, step: Step, built: _Built, result: Any, why: str) -> _Built:
        """Write a member of the stage down, and go on from what was written."""
        record = self.kept[step.name] = self._written(step, built, result, why, time.monotonic())
        self.done[step.name] = record["fingerprint"]
        return _Built(self._read(step, record), {}, {step.name: record["fingerprint"]})

    def _written(self, step: Step, built: _Built, result: Any, why: str, began: float) -> dict[str, Any]:
        self._go_on()
        with self.folder.workshop(step.name) as workshop:
            marked = isinstance(result, Checked)
            table = result.marked if isinstance(result, Checked) else self._lazy(result, step)
            with self._measured() as measured:
                wrote = unpublished(table, workshop / "rows")
            found: dict[str, Any] = {"why": why, "rows": wrote.rows, "bytes": wrote.bytes}
            found["measured"] = together([*built.measured, measured]).to_json()
            if isinstance(result, Checked):
                found |= self._split(step, workshop, result)
            found["files"] = sums_of(workshop / "rows")
            self._go_on()
            return self._recorded(step, built, began, found | {"checked": marked}, table, workshop)

    def _split(self, step: Step, workshop: Path, result: Checked) -> dict[str, Any]:
        """Set the rows apart that a check refused, and fail where they are too many."""
        marked = read(workshop / "rows", "parquet", self.engine)
        counts = checks.counted(marked)
        if counts.quarantined:
            unpublished(checks.quarantined_of(marked), workshop / "quarantine")
            self.folder.set_aside(step.name, workshop / "quarantine")
        checks.refuse_above(counts, result.fail_above)
        good = counts.rows - counts.quarantined
        return {"found": counts.rows, "rows": good, "quarantined": counts.quarantined, "reasons": counts.reasons}

    def _sunk(self, step: Step, built: _Built, table: Table, began: float) -> dict[str, Any]:
        """Write a sink. Files with its fingerprint in their names are of a run that was killed before it said so."""
        made = made_of(step, built.steps, built.needs, self.values)
        path, batch = made["sink"][0], digest(made)[:8]
        self._go_on()
        said = [
            event for event in self.folder.events() if event["event"] == "publishing" and event["step"] == step.name
        ]
        self.folder.append({"event": "publishing", "step": step.name, "batch": batch})
        already = published(path, batch) if said and said[-1]["batch"] == batch else None
        with self._measured() as measured:
            wrote = already or write(table, path, batch=batch, **step.target.options)  # type: ignore[union-attr]
        found = {"why": self.stage.why, "path": path, "rows": wrote.rows, "bytes": wrote.bytes}
        if not already:
            found["measured"] = together([*built.measured, measured]).to_json()
        return self._recorded(step, built, began, found | {"files": {name: [] for name in wrote.files}}, table)

    def _recorded(
        self, step: Step, built: _Built, began: float, found: Mapping[str, Any], table: Table,
        workshop: Path | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        made = made_of(step, built.steps, built.needs, self.values)
        record = {"step": step.name, "fingerprint": digest(made), "made_of": made, "why": self.stage.why} | dict(found)
        record |= {"columns": columns(table), "seconds": round(time.monotonic() - began, 3)}
        statement = engine_for(table).statement(table) if is_table(table) else ""
        if workshop:
            self.folder.finish(step.name, workshop, record, statement)
        else:
            with self.folder.workshop(step.name) as empty:
                self.folder.finish(step.name, empty, record, statement)
        return record

    def _measured(self) -> AbstractContextManager[Measures]:
        return self.engine.measured() if self.engine else nullcontext(Measures())

    def _go_on(self) -> None:
        """Nothing more is written by a stage that was told to stop."""
        if self.stopped.is_set():
            raise StepFailed("it was stopped")


def _same(one: Engine, other: Engine | None) -> bool:
    """Whether two engines are one connection or session."""
    owners = [getattr(engine, "connection", None) or getattr(engine, "session", None) for engine in (one, other)]
    return owners[0] is owners[1]
