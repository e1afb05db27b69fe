"""`asof_join`: the row that was the latest when another one happened."""

from datetime import date, datetime, timedelta
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import strategies as st

import oracles
import penstock as ps
from penstock.testing import assert_tables_equal
from strategies import KINDS, kinds, tables

NAN = float("nan")
TRADES = [
    {"share": "A", "at": 1, "n": 10},
    {"share": "A", "at": 5, "n": 20},
    {"share": "B", "at": 9, "n": 30},
    {"share": None, "at": 9, "n": 40},
    {"share": "A", "at": None, "n": 50},
]
PRICES = [
    {"share": "A", "at": 2, "price": 7.5},
    {"share": "A", "at": 5, "price": 8.0},
    {"share": "A", "at": 6, "price": 9.0},
    {"share": "A", "at": None, "price": 1.0},
    {"share": None, "at": 1, "price": 2.0},
]


def met(position, at, price):
    """A row of TRADES with what was found for it."""
    return TRADES[position] | {"at_right": at, "price": price}


def test_the_latest_row_that_is_not_after(table):
    """A row gets the latest of its key, at the same time too; a null key or time keeps the row without a match."""
    result = ps.asof_join(table(TRADES), table(PRICES), "share", "at")

    assert_tables_equal(result, [met(0, None, None), met(1, 5, 8.0), *(met(i, None, None) for i in (2, 3, 4))])


def test_names_may_differ(table):
    """A mapping names keys and times apart; the right's time stays, its key does not."""
    right = [{"id": "A", "since": 4, "n": 1}]
    result = ps.asof_join(table(TRADES[:2]), table(right), {"share": "id"}, {"at": "since"}, suffix="_then")

    expected = [{"since": None, "n_then": None}, {"since": 4, "n_then": 1}]
    assert_tables_equal(result, [row | found for row, found in zip(TRADES, expected, strict=False)])


def test_without_keys(table):
    """`on=()` looks at the time alone."""
    result = ps.asof_join(table([{"at": 3}, {"at": 0}]), table([{"since": 1}, {"since": 2}]), (), {"at": "since"})

    assert_tables_equal(result, [{"at": 3, "since": 2}, {"at": 0, "since": None}])


@pytest.mark.parametrize(("tolerance", "found"), [(0, None), (2, None), (3, 1), (3.5, 1), (Decimal("2.5"), None)])
def test_a_tolerance_in_numbers(table, tolerance, found):
    """A match may be as old as the tolerance, and no older."""
    result = ps.asof_join(table([{"at": 4}]), table([{"since": 1}]), (), {"at": "since"}, tolerance)

    assert_tables_equal(result, [{"at": 4, "since": found}])


@pytest.mark.parametrize("tolerance", ["1h", timedelta(hours=1)])
def test_a_tolerance_in_time(table, tolerance):
    """A length of time bounds how old a match may be, and holds its end."""
    noon = datetime(2026, 1, 1, 12)
    left = [{"k": k, "at": noon} for k in (1, 2, 3)]
    ages = {1: timedelta(0), 2: timedelta(hours=1), 3: timedelta(hours=1, microseconds=1)}
    right = [{"k": k, "since": noon - age} for k, age in ages.items()]

    result = ps.asof_join(table(left), table(right), "k", {"at": "since"}, tolerance)

    assert_tables_equal(result, [row | {"since": noon - ages[row["k"]] if row["k"] < 3 else None} for row in left])


def test_a_tolerance_of_days(table):
    """Dates are days apart."""
    left, right = [{"at": date(2026, 3, 1)}], [{"since": date(2026, 2, 27)}]

    for days, since in [(1, None), (2, date(2026, 2, 27))]:
        result = ps.asof_join(table(left), table(right), (), {"at": "since"}, f"{days} days")
        assert_tables_equal(result, [left[0] | {"since": since}])


def test_far_ends_of_integers_are_far_apart(table):
    """The distance of the least and the greatest integer is no overflow."""
    left, right = [{"at": 2**63 - 1}], [{"since": -(2**63)}]

    assert_tables_equal(
        ps.asof_join(table(left), table(right), (), {"at": "since"}, 5), [{"at": 2**63 - 1, "since": None}]
    )


