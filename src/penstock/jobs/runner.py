"""Does what `resume` says is not done: stages side by side in threads, each in a branch of the engine.

A stage's functions are called one after another and give one lazy table; one statement runs it. What is written appears
together with its record. Whatever stops a run, the next one goes on with what is not recorded.
"""

from __future__ import annotations

import contextlib
import datetime
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from penstock.engines.engine import Engine, Table, connect, default_engine
from penstock.errors import CheckFailed, PenstockError, StepFailed, UsageError
from penstock.jobs import resume as resuming
from penstock.jobs.job import LOGICAL_TIME, Job, Step
from penstock.jobs.parameters import bound, plain
from penstock.jobs.resume import Decision
from penstock.jobs.run_folder import RunFolder, create, held, prune, runs_of
from penstock.jobs.stages import Stage, stages_of
from penstock.jobs.work import Work
from penstock.tables import read
from penstock.threads import begun, stop

__all__ = ["Run", "decided", "logical_time", "run"]

AT_ONCE = 4  # stages: more share the cores and the memory without being done sooner
BETWEEN_LOOKS = 0.1  # seconds
TO_STOP = 5.0  # seconds that a stage has to end after it was told to
UNPACKED = 4  # times as large are rows in memory as in Parquet, about
FIRST_PAUSE = 1.0  # seconds before the first retry; each one after it waits twice as long, up to a minute

Watch = Callable[[Mapping[str, Any]], None]


class Run(NamedTuple):
    """A run of a job, as far as it came."""

    folder: Path
    status: str
    """finished; partial, where steps were left out after a failure."""
    did: tuple[str, ...]
    """The stages that it did itself; the others were done before."""

    @property
    def id(self) -> str:
        """The name of its folder."""
        return self.folder.name

    def table(self, step: str, engine: Engine | None = None) -> Table:
        """The rows of a step that was kept."""
        return read(RunFolder(self.folder).rows(step), "parquet", engine)

    def quarantined(self, step: str, engine: Engine | None = None) -> Table:
        """The rows that a step's check refused."""
        return read(RunFolder(self.folder).quarantine(step), "parquet", engine)

    @property
    def events(self) -> list[dict[str, Any]]:
        """What happened, in order."""
        return RunFolder(self.folder).events()


def run(
    job: Job, engine: Engine | str | None, *, resume: bool, select: str | Sequence[str] | None, wait: bool,
    watch: Watch | None, params: Mapping[str, Any],
) -> Run:  # fmt: skip
    """See `Job.run`."""
    home = Path(job.folder, job.name)
    job.ordered(select)
    with held(home, wait=wait):
        intent = decided(job, resume=resume, select=select, params=params)
        last = intent.last
        if last and intent.continues:
            last.clear()
        if not any(decision.runs for decision in intent.decisions) and last:
            if intent.continues:
                last.append(_event("run_finished", status="finished"))
            if watch:
                watch(_event("run_unneeded", run=last.id, folder=str(last.path), continues=intent.continues))
            return Run(last.path, "finished", ())
        with _opened(engine) as opened:
            folder = last if last and intent.continues else create(home, intent.start(job))
            try:
                found = _Attempt(job, opened, folder, intent, watch or (lambda _: None)).run()
            finally:
                folder.clear()
        prune(home, job.keep_runs)
        return found


class Intent(NamedTuple):
    """What a run is going to do."""

    decisions: list[Decision]
    values: dict[str, Any]
    last: RunFolder | None
    continues: bool
    """Whether the last run goes on, in place of a new one."""

    def start(self, job: Job) -> dict[str, Any]:
        """What a new run's `run.json` says."""
        values = {name: plain(value) for name, value in self.values.items() if name != LOGICAL_TIME}
        return {"job": job.name, "parameters": values, LOGICAL_TIME: plain(self.values[LOGICAL_TIME])}


def decided(
    job: Job, *, resume: bool = True, select: str | Sequence[str] | None = None, params: Mapping[str, Any]
) -> Intent:
    """What a run would do, and why; writes nothing."""
    steps = job.ordered(select)
    given = dict(params)
    told = given.pop(LOGICAL_TIME, None)
    values = bound(job.parameters, given)
    runs = runs_of(Path(job.folder, job.name))
    starts = {run: run.start() for run in runs}
    last = runs[-1] if runs else None
    same = last is not None and starts[last]["parameters"] == {name: plain(value) for name, value in values.items()}
    continues = bool(last and resume and same and not _is_finished(last) and told is None)
    values[LOGICAL_TIME] = logical_time(starts[last][LOGICAL_TIME] if last and continues else told)
    earlier = runs[::-1] if resume else []
    records = {name: record["why"] for run in earlier for name, record in run.records().items()}
    asked = [select] if isinstance(select, str) else list(select or ())
    stages = stages_of(steps, asked, records, values)
    return Intent(resuming.decide(stages, job.steps, values, earlier), values, last, continues)


