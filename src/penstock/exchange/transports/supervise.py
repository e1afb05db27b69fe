"""Workers as processes of this machine: started, watched, started again or taken over when they die, always ended."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import multiprocessing
import os
import secrets
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

from penstock.errors import EngineError, UsageError
from penstock.exchange.transports.mesh import Address, Mesh, Trust
from penstock.exchange.transports.outcomes import outcome_of, result_of
from penstock.exchange.transports.parcels import packed, unpacked
from penstock.exchange.world import World

__all__ = ["Plan", "supervise"]

P = TypeVar("P")
R = TypeVar("R")

END = b"end"
PR_SET_PDEATHSIG = 1  # of linux/prctl.h


@dataclass(frozen=True)
class Plan(Generic[P, R]):
    """What every worker needs to know."""

    fn: Callable[[P, World], R]
    addresses: list[Address]
    listeners: list[socket.socket]
    trust: Callable[[], Trust]
    timeout: float = 60.0
    checkpoint: str | os.PathLike[str] | None = None
    restarts: int = 0
    part_of: Callable[[int], P] | None = None
    start: str = "fork"
    run: str = ""

    @property
    def forgiving(self) -> bool:
        """Whether a worker may die without ending the run."""
        return self.restarts > 0 or self.part_of is not None


def supervise(plan: Plan[P, R], parts: Sequence[P]) -> list[R]:
    """Run `plan.fn` on every part, in a process each; no process is left, whatever happens."""
    if plan.start != "fork" and "<" in getattr(plan.fn, "__qualname__", ""):
        raise UsageError(
            f"{plan.fn.__qualname__} cannot be found by a process that is started anew",
            'give a function at the top of a file, or start="fork"',
        )
    if plan.forgiving and plan.checkpoint is None:
        raise UsageError("a worker can come back only with what it has kept", "give checkpoint=")
    team = _Team(replace(plan, run=secrets.token_hex(8)), parts)
    try:
        return team.results()
    finally:
        team.end()
        for listener in plan.listeners:
            listener.close()


class _Team(Generic[P, R]):
    """The processes, as the one that started them sees them."""

    def __init__(self, plan: Plan[P, R], parts: Sequence[P]) -> None:
        self._plan = plan
        self._parts = parts
        self._context: Any = multiprocessing.get_context(plan.start)
        self._members: dict[int, tuple[BaseProcess, Connection]] = {}  # by the id that a process was started for
        self._hosts: dict[int, int] = {}  # which of them a worker lives in
        self._starts = dict.fromkeys(range(len(parts)), 0)
        self._results: dict[int, R] = {}

    def results(self) -> list[R]:
        """Wait for all results, and deal with every death on the way."""
        for worker in range(len(self._parts)):
            self._begin(worker)
        while len(self._results) < len(self._parts):
            members = {connection: worker for worker, (_, connection) in self._members.items()}
            for ready in wait(list(members)):
                try:
                    message = ready.recv_bytes()  # type: ignore[union-attr]
                except (EOFError, OSError):
                    self._died(members[ready])  # type: ignore[index]
                else:
                    worker = int.from_bytes(message[:4], "little")
                    self._results[worker] = result_of(worker, unpacked(message[4:]))
        return [self._results[worker] for worker in range(len(self._parts))]

    def end(self) -> None:
        """Let everyone go, and end those that do not go."""
        for _, connection in self._members.values():
            with contextlib.suppress(OSError):
                connection.send_bytes(END)
        finished = len(self._results) == len(self._parts)
        for process, _ in self._members.values():
            if not finished:
                process.kill()
            process.join(5.0)
            if process.exitcode is None:
                process.kill()
                process.join()
        for process, connection in self._members.values():
            connection.close()
            process.close()

    def _begin(self, worker: int) -> None:
        ours, theirs = self._context.Pipe()
        self._starts[worker] += 1
        others = [ours, *(connection for _, connection in self._members.values())] if self._plan.start == "fork" else []
        process = self._context.Process(
            target=_member,
            args=(self._plan, worker, self._parts[worker], theirs, others, self._starts[worker] > 1),
            name=f"penstock worker {worker}",
        )
        with warnings.catch_warnings(), _no_collection():
            # Python 3.12 warns of any fork in a process with threads; `start` says when to take "spawn".
            warnings.simplefilter("ignore", DeprecationWarning)
            process.start()
        theirs.close()
        self._members[worker] = process, ours
        self._hosts[worker] = worker

    def _died(self, member: int) -> None:
        process, connection = self._members.pop(member)
        connection.close()
        process.join()
        code = process.exitcode or 0
        process.close()
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        for worker in [worker for worker, host in self._hosts.items() if host == member]:
            if self._starts[worker] <= self._plan.restarts:
                self._begin(worker)
            elif self._plan.part_of is not None and self._members:
                # The healthy one that has the fewest to do takes it over.
                hosts = list(self._hosts.values())
                host = min(self._members, key=hosts.count)
                self._hosts[worker] = host
                with contextlib.suppress(OSError):  # it died as well: then we are back here soon
                    self._members[host][1].send_bytes(packed(worker))
            else:
                starts = self._starts[worker]
                if starts > 1:
                    raise EngineError(
                        f"worker {worker} {how}, after it was started {starts} times",
                        "its machine may be out of memory, or what it does ends it each time",
                    )
                raise EngineError(
                    f"worker {worker} {how}",
                    "its machine may be out of memory; with checkpoint= and restarts= it would be started again",
                )


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Collect no garbage: a forked process begins with this one's, and may destroy none of it; see `_member`."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


# -- in the worker's process -------------------------------------------------------------------------------------------


def _member(
    plan: Plan[P, R],
    worker: int,
    part: P,
    boss: Connection,
    others: list[Connection],
    returned: bool,
) -> None:
    """Be a worker, and perhaps others later, until the boss says that all are done, or is no more."""
    # The parent's garbage stays: a database of DuckDB's, say, is destroyed together with its threads, which are not
    # here. 10 of 12 runs behind a query that failed ended with signal 11.
    gc.freeze()
    gc.enable()
    _end_with_parent()
    for connection in others:  # copies of the parent's ends: with them open nobody would notice that it died
        connection.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal tells every process; the parent decides
    said = threading.Lock()
    _begin(plan, worker, part, boss, said, returned)
    try:
        while (order := boss.recv_bytes()) != END:
            _begin(plan, unpacked(order), None, boss, said, True)
    except (EOFError, OSError):
        os._exit(1)  # the parent is gone, and nobody waits for a result
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # threads may still compute; whatever is of use has been sent or kept


def _end_with_parent() -> None:
    """Where the system can (Linux), be killed when the parent dies, stopped or stuck as this process may be."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _begin(
    plan: Plan[P, R], worker: int, part: P | None, boss: Connection, said: threading.Lock, returned: bool
) -> None:
    def work() -> None:
        mesh = Mesh(
            worker,
            plan.addresses,
            plan.listeners[worker],
            plan.trust(),
            timeout=plan.timeout,
            waits=True,  # who is lost for good is the parent's to see
        )
        world = World(
            worker,
            len(plan.addresses),
            mesh.send,
            mesh.recv,
            timeout=None,
            checkpoint=plan.checkpoint,
            run=plan.run,
            buffered=True,
            returned=returned,
        )

        def answer() -> R:
            # `part` is None only for a worker that was taken over, by `part_of`.
            given: Any = plan.part_of(worker) if plan.part_of is not None and returned else part
            return plan.fn(given, world)

        outcome = outcome_of(answer)
        with said:
            boss.send_bytes(worker.to_bytes(4, "little") + outcome)
        world.serve()

    threading.Thread(target=work, name=f"worker {worker}", daemon=True).start()
