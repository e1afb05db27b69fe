"""`derive`: new columns from expressions."""

from datetime import UTC, datetime

import pyarrow as pa
import pytest

import oracles
import penstock as ps
from penstock.testing import assert_tables_equal
from strategies import NAMES, kinds, quote, tables

VISITS = [
    {"user": "ann", "at": datetime(2024, 9, 29, 23, 30), "bytes": 7},
    {"user": None, "at": datetime(2024, 9, 30, 0, 30), "bytes": -7},
    {"user": "bob", "at": None, "bytes": None},
]


def test_new_columns_stand_behind_the_old_ones(table):
    """Every column stays, and the new ones follow in the order in which they are given."""
    result = ps.derive(table(VISITS), day="date_trunc('day', at)", twice="bytes * 2")

    assert_tables_equal(
        result,
        [
            VISITS[0] | {"day": datetime(2024, 9, 29), "twice": 14},
            VISITS[1] | {"day": datetime(2024, 9, 30), "twice": -14},
            VISITS[2] | {"day": None, "twice": None},
        ],
    )


def test_an_old_name_is_replaced_in_its_place(table):
    """A column given anew keeps its place, and every expression reads the table as it came."""
    result = ps.derive(table([{"a": 1, "b": 2}]), a="a + b", b="a")

    assert_tables_equal(result, [{"a": 3, "b": 1}])


@pytest.mark.parametrize("name", [*NAMES, "t", "self", "columns"])
def test_any_name_can_be_given_and_read(table, name):
    """A column may bear any name, also one that needs quoting in SQL."""
    named = ps.derive(table([{"x": 1}, {"x": None}]), **{name: "x + 1"})
    again = ps.derive(named, y=f"{quote(name)} * 10")

    assert_tables_equal(again, [{"x": 1, name: 2, "y": 20}, {"x": None, name: None, "y": None}])


def test_numbers_mean_the_same_on_every_engine(table, explore):
    """`/` divides truly, `//` floors, `%` has the sign of the divisor, and dividing by zero is null."""

    def check(data):
        a, b = data.column_names
        result = ps.derive(
            table(data),
            ratio=f"{quote(a)} / {quote(b)}",
            floor=f"{quote(a)} // {quote(b)}",
            remainder=f"{quote(a)} % {quote(b)}",
        )

        def divided(operation):
            return lambda row: operation(row[a], row[b]) if None not in row.values() and row[b] != 0 else None

        expected = oracles.derive(
            data.to_pylist(),
            ratio=divided(lambda x, y: x / y),
            floor=divided(lambda x, y: x // y),
            remainder=divided(lambda x, y: x % y),
        )
        assert_tables_equal(result, expected)

    explore(check, tables(kinds("small", "quarter"), kinds("small", "quarter")))


def test_time_is_utc_whatever_the_machine_says(table, explore):
    """Days and hours are cut in UTC, in a process whose own zone is 12:45 ahead."""

    def check(data):
        at = data.column_names[0]
        result = ps.derive(table(data), hour=f"extract('hour' from {quote(at)})", day=f"date_trunc('day', {quote(at)})")

        expected = oracles.derive(
            data.to_pylist(),
            hour=lambda row: row[at] and row[at].hour,
            day=lambda row: row[at] and row[at].replace(hour=0, minute=0, second=0, microsecond=0),
        )
        assert_tables_equal(result, expected)

    explore(check, tables("timestamp"))


def test_a_time_with_a_zone_is_its_moment_in_utc(table):
    """A time that carries a zone is taken as its moment, and cut in UTC too."""
    tokyo = pa.array([datetime(2024, 9, 29, 23, 30, tzinfo=UTC)], pa.timestamp("us", "Asia/Tokyo"))
    result = ps.derive(
        table(pa.table({"at": tokyo})),
        hour="extract('hour' from at)",
        day="date_trunc('day', at)",
        date="at::date",
        text="strftime(at, '%H:%M')",
    )

    moment, midnight = datetime(2024, 9, 29, 23, 30), datetime(2024, 9, 29)
    assert_tables_equal(result, [{"at": moment, "hour": 23, "day": midnight, "date": midnight.date(), "text": "23:30"}])


def test_steps_compose(table):
    """What one step derives, the next one reads."""
    bigger = ps.derive(ps.where(table(VISITS), "bytes is not null"), size="abs(bytes)")

    assert_tables_equal(ps.where(bigger, "size = 7 and bytes < 0"), [VISITS[1] | {"size": 7}])


def test_any_layout_gives_the_same_rows(layouts):
    """Neither the order of the rows nor how they are cut into pieces changes what is derived."""
    for laid_out in layouts([{"x": x} for x in range(100)]):
        assert_tables_equal(ps.derive(laid_out, y="x % 7"), [{"x": x, "y": x % 7} for x in range(100)])


def test_an_unknown_column_is_named_with_its_nearest(table):
    """A misspelt column fails when the call is made, and the message offers the right one."""
    with pytest.raises(ps.PenstockError, match=r'no column "byte" .*did you mean "bytes"'):
        ps.derive(table(VISITS), twice="byte * 2")


def test_what_is_not_sql_is_refused(table):
    """An expression that does not parse is the caller's error, and is shown."""
    with pytest.raises(ps.UsageError, match=r"bytes \*"):
        ps.derive(table(VISITS), twice="bytes *")


def test_a_function_of_the_wrong_type_fails_when_called(table):
    """An expression that the engine cannot type fails at once, not when the rows are fetched."""
    with pytest.raises(ps.PenstockError):
        ps.derive(table(VISITS), day="date_trunc('day', bytes)")
