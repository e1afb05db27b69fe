"""Measure this machine: what a core of it reads, regroups and writes in a second, and how fast its disk is.

One thread of DuckDB works on clicks of 200 bytes. Each rate is the best of three, by the processor's time.
"""

from __future__ import annotations

import gzip
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from penstock.engines.engine import Engine, connect
from penstock.errors import OutputError
from penstock.estimates.hardware import DEFAULTS, Machines, speed_of
from penstock.estimates.machine_file import Measured
from penstock.figures import Figure
from penstock.lake.write import write

__all__ = ["measure"]

ROWS = 200_000
DISK_BYTES = 256_000_000
BLOCK = 8_000_000
TEXT = 20_000_000
TIMES = 3

CLICKS = """SELECT hash(i) % 50000 AS user_id, TIMESTAMP '2026-03-01' + INTERVAL (i * 40) MILLISECOND AS ts,
'session-' || hash(i * 3) % 90000 AS session, (hash(i * 13) % 100000)::DOUBLE / 100 AS amount,
'https://shop.example.com/catalog/' || hash(i * 5) % 5000 || '/item-' || hash(i * 7) % 100000 AS url,
'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/' || hash(i * 17) % 60 || '.0 Safari/537.36' AS agent,
'https://search.example.org/?q=' || hash(i * 19) % 20000 AS referrer FROM range({rows}) AS r(i)"""
EVERY_COLUMN = (
    "SELECT sum(user_id), max(ts), max(length(session)), sum(amount), max(length(url)), max(length(agent)), "
    "max(length(referrer)) FROM {}"
)
NARROW = "SELECT max(d) FROM (SELECT ts - lag(ts) OVER (PARTITION BY user_id ORDER BY ts) AS d FROM t)"
NARROW_BYTES = 16
WIDE = tuple(
    EVERY_COLUMN.format(f"(SELECT *, row_number() OVER ({window}) AS nth FROM t) WHERE nth % 7 = 1")
    for window in ("PARTITION BY user_id, url ORDER BY ts", "ORDER BY url, ts")
)


def measure(folder: Path | None = None, *, rows: int = ROWS, disk_bytes: int = DISK_BYTES) -> Measured:
    """What this machine does, its disk by the folder that temporary files go to.

    Args:
        folder: Where files are written for it, and removed again.
        rows: How many clicks are worked on.
        disk_bytes: How much the disk writes and reads.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="penstock-", dir=folder) as scratch:
            written, read = _disk(Path(scratch, "block"), disk_bytes)
            with connect("duckdb", threads=1, scratch=scratch) as engine:
                rates = _rates(engine, Path(scratch), rows)
            free = shutil.disk_usage(scratch).free
    except OSError as error:
        raise OutputError(f"cannot measure the disk: {error}", "make room, or set TMPDIR to another disk") from error
    both = round(2 / (1 / written + 1 / read))
    machine = Machines(
        1, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), speed_of(DEFAULTS["network"], "network"),
        Figure(both, both, both, "sample"), free,
    )  # fmt: skip
    rates |= {"disk_write": written, "disk_read": read}
    return Measured(machine, {name: float(f"{rate:.4g}") for name, rate in rates.items()})


def _rates(engine: Engine, scratch: Path, rows: int) -> dict[str, float]:
    clicks = engine.materialize(engine.query(CLICKS.format(rows=rows), {}))
    values = rows * _row_bytes(engine, clicks)
    rates: dict[str, float] = {}
    for name in ("json", "csv", "parquet"):
        path = str(scratch / f"clicks.{name}")
        written = _took(partial(write, clicks, path, mode="overwrite"))
        of = values if name == "parquet" else os.path.getsize(path)
        rates[name] = of / _took(partial(_run, engine, EVERY_COLUMN.format("t"), engine.read(path)))
    rates["write"] = values / written
    return rates | _packing(scratch / "clicks.json") | _regrouping(engine, clicks, rows, values)


def _row_bytes(engine: Engine, clicks: Any) -> float:
    texts = "length(session) + length(url) + length(agent) + length(referrer)"
    return float(_run(engine, f"SELECT avg({texts}) + 24 AS bytes FROM t", clicks).column(0)[0].as_py())


def _packing(file: Path) -> dict[str, float]:
    import pyarrow as pa

    text = file.read_bytes()[:TEXT]
    packed = gzip.compress(text, 6)
    inflated, squeezed = _took(partial(gzip.decompress, packed)), _took(partial(pa.compress, text, codec="lz4_raw"))
    return {"gz": len(text) / inflated, "lz4": len(text) / squeezed}


def _regrouping(engine: Engine, clicks: Any, rows: int, values: float) -> dict[str, float]:
    """Seconds a row = seconds that each costs + its bytes / rate, from rows of two widths."""
    narrow, *wider = (_took(partial(_run, engine, sql, clicks)) / rows for sql in (NARROW, *WIDE))
    wide = sum(wider) / len(wider)
    width = values / rows
    a_byte = max((wide - narrow) / (width - NARROW_BYTES), wide / width / 10)
    return {"wide": 1 / a_byte, "wide_row_seconds": max(narrow - NARROW_BYTES * a_byte, narrow / 10)}


def _run(engine: Engine, sql: str, table: Any) -> Any:
    return engine.batches(engine.query(sql, {"t": table})).read_all()


def _took(work: Callable[[], Any]) -> float:
    """The processor's time, which others on the machine do not stretch."""
    best = float("inf")
    for _ in range(TIMES):
        began = time.process_time()
        work()
        best = min(best, time.process_time() - began)
    return max(best, 1e-6)


def _disk(path: Path, bytes: int) -> tuple[float, float]:
    """Bytes a second written to the disk itself, and read from it again, past the system's cache where that obeys."""
    block = os.urandom(min(BLOCK, bytes))
    blocks = max(1, bytes // len(block))
    began = time.perf_counter()
    with open(path, "wb", buffering=0) as file:
        for _ in range(blocks):
            file.write(block)
        os.fsync(file.fileno())
    written = blocks * len(block) / (time.perf_counter() - began)
    with open(path, "rb", buffering=0) as file:
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        began = time.perf_counter()
        while file.read(BLOCK):
            pass
    read = blocks * len(block) / max(time.perf_counter() - began, 1e-9)
    path.unlink()
    return written, read
