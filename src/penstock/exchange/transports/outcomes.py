"""What a worker's function returned or raised, on its way to the one who called `run`."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

from penstock import errors
from penstock.errors import EngineError, PenstockError
from penstock.exchange.transports.parcels import packed

__all__ = ["failure", "outcome_of", "result_of"]


def outcome_of(work: Callable[[], object]) -> bytes:
    """What a worker returns or raises, as a parcel."""
    try:
        return packed(("returned", work()))
    except BaseException as error:  # raised again by `result_of`
        return packed(("raised", *_said(error), traceback.format_exc()))


def result_of(worker: int, outcome: tuple[Any, ...]) -> Any:
    """What a worker returned; what it raised is raised here."""
    if outcome[0] == "returned":
        return outcome[1]
    _, kind, what, hint, trace = outcome
    error = _error(worker, kind, what, hint)
    error.add_note(trace)
    raise error


def failure(worker: int, error: BaseException) -> PenstockError:
    """A worker's error as one that says whose it was."""
    return _error(worker, *_said(error))


def _said(error: BaseException) -> tuple[str, str, str]:
    what, hint = (error.what, error.hint) if isinstance(error, PenstockError) else (str(error), "")
    return type(error).__name__, what, hint


def _error(worker: int, kind: str, what: str, hint: str) -> PenstockError:
    """The same error where it is one of ours, with the worker in front."""
    ours = getattr(errors, kind, None)
    if isinstance(ours, type) and issubclass(ours, PenstockError):
        return ours(what if what.startswith(f"worker {worker} ") else f"worker {worker}: {what}", hint)
    return EngineError(f"worker {worker} failed: {kind}: {what}", hint)
