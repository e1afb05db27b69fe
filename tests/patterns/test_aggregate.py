"""`aggregate`: one row a group."""

import re
from datetime import datetime
from decimal import Decimal

import pyarrow as pa
import pytest

import oracles
import penstock as ps
from penstock.testing import assert_tables_equal, rows
from strategies import kinds, quote, tables

SALES = [
    {"country": "de", "at": datetime(2024, 9, 29, 23), "amount": 10},
    {"country": "de", "at": datetime(2024, 9, 30, 1), "amount": None},
    {"country": None, "at": datetime(2024, 9, 30, 2), "amount": 5},
    {"country": None, "at": datetime(2024, 9, 30, 3), "amount": 7},
    {"country": "fr", "at": datetime(2024, 9, 30, 4), "amount": None},
]


def test_one_row_a_group(table):
    """Aggregates skip nulls, `count(*)` counts rows, a null key is a group, and a sum of nothing is null."""
    result = ps.aggregate(table(SALES), "country", total="sum(amount)", n="count(*)", known="count(amount)")

    assert_tables_equal(
        result,
        [
            {"country": "de", "total": 10, "n": 2, "known": 1},
            {"country": None, "total": 12, "n": 2, "known": 2},
            {"country": "fr", "total": None, "n": 1, "known": 0},
        ],
    )


def test_several_keys(table):
    """A group is a combination of its keys, and the keys stand first in the order given."""
    result = ps.aggregate(table(SALES), ["amount", "country"], n="count(*)")

    assert_tables_equal(result, [{"amount": s["amount"], "country": s["country"], "n": 1} for s in SALES])


def test_a_key_may_be_an_expression(table):
    """A mapping names each key and says how it is computed."""
    result = ps.aggregate(table(SALES), {"day": "date_trunc('day', at)"}, n="count(*)")

    assert_tables_equal(result, [{"day": datetime(2024, 9, 29), "n": 1}, {"day": datetime(2024, 9, 30), "n": 4}])


def test_without_keys_the_whole_table_is_one_group(table):
    """No key gives one row, from an empty table too."""
    empty = pa.table({"amount": pa.array([], pa.int64())})

    assert_tables_equal(ps.aggregate(table(SALES), [], n="count(*)", total="sum(amount)"), [{"n": 5, "total": 22}])
    assert_tables_equal(ps.aggregate(table(empty), [], n="count(*)", total="sum(amount)"), [{"n": 0, "total": None}])


def test_with_keys_an_empty_table_has_no_groups(table):
    """No rows give no groups, and the columns are those asked for."""
    empty = pa.table({"country": pa.array([], pa.string()), "amount": pa.array([], pa.int64())})
    result = ps.aggregate(table(empty), "country", total="sum(amount)")

    assert_tables_equal(result, [])
    assert list(ps.engine_of(result).columns(result)) == ["country", "total"]


def test_nan_and_zero_are_one_key_each(table):
    """Every NaN falls into one group, and so do 0.0 and -0.0."""
    numbers = [float("nan"), float("nan"), 0.0, -0.0, None]
    result = ps.aggregate(table([{"x": x} for x in numbers]), "x", n="count(*)")

    assert_tables_equal(result, [{"x": float("nan"), "n": 2}, {"x": 0.0, "n": 2}, {"x": None, "n": 1}])


def test_an_integer_sum_is_exact_or_an_error(table):
    """A sum beyond 64 bits is either the true number or an error; it never wraps."""
    largest = table([{"x": 2**63 - 1}, {"x": 2**63 - 1}])
    try:
        found = rows(ps.aggregate(largest, [], total="sum(x)"))
    except ps.EngineError as error:
        assert re.search("overflow|out of range|cannot be represented", str(error), re.IGNORECASE)
    else:
        assert found == [{"total": 2**64 - 2}]


def test_decimals_are_summed_exactly(table):
    """A sum of decimals is the decimal sum, where floats would be off by a little."""
    cents = table([{"x": Decimal("0.10")}] * 3)

    assert rows(ps.aggregate(cents, [], total="sum(x)"))[0]["total"] == Decimal("0.30")


