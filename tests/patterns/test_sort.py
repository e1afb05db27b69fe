"""`sort`: a table in order."""

import pyarrow as pa
import pytest
from hypothesis import strategies as st

import oracles
import penstock as ps
from penstock.testing import assert_tables_equal
from strategies import kinds, orders, spelled, tables

PEOPLE = [
    {"name": "b", "age": 30},
    {"name": None, "age": 30},
    {"name": "a", "age": 30},
    {"name": "c", "age": None},
    {"name": "d", "age": 7},
]


def test_nulls_come_last_in_both_directions(table):
    """Ascending or descending, a null stands at the end."""
    rising = [PEOPLE[4], PEOPLE[2], PEOPLE[0], PEOPLE[1], PEOPLE[3]]
    falling = [PEOPLE[2], PEOPLE[0], PEOPLE[1], PEOPLE[4], PEOPLE[3]]

    assert_tables_equal(ps.sort(table(PEOPLE), "age"), rising, ordered=True)
    assert_tables_equal(ps.sort(table(PEOPLE), "age desc"), falling, ordered=True)


def test_several_terms(table):
    """Later terms decide between equals of the earlier ones, and a term may compute."""
    result = ps.sort(table(PEOPLE), "age % 10 desc, name desc")

    assert_tables_equal(result, [PEOPLE[4], PEOPLE[0], PEOPLE[2], PEOPLE[1], PEOPLE[3]], ordered=True)


def test_text_stands_by_its_bytes(table):
    """Text is ordered by its UTF-8 bytes: capitals first, then small letters, accents, and what lies beyond 16 bits."""
    ordered = ["", "Z", "a", "aa", "b", "ä", "\uffee", "😀"]

    assert_tables_equal(ps.sort(table([{"t": t} for t in ordered]), "t"), [{"t": t} for t in ordered], ordered=True)
    assert_tables_equal(
        ps.sort(table([{"t": t} for t in ordered]), "t desc"), [{"t": t} for t in reversed(ordered)], ordered=True
    )


def test_nan_is_above_every_number_and_below_null(table):
    """NaN stands after infinity going up and before it going down; null is last both ways."""
    nan, inf = float("nan"), float("inf")

    up = [-inf, 0.0, inf, nan, None]
    down = [nan, inf, 0.0, -inf, None]
    numbers = table([{"x": x} for x in up])
    assert_tables_equal(ps.sort(numbers, "x"), [{"x": x} for x in up], ordered=True)
    assert_tables_equal(ps.sort(numbers, "x desc"), [{"x": x} for x in down], ordered=True)


def test_the_edges_of_64_bits_keep_their_order(table):
    """The least and the largest integer stand where they belong, going down too."""
    numbers = [2**63 - 1, 2**63 - 2, 0, -1, -(2**63)]

    assert_tables_equal(
        ps.sort(table([{"x": x} for x in numbers]), "x desc"), [{"x": x} for x in numbers], ordered=True
    )


def test_an_empty_table_is_in_order(table):
    """No rows give no rows, and the columns stay."""
    result = ps.sort(table(pa.table({"x": pa.array([], pa.int64())})), "x desc")

    assert_tables_equal(result, [])
    assert list(ps.engine_of(result).columns(result)) == ["x"]


@st.composite
def questions(draw):
    """A table and an order over some of its columns."""
    data = draw(tables(kinds(), kinds(), kinds(), values=4))
    return data, draw(orders(data.column_names))


def test_agrees_with_the_oracle(table, explore):
    """On any table, in orders of any kind, the rows come in the oracle's order."""

    def check(question):
        data, order = question
        assert_tables_equal(ps.sort(table(data), spelled(order)), oracles.sort(data.to_pylist(), order), ordered=True)

    explore(check, questions())


def test_any_layout_gives_the_same_order(layouts):
    """With many ties, neither the order of the rows nor how they are cut into pieces changes the result."""
    data = pa.table({"x": [i % 7 for i in range(1500)], "y": [i * 31 % 1009 for i in range(1500)]})
    expected = oracles.sort(data.to_pylist(), [("x", True)])

    for laid_out in layouts(data):
        assert_tables_equal(ps.sort(laid_out, "x desc"), expected, ordered=True)


def test_an_unknown_column_is_named_with_its_nearest(table):
    """A misspelt column fails when the call is made, and the message offers the right one."""
    with pytest.raises(ps.PenstockError, match=r'no column "nmae" .*did you mean "name"'):
        ps.sort(table(PEOPLE), "nmae desc")


def test_an_order_is_needed(table):
    """An empty order is a mistake."""
    with pytest.raises(ps.UsageError, match="order"):
        ps.sort(table(PEOPLE), "")
