"""`dedup`: one row of each key, or one within a length of time."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import strategies as st

import oracles
import penstock as ps
from events import events
from penstock.testing import assert_tables_equal, rows
from strategies import in_turn, kinds, quote, tables

NAN = float("nan")


def at(second, micro=0):
    """A moment of one morning."""
    return datetime(2026, 3, 1, 9) + timedelta(seconds=second, microseconds=micro)


def order(id, ts, status, amount=None):
    """One version of an order."""
    return {"id": id, "ts": ts, "status": status, "amount": amount}


NEW, PAID, SENT = order(1, at(0), "new", 5.0), order(1, at(10), "paid"), order(1, at(20), "sent", 7.0)
LOST, OTHER = order(1, None, "lost"), order(2, at(5), "new")
NOBODY = [order(None, at(3), "x"), order(None, at(4), "y")]
ORDERS = [NEW, PAID, SENT, LOST, OTHER, *NOBODY]


def clicks(*seconds, user="a"):
    """Events of one user."""
    return [{"user": user, "ts": second if second is None else at(second)} for second in seconds]


# -- one row a key -----------------------------------------------------------------------------------------------------


def test_the_first_row_of_each_key(table):
    """The earliest row of each key is kept whole, nulls in it as well; a null key is a key, a null time comes last."""
    assert_tables_equal(ps.dedup(table(ORDERS), "id", "ts"), [NEW, OTHER, NOBODY[0]])


def test_the_last_row_of_each_key(table):
    """The latest row of each key is kept whole; a null time comes last, not first."""
    assert_tables_equal(ps.dedup(table(ORDERS), "id", "ts", keep="last"), [SENT, OTHER, NOBODY[1]])


def test_a_row_without_a_time_is_kept_where_its_key_has_no_other(table):
    """No key is lost because its time is null."""
    data = [order(1, None, "b"), order(1, None, "a")]

    for keep in ("first", "last"):
        assert_tables_equal(ps.dedup(table(data), "id", "ts", keep=keep), data[1:])


@pytest.mark.parametrize("keep", ["first", "last"])
def test_ties_are_broken_by_the_remaining_columns(table, keep):
    """Of rows at the same time the one with the smaller remaining columns is kept in both cases, nulls last."""
    data = [
        order(1, at(0), "b", 1.0), order(1, at(0), "a", None), order(1, at(0), "a", 2.0), order(1, at(0), None, 0.0),
    ]  # fmt: skip

    assert_tables_equal(ps.dedup(table(data), "id", "ts", keep=keep), [data[2]])


@pytest.mark.parametrize("keep", ["first", "last"])
def test_columns_of_different_rows_are_never_mixed(table, keep):
    """A null in the row that is kept is not filled from another row of its key."""
    data = [{"k": 1, "ts": at(0), "a": None, "b": 1}, {"k": 1, "ts": at(5), "a": 2, "b": None}]

    expected = data[:1] if keep == "first" else data[1:]
    assert_tables_equal(ps.dedup(table(data), "k", "ts", keep=keep), expected)


def test_any_row_of_each_key(table):
    """`keep="any"` needs no time, and keeps one whole row a key."""
    for time in (None, "ts"):
        found = rows(ps.dedup(table(ORDERS), "id", time, keep="any"))

        assert sorted(row["id"] or 0 for row in found) == [0, 1, 2]
        assert all(row in ORDERS for row in found)


def test_wholly_equal_rows_are_one(table):
    """Of identical rows one is kept."""
    assert_tables_equal(ps.dedup(table([NEW] * 3), "id", "ts"), [NEW])
    assert_tables_equal(ps.dedup(table([NEW] * 3), "id", keep="any"), [NEW])
    assert_tables_equal(ps.dedup(table([NEW] * 3), "id", "ts", within="1s"), [NEW])


@pytest.mark.parametrize(
    ("least", "greatest"),
    [
        ("9", "ä"),
        (-(2**63), 2**63 - 1),
        (-1.5, NAN),
        (Decimal("-0.01"), Decimal("9.99")),
        (date(1, 1, 1), date(9999, 12, 31)),
        (False, True),
    ],
    ids=["text", "int", "float", "decimal", "date", "bool"],
)
def test_what_has_an_order_can_be_the_time(table, least, greatest):
    """Without `within`, first and last are by a column of any ordered type, a version number for example."""
    data = [{"k": 1, "v": least}, {"k": 1, "v": greatest}, {"k": 1, "v": None}]

    assert_tables_equal(ps.dedup(table(data), "k", "v"), data[:1])
    assert_tables_equal(ps.dedup(table(data), "k", "v", keep="last"), data[1:2])


# -- keys --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("within", [None, "1 minute"])
def test_several_keys(table, within):
    """One row of each combination is kept; nulls and empty texts in it are values of their own."""
    pairs = [("a", "bc"), ("ab", "c"), ("", "abc"), (None, "abc"), ("abc", ""), ("abc", None), (None, None)]
    data = [{"x": x, "y": y, "ts": at(second)} for second in (0, 5) for x, y in pairs]

    assert_tables_equal(ps.dedup(table(data), ["x", "y"], "ts", within=within), data[: len(pairs)])


@pytest.mark.parametrize("within", [None, "1 minute"])
@pytest.mark.parametrize(
    ("one", "same", "other"),
    [
        (NAN, NAN, float("inf")),
        (0.0, -0.0, 5e-324),
        (Decimal("1.10"), Decimal("1.1"), Decimal("1.11")),
        ("ä", "ä", "Ä"),
        (2**63 - 1, 2**63 - 1, -(2**63)),
        (at(0), at(0), at(0, 1)),
    ],
    ids=["nan", "zero", "decimal", "text", "int", "timestamp"],
)
def test_what_is_one_key(table, one, same, other, within):
    """NaN is one key and so are the two zeros; keys of any type are told apart."""
    data = [{"k": key, "ts": at(second)} for second, key in enumerate([one, same, other, None, same, None])]

    assert_tables_equal(ps.dedup(table(data), "k", "ts", within=within), [data[0], data[2], data[3]])


@pytest.mark.parametrize("within", [None, "10s"])
def test_a_key_may_be_an_expression(table, within):
    """A mapping says how the key is computed; the rows come out as they went in."""
    data = [{"name": name, "ts": at(second)} for second, name in enumerate(["Ann", "ann", "Bo", "ANN"])]
    result = ps.dedup(table(data), {"who": "lower(name)"}, "ts", within=within)

    assert_tables_equal(result, [data[0], data[2]])


# -- within a length of time -------------------------------------------------------------------------------------------


def test_a_row_soon_after_the_one_kept_is_dropped(table):
    """No later than `within` after the last row kept: exactly that long is dropped, a microsecond more is kept."""
    data = [{"k": 1, "ts": moment} for moment in (at(0), at(1), at(1, 1), at(2, 1), at(2, 2), at(9))]

    assert_tables_equal(ps.dedup(table(data), "k", "ts", within="1s"), [data[0], data[2], data[4], data[5]])


def test_a_run_keeps_one_in_every_window(table):
    """The window is counted from the last row kept, not from the last one seen: a run is not swallowed whole."""
    data = clicks(*range(0, 100, 4))

    assert_tables_equal(ps.dedup(table(data), "user", "ts", within="10s"), clicks(*range(0, 100, 12)))


def test_every_key_has_its_own_window(table):
    """A row of one key does not hide those of another; a null key is a key."""
    data = [*clicks(0, 5, 12), *clicks(3, 13, 14, user="b"), *clicks(4, 4, 30, user=None)]

    assert_tables_equal(ps.dedup(table(data), "user", "ts", within="10s"), [
        *clicks(0, 12), *clicks(3, 14, user="b"), *clicks(4, 30, user=None),
    ])  # fmt: skip


def test_rows_without_a_time_are_all_kept(table):
    """A null time cannot be compared, so such rows are kept, equal ones as often as they are there."""
    data = [*clicks(None, 0, None, 5), *clicks(None, user=None)]

    assert_tables_equal(ps.dedup(table(data), "user", "ts", within="10s"), [
        *clicks(None, None, 0), *clicks(None, user=None),
    ])  # fmt: skip


def test_of_rows_at_the_same_time_the_smaller_is_looked_at_first(table):
    """Equal times are broken by the remaining columns, ascending and nulls last; the others are within the window."""
    data = [{"k": 1, "x": x, "ts": at(second)} for second, x in [(0, "b"), (0, "a"), (0, None), (2, None), (2, "c")]]

    assert_tables_equal(ps.dedup(table(data), "k", "ts", within="1s"), [data[1], data[4]])


def test_any_within_is_first_within(table):
    """With `within` there is no choice left to make: "any" is "first"."""
    data = [*clicks(0, 5, 12, 12), *clicks(3, 13, 14, user="b")]

    assert_tables_equal(
        ps.dedup(table(data), "user", "ts", keep="any", within="10s"),
        rows(ps.dedup(table(data), "user", "ts", within="10s")),
    )


@pytest.mark.parametrize("within", ["90 minutes", "1h 30m", timedelta(hours=1.5)])
def test_within_is_text_or_a_timedelta(table, within):
    """All spellings of one length drop the same rows."""
    data = clicks(0, 5400, 5401)

    assert_tables_equal(ps.dedup(table(data), "user", "ts", within=within), clicks(0, 5401))


def test_within_days(table):
    """A DATE is the moment it begins."""
    data = [{"k": 1, "day": date(2026, 3, day)} for day in (1, 2, 3, 4)]

    for within in ("1 day", "36 hours"):
        assert_tables_equal(ps.dedup(table(data), "k", "day", within=within), data[::2])


def test_within_moments_of_a_zone(table):
    """A TIMESTAMP WITH TIME ZONE is a moment."""
    data = [{"k": 1, "ts": at(second).replace(tzinfo=UTC)} for second in (0, 1, 2, 3)]

    assert_tables_equal(ps.dedup(table(data), "k", "ts", within="1s"), data[::2])


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_times_of_any_resolution(table, unit):
    """Seconds, milliseconds, microseconds and nanoseconds drop the same rows."""
    data = pa.table({"k": [1, 1, 1], "ts": pa.array([at(0), at(1), at(2)], pa.timestamp(unit))})
    result = ps.dedup(table(data), "k", "ts", within="1s")

    assert_tables_equal(ps.query("SELECT ts::TIMESTAMP AS ts FROM t", t=result), [{"ts": at(0)}, {"ts": at(2)}])


def test_times_from_the_first_year_to_the_last(table):
    """Neither the longest pause nor a window beyond all time overflows."""
    first, last = datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999999)
    data = [{"k": k, "ts": ts} for k in (-(2**63), 0, 2**63 - 1) for ts in (first, at(0), last)]

    for within in (last - first, last - first - timedelta(microseconds=1), last - at(0), timedelta.max):
        result = ps.dedup(table(data), "k", "ts", within=within)
        assert_tables_equal(result, oracles.dedup(data, ["k"], "ts", within=within))
    for keep in ("first", "last"):
        result = ps.dedup(table(data), "k", "ts", keep=keep)
        assert_tables_equal(result, oracles.dedup(data, ["k"], "ts", keep))


# -- the table ---------------------------------------------------------------------------------------------------------

WAYS = [{"at": "{}"}, {"at": "{}", "keep": "last"}, {"keep": "any"}, {"at": "{}", "within": "10s"}]


def way(options, time):
    """The options with the name of the time in them."""
    return {name: value.format(time) for name, value in options.items()}


@pytest.mark.parametrize(("options", "kept"), [*zip(WAYS, [{0, 1, 2}, {1, 2, 4}, None, {0, 1, 2, 4}], strict=True)])
@pytest.mark.parametrize("names", in_turn("t", "session", "session_start", "key", "n", "kept"), ids=str)
def test_no_column_name_is_taken(table, names, options, kept):
    """Names that a query might use inside itself are free for key, time and other columns."""
    key, time, other = names
    data = [{key: k, time: at(second), other: 1} for k, second in [(1, 0), (2, 1), (None, 2), (1, 3), (1, 20)]]
    found = rows(ps.dedup(table(data), key, **way(options, time)))

    places = {data.index(row) for row in found}
    assert places in ([kept] if kept else [{0, 1, 2}, {3, 1, 2}, {4, 1, 2}])
    assert len(found) == len(places) and all(list(row) == list(data[0]) for row in found)


@pytest.mark.parametrize("options", WAYS, ids=str)
def test_nested_columns_ride_along(table, options):
    """Lists and structs are kept whole with their rows, and break ties like any other column."""
    one = {"k": 1, "ts": at(0), "items": [2, 3], "place": {"lat": 1.5, "names": ["x", None]}}
    two = one | {"items": [2]}
    found = rows(ps.dedup(table([one, two]), "k", **way(options, "ts")))

    assert found == [two] or (options.get("keep") == "any" and found == [one])


@pytest.mark.parametrize("options", WAYS, ids=str)
def test_a_map_rides_along(table, options):
    """A column of maps, which has no order, is kept with its row."""
    maps = pa.array([[("x", 1)], [("x", 1)]], pa.map_(pa.string(), pa.int64()))
    data = pa.table({"k": [1, 1], "ts": [at(0), at(1)], "m": maps})

    assert [list(row["m"]) for row in rows(ps.dedup(table(data), "k", **way(options, "ts")))] == [[("x", 1)]]


@pytest.mark.parametrize("options", WAYS, ids=str)
def test_an_empty_table_stays_empty(table, options):
    """No rows give no rows, and the columns stay."""
    empty = pa.table({"k": pa.array([], pa.int64()), "ts": pa.array([], pa.timestamp("us"))})
    result = ps.dedup(table(empty), "k", **way(options, "ts"))

    assert_tables_equal(result, [])
    assert ps.engine_of(result).columns(result) == {"k": "BIGINT", "ts": "TIMESTAMP"}


def test_names_are_found_in_any_case(table):
    """Key and time may be written in another case, and keep the table's spelling."""
    data = [{"User": 1, "TS": at(0)}]

    for within in (None, "1s"):
        assert_tables_equal(ps.dedup(table(data), "user", "ts", within=within), data)


