"""Running: what composes and what is written down, side by side, again after a failure, and stopped for good."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import penstock as ps
from jobs.conftest import SHOP
from penstock.engines.engine import Engine
from penstock.jobs import runner
from penstock.jobs.job import Job
from penstock.jobs.run_folder import RunFolder

Written = Callable[[str], Job]


def happened(run: ps.Run, kind: str) -> list[dict[str, Any]]:
    """The events of a kind."""
    return [event for event in run.events if event["event"] == kind]


# -- what a run does --------------------------------------------------------------------------------------------------


def test_a_job_gives_the_same_on_both_engines(written: Written, engine: Engine) -> None:
    """Sinks hold what the functions say, whichever engine ran them."""
    run = written(SHOP).run(engine)

    assert run.status == "finished"
    assert sorted(ps.read("out/totals").fetchall()) == [("a", 12), ("c", 2)]
    assert Path("out/best.csv").read_text() == "user,total\na,12\n"


def test_narrow_steps_compose_into_the_statement_that_is_written(written: Written) -> None:
    """A step that one step uses leaves no rows: it is part of the statement of the step which is kept."""
    run = written(SHOP).run()

    assert sorted(path.name for path in (run.folder / "steps").iterdir()) == ["best", "lake", "totals"]
    assert happened(run, "step_started")[0]["members"] == ["orders", "paid", "totals"]


def test_why_a_step_is_written_down_is_said(written: Written) -> None:
    """keep=True, two users, options of its own, or a sink: the reason stands in the record."""
    job = written("""
        @job.source
        def orders():
            return ps.read("orders/*.csv")
        @job.step
        def twice(orders):
            return orders
        @job.step(timeout="1m", retries=1)
        def own(twice):
            return twice
        @job.sink("a.csv")
        def a(twice):
            return twice
        @job.sink("b.csv")
        def b(own):
            return own
    """)
    why = {name: record["why"] for name, record in RunFolder(job.run().folder).records().items()}

    assert why == {
        "twice": "2 steps use it: own, a",
        "own": "it has retries and a timeout of its own",
        "a": "written to a.csv",
        "b": "written to b.csv",
    }


def test_a_parquet_source_of_two_steps_is_not_copied(written: Written) -> None:
    """Reading a Parquet file again costs no more than reading a copy of it would, so there is none."""
    ps.write(ps.read("orders/*.csv"), "orders.parquet")
    run = written("""
        @job.source
        def orders():
            return ps.read("orders.parquet")
        @job.sink("a.csv")
        def a(orders):
            return ps.aggregate(orders, by=(), n="count(*)")
        @job.sink("b.csv")
        def b(orders):
            return ps.aggregate(orders, by=(), total="sum(amount)")
    """).run()

    assert not (run.folder / "steps/orders/rows").exists()
    assert (Path("a.csv").read_text(), Path("b.csv").read_text()) == ("n\n4\n", "total\n13\n")


@pytest.mark.parametrize(
    "data",
    [
        "[{'x': 1}, {'x': 2}]",
        "__import__('pyarrow').table({'x': [1, 2]})",
        "__import__('polars').DataFrame({'x': [1, 2]})",
        "__import__('pandas').DataFrame({'x': [1, 2]})",
        "__import__('duckdb').sql('SELECT unnest([1, 2]) AS x')",
    ],
    ids=["list", "pyarrow", "polars", "pandas", "another connection"],
)
def test_a_step_may_return_what_python_computed(written: Written, data: str) -> None:
    """Lists, Arrow, Polars, pandas and relations of another connection take part like tables."""
    job = written(f"""
        @job.source
        def numbers():
            return {data}
        @job.step
        def doubled(numbers):
            return ps.derive(numbers, y="2 * x")
        @job.sink("out.csv")
        def out(doubled):
            return doubled
    """)
    job.run()

    assert sorted(Path("out.csv").read_text().split()) == ["1,2", "2,4", "x,y"]


def test_a_python_step_takes_rows_through_arrow_on_both_engines(written: Written, engine: Engine) -> None:
    """What a step is given is a table of the engine, which Polars and PyArrow read as it is."""
    job = written("""
        import pyarrow as pa
        @job.source
        def orders():
            return ps.read("orders/*.csv")
        @job.step
        def counted(orders):
            return [{"n": pa.table(orders).num_rows}]
        @job.sink("out.csv")
        def out(counted):
            return counted
    """)
    job.run(engine)

    assert Path("out.csv").read_text() == "n\n4\n"


@pytest.mark.parametrize("value", ["None", "7", "'a.csv'", "print"])
def test_a_step_that_returns_no_rows_is_told_so(written: Written, value: str) -> None:
    """A forgotten return, a number, a text or a function is a failure of that step, with its name and line."""
    job = written(f"""
        @job.source
        def numbers():
            return {value}
        @job.sink("out.csv")
        def out(numbers):
            return numbers
    """)

    with pytest.raises(ps.StepFailed, match=r'step "out" .*job\.py.*"numbers" returned'):
        job.run()


def test_sinks_can_name_parameters_in_their_paths(written: Written) -> None:
    """`{day}` in a sink's path stands for the parameter of that name."""
    job = written("""
        @job.source
        def day_of(day: str = "monday"):
            return [{"day": day}]
        @job.sink("out/{day}.csv")
        def out(day_of):
            return day_of
    """)
    job.run()
    job.run(day="friday")

    assert sorted(path.name for path in Path("out").iterdir()) == ["friday.csv", "monday.csv"]


