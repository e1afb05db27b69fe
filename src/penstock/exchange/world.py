"""One worker's view of all: collectives over any `send` and `recv`, counted by phase and kept for who comes back.

`send(worker_id, data)` may block until the receiver takes the message, and `recv()` gives the next message of anyone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from typing import Any

from penstock.errors import EngineError, UsageError
from penstock.exchange import collectives, wire
from penstock.exchange.checkpoint import Checkpoint, Record, digest
from penstock.exchange.collectives import Bytes, Join, Line, Pairwise
from penstock.exchange.patience import Patience

__all__ = ["Traffic", "World"]

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
        self._check(parts)
        return self._collective(phase, parts, lambda: collectives.swapped(self._line, parts))

    def reduce(self, phase: str, data: Bytes, combine: Pairwise) -> bytes:
        """All workers' data combined in worker order, on every worker; `combine` is associative."""
        return self._collective(phase, [data], lambda: self._reduced([data], combine))[0]

    def reduce_halves(self, phase: str, halves: tuple[Bytes, Bytes], combine: Pairwise) -> tuple[bytes, bytes]:
        """Two reductions in one, each along a tree of its own: for data that grows on the way, cut into like halves.

        Nobody receives more than twice the mean then; along one tree it may be three times.
        """
        first, second = self._collective(phase, halves, lambda: self._reduced(halves, combine))
        return first, second

    def reduce_each(self, phase: str, parts: Sequence[Bytes], combine: Join, keys: int) -> bytes:
        """A reduction for each worker: what all have for this one combined, in any order, empty parts left out.

        Parts of few keys, of which this worker's have so many together, are combined on the way too: nobody hears of
        the same key from each of many workers.
        """
        self._check(parts)

        def combined(some: Sequence[bytes]) -> bytes:
            there = [part for part in some if part]
            return combine(there) if len(there) > 1 else (there or [b""])[0]

        return self._collective(phase, parts, lambda: [collectives.reduced_each(self._line, parts, combined, keys)])[0]

    def share(self, phase: str, data: Bytes | None, root: int = 0) -> bytes:
        """What the root gives, on every worker; what others give is not looked at."""
        if self.id == root and data is None:
            raise UsageError(f'worker {root} has nothing to share in "{phase}"', "give it data")
        mine = data if self.id == root else None
        given = [] if mine is None else [mine]
        return self._collective(phase, given, lambda: [collectives.shared(self._line, mine, root)])[0]

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

    def _check(self, parts: Sequence[Bytes]) -> None:
        if len(parts) != self.size:
            raise UsageError(f"{len(parts)} parts for {self.size} workers", "give one for each, empty ones too")

    def _reduced(self, pieces: Sequence[Bytes], combine: Pairwise) -> list[bytes]:
        return collectives.reduced(self._line, pieces, combine)

    @property
    def _line(self) -> Line:
        return Line(self.id, self.size, self._buffered, self._send, self._receive)

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
            least = self._reduced([_number(checkpoint.committed())], min)
            checkpoint.forget(after=_int(least[0]))
            return least

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