def test_a_time_that_is_the_key(table):
    """The time may be one of the keys: each moment keeps one row."""
    data = [{"ts": at(0), "x": 2}, {"ts": at(0), "x": 1}, {"ts": at(1), "x": 3}]

    assert_tables_equal(ps.dedup(table(data), "ts", "ts"), data[1:])
    assert_tables_equal(ps.dedup(table(data), "ts", "ts", within="5s"), data[1:])


# -- parity and laws ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", ["first", "last"])
def test_agrees_with_the_oracle(table, explore, keep):
    """On any table, by keys and times of any kind, the rows kept are the oracle's."""

    def check(data, keys):
        by, time = data.column_names[:keys], data.column_names[2]
        result = ps.dedup(table(data), by, time, keep=keep)

        assert_tables_equal(result, oracles.dedup(data.to_pylist(), by, time, keep))

    explore(check, tables(kinds(), kinds(), kinds(), kinds(), values=3), st.integers(1, 2))


def test_any_agrees_with_the_oracle_but_for_the_choice(table, explore):
    """With `keep="any"` the keys are the oracle's, and every row is one of the table."""

    def check(data, keys):
        by = data.column_names[:keys]
        found = rows(ps.dedup(table(data), by, keep="any"))
        expected = oracles.dedup(data.to_pylist(), by)

        assert_tables_equal([{c: row[c] for c in by} for row in found], [{c: row[c] for c in by} for row in expected])
        places = [tuple(map(oracles.place, row.values())) for row in data.to_pylist()]
        assert all(tuple(map(oracles.place, row.values())) in places for row in found)

    explore(check, tables(kinds(), kinds(), kinds(), values=3), st.integers(1, 2), on_spark=3)


