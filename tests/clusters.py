"""A real standalone Spark cluster on loopback, made of what the PySpark wheel carries: one master, two workers.

A Python process can hold one classic Spark session only, and the test run holds a local one already: whatever works on
this cluster runs in a process of its own. `application` is one for many tests: a driver and its executors are three
JVMs that start cold, and most of what a test took that had them to itself was their start.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import penstock as ps

T = TypeVar("T")

WORKERS = 2
PATIENCE = 120.0  # seconds; both workers have registered within 6 on two idle cores, 25 on crowded ones

# Ends with its whole process group when its standard input closes: when we say so, or when we are gone, however that
# came about. Executors are children of their worker, so they are of its group.
LEASH = '"$@" </dev/null & read -r _; kill -9 0'

LOOPBACK = {"SPARK_LOCAL_IP": "127.0.0.1"}  # else the machine's own name must resolve

#: What cannot be changed once an application runs. The rest a call sets for itself.
SETTINGS = {
    "spark.sql.shuffle.partitions": 4,
    "spark.scheduler.minRegisteredResourcesRatio": 1,  # no task before both executors are there
    "spark.shuffle.io.retryWait": "200ms",  # not thrice 5 s before a lost executor is believed lost
    "spark.ui.port": 0,
}


@dataclass(frozen=True)
class Cluster:
    """Where the cluster answers and which process groups it is made of."""

    url: str
    page: str
    groups: tuple[int, ...]
    logs: Path

    def executors(self) -> set[int]:
        """The process ids of the executors at work, of every application."""
        listed = subprocess.run(["ps", "-wweo", "pid=,pgid=,args="], capture_output=True, text=True, check=True).stdout
        processes = (line.split(maxsplit=2) for line in listed.splitlines())
        return {
            int(pid)
            for pid, group, command in processes
            if int(group) in self.groups and "CoarseGrainedExecutorBackend" in command
        }


@dataclass(frozen=True)
class Application:
    """A process with a session on the cluster, that calls functions of the test files one after the other."""

    process: subprocess.Popen[str]

    def send(self, module: str, function: str, *arguments: Any) -> None:
        """Have it call a function; what that returns is the last line which it says."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([module, function, *arguments]) + "\n")
        self.process.stdin.flush()

    def says(self) -> Any:
        """The next line: what a call said with `say`, or what it returned."""
        assert self.process.stdout is not None
        try:
            line = self.process.stdout.readline()
        except BaseException:  # the test's time is over: what it asked for would be told to the next one
            self.process.kill()
            raise
        assert line, "the application ended; why is on stderr"
        return json.loads(line)

    def call(self, module: str, function: str, *arguments: Any) -> Any:
        """What a function returns there, as JSON has it."""
        self.send(module, function, *arguments)
        return self.says()


def say(something: Any) -> None:
    """Tell the test run, from within the application."""
    print(json.dumps(something), flush=True)


def serve(url: str) -> None:
    """Be the application: call what comes on standard input, until it is closed."""
    with ps.connect(url, **SETTINGS) as engine:
        engine.session.range(1).count()  # both executors are there
        for line in sys.stdin:
            module, function, *arguments = json.loads(line)
            say(getattr(importlib.import_module(module), function)(engine, *arguments))


@contextlib.contextmanager
def application(url: str) -> Iterator[Application]:
    """Run an application on a cluster."""
    command = [sys.executable, "-c", "import sys, clusters; clusters.serve(sys.argv[1])", url]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, cwd=Path(__file__).parent, env=os.environ | LOOPBACK, **pipes)
    try:
        yield Application(process)
        process.stdin.close()
        process.wait(timeout=PATIENCE)
    finally:
        process.kill()


@contextlib.contextmanager
def standalone(folder: Path) -> Iterator[Cluster]:
    """Run a master and two workers of one core each; their logs and scratch stay under `folder`."""
    own = {
        "SPARK_LOCAL_DIRS": str(folder / "scratch"),
        "SPARK_WORKER_DIR": str(folder / "work"),
        "SPARK_DAEMON_MEMORY": "256m",
        "PYSPARK_PYTHON": sys.executable,
    }
    with contextlib.ExitStack() as started:

        def start(name: str, role: str, *arguments: str) -> int:
            log = started.enter_context((folder / f"{name}.log").open("wb"))
            command = [_spark_class(), f"org.apache.spark.deploy.{role}", "--host", "127.0.0.1", "--webui-port", "0"]
            process = subprocess.Popen(
                ["/bin/sh", "-c", LEASH, "sh", *command, *arguments],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | LOOPBACK | own,
                start_new_session=True,
            )
            started.callback(_stop, process)
            return process.pid

        master = start("master", "master.Master", "--port", "0")
        log = folder / "master.log"
        port = _wait(lambda: _port("sparkMaster", log), "the master has no port", log)
        page = f"http://127.0.0.1:{_wait(lambda: _port('MasterUI', log), 'the master has no page', log)}"
        url = f"spark://127.0.0.1:{port}"
        workers = [start(f"worker-{i}", "worker.Worker", "-c", "1", "-m", "2g", url) for i in range(WORKERS)]
        _wait(lambda: _alive(page) == WORKERS, "the workers have not registered", log)
        yield Cluster(url, page, (master, *workers), folder)


def _spark_class() -> str:
    spec = find_spec("pyspark")
    assert spec is not None and spec.origin is not None
    return str(Path(spec.origin).parent / "bin" / "spark-class")


def _stop(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.close()
    process.wait(timeout=PATIENCE)


def _port(service: str, log: Path) -> str | None:
    found = re.search(rf"Successfully started service '{service}' on port (\d+)", log.read_text(errors="replace"))
    return found[1] if found else None


def _alive(page: str) -> int:
    with urllib.request.urlopen(f"{page}/json/", timeout=PATIENCE) as answer:
        return int(json.load(answer)["aliveworkers"])


def _wait(look: Callable[[], T], complaint: str, log: Path) -> T:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        # The page is announced a moment before it answers, and answers a moment before it answers in JSON.
        with contextlib.suppress(OSError, json.JSONDecodeError):
            if found := look():
                return found
        time.sleep(0.1)
    raise TimeoutError(f"{complaint} after {PATIENCE:.0f} s; its log ends: {log.read_text(errors='replace')[-2000:]}")
