"""Transports: the same answers over each, and errors that say whose they are."""

from __future__ import annotations

import importlib.util
import multiprocessing
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from penstock import exchange as ex
from penstock.errors import ColumnError, EngineError, UsageError
from penstock.exchange import wire
from penstock.exchange.transports import parcels

pytestmark = pytest.mark.timeout(60)

needs_mpi = pytest.mark.skipif(importlib.util.find_spec("mpi4py") is None, reason="pip install 'penstock[mpi]'")
TRANSPORTS = [
    pytest.param("threads", {}, id="threads"),
    pytest.param("simulator", {}, id="simulator"),
    pytest.param("process", {}, id="process"),
    pytest.param("process", {"start": "spawn"}, id="spawned"),
    pytest.param("tcp", {}, id="tcp"),
    pytest.param("tcp", {"tls": False, "secret": "sixteen letters!"}, id="tcp without tls"),
    pytest.param("mpi", {}, id="mpi", marks=needs_mpi),
]


def work(part: np.ndarray, world: ex.World) -> dict[str, Any]:
    """A bit of everything, with parts of several frames."""
    big = bytes([world.id]) * (2 * wire.FRAME + 1)
    swapped = world.swap("swap", [big if to == 1 else b"%d" % to for to in range(world.size)])
    return {
        "swapped": [(len(data), data[:1]) for data in swapped],
        "all": world.gather("gather", part.tobytes()),
        "least": np.float64(part.min()),
        "sum": int.from_bytes(world.reduce("sum", int(part.sum()).to_bytes(8, "big"), add), "big"),
        "traffic": world.traffic["swap"],
    }


def add(left: bytes, right: bytes) -> bytes:
    return (int.from_bytes(left, "big") + int.from_bytes(right, "big")).to_bytes(8, "big")


def fails(part: int, world: ex.World) -> list[bytes]:
    """One worker refuses its part; the others wait for it."""
    if world.id == 2:
        raise ColumnError.missing("userid", ["user_id"]) if part else ZeroDivisionError("no rows")
    return world.gather("gather", b"")


def sleeps(part: float, world: ex.World) -> list[bytes]:
    """One worker comes too late."""
    if world.id == 1:
        time.sleep(part)
    return world.gather("gather", b"")


@pytest.fixture(autouse=True)
def nobody_stays() -> Iterator[None]:
    """After every test no process is left."""
    yield
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize(("transport", "options"), TRANSPORTS)
def test_every_transport_gives_the_same(transport: str, options: dict[str, Any]) -> None:
    """Results come in worker order, arrays go there and numbers come back."""
    parts = [np.arange(worker, worker + 3) for worker in range(4)]
    ones = [bytes([sender]) for sender in range(4)]

    results = ex.run(work, parts, transport=transport, timeout=30, **options)

    for worker, result in enumerate(results):
        size = 2 * wire.FRAME + 1 if worker == 1 else 1
        assert result["swapped"] == [(size, one if worker == 1 else b"%d" % worker) for one in ones]
        assert result["all"] == [part.tobytes() for part in parts]
        assert result["sum"] == 30
        assert result["least"] == worker
        assert isinstance(result["traffic"], ex.Traffic)


@pytest.mark.parametrize(("transport", "options"), TRANSPORTS)
def test_an_error_says_whose_it_is(transport: str, options: dict[str, Any]) -> None:
    """An error of one worker ends all of them, at once and with its own words."""
    began = time.monotonic()

    with pytest.raises(EngineError, match="worker 2 failed: ZeroDivisionError: no rows"):
        ex.run(fails, [0] * 4, transport=transport, **options)
    with pytest.raises(ColumnError, match='worker 2: no column "userid" in the table; did you mean "user_id"'):
        ex.run(fails, [1] * 4, transport=transport, **options)
    assert time.monotonic() - began < 30


@pytest.mark.parametrize(
    ("transport", "options"), [each for each in TRANSPORTS if each.id not in ("simulator", "spawned")]
)
def test_who_waits_too_long_gives_up(transport: str, options: dict[str, Any]) -> None:
    """The error names the phase and the one that was waited for."""
    began = time.monotonic()

    with pytest.raises(
        EngineError, match=r'worker \d (waited for|could not send to) worker \d in phase "gather": nothing'
    ):
        ex.run(sleeps, [20.0] * 2, transport=transport, timeout=1.0, **options)
    assert time.monotonic() - began < 15


def test_no_parts_and_unknown_words() -> None:
    """Nothing to do gives nothing; a transport that is none is refused with those that are."""
    assert ex.run(work, [], transport="process") == []
    with pytest.raises(UsageError, match='transport="smoke" is unknown; there are: process, tcp, mpi'):
        ex.run(work, [1], transport="smoke")
    with pytest.raises(UsageError, match="a secret of 5 bytes can be guessed"):
        ex.run(work, [1], transport="tcp", secret="12345")


def test_a_local_function_cannot_be_spawned() -> None:
    """Said before anything starts, with what to do."""
    for options in ({"transport": "process", "start": "spawn"}, {"transport": "mpi"}):
        with pytest.raises(
            UsageError, match=r"<lambda> cannot be found by a(nother)? process.*give a function at the top"
        ):
            ex.run(lambda part, world: None, [1], **options)


@needs_mpi
def test_a_rank_that_fails_ends_all(tmp_path: Path) -> None:
    """In a program that `mpirun` started, an error that nobody catches is shown, and no rank waits for the timeout."""
    program = tmp_path / "program.py"
    program.write_text(
        "from penstock.exchange.transports import mpi\n"
        "world = mpi.world(timeout=50)\n"
        "if world.id == 1:\n"
        "    raise ValueError('no such part')\n"
        "world.gather('all', b'')\n"
    )
    mpirun = Path(sys.executable).with_name("mpirun")
    began = time.monotonic()
    ended = subprocess.run([mpirun, "-n", "3", sys.executable, program], capture_output=True, text=True)

    assert ended.returncode != 0
    assert "ValueError: no such part" in ended.stderr
    assert time.monotonic() - began < 30


def test_a_parcel_keeps_values_as_they_are() -> None:
    """Whole numbers of any size, floats to the bit, text, bytes, arrays with their types, and our own tuples."""
    values = [
        None, True, -(2**70), 0.1, float("inf"), "ä\n\udc80", b"\x00", Path("a/b"), [1, [2]], (1,), {3}, frozenset({4}),
        {(1, "k"): [None]}, ex.Traffic(1, 2, 3, 4), wire.Message(b"x", 1, 2),
    ]  # fmt: skip
    arrays = [np.array([[1, 2], [3, 4]], "<u2").T, np.array([np.nan, -0.0]), np.array(["a", None], object), np.int8(5)]

    back = parcels.unpacked(parcels.packed([values, arrays]))

    assert back[0] == values
    assert [type(value) for value in back[0][:7]] == [type(value) for value in values[:7]]
    for array, other in zip(arrays, back[1], strict=True):
        np.testing.assert_array_equal(array, other)
        assert array.dtype == other.dtype
        assert type(array) is type(other)


def test_a_parcel_refuses_what_is_code() -> None:
    """Only values go between workers, and no parcel makes another class than the exchange's own."""
    with pytest.raises(UsageError, match="a function cannot go between workers; give and return numbers"):
        parcels.packed([len, lambda: None][1:])
    form = b'["ours", "subprocess", "Popen", [["text", 2]]]'
    with pytest.raises(UsageError, match="a parcel holds what this version does not know"):
        parcels.unpacked(len(form).to_bytes(8, "little") + form + b"ls")
