"""`sessions`: one row a session."""

from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pytest

import oracles
import penstock as ps
from events import events
from penstock.testing import assert_tables_equal, rows
from strategies import in_turn, quote


def at(minute, second=0):
    """A moment of one morning."""
    return datetime(2026, 3, 1, 9) + timedelta(minutes=minute, seconds=second)


def view(user, ts, url="/", amount=None):
    """One event."""
    return {"user": user, "ts": ts, "url": url, "amount": amount}


def session(user, number, start, end, n, **aggregates):
    """One row of a result."""
    return {"user": user, "session": number, "started_at": start, "ended_at": end, "events": n} | aggregates


VIEWS = [
    view("a", at(0), "/", 1.5),
    view("a", at(10), "/x", 2.0),
    view("a", at(40), "/", None),
    view("a", at(71), "/y", 4.0),
    view("b", at(20)),
    view(None, at(5), None, 8.0),
    view(None, at(35), "/", 16.0),
    view("a", None, "/z", 32.0),
    view("a", None, "/z", 64.0),
    view("c", None),
]


# -- what a session is -------------------------------------------------------------------------------------------------


def test_one_row_a_session(table):
    """A session has its bounds and its number of events; what has no time is one row a key, so that nothing is lost."""
    assert_tables_equal(ps.sessions(table(VIEWS), "user", "ts"), [
        session("a", 1, at(0), at(40), 3),
        session("a", 2, at(71), at(71), 1),
        session("a", None, None, None, 2),
        session("b", 1, at(20), at(20), 1),
        session(None, 1, at(5), at(35), 2),
        session("c", None, None, None, 1),
    ])  # fmt: skip


def test_aggregates_of_each_session(table):
    """Aggregates are SQL over the rows of the session, and over those of a key that have no time."""
    result = ps.sessions(
        table(VIEWS), "user", "ts", pages="count(DISTINCT url)", total="sum(amount)", last="arg_max(url, ts)",
        share="sum(amount) / count(*)",
    )  # fmt: skip

    assert_tables_equal(result, [
        session("a", 1, at(0), at(40), 3, pages=2, total=3.5, last="/", share=3.5 / 3),
        session("a", 2, at(71), at(71), 1, pages=1, total=4.0, last="/y", share=4.0),
        session("a", None, None, None, 2, pages=1, total=96.0, last=None, share=48.0),
        session("b", 1, at(20), at(20), 1, pages=1, total=None, last="/", share=None),
        session(None, 1, at(5), at(35), 2, pages=1, total=24.0, last="/", share=12.0),
        session("c", None, None, None, 1, pages=1, total=None, last=None, share=None),
    ])  # fmt: skip


def test_the_length_of_a_session_is_cut(table):
    """A session of exactly the maximum stays whole; the event beyond it starts the next."""
    data = [view("a", at(minute)) for minute in (0, 10, 20, 30, 40, 41)]

    assert_tables_equal(ps.sessions(table(data), "user", "ts", max_length="20 minutes"), [
        session("a", 1, at(0), at(20), 3),
        session("a", 2, at(30), at(41), 3),
    ])  # fmt: skip
    assert_tables_equal(ps.sessions(table(data), "user", "ts", max_length="20 minutes", total="count(url)"), [
        session("a", 1, at(0), at(20), 3, total=3),
        session("a", 2, at(30), at(41), 3, total=3),
    ])  # fmt: skip


def test_a_steady_stream_is_cut_again_and_again(table):
    """Every cut is counted from the event that made it."""
    data = [view("a", at(0, 7 * step)) for step in range(20)]

    assert_tables_equal(ps.sessions(table(data), "user", "ts", gap="1 minute", max_length="20s"), [
        session("a", n + 1, at(0, 21 * n), at(0, min(21 * n + 14, 133)), 3 if n < 6 else 2) for n in range(7)
    ])  # fmt: skip


@pytest.mark.parametrize("gap", ["90 minutes", "1h 30m", timedelta(hours=1.5)])
def test_a_pause_of_the_gap_is_none(table, gap):
    """Only a longer pause starts a session, however the length is written."""
    data = [view("a", at(0)), view("a", at(90)), view("a", at(180, 1)), view("a", at(180, 1))]

    assert_tables_equal(ps.sessions(table(data), "user", "ts", gap=gap), [
        session("a", 1, at(0), at(90), 2),
        session("a", 2, at(180, 1), at(180, 1), 2),
    ])  # fmt: skip


