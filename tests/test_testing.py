"""`penstock.testing`: comparing tables as multisets of rows."""

import re
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from penstock.testing import assert_tables_equal, rows

NAN = float("nan")


def column(*values):
    """Rows of one column."""
    return [{"x": value} for value in values]


def differ(left, right, **options):
    """The message with which two tables are found to differ."""
    with pytest.raises(AssertionError) as caught:
        assert_tables_equal(left, right, **options)
    return str(caught.value)


def test_rows_are_python_values(table):
    """A table of either engine is fetched as one dict a row."""
    found = rows(table([{"a": 1, "b": "x"}, {"a": None, "b": "y"}]))

    assert sorted(found, key=lambda row: row["b"]) == [{"a": 1, "b": "x"}, {"a": None, "b": "y"}]


def test_order_does_not_count(table):
    """The same rows in another order are the same table."""
    assert_tables_equal(table(column(1, 2, 3)), column(3, 1, 2))


def test_order_counts_when_asked():
    """With `ordered` the same rows in another order differ, place by place."""
    assert_tables_equal(column(1, 2), column(1, 2), ordered=True)
    assert "x': 3" not in differ(column(1, 2, 3), column(2, 1, 3), ordered=True)
    assert "(no row)" in differ(column(1, 2), column(1), ordered=True)


def test_how_often_a_row_occurs_counts(table):
    """A row that occurs twice is not a row that occurs once."""
    assert "1 row only in left, 0 rows only in right" in differ(table(column(1, 1, 2)), table(column(1, 2)))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (NAN, NAN),
        (0.0, -0.0),
        (1, 1.0),
        (1, Decimal("1.00")),
        (2**53 + 1, Decimal(2**53 + 1)),
        (1.0, 1.0 + 1e-12),
        (1e300, 1e300 * (1 + 1e-12)),
        (Decimal("0.1"), 0.1),
        (None, None),
        (datetime(2024, 1, 1, 12), datetime(2024, 1, 1, 13, tzinfo=timezone(timedelta(hours=1)))),
        ([1.0, NAN], [1.0 + 1e-12, NAN]),
        ({"a": 0.1}, {"a": 0.1 + 1e-12}),
    ],
)
def test_values_that_are_one_to_penstock_are_equal(one, other):
    """Two values that mean the same compare equal, whatever their types and last digits."""
    assert_tables_equal(column(one, "z"), column("z", other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (NAN, None),
        (NAN, float("inf")),
        (1, 2),
        (1.0, 1.0 + 1e-6),
        (2**53, 2**53 + 1),
        (True, 1),
        ("1", 1),
        ("", None),
        ("a", "A"),
        (b"a", "a"),
        ([1], [1, 1]),
        (0.0, 5e-324),
    ],
)
def test_values_that_mean_different_things_differ(one, other):
    """Two values that differ in meaning are told apart."""
    assert "1 row only in left, 1 row only in right" in differ(column(one), column(other))


def test_the_tolerance_can_be_set():
    """`rel` widens what counts as close, and leaves integers exact."""
    assert_tables_equal(column(100.0), column(101.0), rel=0.02)
    assert "1 row" in differ(column(100), column(101), rel=0.02)


def test_close_rows_are_paired_by_what_is_exact():
    """Of rows with close floats those are paired whose other columns are equal."""
    left = [{"k": k, "x": k / 3, "y": 1.0} for k in range(50)]
    right = [{"k": k, "x": k / 3 * (1 + 1e-12), "y": 1.0 - 1e-12} for k in reversed(range(50))]

    assert_tables_equal(left, right)
    assert "1 row only in left, 1 row only in right" in differ(left, [*right[:-1], {"k": 1, "x": 0.0, "y": 1.0}])


def test_column_names_count_in_order():
    """Other names, or the same in another order, are another table."""
    assert "['a', 'b']" in differ([{"a": 1, "b": 1}], [{"b": 1, "a": 1}])
    assert "the columns differ" in differ(pa.table({"a": [1]}), pa.table({"b": [1]}))


def test_an_empty_list_is_any_table_without_rows(table):
    """A literal empty result needs no schema; a typed one is compared by its names."""
    empty = table(pa.table({"x": pa.array([], pa.int64())}))

    assert_tables_equal(empty, [])
    assert_tables_equal([], empty)
    assert "only in left" in differ(column(1), empty)
    assert "the columns differ" in differ(empty, pa.table({"y": pa.array([], pa.int64())}))


@pytest.mark.parametrize("make", [pa.Table.from_pylist, pd.DataFrame, pl.DataFrame, list])
def test_anything_adoptable_is_compared(table, make):
    """Arrow, pandas, Polars and lists of dicts stand on either side of a table of an engine."""
    literal = [{"k": "a", "x": 1.5}, {"k": "b", "x": 2.5}]

    assert_tables_equal(table(literal), make(literal))
    assert_tables_equal(make(literal), table(literal))


def test_the_message_shows_the_rows_that_differ():
    """Only differing rows are shown, each under its side."""
    assert differ(column(1, 2, 3), column(1, 2, 4)) == (
        "the tables differ: 1 row only in left, 1 row only in right (of 3 and 3)\n  left:  {'x': 3}\n  right: {'x': 4}"
    )


def test_the_message_stays_short():
    """Ten rows of a side are shown, and the number of the others."""
    message = differ(column(*range(50)), [])

    assert len(re.findall("left:  {", message)) == 10
    assert "... and 40 more" in message


def test_large_tables_that_differ_are_compared_quickly():
    """A hundred thousand floats that all differ are not compared each with each, which the timeout would end."""
    numbers = [i / 7 for i in range(100_000)]

    assert "100000 rows only in left" in differ(column(*numbers), column(*(x + 1e-3 for x in numbers)))
