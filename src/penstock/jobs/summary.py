"""What a run did, told from its folder alone: the terminal, `--json` and a page show this one record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from penstock.jobs.run_folder import RunFolder, is_held

__all__ = ["FORMAT_VERSION", "differences", "status_of", "summary"]

FORMAT_VERSION = "1.0"
_ENDS = {"run_interrupted": "interrupted"}


def status_of(folder: RunFolder, events: Sequence[Mapping[str, Any]]) -> str:
    """running, finished, partial, failed, interrupted, or killed where it ended without a word."""
    last = next((event for event in reversed(events) if event["event"].startswith("run_")), None)
    if last is None or last["event"] == "run_started":
        return "running" if is_held(folder.path.parent) else "killed"
    return _ENDS.get(last["event"]) or str(last["status"])


def summary(folder: RunFolder) -> dict[str, Any]:
    """The record of a run."""
    start, events = folder.start(), folder.events()
    records = folder.records()
    steps: dict[str, dict[str, Any]] = {}
    for event in events:
        _tell(steps, event)
    for name, record in records.items():  # a kill may come between a record and its event
        shown = {key: record[key] for key in _SHOWN if key in record}
        steps[name] = steps.get(name, {"step": name}) | shown | {"state": _done(steps.get(name, {}))}
    started = [event for event in events if event["event"] == "run_started"]
    order = [name for stage in (started[-1]["stages"] if started else ()) for name in stage["members"]]
    for step in steps.values():  # a member that had to be written down is a step of its own
        step["members"] = [name for name in step.get("members", ()) if name not in steps or name == step["step"]]
    return {
        "format_version": FORMAT_VERSION,
        "run": folder.id,
        "job": folder.job,
        "status": status_of(folder, events),
        "engine": started[-1]["engine"] if started else None,
        "attempts": len(started),
        "began": started[0]["t"] if started else None,
        "seconds": sum(event.get("seconds", 0.0) for event in events if event["event"] in _RUN_ENDS),
        "logical_time": start["logical_time"],
        "parameters": start["parameters"],
        "steps": sorted(steps.values(), key=lambda step: order.index(step["step"]) if step["step"] in order else -1),
    }


_RUN_ENDS = ("run_finished", "run_interrupted")
_SHOWN = ("rows", "bytes", "seconds", "found", "quarantined", "reasons", "path", "why", "copied", "measured")


def _done(step: Mapping[str, Any]) -> str:
    return "reused" if step.get("state") == "reused" else "done"


def _tell(steps: dict[str, dict[str, Any]], event: Mapping[str, Any]) -> None:
    """Take an event into what is known of its step."""
    kind = event["event"]
    if kind == "run_started":
        for stage in event["stages"]:
            known = steps.setdefault(stage["step"], {"step": stage["step"]})
            known |= {
                "members": stage["members"],
                "state": stage["state"],
                "because": stage["why"],
                "why": stage["kept"],
            }
    elif kind.startswith("step_"):
        known = steps.setdefault(event["step"], {"step": event["step"]})
        known |= {key: value for key, value in event.items() if key in (*_SHOWN, "error", "hint", "place", "attempt")}
        states = {"step_reused": "reused", "step_finished": "done", "step_failed": "failed", "step_skipped": "skipped"}
        known["state"] = states.get(kind, "running")
        if kind == "step_finished":
            known.pop("error", None)


def differences(one: RunFolder, other: RunFolder) -> list[dict[str, Any]]:
    """What two runs of a job did differently, a row for each thing."""
    found: list[dict[str, Any]] = []
    ours, theirs = summary(one), summary(other)
    for name in sorted(ours["parameters"].keys() | theirs["parameters"].keys()):
        _compare(found, "", f"parameter {name}", ours["parameters"].get(name), theirs["parameters"].get(name))
    for key in ("status", "engine"):
        _compare(found, "", key, ours[key], theirs[key])
    before, after = one.records(), other.records()
    for name in dict.fromkeys([*before, *after]):
        a, b = before.get(name, {}), after.get(name, {})
        if not a or not b:
            _compare(found, name, "done", bool(a), bool(b))
            continue
        for member in sorted(a["made_of"]["steps"].keys() | b["made_of"]["steps"].keys()):
            code = (run["made_of"]["steps"].get(member, {}) for run in (a, b))
            _compare(found, name, f"code of {member}", *(parts.get("code", "")[:8] for parts in code))
        for key in ("rows", "bytes", "quarantined", "seconds"):
            _compare(found, name, key, a.get(key), b.get(key))
        for reason in sorted(a.get("reasons", {}).keys() | b.get("reasons", {}).keys()):
            _compare(found, name, reason, a.get("reasons", {}).get(reason, 0), b.get("reasons", {}).get(reason, 0))
    return found


def _compare(found: list[dict[str, Any]], step: str, what: str, one: Any, other: Any) -> None:
    if one != other:
        found.append({"step": step, "what": what, "one": one, "other": other})
