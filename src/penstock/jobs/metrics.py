"""What a run did in numbers, as a text file that Prometheus's node exporter picks up from its `textfile` folder."""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.errors import MissingExtra, UsageError
from penstock.jobs.outlet import ENDS, Complain, warned
from penstock.jobs.run_folder import RunFolder, runs_of
from penstock.jobs.summary import summary

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

__all__ = ["collected", "exporting", "write"]

STATUSES = ("finished", "partial", "failed", "interrupted")


def exporting(path: str | os.PathLike[str], complain: Complain = warned) -> Callable[[Mapping[str, Any]], None]:
    """A watcher for `job.run(watch=…)` that writes a run's metrics at its end.

    Args:
        path: The file, which is replaced in one step. The exporter takes those that end in `.prom`.
        complain: Called if it cannot be written, which the run does not mind.
    """
    _needed()
    target = Path(path)
    if target.suffix != ".prom":
        raise UsageError(f"{target} does not end in .prom", "the node exporter takes no other files")
    folders: list[str] = []

    def watch(event: Mapping[str, Any]) -> None:
        folders[:] = [event["folder"]] if "folder" in event else folders
        if folders and event["event"] in ENDS:
            try:
                write(RunFolder(Path(folders[0])), target, event)
            except Exception as error:  # whatever it is, it is not the run's business
                complain(f"metrics are not written to {target}: {type(error).__name__}: {error}")

    return watch


def write(folder: RunFolder, path: Path, end: Mapping[str, Any]) -> None:
    """The metrics of a run as a file, which is replaced in one step."""
    from prometheus_client import write_to_textfile

    path.parent.mkdir(parents=True, exist_ok=True)
    write_to_textfile(str(path), collected(folder, end))


def collected(folder: RunFolder, end: Mapping[str, Any]) -> CollectorRegistry:
    """The metrics of a run, by the event that was its end."""
    from prometheus_client import CollectorRegistry, Gauge

    registry = CollectorRegistry()
    run = summary(folder)
    retries = [event["step"] for event in folder.events() if event["event"] == "step_retried"]

    def gauge(name: str, text: str, *labels: str) -> Callable[..., Any]:
        made = Gauge(f"penstock_{name}", text, ("job", *labels), registry=registry)
        return lambda value, *said: made.labels(run["job"], *said).set(value)

    ended = "finished" if end["event"] == "run_unneeded" else run["status"]
    status = gauge("run_status", "1 for how the last run ended, 0 for the other ways.", "status")
    for known in STATUSES:
        status(ended == known, known)
    gauge("run_seconds", "How long the last run took, all its attempts together.")(run["seconds"])
    gauge("run_end_time_seconds", "When the last run ended.")(_unix(end["t"]))
    if success := max(_successes(folder, end["t"] if ended == "finished" else None), default=None):
        gauge("run_last_success_time_seconds", "When a run was last finished, or found all done.")(success)

    seconds = gauge("step_seconds", "How long the step took when it was last done.", "step")
    rows = gauge("step_rows", "Rows that the step wrote.", "step")
    size = gauge("step_bytes", "Bytes that the step wrote.", "step")
    tried = gauge("step_retries", "How often the step was tried again.", "step")
    refused = gauge("step_quarantined_rows", "Rows that the step's check refused.", "step")
    reasons = gauge(
        "step_quarantined_reasons", "Rows that break a rule; one that breaks two is in both.", "step", "reason"
    )
    for step in run["steps"]:
        name = step["step"]
        for key, told in (("seconds", seconds), ("rows", rows), ("bytes", size), ("quarantined", refused)):
            if key in step:
                told(step[key], name)
        tried(retries.count(name), name)
        for reason, count in step.get("reasons", {}).items():
            reasons(count, name, reason)
    return registry


def _successes(folder: RunFolder, now: str | None) -> Iterator[float]:
    """When runs of the job were finished, this one or those before it."""
    if now is not None:
        yield _unix(now)
    for run in runs_of(folder.path.parent):
        for event in run.events():
            if event["event"] == "run_finished" and event["status"] == "finished":
                yield _unix(event["t"])


def _unix(time: str) -> float:
    return datetime.datetime.fromisoformat(time).timestamp()


def _needed() -> None:
    try:
        import prometheus_client  # noqa: F401
    except ImportError as error:
        raise MissingExtra.of("prometheus-client", "otel") from error
