"""Collectives: right for every number of workers, over a `send` without a buffer, and over a careless network."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from penstock import exchange as ex
from penstock.errors import EngineError, UsageError
from penstock.exchange import wire
from penstock.exchange.bundles import join, split
from penstock.exchange.schedules import mirrored, opponents, seat

pytestmark = pytest.mark.timeout(60)


def everything(part: Any, world: ex.World) -> list[Any]:
    """All collectives, some of them twice."""
    pair = [b"%d>%d" % (world.id, to) * (to % 3) for to in range(world.size)]
    return [
        world.swap("swap", pair),
        world.reduce("reduce", b"%d " % world.id, bytes.__add__),
        world.reduce_halves("halves", (b"%d " % world.id, b"." * world.id), bytes.__add__),
        sum(map(int, world.reduce_each("each", pair_of_numbers(world), added, world.size).split() or [b"0"])),
        world.share("share", b"root %d" % world.id, root=world.size // 2),
        world.gather("gather", b"." * world.id),
        world.swap("swap", pair[::-1]),
        world.share("share", b"first" if world.id == 0 else None),
    ]


def expected(worker: int, size: int) -> list[Any]:
    """What `everything` gives, by one machine."""
    parts = [[b"%d>%d" % (sender, to) * (to % 3) for to in range(size)] for sender in range(size)]
    return [
        [parts[sender][worker] for sender in range(size)],
        b"".join(b"%d " % each for each in range(size)),
        (b"".join(b"%d " % each for each in range(size)), b"." * sum(range(size))),
        sum(sender * worker for sender in range(size) if (sender + worker) % 3),
        b"root %d" % (size // 2),
        [b"." * each for each in range(size)],
        [parts[sender][size - 1 - worker] for sender in range(size)],
        b"first",
    ]


def pair_of_numbers(world: ex.World) -> list[bytes]:
    """A number for each worker, and for some none."""
    return [b"%d " % (world.id * to) if (world.id + to) % 3 else b"" for to in range(world.size)]


def added(parts: Sequence[bytes]) -> bytes:
    """One number of several; empty parts do not come."""
    assert len(parts) > 1
    assert all(parts)
    return b"%d " % sum(map(int, parts))


@pytest.mark.parametrize("size", [*range(1, 18), 31, 32, 33, 63, 64])
def test_collectives_need_no_buffer(size: int) -> None:
    """With a `send` that blocks until the receiver takes the message, all workers end, and with the right answers."""
    results = ex.run(everything, [None] * size, transport="threads", timeout=20)

    assert results == [expected(worker, size) for worker in range(size)]


@pytest.mark.parametrize("size", [2, 3, 5])
def test_parts_larger_than_a_frame_are_streamed(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A part of many frames arrives whole, over a `send` without a buffer too."""
    monkeypatch.setattr(wire, "FRAME", 10)

    def work(part: Any, world: ex.World) -> Any:
        return world.swap("parts", [bytes([world.id, to]) * 60 * to for to in range(size)]), world.traffic["parts"]

    for worker, (received, traffic) in enumerate(ex.run(work, [None] * size, transport="threads", timeout=20)):
        assert received == [bytes([sender, worker]) * 60 * worker for sender in range(size)]
        assert traffic.received_messages == (size - 1) * max(1, 12 * worker)


class CarelessPost:
    """A network that delivers late, out of order, and one message in three twice; `send` never blocks."""

    def __init__(self, size: int, seed: int) -> None:
        self._chance = random.Random(seed)
        self._under_way: list[list[bytes]] = [[] for _ in range(size)]
        self._change = threading.Condition()

    def send(self, to: int, data: bytes) -> None:
        with self._change:
            self._under_way[to] += [data] * self._chance.choice([1, 1, 2])
            self._change.notify_all()

    def recv(self, worker: int) -> bytes:
        with self._change:
            assert self._change.wait_for(lambda: self._under_way[worker], timeout=20)
            waiting = self._under_way[worker]
            return waiting.pop(self._chance.randrange(len(waiting)))