# -- keys --------------------------------------------------------------------------------------------------------------


def test_several_keys(table):
    """The key columns come first, in the order in which they were given."""
    data = [view("a", at(0), "/"), view("a", at(10), "/x"), view("a", at(40), "/x"), view("a", at(41), None)]
    result = ps.sessions(table(data), ["url", "user"], "ts")

    assert list(ps.engine_of(result).columns(result)) == [
        "url", "user", "session", "started_at", "ended_at", "events",
    ]  # fmt: skip
    found = {(row["url"], row["session"], row["events"]) for row in rows(result)}
    assert found == {("/", 1, 1), ("/x", 1, 2), (None, 1, 1)}


def test_nan_and_zero_are_one_key_each(table):
    """Every NaN is one key, and so are 0.0 and -0.0."""
    nan = float("nan")
    data = [{"k": key, "ts": at(m)} for m, key in enumerate([nan, 0.0, nan, -0.0, float("inf"), None])]

    result = ps.sessions(table(data), "k", "ts")
    assert_tables_equal(ps.query("SELECT k, events FROM t", t=result), [
        {"k": nan, "events": 2}, {"k": 0.0, "events": 2}, {"k": float("inf"), "events": 1}, {"k": None, "events": 1},
    ])  # fmt: skip


def test_texts_that_look_alike_are_keys_of_their_own(table):
    """Text keys are equal only byte for byte, and two keys do not run together."""
    pairs = [("a", "bc"), ("ab", "c"), ("", None), (None, ""), ("ä", "A"), ("Ä", "a"), ("a ", "bc"), ("a\x00", "bc")]
    data = [{"x": x, "y": y, "ts": at(m)} for x, y in pairs for m in (0, 5)]

    result = ps.sessions(table(data), ["x", "y"], "ts")
    assert_tables_equal(
        ps.query("SELECT x, y, events FROM t", t=result), [{"x": x, "y": y, "events": 2} for x, y in pairs]
    )


def test_a_key_may_be_an_expression(table):
    """A mapping says how the key is computed."""
    result = ps.sessions(table(VIEWS), {"known": "user IS NOT NULL"}, "ts")
    found = sorted((row["known"], row["events"]) for row in rows(result))

    assert found == [(False, 2), (True, 1), (True, 3), (True, 4)]  # a and b are one key: 0 to 40, 71, three without


def test_without_keys_the_whole_table_is_one_series(table):
    """`by=()` makes sessions over all rows."""
    found = [row["events"] for row in rows(ps.sessions(table(VIEWS), (), "ts"))]

    assert sorted(found) == [1, 3, 6]


# -- times -------------------------------------------------------------------------------------------------------------


def test_times_may_be_days(table):
    """The bounds of sessions over a DATE are DATEs."""
    data = [{"user": 1, "ts": date(2026, 3, day)} for day in (1, 2, 4)]
    result = ps.sessions(table(data), "user", "ts", gap="1 day")

    assert_tables_equal(result, [
        session(1, 1, date(2026, 3, 1), date(2026, 3, 2), 2), session(1, 2, date(2026, 3, 4), date(2026, 3, 4), 1),
    ])  # fmt: skip
    assert ps.engine_of(result).columns(result)["ended_at"] == "DATE"


def test_times_may_have_a_zone(table):
    """The bounds of sessions over moments are moments."""
    data = [{"user": 1, "ts": at(minute).replace(tzinfo=UTC)} for minute in (0, 30, 61)]
    result = ps.sessions(table(data), "user", "ts")

    moments = [row["ts"] for row in data]
    assert_tables_equal(result, [
        session(1, 1, moments[0], moments[1], 2), session(1, 2, moments[2], moments[2], 1),
    ])  # fmt: skip
    assert ps.engine_of(result).columns(result)["started_at"] == "TIMESTAMP WITH TIME ZONE"


def test_times_from_the_first_year_to_the_last(table):
    """Neither the longest pause nor a gap beyond all time overflows, by the least and the greatest keys."""
    first, last = datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999999)
    data = [
        {"user": user, "ts": ts}
        for user, ts in [(2**63 - 1, first), (2**63 - 1, last), (-(2**63), last), (-(2**63), first), (0, at(0))]
    ]

    for gap in (last - first, last - first - timedelta(microseconds=1), timedelta(microseconds=1), timedelta.max):
        result = ps.sessions(table(data), "user", "ts", gap=gap)
        assert_tables_equal(result, oracles.sessions(data, ["user"], "ts", gap))


