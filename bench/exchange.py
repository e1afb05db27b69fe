"""exchange: the exact mode and median of values on ten workers, beside DuckDB on all of them in one process.

`python -m bench.exchange --rows 1000000` gives each of ten workers so many random 64-bit integers, all different but
for one that two workers share. `--data zipf` draws skewed ones, `--walk` compares what the ways to shuffle would send.
All values are in memory before a clock starts; DuckDB groups the same values with all cores. `--simulate 1000` shows
how evenly so many workers would be burdened in every phase of every statistic.
"""

from __future__ import annotations

import argparse
import json
import pickle
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from penstock import exchange as ex  # before numpy: see exchange/processor.py

# isort: split
import numpy as np
import numpy.typing as npt

from penstock.exchange.columns import pack_run
from penstock.exchange.counted import count
from penstock.exchange.shelf import Shelf
from penstock.exchange.transports.simulator import Phase
from penstock.exchange.values import Domain, hold

Report = dict[str, Any]

DUCKDB = "select v, count(*) as n from t group by v order by n desc, v limit 1"
STATISTICS: dict[str, Callable[[Any, ex.World], Any]] = {"mode": ex.mode, "median": ex.median, "distinct": ex.distinct}


def values(data: str, worker: int, rows: int) -> npt.NDArray[np.int64]:
    """What a worker has: the same in every run."""
    draw = np.random.default_rng(worker)
    if data == "zipf":
        return draw.zipf(1.3, rows)
    drawn = draw.integers(-(2**63), 2**63 - 1, rows)  # two of 100 M are equal by chance once in 3 700 draws
    if worker in (0, 1):
        drawn[rows // 2] = 20_260_301
    return drawn


def work(part: list[Any], world: ex.World) -> Report:
    """One worker: its values, then the statistic, with its clock and its memory."""
    data, rows, statistic = part
    mine = values(data, world.id, rows)
    world.gather("ready", b"")
    before = set(world.traffic)
    start, cpu = time.perf_counter(), time.process_time()
    found = STATISTICS[statistic](mine, world)
    return {
        "found": list(found) if isinstance(found, tuple) else found,
        "seconds": time.perf_counter() - start,
        "cpu": time.process_time() - cpu,
        "sent": sum(its.sent_bytes for phase, its in world.traffic.items() if phase not in before),
        "rounds": len(world.traffic) - len(before),
        "memory": peak(),
    }


Part = npt.NDArray[Any] | list[str]

SIMULATED: dict[str, Callable[[Any, ex.World], Any]] = {
    "mode": ex.mode,
    "top 10": lambda part, world: ex.top(part, world, 10),
    "median": ex.median,
    "4 quantiles": lambda part, world: ex.quantiles(part, world, [0.1, 0.5, 0.9, 0.99]),
    "moments": ex.moments,
    "distinct": ex.distinct,
    "distinct, 2 %": lambda part, world: ex.distinct(part, world, 0.02),
}


def few(workers: int, rows: int) -> dict[str, list[Part]]:
    """Parts of about so many values each, of several makes."""
    draw = np.random.default_rng(1)
    sizes = np.minimum(draw.pareto(1.0, workers) * rows / 2, 30 * rows) * (draw.random(workers) > 0.3)
    drawn = [np.random.default_rng(worker) for worker in range(workers)]
    return {
        "distinct": [each.integers(-(2**63), 2**63 - 1, rows) for each in drawn],
        "Zipf": [each.zipf(1.3, rows) for each in drawn],
        "parts of 0 to 30 times": [
            each.integers(-(2**63), 2**63 - 1, int(size)) for each, size in zip(drawn, sizes, strict=True)
        ],
        "all in one part": [each.integers(-(2**63), 2**63 - 1, 100 * rows * (each is drawn[0])) for each in drawn],
        "all equal": [np.full(rows, 7) for _ in drawn],
        "strings": [[f"user {number}" for number in each.integers(0, 10**9, rows)] for each in drawn],
    }


def simulated(workers: int, rows: int) -> None:
    """The busiest receiver of every phase, whatever the values are; along trees, and with a worker in the middle."""
    makes = few(workers, rows)
    print(f"{workers} workers in simulated time with some {rows} values each: the worst of {', '.join(makes)}")
    print(f"{'':42}{'busiest / mean':>14}{'bytes':>10}{'star':>10}{'bytes':>14}")
    for name, statistic in SIMULATED.items():
        worst: dict[str, Phase] = {}
        for make, parts in makes.items():
            if (name, make) == ("moments", "strings"):
                continue
            for phase in ex.simulate(statistic, parts).phases:
                its = phase.phase.rstrip(" 0123456789")  # phases that come again have numbers
                worst[its] = max(phase, worst.get(its, phase), key=lambda phase: phase.burden)
        star = {phase.phase: phase for phase in ex.simulate(statistic, makes["distinct"], star=True).phases}
        for phase, tree in worst.items():
            told = f"{name:16}{phase:26}{tree.burden:14.2f}{tree.received_max:10,}"
            if phase in star and star[phase].burden > 2 * tree.burden:
                told += f"{star[phase].burden:10.1f}{star[phase].received_max:14,}"
            print(told, flush=True)


def peak() -> int:
    """The most bytes that this process ever had in memory, pages that it shares with others included."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))


def exchange(options: argparse.Namespace, statistic: str) -> Report:
    """All workers' reports as one."""
    parts = [[options.data, options.rows, statistic]] * options.workers
    each = ex.run(work, parts, transport=options.transport, timeout=600.0)
    sent = [report["sent"] for report in each]
    return {
        "found": each[0]["found"],
        "seconds": max(report["seconds"] for report in each),
        "cpu": sum(report["cpu"] for report in each),
        "bytes a key": sum(sent) / (options.rows * options.workers),
        "busiest / mean": max(sent) / (sum(sent) / len(sent)) if sum(sent) else 1.0,
        "most sent": max(sent),
        "rounds": each[0]["rounds"],
        "memory": sum(report["memory"] for report in each),
    }


def duckdb(options: argparse.Namespace) -> Report:
    """The same values in one process, grouped by DuckDB; run by `main` in a process of its own."""
    import duckdb as engine
    import pyarrow as pa

    parts = [pa.table({"v": values(options.data, worker, options.rows)}) for worker in range(options.workers)]
    connection = engine.connect()
    connection.register("t", pa.concat_tables(parts))
    start, cpu = time.perf_counter(), time.process_time()
    found = connection.sql(DUCKDB).fetchall()
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    return {"found": list(found[0]), "seconds": seconds, "cpu": cpu, "memory": peak()}


def walk(rows: int, workers: int) -> dict[str, float]:
    """Bytes a key of each way to move all keys, and of not moving them."""
    mine = values("unique", 0, rows)
    pairs = [[(int(key), 1) for key in mine[mine % workers == owner]] for owner in range(workers)]
    with Shelf() as shelf:
        domain = Domain("int", 64, -(2**63), 2**63 - 1, 0, rows * workers, rows, 0)
        counted = count(hold(mine, shelf), domain, shelf)
        edges = [(owner << 64) // workers for owner in range(workers + 1)]
        packed = sum(len(pack_run(counted.section(low, high), low)) for low, high in pairwise(edges))
    options = argparse.Namespace(data="unique", rows=rows, workers=workers, transport="process")
    return {
        "pairs as JSON": sum(len(json.dumps(bucket)) for bucket in pairs) / rows,
        "pairs pickled": sum(len(pickle.dumps(bucket)) for bucket in pairs) / rows,
        "two columns of 64 bits": 16.0,
        "keys by their gaps, counts where they differ": packed / rows,
        "fingerprints": exchange(options, "mode")["bytes a key"],
    }


def main() -> None:
    """Measure, compare, print."""
    parser = argparse.ArgumentParser(prog="python -m bench.exchange", description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000, help="values of a worker")
    parser.add_argument("--workers", type=int, default=10)
    parser.add_argument("--data", choices=["unique", "zipf"], default="unique")
    parser.add_argument("--transport", choices=["process", "tcp", "mpi", "threads"], default="process")
    parser.add_argument("--statistics", nargs="*", choices=list(STATISTICS), default=["mode", "median"])
    parser.add_argument("--walk", action="store_true", help="what the ways to shuffle send")
    parser.add_argument("--simulate", type=int, metavar="WORKERS", help="how evenly so many would be burdened")
    parser.add_argument("--only-duckdb", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only_duckdb:
        print(json.dumps(duckdb(options)))
        return
    if options.simulate:
        simulated(options.simulate, min(options.rows, 20))
        return
    if options.walk:
        for way, amount in walk(options.rows, options.workers).items():
            print(f"{way:46}{amount:6.2f} bytes a key")
        return
    size = 8 * options.rows * options.workers
    print(f"{options.workers} workers, {options.rows:,} {options.data} values each, {size / 1e6:,.0f} MB in all")
    for statistic in options.statistics:
        show(statistic, exchange(options, statistic), size)
    if "mode" in options.statistics:
        again = [sys.executable, "-m", "bench.exchange", *sys.argv[1:], "--only-duckdb"]
        show("DuckDB", json.loads(subprocess.run(again, capture_output=True, check=True).stdout), size)


def show(name: str, report: Report, size: int) -> None:
    """One line of the report."""
    told = [
        f"{report['seconds']:7.2f} s",
        f"{report['cpu']:7.2f} s of cores",
        f"{report['memory'] / size:5.2f}x memory",
    ]
    if "rounds" in report:
        told += [f"{report['bytes a key']:7.4f} bytes a key", f"busiest / mean {report['busiest / mean']:.3f}"]
        told += [f"{report['most sent']:,} bytes at most", f"{report['rounds']} rounds"]
    print(f"{name:9}", *told, f"found {report['found']}", sep="  ", flush=True)


if __name__ == "__main__":
    main()