# Aggregates over multiples of 1/4 (`q`), a column of any kind (`v`) and booleans (`b`), as SQL and as the oracle's.
PORTABLE = {
    "n": ("count(*)", "count", None),
    "known": ("count({v})", "count", "v"),
    "different": ("count(distinct {v})", "count_distinct", "v"),
    "least": ("min({v})", "min", "v"),
    "most": ("max({v})", "max", "v"),
    "total": ("sum({q})", "sum", "q"),
    "mean": ("avg({q})", "avg", "q"),
    "middle": ("median({q})", "median", "q"),
    "spread": ("stddev({q})", "stddev", "q"),
    "spread_pop": ("stddev_pop({q})", "stddev_pop", "q"),
    "variance": ("var_samp({q})", "var_samp", "q"),
    "variance_pop": ("var_pop({q})", "var_pop", "q"),
    "every": ("bool_and({b})", "bool_and", "b"),
    "some": ("bool_or({b})", "bool_or", "b"),
    "how_often": ("count_if({b})", "count_if", "b"),
}


def test_agrees_with_the_oracle(table, explore):
    """On any table, with keys of any kind, every portable aggregate is the oracle's."""

    def check(data):
        key, *values = data.column_names
        columns = dict(zip("qvb", values, strict=True))
        names = {letter: quote(column) for letter, column in columns.items()}
        computed = {name: sql.format(**names) for name, (sql, _, _) in PORTABLE.items()}
        result = ps.aggregate(table(data), key, **computed)

        wanted = {name: (function, columns.get(letter)) for name, (_, function, letter) in PORTABLE.items()}
        assert_tables_equal(result, oracles.aggregate(data.to_pylist(), [key], **wanted))

    explore(check, tables(kinds(), "quarter", kinds(), "bool"))


# Aggregates that look at an order or at bits, over a small integer (`i`) and a column of any kind (`v`).
ORDERED = {
    "whole": ("sum({i})", "sum", "i"),
    "any": ("any_value({v})", "min", "v"),
    "all": ("list({v} order by {v})", "list", "v"),
    "all_down": ("list({i} order by {i} desc)", "list_desc", "i"),
    "third": ("quantile_disc({i}, 0.75)", "quantile_disc", "i"),
    "common_bits": ("bit_and({i})", "bit_and", "i"),
    "bits": ("bit_or({i})", "bit_or", "i"),
}


def test_ordered_aggregates_agree_with_the_oracle(table, explore):
    """On any table lists come sorted and without nulls, a quantile is a value there is, `any_value` is the least."""

    def check(data):
        key, *values = data.column_names
        columns = dict(zip("iv", values, strict=True))
        names = {letter: quote(column) for letter, column in columns.items()}
        computed = {name: sql.format(**names) for name, (sql, _, _) in ORDERED.items()}
        result = ps.aggregate(table(data), key, **computed)

        wanted = {name: (function, columns[letter]) for name, (_, function, letter) in ORDERED.items()}
        assert_tables_equal(result, oracles.aggregate(data.to_pylist(), [key], **wanted))

    explore(check, tables(kinds("text", "bool", "date"), "small", kinds()))


def test_the_value_of_the_highest_row(table):
    """`arg_max` takes the least value of the rows with the highest measure, `arg_min` of those with the lowest."""
    result = ps.aggregate(
        table(
            [
                {"k": 1, "x": "c", "y": 9},
                {"k": 1, "x": "b", "y": 9},
                {"k": 1, "x": None, "y": 99},
                {"k": 1, "x": "z", "y": None},
                {"k": 1, "x": "d", "y": 1},
                {"k": 2, "x": None, "y": None},
            ]
        ),
        "k",
        highest="arg_max(x, y)",
        lowest="arg_min(x, y)",
    )

    assert_tables_equal(result, [{"k": 1, "highest": "b", "lowest": "d"}, {"k": 2, "highest": None, "lowest": None}])


def test_text_is_joined_in_an_order(table):
    """`string_agg` joins the texts of a group in the order asked for, and skips nulls."""
    words = table([{"k": 1, "w": "b"}, {"k": 1, "w": None}, {"k": 1, "w": "a"}, {"k": 2, "w": None}])

    assert_tables_equal(
        ps.aggregate(words, "k", text="string_agg(w, ', ' order by w)"),
        [{"k": 1, "text": "a, b"}, {"k": 2, "text": None}],
    )


