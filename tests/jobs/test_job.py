"""Declaring a job: what its functions say is understood, and what cannot be is refused with the line before it runs."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path

import pytest

import penstock as ps
from jobs.conftest import SHOP
from penstock.jobs.job import Job

Written = Callable[[str], Job]


def test_arguments_name_what_a_step_needs_and_defaults_are_parameters(written: Written) -> None:
    """An argument without a default is a step, one with a default a parameter of its annotation's type."""
    job = written(SHOP)

    assert job.steps["paid"].needs == ("orders",)
    assert {name: (each.kind, each.default) for name, each in job.parameters.items()} == {
        "input": (str, "orders/*.csv"),
        "least": (int, 0),
    }


def test_steps_come_after_what_they_need(written: Written) -> None:
    """The order of a job is that of its needs, wherever the functions stand; a selection has what leads to it."""
    job = written(SHOP)

    names = [step.name for step in job.ordered()]
    assert names.index("orders") < names.index("paid") < names.index("totals") < names.index("lake")
    assert [step.name for step in job.ordered("paid")] == ["orders", "paid"]


READ = """
    @job.source
    def orders(input: str = "orders/*.csv"):
        return ps.read(input)
"""
SINK = """
    @job.sink("x")
    def out({need}):
        return {need}
"""
KEPT = """
    @job.step(keep={keep})
    def {name}({need}):
        return {need}
"""


@pytest.mark.parametrize(
    ("text", "what", "hint"),
    [
        (READ + SINK.format(need="order"), 'needs "order"', 'did you mean "orders"'),
        (
            READ + KEPT.format(name="idle", need="orders", keep=False) + SINK.format(need="orders"),
            'nothing needs "idle"',
            "keep=True",
        ),
        (
            KEPT.format(name="a", need="b", keep=True) + KEPT.format(name="b", need="a", keep=True),
            "a circle",
            "take one",
        ),
        (
            READ + SINK.format(need="orders") + KEPT.format(name="b", need="out", keep=True),
            "which is a sink",
            "the same step",
        ),
        ("", "has no steps", "@job.source"),
    ],
    ids=["unknown input", "unused step", "circle", "sink as input", "empty"],
)
def test_a_job_that_cannot_run_is_refused_before_it_runs(written: Written, text: str, what: str, hint: str) -> None:
    """Unknown inputs, unused steps, circles and steps behind a sink are errors when `run` is called, with a hint."""
    job = written(text)

    with pytest.raises(ps.UsageError) as caught:
        job.run()

    assert what in caught.value.what
    assert hint in caught.value.hint
    assert not Path(".penstock").exists()


def test_an_error_has_the_line_of_the_function(written: Written) -> None:
    """What is wrong with a step is said with the file and the line that it is declared at."""
    job = written(READ + SINK.format(need="order"))

    with pytest.raises(ps.UsageError, match=r"job\.py:8: "):
        job.ordered()


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("@job.source\ndef a(): ...\n@job.source\ndef a(): ...", 'a step "a" already'),
        ("@job.step\ndef a(): ...", "needs no step"),
        ("@job.source\ndef a(*paths): ...", "cannot have the argument"),
        ("@job.source\ndef a(engine='x'): ...", "an argument of job.run"),
        ("@job.source(retry=2)\ndef a(): ...", 'unknown option "retry"'),
        ("@job.source(retries=-1)\ndef a(): ...", "retries is -1"),
        ("@job.source(timeout='soon')\ndef a(): ...", "soon"),
        ("@job.source(on_error='ignore')\ndef a(): ...", 'on_error "ignore"'),
        ("job.source('a.csv')", "is no function"),
        ("ps.Job('a b')", "cannot name a job"),
        ("ps.Job('a', keep_runs=0)", "keep_runs is 0"),
    ],
)
def test_a_wrong_declaration_is_refused_where_it_stands(written: Written, text: str, what: str) -> None:
    """Decorators refuse options, arguments and functions that cannot mean anything."""
    with pytest.raises(ps.UsageError) as caught:
        written("\n".join(f"    {line}" for line in text.split("\n")))

    assert what in str(caught.value)


def test_one_parameter_means_one_thing(written: Written) -> None:
    """Two steps that take a parameter of one name have to agree on its type and default."""
    job = written(READ + "\n    @job.sink('x')\n    def out(orders, input: int = 3):\n        return orders")

    with pytest.raises(ps.UsageError, match='"input" is another one'):
        job.run()


def test_a_source_takes_parameters_that_have_to_be_given(written: Written) -> None:
    """A source's argument without a default has to be given, and is said to be missing where it is not."""
    job = written("""
        import datetime
        @job.source
        def orders(day: datetime.date):
            return [{"day": day, "kind": type(day).__name__}]
    """)

    with pytest.raises(ps.UsageError, match='"day" has no value'):
        job.run()
    assert job.run(day="2026-03-01").table("orders").fetchall() == [(datetime.date(2026, 3, 1), "date")]


def test_an_unknown_parameter_is_refused(written: Written) -> None:
    """A parameter that no step takes is an error that lists those that are taken."""
    with pytest.raises(ps.UsageError, match=r'no parameter "lest".*input, least'):
        written(SHOP).run(lest=3)
