"""What an engine measured, beside the steps of a plan."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

import penstock as ps
from penstock.engines.engine import Engine
from penstock.engines.measures import Measured, Side
from penstock.figures import UNKNOWN, Figure, exact
from penstock.forecasts.steps import Actual, Step
from penstock.plans.actuals import Compared, beside, beside_run, compared


def wide(name: str, *keys: str, **more: Any) -> Step:
    """A wide step by some keys."""
    return Step(name, "wide", keys, **more)


def did(*keys: str, bytes: int | None = None, kind: Any = "wide", **more: Any) -> Measured:
    """An operator that moved bytes."""
    return Measured("Exchange", kind, keys, bytes=bytes, **more)


def told(steps: list[Step], *operators: Measured) -> list[int | None]:
    """The bytes beside each step; None where there is nothing beside it."""
    return [step.measured.bytes if step.measured else None for step in beside(steps, operators)]


def test_steps_are_matched_by_their_keys() -> None:
    """However the engine writes them: quoted, with its table, in another order, in capitals."""
    steps = [Step("read t", "narrow"), wide("group by a, b", "a", "b"), wide("sort by n", "n")]

    assert told(steps, did('t."B"', "`a`", bytes=10), did("N", bytes=20)) == [None, 10, 20]
    assert told(steps, did("n", bytes=20), did("a", "b", bytes=10)) == [None, 10, 20]


def test_steps_with_equal_keys_are_matched_from_the_end() -> None:
    """A pattern that looks at rows first does so before: what it then did stands last."""
    steps = [wide("group by k", "k"), wide("window by k", "k")]

    assert told(steps, did("k", bytes=1), did("k", bytes=2), did("k", bytes=3)) == [2, 3]


def test_a_shuffled_join_is_both_of_its_sides() -> None:
    """On Spark each is an exchange of its own; in DuckDB there is one operator with sides."""
    steps = [wide("join on k", "k")]

    assert told(steps, did("k", bytes=10), did("k", bytes=20)) == [30]
    assert told(steps, did("k", bytes=30, sides=(Side(1, 10), Side(2, 20)))) == [30]


def test_what_is_written_is_beside_nothing_where_nothing_moves() -> None:
    """On DuckDB an aggregate without keys, by which written rows are counted, is no measurement of a write."""
    steps = [wide("group by k", "k"), wide("write out", pattern="write")]
    grouped, counted = did("k", out=50), did(out=1)

    assert [step.measured and step.measured.out for step in beside(steps, [grouped, counted])] == [50, None]
    assert told(steps, did("k", bytes=10), did(bytes=20)) == [10, 20]


def test_a_broadcast_is_none_of_a_shuffle() -> None:
    """What went to all workers is beside the step that brings it there."""
    steps = [Step("join on k", "broadcast", ("k",)), wide("group by k", "k")]

    assert told(steps, did("k", bytes=5, kind="broadcast"), did("k", bytes=7)) == [5, 7]
    assert told(steps, did("k", bytes=9), did(bytes=5, kind="scan")) == [None, 9]


def test_keys_that_the_engine_does_not_tell() -> None:
    """Where as many steps of each kind are left as operators, they are the same in their order."""
    steps = [wide("group by k", "k"), wide("sort by n", "n")]

    assert told(steps, did(bytes=1), did(bytes=2)) == [1, 2]
    assert told(steps, did("?", bytes=1), did("n", bytes=2)) == [1, 2]
    assert told(steps, did(bytes=1), did(bytes=2), did(bytes=3)) == [None, None]


def test_another_plan_of_the_engine_is_beside_none() -> None:
    """What has other keys is not put where it does not belong."""
    assert told([wide("group by k", "k")], did("other", bytes=1), did("more", bytes=2)) == [None]
    assert told([], did("k", bytes=1)) == []


def test_all_that_is_told_of_an_operator() -> None:
    """Bytes, rows, what came out, spills, and the largest task."""
    measured = did("k", bytes=10, rows=20, out=5, spilled=1, tasks=3, largest_bytes=7)

    [step] = beside([wide("group by k", "k")], [measured])

    assert step.measured == Actual(bytes=10, rows=20, out=5, spilled=1, largest_bytes=7)


def test_a_run_of_a_job_is_matched_step_by_step() -> None:
    """Operators are beside the steps of their own stage, which has several functions of the job."""
    of = {"totals": wide("group by k", "k"), "days": wide("sort by n", "n"), "other": wide("group by k", "k")}
    steps = [step._replace(step=name) for name, step in of.items()]
    records = [
        {"step": "totals", "measured": {"operators": [did("k", bytes=1)._asdict()]}},
        {"step": "lake", "members": ["days"], "measured": {"operators": [did("n", bytes=2)._asdict()]}},
    ]

    assert [step.measured and step.measured.bytes for step in beside_run(steps, records)] == [1, 2, None]


def test_bytes_are_compared_on_spark_and_rows_on_duckdb() -> None:
    """DuckDB shuffles nothing: there, what is compared is the rows that came out of wide steps."""
    told_bytes = Figure(50, 100, 200, "sample")
    steps = [
        Step("read t", "narrow", rows=exact(1_000)),
        wide("group by k", "k", rows=exact(10), moved_bytes=told_bytes, measured=Actual(90, 30, 12)),
        Step("join on k", "broadcast", ("k",), moved_bytes=exact(7)),
    ]

    assert compared(steps, "spark", 125) == Compared("bytes", told_bytes, 125)
    assert compared(steps, "spark", 125).ratio == 0.8
    assert compared(steps, "duckdb", 125) == Compared("rows", exact(10), 12)
    assert compared(steps[:1], "duckdb", 0).measured is None


@pytest.mark.parametrize(
    ("forecast", "measured", "ratio"),
    [(exact(5), 10, 0.5), (exact(0), 0, 1.0), (exact(5), 0, None), (UNKNOWN, 10, None), (exact(5), None, None)],
)
def test_the_ratio_of_a_forecast(forecast: Figure, measured: int | None, ratio: float | None) -> None:
    """Forecast over measured; right where both are nothing; none where either is not known."""
    found = Compared("bytes", forecast, measured)

    assert found.ratio == ratio
    assert found.to_json()["ratio"] == ratio


def test_a_plan_beside_its_run(engine: Engine) -> None:
    """Every wide step has what was measured of it, and all together what is compared."""
    rows = engine.adopt(pa.table({"k": [i % 30 for i in range(2_000)], "n": list(range(2_000))}))
    table = ps.sort(ps.aggregate(rows, "k", total="sum(n)"), "total desc")
    plan = ps.plan(table)

    with engine.measured() as measured:
        engine.drain(table)
    found = plan.beside(measured)

    assert [step.measured is not None for step in found.steps if step.kind == "wide"] == [True, True]
    assert found.measured is not None
    assert found.measured.unit == {"duckdb": "rows", "spark": "bytes"}[engine.name]
    assert found.measured.measured == (60 if engine.name == "duckdb" else measured.moved_bytes)
    assert "measured" in str(found)
