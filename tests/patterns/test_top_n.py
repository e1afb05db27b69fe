"""`top_n`: the first rows of each group."""

import pyarrow as pa
import pytest
from hypothesis import strategies as st

import oracles
import penstock as ps
from penstock.testing import assert_tables_equal, rows
from strategies import in_turn, kinds, orders, spelled, tables

SALES = [
    {"country": "de", "shop": "b", "amount": 10},
    {"country": "de", "shop": "a", "amount": 10},
    {"country": "de", "shop": "c", "amount": 30},
    {"country": "de", "shop": None, "amount": None},
    {"country": None, "shop": "d", "amount": 5},
    {"country": "fr", "shop": "e", "amount": None},
]


def sale(country, shop, amount):
    """One row of SALES."""
    return {"country": country, "shop": shop, "amount": amount}


def test_the_first_rows_of_each_group(table):
    """Each group gives its n first rows whole; a null key is a group, and nulls stand last in either direction."""
    result = ps.top_n(table(SALES), "country", "amount desc", n=2)

    expected = [sale("de", "c", 30), sale("de", "a", 10), sale(None, "d", 5), sale("fr", "e", None)]
    assert_tables_equal(result, expected)


def test_ties_are_broken_by_the_remaining_columns(table):
    """Of equal rows the one with the smaller remaining columns is kept, whatever order they came in."""
    assert_tables_equal(ps.top_n(table(SALES), "country", "amount"), [
        sale("de", "a", 10), sale(None, "d", 5), sale("fr", "e", None),
    ])  # fmt: skip


def test_all_ties_may_be_kept(table):
    """`ties="all"` keeps every row that equals the n-th in the order."""
    result = ps.top_n(ps.where(table(SALES), "country = 'de'"), "country", "amount", ties="all")

    assert_tables_equal(result, [sale("de", "a", 10), sale("de", "b", 10)])


def test_any_tie_may_be_kept(table):
    """`ties="any"` keeps n rows whose order values are the first ones, free in which of the equals."""
    found = rows(ps.top_n(table(SALES), "country", "amount", n=1, ties="any"))

    assert {(row["country"], row["amount"]) for row in found} == {("de", 10), (None, 5), ("fr", None)}
    assert len(found) == 3 and all(row in SALES for row in found)


def test_rows_that_are_wholly_equal_are_kept_as_often_as_they_fit(table):
    """Two identical rows are two rows."""
    twice = [sale("de", "a", 1)] * 3

    assert_tables_equal(ps.top_n(table(twice), "country", "amount", n=2), twice[:2])


def test_the_order_may_hold_expressions(table):
    """The order is SQL: a term may compute."""
    assert_tables_equal(ps.top_n(table(SALES), "country", "amount % 7 desc, shop desc"), [
        sale("de", "b", 10), sale(None, "d", 5), sale("fr", "e", None),
    ])  # fmt: skip


def test_a_key_may_be_an_expression(table):
    """A mapping says how the group key is computed."""
    found = rows(ps.top_n(table(SALES), {"known": "country is not null"}, "amount desc"))

    assert sorted(row["amount"] for row in found) == [5, 30]


@pytest.mark.parametrize("ties", ["break", "all", "any"])
@pytest.mark.parametrize("names", in_turn("t", "value", "cut", "n", "the order key", "the order value"), ids=str)
def test_no_column_name_is_taken(table, names, ties):
    """Names that a query might use inside itself are free for key, order and other columns."""
    key, value, other = names
    data = [{key: 1, value: 2, other: 1}, {key: 1, value: 3, other: 0}, {key: None, value: 5, other: 0}]

    assert_tables_equal(ps.top_n(table(data), key, f'"{value}" desc', ties=ties), data[1:])


def test_nested_columns_ride_along(table):
    """A list or a struct is kept whole with its row, and breaks ties like any other column."""
    baskets = [
        {"k": 1, "x": 1, "items": [2, 3], "at": {"lat": 1.5}},
        {"k": 1, "x": 1, "items": [2], "at": {"lat": 1.5}},
    ]

    assert_tables_equal(ps.top_n(table(baskets), "k", "x"), baskets[1:])


