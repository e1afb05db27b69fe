"""`catalog`: the one list of patterns, held to what the patterns say themselves."""

import inspect
from pathlib import Path

import pytest

import penstock
from penstock import patterns
from penstock.catalog import PATTERNS


def test_the_catalog_lists_every_pattern():
    """There is one entry for each module in `patterns/`, and one name in `penstock`."""
    folder = Path(patterns.__path__[0])
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__"}

    assert len(modules) >= 9
    assert sorted(pattern.name for pattern in PATTERNS) == sorted(modules)
    assert modules <= set(penstock.__all__)


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.name)
def test_the_summary_is_the_first_line_of_the_docstring(pattern):
    """What a list of patterns says about one is what its help says."""
    function = getattr(penstock, pattern.name)

    assert inspect.getdoc(function).splitlines()[0] == pattern.summary


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.name)
def test_narrow_is_what_the_docstring_says_costs_no_exchange(pattern):
    """A pattern is narrow in the catalog if, and only if, its Cost section says that nothing moves."""
    cost = inspect.getdoc(getattr(penstock, pattern.name)).split("Cost:")[1].split("\n\n")[0]

    assert ("no exchange" in cost) == (pattern.kind == "narrow")