def test_expressions_over_aggregates(table):
    """An aggregate may be computed from several, and division is true division, null by zero."""
    result = ps.aggregate(table(SALES), "country", share="count(amount) / count(*)", rate="count(*) / count(amount)")

    assert_tables_equal(
        result,
        [
            {"country": "de", "share": 0.5, "rate": 2.0},
            {"country": None, "share": 1.0, "rate": 1.0},
            {"country": "fr", "share": 0.0, "rate": None},
        ],
    )


def test_averages_of_decimals_are_floats(table, explore):
    """An average is a float, also of decimals and integers, to nine places."""

    def check(data):
        key, value = data.column_names
        result = ps.aggregate(table(data), key, mean=f"avg({quote(value)})")

        assert_tables_equal(result, oracles.aggregate(data.to_pylist(), [key], mean=("avg", value)))

    explore(check, tables("bool", kinds("decimal", "small", "int")))


def test_approximate_counts_are_near(table):
    """`approx_distinct` is within a tenth of the truth for a thousand different values, null not counted."""
    data = pa.table({"x": pa.array([None, *(f"user {i % 1000}" for i in range(5000))])})

    assert rows(ps.aggregate(table(data), [], users="approx_distinct(x)"))[0]["users"] == pytest.approx(1000, rel=0.1)


HOT = pa.table({
    "k": [0] * 1800 + [i % 50 for i in range(200)],
    "x": list(range(2000)),
    "y": [i / 4 for i in range(2000)],
})  # fmt: skip
ALL = {
    "n": "count(*)",
    "total": "sum(x)",
    "mean": "avg(y)",
    "least": "min(x)",
    "most": "max(x)",
    "different": "count(distinct x % 10)",
    "spread": "stddev(y)",
}


def test_any_layout_gives_the_same_rows(layouts):
    """With one hot key, neither the order of the rows nor how they are cut into pieces changes the aggregates."""
    first, *others = [rows(ps.aggregate(laid_out, "k", **ALL)) for laid_out in layouts(HOT)]

    assert sum(row["n"] for row in first) == 2000
    for other in others:
        assert_tables_equal(other, first)


def test_salting_the_hot_key_gives_the_same_rows(table):
    """Dividing the heavy keys, or never doing so, changes no row."""
    mergeable = {name: ALL[name] for name in ("n", "total", "mean", "least", "most")}
    expected = rows(ps.aggregate(table(HOT), "k", skew="none", **mergeable))

    assert_tables_equal(ps.aggregate(table(HOT), "k", skew="salt", **mergeable), expected)
    assert_tables_equal(ps.aggregate(table(HOT), "k", skew="auto", **mergeable), expected)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "no aggregate"),
        ({"skew": "often", "n": "count(*)"}, r"auto.*salt.*none"),
        ({"country": "count(*)"}, "rename"),
        ({"x": "amount + 1"}, r"aggregates nothing|no one answer"),
        ({"x": "first(amount)"}, "portable"),
        ({"x": "list(amount)"}, "order"),
    ],
)
def test_what_has_no_one_meaning_is_refused(table, options, says):
    """A call without aggregates, or with one that the engines do not agree on, is refused with what to do."""
    with pytest.raises(ps.UsageError, match=says):
        ps.aggregate(table(SALES), "country", **options)


def test_an_unknown_column_is_named_with_its_nearest(table):
    """A misspelt key or aggregate fails when the call is made, and the message offers the right column."""
    with pytest.raises(ps.PenstockError, match=r'no column "county" .*did you mean "country"'):
        ps.aggregate(table(SALES), "county", n="count(*)")
    with pytest.raises(ps.PenstockError, match=r'no column "amounts" .*did you mean "amount"'):
        ps.aggregate(table(SALES), "country", total="sum(amounts)")


def test_a_sum_of_text_fails_when_called(table):
    """An aggregate of the wrong type fails at once, not when the rows are fetched."""
    with pytest.raises(ps.PenstockError):
        ps.aggregate(table(SALES), "amount", total="sum(country)")


def test_what_is_not_sql_is_refused(table):
    """An aggregate that does not parse is the caller's error, and is shown."""
    with pytest.raises(ps.UsageError, match=r"sum\(amount"):
        ps.aggregate(table(SALES), "country", total="sum(amount")
