"""A limit on calls that have none: `send` and `recv` of the user's own may block for ever."""

from __future__ import annotations

import queue
import threading
import weakref
from collections.abc import Callable
from typing import Any

__all__ = ["Patience"]

Call = tuple[Callable[..., Any], tuple[Any, ...]]


class Patience:
    """Makes calls one after the other in a thread of its own, and stops waiting for one after `timeout` seconds.

    A call that was given up still blocks that thread, which does not keep the process alive.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._calls: queue.SimpleQueue[Call | None] = queue.SimpleQueue()
        self._outcomes: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def __call__(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """What the function returns or raises, or TimeoutError."""
        if self._thread is None:
            self._thread = threading.Thread(target=_work, args=(self._calls, self._outcomes), daemon=True)
            self._thread.start()
            weakref.finalize(self, self._calls.put, None)
        self._calls.put((function, arguments))
        try:
            result, error = self._outcomes.get(timeout=self._timeout)
        except queue.Empty:
            raise TimeoutError(f"nothing for {self._timeout:g} s") from None
        if error is not None:
            raise error
        return result


def _work(calls: queue.SimpleQueue[Call | None], outcomes: queue.SimpleQueue[tuple[Any, BaseException | None]]) -> None:
    while (call := calls.get()) is not None:
        function, arguments = call
        try:
            outcomes.put((function(*arguments), None))
        except BaseException as error:  # raised again in the thread that waits
            outcomes.put((None, error))
