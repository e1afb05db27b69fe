"""A run's folder: read by people, torn by kills, shared by links, written by one at a time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import penstock as ps
from jobs.conftest import SHOP
from penstock.jobs import run_folder
from penstock.jobs.job import Job
from penstock.jobs.run_folder import RunFolder, create, find, is_held, runs_of

Written = Callable[[str], Job]


def test_a_run_is_a_folder_of_json_lines_and_parquet(written: Written) -> None:
    """Nothing else is in it, git ignores it, and nothing unfinished is left."""
    run = written(SHOP).run()

    files = (path.relative_to(run.folder).as_posix() for path in run.folder.rglob("*") if path.is_file())
    assert sorted(name.split("/part-")[0] for name in files) == [
        "events.ndjson", "run.json", "steps/best/record.json", "steps/best/statement.sql", "steps/lake/record.json",
        "steps/lake/statement.sql", "steps/totals/record.json", "steps/totals/rows", "steps/totals/statement.sql",
    ]  # fmt: skip
    assert Path(".penstock/.gitignore").read_text() == "*\n"
    assert json.loads((run.folder / "run.json").read_text())["parameters"] == {"input": "orders/*.csv", "least": 0}


def test_an_event_that_a_kill_cut_short_spoils_no_other(folder: Path) -> None:
    """A torn last line is passed over, and the next event begins a line of its own."""
    run = create(folder / "home", {})
    run.append({"event": "a"})
    with (run.path / "events.ndjson").open("a") as file:
        file.write('{"event": "b", "ste')
    run.append({"event": "c"})

    assert [event["event"] for event in run.events()] == ["a", "c"]


def test_a_step_and_its_record_appear_together(folder: Path) -> None:
    """Until it is finished a step is in a hidden folder; a second time replaces the first."""
    run = create(folder / "home", {})
    for number in (1, 2):
        with run.workshop("a") as workshop:
            (workshop / "rows").mkdir()
            (workshop / "rows" / "part.parquet").write_text(str(number))
            before = run.record("a")
            run.finish("a", workshop, {"n": number})
        assert (before or {}).get("n") == (None if number == 1 else 1)

    assert run.records()["a"]["n"] == 2
    assert (run.rows("a") / "part.parquet").read_text() == "2"
    run.clear()
    assert sorted(os.listdir(run.path)) == ["run.json", "steps"]


def test_a_step_of_another_run_is_linked(folder: Path) -> None:
    """Two runs that share a step share its bytes, and each can be removed without the other."""
    one, two = create(folder / "home", {}), create(folder / "home", {})
    with one.workshop("a") as workshop:
        (workshop / "rows").mkdir()
        (workshop / "rows" / "part.parquet").write_text("rows")
        one.finish("a", workshop, {})
    two.take_over("a", one)

    assert (one.rows("a") / "part.parquet").samefile(two.rows("a") / "part.parquet")
    assert one.sums("a") == two.sums("a")


def test_a_run_of_a_newer_penstock_is_not_touched(written: Written) -> None:
    """A folder in a form that this version does not know is an error that says how to go on."""
    job = written(SHOP)
    file = job.run().folder / "run.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"format": 99, "penstock": "9.0"}))

    with pytest.raises(ps.InputError, match=r"written by penstock 9\.0.*pip install -U penstock"):
        job.run()


def test_a_second_run_is_refused_while_one_is_at_work(written: Written, folder: Path) -> None:
    """The lock of a run is seen by other processes, with who holds it, and ends with the process."""
    job = written(SHOP)
    home = folder / ".penstock" / "shop"
    program = (
        "import sys, pathlib\nfrom penstock.jobs.run_folder import held\n"
        f"with held(pathlib.Path({str(home)!r}), wait=False):\n    print('held', flush=True)\n    sys.stdin.read()\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout and other.stdout.readline() == b"held\n"
        with pytest.raises(ps.UsageError, match=rf"at work: process {other.pid}.*--wait"):
            job.run()
        assert is_held(home)
        other.kill()

    assert not is_held(home)
    assert job.run().status == "finished"


def test_a_second_run_can_wait_for_the_first(written: Written, folder: Path) -> None:
    """With wait=True a run begins when the one before it has ended."""
    home = folder / ".penstock" / "shop"
    program = (
        "import time, pathlib\nfrom penstock.jobs.run_folder import held\n"
        f"with held(pathlib.Path({str(home)!r}), wait=False):\n    print('held', flush=True)\n    time.sleep(0.5)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as other:
        assert other.stdout and other.stdout.readline() == b"held\n"
        run = written(SHOP).run(wait=True)
        assert other.wait(timeout=30) == 0

    assert run.status == "finished"


def test_only_the_newest_runs_are_kept(written: Written) -> None:
    """keep_runs is a number of runs; a step that an old run did stays in the newer one that shares it."""
    job = written(SHOP)
    job.keep_runs = 2
    runs = [job.run(least=least) for least in (0, 1, 2, 3)]

    kept = runs_of(Path(".penstock/shop"))
    assert {run.id for run in kept} <= {run.id for run in runs}
    assert len(kept) == 2
    assert job.run(least=3).table("totals").fetchall()


def test_runs_are_found_by_any_unmistakable_part_of_their_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole name, its beginning, its last three digits, or "last"; an ambiguous or unknown one is an error."""
    home = folder / "runs" / "home"
    names = iter(["20260301T100000-000", "20260301T100000-001"])
    monkeypatch.setattr(run_folder, "_name", lambda _: next(names))
    one, two = create(home, {}), create(home, {})

    assert find(folder / "runs", "last") == two
    assert find(folder / "runs", one.id) == one
    assert find(folder / "runs", "001") == two
    with pytest.raises(ps.UsageError, match="beginning of 2 runs"):
        find(folder / "runs", "2026")
    with pytest.raises(ps.UsageError, match='no run "nope"'):
        find(folder / "runs", "nope")


def test_a_folder_that_is_no_run_is_said_to_be_none(folder: Path) -> None:
    """A damaged run.json is named, with what to do."""
    run = create(folder / "home", {})
    (run.path / "run.json").write_text("{")

    with pytest.raises(ps.InputError, match=r"is no run.*remove that folder"):
        RunFolder(run.path).start()
