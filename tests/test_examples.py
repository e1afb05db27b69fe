"""The examples run as they stand and give the right rows. The clickstream job on Spark: tests/test_cluster.py."""

from __future__ import annotations

import gzip
import ipaddress
import json
import subprocess
import sys
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import date, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from examples.access_log import write_access_log
from examples.clickstream.generate import generate

import penstock as ps
from penstock.cli.job_files import load
from penstock.engines.engine import Engine
from penstock.jobs.runner import Run
from penstock.testing import assert_tables_equal, rows

EXAMPLES = Path(__file__).parent.parent / "examples"
SIZE = 300_000  # bytes of gzip: 7 500 lines, 75 of them broken
DAY = date(2026, 3, 1)
TYPES = ("event_id", "at", "received_at", "user_id", "ip", "kind", "url", "cents")


def run(name: str, engine: Engine, folder: Path, **params: Any) -> Run:
    """Run an example's job; what it does is below a folder of the test."""
    job = load(str(EXAMPLES / name))
    job.folder = str(folder / ".penstock")
    return job.run(engine, **params)


@pytest.fixture
def ran(engine: Engine, tmp_path: Path) -> Callable[..., Callable[[str], list[dict[str, Any]]]]:
    """Run an example on an engine; returns what reads the rows that it wrote."""

    def example(name: str, output: str = "out", **params: Any) -> Callable[[str], list[dict[str, Any]]]:
        run(name, engine, tmp_path, output=str(tmp_path / output), **params)
        return lambda path: rows(ps.read(str(tmp_path / path), engine=engine))

    return example


# -- a day of clicks, by plain Python ---------------------------------------------------------------------------------


class Truth(NamedTuple):
    """What the job should find in the generated files."""

    told: dict[str, Any]
    """truth.json"""
    reasons: Counter[str]
    repeated: int
    visits: list[dict[str, Any]]
    top: list[tuple[str, int]]


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small day of clicks."""
    folder = tmp_path_factory.mktemp("clicks")
    generate(folder, SIZE, seed=5)
    return folder


@pytest.fixture(scope="module")
def truth(day: Path) -> Truth:
    """The answers, by one pass over the lines and none of the library."""
    logs = (gzip.decompress(path.read_bytes()).decode() for path in day.glob("logs/*/*.json.gz"))
    judged = [judge(line) for log in logs for line in log.split("\n")[:-1]]
    reasons = Counter(reason for _, why in judged for reason in why)
    today = [event for event, why in judged if not why and event["at"].date() == DAY]
    events = once(today)
    describe(events, day)
    views = Counter(event["url"] for event in events if event["kind"] == "view")
    top = sorted(views.items(), key=lambda item: (-item[1], item[0]))
    told = json.loads((day / "truth.json").read_text())
    return Truth(told, reasons, len(today) - len(events), visits_of(events), top)


def judge(line: str) -> tuple[dict[str, Any], list[str]]:
    """A line as an event, and what is wrong with it."""
    try:
        event = json.loads(line)
        event = {**event, **{name: datetime.fromisoformat(event[name]) for name in ("at", "received_at")}}
        if not isinstance(event["user_id"], int | None):
            raise ValueError
    except (ValueError, TypeError):
        return {}, ["malformed"]
    event["at"], event["received_at"] = (event[name].replace(tzinfo=None) for name in ("at", "received_at"))
    early, late = event["received_at"] - timedelta(days=1), event["received_at"] + timedelta(minutes=5)
    wrong = {
        "url is required": event.get("url") is None,
        "time is possible": not early <= event["at"] <= late,
        "address is one": address(event["ip"]) is None,
    }
    return event, [rule for rule, broken in wrong.items() if broken]


def address(text: str) -> int | None:
    """An address as a number, IPv4 within IPv6."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    return int(found) + (0xFFFF << 32 if found.version == 4 else 0)