def _is_finished(folder: RunFolder) -> bool:
    ends = [event for event in folder.events() if event["event"] in ("run_started", "run_finished")]
    return bool(ends) and ends[-1].get("status") == "finished"


def logical_time(given: Any) -> datetime.datetime:
    """The time that a run stands for: what was given, or now."""
    if given is None:
        return datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
    if isinstance(given, datetime.datetime):
        return given
    try:
        return datetime.datetime.fromisoformat(str(given))
    except ValueError as error:
        raise UsageError(f"{LOGICAL_TIME}={given} is no time", "write it like 2026-03-01T12:00:00") from error


@contextmanager
def _opened(engine: Engine | str | None) -> Iterator[Engine]:
    if isinstance(engine, str):
        with connect(engine) as opened:
            yield opened
    else:
        yield engine or default_engine()


def _event(name: str, **details: Any) -> dict[str, Any]:
    now = datetime.datetime.now(datetime.UTC)
    return {"t": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"), "event": name} | details


# -- one attempt at all stages ----------------------------------------------------------------------------------------


@dataclass
class _Running:
    """A stage at work."""

    work: Work
    outcome: Future[dict[str, Any]]
    thread: threading.Thread
    attempt: int
    began: float = field(default_factory=time.monotonic)
    told: float | None = None
    """When it was told to stop because its time was over."""


class _Attempt:
    """What is known while stages run."""

    def __init__(self, job: Job, engine: Engine, folder: RunFolder, intent: Intent, watch: Watch) -> None:
        self.job, self.engine, self.folder, self.watch = job, engine, folder, watch
        self.intent = intent
        self.waiting = {decision.stage.name: decision.stage for decision in intent.decisions if decision.runs}
        self.done = {d.stage.name: d.fingerprint for d in intent.decisions if not d.runs}
        self.running: dict[str, _Running] = {}
        self.retry_at: dict[str, float] = {}
        self.attempts: dict[str, int] = {}
        self.without: set[str] = set()
        """Stages that failed, and those left out for it."""
        self.did: list[str] = []
        self.failure: PenstockError | None = None

    def run(self) -> Run:
        """Run the stages until all are done, or none can begin."""
        began = time.monotonic()
        self.tell(
            "run_started", run=self.folder.id, folder=str(self.folder.path), engine=self.engine.name,
            resumed=self.intent.continues, **self.intent.start(self.job),
            stages=[{"step": d.stage.name, "members": d.stage.members, "state": d.state, "why": d.why,
                     "kept": d.stage.why} for d in self.intent.decisions],
        )  # fmt: skip
        try:
            self.take_over()
            while self.waiting or self.running:
                self.begin()
                self.look()
                if not self.running and not self._may_begin():
                    break
        except BaseException as error:
            self.stop_all()
            self.tell("run_interrupted", error=type(error).__name__, seconds=_since(began))
            raise
        if self.failure:
            self.tell("run_finished", status="failed", seconds=_since(began))
            raise self.failure
        status = "partial" if self.without else "finished"
        self.tell("run_finished", status=status, seconds=_since(began))
        return Run(self.folder.path, status, tuple(self.did))

    def tell(self, event: str, **details: Any) -> None:
        """Write an event down and show it to who watches."""
        said = _event(event, **details)
        self.folder.append(said)
        self.watch(said)

    def take_over(self) -> None:
        """Have in this run what earlier ones did."""
        for decision in self.intent.decisions:
            if decision.run and decision.run != self.folder:
                self.folder.take_over(decision.stage.name, decision.run)
                self.tell("step_reused", step=decision.stage.name, run_of=decision.run.id)

    # -- beginning ----------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Start the stages whose needs are there."""
        for name, stage in list(self.waiting.items()):
            if self.failure or len(self.running) >= AT_ONCE:
                return
            missing = [need for need in stage.needs if need in self.without]
            lost = [need for need in missing if self.job.steps[need].on_error != "continue"]
            if lost:
                del self.waiting[name]
                self.without.add(name)
                self.tell("step_skipped", step=name, because=lost)
            elif self._is_ready(stage):
                del self.waiting[name]
                self._start(stage)

    def _is_ready(self, stage: Stage) -> bool:
        there = all(need in self.done or need in self.without for need in stage.needs)
        return there and time.monotonic() >= self.retry_at.get(stage.name, 0.0) and self._fits(stage)

    def _fits(self, stage: Stage) -> bool:
        """Whether there is memory for a stage beside those at work. One by itself spills what it has no room for."""
        budget = self.engine.memory()
        at_work = sum(self._weight(one.work.stage) for one in self.running.values())
        return not self.running or budget is None or at_work + self._weight(stage) <= budget

    def _weight(self, stage: Stage) -> int:
        records = (self.folder.record(need) for need in stage.needs)
        return UNPACKED * sum(int(record.get("bytes", 0)) for record in records if record)

    def _may_begin(self) -> bool:
        return bool(self.waiting) and not self.failure

    def _start(self, stage: Stage) -> None:
        attempt = self.attempts[stage.name] = self.attempts.get(stage.name, 0) + 1
        self.tell("step_started", step=stage.name, members=stage.members, attempt=attempt)
        work = Work(self.job, stage, self.folder, self.intent.values, dict(self.done), frozenset(self.without))
        outcome, thread = begun(lambda: work.run(self.engine), name=f"penstock-{stage.name}")
        self.running[stage.name] = _Running(work, outcome, thread, attempt)

    # -- watching -----------------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Wait a moment; take in what has ended, and stop what has had its time."""
        wait([one.outcome for one in self.running.values()], timeout=BETWEEN_LOOKS, return_when=FIRST_COMPLETED)
        if not self.running:
            time.sleep(BETWEEN_LOOKS if self.waiting else 0)
        for name, one in list(self.running.items()):
            if one.outcome.done():
                del self.running[name]
                self._ended(one)
            elif self._is_over_time(one):
                del self.running[name]
                self._failed(one, _too_long(one.work.stage.step, left_behind=True))
        self.watch({"event": "progress", "running": {
            name: {"share": one.work.progress(), "seconds": _since(one.began)} for name, one in self.running.items()
        }})  # fmt: skip

    def _is_over_time(self, one: _Running) -> bool:
        """Tell a stage to stop when its time is over; whether it has not listened."""
        limit = one.work.stage.step.timeout
        if limit is None or time.monotonic() - one.began < limit:
            return False
        if one.told is None:
            one.told = time.monotonic()
            one.work.stop()
            stop(one.thread)
        return time.monotonic() - one.told > TO_STOP

    def _ended(self, one: _Running) -> None:
        step = one.work.stage.step
        error = one.outcome.exception()
        if one.told is not None:
            error = _too_long(step, left_behind=False)
        if error is None:
            record = one.outcome.result()
            self.done[step.name] = record["fingerprint"]
            self.did.append(step.name)
            for name, kept in one.work.kept.items():
                self.done[name] = kept["fingerprint"]
                self.tell("step_finished", step=name, **_shown(kept))
            self.tell("step_finished", step=step.name, **_shown(record))
        else:
            self._failed(one, error)

    def _failed(self, one: _Running, error: BaseException) -> None:
        step = one.work.stage.step
        told = "".join(traceback.format_exception(error))
        hint = error.hint if isinstance(error, PenstockError) else ""
        what = error.what if isinstance(error, PenstockError) else f"{type(error).__name__}: {error}"
        self.tell(
            "step_failed", step=step.name, attempt=one.attempt, error=what, hint=hint, place=step.place, trace=told
        )
        hopeless = isinstance(error, (UsageError, CheckFailed))
        if one.attempt <= step.retries and not hopeless:
            pause = min(FIRST_PAUSE * 2 ** (one.attempt - 1), 60.0)
            self.retry_at[step.name] = time.monotonic() + pause
            self.waiting[step.name] = one.work.stage
            self.tell("step_retried", step=step.name, in_seconds=pause)
        elif step.on_error == "stop":
            self.failure = self.failure or _ours(step, error, what, hint)
        else:
            self.without.add(step.name)

    def stop_all(self) -> None:
        """Stop what runs, and give it a moment to end."""
        for one in self.running.values():
            one.work.stop()
        with contextlib.suppress(KeyboardInterrupt):
            wait([one.outcome for one in self.running.values()], timeout=TO_STOP)


def _ours(step: Step, error: BaseException, what: str, hint: str) -> PenstockError:
    """The failure of a step as an error of ours, with its place."""
    kind = CheckFailed if isinstance(error, CheckFailed) else StepFailed
    failed = kind(f'step "{step.name}" ({step.place}): {what}', hint)
    failed.__cause__ = error
    return failed


def _too_long(step: Step, *, left_behind: bool) -> StepFailed:
    said = "was told to stop, is in a call that cannot be, and was left behind" if left_behind else "was stopped"
    return StepFailed(f"it took longer than {step.timeout:g} s and {said}", "raise timeout=, or give it less to do")


def _shown(record: Mapping[str, Any]) -> dict[str, Any]:
    """What an event says of a record."""
    kept = ("rows", "bytes", "seconds", "quarantined", "reasons", "path", "why", "copied", "found")
    return {key: record[key] for key in kept if key in record} | {"files": len(record.get("files", ()))}


def _since(began: float) -> float:
    return round(time.monotonic() - began, 3)