def test_nan_is_above_every_number(table):
    """A row at NaN gets the last one of all, and only such a row gets one at NaN; with a tolerance only NaN is near."""
    right = [{"since": 1.0}, {"since": NAN}]
    left = [{"at": 5.0}, {"at": NAN}]

    assert_tables_equal(
        ps.asof_join(table(left), table(right), (), {"at": "since"}),
        [{"at": 5.0, "since": 1.0}, {"at": NAN, "since": NAN}],
    )
    assert_tables_equal(
        ps.asof_join(table(left), table(right[:1]), (), {"at": "since"}, 9),
        [{"at": 5.0, "since": 1.0}, {"at": NAN, "since": None}],
    )


def test_ties_are_broken_by_the_remaining_columns(table):
    """Of rows with one key and time the first by the other columns is taken, nulls last."""
    right = [{"k": 1, "at": 2, "x": x, "y": y} for x, y in [(None, 0), (3, None), (3, 9), (4, 0)]]

    result = ps.asof_join(table([{"k": 1, "at": 2}]), table(right), "k", "at")

    assert_tables_equal(result, [{"k": 1, "at": 2, "at_right": 2, "x": 3, "y": 9}])


@pytest.mark.parametrize("name", ["ours", "dated", "settled", "packed", "place", "a whole row", "l0", "r0", "side"])
def test_no_column_name_is_taken(table, name):
    """Names that a query might use inside itself are free on either side."""
    left, right = [{name: 1, "at": 5}], [{name: 1, "at": 4, "x": 1}, {name: 1, "at": 4, "x": 0}]
    assert_tables_equal(
        ps.asof_join(table(left), table(right), name, "at"), [{name: 1, "at": 5, "at_right": 4, "x": 0}]
    )

    left, right = [{"k": 1, "at": 5, name: 7}], [{"k": 1, "since": 4, name: 8}, {"k": 1, "since": 4, name: 9}]
    expected = [left[0] | {"since": 4, f"{name}_right": 8}]
    assert_tables_equal(ps.asof_join(table(left), table(right), "k", {"at": "since"}), expected)


def test_nested_columns_ride_along(table):
    """A list or a struct is kept whole with its row."""
    right = [{"k": 1, "at": 1, "items": [2, 3], "where": {"lat": 1.5}}]
    result = ps.asof_join(table([{"k": 1, "at": 1, "tags": ["a"]}]), table(right), "k", "at")

    assert_tables_equal(
        result, [{"k": 1, "at": 1, "tags": ["a"], "at_right": 1, "items": [2, 3], "where": {"lat": 1.5}}]
    )


def test_empty_sides(table):
    """An empty right gives nulls, an empty left no rows; the columns stay."""
    none = pa.table({"share": pa.array([], pa.string()), "at": pa.array([], pa.int64())})

    assert_tables_equal(
        ps.asof_join(table(TRADES), table(none), "share", "at"), [row | {"at_right": None} for row in TRADES]
    )
    empty = ps.asof_join(table(none), table(PRICES), "share", "at")
    assert_tables_equal(empty, [])
    assert list(ps.engine_of(empty).columns(empty)) == ["share", "at", "at_right", "price"]


@st.composite
def questions(draw, *moments):
    """Two tables with keys and times of the same kinds and values, each under names of its own."""
    kind, moment = draw(st.sampled_from(kinds())), draw(st.sampled_from(moments))
    whole = draw(tables(kind, kind, moment, kinds(), values=4, max_rows=80))
    cut = draw(st.integers(0, whole.num_rows))
    names = draw(st.permutations(whole.column_names))
    right = whole.slice(cut).rename_columns(names)
    on = list(zip(whole.column_names, names, strict=True))[: draw(st.integers(0, 2))]
    return whole.slice(0, cut), right, on, (whole.column_names[2], names[2])


def agrees(table, question, tolerance=None, length=None):
    """Whether the rows are the oracle's."""
    left, right, on, at = question
    result = ps.asof_join(table(left), table(right), dict(on) or (), dict([at]), tolerance)
    names = right.column_names
    assert_tables_equal(result, oracles.asof_join(left.to_pylist(), right.to_pylist(), on, at, length, names))


def test_agrees_with_the_oracle(table, explore):
    """On any two tables, with keys and times of any kind, the rows are the oracle's."""
    moments = [kind for kind in KINDS if kind not in ("text", "bool")]

    explore(lambda question: agrees(table, question), questions(*moments))