def in_threads(size: int, work: Any, **options: Any) -> list[Any]:
    """Run `work(world)` with worlds of one's own functions; what each returns, or the error."""
    results: list[Any] = [None] * size
    send, recv = options.pop("send"), options.pop("recv")

    def begin(worker: int) -> None:
        world = ex.World(worker, size, send, lambda: recv(worker), **options)
        try:
            results[worker] = work(world)
        except Exception as error:
            results[worker] = error

    threads = [threading.Thread(target=begin, args=(worker,), daemon=True) for worker in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return results


@pytest.mark.parametrize("buffered", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_late_doubled_and_disordered_messages_change_nothing(
    seed: int, buffered: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Early messages wait, duplicates are ignored, frames of one message find their order."""
    monkeypatch.setattr(wire, "FRAME", 5)
    size = 2 + seed
    post = CarelessPost(size, seed)

    results = in_threads(size, lambda world: everything(None, world), send=post.send, recv=post.recv, buffered=buffered)

    assert results == [expected(worker, size) for worker in range(size)]


def test_a_reused_buffer_of_the_transport_is_copied() -> None:
    """What `recv` returns may be overwritten by the next call."""
    post = CarelessPost(3, 0)
    buffers = [bytearray(200) for _ in range(3)]

    def recv(worker: int) -> memoryview:
        data = post.recv(worker)
        buffers[worker][: len(data)] = data
        return memoryview(buffers[worker])[: len(data)]

    results = in_threads(3, lambda world: everything(None, world), send=post.send, recv=recv)

    assert results == [expected(worker, 3) for worker in range(3)]


def test_every_round_of_the_tournament_is_a_pairing() -> None:
    """Each meets each exactly once, and who meets whom in a round agrees."""
    for size in range(1, 30):
        schedule = [list(opponents(worker, size)) for worker in range(size)]
        assert [sorted(row) for row in schedule] == [[w for w in range(size) if w != v] for v in range(size)]
        if size % 2 == 0:
            assert all(
                schedule[row[number]][number] == v for v, row in enumerate(schedule) for number in range(size - 1)
            )


@pytest.mark.parametrize(
    ("size", "transport"),
    [*((size, "simulator") for size in (*range(64, 74), 90, 91, 99, 100)), (64, "threads"), (91, "threads")],
)
def test_small_parts_go_in_two_hops(size: int, transport: str) -> None:
    """Many workers with less than a header for each other send few messages, whatever shape their rows have."""

    def work(part: Any, world: ex.World) -> Any:
        small = [b"%d>%d" % (world.id, to) * ((world.id + to) % 3) for to in range(size)]
        each = world.reduce_each("each", pair_of_numbers(world), added, world.size)
        return world.swap("small", small), world.swap("large", [bytes(100)] * size), int(each), world.traffic

    for worker, (small, large, each, traffic) in enumerate(ex.run(work, [None] * size, transport=transport)):
        assert small == [b"%d>%d" % (sender, worker) * ((sender + worker) % 3) for sender in range(size)]
        assert large == [bytes(100)] * size
        assert each == sum(sender * worker for sender in range(size) if (sender + worker) % 3)
        assert traffic["small"].received_messages <= 25
        assert traffic["each"].received_messages <= 25
        assert traffic["large"].received_messages >= size - 1


def test_lengths_of_any_width_are_bundled() -> None:
    """Parts come out of a bundle as they went in, empty ones and long ones too."""
    for parts in ([], [b""], [b"", b"a", bytes(255)], [bytes(256), b"x"], [b"y", bytes(70_000), b""]):
        assert split(join(parts)) == parts


@pytest.mark.parametrize("place", [seat, mirrored])
def test_a_tree_reads_in_worker_order(place: Any) -> None:
    """Left subtree, worker, right subtree are the workers in order; parents agree; the depth is logarithmic."""
    for size in range(1, 70):
        tree = [place(worker, size) for worker in range(size)]
        [root] = [worker for worker in range(size) if tree[worker].parent is None]

        def in_order(worker: int | None, depth: int, tree: Any = tree, size: int = size) -> list[int]:
            assert 2**depth <= 4 * size
            if worker is None:
                return []
            _, left, right = tree[worker]
            assert all(child is None or tree[child].parent == worker for child in (left, right))
            return [*in_order(left, depth + 1), worker, *in_order(right, depth + 1)]

        assert in_order(root, 0) == list(range(size))


def test_who_has_children_in_one_tree_is_a_leaf_in_the_other() -> None:
    """So nobody receives more than two halves on the way up."""
    for size in range(1, 70):
        for worker in range(size):
            assert not any(seat(worker, size)[1:]) or mirrored(worker, size)[1:] == (None, None)


@pytest.mark.parametrize("size", [10, 64])
def test_no_worker_is_a_funnel(size: int) -> None:
    """In no collective does anybody receive more than twice the mean; what was sent was received."""

    def work(part: Any, world: ex.World) -> dict[str, ex.Traffic]:
        world.swap("swap", [bytes(100)] * size)
        world.reduce("reduce", bytes(1000), max)
        world.share("share", bytes(1000), root=3)
        world.gather("gather", bytes(100))
        return world.traffic

    traffic = ex.run(work, [None] * size, transport="threads", timeout=20)

    for phase in ("swap", "reduce", "share", "gather"):
        total = sum((each[phase] for each in traffic), ex.Traffic())
        assert total.sent_bytes == total.received_bytes > 0
        assert total.sent_messages == total.received_messages
        assert max(each[phase].received_bytes for each in traffic) <= 2 * total.received_bytes / size


def test_phases_are_counted_apart() -> None:
    """A phase that comes again has a number, and its own traffic."""

    def work(part: Any, world: ex.World) -> dict[str, ex.Traffic]:
        for _ in range(3):
            world.share("pivots", b"x" * 100)
        return world.traffic

    first, second = ex.run(work, [0, 1], transport="threads", timeout=20)
    size = 100 + wire.HEADER.size

    assert list(first) == ["pivots", "pivots 2", "pivots 3"]
    assert first["pivots 2"] == ex.Traffic(size, 1, 0, 0)
    assert sum(second.values(), ex.Traffic()) == ex.Traffic(0, 0, 3 * size, 3)


def test_a_recv_that_blocks_for_ever_is_given_up() -> None:
    """The error names the phase and the worker that was waited for, although `recv` knows neither."""
    world = ex.World(2, 3, lambda to, data: None, threading.Event().wait, timeout=0.2)  # type: ignore[arg-type]
    began = time.monotonic()

    with pytest.raises(EngineError, match=r'worker 2 waited for worker 1 in phase "look": nothing for 0.2 s; see'):
        world.gather("look", b"")
    assert time.monotonic() - began < 5


def test_a_send_that_nobody_takes_is_given_up() -> None:
    """A receiver that never comes ends in an error that names it."""
    world = ex.World(0, 2, lambda to, data: threading.Event().wait(), lambda: b"", timeout=0.2)

    with pytest.raises(EngineError, match='worker 0 could not send to worker 1 in phase "pair"'):
        world.swap("pair", [b"", b""])


def test_workers_that_do_different_things_find_out() -> None:
    """Another name of a phase is an error, not a wrong answer."""

    def work(part: str, world: ex.World) -> bytes:
        return world.reduce(part, b"", max)

    with pytest.raises(EngineError, match="is in another phase than worker"):
        ex.run(work, ["counts", "sums"], transport="threads", timeout=20)


def test_wrong_calls_are_refused_before_anything_is_sent() -> None:
    """An id out of range, a part too few, a root with nothing."""
    world = ex.World(0, 2, lambda to, data: pytest.fail("sent"), lambda: b"")

    with pytest.raises(UsageError, match="worker 2 of 2 cannot be"):
        ex.World(2, 2, lambda to, data: None, lambda: b"")
    with pytest.raises(UsageError, match="1 parts for 2 workers; give one for each"):
        world.swap("swap", [b""])
    with pytest.raises(UsageError, match='worker 0 has nothing to share in "share"'):
        world.share("share", None)
    with pytest.raises(UsageError, match="give checkpoint="):
        ex.World(0, 2, lambda to, data: None, lambda: b"", returned=True)


# -- checkpoints, when all workers are started again -------------------------------------------------------------------


def test_a_run_that_is_started_again_goes_on(tmp_path: Path) -> None:
    """Phases that all workers have kept are not done again; the answer is that of a run without a fault."""

    def work(fail: bool, world: ex.World) -> Any:
        first = everything(None, world)
        if fail and world.id == 2:
            raise RuntimeError("out of memory")
        return first, world.gather("last", b"%d" % world.id), world.phase

    with pytest.raises(EngineError, match="worker 2 failed: RuntimeError: out of memory"):
        ex.run(work, [True] * 5, transport="threads", timeout=20, checkpoint=tmp_path)
    kept = {path.name for path in tmp_path.glob("worker-*/*.received")}
    results = ex.run(work, [False] * 5, transport="threads", timeout=20, checkpoint=tmp_path)
    again = ex.run(work, [False] * 5, transport="threads", timeout=20, checkpoint=tmp_path)

    assert "00005.received" in kept
    assert results == [(expected(worker, 5), [b"%d" % each for each in range(5)], "last") for worker in range(5)]
    assert again == results


def test_a_checkpoint_of_other_data_is_refused(tmp_path: Path) -> None:
    """Another answer is never taken for this one's."""

    def work(part: bytes, world: ex.World) -> bytes:
        return world.reduce("sum", part, max)

    ex.run(work, [b"a", b"b"], transport="threads", timeout=20, checkpoint=tmp_path)

    with pytest.raises(EngineError, match='is of phase "sum" and other data than "sum" has now; give every piece'):
        ex.run(work, [b"a", b"c"], transport="threads", timeout=20, checkpoint=tmp_path)