def once(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without those that come within a second of the last one kept with their id."""
    kept: list[dict[str, Any]] = []
    events = sorted(events, key=lambda event: (event["event_id"], event["at"], event["received_at"]))
    for event in events:
        last = kept[-1] if kept else None
        if not last or last["event_id"] != event["event_id"] or event["at"] - last["at"] > timedelta(seconds=1):
            kept.append(event)
    return kept


def describe(events: list[dict[str, Any]], day: Path) -> None:
    """Put visitor, country and plan to each event."""
    ranges = sorted(
        (address(row["first"]), address(row["last"]), row["country"])
        for row in pyarrow.csv.read_csv(day / "ranges.csv").to_pylist()
    )
    lows = [first for first, _, _ in ranges]
    plans = {row["user_id"]: row["plan"] for row in pq.read_table(day / "users.parquet").to_pylist()}
    for event in events:
        number, user = address(event["ip"]), event["user_id"]
        _, last, country = ranges[bisect_right(lows, number) - 1]
        event["country"] = country if number <= last else "unknown"
        event["visitor"] = event["ip"] if user is None else f"user {user}"
        event["plan"] = "guest" if user is None else plans.get(user, "new")


def visits_of(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row a visit."""
    found = []
    for visitor, theirs in groupby(sorted(events, key=lambda e: (e["visitor"], e["at"])), lambda e: e["visitor"]):
        sessions: list[list[dict[str, Any]]] = []
        for event in theirs:
            if not sessions or event["at"] - sessions[-1][-1]["at"] > timedelta(minutes=30):
                sessions.append([])
            sessions[-1].append(event)
        for number, session in enumerate(sessions, 1):
            start = session[0]["at"]
            found.append({
                "visitor": visitor,
                "session": number,
                "started_at": start,
                "ended_at": session[-1]["at"],
                "events": len(session),
                "country": min(event["country"] for event in session if event["at"] == start),
                "plan": session[0]["plan"],
                "landed_on": min(event["url"] for event in session if event["at"] == start),
                "views": sum(event["kind"] == "view" for event in session),
                "purchases": sum(event["kind"] == "buy" for event in session),
                "cents": sum(event["cents"] or 0 for event in session),
                "date": start.date(),
                "seconds": seconds(session[-1]["at"]) - seconds(start),
            })  # fmt: skip
    return found


def seconds(at: datetime) -> int:
    """Whole seconds since the epoch: a difference counts the borders that lie between."""
    return int((at - datetime(1970, 1, 1)) // timedelta(seconds=1))


# -- the clickstream job ----------------------------------------------------------------------------------------------


class Lake(NamedTuple):
    """What a run of the job left."""

    run: Run
    folder: Path
    engine: Engine

    def table(self, name: str) -> list[dict[str, Any]]:
        """The rows of a sink."""
        return rows(ps.read(str(self.folder / name), engine=self.engine))


@pytest.fixture(scope="module")
def clicks(day: Path, duckdb_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """The job, run on DuckDB."""
    return lake_of(day, duckdb_engine, tmp_path_factory.mktemp("duckdb-lake"))


def lake_of(day: Path, engine: Engine, folder: Path, **params: str) -> Lake:
    """Run the job."""
    done = run("clickstream/job.py", engine, folder, data=str(day), output=str(folder / "lake"), **params)
    return Lake(done, folder / "lake", engine)


def test_a_day_holds_what_its_truth_says(truth):
    """Plain Python finds in the files as many broken, repeated and good lines as the generator says it wrote."""
    told, broken = truth.told, truth.told["broken"]

    assert min(broken.values()) > 0
    assert truth.reasons == {
        "malformed": broken["cut"] + broken["not_json"] + broken["wrong_type"],
        "url is required": broken["no_url"],
        "time is possible": broken["impossible_time"],
        "address is one": broken["bad_ip"],
    }
    assert truth.repeated == told["sent_again"]["exact"] + told["sent_again"]["retried"] > 50
    assert sum(visit["events"] for visit in truth.visits) == told["events"]
    assert sum(visit["cents"] for visit in truth.visits) == told["cents"]
    assert told["late"]["after_midnight"] > 0
    assert told["sent_again"]["reloaded"] > 0


def test_a_seed_gives_the_same_day(day, tmp_path):
    """Two processes write the bytes that one does; another seed gives others."""
    generate(tmp_path / "same", SIZE, seed=5, processes=2)
    generate(tmp_path / "other", SIZE, seed=6)
    files = [path.relative_to(day) for path in day.rglob("*") if path.is_file()]
    one, same, other = (
        {path: (folder / path).read_bytes() for path in files if (folder / path).exists()}
        for folder in (day, tmp_path / "same", tmp_path / "other")
    )

    assert len(files) > 60
    assert one == same
    assert one != other


def test_bad_lines_are_set_aside_with_their_reasons(clicks, truth):
    """The quarantine has every broken line, with why, and with the file that it stands in."""
    refused = rows(clicks.run.quarantined("events", clicks.engine))

    assert Counter(reason for row in refused for reason in row["reasons"]) == truth.reasons
    assert len(refused) == sum(truth.told["broken"].values())
    assert all((row["raw"] is not None) == (row["reasons"] == ["malformed"]) for row in refused)
    assert all(Path(row["source_file"]).name.endswith(".json.gz") for row in refused)


def test_the_visits_are_those_of_plain_python(clicks, truth):
    """Each visit is there with its times, country, plan and counts: repeats are gone, late events are in it."""
    found = clicks.table("visits")
    expected = [{name: visit[name] for name in found[0]} for visit in truth.visits]

    assert len(expected) > 300
    assert_tables_equal(found, expected)


def test_the_engagement_adds_the_visits_up(clicks, truth):
    """A row a day, country and plan, each the sum of its visits."""
    groups = defaultdict(list)
    for visit in truth.visits:
        groups[visit["date"], visit["country"], visit["plan"]].append(visit)
    expected = [
        {
            "country": country,
            "plan": plan,
            "visitors": len({visit["visitor"] for visit in group}),
            "visits": len(group),
            "bounces": sum(visit["events"] == 1 for visit in group),
            "events": sum(visit["events"] for visit in group),
            "seconds": sum(visit["seconds"] for visit in group),
            "purchases": sum(visit["purchases"] for visit in group),
            "cents": sum(visit["cents"] for visit in group),
            "date": day,
        }
        for (day, country, plan), group in groups.items()
    ]

    assert len(expected) > 20
    assert_tables_equal(clicks.table("engagement"), expected)


def test_the_top_pages_are_the_most_viewed(clicks, truth):
    """The hundred most viewed URLs, in the order of views and then of their names."""
    top = sorted(clicks.table("top_pages"), key=lambda row: (-row["views"], row["url"]))

    assert [(row["url"], row["views"]) for row in top] == truth.top[:100]
    assert top[0]["section"] == top[0]["url"].split("/")[1]


def test_a_second_run_does_nothing(clicks, day, duckdb_engine):
    """With the same code, parameters and files nothing is done again."""
    again = lake_of(day, duckdb_engine, clicks.folder.parent)

    assert again.run.did == ()


def test_mended_lines_come_back(clicks, day, truth, duckdb_engine, tmp_path):
    """Lines from the quarantine, put right, are read beside the others and counted."""
    refused = rows(clicks.run.quarantined("events", duckdb_engine))
    wrong = [row for row in refused if row["reasons"] == ["address is one"] and row["at"].date() == DAY]
    mended = [{name: row[name] for name in TYPES} | {"ip": "1.2.3.4"} for row in wrong]
    (tmp_path / "mended.ndjson").write_text("".join(f"{json.dumps(row, default=str)}\n" for row in mended))
    more = lake_of(day, duckdb_engine, tmp_path, mended=str(tmp_path / "mended.ndjson"))

    assert mended
    assert sum(visit["events"] for visit in more.table("visits")) == truth.told["events"] + len(mended)


def test_the_demo_shows_a_kill_and_what_comes_after(tmp_path):
    """`make demo` ends well: the job goes on after the kill, does nothing when it is done, and has its top pages."""
    command = [sys.executable, EXAMPLES / "clickstream" / "demo.py", "--size", "1MB", "--folder", tmp_path / "demo"]
    shown = subprocess.run(command, check=True, capture_output=True, text=True)

    assert "clickstream finished" in shown.stderr
    assert "nothing to do" in shown.stderr
    assert "/blog/" in shown.stdout


# -- the small jobs ---------------------------------------------------------------------------------------------------


def test_log_top_counts_paths_and_hours(ran, tmp_path):
    """The paths without their queries, the most requested first; lines without a path are in no count."""
    log = tmp_path / "access.log"
    write_access_log(log, 200_000, seed=1)
    requests = [line.split('"')[1].split() for line in log.read_text(errors="replace").splitlines() if '"' in line]
    paths = Counter(words[1].split("?")[0] for words in requests if len(words) == 3)
    read = ran("log_top.py", log=str(log), n=5)

    found = read("out/top_paths.csv")
    assert [(row["path"], row["n"]) for row in found] == sorted(paths.items(), key=lambda p: (-p[1], p[0]))[:5]
    assert sum(row["requests"] for row in read("out/hours.csv")) == paths.total()


def test_daily_report_has_a_row_a_day(ran):
    """Each day has its orders, its best seller, and the seven days that end there."""
    assert ran("daily_report.py", "report")("report.csv") == [
        {"day": date(2026, 3, day), "orders": orders, "customers": customers, "pieces": pieces, "cents": cents,
         "best_seller": best, "week_cents": week}
        for day, orders, customers, pieces, cents, best, week in [
            (1, 3, 2, 7, 52_300, "chair", 52_300),
            (2, 2, 2, 2, 7_800, "lamp", 60_100),
            (4, 2, 2, 3, 33_700, "rug", 93_800),
        ]
    ]  # fmt: skip


def test_star_schema_loses_no_sale(ran):
    """Every sale has its keys, 0 where it has no store; the dimensions are numbered by first appearance."""
    read = ran("star_schema.py", "warehouse")
    facts = read("warehouse/fact_sales")
    stores = {row["store"]: row["store_key"] for row in read("warehouse/dim_store")}
    products = {row["product"]: row["product_key"] for row in read("warehouse/dim_product")}

    assert stores == {"Oslo": 1, "Rome": 2, "Bonn": 3}
    assert products == {"lamp": 1, "chair": 2, "rug": 3}
    assert sorted((row["date_key"], row["store_key"], row["product_key"], row["cents"]) for row in facts) == [
        (20260301, 1, 1, 7_800),
        (20260301, 2, 2, 31_600),
        (20260302, 1, 3, 12_900),
        (20260302, 2, 1, 3_900),
        (20260303, 0, 3, 12_900),
        (20260303, 3, 1, 3_900),
    ]
    assert {row["date_key"]: row["weekday"] for row in read("warehouse/dim_date")}[20260302] == "Monday"


def test_features_know_nothing_of_later(ran):
    """A question has the plan and the orders from before its moment, and those alone."""
    found = ran("features.py", "features.parquet")("features.parquet")

    assert sorted(tuple(row.values()) for row in found) == [
        (1, datetime(2026, 1, 1), "free", 0, 0, 0, 0, None, False),
        (1, datetime(2026, 3, 1), "plus", 14, 2, 16_800, 1, 9, False),
        (2, datetime(2026, 3, 1), "none", None, 1, 1_500, 1, 2, True),
        (3, datetime(2026, 3, 1), "none", None, 0, 0, 0, None, True),
    ]
