"""`count_distinct`: how many different values there are."""

import pyarrow as pa
import pytest

import oracles
import penstock as ps
from penstock.testing import assert_tables_equal, rows
from strategies import kinds, tables

VISITS = [
    {"day": 1, "user": "ann", "path": "/a"},
    {"day": 1, "user": "bob", "path": "/a"},
    {"day": 1, "user": "ann", "path": "/b"},
    {"day": 1, "user": "ann", "path": None},
    {"day": None, "user": "ann", "path": "/a"},
    {"day": 2, "user": None, "path": "/a"},
]


def test_how_many_different_values(table):
    """Without keys there is one row, and nulls are not counted."""
    assert_tables_equal(ps.count_distinct(table(VISITS), "user"), [{"n": 2}])


def test_how_many_in_each_group(table):
    """Each group has a row, also where it has no values; a null key is a group."""
    result = ps.count_distinct(table(VISITS), "user", by="day")

    assert_tables_equal(result, [{"day": 1, "n": 2}, {"day": None, "n": 1}, {"day": 2, "n": 0}])


def test_combinations_of_columns(table):
    """Several columns count their different combinations; a row with a null among them is not counted."""
    assert_tables_equal(ps.count_distinct(table(VISITS), "user", "path"), [{"n": 3}])


def test_nan_and_zero_are_one_value_each(table):
    """Every NaN is one value, and so are 0.0 and -0.0."""
    numbers = [float("nan"), float("nan"), 0.0, -0.0, None]

    assert_tables_equal(ps.count_distinct(table([{"x": x} for x in numbers]), "x"), [{"n": 2}])


def test_an_empty_table_counts_zero(table):
    """Without keys an empty table counts 0; with keys it has no groups."""
    empty = table(pa.table({"k": pa.array([], pa.string()), "x": pa.array([], pa.int64())}))

    assert_tables_equal(ps.count_distinct(empty, "x"), [{"n": 0}])
    assert_tables_equal(ps.count_distinct(empty, "x", by="k"), [])


def test_a_key_may_be_an_expression(table):
    """A mapping names the key and says how it is computed."""
    result = ps.count_distinct(table(VISITS), "user", by={"first": "day = 1"})

    assert_tables_equal(result, [{"first": True, "n": 2}, {"first": False, "n": 0}, {"first": None, "n": 1}])


def test_agrees_with_the_oracle(table, explore):
    """On any table, for one column or two of any kind, with keys or without, the counts are the oracle's."""

    def check(data):
        first, *rest = data.column_names
        columns, by = [first, *rest[1:]], rest[:1]
        result = ps.count_distinct(table(data), *columns, by=by)

        assert_tables_equal(result, oracles.count_distinct(data.to_pylist(), *columns, by=by))

    explore(check, tables(kinds()) | tables(kinds(), kinds()) | tables(kinds(), kinds(), kinds()))


@pytest.mark.parametrize("error", [0.01, 0.05])
def test_an_estimate_is_within_its_error(table, error):
    """With `error` the count is an estimate, within three times that of the truth."""
    data = pa.table({"x": pa.array([f"user {i % 20_000}" for i in range(40_000)])})

    found = rows(ps.count_distinct(table(data), "x", error=error))
    assert found[0]["n"] == pytest.approx(20_000, rel=3 * error)


def test_any_layout_gives_the_same_rows(layouts):
    """With one hot group, neither order nor pieces change the counts."""
    data = pa.table({"k": [0 if i < 900 else i % 30 for i in range(1500)], "x": [i % 301 for i in range(1500)]})
    expected = oracles.count_distinct(data.to_pylist(), "x", by=["k"])

    for laid_out in layouts(data):
        assert_tables_equal(ps.count_distinct(laid_out, "x", by="k"), expected)


def test_an_unknown_column_is_named_with_its_nearest(table):
    """A misspelt column or key fails when the call is made, and the message offers the right one."""
    with pytest.raises(ps.PenstockError, match=r'no column "usr" .*did you mean "user"'):
        ps.count_distinct(table(VISITS), "usr")
    with pytest.raises(ps.PenstockError, match=r'no column "dya" .*did you mean "day"'):
        ps.count_distinct(table(VISITS), "user", by="dya")


def test_without_columns_all_but_the_keys_count(table):
    """Where no column is named the whole row counts, and where none is left it is a mistake."""
    assert_tables_equal(ps.count_distinct(table(VISITS), by="day"), [
        {"day": 1, "n": 3}, {"day": None, "n": 1}, {"day": 2, "n": 0},
    ])  # fmt: skip
    with pytest.raises(ps.UsageError, match="no column is left"):
        ps.count_distinct(table(VISITS), by=["day", "user", "path"])


def test_a_key_with_the_name_of_the_count_is_refused(table):
    """Two columns of one name would come out; the message says how to rename the key."""
    visits = table([{"n": 1, "user": "ann"}])

    with pytest.raises(ps.UsageError, match="rename"):
        ps.count_distinct(visits, "user", by="n")
    assert_tables_equal(ps.count_distinct(visits, "user", by={"key": "n"}), [{"key": 1, "n": 1}])


@pytest.mark.parametrize("error", [0, 1, -0.1])
def test_the_error_is_a_share(table, error):
    """A relative error lies between 0 and 1."""
    with pytest.raises(ps.UsageError, match="error"):
        ps.count_distinct(table(VISITS), "user", error=error)
