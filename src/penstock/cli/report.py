"""A run as text: what each step did, what was quarantined, what was written, and what to do next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from penstock.amounts import aligned, amount, clock, size

__all__ = ["report"]

MARKS = {"done": "✓", "reused": "=", "failed": "✗", "skipped": "-", "running": "*", "unneeded": "="}


def report(found: Mapping[str, Any]) -> str:
    """The summary of a run."""
    return "\n".join(_lines(found))


def _lines(found: Mapping[str, Any]) -> Iterator[str]:
    steps = found["steps"]
    again = f" in {found['attempts']} attempts" if found["attempts"] > 1 else ""
    took = f"{clock(found['seconds'])}{again}"
    yield f"{found['job']} {found['status']} in {took} · run {found['run']} · {found['engine']}"
    yield ""
    rows = [
        [
            f"{MARKS.get(step['state'], '·')} {' > '.join(step.get('members') or [step['step']])}",
            amount(step.get("rows")), size(step.get("bytes")),
            clock(step["seconds"]) if step["state"] == "done" and "seconds" in step else step["state"],
            step.get("error") or step.get("why", ""),
        ]
        for step in steps
    ]  # fmt: skip
    yield from aligned([["  step", "rows", "bytes", "took", "kept because"], *rows], right=(1, 2, 3))
    yield ""
    for step in steps:
        if step.get("quarantined"):
            reasons = " · ".join(f"{name} {amount(n)}" for name, n in step["reasons"].items())
            share = step["quarantined"] / step["found"]
            bad = f"{amount(step['quarantined'])} of {amount(step['found'])} rows quarantined ({share:.2%})"
            yield f" quality  {step['step']}: {bad}: {reasons}"
    for step in steps:
        if step.get("path") and step["state"] in ("done", "reused"):
            yield f" wrote    {step['path']}: {amount(step.get('rows'))} rows, {size(step.get('bytes'))}"
    yield f" next     {' · '.join(_next(found))}"


def _next(found: Mapping[str, Any]) -> Iterator[str]:
    short = found["run"].rpartition("-")[2]
    yield f"penstock show {short}"
    if any(step.get("quarantined") for step in found["steps"]):
        yield f"penstock quarantine {short}"
    if found["status"] not in ("finished", "running"):
        yield "the same penstock run goes on from here"
