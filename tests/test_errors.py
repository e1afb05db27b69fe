"""Errors: one tree, each saying what happened, what was there and what to do."""

from __future__ import annotations

import builtins
import pickle
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import penstock as ps
from penstock import errors
from penstock.engines.engine import Engine, Table

ROOT = Path(__file__).parent.parent
CLASSES = [getattr(errors, name) for name in errors.__all__]

#: `|-- Name  (Builtin)  what  exit 2`, as the tree is drawn.
BRANCH = re.compile(r"^ {4}([| ]*(?:\|--|`--) )?(\w+)(?: +\((\w+)\))?.*?(?:exit (\d))?$", re.MULTILINE)


def drawn() -> Iterator[tuple[int, str, str | None, str | None]]:
    """Depth, name, builtin and exit code of every line of the tree in the module's docstring."""
    assert errors.__doc__
    tree = errors.__doc__.split("\n\n")[1]
    for indent, name, builtin, code in BRANCH.findall(tree):
        yield len(indent) // 4, name, builtin or None, code or None


def test_the_tree_that_is_drawn_is_the_tree() -> None:
    """The docstring's drawing has every class below its parent, with its builtin and its exit code."""
    path: list[str] = []
    for depth, name, builtin, code in drawn():
        path[depth:] = [name]
        found = getattr(errors, name)
        bases = {base.__name__ for base in found.__bases__}
        assert bases == {path[depth - 1] if depth else "Exception", *([builtin] if builtin else [])}
        assert code is None or found.exit_code == int(code)
        assert builtin is None or issubclass(found, getattr(builtins, builtin))

    assert sorted(name for _, name, _, _ in drawn()) == errors.__all__


def test_the_page_about_errors_names_them_all() -> None:
    """docs/errors.md tells of every class."""
    page = (ROOT / "docs" / "errors.md").read_text()

    assert [name for name in errors.__all__ if name not in page] == []


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_a_message_ends_with_what_to_do(kind: type[errors.PenstockError]) -> None:
    """`str` is what happened and the hint, whatever builtin the class is too; nothing is lost between processes."""
    error = kind("it broke", "mend it")

    assert str(error) == "it broke; mend it"
    assert str(kind("it broke")) == "it broke"
    assert (error.what, error.hint) == ("it broke", "mend it")
    assert str(pickle.loads(pickle.dumps(error))) == "it broke; mend it"


@pytest.mark.parametrize(
    ("asked", "guess"),
    [("userid", '"user_id"'), ("USER_ID ", '"user_id"'), ("Tss", '"ts"'), ("zzz", None)],
)
def test_the_nearest_column_is_offered(asked: str, guess: str | None) -> None:
    """A misspelt column is answered with the nearest one there is, and with all of them."""
    said = str(errors.ColumnError.missing(asked, ["user_id", "ts"], "events"))

    assert said.startswith(f'no column "{asked}" in events; ')
    assert said.endswith("it has: user_id, ts")
    assert f"did you mean {guess}?" in said if guess else "did you mean" not in said


def test_a_missing_extra_is_told_with_the_line_to_type() -> None:
    """Without PySpark, asking for Spark is an error of ours that says how to install it."""
    code = "import sys; sys.modules['pyspark'] = None; import penstock as ps; ps.connect('spark')"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert "MissingExtra: pyspark is not installed; pip install 'penstock[spark]'" in found.stderr


@pytest.mark.parametrize(
    ("provoke", "kind", "hint"),
    [
        (lambda t: ps.where(t, "vv > 1"), ps.ColumnError, 'did you mean "v"'),
        (lambda t: ps.where(t, "v +"), ps.UsageError, ""),
        (lambda t: ps.where(t, "v + 1"), ps.UsageError, "v \\+ 1 = "),
        (lambda t: ps.derive(t), ps.UsageError, "name one"),
        (lambda t: ps.derive(t, x="no_such_function(v)"), ps.UsageError, "the SQL was"),
        (lambda t: ps.derive(t, x="v - [1]"), ps.UsageError, "the SQL was"),
        (lambda t: ps.derive(t, x="random()"), ps.UsageError, "literal"),
        (lambda t: ps.derive(t, x="at - at"), ps.UsageError, "date_diff"),
        (lambda t: ps.aggregate(t, "k", x="sum(k)"), ps.UsageError, "cast"),
        (lambda t: ps.aggregate(t, "k", x="v"), ps.UsageError, "portable|wrap"),
        (lambda t: ps.aggregate(t, "k"), ps.UsageError, "name one"),
        (lambda t: ps.aggregate(t, "kk", n="count(*)"), ps.ColumnError, 'did you mean "k"'),
        (lambda t: ps.top(t, "k", n=0), ps.UsageError, "positive"),
        (lambda t: ps.top_n(t, "k", "v sideways"), ps.UsageError, ""),
        (lambda t: ps.mode(t, "w"), ps.ColumnError, "it has: k, v, at"),
        (lambda t: ps.count_distinct(t, "v", error=7), ps.UsageError, "between"),
        (lambda t: ps.sort(t, ""), ps.UsageError, "name columns"),
        (lambda t: ps.query("SELECT v FROM u", t=t), ps.UsageError, "there is: t"),
        (lambda t: ps.query("DELETE FROM t", t=t), ps.UsageError, "one SELECT"),
    ],
)
def test_a_wrong_call_fails_when_it_is_made(
    table: Callable[..., Table], provoke: Callable[[Table], Any], kind: type[Exception], hint: str
) -> None:
    """Nothing has to be collected for a mistake to show; the error says what to do."""
    t = table(pa.table({"k": ["a"], "v": [1], "at": pa.array([0], pa.timestamp("us"))}))

    with pytest.raises(kind) as caught:
        provoke(t)

    assert isinstance(caught.value, ps.UsageError) and caught.value.exit_code == 2
    assert re.search(hint, caught.value.hint)


@pytest.mark.parametrize(
    "expression",
    [
        "v + 9223372036854775807",
        "k::int",
        "(v * 1000)::tinyint",
        "'2024-13-01'::date + v::int",
        "(v * 'nan'::double)::decimal(5, 1)",
    ],
)
def test_what_hangs_on_the_data_fails_while_running(
    engine: Engine, table: Callable[..., Table], expression: str
) -> None:
    """Overflows and values that do not convert are errors of the engine, once, with its own behind them."""
    made = ps.derive(table([{"k": "a", "v": 1}]), x=expression)

    with pytest.raises(ps.EngineError, match=r"^running: ") as caught:
        engine.batches(made).read_all()

    assert caught.value.exit_code == 1
    assert not isinstance(caught.value.__cause__, ps.PenstockError)


def test_a_closed_connection_says_so() -> None:
    """A table of an engine that was closed is an error of ours, not a crash."""
    with ps.connect("duckdb") as engine:
        table = engine.adopt(pa.table({"v": [1]}))

    with pytest.raises(ps.PenstockError, match=r"(?i)closed"):
        ps.where(table, "v = 1")
