"""`mode`: the commonest value."""

import pyarrow as pa
import pytest
from hypothesis import strategies as st

import oracles
import penstock as ps
from penstock.testing import assert_tables_equal
from strategies import kinds, tables

VOTES = [
    {"town": "x", "vote": "b"},
    {"town": "x", "vote": "a"},
    {"town": "x", "vote": None},
    {"town": "x", "vote": None},
    {"town": "x", "vote": None},
    {"town": None, "vote": "c"},
    {"town": None, "vote": "c"},
    {"town": "y", "vote": None},
]


def test_the_commonest_value_of_all(table):
    """Without keys there is one row; nulls are no value, however many there are."""
    assert_tables_equal(ps.mode(table(VOTES), "vote"), [{"value": "c", "n": 2}])


def test_the_commonest_value_of_each_group(table):
    """A tie goes to the least value; a group without values gives null and 0; a null key is a group."""
    assert_tables_equal(
        ps.mode(table(VOTES), "vote", by="town"),
        [
            {"town": "x", "value": "a", "n": 1},
            {"town": None, "value": "c", "n": 2},
            {"town": "y", "value": None, "n": 0},
        ],
    )


def test_all_of_the_commonest(table):
    """`ties="all"` gives each of them a row."""
    result = ps.mode(ps.where(table(VOTES), "town = 'x'"), "vote", by="town", ties="all")

    assert_tables_equal(result, [{"town": "x", "value": "a", "n": 1}, {"town": "x", "value": "b", "n": 1}])


def test_nan_and_zero_are_one_value_each(table):
    """Every NaN counts as one value, and so do 0.0 and -0.0."""
    nans = [{"x": float("nan")}, {"x": float("nan")}, {"x": 1.0}]
    zeros = [{"x": 0.0}, {"x": -0.0}, {"x": 1.0}]

    assert_tables_equal(ps.mode(table(nans), "x"), [{"value": float("nan"), "n": 2}])
    assert_tables_equal(ps.mode(table(zeros), "x"), [{"value": 0.0, "n": 2}])


def test_an_empty_table_is_one_group_without_values(table):
    """Without keys the whole table is one group, empty or not; with keys there are no groups."""
    empty = table(pa.table({"k": pa.array([], pa.string()), "x": pa.array([], pa.int64())}))

    assert_tables_equal(ps.mode(empty, "x"), [{"value": None, "n": 0}])
    assert_tables_equal(ps.mode(empty, "x", by="k"), [])


def test_a_key_may_be_an_expression(table):
    """A mapping names the key and says how it is computed."""
    result = ps.mode(table(VOTES), "vote", by={"known": "town is not null"})

    assert_tables_equal(result, [{"known": True, "value": "a", "n": 1}, {"known": False, "value": "c", "n": 2}])


def test_agrees_with_the_oracle(table, explore):
    """On any table, for values and keys of any kind and name, the modes are the oracle's."""

    def check(data, ties):
        value, *by = data.column_names
        result = ps.mode(table(data), value, by=by, ties=ties)

        assert_tables_equal(result, oracles.mode(data.to_pylist(), value, by, ties))

    explore(check, tables(kinds()) | tables(kinds(), kinds()), st.sampled_from(["least", "all"]))


def test_any_layout_gives_the_same_rows(layouts):
    """With one hot group and a tie in every group, neither order nor pieces change the answer."""
    data = pa.table({"k": [0] * 800 + [i % 30 for i in range(700)], "x": [i % 8 for i in range(1500)]})
    expected = oracles.mode(data.to_pylist(), "x", ["k"])

    for laid_out in layouts(data):
        assert_tables_equal(ps.mode(laid_out, "x", by="k"), expected)


def test_an_unknown_column_is_named_with_its_nearest(table):
    """A misspelt column or key fails when the call is made, and the message offers the right one."""
    with pytest.raises(ps.PenstockError, match=r'no column "votes" .*did you mean "vote"'):
        ps.mode(table(VOTES), "votes")
    with pytest.raises(ps.PenstockError, match=r'no column "twon" .*did you mean "town"'):
        ps.mode(table(VOTES), "vote", by="twon")


@pytest.mark.parametrize("name", ["value", "n"])
def test_a_key_with_a_name_of_the_result_is_refused(table, name):
    """Two columns of one name would come out; the message says how to rename the key."""
    votes = table([{name: 1, "vote": "a"}])

    with pytest.raises(ps.UsageError, match="rename"):
        ps.mode(votes, "vote", by=name)
    assert_tables_equal(ps.mode(votes, "vote", by={"key": name}), [{"key": 1, "value": "a", "n": 1}])


def test_ties_is_one_of_two(table):
    """Another word for `ties` is refused, and the message says what there is to choose from."""
    with pytest.raises(ps.UsageError, match=r"least.*all"):
        ps.mode(table(VOTES), "vote", ties="first")
