"""Workers and a network that exist only in time: what a plan would cost on 1 000 machines, before there are any.

Every worker is a thread, and one runs at a time: the one whose clock is least. A message leaves through its sender's
port when that is free, flies for the latency, and enters through its receiver's port when that is free; so the clocks
show what a funnel costs. Computing takes no time. The same program gives the same figures every time.
"""

from __future__ import annotations

import heapq
import statistics
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, NamedTuple, TypeVar

from penstock.errors import EngineError
from penstock.exchange.collectives import Bytes, Pairwise
from penstock.exchange.transports.outcomes import failure
from penstock.exchange.world import Traffic, World

__all__ = ["Hop", "Phase", "Simulation", "run", "simulate"]

P = TypeVar("P")
R = TypeVar("R")

STACK: Final = 1 << 20  # a thousand stacks of the usual 8 MB are more than some machines promise


class Hop(NamedTuple):
    """A message on the critical path: nothing after it could have begun earlier."""

    phase: str
    sender: int
    receiver: int
    bytes: int
    sent: float
    arrived: float


class Phase(NamedTuple):
    """One phase over all workers."""

    phase: str
    began: float
    ended: float
    bytes: int
    messages: int
    received_mean: float
    received_max: int

    @property
    def burden(self) -> float:
        """What the busiest worker receives, as a multiple of the mean."""
        return self.received_max / self.received_mean if self.received_mean else 1.0


@dataclass
class Simulation(Generic[R]):
    """What a program returned, and what it would cost."""

    results: list[R]
    seconds: float
    traffic: list[dict[str, Traffic]]
    path: list[Hop]
    times: dict[str, tuple[float, float]] = field(repr=False)

    @property
    def phases(self) -> list[Phase]:
        """The phases in order of their beginning, with the busiest receiver beside the mean."""
        found = []
        for phase, (began, ended) in sorted(self.times.items(), key=lambda item: item[1]):
            of_workers = [traffic.get(phase, Traffic()) for traffic in self.traffic]
            received = [each.received_bytes for each in of_workers]
            total = sum(of_workers, Traffic())
            found.append(
                Phase(
                    phase,
                    began,
                    ended,
                    total.sent_bytes,
                    total.sent_messages,
                    statistics.fmean(received),
                    max(received),
                )
            )
        return found

    def __str__(self) -> str:
        lines = [f"{'phase':<24}{'ms':>10}{'bytes':>16}{'messages':>10}{'max/mean received':>19}"]
        for each in self.phases:
            milliseconds = (each.ended - each.began) * 1000
            lines.append(
                f"{each.phase:<24}{milliseconds:>10.3f}{each.bytes:>16,}{each.messages:>10,}{each.burden:>19.2f}"
            )
        lines.append(f"{'critical path':<24}{self.seconds * 1000:>10.3f}{len(self.path):>26,} hops")
        return "\n".join(lines)


class _Star(World):
    """All workers, with one in the middle of every reduction: for what a funnel costs."""

    def _reduced(self, pieces: Sequence[Bytes], combine: Pairwise) -> list[bytes]:
        if self.id:
            for piece in pieces:
                self._send(0, piece)
            return [self._receive(0) for _ in pieces]
        results = list(map(bytes, pieces))
        for other in range(1, self.size):
            results = [combine(result, self._receive(other)) for result in results]
        for other in range(1, self.size):
            for result in results:
                self._send(other, result)
        return results


def simulate(
    fn: Callable[[P, World], R],
    parts: Sequence[P],
    *,
    latency: float = 100e-6,
    bandwidth: float = 1.25e9,
    star: bool = False,
) -> Simulation[R]:
    """Run `fn` on every part in simulated time.

    Args:
        fn: What each worker does, as `fn(part, world)`.
        parts: One for each worker.
        latency: Seconds that a message is under way.
        bandwidth: Bytes a second through a worker's port, each way; 1.25e9 is 10 Gbit/s.
        star: Worker 0 serves all others in reductions, instead of the trees, to compare.
    """
    network = _Network(len(parts), latency, bandwidth)

    def program(worker: int) -> tuple[R, dict[str, Traffic]]:
        world = (_Star if star else World)(
            worker,
            len(parts),
            lambda to, data: network.send(worker, to, data, world.phase),
            lambda: network.recv(worker, world.phase),
            timeout=None,
            buffered=True,
        )
        return fn(parts[worker], world), world.traffic

    found = network.run(program)
    return Simulation(
        [result for result, _ in found],
        max(network.now, default=0.0),
        [traffic for _, traffic in found],
        network.path(),
        network.times,
    )


def run(
    fn: Callable[[P, World], R],
    parts: Sequence[P],
    *,
    latency: float = 100e-6,
    bandwidth: float = 1.25e9,
    timeout: float | None = None,
) -> list[R]:
    """The results of `simulate`; `timeout` is not needed, because a deadlock is seen when it happens."""
    return simulate(fn, parts, latency=latency, bandwidth=bandwidth).results


class _Sent:
    """A message under way, and the one that its sender had waited for: a chain back to the beginning."""

    __slots__ = ("arrived", "before", "bytes", "data", "phase", "receiver", "sender", "sent")

    def __init__(self, phase: str, sender: int, receiver: int, data: bytes, sent: float, before: _Sent | None) -> None:
        self.phase, self.sender, self.receiver, self.data = phase, sender, receiver, data
        self.bytes, self.sent, self.arrived, self.before = len(data), sent, 0.0, before


