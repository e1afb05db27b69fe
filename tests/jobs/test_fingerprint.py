"""Fingerprints: what changes the rows changes them, and nothing else does."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.conftest import SHOP
from penstock.cli import job_files
from penstock.jobs.fingerprint import digest, identities, of_code
from penstock.jobs.job import Job

Written = Callable[[str], Job]

BEFORE = '''
    import neighbour
    LIMIT = 3
    RULES = {"a": "x > 1"}

    def helper(t, limit=LIMIT):
        return ps.where(t, f"amount > {limit}")

    class Shape:
        width = 2

    def made(n):
        def inner():
            return n
        return inner

    closed = made(1)

    @job.source(keep=True, retries=1)
    def orders(input: str = "orders/*.csv"):
        """What it does."""
        # why it does so
        table = helper(ps.read(input))
        return ps.check(table, RULES, fail_above=neighbour.SHARE + Shape.width + closed())
'''


@pytest.fixture
def code(folder: Path) -> Callable[..., str]:
    """The fingerprint of `orders` in a job that differs from BEFORE by some replacements."""

    def of(*changes: tuple[str, str], neighbour: str = "SHARE = 0.5\nOTHER = 1\n") -> str:
        text = BEFORE
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        Path("neighbour.py").write_text(neighbour)
        sys.modules.pop("neighbour", None)
        lines = (line[4:] for line in text.splitlines())
        Path("job.py").write_text("import penstock as ps\njob = ps.Job('shop')\n" + "\n".join(lines))
        os.utime("job.py", (len(text), hash(text) % 10**9))  # else the compiled file of a moment ago is taken
        os.utime("neighbour.py", (len(neighbour), hash(neighbour) % 10**9))
        return of_code(job_files.load("job.py").steps["orders"].function)

    return of


@pytest.mark.parametrize(
    "change",
    [
        ("# why it does so", "# for another reason"),
        ('"""What it does."""', '"""Something else."""'),
        ("ps.check(table, RULES", "ps.check(\n            table,\n            RULES"),
        ("keep=True, retries=1", "retries=5"),
        ("helper(ps.read(input))", "(helper(ps.read(input)))"),
    ],
    ids=["comment", "docstring", "formatting", "decorator", "brackets"],
)  # fmt: skip
def test_what_does_not_change_the_rows_does_not_count(code: Callable[..., str], change: tuple[str, str]) -> None:
    """Comments, docstrings, formatting and the decorator's options leave the fingerprint as it is."""
    assert code(change) == code()


@pytest.mark.parametrize(
    "change",
    [
        ("helper(ps.read(input))", "ps.read(input)"),
        ('"x > 1"', '"x > 2"'),
        ("amount > {limit}", "amount >= {limit}"),
        ("LIMIT = 3", "LIMIT = 4"),
        ("width = 2", "width = 3"),
        ("made(1)", "made(2)"),
        ("orders/*.csv", "orders/1.csv"),
    ],
    ids=["body", "constant", "helper", "a helper's default", "class", "closure", "default"],
)
def test_what_changes_the_rows_counts(code: Callable[..., str], change: tuple[str, str]) -> None:
    """The body, and constants, functions, classes and closures that it uses, change the fingerprint."""
    assert code(change) != code()


def test_a_neighbouring_module_counts_as_far_as_it_is_used(code: Callable[..., str]) -> None:
    """A constant of another file of the user's counts where the step names it, and the others do not."""
    assert code(neighbour="SHARE = 0.25\nOTHER = 1\n") != code()
    assert code(neighbour="SHARE = 0.5\nOTHER = 2\n") == code()


def test_a_step_does_not_depend_on_the_code_of_the_steps_that_it_names(written: Written) -> None:
    """An argument is the rows of a step, not the function beside it that has the same name."""
    before = {name: of_code(step.function) for name, step in written(SHOP).steps.items()}
    after = {
        name: of_code(step.function) for name, step in written(SHOP.replace("amount >", "2 * amount >")).steps.items()
    }

    assert {name for name in before if before[name] != after[name]} == {"paid"}


def test_files_are_known_by_size_and_time(folder: Path) -> None:
    """A file that grew, was touched or is gone has another identity."""
    before = identities(["orders/1.csv", "orders/2.csv"])
    Path("orders/1.csv").write_text("id,user,amount\n")
    os.utime("orders/2.csv", (1, 1))
    after = identities(["orders/1.csv", "orders/2.csv"])

    assert all(before[path] != after[path] for path in before)
    assert identities(["orders/3.csv"]) == {"orders/3.csv": [None, None]}


def test_a_digest_does_not_depend_on_the_order_of_keys() -> None:
    """Equal values have equal digests, and a difference deep inside shows."""
    assert digest({"a": 1, "b": [1, {"c": {2, 3}}]}) == digest({"b": [1, {"c": {3, 2}}], "a": 1})
    assert digest({"a": [1, {"c": 2}]}) != digest({"a": [1, {"c": 3}]})
