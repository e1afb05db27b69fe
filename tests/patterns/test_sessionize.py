"""`sessionize`: which session each event belongs to."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pyarrow as pa
import pytest

import oracles
import penstock as ps
from events import events
from penstock.testing import assert_tables_equal, rows
from strategies import in_turn

NAN = float("nan")
HALF_HOUR = timedelta(minutes=30)


def at(minute, second=0):
    """A moment of one morning."""
    return datetime(2026, 3, 1, 9) + timedelta(minutes=minute, seconds=second)


def visits(*moments, user="a"):
    """Events of one user."""
    return [{"user": user, "ts": moment} for moment in moments]


def numbered(data, *marks):
    """The rows with session and start, where a mark is both or None."""
    marks = [mark or (None, None) for mark in marks]
    return [row | {"session": n, "session_start": start} for row, (n, start) in zip(data, marks, strict=True)]


def check(result, data, by, time, gap, max_length=None):
    """The result is the oracle's."""
    assert_tables_equal(result, oracles.sessionize(data, by, time, gap, max_length))


# -- what a session is -------------------------------------------------------------------------------------------------


def test_a_pause_longer_than_the_gap_starts_a_session(table):
    """A pause of exactly the gap, 30 minutes where none is given, does not; one second more does."""
    data = visits(at(0), at(30), at(60), at(90, 1), at(91))
    first, second = (1, at(0)), (2, at(90, 1))

    assert_tables_equal(ps.sessionize(table(data), "user", "ts"), numbered(data, first, first, first, second, second))


def test_every_key_counts_its_own_sessions(table):
    """Sessions are 1, 2, … in each key's order of time, and an event of one key ends no pause of another."""
    data = [*visits(at(0), at(40)), *visits(at(20), at(25), at(70), user="b")]

    assert_tables_equal(
        ps.sessionize(table(data), "user", "ts"),
        numbered(data, (1, at(0)), (2, at(40)), (1, at(20)), (1, at(20)), (2, at(70))),
    )


def test_a_null_key_is_a_key(table):
    """Events without a key are one group of their own."""
    data = [*visits(at(0), at(10), at(50), user=None), *visits(at(5))]

    assert_tables_equal(
        ps.sessionize(table(data), "user", "ts"),
        numbered(data, (1, at(0)), (1, at(0)), (2, at(50)), (1, at(5))),
    )


def test_rows_without_a_time_are_returned_without_a_session(table):
    """A null time has null session and null start, and stands in nobody's way."""
    data = [*visits(at(0), None, at(10), None), *visits(None, user="b"), *visits(None, user=None)]

    assert_tables_equal(
        ps.sessionize(table(data), "user", "ts"),
        numbered(data, (1, at(0)), None, (1, at(0)), None, None, None),
    )


def test_events_at_the_same_time_are_in_one_session(table):
    """Equal times are no pause, and equal rows stay as many as they were."""
    data = visits(at(0), at(0), at(0), at(31), at(31))
    first, second = (1, at(0)), (2, at(31))

    for max_length in (None, "1us"):
        result = ps.sessionize(table(data), "user", "ts", max_length=max_length)
        assert_tables_equal(result, numbered(data, first, first, first, second, second))


def test_a_session_is_cut_where_it_would_be_longer_than_its_maximum(table):
    """A length of exactly the maximum is allowed, and the event that would pass it starts the next session."""
    data = visits(at(0), at(10), at(20), at(20, 1), at(30), at(40, 1), at(41))
    first, second, third = (1, at(0)), (2, at(20, 1)), (3, at(41))

    assert_tables_equal(
        ps.sessionize(table(data), "user", "ts", max_length="20 minutes"),
        numbered(data, first, first, first, second, second, second, third),
    )


