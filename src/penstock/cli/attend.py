"""The engine works in a thread while this one watches: Ctrl-C and signals are heard at once, and a bar can be drawn."""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Protocol, TypeVar

from penstock.threads import begun, stop

__all__ = ["Watched", "attended"]

T = TypeVar("T")


class Watched(Protocol):
    """An engine, or other work that says how far it is and can be stopped."""

    def progress(self) -> float | None:
        """From 0 to 1, where it knows."""

    def cancel(self) -> None:
        """Stop it."""


BEFORE_A_BAR = 0.5  # seconds: what is shorter needs none
BETWEEN_LOOKS = 0.2
TO_STOP = 3.0  # that an engine has to notice that it was cancelled


def attended(engine: Watched, work: Callable[[], T], *, task: str = "") -> T:
    """Do work that may take long. With a `task` a bar shows how far it is, where a person is looking."""
    outcome, thread = begun(work, name="penstock-work")
    try:
        wait([outcome], timeout=BEFORE_A_BAR)
        if task and sys.stderr.isatty() and sys.stdout.isatty():
            _draw(engine, outcome, task)
        return outcome.result()
    except BaseException:
        if not outcome.done():  # a signal, not a failure of the work
            engine.cancel()
            stop(thread)  # where it is not the engine that is at work
            wait([outcome], timeout=TO_STOP)
        raise


def _draw(engine: Watched, outcome: Future[T], task: str) -> None:
    """A bar, gone when the work is done. It only moves to and fro where the engine does not know how far it is."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(bar_width=30), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        number = bar.add_task(task, total=None)
        while not outcome.done():
            share = engine.progress()
            bar.update(number, total=None if share is None else 1.0, completed=share or 0.0)
            wait([outcome], timeout=BETWEEN_LOOKS)
