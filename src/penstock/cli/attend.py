"""The engine works in a thread while this one watches: Ctrl-C and signals are heard at once, and a bar can be drawn."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from penstock.engines.engine import Engine

__all__ = ["attended"]

T = TypeVar("T")

BEFORE_A_BAR = 0.5  # seconds: what is shorter needs none
TO_STOP = 3.0  # seconds that an engine has to notice that it was cancelled


def attended(engine: Engine, work: Callable[[], T], *, task: str = "") -> T:
    """Do work that may take long. With a `task` a bar shows that it goes on, where a person is looking."""
    outcome: Future[T] = Future()

    def run() -> None:
        try:
            outcome.set_result(work())
        except BaseException as error:  # raised again by `result`, in the thread that waits
            outcome.set_exception(error)

    threading.Thread(target=run, name="penstock-work", daemon=True).start()
    try:
        wait([outcome], timeout=BEFORE_A_BAR)
        with _bar(task) if task and not outcome.done() and _watched() else nullcontext():
            return outcome.result()
    except BaseException:
        if not outcome.done():  # a signal, not a failure of the work
            engine.cancel()
            wait([outcome], timeout=TO_STOP)
        raise


def _watched() -> bool:
    return sys.stderr.isatty() and sys.stdout.isatty()


def _bar(task: str) -> AbstractContextManager[Any]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(bar_width=30), TimeElapsedColumn())
    progress = Progress(*columns, console=Console(stderr=True), transient=True)
    progress.add_task(task, total=None)
    return progress
