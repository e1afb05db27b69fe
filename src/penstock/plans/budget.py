"""Budgets: what a plan may move, hold and write at most."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from penstock.amounts import amount, bytes_of, size
from penstock.errors import OverBudget, UsageError
from penstock.figures import Figure
from penstock.forecasts.steps import Step

__all__ = ["Budget", "budget_of", "hold_to"]

BLAMED = 2  # steps that are named, the dearest first


class Budget(NamedTuple):
    """The most that is allowed; None where anything is."""

    moved: int | None = None
    """Bytes of all steps together."""
    memory: int | None = None
    """Bytes that the largest task holds."""
    files: int | None = None
    """That are written."""


def budget_of(max_moved: str | None, max_memory: str | None, max_files: str | None) -> Budget:
    """A budget from the command line."""
    if max_files is not None and not max_files.isdigit():
        raise UsageError(f'--max-files "{max_files}" is no number', "write it like --max-files 1000")
    return Budget(_most(max_moved), _most(max_memory), None if max_files is None else int(max_files))


def _most(given: str | None) -> int | None:
    """A size; "0" is one here: nothing may be moved."""
    if given is None:
        return None
    return 0 if re.fullmatch(r"\s*0+\s*([kmgtp]?i?b)?\s*", given.lower()) else bytes_of(given)


def hold_to(steps: Sequence[Step], budget: Budget) -> None:
    """Refuse steps that are over budget, or of which that cannot be told.

    Raises:
        OverBudget: with the steps to blame.
    """
    if budget.moved is not None:
        _hold(steps, "moved", budget.moved, size, lambda step: step.moved_bytes, sum)
    if budget.memory is not None:
        wide = [step for step in steps if step.kind != "narrow"]
        _hold(wide, "held by one task", budget.memory, size, lambda step: step.memory_bytes, max)
    if budget.files is not None:
        _hold(steps, "written", budget.files, lambda n: f"{amount(round(n))} files", lambda step: step.files, sum)


def _hold(
    steps: Sequence[Step], word: str, most: int, told: Callable[[float], str], of: Callable[[Step], Figure],
    together: Callable[..., float],
) -> None:  # fmt: skip
    known = [(of(step).mid or 0.0, step) for step in steps if of(step).mid is not None]
    whole = together([value for value, _ in known]) if known else 0.0
    blamed = sorted(known, key=lambda pair: -pair[0])[:BLAMED]
    lines = [f"{told(value)}  {_named(step)}" for value, step in blamed if value]
    if whole > most:
        raise OverBudget(
            f"about {told(whole)} would be {word}, and {told(most)} may be", "most of it is for: " + "; ".join(lines)
        )
    if unknown := [step for step in steps if of(step).mid is None]:
        raise OverBudget(
            f"how much would be {word} is not known for: {', '.join(map(_named, unknown))}",
            f"without them it is {told(whole)} of the {told(most)} that may be; the plan says why",
        )


def _named(step: Step) -> str:
    called = f"{step.step}: {step.name}" if step.step else step.name
    return f"{called} ({step.place.rpartition('/')[2]})" if step.place else called
