"""Faults: workers are killed in every phase, frozen, orphaned; the answer is right, or the error says what happened."""

from __future__ import annotations

import functools
import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import penstock as ps
from penstock import exchange as ex
from penstock.errors import EngineError, UsageError
from penstock.exchange.checkpoint import Checkpoint, Record

pytestmark = pytest.mark.timeout(60)

SIZE = 4
PHASES = ("where to go on", "swap", "reduce", "share", "gather", "swap 2")


@pytest.fixture(autouse=True)
def nobody_stays() -> Iterator[None]:
    """After every test no process is left."""
    yield
    assert multiprocessing.active_children() == []


def statistics(part: Any, world: ex.World) -> list[Any]:
    """Every collective, each with what the one before it gave."""
    parts = world.swap("swap", [b"%d-%d" % (world.id, to) * 50 for to in range(SIZE)])
    halves = b"".join(parts)[:200], parts[0]
    total, _ = world.reduce_halves("reduce", halves, lambda left, right: left + b"+" + right)
    plan = world.share("share", total[:20] if world.id == 1 else None, root=1)
    every = world.gather("gather", plan + b"%d" % world.id)
    return [total, every, world.swap("swap", every)]


@functools.cache
def truth() -> list[Any]:
    """What comes out when nothing goes wrong."""
    return ex.run(statistics, [None] * SIZE, transport="threads", timeout=20)


class KilledIn:
    """Work in workers that kill themselves, as -9 does, at a certain frame sent in a phase; once each."""

    def __init__(self, folder: Path, deaths: dict[int, tuple[str, int]], work: Any = None) -> None:
        self.folder = folder
        self.deaths = deaths
        self.work = work or statistics

    def __call__(self, part: Any, world: ex.World) -> list[Any]:
        send, count = world._send_frame, 0

        def sending(to: int, data: bytes) -> None:
            nonlocal count
            phase, at = self.deaths.get(world.id, ("", 0))
            if world.phase == phase:
                mark = self.folder / f"{world.id}.killed"
                if count == at and not mark.exists():
                    mark.touch()
                    os.kill(os.getpid(), signal.SIGKILL)
                count += 1
            send(to, data)

        world._send_frame = sending
        return self.work(part, world)


def deaths(folder: Path) -> int:
    """How many killed themselves."""
    return len(list(folder.glob("*.killed")))


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("transport", ["process", "tcp"])
def test_a_worker_killed_in_any_phase_comes_back(transport: str, phase: str, tmp_path: Path) -> None:
    """Killed in the middle of a phase and started again, it goes on from its checkpoint; the others waited."""
    work = KilledIn(tmp_path, {1: (phase, 1 if "swap" in phase else 0)})

    results = ex.run(work, [None] * SIZE, transport=transport, timeout=20, checkpoint=tmp_path / "kept", restarts=1)

    assert results == truth()
    assert deaths(tmp_path) == 1


@pytest.mark.parametrize(
    "when",
    [
        {0: ("swap", 1), 1: ("swap", 2)},
        {0: ("reduce", 0), 2: ("reduce", 0), 3: ("reduce", 0)},
        {0: ("gather", 0), 1: ("share", 0), 2: ("swap 2", 2), 3: ("swap", 0)},
        {worker: ("swap 2", worker % 3) for worker in range(SIZE)},
    ],
    ids=["two in one phase", "three in a tree", "each in another phase", "all at the end"],
)
def test_several_that_die_come_back(when: dict[int, tuple[str, int]], tmp_path: Path) -> None:
    """What one that died had sent to another that died is not lost either: it is kept."""
    work = KilledIn(tmp_path, when)

    results = ex.run(work, [None] * SIZE, transport="process", timeout=20, checkpoint=tmp_path / "kept", restarts=1)

    assert results == truth()
    assert deaths(tmp_path) == len(when)


def mode_and_median(part: Any, world: ex.World) -> Any:
    """What users call, on values that are nearly all different."""
    values = np.random.default_rng(world.id).integers(-(2**63), 2**63 - 1, 3000)
    if world.id in (0, 2):
        values[17] = 42
    return ex.mode(values, world), ex.median(values, world), ex.distinct(values, world)


