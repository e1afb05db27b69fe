"""A run as OpenLineage tells it: events for the job and for each stage, to a file or to a server, as they happen.

The job is a run, and each attempt at a stage is one within it. Their ids are derived from the name of the run's folder,
so that a run which is resumed goes on under the same ids. What was read and written is taken from the stages' records.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import uuid
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from penstock import __version__
from penstock.engines.files import is_remote
from penstock.errors import MissingExtra, UsageError
from penstock.jobs.datasets import PRODUCER, Datasets, facet, namespace
from penstock.jobs.outlet import Complain, Outlet, warned
from penstock.jobs.run_folder import RunFolder

if TYPE_CHECKING:
    from openlineage.client.event_v2 import RunEvent

__all__ = ["emitting", "events"]

TIMEOUT = 2.0  # seconds to connect to a server, and again until it answers
MOST_SQL = 100_000  # characters of a statement that is told; one that names thousands of files is longer
_RUNS = uuid.UUID("6f8bd7a5-4c3e-5b42-9d0f-7f6a1a2f0c11")


def emitting(target: str | os.PathLike[str], complain: Complain = warned) -> Outlet:
    """A watcher for `job.run(watch=…)` that emits OpenLineage events.

    Args:
        target: A file, which a line is appended to for each event, or the http(s) URL of a server: all up to
            `/api/v1/lineage`, or the whole address where it ends in another way than that but in `/lineage`.
        complain: Called once if they cannot be emitted, which the run does not mind.
    """
    named = os.fspath(target)
    transport, told = _transport(named), _Told()

    def send(event: Mapping[str, Any]) -> None:
        for one in list(told.events(event)):
            client().emit(one)

    @cache  # made in the thread that sends: what is wrong with its configuration is not the run's business either
    def client() -> Any:
        from openlineage.client import OpenLineageClient

        return OpenLineageClient(config={"transport": transport})

    return Outlet(send, f"lineage does not get to {named}", complain)


def events(folder: RunFolder) -> Iterator[RunEvent]:
    """The OpenLineage events of a run that there was."""
    told = _Told()
    for event in folder.events():
        yield from told.events(event | {"folder": str(folder.path)})


def _transport(target: str) -> dict[str, Any]:
    """Where to, for OpenLineage's own client: what its environment variables and `openlineage.yml` say is added."""
    try:
        import openlineage.client  # noqa: F401
    except ImportError as error:
        raise MissingExtra.of("openlineage-python", "otel") from error
    if target.startswith(("http://", "https://")):
        address = urlsplit(target)
        whole = address.path.rstrip("/").endswith("/lineage")
        base = f"{address.scheme}://{address.netloc}" if whole else f"{target.rstrip('/')}/"
        endpoint = {"endpoint": address.path.lstrip("/")} if whole else {}
        none_again = {"total": 0, "read": 0, "connect": 0}
        return {"type": "http", "url": base, "timeout": TIMEOUT, "retry": none_again} | endpoint
    if is_remote(target):
        raise UsageError(f"lineage cannot go to {target}", "give a file of this machine, or an http(s) URL")
    path = Path(target.removeprefix("file://")).absolute()
    with contextlib.suppress(OSError):  # it is told when the first event cannot be written
        path.parent.mkdir(parents=True, exist_ok=True)
    return {"type": "file", "log_file_path": str(path), "append": True}


# -- events -----------------------------------------------------------------------------------------------------------


