"""Forecasts that were held against a run, kept beside it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from penstock.figures import UNKNOWN, Figure
from penstock.plans.actuals import Compared
from penstock.plans.history import NAME, hits, remember


def compared(told: float | None, measured: int | None) -> Compared:
    """A forecast of bytes, and what was measured."""
    return Compared("bytes", UNKNOWN if told is None else Figure(told, told, told, "sample"), measured)


def test_forecasts_are_remembered_and_told(tmp_path: Path) -> None:
    """How many were within 15 % is told of all that are kept."""
    for told, measured in ((100, 100), (114, 100), (86, 100), (120, 100), (50, 100)):
        remember(tmp_path, "job", "spark", compared(told, measured))

    assert hits(tmp_path) == f"of 5 forecasts kept in {tmp_path}, 3 were within 15% of what was measured"


def test_a_forecast_as_it_is_kept(tmp_path: Path) -> None:
    """A line of JSON: when, of what, on which engine, what was told and measured."""
    remember(tmp_path, "tägliche zählung", "duckdb", compared(50, 100))

    [line] = (tmp_path / NAME).read_text(encoding="utf-8").splitlines()
    kept = json.loads(line)
    assert kept.pop("t").endswith("+00:00")
    assert kept == {
        "of": "tägliche zählung", "engine": "duckdb", "unit": "bytes", "measured": 100, "ratio": 0.5,
        "forecast": {"low": 50, "mid": 50, "high": 50, "basis": "sample"},
    }  # fmt: skip


@pytest.mark.parametrize(("told", "measured"), [(None, 100), (100, None), (100, 0)])
def test_what_cannot_be_compared_is_not_kept(tmp_path: Path, told: float | None, measured: int | None) -> None:
    """A forecast that was none, or a run that was not measured, says nothing of the next."""
    remember(tmp_path, "job", "spark", compared(told, measured))

    assert (list(tmp_path.iterdir()), hits(tmp_path)) == ([], "")


def test_nothing_that_moves_nothing_is_a_hit(tmp_path: Path) -> None:
    """Where nothing was told to move and nothing did, that was right."""
    remember(tmp_path, "job", "spark", compared(0, 0))

    assert hits(tmp_path).startswith("of 1 forecasts") and "1 were within" in hits(tmp_path)


def test_no_folder_is_made(tmp_path: Path) -> None:
    """Where the project keeps nothing, a query leaves nothing behind."""
    remember(tmp_path / ".penstock", "query", "duckdb", compared(1, 1))

    assert (list(tmp_path.iterdir()), hits(tmp_path / ".penstock")) == ([], "")


def test_a_line_that_was_cut_short_is_passed_over(tmp_path: Path) -> None:
    """So are lines that are no forecast."""
    remember(tmp_path, "job", "spark", compared(100, 100))
    with (tmp_path / NAME).open("a") as file:
        file.write('[1]\n{"of": "x"}\n{"t": "2026-01-')

    assert hits(tmp_path).startswith("of 1 forecasts")
