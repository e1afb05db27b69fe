"""The process of one contender: an order comes in as a JSON line, it runs once, and a JSON line goes out.

{"keep": PATH or null}  ->  {"seconds": …, "rows": …, "moved_bytes": …, "peak_bytes": …}  or  {"error": …}
"""

from __future__ import annotations

import json
import os
import re
import sys
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import Any

import pyarrow as pa

from bench import peers

__all__ = ["serve"]


def serve(pattern: str, name: str, path: Path) -> None:
    """Answer until standard input closes."""
    contender = import_module(f"bench.patterns.{pattern}").CONTENDERS[name]
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # some engines print; only replies may reach the pipe
    for line in sys.stdin:
        try:
            reply = run_once(contender, path, **json.loads(line))
        except Exception as error:
            reply = {"error": f"{type(error).__name__}: {error}"[:1000]}
        print(json.dumps(reply), file=replies)


def run_once(contender: peers.Contender, path: Path, *, keep: str | None) -> dict[str, Any]:
    """Run, measure, and write the answer to where it is to be kept."""
    moved_before = peers.moved_bytes(contender)
    started = perf_counter()
    answer = contender.run(path)
    seconds = perf_counter() - started
    moved = peers.moved_bytes(contender) - moved_before
    peak = peak_bytes()
    if keep:
        with pa.ipc.new_file(keep, answer.schema) as file:
            file.write_table(answer)
    return {"seconds": seconds, "rows": answer.num_rows, "moved_bytes": moved, "peak_bytes": peak}


def peak_bytes(process: str = "self") -> int:
    """The most memory that this process and those it started (Spark's JVM) ever held; 0 where there is no /proc."""
    folder = Path("/proc", process)
    if not folder.exists():
        return 0
    own = re.search(r"VmHWM:\s+(\d+) kB", (folder / "status").read_text())
    started = " ".join(children.read_text() for children in folder.glob("task/*/children")).split()
    return (int(own[1]) * 1024 if own else 0) + sum(map(peak_bytes, started))


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