def test_cuts_are_counted_from_the_event_that_cut(table):
    """A steady stream is cut greedily: from its own events on, not into slots of the clock."""
    data = visits(*(at(0, 7 * step) for step in range(20)))
    starts = [at(0, 7 * (step - step % 3)) for step in range(20)]  # 0, 7, 14 fit into 20 seconds; 21 does not
    marks = [(step // 3 + 1, start) for step, start in enumerate(starts)]

    assert_tables_equal(ps.sessionize(table(data), "user", "ts", max_length="20s"), numbered(data, *marks))


def test_a_pause_begins_the_length_anew(table):
    """After a pause the length is counted from the first event after it, however the session before was cut."""
    data = visits(at(0), at(25), at(50), at(100), at(125), at(151))
    marks = [(1, at(0)), (1, at(0)), (2, at(50)), (3, at(100)), (3, at(100)), (4, at(151))]

    assert_tables_equal(ps.sessionize(table(data), "user", "ts", max_length="45 minutes"), numbered(data, *marks))


def test_a_maximum_shorter_than_the_gap(table):
    """The maximum cuts also where no pause could be long enough for the gap."""
    data = visits(at(0), at(1), at(2), at(3))
    marks = [(1, at(0)), (1, at(0)), (2, at(2)), (2, at(2))]

    assert_tables_equal(ps.sessionize(table(data), "user", "ts", gap="1 day", max_length="90s"), numbered(data, *marks))


@pytest.mark.parametrize("gap", ["90 minutes", "1h 30m", timedelta(hours=1.5), "5400s"])
def test_a_gap_is_text_or_a_timedelta(table, gap):
    """All spellings of one length give the same sessions."""
    data = visits(at(0), at(90), at(180, 1))

    assert_tables_equal(
        ps.sessionize(table(data), "user", "ts", gap=gap, max_length=gap),
        numbered(data, (1, at(0)), (1, at(0)), (2, at(180, 1))),
    )


def test_microseconds_count(table):
    """A pause that is longer by one microsecond is longer, also before 1970."""
    for start in (at(0), datetime(1969, 12, 31, 23, 59, 59, 999999)):
        second, third = start + timedelta(seconds=1), start + timedelta(seconds=2, microseconds=1)
        data = visits(start, second, third)

        result = ps.sessionize(table(data), "user", "ts", gap="1s")
        assert_tables_equal(result, numbered(data, (1, start), (1, start), (2, third)))


# -- keys --------------------------------------------------------------------------------------------------------------


def test_several_keys(table):
    """A session belongs to a combination of keys; nulls in it are values like others."""
    data = [
        {"user": user, "app": app, "ts": at(minute)}
        for user, app, minute in [("a", 1, 0), ("a", 2, 5), ("a", 1, 31), ("a", None, 3), (None, None, 6), ("a", 2, 35)]
    ]
    marks = [(1, at(0)), (1, at(5)), (2, at(31)), (1, at(3)), (1, at(6)), (1, at(5))]

    assert_tables_equal(ps.sessionize(table(data), ["user", "app"], "ts"), numbered(data, *marks))


def test_keys_whose_texts_run_together(table):
    """("a", "bc") and ("ab", "c") are two keys, and so are "" and null."""
    pairs = [("a", "bc"), ("ab", "c"), ("", "abc"), (None, "abc"), ("abc", ""), ("abc", None)]
    data = [{"x": x, "y": y, "ts": at(40 * place)} for place, (x, y) in enumerate(pairs)]

    result = ps.sessionize(table(data), ["x", "y"], "ts")
    assert_tables_equal(result, numbered(data, *((1, row["ts"]) for row in data)))


@pytest.mark.parametrize(
    ("one", "same", "other"),
    [
        (NAN, NAN, float("inf")),
        (0.0, -0.0, 5e-324),
        (Decimal("1.10"), Decimal("1.1"), Decimal("1.11")),
        ("ä", "ä", "Ä"),
        (True, True, False),
        (2**63 - 1, 2**63 - 1, -(2**63)),
        (date(2026, 3, 1), date(2026, 3, 1), date(2026, 3, 2)),
        (b"\x00", b"\x00", b""),
    ],
    ids=["nan", "zero", "decimal", "text", "bool", "int", "date", "bytes"],
)
def test_what_is_one_key(table, one, same, other):
    """NaN is one key and so are the two zeros; keys of any type are told apart."""
    data = [{"k": key, "ts": at(m)} for key, m in [(one, 0), (same, 10), (other, 20), (same, 45), (None, 46)]]
    marks = [(1, at(0)), (1, at(0)), (1, at(20)), (2, at(45)), (1, at(46))]

    assert_tables_equal(ps.sessionize(table(data), "k", "ts"), numbered(data, *marks))


def test_keys_at_the_ends_of_their_type(table):
    """The least and the greatest integers are kept apart at the least and the greatest times."""
    keys = [-(2**63), -(2**63) + 1, -1, 0, 1, 2**63 - 2, 2**63 - 1]
    moments = [datetime(1, 1, 1), datetime(1, 1, 1, 0, 0, 1), datetime(9999, 12, 31, 23, 59, 59, 999999)]
    data = [{"k": key, "ts": moment} for key in keys for moment in moments]

    check(ps.sessionize(table(data), "k", "ts", gap="1s"), data, ["k"], "ts", timedelta(seconds=1))


def test_a_key_may_be_an_expression(table):
    """A mapping says how the key is computed; it becomes a column before the session."""
    data = visits(at(0), at(20), datetime(2026, 3, 1, 23, 59), datetime(2026, 3, 2, 0, 1))
    days = [row | {"day": row["ts"].date()} for row in data]

    result = ps.sessionize(table(data), {"user": "user", "day": "ts::DATE"}, "ts")

    assert list(ps.engine_of(result).columns(result)) == ["ts", "user", "day", "session", "session_start"]
    marks = [(1, at(0)), (1, at(0)), (2, data[2]["ts"]), (1, data[3]["ts"])]
    assert_tables_equal(
        ps.query("SELECT user, ts, day, session, session_start FROM t", t=result), numbered(days, *marks)
    )


def test_without_keys_the_whole_table_is_one_series(table):
    """`by=()` makes sessions over all rows, as it does in `top_n`."""
    data = [*visits(at(0)), *visits(at(29), user="b"), *visits(at(60), user=None)]
    marks = [(1, at(0)), (1, at(0)), (2, at(60))]

    assert_tables_equal(ps.sessionize(table(data), (), "ts"), numbered(data, *marks))


# -- times -------------------------------------------------------------------------------------------------------------


def test_times_may_be_days(table):
    """A DATE is the moment it begins, and the start is a DATE as well."""
    data = visits(date(2026, 3, 1), date(2026, 3, 2), date(2026, 3, 4), None)
    marks = [(1, date(2026, 3, 1)), (1, date(2026, 3, 1)), (2, date(2026, 3, 4)), None]

    for gap in ("1 day", "36 hours"):
        result = ps.sessionize(table(data), "user", "ts", gap=gap)
        assert_tables_equal(result, numbered(data, *marks))
        assert ps.engine_of(result).columns(result)["session_start"] == "DATE"


def test_times_may_have_a_zone(table):
    """A TIMESTAMP WITH TIME ZONE is a moment, and so is the start."""
    data = visits(*(at(minute).replace(tzinfo=UTC) for minute in (0, 30, 61)), None)
    marks = [(1, data[0]["ts"]), (1, data[0]["ts"]), (2, data[2]["ts"]), None]

    result = ps.sessionize(table(data), "user", "ts")
    assert_tables_equal(result, numbered(data, *marks))
    assert ps.engine_of(result).columns(result)["session_start"] == "TIMESTAMP WITH TIME ZONE"


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_times_of_any_resolution(table, unit):
    """Seconds, milliseconds, microseconds and nanoseconds give the same sessions, and the start is of their type."""
    data = visits(at(0), at(30), at(60, 1), None)
    typed = pa.Table.from_pylist(data, pa.schema({"user": pa.string(), "ts": pa.timestamp(unit)}))
    result = ps.sessionize(table(typed), "user", "ts", max_length="1h")

    columns = "user, ts::TIMESTAMP AS ts, session, session_start::TIMESTAMP AS session_start"
    expected = numbered(data, (1, at(0)), (1, at(0)), (2, at(60, 1)), None)
    assert_tables_equal(ps.query(f"SELECT {columns} FROM t", t=result), expected)
    kinds = ps.engine_of(result).columns(result)
    assert kinds["session_start"] == kinds["ts"]


def test_times_from_the_first_year_to_the_last(table):
    """Neither the longest pause nor a gap beyond all time overflows."""
    first, last = datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999999)
    data = [*visits(first, at(0), last), *visits(last, user="b"), *visits(first, first, user="c")]

    for gap in (last - at(0), last - at(0) - timedelta(microseconds=1), at(0) - first, last - first, timedelta.max):
        check(ps.sessionize(table(data), "user", "ts", gap=gap), data, ["user"], "ts", gap)
        cut = ps.sessionize(table(data), "user", "ts", gap=timedelta.max, max_length=gap)
        check(cut, data, ["user"], "ts", timedelta.max, gap)


# -- the table ---------------------------------------------------------------------------------------------------------


def test_the_result_is_the_table_and_two_columns(table):
    """All columns in their order, then `session` as a BIGINT and `session_start` in the type of the time."""
    result = ps.sessionize(table([{"url": "/", "ts": at(0), "user": 1}]), "user", "ts")
    kinds = ps.engine_of(result).columns(result)

    assert list(kinds) == ["url", "ts", "user", "session", "session_start"]
    assert (kinds["session"], kinds["session_start"]) == ("BIGINT", "TIMESTAMP")


@pytest.mark.parametrize("max_length", [None, "1h"])
@pytest.mark.parametrize("names", in_turn("t", "session_id", "start", "key", "n", "Previous", "a b"), ids=str)
def test_no_column_name_is_taken(table, names, max_length):
    """Names that a query might use inside itself are free for key, time and other columns."""
    key, time, other = names
    data = [{key: 1, time: at(minute), other: minute} for minute in (0, 20, 51)]
    result = ps.sessionize(table(data), key, time, max_length=max_length)

    assert_tables_equal(result, numbered(data, (1, at(0)), (1, at(0)), (2, at(51))))


@pytest.mark.parametrize("max_length", [None, "1h"])
def test_nested_columns_ride_along(table, max_length):
    """Lists and structs are kept whole with their rows."""
    data = [
        {"k": 1, "ts": at(minute), "items": items, "place": {"lat": 1.5, "names": ["x", None]}}
        for minute, items in [(0, [2, 3]), (10, []), (50, None)]
    ]

    result = ps.sessionize(table(data), "k", "ts", max_length=max_length)
    assert_tables_equal(result, numbered(data, (1, at(0)), (1, at(0)), (2, at(50))))


def test_a_map_rides_along(table):
    """A column of maps, which has no order, is kept with its row."""
    kind = pa.map_(pa.string(), pa.int64())
    data = pa.table({"k": [1, 1], "ts": [at(0), at(40)], "m": pa.array([[("x", 1)], [("y", 2)]], kind)})

    found = rows(ps.sessionize(table(data), "k", "ts", max_length="1h"))
    assert sorted((row["session"], list(row["m"])) for row in found) == [(1, [("x", 1)]), (2, [("y", 2)])]


@pytest.mark.parametrize("max_length", [None, "1h"])
def test_an_empty_table_has_no_sessions(table, max_length):
    """No rows give no rows, with the two columns."""
    empty = pa.table({"k": pa.array([], pa.int64()), "ts": pa.array([], pa.timestamp("us"))})
    result = ps.sessionize(table(empty), "k", "ts", max_length=max_length)

    assert_tables_equal(result, [])
    assert list(ps.engine_of(result).columns(result)) == ["k", "ts", "session", "session_start"]


def test_names_are_found_in_any_case(table):
    """Key and time may be written in another case, and keep the table's spelling."""
    result = ps.sessionize(table([{"User": 1, "TS": at(0)}]), "user", "ts")

    assert_tables_equal(result, [{"User": 1, "TS": at(0), "session": 1, "session_start": at(0)}])


# -- parity and laws ---------------------------------------------------------------------------------------------------


def test_agrees_with_the_oracle(table, explore):
    """On bursts of any keys, with pauses about the gap and lengths about the maximum, every row is the oracle's."""

    def agrees(e):
        result = ps.sessionize(table(e.data), e.by, e.at, e.gap, e.max_length)
        check(result, e.rows, e.by, e.at, e.gap, e.max_length)

    explore(agrees, events())


def test_agrees_with_the_oracle_by_integers(table, explore):
    """The same by integer keys, for which a plan of its own may be taken."""

    def agrees(e):
        result = ps.sessionize(table(e.data), e.by, e.at, e.gap, e.max_length)
        check(result, e.rows, e.by, e.at, e.gap, e.max_length)

    explore(agrees, events(keys=["int", "small"]), on_spark=3)


def test_agrees_with_the_oracle_behind_another_pattern(table, explore):
    """The rows are the oracle's too where the table is the result of a shuffle."""

    def agrees(e):
        result = ps.sessionize(ps.distinct(table(e.data)), e.by, e.at, e.gap, e.max_length)
        check(result, oracles.distinct(e.rows), e.by, e.at, e.gap, e.max_length)

    explore(agrees, events(), on_spark=3)


@pytest.mark.parametrize("length", [None, timedelta(seconds=50)])
def test_any_layout_gives_the_same_rows(layouts, length):
    """With one hot key, equal times and null times, neither order nor pieces change a row."""
    count = range(1500)
    times = [None if i % 97 == 0 else at(0, (i * i) % 4001 // 3 * 3) for i in count]
    data = pa.table({"k": [0 if i < 1000 else i % 40 for i in count], "ts": times, "id": list(count)})
    gap = timedelta(seconds=9)
    expected = oracles.sessionize(data.to_pylist(), ["k"], "ts", gap, length)

    for laid_out in layouts(data):
        assert_tables_equal(ps.sessionize(laid_out, "k", "ts", gap, length), expected)


@pytest.mark.parametrize("kind", [int, str])
@pytest.mark.parametrize("length", [None, timedelta(minutes=5)])
def test_many_keys(table, kind, length):
    """5 000 keys over 20 000 rows are all told apart."""
    count = range(20_000)
    data = pa.table(
        {"k": [kind(i * 7919 % 5000) for i in count], "ts": [at(0, i // 5000 * 120 + i % 3 * 61) for i in count]}
    )
    gap = timedelta(seconds=120)

    check(ps.sessionize(table(data), "k", "ts", gap, length), data.to_pylist(), ["k"], "ts", gap, length)


def test_one_key_with_a_long_burst(table):
    """A burst of thousands of events without a pause is cut at every maximum, one after another."""
    data = visits(*(at(0, step) for step in range(5000)))
    gap, length = timedelta(seconds=1), timedelta(seconds=6)

    check(ps.sessionize(table(data), "user", "ts", gap, length), data, ["user"], "ts", gap, length)


def test_moving_all_times_moves_the_sessions(table, explore):
    """Numbers stay and starts move along when every time is moved by the same length, across 1970 as well."""

    def moves(e, days):
        result = ps.sessionize(table(e.data), e.by, e.at, e.gap, e.max_length)
        moved = [row | {e.at: row[e.at] and row[e.at] + days} for row in e.rows]
        later = ps.sessionize(table(pa.Table.from_pylist(moved, e.data.schema)), e.by, e.at, e.gap, e.max_length)

        starts = {e.at, "session_start"}
        expected = [{n: v and v + days if n in starts else v for n, v in row.items()} for row in rows(result)]
        assert_tables_equal(later, expected)

    explore(lambda e: moves(e, timedelta(days=19_000)), events(), on_spark=3)


def test_each_key_alone_has_the_same_sessions(table, explore):
    """The sessions of two halves of the keys are together those of the whole."""

    def splits(e):
        keys = sorted({oracles.place(row[e.by[0]]) for row in e.rows})
        half = keys[: len(keys) // 2]
        inside = pa.array([oracles.place(row[e.by[0]]) in half for row in e.rows], pa.bool_())
        outside = pa.array([not value.as_py() for value in inside], pa.bool_())
        parts = [
            row
            for mask in (inside, outside)
            for row in rows(ps.sessionize(table(e.data.filter(mask)), e.by, e.at, e.gap, e.max_length))
        ]

        assert_tables_equal(ps.sessionize(table(e.data), e.by, e.at, e.gap, e.max_length), parts)

    explore(splits, events(), on_spark=3)


def test_a_result_can_be_sessionized_again(table):
    """The two columns are columns like others: by them as keys, shorter sessions are found inside the longer."""
    data = visits(at(0), at(5), at(25), at(60))
    outer = ps.query("SELECT user, ts, session AS visit FROM t", t=ps.sessionize(table(data), "user", "ts"))
    found = rows(ps.sessionize(outer, ["user", "visit"], "ts", gap="10 minutes"))

    assert sorted((r["ts"], r["visit"], r["session"]) for r in found) == [
        (at(0), 1, 1), (at(5), 1, 1), (at(25), 1, 2), (at(60), 2, 1),
    ]  # fmt: skip


# -- wrong calls -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["gap", "max_length"])
@pytest.mark.parametrize("length", ["0s", timedelta(0), timedelta(seconds=-1), timedelta(microseconds=-1)])
def test_a_length_that_is_not_above_zero_is_refused(table, option, length):
    """A zero or negative gap or maximum fails when the call is made, and is named."""
    with pytest.raises(ps.UsageError, match=option):
        ps.sessionize(table(visits(at(0))), "user", "ts", **{option: length})


@pytest.mark.parametrize("option", ["gap", "max_length"])
def test_what_is_no_length_is_refused(table, option):
    """A text that is no length of time fails with an example of one."""
    with pytest.raises(ps.UsageError, match="30 minutes"):
        ps.sessionize(table(visits(at(0))), "user", "ts", **{option: "half an hour"})


@pytest.mark.parametrize("time", ["2026-03-01 09:00:00", 1772355600, 1.5, True], ids=["text", "int", "float", "bool"])
def test_a_time_that_is_none_is_refused(table, time):
    """A column of another type is no time: the message says its name and to cast it."""
    with pytest.raises(ps.UsageError, match=r'"?when"?.*(?s:.)*(?i:cast|::TIMESTAMP)'):
        ps.sessionize(table([{"user": 1, "when": time}]), "user", "when")


@pytest.mark.parametrize("name", ["session", "session_start", "Session"])
def test_a_table_that_has_a_result_column_is_refused(table, name):
    """A column called like one of the two new ones would be lost: the message says to rename it."""
    with pytest.raises(ps.UsageError, match=f"(?s){name}.*rename"):
        ps.sessionize(table([{"user": 1, "ts": at(0), name: 3}]), "user", "ts")


def test_a_key_called_like_a_result_column_is_refused(table):
    """A computed key must not be called like one of the two new columns."""
    with pytest.raises(ps.UsageError, match=r"(?s)session.*rename"):
        ps.sessionize(table(visits(at(0))), {"session": "upper(user)"}, "ts")


def test_an_unknown_column_is_named_with_its_nearest(table):
    """A misspelt key or time fails when the call is made, and the message offers the right column."""
    with pytest.raises(ps.ColumnError, match=r'no column "usr" .*did you mean "user"'):
        ps.sessionize(table(visits(at(0))), "usr", "ts")
    with pytest.raises(ps.ColumnError, match=r'no column "tss" .*did you mean "ts"'):
        ps.sessionize(table(visits(at(0))), "user", "tss")
    with pytest.raises(ps.ColumnError, match=r'no column "usr" .*did you mean "user"'):
        ps.sessionize(table(visits(at(0))), {"u": "upper(usr)"}, "ts")


def test_a_key_named_twice_is_refused(table):
    """The same key twice is a slip."""
    with pytest.raises(ps.UsageError, match="twice"):
        ps.sessionize(table(visits(at(0))), ["user", "user"], "ts")
