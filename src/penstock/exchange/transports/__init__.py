"""How bytes get from one worker to another: one file a way, started by `run`.

A folder of its own, because each way is a subject by itself and none of them knows the statistics above.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from penstock.errors import UsageError
from penstock.exchange.transports import mpi, process, simulator, tcp, threads
from penstock.exchange.world import World

__all__ = ["run"]

P = TypeVar("P")
R = TypeVar("R")

TRANSPORTS: dict[str, Callable[..., list[Any]]] = {
    "process": process.run,
    "tcp": tcp.run,
    "mpi": mpi.run,
    "threads": threads.run,
    "simulator": simulator.run,
}


def run(fn: Callable[[P, World], R], parts: Sequence[P], transport: str = "process", **options: Any) -> list[R]:
    """Start a worker a part, call `fn(part, world)` in each, and return what they return, in worker order."""
    if transport not in TRANSPORTS:
        raise UsageError(f'transport="{transport}" is unknown', f"there are: {', '.join(TRANSPORTS)}")
    return TRANSPORTS[transport](fn, parts, **options)
