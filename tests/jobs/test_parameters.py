"""Parameters: text from a command line becomes what a step's annotation says."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any, Literal

import pytest

import penstock as ps
from penstock.jobs.parameters import converted, plain


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("12", int, 12),
        ("1.5", float, 1.5),
        ("no", bool, False),
        ("true", bool, True),
        ("2026-03-01", datetime.date, datetime.date(2026, 3, 1)),
        ("2026-03-01T12:00:00", datetime.datetime, datetime.datetime(2026, 3, 1, 12)),
        ("30 minutes", datetime.timedelta, datetime.timedelta(minutes=30)),
        ("a/b", Path, Path("a/b")),
        ("a", list[str], ["a"]),
        (["1", "2"], list[int], [1, 2]),
        (["a", "b"], str, ["a", "b"]),
        ("view", Literal["view", "buy"], "view"),
        ("12", int | str, 12),
        ("x", int | str, "x"),
        ("", int | None, None),
        ("x", Any, "x"),
    ],
)
def test_a_text_becomes_its_type(text: Any, kind: Any, value: Any) -> None:
    """Each annotation reads the text in the usual spelling."""
    assert converted("p", text, kind) == value


@pytest.mark.parametrize(
    ("text", "kind"),
    [("1.5", int), ("maybe", bool), ("tomorrow", datetime.date), ("x", int | None), ("sell", Literal["view", "buy"])],
)
def test_a_text_that_is_no_value_is_refused(text: str, kind: Any) -> None:
    """What the type cannot read is an error that names the parameter."""
    with pytest.raises(ps.UsageError, match=r"^p"):
        converted("p", text, kind)


def test_values_are_json_that_is_the_same_in_every_process() -> None:
    """Sets are sorted, times are text, and a function has no address."""
    assert plain({"a": {3, 1}, "b": (datetime.date(2026, 3, 1), None), "c": test_a_text_becomes_its_type}) == {
        "a": [1, 3],
        "b": ["2026-03-01", None],
        "c": "test_a_text_becomes_its_type",
    }
