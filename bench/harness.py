"""Run the contenders of one pattern side by side: each in a process of its own, one at a time, round after round.

A first round warms up (imports, the JVM, the page cache), and its answers are kept and compared; the timed rounds go
A B C, A B C, so that a machine that slows down slows everyone.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from itertools import product
from pathlib import Path
from subprocess import PIPE, Popen
from tempfile import TemporaryDirectory, TemporaryFile
from types import ModuleType
from typing import IO, Any, cast

from bench import answers, data, peers

__all__ = ["Outcome", "load", "run"]

ROOT = Path(__file__).parent.parent
ENVIRONMENT = {"TZ": "UTC", "SPARK_LOCAL_IP": "127.0.0.1"}

Reply = dict[str, Any]


@dataclass
class Outcome:
    """What came back: a reply for each timed run, or the reason why there is none."""

    replies: dict[str, list[Reply]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


class ContenderError(Exception):
    """A contender gave no answer, or another one than the rest."""


def load(pattern: str) -> ModuleType:
    """CONTENDERS of a pattern by name, those that leave ties open last, whether rows are ORDERED, and other DATA."""
    return import_module(f"bench.patterns.{pattern}")


def run(
    pattern: str, names: Collection[str], *, rows: int, rounds: int, seed: int, say: Callable[[str], object]
) -> Outcome:
    """Let the contenders named answer once to compare, and `rounds` times to measure."""
    module = load(pattern)
    outcome = Outcome()
    workers = {}
    say(f"making {rows:,} events")
    path = getattr(module, "DATA", data.events)(rows, seed)
    with TemporaryDirectory(dir=path.parent) as folder, ExitStack() as processes:
        for name in names:
            if reason := peers.missing(module.CONTENDERS[name]):
                outcome.left_out[name] = reason
            else:
                workers[name] = processes.enter_context(_worker(pattern, name, path))

        for number, (name, ask) in product(range(rounds + 1), workers.items()):
            if name in outcome.failed:
                continue
            say(f"round {number} of {rounds}: {name}" if number else f"warming up: {name}")
            try:
                if number:
                    outcome.replies[name].append(ask(None))
                else:
                    ask(Path(folder, name))
                    _compare(module, name, next(iter(outcome.replies), name), Path(folder))
                    outcome.replies[name] = []
            except ContenderError as error:
                outcome.failed[name] = str(error)
                outcome.replies.pop(name, None)
    return outcome


@contextmanager
def _worker(pattern: str, name: str, path: Path) -> Iterator[Callable[[Path | None], Reply]]:
    """A fresh process for one contender, and the function that makes it run once."""
    command = [sys.executable, "-m", "bench.worker", pattern, name, str(path)]
    environment = os.environ | ENVIRONMENT
    with (
        TemporaryFile("w+") as log,
        Popen(command, cwd=ROOT, env=environment, text=True, stdin=PIPE, stdout=PIPE, stderr=log) as process,
    ):
        orders, replies = cast(IO[str], process.stdin), cast(IO[str], process.stdout)

        def ask(keep: Path | None) -> Reply:
            print(json.dumps({"keep": keep and str(keep)}), file=orders, flush=True)
            if not (line := replies.readline()):
                log.seek(0)
                raise ContenderError(f"its process ended with {process.wait()}: {log.read()[-500:].strip()}")
            reply: Reply = json.loads(line)
            if "error" in reply:
                raise ContenderError(reply["error"])
            return reply

        yield ask


def _compare(module: ModuleType, name: str, first: str, folder: Path) -> None:
    """Hold a kept answer against the first one; only that one stays on the disk."""
    if name == first:
        return
    difference = answers.disagreement(
        answers.load(folder / first),
        answers.load(folder / name),
        columns=module.CONTENDERS[name].determined,
        ordered=module.ORDERED,
    )
    (folder / name).unlink()
    if difference:
        raise ContenderError(f"disagrees with {first}: it {difference}")
