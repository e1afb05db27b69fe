"""The errors: one tree, drawn where it is defined, and messages that say what to do."""

from __future__ import annotations

import re

import pytest

import penstock as ps
from penstock import errors


def test_the_tree_is_as_it_is_drawn() -> None:
    """The module's docstring shows every class, its builtin parent and its exit code as they are."""
    drawn = re.findall(r"^ *(?:[|` -]*)?(\w+) +\((\w+)\).*?(?:exit (\d))?$", str(errors.__doc__), re.MULTILINE)

    assert {name for name, _, _ in drawn} == set(errors.__all__) - {"PenstockError"}
    for name, builtin, code in drawn:
        error = getattr(ps, name)
        assert issubclass(error, ps.PenstockError)
        assert issubclass(error, getattr(__builtins__, builtin, None) or __builtins__[builtin])  # type: ignore[index]
        assert not code or error.exit_code == int(code)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("userid", 'no column "userid" in events; did you mean "user_id"? it has: user_id, Ts'),
        ("ts_", 'no column "ts_" in events; did you mean "Ts"? it has: user_id, Ts'),
        ("zzz", 'no column "zzz" in events; it has: user_id, Ts'),
    ],
)
def test_a_missing_column_names_the_nearest(name: str, said: str) -> None:
    """The nearest name is offered whatever its case; without a near one, the columns alone."""
    assert str(errors.ColumnError.missing(name, ["user_id", "Ts"], "events")) == said


def test_a_hint_stands_apart() -> None:
    """What to do is kept by itself, for the command line to set apart; an error without one reads as it is."""
    error = ps.UsageError("what happened", "what to do")

    assert (error.what, error.hint, str(error)) == ("what happened", "what to do", "what happened; what to do")
    assert str(ps.EngineError("what happened")) == "what happened"
