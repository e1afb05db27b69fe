"""What is told of a run: from its folder alone, whatever became of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import penstock as ps
from jobs.conftest import SHOP
from penstock.jobs.job import Job
from penstock.jobs.run_folder import RunFolder, create
from penstock.jobs.summary import differences, summary

Written = Callable[[str], Job]


def test_a_summary_has_each_step_with_what_it_did(written: Written) -> None:
    """State, rows, members and reason of every stage, in the order of the job, and what was asked for."""
    found = summary(RunFolder(written(SHOP).run(least=4).folder))

    assert (found["job"], found["status"], found["engine"], found["attempts"]) == ("shop", "finished", "duckdb", 1)
    assert found["parameters"] == {"input": "orders/*.csv", "least": 4}
    assert [(step["step"], step["state"], step["rows"], step["why"]) for step in found["steps"]] == [
        ("totals", "done", 1, "keep=True"),
        ("lake", "done", 1, "written to out/totals"),
        ("best", "done", 1, "written to out/best.csv"),
    ]
    assert found["steps"][0]["members"] == ["orders", "paid", "totals"]


def test_a_summary_has_what_each_step_moved(written: Written) -> None:
    """The operators where rows met, of the one statement of a stage and of what its functions ran at once."""
    text = SHOP.replace("return ps.where(orders", "ps.materialize(ps.sort(orders, 'id')); return ps.where(orders")
    steps = summary(RunFolder(written(text).run().folder))["steps"]

    moved = {step["step"]: step["measured"] for step in steps}
    assert [(operator["keys"], operator["rows"]) for operator in moved["totals"]["operators"]] == [
        (["id", "user", "amount"], 4),
        (["user"], 2),
    ]
    assert moved["totals"]["moved_bytes"] == sum(operator["bytes"] for operator in moved["totals"]["operators"]) > 0
    assert moved["lake"]["operators"] == []
    assert moved["lake"]["spilled_bytes"] == 0


def test_a_step_that_was_taken_over_is_told_apart(written: Written) -> None:
    """What an earlier run did is "reused", what this one did is "done"."""
    job = written(SHOP)
    job.run()
    Path("out/best.csv").unlink()
    found = summary(RunFolder(job.run().folder))

    assert {step["step"]: step["state"] for step in found["steps"]} == {
        "totals": "reused", "lake": "reused", "best": "done",
    }  # fmt: skip


def test_a_failed_run_says_where(written: Written) -> None:
    """The step that failed has its error, and the run its status."""
    with pytest.raises(ps.StepFailed):
        written(SHOP.replace("amount >", "amont >")).run()
    (folder,) = Path(".penstock/shop").glob("2*")
    found = summary(RunFolder(folder))

    assert found["status"] == "failed"
    assert found["steps"][0]["state"] == "failed"
    assert 'no column "amont"' in found["steps"][0]["error"]


def test_a_run_that_ended_without_a_word_was_killed(folder: Path) -> None:
    """A run that has no end and that no process holds was killed."""
    run = create(folder / "home", {"job": "home", "parameters": {}, "logical_time": "x"})
    run.append({"t": "2026", "event": "run_started", "engine": "duckdb", "stages": []})

    assert summary(run)["status"] == "killed"


def test_two_runs_are_compared(written: Written) -> None:
    """Parameters, code, rows and quarantined rows that differ are listed, and nothing that does not."""
    before = written(SHOP).run()
    after = written(SHOP.replace("n=1", "n=2")).run(least=2)
    found = differences(RunFolder(before.folder), RunFolder(after.folder))

    told = {(row["step"], row["what"]): (row["one"], row["other"]) for row in found}
    assert told[("", "parameter least")] == (0, 2)
    assert told[("totals", "rows")] == (2, 1)
    assert ("best", "code of best") in told
    assert ("lake", "code of lake") not in told
