"""`where`: the rows for which an expression is true."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import strategies as st

import oracles
import penstock as ps
from penstock.testing import assert_tables_equal
from strategies import quote, tables

VISITS = [
    {"user": "ann", "bytes": 10},
    {"user": "bob", "bytes": None},
    {"user": None, "bytes": 30},
    {"user": "ann", "bytes": 40},
]


def _unknown(function: Callable[..., bool]) -> Callable[..., bool | None]:
    return lambda *cells: None if None in cells else function(*cells)


# Predicates over a small integer, a multiple of 1/4 and a text, beside what they mean.
PREDICATES: dict[str, Callable[[Any, Any, Any], bool | None]] = {
    "{i} > 0": lambda i, q, t: _unknown(lambda i: i > 0)(i),
    "not ({i} > 0)": lambda i, q, t: _unknown(lambda i: i <= 0)(i),
    "{i} is null": lambda i, q, t: i is None,
    "{i} > 0 or {q} > 0": lambda i, q, t: (i or 0) > 0 or (q or 0) > 0,
    "{i} % 7 = 3": lambda i, q, t: _unknown(lambda i: i % 7 == 3)(i),
    "{i} % -7 = -3": lambda i, q, t: _unknown(lambda i: i % -7 == -3)(i),
    "{i} // 7 = -1": lambda i, q, t: _unknown(lambda i: i // 7 == -1)(i),
    "{q} / {i} < 1": lambda i, q, t: _unknown(lambda i, q: i != 0 and q / i < 1)(i, q),
    "{t} = 'a''b'": lambda i, q, t: _unknown(lambda t: t == "a'b")(t),
    "{t} < 'a'": lambda i, q, t: _unknown(lambda t: t.encode() < b"a")(t),
    "length({t}) = 1": lambda i, q, t: _unknown(lambda t: len(t) == 1)(t),
}


def test_keeps_the_rows_for_which_the_predicate_is_true(table):
    """A row stays where the predicate is true; where it is false or unknown the row goes."""
    result = ps.where(table(VISITS), "bytes >= 30 and user is distinct from 'bob'")

    assert_tables_equal(result, [{"user": None, "bytes": 30}, {"user": "ann", "bytes": 40}])


def test_unknown_is_not_true_however_it_is_negated(table):
    """A comparison with null keeps the row neither way."""
    assert_tables_equal(ps.where(table(VISITS), "user = 'ann'"), [VISITS[0], VISITS[3]])
    assert_tables_equal(ps.where(table(VISITS), "not (user = 'ann')"), [VISITS[1]])


def test_no_row_may_be_left(table):
    """A predicate that nothing meets gives the same columns without rows."""
    result = ps.where(table(VISITS), "bytes > 1000")

    assert_tables_equal(result, [])
    assert list(ps.engine_of(result).columns(result)) == ["user", "bytes"]


def test_nan_is_above_every_number_in_a_comparison(table):
    """NaN is greater than infinity and equals itself."""
    numbers = table([{"x": float("nan")}, {"x": float("inf")}, {"x": 1.0}, {"x": None}])

    assert_tables_equal(ps.where(numbers, "x > 1"), [{"x": float("nan")}, {"x": float("inf")}])
    assert_tables_equal(ps.where(numbers, "x = 'NaN'::double"), [{"x": float("nan")}])


def test_agrees_with_the_oracle(table, explore):
    """On any table, whatever its columns are called, the rows kept are the oracle's."""

    def check(data, predicate):
        names = data.column_names
        text = predicate.format(**dict(zip("iqt", map(quote, names), strict=True)))
        meaning = PREDICATES[predicate]

        expected = oracles.where(data.to_pylist(), lambda row: meaning(*(row[name] for name in names)))
        assert_tables_equal(ps.where(table(data), text), expected)

    explore(check, tables("small", "quarter", "text"), st.sampled_from(sorted(PREDICATES)))


def test_any_layout_gives_the_same_rows(layouts):
    """Neither the order of the rows nor how they are cut into pieces changes what is kept."""
    for laid_out in layouts([{"x": x} for x in range(100)]):
        assert_tables_equal(ps.where(laid_out, "x % 3 = 0"), [{"x": x} for x in range(0, 100, 3)])


def test_an_unknown_column_is_named_with_its_nearest(table):
    """A misspelt column fails when the call is made, and the message offers the right one."""
    with pytest.raises(ps.PenstockError, match=r'no column "byte" .*did you mean "bytes".*user, bytes'):
        ps.where(table(VISITS), "byte > 3")


def test_what_is_not_sql_is_refused(table):
    """A predicate that does not parse is the caller's error, and is shown."""
    with pytest.raises(ps.UsageError, match="bytes >"):
        ps.where(table(VISITS), "bytes > ")


def test_a_predicate_that_is_not_a_condition_is_refused(table):
    """A number or a text is no condition: neither engine may guess what it means."""
    with pytest.raises(ps.PenstockError):
        ps.where(table(VISITS), "user")
