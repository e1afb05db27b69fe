"""Workers as threads of one process, with the unkindest `send` there may be: it blocks until the receiver takes it.

For tests and for small data; Python's lock lets one of them compute at a time.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from penstock.exchange.transports.outcomes import failure
from penstock.exchange.world import World

__all__ = ["run"]

P = TypeVar("P")
R = TypeVar("R")


def run(
    fn: Callable[[P, World], R],
    parts: Sequence[P],
    *,
    timeout: float = 60.0,
    checkpoint: str | os.PathLike[str] | None = None,
) -> list[R]:
    """Run every worker in a thread; the first error of one ends all of them."""
    doors = [_Door(timeout) for _ in parts]
    results: dict[int, R] = {}
    errors: dict[int, BaseException] = {}

    def work(worker: int) -> None:
        world = World(
            worker,
            len(parts),
            lambda to, data: doors[to].put(data),
            doors[worker].take,
            timeout=None,
            checkpoint=checkpoint,
        )
        try:
            results[worker] = fn(parts[worker], world)
        except _Closed:
            pass
        except BaseException as error:  # raised in the caller's thread
            errors.setdefault(worker, error)
            for door in doors:
                door.close()

    threads = [threading.Thread(target=work, args=(worker,), daemon=True) for worker in range(len(parts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive() and not errors:  # one that computes cannot be stopped, and nobody waits for it
            thread.join(0.1)
    for worker, error in errors.items():
        raise failure(worker, error) from error
    return [results[worker] for worker in range(len(parts))]


class _Closed(Exception):
    """Another worker failed; this one ends without a word."""


class _Door:
    """Where one worker's messages are handed over, one at a time, from hand to hand."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._change = threading.Condition()
        self._offers: list[list[bytes]] = []
        self._takers = 0
        self._closed = False

    def put(self, data: bytes) -> None:
        """Offer a message and wait until it is taken."""
        offer = [data]
        with self._change:
            self._offers.append(offer)
            self._change.notify_all()
            self._until(lambda: not offer)

    def take(self) -> bytes:
        """Take the message that was offered first."""
        with self._change:
            self._until(lambda: bool(self._offers))
            data = self._offers.pop(0).pop()
            self._change.notify_all()
            return data

    def close(self) -> None:
        """Let go of everyone who waits here."""
        with self._change:
            self._closed = True
            self._change.notify_all()

    def _until(self, holds: Callable[[], bool]) -> None:
        end = time.monotonic() + self._timeout
        while not holds():
            if self._closed:
                raise _Closed
            if not self._change.wait(end - time.monotonic()):
                raise TimeoutError(f"nothing for {self._timeout:g} s")
