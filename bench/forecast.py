"""Forecasts held against Spark: what `ps.plan` says will cross, and what a real cluster of two workers writes.

    make bench PATTERN=forecast ARGS='--rows 20000000 --only sessionize,q03'

Each plan is made with nothing remembered of the files, then the table is run for no one (Spark's noop sink), on one
and the same cluster. Bytes are Spark's "shuffle bytes written"; what goes to all workers is not among them.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Column, Table

import penstock as ps
from bench import data, report
from bench.tables import LAYOUTS, laid_out

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results"
TPCH = ("q03", "q05", "q09", "q13", "q18")
NEAR, FAR = 0.15, 1.5

Made = Callable[[], Any]


def patterns(read: Callable[[Path], Any], rows: int) -> Iterator[tuple[str, Made]]:
    """A call of every pattern over events and visits."""
    events, visits = (read(path) for path in (data.events(rows), data.visits(rows)))
    users = read(data.users(data.events(rows)))
    yield "where", lambda: ps.where(events, "amount > 500 AND url LIKE '%7'")
    yield "derive", lambda: ps.derive(events, day="date_trunc('day', ts)", half="user_id // 2")
    yield "aggregate", lambda: ps.aggregate(events, "user_id", total="sum(amount)", n="count(*)", mean="avg(amount)")
    yield "aggregate, few", lambda: ps.aggregate(events, "country", total="sum(amount)", n="count(*)")
    yield "aggregate, text", lambda: ps.aggregate(events, "user_id", most="max(url)", n="count(*)")
    yield "aggregate, distinct", lambda: ps.aggregate(events, "country", urls="count(DISTINCT url)", n="count(*)")
    yield "top", lambda: ps.top(events, "url", n=100)
    yield "top_n", lambda: ps.top_n(events, "country", "amount desc", n=10)
    yield "mode", lambda: ps.mode(events, "user_id", by="country")
    yield "distinct", lambda: ps.distinct(events, "user_id", "country")
    yield "count_distinct", lambda: ps.count_distinct(events, "user_id", by="country")
    yield "count_distinct, sketched", lambda: ps.count_distinct(events, "user_id", by="country", error=0.02)
    yield "sort", lambda: ps.sort(events, "amount desc")
    yield "sessionize", lambda: ps.sessionize(visits, "user_id", "ts")
    yield "sessions", lambda: ps.sessions(visits, "user_id", "ts")
    yield "sessions, longest", lambda: ps.sessions(visits, "user_id", "ts", max_length="2h")
    yield "dedup", lambda: ps.dedup(events, ["user_id", "url"], at="ts")
    yield "dedup, within", lambda: ps.dedup(visits, "user_id", at="ts", within="10m")
    yield "join, shuffle", lambda: ps.join(events, users, "user_id", strategy="shuffle")
    yield "join, broadcast", lambda: ps.join(events, users, "user_id", strategy="broadcast")
    yield "asof_join", lambda: ps.asof_join(visits, events, on="user_id", at="ts")
    yield "range_join", lambda: ps.range_join(events, _ranges(users), "user_id", "low", "high")


def _ranges(users: Any) -> Any:
    return ps.query("SELECT user_id * 10 AS low, user_id * 10 + 9 AS high, plan FROM u WHERE user_id % 10 = 0", u=users)


def layouts(read: Callable[[Path], Any], rows: int) -> Iterator[tuple[str, Made]]:
    """One GROUP BY over keys that differ: how many, how skewed, numbers or text, in order or in none."""
    for name in LAYOUTS:
        table = read(laid_out(name, rows))
        yield f"group by {name}", lambda table=table: ps.aggregate(table, "k", total="sum(v)", n="count(*)")


def tpch(read: Callable[[Path], Any], folder: Path) -> Iterator[tuple[str, Made]]:
    """TPC-H at scale factor 1."""
    tables = {file.stem: read(file) for file in folder.glob("*.parquet")}
    for name in TPCH:
        sql = (ROOT / "tests" / "optimising" / "tpch" / f"{name}.sql").read_text()
        used = {table: each for table, each in tables.items() if re.search(rf"\b{table}\b", sql)}
        yield name, lambda sql=sql, used=used: ps.query(sql, **used)


def tpch_tables() -> Path:
    """The files, made once by tpchgen-cli."""
    folder = data.FOLDER / "tpch-1"
    if not folder.exists():
        aside = folder.with_name("tpch-1-unfinished")
        subprocess.run(
            [str(Path(sys.executable).with_name("tpchgen-cli")), "parquet", "-s", "1", f"--output-dir={aside}"],
            check=True,
        )
        aside.rename(folder)
    return folder


def forgotten() -> None:
    """As a new process would begin: with no footer and no sample in memory."""
    from penstock.forecasts import parquet_samples, sources, text_samples

    for kept in (sources._footer, parquet_samples._read_tasks, parquet_samples._rows, text_samples.of_text):
        kept.cache_clear()


def measure(engine: Any, made: Made, run: Callable[[Any], None]) -> dict[str, Any]:
    """What a plan says, how long that took, and what the run did."""
    table = made()
    forgotten()
    began = time.perf_counter()
    plan = ps.plan(table)
    planned = time.perf_counter() - began
    forecast = [step.moved_bytes for step in plan.steps if step.kind == "wide"]
    began = time.perf_counter()
    with engine.measured() as measured:
        run(table)
    took = time.perf_counter() - began
    mids = [each.mid for each in forecast]
    return {
        "forecast": None if None in mids else sum(each or 0 for each in mids),
        "low": sum(each.low or 0 for each in forecast),
        "high": None if None in mids else sum(each.high or 0 for each in forecast),
        "measured": measured.moved_bytes,
        "planned_seconds": planned,
        "run_seconds": took,
        "steps": [(step.name, step.moved_rows.mid, step.moved_bytes.mid) for step in plan.steps if step.kind == "wide"],
        "operators": [(op.keys, op.rows, op.bytes) for op in measured.operators if op.kind == "wide"],
    }  # fmt: skip


def shown(results: dict[str, dict[str, Any]]) -> Table:
    """Forecast and measurement side by side."""
    table = Table(Column("plan", no_wrap=True), box=SIMPLE, pad_edge=False, title="moved bytes, forecast and measured")
    for heading in ("forecast MB", "measured MB", "ratio", "planned s", "run s", "share"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, of in results.items():
        if "error" in of:
            table.add_row(name, of["error"][:60])
            continue
        forecast = "?" if of["forecast"] is None else f"{of['forecast'] / 1e6:,.2f}"
        planned, took, near = of["planned_seconds"], of["run_seconds"], ratio(of)
        table.add_row(
            name, forecast, f"{of['measured'] / 1e6:,.2f}", "" if near is None else f"{near:.3f}",
            f"{planned:.2f}", f"{took:.1f}", f"{planned / took:.1%}",
        )  # fmt: skip
    return table


def ratio(of: dict[str, Any]) -> float | None:
    """Forecast over measured; 1 where neither is anything."""
    if of.get("forecast") is None or of.get("measured") is None:
        return None
    return 1.0 if not of["measured"] and not of["forecast"] else of["forecast"] / max(1, of["measured"])


def verdict(results: dict[str, dict[str, Any]]) -> str:
    """How many are near, and how far the worst is."""
    known = {name: ratio(of) for name, of in results.items()}
    near = [name for name, each in known.items() if each is not None and abs(each - 1) <= NEAR]
    far = [name for name, each in known.items() if each is None or not 1 / FAR <= each <= FAR]
    slow = [n for n, of in results.items() if "error" not in of and of["planned_seconds"] > 0.05 * of["run_seconds"]]
    longest = max((of["planned_seconds"] for of in results.values() if "error" not in of), default=0.0)
    return (
        f"{len(near)} of {len(known)} within {NEAR:.0%}; more than {FAR}x off: {', '.join(far) or 'none'}\n"
        f"longest planning {longest:.2f} s; over 5 % of the run: {', '.join(slow) or 'none'}"
    )


@click.command()
@click.option("--rows", default=20_000_000, show_default=True)
@click.option("--only", default="", metavar="A;B", help="These plans, in part of their names.")
@click.option("--engine", default="", help="This engine, in place of a cluster of two workers.")
def main(rows: int, only: str, engine: str) -> None:
    """Plan, run and compare."""
    sys.path.insert(0, str(ROOT / "tests"))
    from clusters import standalone

    wanted = [part for part in only.split(";") if part]
    results: dict[str, dict[str, Any]] = {}
    setting = report.setting()
    with (
        tempfile.TemporaryDirectory() as folder,
        standalone(Path(folder)) as cluster,
        ps.connect(engine or cluster.url, **{"spark.executor.memory": "1500m"}) as opened,
    ):
        read = lambda path: opened.read(str(path))  # noqa: E731
        run = lambda table: table.write.format("noop").mode("overwrite").save()  # noqa: E731
        plans = {**dict(patterns(read, rows)), **dict(layouts(read, rows)), **dict(tpch(read, tpch_tables()))}
        for name, made in plans.items():
            if wanted and not any(part in name for part in wanted):
                continue
            try:
                results[name] = measure(opened, made, run)
            except Exception as error:
                results[name] = {"error": f"{type(error).__name__}: {error}"}
            print(name, json.dumps(results[name])[:2000], file=sys.stderr, flush=True)
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"forecast-{rows}.json").write_text(json.dumps({"rows": rows, **setting, "plans": results}, indent=1))
    console = Console(width=120)
    console.print(shown(results))
    console.print(verdict(results))


if __name__ == "__main__":
    main()