def test_an_empty_table_has_no_groups(table):
    """No rows give no rows, and the columns stay."""
    result = ps.top_n(table(pa.table({"k": pa.array([], pa.int64()), "x": pa.array([], pa.float64())})), "k", "x")

    assert_tables_equal(result, [])
    assert list(ps.engine_of(result).columns(result)) == ["k", "x"]


@st.composite
def questions(draw):
    """A table, keys of it, and an order over the rest."""
    data = draw(tables(kinds(), kinds(), kinds(), values=4))
    keys = draw(st.integers(1, 2))
    return data, data.column_names[:keys], draw(orders(data.column_names[keys:]))


def test_agrees_with_the_oracle(table, explore):
    """On any table, by keys and in orders of any kind, the rows kept are the oracle's."""

    def check(question, n, ties):
        data, by, order = question
        result = ps.top_n(table(data), by, spelled(order), n=n, ties=ties)

        assert_tables_equal(result, oracles.top_n(data.to_pylist(), by, order, n, ties))

    explore(check, questions(), st.integers(1, 4), st.sampled_from(["break", "all"]))


def test_agrees_with_the_oracle_behind_another_pattern(table, explore):
    """The rows are the oracle's too where the table is the result of a shuffle, for which other plans are chosen."""

    def check(question, n):
        data, by, order = question
        result = ps.top_n(ps.distinct(table(data)), by, spelled(order), n=n)

        assert_tables_equal(result, oracles.top_n(oracles.distinct(data.to_pylist()), by, order, n))

    explore(check, questions(), st.integers(1, 4))


def test_any_ties_agree_with_the_oracle_but_for_the_choice(table, explore):
    """With `ties="any"` the keys and order values are those of the broken ties, and every row is one of the table."""

    def check(question, n):
        data, by, order = question
        seen = [*by, *(column for column, _ in order)]
        found = rows(ps.top_n(table(data), by, spelled(order), n=n, ties="any"))
        expected = oracles.top_n(data.to_pylist(), by, order, n)

        assert_tables_equal(
            [{c: row[c] for c in seen} for row in found], [{c: row[c] for c in seen} for row in expected]
        )
        places = [tuple(map(oracles.place, row.values())) for row in data.to_pylist()]
        assert all(tuple(map(oracles.place, row.values())) in places for row in found)

    explore(check, questions(), st.integers(1, 4))


def test_any_layout_gives_the_same_rows(layouts):
    """With one hot group and many ties, neither order nor pieces change which rows are kept."""
    count = range(1500)
    data = pa.table({"k": [0 if i < 1200 else i % 40 for i in count], "x": [i % 5 for i in count], "id": list(count)})
    expected = oracles.top_n(data.to_pylist(), ["k"], [("x", True)], n=7)

    for laid_out in layouts(data):
        assert_tables_equal(ps.top_n(laid_out, "k", "x desc", n=7), expected)


def test_an_unknown_column_is_named_with_its_nearest(table):
    """A misspelt key or order fails when the call is made, and the message offers the right column."""
    with pytest.raises(ps.PenstockError, match=r'no column "county" .*did you mean "country"'):
        ps.top_n(table(SALES), "county", "amount")
    with pytest.raises(ps.PenstockError, match=r'no column "amonut" .*did you mean "amount"'):
        ps.top_n(table(SALES), "country", "amonut desc")


def test_options_are_checked(table):
    """A wrong `n`, `ties` or order is refused, and the message says what there is to choose from."""
    with pytest.raises(ps.UsageError, match="n"):
        ps.top_n(table(SALES), "country", "amount", n=0)
    with pytest.raises(ps.UsageError, match=r"break.*all.*any"):
        ps.top_n(table(SALES), "country", "amount", ties="first")
    with pytest.raises(ps.UsageError, match="order"):
        ps.top_n(table(SALES), "country", "")