# -- the table ---------------------------------------------------------------------------------------------------------


def test_the_columns_of_the_result(table):
    """Keys, session, bounds, events, then the aggregates as they were given; counts are BIGINT."""
    result = ps.sessions(table(VIEWS), "user", "ts", b="count(*)", a="max(url)")
    kinds = ps.engine_of(result).columns(result)

    assert list(kinds.items()) == [
        ("user", "VARCHAR"), ("session", "BIGINT"), ("started_at", "TIMESTAMP"), ("ended_at", "TIMESTAMP"),
        ("events", "BIGINT"), ("b", "BIGINT"), ("a", "VARCHAR"),
    ]  # fmt: skip


@pytest.mark.parametrize("own", [{}, {"total": "sum({})"}])
@pytest.mark.parametrize("max_length", [None, "1h"])
@pytest.mark.parametrize("names", in_turn("t", "session_id", "start", "session_start", "key", "n"), ids=str)
def test_no_column_name_is_taken(table, names, max_length, own):
    """Names that a query might use inside itself are free for key, time and other columns."""
    key, time, other = names
    data = [{key: 1, time: at(minute), other: minute} for minute in (0, 20, 51)]
    aggregates = {total: text.format(quote(other)) for total, text in own.items()}
    result = ps.sessions(table(data), key, time, max_length=max_length, **aggregates)

    expected = [
        {key: 1, "session": n, "started_at": start, "ended_at": end, "events": events} | dict.fromkeys(own, total)
        for n, start, end, events, total in [(1, at(0), at(20), 2, 20), (2, at(51), at(51), 1, 51)]
    ]
    assert_tables_equal(result, expected)


@pytest.mark.parametrize("name", ["session", "started_at", "ended_at", "events", "session_start"])
def test_other_columns_may_be_called_like_a_result_column(table, name):
    """A column that is neither key nor aggregate does not come out, so its name is free."""
    data = [{"k": 1, "ts": at(0), name: 3}, {"k": 1, "ts": at(1), name: 4}]
    result = ps.sessions(table(data), "k", "ts", total=f"sum({name})")

    assert_tables_equal(
        result, [{"k": 1, "session": 1, "started_at": at(0), "ended_at": at(1), "events": 2, "total": 7}]
    )


def test_the_time_may_be_called_like_a_result_column(table):
    """The result of `sessions` is a table of events again: its starts can be the times."""
    data = [{"k": 1, "started_at": at(0), "events": 2}, {"k": 1, "started_at": at(20), "events": 5}]

    assert_tables_equal(
        ps.sessions(table(data), "k", "started_at", total="sum(events)"),
        [{"k": 1, "session": 1, "started_at": at(0), "ended_at": at(20), "events": 2, "total": 7}],
    )


def test_an_aggregate_may_be_called_like_a_column(table):
    """An aggregate may take the name of a column that is not in the result, its own among them."""
    result = ps.sessions(table(VIEWS[:2]), "user", "ts", amount="sum(amount)", ts="max(url)")

    assert_tables_equal(result, [session("a", 1, at(0), at(10), 2, amount=3.5, ts="/x")])


def test_nested_columns_are_no_hindrance(table):
    """Lists and structs may be in the table, and be counted."""
    data = [
        {"user": 1, "ts": at(0), "items": [1], "place": {"lat": 1.0}},
        {"user": 1, "ts": at(1), "items": None, "place": None},
    ]

    assert_tables_equal(
        ps.sessions(table(data), "user", "ts", baskets="count(items)"),
        [session(1, 1, at(0), at(1), 2, baskets=1)],
    )


@pytest.mark.parametrize("own", [{}, {"total": "sum(k)"}])
@pytest.mark.parametrize("max_length", [None, "1h"])
@pytest.mark.parametrize("by", ["k", ()])
def test_an_empty_table_has_no_sessions(table, by, max_length, own):
    """No rows give no rows, with the columns of the result."""
    empty = pa.table({"k": pa.array([], pa.int64()), "ts": pa.array([], pa.timestamp("us"))})
    result = ps.sessions(table(empty), by, "ts", max_length=max_length, **own)

    assert_tables_equal(result, [])
    expected = [*by, "session", "started_at", "ended_at", "events", *own]
    assert list(ps.engine_of(result).columns(result)) == expected