def test_agrees_with_the_oracle_within(table, explore):
    """On bursts of any keys, with pauses about the window, the rows kept are the oracle's."""

    def check(e):
        result = ps.dedup(table(e.data), e.by, e.at, within=e.gap)

        assert_tables_equal(result, oracles.dedup(e.rows, e.by, e.at, within=e.gap))

    explore(check, events())


def test_agrees_with_the_oracle_behind_another_pattern(table, explore):
    """The rows are the oracle's too where the table is the result of a shuffle."""

    def check(e, within):
        length = e.gap if within else None
        result = ps.dedup(ps.distinct(table(e.data)), e.by, e.at, within=length)

        assert_tables_equal(result, oracles.dedup(oracles.distinct(e.rows), e.by, e.at, within=length))

    explore(check, events(), st.booleans(), on_spark=3)


def test_within_keeps_the_first_rows_of_sessions_as_long(table, explore):
    """What is kept within a length are the first rows of the sessions with that gap and that maximum."""

    def check(e):
        marked = ps.sessionize(table(e.data), e.by, e.at, gap=e.gap, max_length=e.gap)
        timed = ps.where(marked, "session IS NOT NULL")
        first = ps.top_n(timed, [*e.by, "session"], quote(e.at))
        columns = ", ".join(map(quote, e.data.column_names))
        expected = rows(ps.query(f"SELECT {columns} FROM t", t=first))
        expected += [row for row in e.rows if row[e.at] is None]

        assert_tables_equal(ps.dedup(table(e.data), e.by, e.at, within=e.gap), expected)

    explore(check, events(), on_spark=3)