def test_agrees_with_the_oracle_within_a_tolerance(table, explore):
    """With a tolerance too, for numbers that are exact and for times."""
    numbers = st.tuples(questions("small", "int"), st.integers(0, 1000).map(lambda n: (n, n)))
    floats = st.tuples(questions("quarter"), st.sampled_from([0, 0.25, 100.0]).map(lambda n: (n, n)))
    decimals = st.tuples(questions("decimal"), st.sampled_from([0.5, 10]).map(lambda n: (n, Decimal(str(n)))))
    times = st.tuples(questions("timestamp"), st.integers(0, 10**9).map(lambda n: (timedelta(seconds=n),) * 2))

    explore(lambda asked: agrees(table, asked[0], *asked[1]), st.one_of(numbers, floats, decimals, times))


def test_any_layout_gives_the_same_rows(layouts):
    """With a hot key and many ties, neither order nor pieces change what is found."""
    count = range(900)
    left = pa.table({"k": [0 if i < 700 else i % 9 for i in count], "at": [i % 50 for i in count], "id": list(count)})
    right = pa.table({"k": [i % 9 for i in count], "at": [i % 41 for i in count], "x": [i % 7 for i in count]})
    expected = oracles.asof_join(
        left.to_pylist(), right.to_pylist(), [("k", "k")], ("at", "at"), None, right.column_names
    )

    for one, other in zip(layouts(left), layouts(right), strict=True):
        assert_tables_equal(ps.asof_join(one, other, "k", "at"), expected)


def test_no_plan_is_a_cross_product(engine):
    """Both plans sort; neither compares every row with every other."""
    wide = engine.adopt(pa.table({"k": [i % 97 for i in range(5000)], "at": list(range(5000))}))
    plan = engine.explain(ps.asof_join(ps.where(wide, "k % 2 = 0"), wide, "k", "at", 3)).upper()

    assert not any(word in plan.replace("_", " ") for word in ("NESTED", "CROSS", "CARTESIAN"))


def test_spark_moves_both_sides_once(spark_engine):
    """The plan has one exchange."""
    left, right = (
        spark_engine.adopt(pa.table({"k": [1], "at": [1]})),
        spark_engine.adopt(pa.table({"k": [1], "at": [1]})),
    )
    plan = spark_engine.explain(ps.asof_join(left, right, "k", "at"))

    assert plan.count("Exchange") == 1


def test_a_text_is_no_time(table):
    """A text as `at` is refused, with the cast that makes it a time."""
    with pytest.raises(ps.UsageError, match=r"VARCHAR.*TIMESTAMP"):
        ps.asof_join(table(TRADES), table(PRICES), (), "share")


def test_unlike_times_and_keys_are_refused(table):
    """Types that do not compare alike are named before anything runs."""
    with pytest.raises(ps.UsageError, match=r"BIGINT on the left.*DOUBLE on the right.*cast"):
        ps.asof_join(table(TRADES), table(PRICES), "share", {"at": "price"})
    with pytest.raises(ps.UsageError, match="VARCHAR on the left"):
        ps.asof_join(table(TRADES), table(PRICES), {"share": "at"}, "at")


@pytest.mark.parametrize(
    ("tolerance", "message"),
    [
        (-1, "positive"),
        (float("inf"), "positive"),
        (NAN, "positive"),
        ("1h", "give a number"),
        (timedelta(1), "number"),
    ],
)
def test_a_tolerance_fits_the_number(table, tolerance, message):
    """A negative, endless or wrongly typed tolerance is refused."""
    with pytest.raises(ps.UsageError, match=message):
        ps.asof_join(table(TRADES), table(PRICES), "share", "at", tolerance)


@pytest.mark.parametrize(("tolerance", "message"), [(5, "unit"), (timedelta(-1), "negative"), ("", "length of time")])
def test_a_tolerance_fits_the_time(table, tolerance, message):
    """A number without a unit, a negative length and an empty text are refused."""
    times = table([{"at": datetime(2026, 1, 1)}])
    with pytest.raises(ps.UsageError, match=message):
        ps.asof_join(times, times, (), "at", tolerance)


def test_at_is_one_column(table):
    """Two columns of time are refused, and a missing one is named with its nearest."""
    with pytest.raises(ps.UsageError, match="2 columns"):
        ps.asof_join(table(TRADES), table(PRICES), "share", {"at": "at", "n": "price"})
    with pytest.raises(ps.ColumnError, match='did you mean "share"'):
        ps.asof_join(table(TRADES), table(PRICES), "shares", "at")
    with pytest.raises(ps.ColumnError, match='no column "att"'):
        ps.asof_join(table(TRADES), table(PRICES), "share", "att")
