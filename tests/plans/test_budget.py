"""Budgets: what is over them, which steps are to blame, and what is not known."""

from __future__ import annotations

import pytest

import penstock as ps
from penstock.errors import OverBudget, UsageError
from penstock.figures import UNKNOWN, Figure, exact
from penstock.forecasts.steps import Step
from penstock.plans.budget import Budget, budget_of, hold_to


def about(number: float) -> Figure:
    """A number that was sampled."""
    return Figure(number / 2, number, number * 2, "sample")


STEPS = [
    Step("read t", "narrow", moved_bytes=exact(0)),
    Step("group by k", "wide", moved_bytes=about(3e6), memory_bytes=about(4e6), place="/me/job.py:7", step="totals"),
    Step("sort by n", "wide", moved_bytes=about(1e6), memory_bytes=about(9e6)),
    Step("join on k", "broadcast", moved_bytes=about(2e6), memory_bytes=about(2e6)),
    Step("write out", "narrow", moved_bytes=exact(0), files=about(30)),
]


@pytest.mark.parametrize(
    "budget",
    [Budget(), Budget(moved=6_000_000), Budget(memory=9_000_000), Budget(files=30), Budget(7_000_000, 10_000_000, 31)],
)
def test_what_is_within_is_let_through(budget: Budget) -> None:
    """Up to the very number, by the middle of what is told."""
    hold_to(STEPS, budget)


@pytest.mark.parametrize(
    ("budget", "what", "blamed"),
    [
        (
            Budget(moved=5_999_999), "about 6.0 MB would be moved, and 6.0 MB may be",
            "most of it is for: 3.0 MB  totals: group by k (job.py:7); 2.0 MB  join on k",
        ),
        (
            Budget(memory=8_000_000), "about 9.0 MB would be held by one task, and 8.0 MB may be",
            "most of it is for: 9.0 MB  sort by n; 4.0 MB  totals: group by k (job.py:7)",
        ),
        (
            Budget(files=10), "about 30 files would be written, and 10 files may be",
            "most of it is for: 30 files  write out",
        ),
    ],
    ids=["moved", "memory", "files"],
)  # fmt: skip
def test_the_dearest_steps_are_blamed(budget: Budget, what: str, blamed: str) -> None:
    """What moves and is written is added up, memory is that of the largest task; two steps at most are named."""
    with pytest.raises(OverBudget) as refused:
        hold_to(STEPS, budget)

    assert refused.value.args == (what, blamed)
    assert refused.value.exit_code == 5


def test_what_is_not_known_is_not_kept() -> None:
    """A budget of which nobody knows whether it is kept is not; the steps that are not known are named."""
    steps = [*STEPS, Step("group by url", "wide", moved_bytes=UNKNOWN)]

    with pytest.raises(OverBudget, match="how much would be moved is not known for: group by url") as refused:
        hold_to(steps, Budget(moved=7_000_000))

    assert "without them it is 6.0 MB of the 7.0 MB that may be" in str(refused.value)
    with pytest.raises(OverBudget, match=r"about 6\.0 MB would be moved"):
        hold_to(steps, Budget(moved=1_000_000))


def test_a_step_that_moves_nothing_holds_nothing_that_counts() -> None:
    """The memory of narrow steps is not told, and not asked."""
    hold_to([Step("filter", "narrow", moved_bytes=exact(0), memory_bytes=UNKNOWN)], Budget(memory=1))


def test_no_step_at_all() -> None:
    """Nothing is within any budget."""
    hold_to([], Budget(1, 1, 1))


def test_a_budget_as_it_is_written() -> None:
    """Sizes have units, files are a number, and what is not given is not held to."""
    assert budget_of("1.5GB", "1MiB", "1000") == Budget(1_500_000_000, 1_048_576, 1000)
    assert budget_of(None, None, None) == Budget()


def test_nothing_may_be_moved() -> None:
    """A gate of 0 lets narrow steps through, and nothing that moves a byte."""
    budget = budget_of("0", "0B", None)

    assert budget == Budget(0, 0)
    hold_to(STEPS[:1], budget)
    with pytest.raises(OverBudget, match="and 0 B may be"):
        hold_to(STEPS[:2], budget)


@pytest.mark.parametrize(
    ("given", "said"),
    [((None, None, "many"), "max-files"), (("lots", None, None), '"lots" is not a size'), ((None, "-1", None), "size")],
)
def test_a_budget_that_is_none(given: tuple[str | None, str | None, str | None], said: str) -> None:
    """What is no size and no number is refused."""
    with pytest.raises(UsageError, match=said):
        budget_of(*given)


def test_the_plan_of_a_table_is_held_to_a_budget() -> None:
    """Steps of a real plan too: of rows in memory the sample tells what moves."""
    found = ps.plan(ps.sort(ps.adopt([{"k": n} for n in range(2_000)]), "k"))

    hold_to(found.steps, Budget(moved=100_000))
    with pytest.raises(OverBudget, match="sort by k"):
        hold_to(found.steps, Budget(moved=100))
