"""Pipes that close and processes that are stopped: quiet, with the usual exit code, and nothing left behind."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

# Minutes of work on a small file.
ENDLESS = "SELECT count(*) AS n FROM t AS a, t AS b, t AS c WHERE (a.v + 3 * b.v + 5 * c.v) % 7 = 1"


@pytest.fixture(autouse=True)
def numbers(folder):
    """A file that is too long for the buffer of a pipe."""
    Path("numbers.csv").write_text("v\n" + "\n".join(map(str, range(300_000))) + "\n")
    Path("few.csv").write_text("v\n" + "\n".join(map(str, range(5_000))) + "\n")


def test_a_reader_that_leaves_early_is_no_error(started):
    """`penstock … | head` ends without a word when head has seen enough."""
    process = started("where", "numbers.csv", "v >= 0", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    first = process.stdout.readline()
    process.stdout.close()

    assert first == b"v\n"
    assert process.wait(timeout=30) == 128 + signal.SIGPIPE
    assert process.stderr.read() == b""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_work(tmp_path, monkeypatch, started, number):
    """Ctrl-C ends a long query at once with one line and exit 130, SIGTERM alike; the spooled input is gone."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    with Path("few.csv").open("rb") as file:
        process = started("query", ENDLESS, "-", "-q", stdin=file, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    _until(process, lambda: any(scratch.glob("penstock-*/stdin")))
    time.sleep(1.0)  # from the spooled file to the running query
    assert process.poll() is None
    began = time.monotonic()
    os.kill(process.pid, number)
    out, err = process.communicate(timeout=30)

    assert (process.returncode, out, err) == (128 + number, b"", b"interrupted\n")
    assert time.monotonic() - began < 10
    assert list(scratch.glob("penstock-*")) == []


STUBBORN = """
import time
from pathlib import Path
import penstock as ps

job = ps.Job("stubborn")

@job.source
def rows():
    Path("begun").touch()
    try:
        for _ in range(600):
            time.sleep(0.05)
    except KeyboardInterrupt as error:
        raise RuntimeError("what an engine makes of a signal") from error

@job.sink("out.csv")
def out(rows):
    return rows
"""


def test_a_signal_stops_a_plan(started):
    """Ctrl-C ends planning with exit 130 and no plan, whatever the work at hand makes of it."""
    Path("stubborn.py").write_text(STUBBORN)
    process = started("plan", "stubborn.py", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    _until(process, Path("begun").exists)
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=30)

    assert (process.returncode, out, err) == (128 + signal.SIGINT, b"", b"interrupted\n")


def _until(process: subprocess.Popen[bytes], seen: Callable[[], bool]) -> None:
    """Wait for what a process is to do before it is stopped."""
    deadline = time.monotonic() + 30
    while not seen():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
