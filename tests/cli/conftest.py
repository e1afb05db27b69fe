"""What the tests of the command line stand on: a folder of small files, and the command run in it."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from penstock.cli.main import run

SALES = "country,amount,at\nDE,10,2026-03-01 10:00:00\nFR,5,2026-03-01 11:30:00.25\nDE,7,\n,1,2026-03-02 00:00:00\n"
LOG = (
    '192.0.2.1 - - [01/Mar/2026:10:00:00 +0000] "GET /a HTTP/1.1" 200 10\n'
    '192.0.2.2 - - [01/Mar/2026:10:00:01 +0000] "GET /b HTTP/1.1" 200 10\n'
    "not a line of a log\n"
    '192.0.2.3 - - [01/Mar/2026:10:00:02 +0000] "GET /a HTTP/1.1" 404 -\n'
)


class Result(NamedTuple):
    """What a command left behind."""

    code: int
    bytes: bytes
    err: str

    @property
    def out(self) -> str:
        return self.bytes.decode()

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test works in a folder of its own that holds a few small files."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PENSTOCK_ENGINE", raising=False)
    Path("sales.csv").write_text(SALES)
    Path("access.log").write_text(LOG)
    return tmp_path


@pytest.fixture
def penstock(monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]) -> Callable[..., Result]:
    """Run a command line in this process: `penstock("top", "sales.csv", "--by", "country")`."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("NO_COLOR", raising=False)

    def command(*arguments: str, stdin: bytes | str = b"", terminal: bool = False) -> Result:
        data = stdin.encode() if isinstance(stdin, str) else stdin
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
        monkeypatch.setattr("sys.stdout.isatty", lambda: terminal)
        code = run(arguments)
        sys.stdout.flush()
        out, err = capsysbinary.readouterr()
        return Result(code, out, err.decode())

    return command


@pytest.fixture
def started() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start the command as a process of its own, which ends with the test at the latest."""
    program = "import sys; from penstock.cli.main import main; main()"
    running: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str, **options: Any) -> subprocess.Popen[bytes]:
        environment = os.environ | {"PYTHONUNBUFFERED": "1"}
        running.append(subprocess.Popen([sys.executable, "-c", program, *arguments], env=environment, **options))
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.wait(timeout=30)


def packed(text: str) -> bytes:
    """A text as gzip has it."""
    return gzip.compress(text.encode())