def test_twice_is_once(table, explore):
    """What was kept is kept again."""

    def check(e):
        once = ps.materialize(ps.dedup(table(e.data), e.by, e.at, within=e.gap))

        assert_tables_equal(ps.dedup(once, e.by, e.at, within=e.gap), rows(once))

    explore(check, events(), on_spark=3)


def test_moving_all_times_keeps_the_same_rows(table, explore):
    """When every time is moved by the same length, the rows kept are the same ones, moved."""
    days = timedelta(days=19_000)

    def check(e):
        def moved(some):
            return [row | {e.at: row[e.at] and row[e.at] + days} for row in some]

        later = pa.Table.from_pylist(moved(e.rows), e.data.schema)
        expected = moved(rows(ps.dedup(table(e.data), e.by, e.at, within=e.gap)))
        assert_tables_equal(ps.dedup(table(later), e.by, e.at, within=e.gap), expected)

    explore(check, events(), on_spark=3)


@pytest.mark.parametrize("within", [False, True])
def test_each_key_alone_keeps_the_same_rows(table, explore, within):
    """What is kept of two halves of the keys is together what is kept of the whole."""

    def check(e):
        length = e.gap if within else None
        keys = sorted({oracles.place(row[e.by[0]]) for row in e.rows})
        half = [oracles.place(row[e.by[0]]) in keys[::2] for row in e.rows]
        parts = []
        for mask in (half, [not inside for inside in half]):
            part = e.data.filter(pa.array(mask, pa.bool_()))
            parts += rows(ps.dedup(table(part), e.by, e.at, within=length))

        assert_tables_equal(ps.dedup(table(e.data), e.by, e.at, within=length), parts)

    explore(check, events(), on_spark=3)