def test_statistics_survive_a_death_in_each_of_their_phases(tmp_path: Path) -> None:
    """Whichever phase a worker is killed in, mode, median and distinct are those of a run without a fault."""
    phases: list[str] = []

    def noted(part: Any, world: ex.World) -> Any:
        found = mode_and_median(part, world)
        phases.extend(world.traffic if world.id == 0 else [])
        return found

    expected = ex.run(noted, [None] * 3, transport="threads", timeout=20)
    assert len(phases) >= 8
    for number, phase in enumerate(phases):
        folder = tmp_path / str(number)
        folder.mkdir()
        work = KilledIn(folder, {number % 3: (phase, 0)}, mode_and_median)
        results = ex.run(work, [None] * 3, transport="process", timeout=20, checkpoint=folder / "kept", restarts=1)

        assert results == expected
        assert deaths(folder) == 1, phase


@pytest.mark.parametrize("transport", ["process", "tcp"])
def test_a_healthy_worker_takes_over(transport: str, tmp_path: Path) -> None:
    """A worker that is not started again has its part read and worked on where others live."""
    work = KilledIn(tmp_path, {1: ("reduce", 0), 3: ("swap", 1)})
    asked = tmp_path / "asked"
    asked.mkdir()

    def part_of(worker: int) -> None:
        (asked / str(worker)).touch()

    results = ex.run(
        work, [None] * SIZE, transport=transport, timeout=20, checkpoint=tmp_path / "kept", part_of=part_of
    )

    assert results == truth()
    assert sorted(path.name for path in asked.iterdir()) == ["1", "3"]


def test_who_takes_over_may_die_as_well(tmp_path: Path) -> None:
    """Parts move on as long as one worker lives."""
    work = KilledIn(tmp_path, {1: ("swap", 0), 2: ("gather", 0), 0: ("swap 2", 0)})

    results = ex.run(
        work, [None] * SIZE, transport="process", timeout=20, checkpoint=tmp_path / "kept", part_of=lambda worker: None
    )

    assert results == truth()


def test_a_death_without_a_checkpoint_is_an_error(tmp_path: Path) -> None:
    """It is said at once, with the signal; nobody waits for the timeout."""
    began = time.monotonic()

    with pytest.raises(EngineError, match="worker 2 was killed by signal 9; its machine may be out of memory"):
        ex.run(KilledIn(tmp_path, {2: ("gather", 0)}), [None] * SIZE, transport="process", timeout=60)
    assert time.monotonic() - began < 10


def test_a_worker_that_dies_each_time_is_given_up(tmp_path: Path) -> None:
    """Restarts are counted."""

    def work(part: None, world: ex.World) -> Any:
        if world.id == 1:
            os._exit(3)
        return world.gather("all", b"")

    with pytest.raises(EngineError, match="worker 1 ended with exit code 3"):
        ex.run(work, [None] * 3, transport="process", checkpoint=tmp_path, restarts=2)


def test_coming_back_needs_a_checkpoint() -> None:
    """Said before anything starts."""
    for options in ({"restarts": 1}, {"part_of": int}):
        with pytest.raises(UsageError, match="a worker can come back only with what it has kept; give checkpoint="):
            ex.run(statistics, [None], transport="process", **options)


def test_a_frozen_worker_is_waited_for_and_named() -> None:
    """A worker that stands still without dying ends the wait of the others at `timeout`."""

    def work(part: None, world: ex.World) -> Any:
        if world.id == 1:
            os.kill(os.getpid(), signal.SIGSTOP)
        return world.gather("all", b"")

    with pytest.raises(EngineError, match=r'worker 0 (waited for|could not send to) worker 1 in phase "all"'):
        ex.run(work, [None] * 2, transport="process", timeout=1.0)


def test_a_worker_destroys_nothing_of_its_parent() -> None:
    """What is the parent's garbage stays so in a forked worker: threads that it would wait for to end are not there."""

    def batches() -> Iterator[pa.RecordBatch]:
        for number in range(2000):
            time.sleep(0.002)
            yield pa.record_batch({"x": [number] * 2000})

    def work(part: None, world: ex.World) -> list[bytes]:
        gc.collect()
        return world.gather("all", b"%d" % world.id)

    gc.disable()
    try:
        with ps.connect("duckdb", threads=2) as engine:
            source = pa.RecordBatchReader.from_batches(pa.schema({"x": pa.int64()}), batches())
            ring: list[Any] = [engine.batches(engine.connection.from_arrow(source))]
            ring.append(ring)
            ring[0].read_next_batch()
            del ring, source

            assert ex.run(work, [None] * 2, transport="process", timeout=10) == [[b"0", b"1"]] * 2
    finally:
        gc.enable()


