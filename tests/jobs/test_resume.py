"""Resuming: nothing is done twice, nothing is missed, and the reason of each decision is said."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import penstock as ps
from jobs.conftest import SHOP
from penstock.engines.engine import Engine
from penstock.jobs import run_folder
from penstock.jobs.job import Job
from penstock.jobs.run_folder import RunFolder
from penstock.jobs.runner import decided

Written = Callable[[str], Job]


def states(job: Job, **params: object) -> dict[str, tuple[str, str]]:
    """What is decided about each stage, and why."""
    return {d.stage.name: (d.state, d.why) for d in decided(job, params=params).decisions}


# -- what has changed -------------------------------------------------------------------------------------------------


def test_a_second_run_does_nothing(written: Written, engine: Engine) -> None:
    """Nothing changed, so nothing is done, no engine works and there is no new run."""
    job = written(SHOP)
    first = job.run(engine)
    again = job.run(engine)

    assert (again.did, again.id) == ((), first.id)
    assert {state for state, _ in states(job).values()} == {"done"}


def test_a_comment_changes_nothing(written: Written) -> None:
    """A job with another comment and other blank lines is the same job."""
    written(SHOP).run()
    job = written(SHOP.replace("return ps.read(input)", "# as they come\n\n        return ps.read(input)"))

    assert job.run().did == ()


def test_a_changed_step_and_what_needs_it_are_done_again(written: Written) -> None:
    """A change in one sink leaves the others; a change in a step reaches its dependents, and each says why."""
    written(SHOP).run()
    other_sink = written(SHOP.replace("n=1", "n=2"))
    assert {name for name, (state, _) in states(other_sink).items() if state == "stale"} == {"best"}

    job = written(SHOP.replace("amount >", "amount >="))
    assert states(job) == {
        "totals": ("stale", "the code of paid changed"),
        "lake": ("stale", "after totals"),
        "best": ("stale", "after totals"),
    }
    assert set(job.run().did) == {"totals", "lake", "best"}


def test_a_changed_parameter_counts_where_it_is_taken(written: Written) -> None:
    """Another value is another step, and going back to the first value finds the first rows again."""
    job = written(SHOP)
    job.run()

    assert states(job, least=4)["totals"] == ("stale", "least was 0")
    job.run(least=4)
    assert states(job)["totals"][0] == "done"
    assert set(job.run().did) == {"lake", "best"}  # the lake holds the other rows by now
    assert sorted(ps.read("out/totals").fetchall()) == [("a", 12), ("c", 2)]


def test_one_more_input_file_counts(written: Written) -> None:
    """A new, a touched and a removed file are each seen, with how many and where."""
    job = written(SHOP)
    job.run()
    Path("orders/3.csv").write_text("id,user,amount\n5,d,1\n")
    assert states(job)["totals"] == ("stale", "input files: 1 new (orders/*.csv)")

    job.run()
    os.utime("orders/1.csv", (1, 1))
    Path("orders/3.csv").unlink()
    assert states(job)["totals"] == ("stale", "input files: 1 gone, 1 changed (orders/*.csv)")


def test_a_sink_that_is_gone_is_written_again(written: Written) -> None:
    """A removed output is made again from the rows that are there; nothing before it runs."""
    job = written(SHOP)
    job.run()
    Path("out/best.csv").unlink()

    assert job.run().did == ("best",)
    assert Path("out/best.csv").read_text() == "user,total\na,12\n"


def test_rows_that_nothing_needs_are_not_made_again(written: Written) -> None:
    """A step that was written down for its users only may be gone when they are done."""
    job = written(SHOP.replace("keep=True", "keep=False"))
    run = job.run()
    (file,) = RunFolder(run.folder).rows("totals").iterdir()
    file.unlink()

    assert states(job)["totals"] == ("unneeded", "its rows are gone")
    assert job.run().did == ()


def test_damaged_rows_are_made_again(written: Written) -> None:
    """Bytes that changed on the disk are noticed before they are read, and the step is done again."""
    job = written(SHOP)
    run = job.run()
    (file,) = RunFolder(run.folder).rows("totals").iterdir()
    data = bytearray(file.read_bytes())
    data[20] ^= 1
    file.write_bytes(data)
    Path("out/best.csv").unlink()

    assert states(job)["totals"] == ("stale", "its rows are damaged")
    assert set(job.run().did) == {"totals", "best"}
    assert Path("out/best.csv").read_text() == "user,total\na,12\n"


def test_without_resume_all_is_done_again(written: Written) -> None:
    """resume=False takes nothing over."""
    job = written(SHOP)
    job.run()

    assert set(job.run(resume=False).did) == {"totals", "lake", "best"}


def test_a_decision_writes_nothing(written: Written, folder: Path) -> None:
    """Asking what would be done leaves every file as it is, and makes none."""
    job = written(SHOP)
    before = sorted(folder.rglob("*"))
    decided(job, params={})

    assert sorted(folder.rglob("*")) == before


# -- after a failure --------------------------------------------------------------------------------------------------


def test_a_failed_run_goes_on_with_its_own_time(written: Written) -> None:
    """The same call continues the run: what was done stays, and the time it stands for is the first one's."""
    text = """
        @job.source(keep=True)
        def stamped(logical_time):
            return [{"at": str(logical_time)}]
        @job.sink("out.csv")
        def out(stamped):
            raise OSError("the disk is away")
    """
    with pytest.raises(ps.StepFailed):
        written(text).run()
    (first,) = Path(".penstock/shop").glob("2*")
    at = RunFolder(first).start()["logical_time"]

    run = written(text.replace('raise OSError("the disk is away")', "return stamped")).run()
    assert (run.id, run.did) == (first.name, ("out",))
    assert Path("out.csv").read_text() == f"at\n{at}\n"