@pytest.mark.parametrize(
    ("keep", "within"),
    [("first", None), ("last", None), ("first", timedelta(seconds=1)), ("first", timedelta(hours=1))],
)
def test_any_layout_gives_the_same_rows(layouts, keep, within):
    """With one hot key, equal times and null times, neither order nor pieces change which rows are kept."""
    count = range(1500)
    times = [None if i % 97 == 0 else at(i * i % 4001 // 3 * 3) for i in count]
    data = pa.table({"k": [0 if i < 1000 else i % 40 for i in count], "ts": times, "id": list(count)})
    expected = oracles.dedup(data.to_pylist(), ["k"], "ts", keep, within)

    for laid_out in layouts(data):
        assert_tables_equal(ps.dedup(laid_out, "k", "ts", keep=keep, within=within), expected)


@pytest.mark.parametrize("kind", [int, str])
@pytest.mark.parametrize(("keep", "within"), [("first", None), ("last", None), ("first", timedelta(seconds=120))])
def test_many_keys(table, kind, keep, within):
    """5 000 keys over 20 000 rows are all told apart."""
    count = range(20_000)
    data = pa.table(
        {"k": [kind(i * 7919 % 5000) for i in count], "ts": [at(i // 5000 * 120 + i % 3 * 61) for i in count]}
    )

    expected = oracles.dedup(data.to_pylist(), ["k"], "ts", keep, within)
    assert_tables_equal(ps.dedup(table(data), "k", "ts", keep=keep, within=within), expected)


def test_one_key_with_a_long_burst(table):
    """A burst of thousands of rows keeps one in every window, one after another."""
    data = clicks(*range(5000))

    assert_tables_equal(ps.dedup(table(data), "user", "ts", within="6s"), clicks(*range(0, 5000, 7)))


# -- wrong calls -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", ["first", "last"])
def test_first_and_last_need_a_time(table, keep):
    """Without `at` there is no first row: the message says to name it, or to take any."""
    with pytest.raises(ps.UsageError, match=r'(?s)at=?.*keep="any"'):
        ps.dedup(table(ORDERS), "id", keep=keep)


@pytest.mark.parametrize("keep", ["first", "any"])
def test_within_needs_a_time(table, keep):
    """A length of time without a time to measure is refused."""
    with pytest.raises(ps.UsageError, match=r"\bat\b"):
        ps.dedup(table(ORDERS), "id", keep=keep, within="1s")


def test_within_keeps_the_first_only(table):
    """`keep="last"` with `within` has no meaning, and is refused."""
    with pytest.raises(ps.UsageError, match=r"(?s)last.*within|within.*last"):
        ps.dedup(table(ORDERS), "id", "ts", keep="last", within="1s")


def test_an_unknown_choice_is_refused(table):
    """The message says what there is to choose from."""
    with pytest.raises(ps.UsageError, match=r"(?s)first.*last.*any"):
        ps.dedup(table(ORDERS), "id", "ts", keep="newest")


@pytest.mark.parametrize("time", ["status", "amount", "id"])
def test_within_needs_a_time_that_is_one(table, time):
    """A text or a number is no time: the message names the column and says to cast it."""
    with pytest.raises(ps.UsageError, match=rf"(?si){time}.*(cast|::TIMESTAMP)"):
        ps.dedup(table(ORDERS), "id", time, within="1s")


@pytest.mark.parametrize("within", ["-1s", timedelta(seconds=-1), "a second"])
def test_a_length_that_is_none_is_refused(table, within):
    """A negative length, or a text that is none, fails when the call is made."""
    with pytest.raises(ps.UsageError, match=r"within|length of time"):
        ps.dedup(table(ORDERS), "id", "ts", within=within)


def test_an_unknown_column_is_named_with_its_nearest(table):
    """A misspelt key or time fails when the call is made, and the message offers the right column."""
    with pytest.raises(ps.ColumnError, match=r'no column "idd" .*did you mean "id"'):
        ps.dedup(table(ORDERS), "idd", "ts")
    with pytest.raises(ps.ColumnError, match=r'no column "tss" .*did you mean "ts"'):
        ps.dedup(table(ORDERS), "id", "tss")
    with pytest.raises(ps.ColumnError, match=r'no column "stats" .*did you mean "status"'):
        ps.dedup(table(ORDERS), {"s": "upper(stats)"}, "ts")


def test_a_key_named_twice_is_refused(table):
    """The same key twice is a slip."""
    with pytest.raises(ps.UsageError, match="twice"):
        ps.dedup(table(ORDERS), ["id", "id"], "ts")
