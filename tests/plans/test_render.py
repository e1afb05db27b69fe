"""Plans as text: marks before figures, aligned columns, bars, totals, and what was measured."""

from __future__ import annotations

import re

import pytest

from penstock.figures import UNKNOWN, Figure, exact
from penstock.forecasts.scans import Scan
from penstock.forecasts.steps import Actual, Step
from penstock.plans.actuals import Compared
from penstock.plans.plan import Looked, Plan


def about(number: float) -> Figure:
    """A number that was sampled."""
    return Figure(number * 0.9, number, number * 1.1, "sample")


SCAN = Scan(4, 2, 20, 5, 3, 1, 12_000, 4_000_000, 6_000_000)
STEPS = (
    Step("read events/", "narrow", (), exact(12_000), exact(0), "parquet", SCAN),
    Step(
        "group by user_id", "wide", ("user_id",), about(1_200_000), about(8e6), "combined before it moves",
        largest_bytes=about(4e6), even_bytes=1e6, place="/home/me/job.py:7", step="totals",
    ),
    Step("join on k", "broadcast", ("k",), about(950), about(2e6), "the small side goes to every worker"),
    Step(
        "sort by n", "wide", ("n",), about(7), about(1_000), "every row moves", largest_bytes=about(600),
        even_bytes=500,
    ),
)  # fmt: skip
PLAN = Plan("spark", STEPS, ("join: broadcast the right side",), "shop", Looked(4, 2_000_000, 1.234))


def lines(plan: Plan) -> list[str]:
    """The lines of a plan."""
    return str(plan).splitlines()


def test_the_whole_of_a_plan() -> None:
    """The steps with their figures, the bytes that move as bars, what is read, and notes."""
    assert lines(PLAN) == [
        "shop · 4 steps, 3 wide · spark",
        "Looked at 2.0 M rows of 4 files (1.2 s). Nothing was run.",
        "",
        "    step                      kind       rows out    moves  skew    how it will run",
        " 1  read events/              narrow      =12.0 K        -  -       parquet: 2 of 4 files, 5 of 20 row groups,"
        " 1 of 3 columns, 4.0 MB read, 6.0 MB skipped",
        " 2  totals: group by user_id  WIDE         ~1.2 M  ~8.0 MB  HOT 4x  combined before it moves  job.py:7",
        " 3  join on k                 BROADCAST      ~950  ~2.0 MB  -       the small side goes to every worker",
        " 4  sort by n                 WIDE             ~7  ~1.0 KB  even    every row moves",
        " = exact   ~ estimated   ? not known",
        "",
        " bytes moved on a cluster, total ~10.0 MB",
        f"  2 totals: group by user_id  {'█' * 40}    8.0 MB  7.2 MB - 8.8 MB",
        f"  3 join on k                 {('█' * 10).ljust(40)}    2.0 MB  1.8 MB - 2.2 MB",
        "    1 more  1.0 KB",
        "",
        " reads 4.0 MB of 10.0 MB, 60% is skipped",
        " note: join: broadcast the right side",
    ]


@pytest.mark.parametrize(
    ("figure", "mark"),
    [
        (exact(5), "=5"),
        (about(5), "~5"),
        (Figure(0, 5, None, "model"), "~5"),
        (UNKNOWN, "?"),
        (Figure(0, None, 12_345, "model"), "<= 12.3 K"),
        (exact(12_345_678), "=12.3 M"),
    ],
)
def test_marks_of_rows(figure: Figure, mark: str) -> None:
    """`=` is exact, `~` estimated, `?` not known; where only the most is known that is told."""
    row = lines(Plan("duckdb", (Step("filter", "narrow", rows=figure, moved_bytes=exact(0)),)))[3]

    assert re.split(r"  +", row.strip())[:5] == ["1", "filter", "narrow", mark, "-"]


