"""The metrics file: what it says after each way that a run can end, and that no run fails by it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import penstock as ps
from penstock.cli.main import run as penstock
from penstock.engines.engine import Engine, using
from penstock.errors import MissingExtra, StepFailed, UsageError
from penstock.jobs.metrics import exporting

parser = pytest.importorskip("prometheus_client.parser")

RULE = 'amount "paid" \\ owed\nor not'  # everything that a label has to escape


@pytest.fixture(autouse=True)
def embedded(duckdb_engine: Engine) -> Iterator[None]:
    """The embedded engine is the default one."""
    with using(duckdb_engine):
        yield


def shop(breaks: Callable[[], None] = lambda: None, **options: object) -> ps.Job:
    """A job of a check and a sink."""
    job = ps.Job("shop")

    @job.source
    def orders(input: str = "orders/*.csv"):
        return ps.read(input)

    @job.step
    def paid(orders):
        return ps.check(orders, {RULE: "amount > 0", "known": "user <> 'c'"})

    @job.sink("out/paid", **options)
    def out(paid):
        breaks()
        return paid

    return job


def read(path: str = "shop.prom") -> dict[tuple[str, ...], float]:
    """The samples of a file: name without its prefix, the values of the labels after the job's; and the value."""
    found = {}
    for family in parser.text_string_to_metric_families(Path(path).read_text()):
        for sample in family.samples:
            assert sample.labels.pop("job") == "shop"
            labels = [sample.labels[key] for key in ("step", "status", "reason") if key in sample.labels]
            found[(sample.name.removeprefix("penstock_"), *labels)] = sample.value
    return found


def test_a_run_that_finished() -> None:
    """Status, times, and rows, bytes, retries and quarantined rows by step and reason."""
    began = time.time()
    shop().run(watch=exporting("metrics/shop.prom"))

    found = read("metrics/shop.prom")
    assert {status: found["run_status", status] for status in ("finished", "partial", "failed", "interrupted")} == {
        "finished": 1, "partial": 0, "failed": 0, "interrupted": 0,
    }  # fmt: skip
    assert found["step_rows", "paid"] == 2 and found["step_rows", "out"] == 2
    written = sum(file.stat().st_size for file in Path("out/paid").resolve().rglob("*.parquet"))
    assert found["step_bytes", "out"] == written
    assert found["step_quarantined_rows", "paid"] == 2
    assert found["step_quarantined_reasons", "paid", RULE] == 1
    assert found["step_quarantined_reasons", "paid", "known"] == 1
    assert found["step_retries", "out"] == 0
    assert 0 < found["run_seconds",] < 60
    assert began - 1 < found["run_last_success_time_seconds",] == found["run_end_time_seconds",] < time.time() + 1
    assert os.listdir("metrics") == ["shop.prom"]


def test_a_run_that_failed_keeps_the_time_of_the_last_success() -> None:
    """So that an alert on it fires however often the job fails."""
    shop().run(watch=exporting("shop.prom"))
    success = read()["run_last_success_time_seconds",]

    with pytest.raises(StepFailed):
        shop(lambda: 1 // 0).run(resume=False, watch=exporting("shop.prom"))

    found = read()
    assert (found["run_status", "failed"], found["run_status", "finished"]) == (1, 0)
    assert found["run_last_success_time_seconds",] == success < found["run_end_time_seconds",]


def test_a_first_run_that_failed_has_no_success() -> None:
    """There is no such sample, and none that is zero."""
    with pytest.raises(StepFailed):
        shop(lambda: 1 // 0).run(watch=exporting("shop.prom"))

    assert ("run_last_success_time_seconds",) not in read()


def test_retries_are_counted() -> None:
    """By step."""
    left = [1]

    def once() -> None:
        if left:
            left.pop()
            raise OSError("the disk is away")

    shop(once, retries=1).run(watch=exporting("shop.prom"))

    assert read()["step_retries", "out"] == 1


def test_a_run_with_nothing_to_do_is_a_success() -> None:
    """All is as it has to be: the time of the last success is now."""
    shop().run(watch=exporting("shop.prom"))
    first = read()
    shop().run(watch=exporting("shop.prom"))
    second = read()

    assert second["run_last_success_time_seconds",] > first["run_last_success_time_seconds",]
    assert second["run_status", "finished"] == 1
    assert second["step_rows", "out"] == 2


def test_a_run_does_not_mind_a_file_that_cannot_be_written() -> None:
    """It finishes, and says so."""
    with pytest.warns(UserWarning, match=r"metrics are not written to /proc/shop\.prom") as seen:
        assert shop().run(watch=exporting("/proc/shop.prom")).status == "finished"
    assert len(seen) == 1

    assert shop().run(resume=False, watch=exporting("/proc/shop.prom")).status == "finished"


def test_the_exporter_takes_one_ending_only() -> None:
    """Another one is refused when it is named."""
    with pytest.raises(UsageError, match=r"does not end in \.prom"):
        exporting("shop.txt")


def test_the_package_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it, the error has the line to type."""
    monkeypatch.setitem(sys.modules, "prometheus_client", None)

    with pytest.raises(MissingExtra, match=r"pip install 'penstock\[otel\]'"):
        exporting("shop.prom")


# -- the command line -------------------------------------------------------------------------------------------------

JOB = """
import penstock as ps
job = ps.Job("shop")

@job.source
def orders(input: str = "orders/*.csv"):
    return ps.read(input)

@job.sink("out/orders")
def out(orders):
    return orders
"""


def test_the_command_tells_whom_it_is_asked_to(capfd: pytest.CaptureFixture[str]) -> None:
    """Both files are there after a run, and a run with nothing to do writes the metrics again."""
    Path("job.py").write_text(JOB)

    assert penstock(["run", "job.py", "-q", "--lineage", "lineage.ndjson", "--metrics", "shop.prom"]) == 0
    assert len(Path("lineage.ndjson").read_text().splitlines()) == 4
    Path("shop.prom").unlink()
    assert penstock(["run", "job.py", "-q", "--lineage", "lineage.ndjson", "--metrics", "shop.prom"]) == 0

    assert read()["run_status", "finished"] == 1
    assert len(Path("lineage.ndjson").read_text().splitlines()) == 4
    assert capfd.readouterr().err == ""


def test_the_configuration_names_whom_to_tell() -> None:
    """As `lineage` and `metrics` in penstock.toml."""
    Path("job.py").write_text(JOB)
    Path("penstock.toml").write_text('lineage = "told/lineage.ndjson"\nmetrics = "told/shop.prom"\n')

    assert penstock(["run", "job.py", "-q"]) == 0

    assert sorted(os.listdir("told")) == ["lineage.ndjson", "shop.prom"]


def test_the_command_warns_on_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    """Of each that could not be told, once; it exits as it would without."""
    Path("job.py").write_text(JOB)

    assert penstock(["run", "job.py", "-q", "--lineage", "orders", "--metrics", "/proc/shop.prom"]) == 0

    first, second = capfd.readouterr().err.splitlines()
    assert first.startswith("warning: lineage does not get to orders: ")
    assert second.startswith("warning: metrics are not written to /proc/shop.prom: ")
    assert Path("out/orders").exists()
