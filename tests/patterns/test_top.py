"""`top`: the most frequent keys."""

import pyarrow as pa
import pytest
from hypothesis import strategies as st

import oracles
import penstock as ps
from penstock.testing import assert_tables_equal, rows
from strategies import kinds, quote, tables

HITS = [
    {"path": "/b", "status": 200, "bytes": 1},
    {"path": "/a", "status": 200, "bytes": 2},
    {"path": "/b", "status": 404, "bytes": 3},
    {"path": None, "status": 200, "bytes": 100},
    {"path": "/c", "status": None, "bytes": None},
    {"path": "/a", "status": 200, "bytes": 4},
]


def test_the_most_frequent_come_first_and_ties_by_key(table):
    """Keys stand by how often they occur, equals by the key, and a null key is a key, after the others."""
    assert_tables_equal(
        ps.top(table(HITS), "path"),
        [{"path": "/a", "n": 2}, {"path": "/b", "n": 2}, {"path": "/c", "n": 1}, {"path": None, "n": 1}],
        ordered=True,
    )


def test_n_keeps_that_many(table):
    """Only the first n keys are returned; a tie at the end goes to the smaller key."""
    assert_tables_equal(ps.top(table(HITS), "path", n=1), [{"path": "/a", "n": 2}])


def test_several_keys(table):
    """A key may be a combination of columns."""
    result = ps.top(table(HITS), ["path", "status"], n=2)

    assert_tables_equal(
        result, [{"path": "/a", "status": 200, "n": 2}, {"path": "/b", "status": 200, "n": 1}], ordered=True
    )


def test_a_key_may_be_an_expression(table):
    """A mapping names the key and says how it is computed."""
    assert_tables_equal(ps.top(table(HITS), {"class": "status // 100"}, n=1), [{"class": 2, "n": 4}])


def test_a_weight_is_summed_in_place_of_counting(table):
    """With a weight the keys stand by its sum; a key without any weight stands last."""
    assert_tables_equal(
        ps.top(table(HITS), "path", weight="bytes"),
        [
            {"path": None, "weight": 100},
            {"path": "/a", "weight": 6},
            {"path": "/b", "weight": 4},
            {"path": "/c", "weight": None},
        ],
        ordered=True,
    )


def test_an_empty_table_has_no_top(table):
    """No rows give no keys, and the columns are those promised."""
    result = ps.top(table(pa.table({"path": pa.array([], pa.string())})), "path")

    assert_tables_equal(result, [])
    assert list(ps.engine_of(result).columns(result)) == ["path", "n"]


def test_agrees_with_the_oracle(table, explore):
    """On any table, with keys of any kind and name, the keys and their order are the oracle's."""

    def check(data, n):
        keys = data.column_names
        assert_tables_equal(ps.top(table(data), keys, n=n), oracles.top(data.to_pylist(), keys, n), ordered=True)

    explore(check, tables(kinds()) | tables(kinds(), kinds()), st.integers(1, 6))


def test_agrees_with_the_oracle_on_weights(table, explore):
    """On any table the summed weights and their order are the oracle's."""

    def check(data, n):
        key, weight = data.column_names
        result = ps.top(table(data), key, n=n, weight=quote(weight))

        assert_tables_equal(result, oracles.top(data.to_pylist(), [key], n, weight), ordered=True)

    explore(check, tables(kinds("text", "bool", "float"), kinds("quarter", "small", "decimal")), st.integers(1, 6))


def test_any_layout_gives_the_same_rows(layouts):
    """With one hot key and many ties, neither order nor pieces change the answer."""
    data = pa.table({"k": [0] * 900 + [i % 97 for i in range(600)]})
    first, *others = [rows(ps.top(laid_out, "k", n=20)) for laid_out in layouts(data)]

    assert first[0] == {"k": 0, "n": 907}
    assert all(other == first for other in others)


def test_an_unknown_column_is_named_with_its_nearest(table):
    """A misspelt key or weight fails when the call is made, and the message offers the right column."""
    with pytest.raises(ps.PenstockError, match=r'no column "paht" .*did you mean "path"'):
        ps.top(table(HITS), "paht")
    with pytest.raises(ps.PenstockError, match=r'no column "byte" .*did you mean "bytes"'):
        ps.top(table(HITS), "path", weight="byte")


def test_a_weight_that_is_no_number_fails_when_called(table):
    """Text cannot be summed, and the call says so before anything runs."""
    with pytest.raises(ps.PenstockError):
        ps.top(table(HITS), "status", weight="path")


@pytest.mark.parametrize(("name", "weight"), [("n", None), ("weight", "x")])
def test_a_key_with_the_name_of_the_count_is_refused(table, name, weight):
    """Two columns of one name would come out; the message says how to rename the key."""
    hits = table([{name: "a", "x": 1}])

    with pytest.raises(ps.UsageError, match="rename"):
        ps.top(hits, name, weight=weight)
    assert_tables_equal(ps.top(hits, {"key": name}, weight=weight), [{"key": "a", (weight and "weight") or "n": 1}])


@pytest.mark.parametrize("n", [0, -1])
def test_n_is_at_least_one(table, n):
    """Asking for no keys, or fewer, is a mistake."""
    with pytest.raises(ps.UsageError, match="n"):
        ps.top(table(HITS), "path", n=n)
