"""`distinct`: the different rows."""

import pyarrow as pa
import pytest

import oracles
import penstock as ps
from penstock.testing import assert_tables_equal
from strategies import kinds, tables

VISITS = [
    {"user": "ann", "path": "/a"},
    {"user": "ann", "path": "/a"},
    {"user": "ann", "path": None},
    {"user": None, "path": None},
    {"user": None, "path": None},
]


def test_the_different_rows(table):
    """Without columns the whole row counts; a null is a value like another."""
    assert_tables_equal(ps.distinct(table(VISITS)), [VISITS[0], VISITS[2], VISITS[3]])


def test_the_different_values_of_some_columns(table):
    """With columns only these are returned, in the order named."""
    assert_tables_equal(ps.distinct(table(VISITS), "user"), [{"user": "ann"}, {"user": None}])
    assert_tables_equal(ps.distinct(table(VISITS[:1]), "path", "user"), [{"path": "/a", "user": "ann"}])


def test_nan_and_zero_are_one_value_each(table):
    """Every NaN is one value, and so are 0.0 and -0.0."""
    numbers = [float("nan"), float("nan"), 0.0, -0.0]

    assert_tables_equal(ps.distinct(table([{"x": x} for x in numbers])), [{"x": float("nan")}, {"x": 0.0}])


def test_an_empty_table_has_none(table):
    """No rows give no rows, and the columns are those asked for."""
    empty = pa.table({"a": pa.array([], pa.int64()), "b": pa.array([], pa.int64())})
    result = ps.distinct(table(empty), "b")

    assert_tables_equal(result, [])
    assert list(ps.engine_of(result).columns(result)) == ["b"]


def test_agrees_with_the_oracle(table, explore):
    """On any table, whole or by some of its columns, the different rows are the oracle's."""

    def check(data):
        columns = data.column_names[1:]
        assert_tables_equal(ps.distinct(table(data), *columns), oracles.distinct(data.to_pylist(), *columns))

    explore(check, tables(kinds()) | tables(kinds(), kinds()) | tables(kinds(), kinds(), kinds()))


def test_any_layout_gives_the_same_rows(layouts):
    """Neither the order of the rows nor how they are cut into pieces changes which are different."""
    data = pa.table({"k": [0 if i < 900 else i % 300 for i in range(1500)], "x": [i % 3 for i in range(1500)]})
    expected = oracles.distinct(data.to_pylist())

    for laid_out in layouts(data):
        assert_tables_equal(ps.distinct(laid_out), expected)


def test_an_unknown_column_is_named_with_its_nearest(table):
    """A misspelt column fails when the call is made, and the message offers the right one."""
    with pytest.raises(ps.PenstockError, match=r'no column "usr" .*did you mean "user"'):
        ps.distinct(table(VISITS), "usr")
