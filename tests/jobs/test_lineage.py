"""OpenLineage events of a run: what they say, under which ids, and that a run does not mind where they cannot go."""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import penstock as ps
from penstock.engines.engine import Engine, using
from penstock.errors import MissingExtra, StepFailed, UsageError
from penstock.jobs.lineage import emitting, events
from penstock.jobs.run_folder import RunFolder

pytest.importorskip("openlineage.client")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, duckdb_engine: Engine) -> Iterator[Path]:
    """A folder with orders, one of them malformed, and users; and the embedded engine to work on."""
    monkeypatch.chdir(tmp_path)
    Path("orders").mkdir()
    Path("orders/a.csv").write_text("user_id,amount\n1,5\n2,7\n")
    Path("orders/b.csv").write_text("user_id,amount\n1,5,9\n2,-7\n")
    with using(duckdb_engine):
        ps.write(ps.adopt([{"id": 1, "name": "ann"}, {"id": 2, "name": "bob"}]), "users.parquet")
        yield tmp_path


def shop(breaks: Callable[[], None] = lambda: None) -> ps.Job:
    """A job of two kept steps and a sink."""
    job = ps.Job("shop")

    @job.source
    def orders(input: str = "orders/*.csv"):
        return ps.read(input, bad="quarantine")

    @job.source
    def users(path: str = "users.parquet"):
        return ps.read(path)

    @job.step(keep=True)
    def spent(orders, users):
        return ps.where(ps.join(orders, users, on={"user_id": "id"}), "amount > 0")

    @job.sink("lake/by_name")
    def by_name(spent):
        breaks()
        return ps.aggregate(spent, by="name", total="sum(amount)", n="count(*)")

    return job


def told(path: str | Path = "lineage.ndjson") -> list[dict[str, Any]]:
    """The events in a file."""
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def one(found: list[dict[str, Any]], job: str, state: str) -> dict[str, Any]:
    """The event of a job in a state."""
    (event,) = (event for event in found if (event["job"]["name"], event["eventType"]) == (job, state))
    return event


def bare(facet: Mapping[str, Any]) -> dict[str, Any]:
    """A facet without who made it."""
    return {key: value for key, value in facet.items() if not key.startswith("_")}


def lineage_of(dataset: Mapping[str, Any]) -> dict[str, list[str]]:
    """For each column, those it comes from."""
    return {
        column: [f"{one['name']}.{one['field']} {one['transformations'][0]['subtype']}" for one in fed["inputFields"]]
        for column, fed in dataset["facets"]["columnLineage"]["fields"].items()
    }


# -- what they say ----------------------------------------------------------------------------------------------------


def test_each_stage_is_a_run_within_that_of_the_job() -> None:
    """Every run begins and ends once, and the stages name the job's run as their parent."""
    run = shop().run(watch=emitting("lineage.ndjson"))

    found = told()
    assert [(event["job"]["name"], event["eventType"]) for event in found] == [
        ("shop", "START"), ("shop.spent", "START"), ("shop.orders", "START"), ("shop.orders", "COMPLETE"),
        ("shop.spent", "COMPLETE"), ("shop.by_name", "START"), ("shop.by_name", "COMPLETE"), ("shop", "COMPLETE"),
    ]  # fmt: skip
    whole = found[0]["run"]["runId"]
    assert uuid.UUID(whole).version == 5 and found[-1]["run"]["runId"] == whole
    assert all(event["run"]["facets"]["parent"]["run"]["runId"] == whole for event in found[1:-1])
    assert len({event["run"]["runId"] for event in found}) == 4
    assert all(event["schemaURL"].endswith("OpenLineage.json#/$defs/RunEvent") for event in found)
    stands_for = RunFolder(run.folder).start()["logical_time"].replace(" ", "T") + "Z"
    assert found[0]["run"]["facets"]["nominalTime"]["nominalStartTime"] == stands_for
    assert found[0]["run"]["facets"]["processing_engine"]["name"] == "duckdb"


def test_a_sink_says_what_it_wrote_and_where_the_columns_come_from(folder: Path) -> None:
    """The output has the path that was written, its schema, its size, and an origin for each column that has one."""
    shop().run(watch=emitting("lineage.ndjson"))

    event = one(told(), "shop.by_name", "COMPLETE")
    (written,) = event["outputs"]
    assert (written["namespace"], written["name"]) == ("file", f"{folder}/lake/by_name")
    assert [(field["name"], field["type"]) for field in written["facets"]["schema"]["fields"]] == [
        ("name", "VARCHAR"), ("total", "BIGINT"), ("n", "BIGINT"),
    ]  # fmt: skip
    size = sum(file.stat().st_size for file in Path("lake/by_name").resolve().rglob("*.parquet"))
    assert bare(written["outputFacets"]["outputStatistics"]) == {"rowCount": 2, "size": size, "fileCount": 1}
    assert lineage_of(written) == {"name": ["shop.spent.name IDENTITY"], "total": ["shop.spent.amount AGGREGATION"]}
    assert [field["field"] for field in written["facets"]["columnLineage"]["dataset"]] == ["name"]
    (read,) = event["inputs"]
    assert (read["namespace"], read["name"]) == ("penstock", "shop.spent")
    assert bare(read["inputFacets"]["inputStatistics"]) == {"rowCount": 2}