@pytest.mark.parametrize(
    ("kind", "moved", "mark"),
    [
        ("wide", exact(0), "=0 B"),
        ("wide", UNKNOWN, "?"),
        ("broadcast", about(1500), "~1.5 KB"),
        ("narrow", UNKNOWN, "-"),
    ],
)
def test_marks_of_bytes(kind: str, moved: Figure, mark: str) -> None:
    """What is narrow moves nothing; what is not known is no zero."""
    row = lines(Plan("duckdb", (Step("step", kind, rows=exact(1), moved_bytes=moved),)))[3]  # type: ignore[arg-type]

    assert re.split(r"  +", row.strip())[4] == mark


def test_what_is_not_known_is_no_part_of_the_total() -> None:
    """Then the total is what is at least moved, and how many steps are left out is told."""
    plan = Plan("duckdb", (*STEPS[1:], Step("window by k", "wide", ("k",))))

    assert " bytes moved on a cluster, total at least 9.0 MB; 1 not known" in lines(plan)


def test_a_plan_that_moves_nothing_has_no_bars() -> None:
    """Nor is anything said of bytes."""
    text = str(Plan("duckdb", STEPS[:1]))

    assert "bytes moved" not in text
    assert "1 step, 0 wide" in text


@pytest.mark.parametrize(
    ("even", "largest", "said"),
    [(1e6, 1.5e6, "even"), (1e6, 30e6, "HOT 30x"), (1e3, 30e3, "-"), (0.0, 30e6, "-"), (1e6, None, "-")],
)
def test_hot_partitions(even: float, largest: float | None, said: str) -> None:
    """The largest partition is told where it is twice what it would be and a MB or more."""
    step = Step(
        "group by k", "wide", ("k",), about(5), about(8e6), even_bytes=even,
        largest_bytes=UNKNOWN if largest is None else about(largest),
    )  # fmt: skip

    assert re.split(r"  +", lines(Plan("spark", (step,)))[3].strip())[5] == said


def test_columns_stand_below_each_other() -> None:
    """Whatever is in the cells, each begins or ends where its heading does."""
    table = lines(PLAN)[3:8]
    heading = table[0]

    for name in ("kind", "skew", "how it will run"):
        at = heading.index(name)
        assert all(row[at - 1] == " " and row[at] != " " for row in table)
    for name in ("rows out", "moves"):
        end = heading.index(name) + len(name)
        assert all(row[end] == " " and row[end - 1] != " " for row in table)


def test_what_was_measured_stands_beside_the_forecast() -> None:
    """On Spark the bytes of each wide step and of all, with how many times too large the forecast was."""
    measured = [None, Actual(10_000_000, 5, 5), Actual(9, 9, 9), None]
    steps = tuple(step._replace(measured=told) for step, told in zip(STEPS, measured, strict=True))
    found = lines(PLAN._replace(steps=steps, measured=Compared("bytes", about(8_001_000), 10_000_000)))

    at = next(number for number, line in enumerate(found) if "forecast is" in line)
    assert found[at : at + 4] == [
        "    bytes moved               forecast  measured  forecast is",
        " 2  totals: group by user_id    8.0 MB   10.0 MB        0.80x",
        " 4  sort by n                   1.0 KB         -            -",
        "    all                         8.0 MB   10.0 MB        0.80x",
    ]
    assert "Then it was run." in found[1]


def test_rows_are_measured_on_duckdb() -> None:
    """There the rows that came out of wide steps and of joins are what is compared."""
    steps = (STEPS[1]._replace(measured=Actual(1, 1, 1_000_000)), STEPS[2]._replace(measured=Actual(1, 1, 1_000)))
    found = lines(Plan("duckdb", steps, measured=Compared("rows", about(1_200_950), 1_001_000)))

    at = next(number for number, line in enumerate(found) if "forecast is" in line)
    assert [re.split(r"  +", line.strip()) for line in found[at : at + 4]] == [
        ["rows out", "forecast", "measured", "forecast is"],
        ["1", "totals: group by user_id", "1.2 M", "1.0 M", "1.20x"],
        ["2", "join on k", "950", "1000", "0.95x"],
        ["all", "1.2 M", "1.0 M", "1.20x"],
    ]


def test_advice_stands_last() -> None:
    """After the notes, as it is."""
    assert lines(PLAN._replace(advice=(" Stay on one machine.",)))[-2:] == ["", " Stay on one machine."]
