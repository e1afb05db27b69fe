"""Workers as processes that talk through Unix sockets in a folder which only their owner can open."""

from __future__ import annotations

import os
import secrets
import socket
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from penstock.errors import UsageError
from penstock.exchange.transports.mesh import Address, Trust
from penstock.exchange.transports.supervise import Plan, supervise
from penstock.exchange.world import World

__all__ = ["run"]

LONGEST_FOLDER: Final = 100  # the path of a Unix socket has at most 107 bytes

P = TypeVar("P")
R = TypeVar("R")


def run(
    fn: Callable[[P, World], R],
    parts: Sequence[P],
    *,
    timeout: float = 60.0,
    checkpoint: str | os.PathLike[str] | None = None,
    restarts: int = 0,
    part_of: Callable[[int], P] | None = None,
    start: str = "fork",
) -> list[R]:
    """Run every worker in a process of its own on this machine.

    Args:
        fn: What each does, as `fn(part, world)`; with checkpoint= it must do the same every time that it is started.
        parts: One for each worker.
        timeout: Seconds that a worker waits for another before it gives up.
        checkpoint: A folder that keeps every phase; needed for the two that follow.
        restarts: How often a worker that dies is started again.
        part_of: `part_of(worker)` reads a part anywhere: a healthy worker takes over one that is lost for good.
        start: "fork" shares the parts with the workers; "spawn" where the calling process runs threads that hold locks.
    """
    with tempfile.TemporaryDirectory(prefix="penstock-") as folder:  # mode 0700
        if len(folder) > LONGEST_FOLDER:
            raise UsageError(f"{folder} is too long for the path of a socket", 'set TMPDIR, or take transport="tcp"')
        addresses: list[Address] = [str(Path(folder, str(worker))) for worker in range(len(parts))]
        listeners = []
        for address in addresses:
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(address)
            listener.listen(1024)
            listeners.append(listener)
        plan = Plan(
            fn,
            addresses,
            listeners,
            partial(Trust, secrets.token_bytes(32)),
            timeout=timeout,
            checkpoint=checkpoint,
            restarts=restarts,
            part_of=part_of,
            start=start,
        )
        return supervise(plan, parts)