class _Told:
    """What is known of a run from the events before."""

    def __init__(self) -> None:
        self.run: Mapping[str, Any] = {}
        self.open: dict[str, str] = {}
        """Stages that have begun and not ended, and the ids of their runs."""
        self.error: Mapping[str, Any] = {}

    def events(self, event: Mapping[str, Any]) -> Iterator[RunEvent]:
        """What OpenLineage is told of an event."""
        kind, at = event["event"], event.get("t", "")
        if kind == "run_started":
            self.run, self.open, self.error = event, {}, {}
            yield self._job("START", at)
        elif kind == "run_unneeded" and event["continues"]:  # it was killed when it had done all
            starts = (one for one in RunFolder(Path(event["folder"])).events() if one["event"] == "run_started")
            self.run = {**next(starts), "folder": event["folder"]}
            yield self._job("COMPLETE", at)
        elif not self.run:
            return
        elif kind == "step_started":
            self.open[event["step"]] = self._id(event["step"], event["attempt"])
            yield self._stage("START", at, event["step"])
        elif kind == "step_finished":
            if event["step"] not in self.open:  # written down on the way to another, which was not known before
                self.open[event["step"]] = self._id(event["step"], 1)
                yield self._stage("START", _earlier(at, event["seconds"]), event["step"])
            yield self._stage("COMPLETE", at, event["step"])
            del self.open[event["step"]]
        elif kind == "step_failed":
            self.error = event
            yield self._stage("FAIL", at, event["step"], event)
            self.open.pop(event["step"], None)
        elif kind == "run_interrupted":
            for step in list(self.open):
                yield self._stage("ABORT", at, step, event)
            yield self._job("ABORT", at, event)
        elif kind == "run_finished":
            done = event["status"] == "finished"
            yield self._job("COMPLETE" if done else "FAIL", at, {} if done else self.error)

    def _id(self, step: str, attempt: int) -> str:
        return str(uuid.uuid5(uuid.UUID(self.run_id), f"{step}/{attempt}"))

    @property
    def run_id(self) -> str:
        """That of the job's run. Runs of other jobs, and on other machines, may be of the same millisecond."""
        parts = (namespace(), *(self.run[key] for key in ("job", "run", "logical_time")))
        return str(uuid.uuid5(_RUNS, "/".join(map(str, parts))))

    def _job(self, state: str, at: str, error: Mapping[str, Any] | None = None) -> RunEvent:
        from openlineage.client.event_v2 import Job, Run, RunEvent, RunState

        job = Job(namespace(), self.run["job"], facets=_job_facets("JOB"))
        run = Run(self.run_id, facets=self._run_facets(error))
        return RunEvent(eventTime=at, producer=PRODUCER, eventType=RunState[state], run=run, job=job)

    def _stage(self, state: str, at: str, step: str, error: Mapping[str, Any] | None = None) -> RunEvent:
        from openlineage.client.event_v2 import Job, Run, RunEvent, RunState
        from openlineage.client.facet_v2 import parent_run

        parent = facet(
            parent_run.ParentRunFacet, run=parent_run.Run(self.run_id),
            job=parent_run.Job(namespace(), self.run["job"]),
        )  # fmt: skip
        done = Datasets(RunFolder(Path(self.run["folder"])), self.run["job"], step) if state == "COMPLETE" else None
        return RunEvent(
            eventTime=at, producer=PRODUCER, eventType=RunState[state],
            run=Run(self.open.get(step) or self._id(step, 1), facets=self._run_facets(error) | {"parent": parent}),
            job=Job(namespace(), f"{self.run['job']}.{step}", facets=_job_facets("TASK", done)),
            inputs=done.inputs() if done else [], outputs=done.outputs() if done else [],
        )  # fmt: skip

    def _run_facets(self, error: Mapping[str, Any] | None) -> dict[str, Any]:
        from openlineage.client.facet_v2 import error_message_run, nominal_time_run, processing_engine_run

        package = {"spark": "pyspark"}.get(self.run["engine"], self.run["engine"])
        stands_for = _time(self.run["logical_time"])
        found = {
            "nominalTime": facet(nominal_time_run.NominalTimeRunFacet, nominalStartTime=stands_for),
            "processing_engine": facet(
                processing_engine_run.ProcessingEngineRunFacet, version=version(package), name=self.run["engine"],
                openlineageAdapterVersion=__version__,
            ),
        }  # fmt: skip
        if error:
            found["errorMessage"] = facet(
                error_message_run.ErrorMessageRunFacet, message=str(error["error"]), programmingLanguage="python",
                stackTrace=error.get("trace"),
            )  # fmt: skip
        return found


def _job_facets(kind: str, done: Datasets | None = None) -> dict[str, Any]:
    from openlineage.client.facet_v2 import job_type_job, sql_job

    found = {
        "jobType": facet(job_type_job.JobTypeJobFacet, processingType="BATCH", integration="PENSTOCK", jobType=kind)
    }
    if done and 0 < len(done.statement) <= MOST_SQL:
        found["sql"] = facet(sql_job.SQLJobFacet, query=done.statement, dialect="duckdb")
    return found


def _time(said: str) -> str:
    """A time of ours, in UTC where it does not say so, as others read it."""
    time = datetime.datetime.fromisoformat(said)
    return (time if time.tzinfo else time.replace(tzinfo=datetime.UTC)).isoformat().replace("+00:00", "Z")


def _earlier(at: str, seconds: float) -> str:
    began = datetime.datetime.fromisoformat(at) - datetime.timedelta(seconds=seconds)
    return began.isoformat(timespec="milliseconds").replace("+00:00", "Z")