def test_a_new_run_stands_for_a_new_time(written: Written) -> None:
    """A step that takes the logical time is stale in a new run, unless the time is given."""
    job = written("""
        @job.source(keep=True)
        def stamped(logical_time):
            return [{"at": str(logical_time)}]
    """)
    job.run(logical_time="2026-03-01T00:00:00")

    assert job.run(logical_time="2026-03-01T00:00:00").did == ()
    assert job.run(logical_time="2026-03-02T00:00:00").table("stamped").fetchall() == [("2026-03-02 00:00:00",)]
    assert states(job)["stamped"] == ("stale", "it stands for another time")


APPENDS = """
    @job.source
    def orders(input: str = "orders/*.csv"):
        return ps.read(input)
    @job.sink("lake", mode="append")
    def lake(orders):
        return orders
"""


def test_a_sink_killed_before_its_record_is_not_written_twice(
    written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that were appended just before a kill are found by their name, and are not appended again."""
    job = written(APPENDS)

    def killed(*_: object) -> None:
        raise OSError("as if killed")

    with monkeypatch.context() as patched:
        patched.setattr(run_folder.RunFolder, "finish", killed)
        with pytest.raises(ps.StepFailed, match="as if killed"):
            job.run()
    files = sorted(os.listdir("lake"))
    run = job.run()

    assert run.did == ("lake",)
    assert sorted(os.listdir("lake")) == files
    assert ps.read("lake").aggregate("count(*)").fetchall() == [(4,)]


def test_new_input_is_appended_to_what_is_there(written: Written) -> None:
    """An appending sink adds what a new run has, and the same run again adds nothing."""
    job = written(APPENDS)
    job.run(input="orders/1.csv")
    job.run(input="orders/2.csv")
    job.run(input="orders/2.csv", resume=False)

    assert ps.read("lake").aggregate("count(*)").fetchall() == [(4,)]


FULL_DISK = """
import resource, signal, sys
from penstock.cli.main import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
sys.argv[1:] = ["run", "job.py"]
main()
"""


def test_a_disk_that_is_full_leaves_nothing_half_done(written: Written, folder: Path) -> None:
    """A step whose rows have no room fails with that reason; where there is room again, the same run goes on."""
    job = written("""
        @job.source(keep=True)
        def numbers():
            return ps.query("SELECT i, i * 7919 % 1000003 AS v FROM range(400000) AS r(i)")
        @job.sink("out.csv")
        def out(numbers):
            return ps.aggregate(numbers, by=(), n="count(*)")
    """)
    told = subprocess.run([sys.executable, "-c", FULL_DISK], capture_output=True, text=True)

    assert told.returncode == 1
    assert 'step "numbers"' in told.stderr and "free some space" in told.stderr
    (first,) = Path(".penstock/shop").glob("2*")
    assert sorted(path.name for path in first.iterdir()) == ["events.ndjson", "run.json"]
    assert job.run().id == first.name
    assert Path("out.csv").read_text() == "n\n400000\n"


# -- kills ------------------------------------------------------------------------------------------------------------


SLOW = """
    import time
    @job.source
    def orders(input: str = "orders/*.csv"):
        return ps.check(ps.read(input, bad="quarantine"), {"amount is positive": "amount > 0"})
    @job.step(keep=True)
    def visits(orders):
        timed = ps.derive(orders, at="TIMESTAMP '2026-03-01' + to_minutes(CAST(20 * id AS BIGINT))")
        return ps.sessionize(timed, by="user", at="at")
    @job.sink("out/visits", partition_by="user")
    def lake(visits):
        return visits
    @job.sink("out/log", mode="append")
    def log(visits):
        return ps.aggregate(visits, by="user", n="count(*)")
"""


def lake_of(folder: str) -> dict[str, list[tuple[object, ...]]]:
    """The rows of both sinks."""
    return {name: sorted(ps.read(f"{folder}/{name}").fetchall(), key=str) for name in ("visits", "log")}


@pytest.mark.parametrize("seed", range(6))
def test_a_run_killed_at_any_instant_ends_as_if_it_had_not_been(written: Written, seed: int) -> None:
    """After SIGKILL at a chance instant, and again, the next run gives the same rows and leaves nothing unfinished."""
    for number in range(3, 40):
        Path(f"orders/{number}.csv").write_text(f"id,user,amount\n{number},{'abc'[number % 3]},{number % 5}\n")
    job = written(SLOW)
    command = [
        sys.executable,
        "-c",
        "from penstock.cli.main import main; main()",
        "run",
        "job.py",
        "--progress",
        "json",
    ]
    chance = random.Random(seed)
    for _ in range(2):
        with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
            lines = chance.randrange(1, 12)
            for _ in range(lines):
                if not process.stderr.readline():  # type: ignore[union-attr]
                    break
            process.send_signal(signal.SIGKILL)
    job.run()
    after = lake_of("out")
    again = job.run()

    assert again.did == ()
    Path("out").rename("killed")
    job.run(resume=False)
    assert lake_of("out") == after
    hidden = [path for path in (*Path("killed").rglob("*"), *Path(".").glob(".killed*"), *Path(".").glob(".out*"))
              if path.name.startswith(".") or "tmp" in path.name]  # fmt: skip
    assert hidden == []
    assert list(Path(".penstock").rglob(".unfinished")) == []