def test_a_stopped_worker_ends_with_its_parent(tmp_path: Path) -> None:
    """Even one that can do nothing any more: else it would keep open what the parent had open."""
    program = tmp_path / "program.py"
    program.write_text(
        "import os, signal\n"
        "from pathlib import Path\n"
        "from penstock import exchange as ex\n"
        "def work(part, world):\n"
        "    Path(part).write_text(str(os.getpid()))\n"
        "    os.kill(os.getpid(), signal.SIGSTOP)\n"
        f"ex.run(work, [{str(tmp_path / 'id')!r}], transport='process')\n"
    )
    parent = subprocess.Popen([sys.executable, str(program)])
    wait_for(lambda: (tmp_path / "id").exists() and (tmp_path / "id").read_text())
    parent.kill()
    parent.wait()

    wait_for(lambda: not lives(int((tmp_path / "id").read_text())))


def test_a_dead_parent_leaves_nobody(tmp_path: Path) -> None:
    """When the one who called `run` is killed, its workers end by themselves."""
    program = tmp_path / "program.py"
    program.write_text(
        "import os, time\n"
        "from pathlib import Path\n"
        "from penstock import exchange as ex\n"
        "def work(part, world):\n"
        "    Path(part, str(os.getpid())).touch()\n"
        "    time.sleep(60)\n"
        f"ex.run(work, [{str(tmp_path / 'ids')!r}] * 3, transport='process')\n"
    )
    ids = tmp_path / "ids"
    ids.mkdir()
    parent = subprocess.Popen([sys.executable, str(program)])
    wait_for(lambda: len(list(ids.iterdir())) == 3)
    parent.kill()
    parent.wait()

    wait_for(lambda: not any(lives(int(path.name)) for path in ids.iterdir()))


def wait_for(holds: Any) -> None:
    """Fail when something does not come true in ten seconds."""
    end = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def lives(process: int) -> bool:
    """Whether a process runs (a zombie that nobody has buried does not)."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_what_a_phase_gave_appears_whole(tmp_path: Path) -> None:
    """A phase is kept by a rename; what a kill left half-written does not count."""
    checkpoint = Checkpoint(tmp_path, 3)
    record = Record("swap", 17, [1, 2, 3, 4], [b"", b"a\nb", bytes(1000)])
    for number in (1, 2, 4):
        checkpoint.save(number, record)
    (tmp_path / "worker-00003" / "00003.writing").write_bytes(b"half")

    again = Checkpoint(tmp_path, 3)

    assert again.committed() == 2
    assert again.load(2, "swap", 17) == record
    again.forget(after=1)
    assert again.committed() == 1


def test_frames_are_kept_for_those_who_lost_them(tmp_path: Path) -> None:
    """What was sent in a phase can be read back by receiver, also while the phase goes on."""
    checkpoint = Checkpoint(tmp_path, 0)
    for number, to, frame in [(1, 2, b"a"), (1, 3, b"b"), (1, 2, b""), (2, 2, b"c" * 10_000)]:
        checkpoint.keep(number, to, frame)

    assert list(checkpoint.sent(1, 2)) == [b"a", b""]
    assert list(checkpoint.sent(2, 2)) == [b"c" * 10_000]
    assert list(checkpoint.sent(2, 3)) == list(checkpoint.sent(9, 2)) == []


def always_dies(part: Any, world: ex.World) -> None:
    """Worker 1 is killed whenever it is started."""
    if world.id == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    world.gather("gather", b"")


def test_a_worker_that_always_dies_says_how_often_it_was_started(tmp_path: Path) -> None:
    """The error does not ask for the restarts that there were."""
    with pytest.raises(EngineError, match="worker 1 was killed by signal 9, after it was started 2 times") as caught:
        ex.run(always_dies, [None] * 2, checkpoint=tmp_path, restarts=1)
    assert "restarts=" not in str(caught.value)