def test_the_inputs_are_the_files_and_the_kept_steps(folder: Path) -> None:
    """A glob over a folder is the folder; a kept step goes by the name of its job and its own."""
    shop().run(watch=emitting("lineage.ndjson"))

    event = one(told(), "shop.spent", "COMPLETE")
    assert {(read["namespace"], read["name"]) for read in event["inputs"]} == {
        ("file", f"{folder}/users.parquet"), ("penstock", "shop.orders"),
    }  # fmt: skip
    assert lineage_of(event["outputs"][0]) == {
        "user_id": ["shop.orders.user_id IDENTITY"],
        "amount": ["shop.orders.amount IDENTITY"],
        "name": [f"{folder}/users.parquet.name IDENTITY"],
    }
    (read,) = one(told(), "shop.orders", "COMPLETE")["inputs"]
    assert read["name"] == f"{folder}/orders"
    assert bare(read["inputFacets"]["inputStatistics"])["fileCount"] == 2


def test_a_check_is_told_as_broken_assertions() -> None:
    """What a check refused stands with the input, by rule; the marks of the check are no columns of the output."""
    shop().run(watch=emitting("lineage.ndjson"))

    event = one(told(), "shop.orders", "COMPLETE")
    (broken,) = event["inputs"][0]["inputFacets"]["dataQualityAssertions"]["assertions"]
    assert (broken["assertion"], broken["success"], broken["actual"]) == ("malformed", False, "1")
    assert [field["name"] for field in event["outputs"][0]["facets"]["schema"]["fields"]] == ["user_id", "amount"]


def test_a_resumed_run_goes_on_under_its_id() -> None:
    """The first attempt fails with the error; the second ends the same run of the job, and reuses what is done."""
    with pytest.raises(StepFailed):
        shop(lambda: 1 // 0).run(watch=emitting("first.ndjson"))
    shop().run(watch=emitting("second.ndjson"))

    first, second = told("first.ndjson"), told("second.ndjson")
    failed = one(first, "shop.by_name", "FAIL")
    assert "ZeroDivisionError" in failed["run"]["facets"]["errorMessage"]["message"]
    assert "1 // 0" in failed["run"]["facets"]["errorMessage"]["stackTrace"]
    assert one(first, "shop", "FAIL")["run"]["runId"] == one(second, "shop", "COMPLETE")["run"]["runId"]
    assert {event["job"]["name"] for event in second} == {"shop", "shop.by_name"}
    assert one(second, "shop.by_name", "COMPLETE")["inputs"][0]["name"] == "shop.spent"


def test_a_run_that_was_killed_when_it_had_done_all_is_ended_by_the_next() -> None:
    """Which has nothing to do; one after a run that ended says nothing."""
    run = shop().run(watch=emitting("first.ndjson"))
    shop().run(watch=emitting("nothing.ndjson"))
    lines = (run.folder / "events.ndjson").read_text().splitlines(keepends=True)
    (run.folder / "events.ndjson").write_text("".join(line for line in lines if '"run_finished"' not in line))
    shop().run(watch=emitting("second.ndjson"))

    assert not Path("nothing.ndjson").exists()
    (end,) = told("second.ndjson")
    assert end["eventType"] == "COMPLETE"
    assert end["run"]["runId"] == told("first.ndjson")[0]["run"]["runId"]


def test_an_interrupted_run_is_aborted() -> None:
    """So are the stages that were at work."""
    emit = emitting("lineage.ndjson")

    def watch(event: Mapping[str, Any]) -> None:
        emit(event)
        if event["event"] == "step_started":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shop().run(watch=watch)

    assert [(event["job"]["name"], event["eventType"]) for event in told()] == [
        ("shop", "START"), ("shop.spent", "START"), ("shop.spent", "ABORT"), ("shop", "ABORT"),
    ]  # fmt: skip


def test_events_can_be_had_of_a_run_that_there_was() -> None:
    """They are those that were emitted."""
    from openlineage.client.serde import Serde

    run = shop().run(watch=emitting("lineage.ndjson"))

    def parts(event: Mapping[str, Any]) -> tuple[Any, ...]:
        return event["eventType"], event["eventTime"], event["run"]["runId"], event["inputs"], event["outputs"]

    again = [json.loads(Serde.to_json(event)) for event in events(RunFolder(run.folder))]
    assert [parts(event) for event in again] == [parts(event) for event in told()]


def test_both_engines_tell_schema_and_size(engine: Engine) -> None:
    """Column lineage is had from DuckDB's statements; everything else from either engine."""
    with using(engine):
        shop().run(engine, watch=emitting("lineage.ndjson"))

    (written,) = one(told(), "shop.by_name", "COMPLETE")["outputs"]
    assert [(field["name"], field["type"]) for field in written["facets"]["schema"]["fields"]] == [
        ("name", "VARCHAR"), ("total", "BIGINT"), ("n", "BIGINT"),
    ]  # fmt: skip
    assert written["outputFacets"]["outputStatistics"]["rowCount"] == 2
    assert ("columnLineage" in written["facets"]) == (engine.name == "duckdb")


# -- where they go ----------------------------------------------------------------------------------------------------


Sent = tuple[str, dict[str, str], dict[str, Any]]


class Server(ThreadingHTTPServer):
    """A server on loopback that keeps what it is sent."""

    daemon_threads = True
    block_on_close = False


@pytest.fixture
def serving() -> Iterator[Callable[..., tuple[str, list[Sent]]]]:
    """Start a server that answers with a status, after some seconds; its address, and what it was sent."""
    servers = []

    def start(status: int = 201, seconds: float = 0.0) -> tuple[str, list[Sent]]:
        sent: list[Sent] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                sent.append((self.path, dict(self.headers), body))
                time.sleep(seconds)
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        servers.append(server := Server(("127.0.0.1", 0), Handler))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}", sent

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("given", "posted"),
    [
        ("", "/api/v1/lineage"),
        ("/", "/api/v1/lineage"),
        ("/openapi/openlineage", "/openapi/openlineage/api/v1/lineage"),
        ("/api/v1/lineage", "/api/v1/lineage"),
        ("/custom/lineage", "/custom/lineage"),
    ],
)
def test_a_server_is_posted_to(serving: Callable[..., Any], given: str, posted: str) -> None:
    """Each event is one request, to the path that OpenLineage names where the address does not name it."""
    address, sent = serving()

    shop().run(watch=emitting(address + given))

    assert {path for path, _, _ in sent} == {posted}
    assert [event["eventType"] for _, _, event in sent][-1] == "COMPLETE" and len(sent) == 8


