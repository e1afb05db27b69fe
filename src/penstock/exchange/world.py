"""One worker's view of all: collectives over any `send` and `recv`, without a funnel and without a deadlock.

`send(worker_id, data)` may block until the receiver takes the message, and `recv()` gives the next message of anyone.
Every collective is a schedule of (sender, receiver) pairs that all workers walk in one order, so that of two workers
that need each other one sends while the other receives: no buffer is needed anywhere.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass
from typing import Any

from penstock.errors import EngineError, UsageError
from penstock.exchange import grid, wire
from penstock.exchange.checkpoint import Checkpoint, Record, digest
from penstock.exchange.patience import Patience

__all__ = ["Traffic", "World"]

Bytes = bytes | bytearray | memoryview
Send = Callable[[int, bytes], object]
Receive = Callable[[], bytes]

AGREEMENT = "where to go on"


@dataclass
class Traffic:
    """What one worker sent and received, headers included."""

    sent_bytes: int = 0
    sent_messages: int = 0
    received_bytes: int = 0
    received_messages: int = 0

    def __add__(self, other: Traffic) -> Traffic:
        return Traffic(
            self.sent_bytes + other.sent_bytes,
            self.sent_messages + other.sent_messages,
            self.received_bytes + other.received_bytes,
            self.received_messages + other.received_messages,
        )


class World:
    """All workers, as one of them sees them.

    Args:
        worker_id: This worker, from 0 to num_workers - 1.
        num_workers: How many there are.
        send: `send(worker_id, data)` gives bytes to a worker; it may block until the worker takes them.
        recv: `recv()` waits for the next bytes of anyone.
        timeout: Seconds that a call of either may take; None where they mind the time themselves (`TimeoutError`).
        checkpoint: A folder that keeps every phase, and is yours to remove. Workers that are all started again with it
            go on where the slowest was.
        run: A name that the messages of this run carry; those of another are refused.
        buffered: `send` never waits for the receiver's own `recv`: every worker may send and receive at the same time.
        returned: This worker was started again while the others waited; it asks them for what it has lost.

    `traffic` has what was sent and received, by phase, and `phase` is the one that this worker is in.
    """

    def __init__(
        self,
        worker_id: int,
        num_workers: int,
        send: Send,
        recv: Receive,
        *,
        timeout: float | None = 60.0,
        checkpoint: str | os.PathLike[str] | None = None,
        run: str = "",
        buffered: bool = False,
        returned: bool = False,
    ) -> None:
        if not 0 <= worker_id < num_workers:
            raise UsageError(f"worker {worker_id} of {num_workers} cannot be", "ids go from 0 to num_workers - 1")
        if returned and checkpoint is None:
            raise UsageError("a worker can come back only with what it has kept", "give checkpoint=")
        self.id = worker_id
        self.size = num_workers
        self.traffic: dict[str, Traffic] = {}
        self._call = _at_once if timeout is None else Patience(timeout)
        self._send_frame = send
        self._receive_frame = recv
        self._buffered = buffered
        self._run = wire.run_key(run, num_workers)
        self._inbox = wire.Inbox()
        self._checkpoint = None if checkpoint is None else Checkpoint(checkpoint, worker_id)
        self._returned = returned
        self._replayed = -1  # the last phase that is taken from the checkpoint
        self._phase = -1
        self.phase = "the beginning"
        self._sequences: dict[int, int] = {}

    # -- collectives ---------------------------------------------------------------------------------------------------

    def swap(self, phase: str, parts: Sequence[Bytes]) -> list[bytes]:
        """All to all: `parts[i]` goes to worker i; what every worker had for this one comes back, in worker order."""
        if len(parts) != self.size:
            raise UsageError(f"{len(parts)} parts for {self.size} workers", "give one for each, empty ones too")
        return self._collective(phase, parts, lambda: self._rounds(parts))

    def reduce(self, phase: str, data: Bytes, combine: Callable[[bytes, bytes], bytes]) -> bytes:
        """All workers' data combined in worker order, on every worker; `combine` is associative."""
        return self._collective(phase, [data], lambda: [self._up_and_down(data, combine)])[0]

    def share(self, phase: str, data: Bytes | None, root: int = 0) -> bytes:
        """What the root gives, on every worker; what others give is not looked at."""
        if self.id != root:
            data = None
        elif data is None:
            raise UsageError(f'worker {root} has nothing to share in "{phase}"', "give it data")
        return self._collective(phase, [] if data is None else [data], lambda: [self._down(data, root)])[0]

    def gather(self, phase: str, data: Bytes) -> list[bytes]:
        """Every worker's data on every worker, in worker order: for what is small."""
        together = self.reduce(phase, len(data).to_bytes(8, "little") + bytes(data), bytes.__add__)
        gathered, start = [], 0
        while start < len(together):
            body = start + 8
            start = body + int.from_bytes(together[start:body], "little")
            gathered.append(together[body:start])
        return gathered

    def serve(self) -> None:
        """Give workers that have come back what they have lost, until `recv` ends with EOFError."""
        while True:
            try:
                self._accept(self._receive_frame())
            except TimeoutError:  # nobody needs anything
                continue
            except EOFError:
                return

    def _rounds(self, parts: Sequence[Bytes]) -> list[bytes]:
        received = [b""] * self.size
        received[self.id] = bytes(parts[self.id])
        if self._buffered and self.size >= grid.LEAST and self._mean(parts) <= grid.SHORT:
            return self._two_hops(parts)
        if self._buffered:
            # Everyone begins with another receiver, so that no port gets all at once; nobody waits for a round to end.
            for shift in range(1, self.size):
                to = (self.id + shift) % self.size
                self._send(to, parts[to])
            for shift in range(1, self.size):
                sender = (self.id - shift) % self.size
                received[sender] = self._receive(sender)
            return received
        for other in opponents(self.id, self.size):
            if self.id < other:
                self._send(other, parts[other])
            received[other] = self._receive(other)
            if self.id > other:
                self._send(other, parts[other])
        return received

    def _mean(self, parts: Sequence[Bytes]) -> float:
        """The mean size of all workers' parts: all decide alike."""
        mine = _number(sum(map(len, parts)))
        total = self._up_and_down(mine, lambda left, right: _number(_int(left) + _int(right)))
        return _int(total) / self.size**2

    def _two_hops(self, parts: Sequence[Bytes]) -> list[bytes]:
        row = grid.row(self.id, self.size)
        others = [row[(self.id + shift) % len(row)] for shift in range(len(row))]
        for other in others:
            if other != self.id:
                self._send(other, grid.bundle([bytes(parts[to]) for to in grid.served(other, self.size)]))
        served = grid.served(self.id, self.size)
        of_row = [
            grid.unbundle(self._receive(other), len(served))
            if other != self.id
            else [bytes(parts[to]) for to in served]
            for other in row
        ]
        bundles = {to: grid.bundle([parts_[place] for parts_ in of_row]) for place, to in enumerate(served)}
        for to in served:
            if to != self.id:
                self._send(to, bundles[to])
        received: list[bytes] = []
        while len(received) < self.size:
            start = len(received)
            taker = grid.via(start, self.id, self.size)
            message = bundles[self.id] if taker == self.id else self._receive(taker)
            received += grid.unbundle(message, len(grid.row(start, self.size)))
        return received

    def _up_and_down(self, data: Bytes, combine: Callable[[bytes, bytes], bytes]) -> bytes:
        parent, left, right = node(self.id, self.size)
        result = bytes(data)
        if left is not None:
            result = combine(self._receive(left), result)
        if right is not None:
            result = combine(result, self._receive(right))
        if parent is not None:
            self._send(parent, result)
            result = self._receive(parent)
        for child in (left, right):
            if child is not None:
                self._send(child, result)
        return result

    def _down(self, data: Bytes | None, root: int) -> bytes:
        place = (self.id - root) % self.size
        result = self._receive(((place - 1) // 2 + root) % self.size) if data is None else bytes(data)
        for child in (2 * place + 1, 2 * place + 2):
            if child < self.size:
                self._send((child + root) % self.size, result)
        return result

    # -- phases --------------------------------------------------------------------------------------------------------

    def _collective(self, phase: str, inputs: Sequence[Bytes], work: Callable[[], list[bytes]]) -> list[bytes]:
        if self._phase < 0:
            self._start()
        name, count = phase, 1
        while name in self.traffic:
            count += 1
            name = f"{phase} {count}"
        return self._phase_of(self._phase + 1, name, inputs, work)

    def _phase_of(
        self, number: int, name: str, inputs: Sequence[Bytes], work: Callable[[], list[bytes]]
    ) -> list[bytes]:
        self._phase, self.phase, self._sequences = number, name, {}
        traffic = self.traffic[name] = Traffic()
        brought = 0 if self._checkpoint is None else digest(inputs)
        if self._checkpoint is not None and number <= self._replayed:
            record = self._checkpoint.load(number, name, brought)
            self.traffic[name] = Traffic(*record.traffic)
            outputs = record.outputs
        else:
            outputs = work()
            if self._checkpoint is not None:
                self._checkpoint.save(number, Record(name, brought, list(astuple(traffic)), outputs))
        self._inbox.end(number)
        return outputs

    def _start(self) -> None:
        """Find where to go on: after the last phase that all workers have kept."""
        checkpoint = self._checkpoint
        if checkpoint is None:
            self._phase = 0
            return
        if self._returned:
            self._replayed = checkpoint.committed() if checkpoint.kept(0) else -1
            for other in range(self.size):
                if other != self.id:
                    self._control(other, wire.RESUME, self._replayed + 1)
        else:
            checkpoint.forget_agreement()

        def agree() -> list[bytes]:
            least = self._up_and_down(_number(checkpoint.committed()), min)
            checkpoint.forget(after=_int(least))
            return [least]

        [least] = self._phase_of(0, AGREEMENT, [], agree)
        self._replayed = max(self._replayed, _int(least))

    # -- messages ------------------------------------------------------------------------------------------------------

    def _send(self, to: int, data: Bytes) -> None:
        traffic = self.traffic[self.phase]
        for kind, body in wire.frames(data):
            sequence = self._sequences.get(to, 0)
            self._sequences[to] = sequence + 1
            frame = wire.pack(
                self._run, wire.Frame(self.id, self._phase, wire.name_key(self.phase), sequence, kind, body)
            )
            if self._checkpoint is not None:
                self._checkpoint.keep(self._phase, to, frame)
            self._deliver(to, frame, traffic)

    def _receive(self, sender: int) -> bytes:
        while (message := self._inbox.take(self._phase, sender)) is None:
            try:
                data = self._call(self._receive_frame)
            except (TimeoutError, EOFError, OSError) as error:
                raise self._gave_up("waited for", sender, error) from error
            self._accept(data)
        if message.name != wire.name_key(self.phase):
            raise EngineError(
                f'worker {sender} is in another phase than worker {self.id}, which is in "{self.phase}"',
                "call the same functions in the same order on all workers",
            )
        traffic = self.traffic[self.phase]
        traffic.received_messages += message.frames
        traffic.received_bytes += len(message.data) + message.frames * wire.HEADER.size
        return message.data

    def _accept(self, data: Bytes) -> None:
        frame = wire.unpack(self._run, bytes(data))  # bytes: the transport may use its buffer again
        if frame.kind in (wire.MORE, wire.LAST):
            self._inbox.put(frame)
            return
        # A worker has come back, or answers that this one has: it lacks what it was sent in its phase and later.
        if frame.kind == wire.RESUME:
            self._control(frame.sender, wire.RESUMED, self._phase)
        if self._checkpoint is None:
            raise EngineError(
                f"worker {frame.sender} has come back, and what it was sent is not kept", "give checkpoint= to all"
            )
        again = self.traffic.setdefault("again", Traffic())
        for number in range(frame.phase, self._phase + 1):
            for kept in self._checkpoint.sent(number, frame.sender):
                self._deliver(frame.sender, kept, again)

    def _control(self, to: int, kind: int, phase: int) -> None:
        frame = wire.pack(self._run, wire.Frame(self.id, phase, 0, 0, kind, memoryview(b"")))
        self._deliver(to, frame, self.traffic.setdefault("again", Traffic()))

    def _deliver(self, to: int, frame: bytes, traffic: Traffic) -> None:
        try:
            self._call(self._send_frame, to, frame)
        except (TimeoutError, EOFError, OSError) as error:
            raise self._gave_up("could not send to", to, error) from error
        traffic.sent_messages += 1
        traffic.sent_bytes += len(frame)

    def _gave_up(self, what: str, other: int, error: BaseException) -> EngineError:
        return EngineError(
            f'worker {self.id} {what} worker {other} in phase "{self.phase}": {error or type(error).__name__}',
            f"see whether worker {other} still runs, or give a longer timeout",
        )


def _number(value: int) -> bytes:
    return value.to_bytes(8, "big")


def _int(data: bytes) -> int:
    return int.from_bytes(data, "big")


def _at_once(function: Callable[..., Any], *arguments: Any) -> Any:
    return function(*arguments)


def opponents(worker: int, size: int) -> Iterator[int]:
    """A tournament: in each round everybody meets one other, and nobody meets two. A bye where the number is odd."""
    even = size + size % 2
    for number in range(even - 1):
        if worker == even - 1:
            other = number * (even // 2) % (even - 1)
        else:
            other = (number - worker) % (even - 1)
            other = even - 1 if other == worker else other
        if other < size:
            yield other


def node(worker: int, size: int) -> tuple[int | None, int | None, int | None]:
    """Parent, left and right child in the binary tree whose left-to-right order is that of the workers.

    Nobody has more than two children: a binomial tree has as few levels, but its root receives log2(W) messages.
    """
    low, high, parent = 0, size, None
    while True:
        middle = (low + high) // 2
        if worker == middle:
            left = (low + middle) // 2 if low < middle else None
            right = (middle + 1 + high) // 2 if middle + 1 < high else None
            return parent, left, right
        low, high, parent = (low, middle, middle) if worker < middle else (middle + 1, high, middle)