# -- side by side -----------------------------------------------------------------------------------------------------


def test_independent_stages_run_side_by_side(written: Written, engine: Engine) -> None:
    """Two stages that do not need each other are at work at the same time: each waits for the other to begin."""
    job = written("""
        import threading
        both = threading.Barrier(2, timeout=30)
        @job.source(keep=True)
        def left():
            both.wait()
            return [{"x": 1}]
        @job.source(keep=True)
        def right():
            both.wait()
            return [{"x": 2}]
    """)

    assert set(job.run(engine).did) == {"left", "right"}


def test_stages_that_do_not_fit_into_memory_together_wait(written: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the rows that two stages read are more than the engine may hold, one runs after the other."""
    monkeypatch.setattr(runner, "UNPACKED", 10**12)
    job = written("""
        import threading, time
        at_work = []
        most = []
        @job.source(keep=True)
        def rows():
            return [{"x": 1}]
        def watched(rows):
            at_work.append(1)
            most.append(len(at_work))
            time.sleep(0.2)
            at_work.pop()
            return rows
        @job.step(keep=True)
        def a(rows):
            return watched(rows)
        @job.step(keep=True)
        def b(rows):
            return watched(rows)
    """)
    job.run()

    assert job.steps["a"].function.__globals__["most"] == [1, 1]


# -- failures ---------------------------------------------------------------------------------------------------------


FLAKY = """
    from pathlib import Path
    @job.source(keep=True, retries=2)
    def flaky(fails: int = 2):
        tries = Path("tries")
        count = int(tries.read_text()) if tries.exists() else 0
        tries.write_text(str(count + 1))
        if count < fails:
            raise OSError("the network is down")
        return [{"tries": count + 1}]
    @job.sink("out.csv")
    def out(flaky):
        return flaky
"""


def test_a_step_is_tried_again(written: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    """With retries=2 the third attempt counts; each pause is twice the one before."""
    monkeypatch.setattr(runner, "FIRST_PAUSE", 0.01)
    run = written(FLAKY).run()

    assert Path("out.csv").read_text() == "tries\n3\n"
    assert [event["in_seconds"] for event in happened(run, "step_retried")] == [0.01, 0.02]


def test_a_step_that_fails_for_good_stops_the_run(written: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    """After its last attempt the error has the step, its line and what went wrong, and the trace is in the run."""
    monkeypatch.setattr(runner, "FIRST_PAUSE", 0.01)
    job = written(FLAKY)

    with pytest.raises(ps.StepFailed, match=r'step "flaky" .*job\.py:\d+.*OSError: the network is down') as caught:
        job.run(fails=9)

    assert isinstance(caught.value.__cause__, OSError)
    (folder,) = Path(".penstock/shop").glob("2*")
    last = [event for event in RunFolder(folder).events() if event["event"] == "step_failed"][-1]
    assert last["attempt"] == 3
    assert "the network is down" in last["trace"]
    assert not Path("out.csv").exists()


def test_a_wrong_call_is_not_tried_again(written: Written) -> None:
    """A mistake in the job would be one the second time as well: it fails at once."""
    job = written("""
        @job.source(retries=5)
        def orders():
            return ps.where(ps.read("orders/*.csv"), "amont > 0")
    """)

    with pytest.raises(ps.StepFailed, match=r'no column "amont".*did you mean "amount"'):
        job.run()


BRANCHES = """
    @job.source(keep=True, on_error="{policy}")
    def broken():
        raise ValueError("no")
    @job.source
    def whole():
        return [{{"x": 1}}]
    @job.sink("of_broken.csv")
    def of_broken(broken):
        return [{{"x": 0 if broken is None else 2}}]
    @job.sink("of_whole.csv")
    def of_whole(whole):
        return whole
"""


def test_skip_leaves_out_what_needs_the_failed_step(written: Written) -> None:
    """With on_error="skip" the rest is done, what needed the step is not, and the run is partial."""
    run = written(BRANCHES.format(policy="skip")).run()

    assert run.status == "partial"
    assert happened(run, "step_skipped")[0]["because"] == ["broken"]
    assert Path("of_whole.csv").exists() and not Path("of_broken.csv").exists()


def test_continue_gives_none_in_place_of_the_failed_step(written: Written) -> None:
    """With on_error="continue" what needs the step runs, and sees that it is not there."""
    written(BRANCHES.format(policy="continue")).run()

    assert Path("of_broken.csv").read_text() == "x\n0\n"


def test_stop_begins_nothing_new(written: Written) -> None:
    """With on_error="stop" a stage that waits for another one does not begin any more."""
    job = written("""
        import time
        @job.source(keep=True)
        def broken():
            time.sleep(0.3)
            raise ValueError("no")
        @job.source(keep=True)
        def slow():
            time.sleep(0.6)
            return [{"x": 1}]
        @job.sink("out.csv")
        def out(slow):
            return slow
    """)

    with pytest.raises(ps.StepFailed, match="broken"):
        job.run()

    (folder,) = Path(".penstock/shop").glob("2*")
    assert sorted(RunFolder(folder).records()) == ["slow"]  # what was at work was finished, and is kept


# -- timeouts ---------------------------------------------------------------------------------------------------------


def test_a_query_that_takes_too_long_is_stopped(written: Written, duckdb_engine: Engine) -> None:
    """The engine's statement is interrupted when the step's time is over, and the engine works on."""
    job = written("""
        @job.source(timeout="300ms")
        def endless():
            return ps.query("SELECT sum(a.range * b.range % 7) AS n FROM range(10000000) AS a, range(10000000) AS b")
    """)
    began = time.monotonic()

    with pytest.raises(ps.StepFailed, match=r"longer than 0\.3 s and was stopped"):
        job.run(duckdb_engine)

    assert time.monotonic() - began < 60
    assert ps.query("SELECT 1 AS x", t=ps.adopt([{"a": 1}], duckdb_engine)).fetchall() == [(1,)]


def test_a_spark_job_that_takes_too_long_is_cancelled(written: Written, spark_engine: Any) -> None:
    """The jobs of the step's thread are cancelled by their tag, and no other."""
    job = written("""
        @job.source(timeout="5s")
        def endless():
            from penstock.engines.engine import default_engine
            sleep = "reflect('java.lang.Thread', 'sleep', 10L) AS slept"  # a row: no core is worn out
            return default_engine().session.range(10**13).selectExpr(sleep).selectExpr("count(slept) AS n")
    """)

    with pytest.raises(ps.StepFailed, match="longer than 5 s and was stopped"):
        job.run(spark_engine)

    tracker = spark_engine.session.sparkContext.statusTracker()
    assert list(tracker.getActiveStageIds()) == []


def test_python_that_takes_too_long_is_stopped(written: Written) -> None:
    """A loop in Python ends by an exception in its thread."""
    job = written("""
        @job.source(timeout="200ms")
        def endless():
            while True:
                pass
    """)

    with pytest.raises(ps.StepFailed, match="was stopped"):
        job.run()


def test_a_call_that_cannot_be_stopped_is_left_behind(written: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that hangs in a call into C is given up; what it returns later is not written."""
    monkeypatch.setattr(runner, "TO_STOP", 0.2)
    job = written("""
        import time
        @job.source(keep=True, timeout="100ms")
        def hangs():
            time.sleep(1.5)
            return [{"x": 1}]
    """)

    with pytest.raises(ps.StepFailed, match="left behind"):
        job.run()

    time.sleep(2)
    (folder,) = Path(".penstock/shop").glob("2*")
    assert RunFolder(folder).records() == {}


# -- watching ---------------------------------------------------------------------------------------------------------


def test_who_watches_is_told_every_event(written: Written) -> None:
    """`watch` gets the events that are written down, in order, and besides how far each stage is."""
    seen: list[dict[str, Any]] = []
    run = written(SHOP).run(watch=lambda event: seen.append(dict(event)))

    assert json.loads(json.dumps([e for e in seen if e["event"] != "progress"], default=str)) == [
        event for event in run.events if event["event"] != "publishing"
    ]
    assert any(event["event"] == "progress" for event in seen)


def test_the_default_engine_is_as_it_was_after_a_run(written: Written, duckdb_engine: Engine) -> None:
    """A run makes its engine the default for its steps only."""
    before = ps.engine_of(ps.adopt([{"x": 1}]))
    written(SHOP).run(duckdb_engine)

    assert ps.engine_of(ps.adopt([{"x": 1}])) == before
