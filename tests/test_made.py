"""The call that made a table: which, with what, and on which line of the user's it stands."""

from __future__ import annotations

import gc
import inspect
from typing import Any

import pyarrow as pa
import pytest

import penstock as ps
from penstock.engines.engine import Engine
from penstock.made import calling, current, made_by, remembered


def line() -> int:
    """The line that calls this."""
    return inspect.stack()[1].lineno


def test_a_pattern_is_remembered_with_its_arguments_and_line(engine: Engine) -> None:
    """The table knows the function, what it was given, and the file and line of whoever called."""
    rows = engine.adopt(pa.table({"k": [1, 2]}))
    table, here = ps.where(rows, "k > 1"), line()

    made = made_by(table)

    assert made is not None
    assert (made.name, made.arguments[1:], dict(made.options)) == ("where", ("k > 1",), {})
    assert made.arguments[0] is rows
    assert made.place == f"{__file__}:{here}"


def test_a_function_that_calls_others_stands_for_them(duckdb_engine: Engine) -> None:
    """A pattern is one call, whatever it calls itself; a table that is not ours has none."""
    rows = duckdb_engine.adopt(pa.table({"k": [1, 1, 2]}))
    seen: list[Any] = []

    @remembered
    def outer(table: Any) -> Any:
        seen.append(current())
        return ps.aggregate(ps.where(table, "k > 0"), "k", n="count(*)")

    made = made_by(outer(rows))

    assert made is not None
    assert (made.name, [call.name for call in seen], current()) == ("outer", ["outer"], None)
    assert made_by(object) is None


def test_what_is_read_and_adopted_is_remembered(engine: Engine, tmp_path: Any) -> None:
    """Files and rows are calls too, of the engine, so that a plan can begin with them."""
    (tmp_path / "t.csv").write_text("k\n1\n")

    read, adopted = made_by(engine.read(str(tmp_path / "t.csv"))), made_by(engine.adopt(pa.table({"k": [1]})))

    assert read is not None
    assert (read.name, read.function, read.arguments) == ("read", None, (str(tmp_path / "t.csv"),))
    assert adopted is not None
    assert adopted.name == "adopt"


def test_a_table_that_is_gone_is_forgotten(duckdb_engine: Engine) -> None:
    """What is remembered keeps no table alive."""
    from penstock import made

    gc.collect()
    before = len(made._MADE)
    table = ps.where(duckdb_engine.adopt(pa.table({"k": [1]})), "k > 0")
    assert len(made._MADE) == before + 2

    del table
    gc.collect()

    assert len(made._MADE) == before


def test_a_call_within_another_is_that_one() -> None:
    """Even where it fails, the outer one is at work again afterwards."""
    with calling("first", "a.py:1"):
        with pytest.raises(KeyError), calling("second", "a.py:2"):
            assert current() == ("first", "a.py:1")
            raise KeyError
        assert current() == ("first", "a.py:1")
    assert current() is None


def test_the_steps_of_a_plan_say_which_line_they_are_of(engine: Engine) -> None:
    """Each step has the function and the line that it comes from."""
    rows = engine.adopt(pa.table({"k": [1, 2], "n": [3, 4]}))
    totals, first = ps.aggregate(rows, "k", total="sum(n)"), line()
    table, second = ps.sort(totals, "total desc"), line()

    found = [(step.pattern, step.place) for step in ps.plan(table).steps if step.kind == "wide"]

    assert found == [("aggregate", f"{__file__}:{first}"), ("sort", f"{__file__}:{second}")]
