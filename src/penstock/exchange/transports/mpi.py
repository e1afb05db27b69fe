"""Workers as ranks of an MPI program, through mpi4py: raw bytes only, nothing of its pickled side.

`world()` is for programs that `mpirun` starts; `run` starts such a program itself.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, TypeVar

from penstock.errors import EngineError, MissingExtra, UsageError
from penstock.exchange.transports.outcomes import outcome_of, result_of
from penstock.exchange.transports.parcels import packed, unpacked
from penstock.exchange.world import World

__all__ = ["run", "world"]

P = TypeVar("P")
R = TypeVar("R")

TAG: Final = 7
LONGEST_PAUSE: Final = 0.001

#: Seconds between an error that is shown and the end of all ranks. mpich's mpirun drops what it has not read by then:
#: without them, 21 of 280 errors were never seen.
HEARD: Final = 0.5


def world(
    *, timeout: float = 60.0, checkpoint: str | os.PathLike[str] | None = None, run: str = "", comm: Any = None
) -> World:
    """The world of this rank. An exception that nobody catches ends all ranks from now on.

    Args:
        timeout: Seconds that a rank waits for another before it gives up.
        checkpoint: A folder that keeps every phase. When a rank was lost, start all of them again with it.
        run: A name that the messages of this run carry.
        comm: The communicator; COMM_WORLD when none is given.
    """
    try:
        from mpi4py import MPI
    except ImportError:
        raise MissingExtra.of("mpi4py", "mpi") from None
    comm = MPI.COMM_WORLD if comm is None else comm
    ends = _Ends(MPI, comm, timeout)
    _abort_on_error(comm)
    return World(
        comm.Get_rank(),
        comm.Get_size(),
        ends.send,
        ends.recv,
        timeout=None,
        checkpoint=checkpoint,
        run=run,
        buffered=True,
    )


def _abort_on_error(comm: Any) -> None:
    """Else a rank that fails would wait in MPI's end for the others, and they for it until `timeout`."""
    shown = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        shown(kind, error, trace)
        sys.stdout.flush()
        sys.stderr.flush()
        time.sleep(HEARD)
        comm.Abort(1)

    sys.excepthook = hook


class _Ends:
    """A rank's `send` and `recv`.

    MPI's own send may wait until the receiver asks for the message, and all ranks may be sending at once; so a rank
    that waits for its send to end takes in what has come for it. It asks in pauses that grow to a millisecond:
    MPI's own waits keep a core busy each, and ranks may be more than cores.
    """

    def __init__(self, mpi: Any, comm: Any, timeout: float) -> None:
        self._mpi = mpi
        self._comm = comm
        self._timeout = timeout
        self._arrived: deque[bytes] = deque()

    def send(self, to: int, data: bytes) -> None:
        """Give bytes to a rank."""
        request = self._comm.Isend([data, self._mpi.BYTE], dest=to, tag=TAG)
        self._until(request.Test)

    def recv(self) -> bytes:
        """The next bytes of any rank."""
        self._until(lambda: bool(self._arrived))
        return self._arrived.popleft()

    def _take(self) -> None:
        message = self._comm.Improbe(source=self._mpi.ANY_SOURCE, tag=TAG, status=(status := self._mpi.Status()))
        if message is not None:
            data = bytearray(status.Get_count(self._mpi.BYTE))
            message.Recv([data, self._mpi.BYTE])
            self._arrived.append(bytes(data))

    def _until(self, over: Callable[[], bool]) -> None:
        end = time.monotonic() + self._timeout
        pause = 0.0
        self._take()
        while not over():
            if time.monotonic() > end:
                raise TimeoutError(f"nothing for {self._timeout:g} s")
            time.sleep(pause)
            pause = min(pause + 0.00002, LONGEST_PAUSE)
            self._take()


# -- starting ranks ----------------------------------------------------------------------------------------------------


def run(
    fn: Callable[[P, World], R],
    parts: Sequence[P],
    *,
    timeout: float = 60.0,
    checkpoint: str | os.PathLike[str] | None = None,
) -> list[R]:
    """Run every worker as a rank that `mpiexec` starts on this machine.

    Args:
        fn: What each does, as `fn(part, world)`: a function that stands at the top of a file.
        parts: One for each worker.
        timeout: Seconds that a worker waits for another before it gives up.
        checkpoint: A folder that keeps every phase, for a run that is started again.
    """
    if "<" in fn.__qualname__:
        raise UsageError(
            f"{fn.__qualname__} cannot be found by another process", "give a function at the top of a file"
        )
    beside_python = Path(sys.executable).parent
    mpiexec = shutil.which("mpiexec", path=f"{beside_python}{os.pathsep}{os.environ.get('PATH', '')}")
    if mpiexec is None or importlib.util.find_spec("mpi4py") is None:
        raise MissingExtra.of("mpi4py or mpiexec", "mpi")
    with tempfile.TemporaryDirectory(prefix="penstock-") as folder:
        call = {
            "file": inspect.getsourcefile(fn),
            "module": fn.__module__,
            "name": fn.__qualname__,
            "timeout": timeout,
            "checkpoint": None if checkpoint is None else os.fspath(checkpoint),
            "run": Path(folder).name,
        }
        Path(folder, "call.json").write_text(json.dumps(call))
        for rank, part in enumerate(parts):
            Path(folder, f"{rank}.part").write_bytes(packed(part))
        ranks = subprocess.run(
            [mpiexec, "-n", str(len(parts)), sys.executable, "-m", "penstock.exchange.transports.mpi", folder],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)},
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            check=False,
        )
        outcomes = [Path(folder, f"{rank}.outcome") for rank in range(len(parts))]
        found = {rank: unpacked(file.read_bytes()) for rank, file in enumerate(outcomes) if file.exists()}
    for rank, outcome in found.items():
        if outcome[0] == "raised":
            result_of(rank, outcome)
    if len(found) < len(parts):
        raise EngineError(f"mpiexec ended with exit code {ranks.returncode}: {ranks.stderr.strip()[-2000:]}")
    return [result_of(rank, outcome) for rank, outcome in sorted(found.items())]


def _rank(folder: str) -> None:
    """Do one rank's work of `run`; one that fails ends all."""
    call = json.loads(Path(folder, "call.json").read_text())
    here = world(timeout=call["timeout"], checkpoint=call["checkpoint"], run=call["run"])
    outcome = outcome_of(lambda: _function(call)(unpacked(Path(folder, f"{here.id}.part").read_bytes()), here))
    aside = Path(folder, f"{here.id}.writing")
    aside.write_bytes(outcome)
    aside.replace(Path(folder, f"{here.id}.outcome"))
    if unpacked(outcome)[0] == "raised":
        from mpi4py import MPI

        MPI.COMM_WORLD.Abort(1)


def _function(call: dict[str, Any]) -> Callable[[Any, World], Any]:
    """The function by its module's name; by its file where the module is a program, or in no path."""
    try:
        if call["module"] == "__main__":
            raise ImportError
        module = importlib.import_module(call["module"])
    except ImportError:
        spec = importlib.util.spec_from_file_location("__mp_main__", call["file"])
        if spec is None or spec.loader is None:
            raise
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    found: Any = module
    for name in call["name"].split("."):
        found = getattr(found, name)
    function: Callable[[Any, World], Any] = found
    return function


if __name__ == "__main__":
    _rank(sys.argv[1])