def test_the_token_is_where_openlineage_looks_for_it(
    serving: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What its client's environment variables say is added to the target."""
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__AUTH", '{"type": "api_key", "apiKey": "k3y"}')
    address, sent = serving()

    shop().run(watch=emitting(address))

    assert {headers["Authorization"] for _, headers, _ in sent} == {"Bearer k3y"}


def closed_port() -> str:
    """An address at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.mark.parametrize("trouble", ["hangs", "500", "closed", "folder", "unwritable"])
def test_a_run_does_not_mind_where_events_cannot_go(serving: Callable[..., Any], trouble: str) -> None:
    """It finishes, waits 3 s at most for it, and says so once."""
    Path("a_folder").mkdir()
    target = {
        "hangs": lambda: serving(seconds=30.0)[0], "500": lambda: serving(500)[0], "closed": closed_port,
        "folder": lambda: "a_folder", "unwritable": lambda: "/proc/nowhere/lineage.ndjson",
    }[trouble]()  # fmt: skip
    complaints: list[str] = []
    emit = emitting(target, complaints.append)
    waited = 0.0

    def watch(event: Mapping[str, Any]) -> None:
        nonlocal waited
        began = time.monotonic()
        emit(event)
        waited += time.monotonic() - began

    run = shop().run(watch=watch)

    assert run.status == "finished" and Path("lake/by_name").exists()
    assert waited < 4
    assert len(complaints) == 1 and complaints[0].startswith(f"lineage does not get to {target}: ")


def test_a_library_warns_once() -> None:
    """Without a place to complain at, it is a warning; where warnings are errors, the run goes on all the same."""
    with pytest.warns(UserWarning, match="lineage does not get to") as seen:
        shop().run(watch=emitting(closed_port()))
    assert len(seen) == 1

    assert shop().run(resume=False, watch=emitting(closed_port())).status == "finished"


@pytest.mark.parametrize("target", ["s3://bucket/lineage", "ftp://host/x"])
def test_a_target_that_is_none_is_refused(target: str) -> None:
    """When it is named, before anything runs."""
    with pytest.raises(UsageError, match="give a file of this machine, or an http"):
        emitting(target)


def test_the_package_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it, the error has the line to type."""
    monkeypatch.setitem(sys.modules, "openlineage.client", None)

    with pytest.raises(MissingExtra, match=r"pip install 'penstock\[otel\]'"):
        emitting("lineage.ndjson")