class _Stopped(Exception):
    """Another worker failed; this one ends without a word."""


class _Network:
    """The clocks, the ports, and what is under way. Only the thread that runs touches any of it."""

    def __init__(self, size: int, latency: float, bandwidth: float) -> None:
        self.now = [0.0] * size
        self.times: dict[str, tuple[float, float]] = {}
        self._size = size
        self._latency = latency
        self._bandwidth = bandwidth
        self._port_in = [0.0] * size
        self._arrived: list[deque[_Sent]] = [deque() for _ in range(size)]
        self._waits = [""] * size  # the phase in which a worker waits
        self._causes: list[_Sent | None] = [None] * size
        self._turns = [threading.Lock() for _ in range(size)]  # open for one who has its turn; a Semaphore is 5x slower
        for turn in self._turns:
            turn.acquire()
        self._events: list[tuple[float, int, int | _Sent]] = [(0.0, worker, worker) for worker in range(size)]
        self._count = size
        self._left = size
        self._failure: EngineError | None = None
        self._over = threading.Event()

    def run(self, program: Callable[[int], R]) -> list[R]:
        """Run the program of every worker; what each returns."""
        outcomes: dict[int, Any] = {}
        errors: dict[int, BaseException] = {}

        def work(worker: int) -> None:
            self._turns[worker].acquire()
            try:
                if self._failure is None:
                    outcomes[worker] = program(worker)
            except _Stopped:
                pass
            except BaseException as error:  # raised below
                errors.setdefault(worker, error)
                self._stop(EngineError(f"worker {worker} failed"))
            self._left -= 1
            self._next()

        before = threading.stack_size(STACK)
        try:
            threads = [threading.Thread(target=work, args=(worker,), daemon=True) for worker in range(self._size)]
            for thread in threads:
                thread.start()
        finally:
            threading.stack_size(before)
        self._next()
        self._over.wait()
        for thread in threads:
            thread.join()
        for worker, error in errors.items():
            raise failure(worker, error) from error
        if self._failure is not None:
            raise self._failure
        return [outcomes[worker] for worker in range(self._size)]

    def send(self, worker: int, to: int, data: bytes, phase: str) -> None:
        """Send a message: the worker goes on when it is out of the port."""
        sent = self.now[worker]
        self.now[worker] = sent + len(data) / self._bandwidth
        message = _Sent(phase, worker, to, data, sent, self._causes[worker])
        self._push(sent + self._latency, message)
        self._seen(phase, sent, self.now[worker])

    def recv(self, worker: int, phase: str) -> bytes:
        """The message that arrives first."""
        arrived = self._arrived[worker]
        if not arrived:
            self._waits[worker] = phase
            self._next()
            self._turns[worker].acquire()
            if self._failure is not None:
                raise _Stopped
        message = arrived.popleft()
        if message.arrived > self.now[worker]:
            self.now[worker] = message.arrived
            self._causes[worker] = message
        self._seen(phase, message.arrived, message.arrived)
        data, message.data = message.data, b""  # the chain of what was waited for may be long
        return data

    def path(self) -> list[Hop]:
        """The messages that the last worker to end had to wait for, first to last."""
        hops: list[Hop] = []
        message = self._causes[max(range(self._size), key=self.now.__getitem__)] if self._size else None
        while message is not None:
            hops.append(
                Hop(message.phase, message.sender, message.receiver, message.bytes, message.sent, message.arrived)
            )
            message = message.before
        return hops[::-1]

    def _next(self) -> None:
        """Let time pass until a worker can go on, and let it."""
        while self._events:
            _, _, event = heapq.heappop(self._events)
            if isinstance(event, int):
                self._turns[event].release()
                return
            to = event.receiver
            at = max(event.sent + self._latency, self._port_in[to]) + len(event.data) / self._bandwidth
            event.arrived = self._port_in[to] = at
            self._arrived[to].append(event)
            if self._waits[to]:
                self._waits[to] = ""
                self._push(max(at, self.now[to]), to)
        if self._left == 0:
            self._over.set()
        elif self._failure is None:
            waiting = [f'worker {worker} in "{phase}"' for worker, phase in enumerate(self._waits) if phase]
            self._stop(EngineError(f"a deadlock: {len(waiting)} workers wait, such as {', '.join(waiting[:3])}"))
            self._next()

    def _push(self, at: float, event: int | _Sent) -> None:
        self._count += 1
        heapq.heappush(self._events, (at, self._count, event))

    def _stop(self, failure: EngineError) -> None:
        """Wake everyone who waits, to end."""
        self._failure = failure
        pending = {event for _, _, event in self._events if isinstance(event, int)}
        self._events = [(0.0, worker, worker) for worker in pending]
        self._events += [(0.0, worker, worker) for worker, phase in enumerate(self._waits) if phase]
        self._waits = [""] * self._size
        heapq.heapify(self._events)

    def _seen(self, phase: str, first: float, last: float) -> None:
        began, ended = self.times.get(phase, (first, last))
        self.times[phase] = min(began, first), max(ended, last)