# -- parity and laws ---------------------------------------------------------------------------------------------------


def agrees(table, e, **aggregates):
    """The sessions of drawn events are the oracle's; an aggregate is a function and a column."""
    written = {
        name: f"{function}({'*' if column is None else quote(column)})"
        for name, (function, column) in aggregates.items()
    }
    result = ps.sessions(table(e.data), e.by, e.at, e.gap, e.max_length, **written)

    assert_tables_equal(result, oracles.sessions(e.rows, e.by, e.at, e.gap, e.max_length, **aggregates))


def test_agrees_with_the_oracle(table, explore):
    """On bursts of any keys, with pauses about the gap and lengths about the maximum, the rows are the oracle's."""
    explore(lambda e: agrees(table, e), events())


def test_agrees_with_the_oracle_by_integers(table, explore):
    """The same by integer keys, for which a plan of its own may be taken."""
    explore(lambda e: agrees(table, e), events(keys=["int", "small"]), on_spark=4)


def test_agrees_with_the_oracle_by_texts(table, explore):
    """The same by text keys."""
    explore(lambda e: agrees(table, e), events(keys=["text"]), on_spark=4)


def test_agrees_with_the_oracle_in_its_aggregates(table, explore):
    """Sums, counts and extremes of each session are the oracle's, where they are asked for as well."""

    def check(e):
        (other,) = {*e.data.column_names} - {*e.by, e.at}
        agrees(table, e, total=("sum", other), n=("count", None), least=("min", other), last=("max", e.at))

    explore(check, events(), on_spark=3)


def test_is_sessionize_and_then_aggregate(table, explore):
    """Grouping the rows of `sessionize` by key and session gives the same bounds and counts."""

    def check(e):
        marked = ps.sessionize(table(e.data), e.by, e.at, e.gap, e.max_length)
        time = quote(e.at)
        grouped = ps.aggregate(
            marked, [*e.by, "session"], started_at=f"min({time})", ended_at=f"max({time})", events="count(*)",
            began="max(session_start)",
        )  # fmt: skip
        result = ps.sessions(table(e.data), e.by, e.at, e.gap, e.max_length, began=f"min({time})")

        assert_tables_equal(result, grouped)

    explore(check, events(), on_spark=3)


def test_moving_all_times_moves_the_bounds(table, explore):
    """Numbers and counts stay and bounds move along when every time is moved by the same length."""
    days = timedelta(days=19_000)

    def check(e):
        moved = [row | {e.at: row[e.at] and row[e.at] + days} for row in e.rows]
        later = ps.sessions(table(pa.Table.from_pylist(moved, e.data.schema)), e.by, e.at, e.gap, e.max_length)
        result = rows(ps.sessions(table(e.data), e.by, e.at, e.gap, e.max_length))

        expected = [
            row | {name: row[name] and row[name] + days for name in ("started_at", "ended_at")} for row in result
        ]
        assert_tables_equal(later, expected)

    explore(check, events(), on_spark=3)


def test_each_key_alone_has_the_same_sessions(table, explore):
    """The sessions of two halves of the keys are together those of the whole."""

    def check(e):
        keys = sorted({oracles.place(row[e.by[0]]) for row in e.rows})
        half = [oracles.place(row[e.by[0]]) in keys[::2] for row in e.rows]
        parts = []
        for mask in (half, [not inside for inside in half]):
            part = e.data.filter(pa.array(mask, pa.bool_()))
            parts += rows(ps.sessions(table(part), e.by, e.at, e.gap, e.max_length))

        assert_tables_equal(ps.sessions(table(e.data), e.by, e.at, e.gap, e.max_length), parts)

    explore(check, events(), on_spark=3)


