"""Work in threads that can be watched, and that do not outlive the process."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

__all__ = ["begun", "stop"]

T = TypeVar("T")


def begun(work: Callable[[], T], *, name: str) -> tuple[Future[T], threading.Thread]:
    """Begin work in a thread; its outcome, and the thread."""
    outcome: Future[T] = Future()

    def run() -> None:
        try:
            outcome.set_result(work())
        except BaseException as error:  # raised again by `result`, in the thread that waits
            outcome.set_exception(error)

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    return outcome, thread


def stop(thread: threading.Thread) -> None:
    """Raise KeyboardInterrupt in a thread, as soon as it is back from the call into C that it may be in."""
    if thread.ident is not None:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(KeyboardInterrupt))
