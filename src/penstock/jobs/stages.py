"""Which steps are written down, and why. Those between compose: with the one they lead to, they are one statement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from penstock.jobs.job import Step

__all__ = ["Stage", "stages_of"]


class Stage(NamedTuple):
    """A step that is written down, with those that are computed on the way to it."""

    step: Step
    members: tuple[str, ...]
    """The steps of the statement, the written one last."""
    needs: tuple[str, ...]
    """The stages whose rows it reads."""
    why: str
    """Why its rows are written down."""

    @property
    def name(self) -> str:
        """That of the step which is written down."""
        return self.step.name


def stages_of(
    steps: Sequence[Step], asked_for: Sequence[str], found_out: Mapping[str, str], values: Mapping[str, Any]
) -> list[Stage]:
    """The stages of steps in order. `found_out` are steps that an earlier run had to write down, and why."""
    found = {step.name: _reason(step, steps, asked_for, values) or found_out.get(step.name, "") for step in steps}
    reasons = {name: reason for name, reason in found.items() if reason}
    stages = []
    for step in steps:
        if step.name in reasons:
            members, needs = _chain(step, {other.name: other for other in steps}, reasons)
            stages.append(Stage(step, tuple(dict.fromkeys(members)), tuple(dict.fromkeys(needs)), reasons[step.name]))
    return stages


def _reason(step: Step, steps: Sequence[Step], asked_for: Sequence[str], values: Mapping[str, Any]) -> str:
    users = [other.name for other in steps if step.name in other.needs]
    if step.target:
        return f"written to {step.target.at(values)}"
    if step.keep:
        return "keep=True"
    if len(users) > 1:
        return f"{len(users)} steps use it: {', '.join(users)}"
    own = [word for word, said in (("retries", step.retries), ("a timeout", step.timeout)) if said]
    own += ["on_error"] if step.on_error != "stop" else []
    if own:
        return f"it has {' and '.join(own)} of its own"
    return "asked for" if step.name in asked_for or not users else ""


def _chain(step: Step, steps: Mapping[str, Step], kept: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """The members that lead to a step, and the stages that they begin at."""
    members: list[str] = []
    needs: list[str] = []
    for need in step.needs:
        if need in kept:
            needs.append(need)
        else:
            further, begun = _chain(steps[need], steps, kept)
            members += further
            needs += begun
    return [*members, step.name], needs
