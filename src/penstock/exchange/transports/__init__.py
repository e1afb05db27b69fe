"""How bytes get from one worker to another: one file a way, started by `run`.

A folder of its own, because each way is a subject by itself and none of them knows the statistics above.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
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
    if not callable(fn):
        raise UsageError(
            f"a {type(fn).__name__} is nothing that a worker can do", "give a function of a part and a world"
        )
    is_list = hasattr(parts, "__len__") and hasattr(parts, "__getitem__")
    if not is_list or isinstance(parts, (str, bytes, Mapping)):
        raise UsageError(f"a {type(parts).__name__} is no list of parts", "give a list with a part for each worker")
    known = list(inspect.signature(TRANSPORTS[transport]).parameters)[2:]
    for option in options:
        if option not in known:
            raise UsageError(f'transport="{transport}" has no option {option}=', f"it has: {', '.join(known)}")
    return TRANSPORTS[transport](fn, parts, **options)
