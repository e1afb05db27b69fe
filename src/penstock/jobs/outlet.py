"""Tells another system of a run from a thread of its own, so that the run does not wait for it, nor fail with it."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["ENDS", "Complain", "Outlet", "warned"]

ENDS = ("run_finished", "run_interrupted", "run_unneeded")
PATIENCE = 3.0  # seconds that the end of a run waits for the next event to be sent
LONGEST = 10.0  # seconds that it waits for all of them
TRIES = 3  # failures one after another until no more is tried in this run

Event = Mapping[str, Any]
Complain = Callable[[str], None]


def warned(said: str) -> None:
    """Complain as a library does. Where warnings are errors, this one is dropped: it would end the run."""
    with contextlib.suppress(UserWarning):
        warnings.warn(said, UserWarning, stacklevel=2)


class Outlet:
    """A watcher of a run that hands every event on.

    Args:
        send: Called with each event, in order, in a thread. It may take its time, and it may raise.
        what: What does not arrive where it raises, for the one complaint.
        complain: Called once a run, in the thread of the run.
    """

    def __init__(self, send: Callable[[Event], None], what: str, complain: Complain = warned) -> None:
        self.send, self.what, self.complain = send, what, complain
        self.waiting: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self.thread: threading.Thread | None = None
        self.sent = 0
        self.trouble = ""
        self.complained = False

    def __call__(self, event: Event) -> None:
        """Take an event of the run; at its last one, wait a moment until all are sent."""
        if event["event"] == "progress":
            self._say()
            return
        if self.thread is None:
            self._begin()
        self.waiting.put(event)
        if event["event"] in ENDS:
            self._end()
        self._say()

    def _begin(self) -> None:
        self.waiting, self.trouble, self.complained = queue.SimpleQueue(), "", False
        self.thread = threading.Thread(target=self._work, args=(self.waiting,), name="penstock-outlet", daemon=True)
        self.thread.start()

    def _end(self) -> None:
        thread, self.thread = self.thread, None
        self.waiting.put(None)
        if thread is not None:
            until, sent = time.monotonic() + LONGEST, -1
            while thread.is_alive() and self.sent > sent and time.monotonic() < until:
                sent = self.sent
                thread.join(PATIENCE)
            if thread.is_alive():
                self.trouble = self.trouble or "it takes too long"

    def _work(self, waiting: queue.SimpleQueue[Event | None]) -> None:
        failures = 0
        while (event := waiting.get()) is not None:
            if failures >= TRIES:
                continue
            try:
                self.send(event)
                self.sent, failures = self.sent + 1, 0
            except Exception as error:  # whatever it is, it is not the run's business
                failures += 1
                self.trouble = self.trouble or f"{type(error).__name__}: {error}"

    def _say(self) -> None:
        if self.trouble and not self.complained:
            self.complained = True
            self.complain(f"{self.what}: {self.trouble}")