@pytest.mark.parametrize("own", [{}, {"total": ("sum", "id")}])
@pytest.mark.parametrize("length", [None, timedelta(seconds=50)])
def test_any_layout_gives_the_same_rows(layouts, length, own):
    """With one hot key, equal times and null times, neither order nor pieces change a row."""
    count = range(1500)
    times = [None if i % 97 == 0 else at(0, (i * i) % 4001 // 3 * 3) for i in count]
    data = pa.table({"k": [0 if i < 1000 else i % 40 for i in count], "ts": times, "id": list(count)})
    gap = timedelta(seconds=9)
    expected = oracles.sessions(data.to_pylist(), ["k"], "ts", gap, length, **own)
    written = {name: f"{function}({column})" for name, (function, column) in own.items()}

    for laid_out in layouts(data):
        assert_tables_equal(ps.sessions(laid_out, "k", "ts", gap, length, **written), expected)


@pytest.mark.parametrize("kind", [int, str])
@pytest.mark.parametrize("length", [None, timedelta(minutes=5)])
def test_many_keys(table, kind, length):
    """5 000 keys over 20 000 rows are all told apart."""
    count = range(20_000)
    data = pa.table(
        {"k": [kind(i * 7919 % 5000) for i in count], "ts": [at(0, i // 5000 * 120 + i % 3 * 61) for i in count]}
    )
    gap = timedelta(seconds=120)

    expected = oracles.sessions(data.to_pylist(), ["k"], "ts", gap, length)
    assert_tables_equal(ps.sessions(table(data), "k", "ts", gap, length), expected)


# -- wrong calls -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["gap", "max_length"])
@pytest.mark.parametrize("length", ["0s", timedelta(0), timedelta(seconds=-1)])
def test_a_length_that_is_not_above_zero_is_refused(table, option, length):
    """A zero or negative gap or maximum fails when the call is made, and is named."""
    with pytest.raises(ps.UsageError, match=option):
        ps.sessions(table(VIEWS), "user", "ts", **{option: length})


@pytest.mark.parametrize("option", ["gap", "max_length"])
def test_what_is_no_length_is_refused(table, option):
    """A text that is no length of time fails with an example of one."""
    with pytest.raises(ps.UsageError, match="30 minutes"):
        ps.sessions(table(VIEWS), "user", "ts", **{option: "half an hour"})


@pytest.mark.parametrize("time", ["url", "amount"])
def test_a_time_that_is_none_is_refused(table, time):
    """A text or a number is no time: the message names the column and says to cast it."""
    with pytest.raises(ps.UsageError, match=rf"(?si){time}.*(cast|::TIMESTAMP)"):
        ps.sessions(table(VIEWS), "user", time)


@pytest.mark.parametrize("name", ["session", "started_at", "ended_at", "events", "Events"])
def test_names_of_the_result_are_refused(table, name):
    """No key and no aggregate may be called like a column of the result."""
    with pytest.raises(ps.UsageError, match=name):
        ps.sessions(table(VIEWS), "user", "ts", **{name: "count(*)"})
    with pytest.raises(ps.UsageError, match=f"(?s){name}.*rename"):
        ps.sessions(table(VIEWS), {name: "upper(user)"}, "ts")
    with pytest.raises(ps.UsageError, match=f"(?s){name}.*rename"):
        ps.sessions(table([{name: 1, "ts": at(0)}]), name, "ts")


def test_an_aggregate_called_like_a_key_is_refused(table):
    """A result cannot have two columns of one name."""
    with pytest.raises(ps.UsageError, match="user"):
        ps.sessions(table(VIEWS), "user", "ts", user="count(*)")


def test_what_is_no_aggregate_is_refused(table):
    """An aggregate is checked as `aggregate` checks it, when the call is made."""
    with pytest.raises(ps.UsageError):
        ps.sessions(table(VIEWS), "user", "ts", first="first(url)")
    with pytest.raises(ps.UsageError):
        ps.sessions(table(VIEWS), "user", "ts", up="upper(url)")


def test_an_unknown_column_is_named_with_its_nearest(table):
    """A misspelt key, time or aggregate fails when the call is made, and the message offers the right column."""
    with pytest.raises(ps.ColumnError, match=r'no column "usr" .*did you mean "user"'):
        ps.sessions(table(VIEWS), "usr", "ts")
    with pytest.raises(ps.ColumnError, match=r'no column "tss" .*did you mean "ts"'):
        ps.sessions(table(VIEWS), "user", "tss")
    with pytest.raises(ps.ColumnError, match=r'no column "amonut" .*did you mean "amount"'):
        ps.sessions(table(VIEWS), "user", "ts", total="sum(amonut)")
