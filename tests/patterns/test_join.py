"""`join`: rows of two tables that have equal keys."""

import itertools

import pyarrow as pa
import pytest
from hypothesis import strategies as st

import oracles
import penstock as ps
from penstock import salting, samples
from penstock.engines.notes import notes_of
from penstock.testing import assert_tables_equal, rows
from strategies import kinds, tables

HOWS = ["inner", "left", "right", "full", "semi", "anti"]
STRATEGIES = ["auto", "broadcast", "shuffle", "merge", "skew"]
ALLOWED = [pair for pair in itertools.product(HOWS, STRATEGIES) if pair != ("full", "broadcast")]
NAN = float("nan")

VISITS = [
    {"user": 1, "page": "/a"},
    {"user": 1, "page": "/b"},
    {"user": 2, "page": "/a"},
    {"user": 3, "page": "/c"},
    {"user": None, "page": "/d"},
]
USERS = [
    {"id": 1, "page": "home", "name": "ann"},
    {"id": 2, "page": None, "name": "bob"},
    {"id": 9, "page": "x", "name": "cid"},
    {"id": None, "page": "y", "name": None},
]


def joined(user, page, page_right, name):
    """One row of VISITS with one of USERS."""
    return {"user": user, "page": page, "page_right": page_right, "name": name}


INNER = [
    joined(1, "/a", "home", "ann"),
    joined(1, "/b", "home", "ann"),
    joined(2, "/a", None, "bob"),
]
LEFT_ALONE = [joined(3, "/c", None, None), joined(None, "/d", None, None)]
RIGHT_ALONE = [joined(9, None, "x", "cid"), joined(None, None, "y", None)]


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("inner", INNER),
        ("left", INNER + LEFT_ALONE),
        ("right", INNER + RIGHT_ALONE),
        ("full", INNER + LEFT_ALONE + RIGHT_ALONE),
        ("semi", VISITS[:3]),
        ("anti", VISITS[3:]),
    ],
)
def test_each_kind_of_join(table, how, expected):
    """The key stands once under the left's name, a clashing column gets the suffix, a null key meets nothing."""
    assert_tables_equal(ps.join(table(VISITS), table(USERS), {"user": "id"}, how=how), expected)


def test_the_columns_come_in_order(table):
    """The left's columns, then the right's without its keys; the suffix is the caller's."""
    result = ps.join(table(VISITS), table(USERS), {"user": "id"}, suffix="_of_user")

    assert list(ps.engine_of(result).columns(result)) == ["user", "page", "page_of_user", "name"]


def test_every_pair_with_equal_keys_is_a_row(table):
    """Keys that occur several times on both sides give every pair of their rows."""
    result = ps.join(table([{"k": 1, "a": i} for i in range(3)]), table([{"k": 1, "b": i} for i in range(4)]), "k")

    assert_tables_equal(result, [{"k": 1, "a": a, "b": b} for a in range(3) for b in range(4)])


@pytest.mark.parametrize(("how", "strategy"), ALLOWED)
def test_nan_meets_nan_and_zeros_meet(table, how, strategy):
    """NaN is one key, -0.0 and 0.0 are one key, and one null among several keys meets nothing."""
    left = [
        {"x": x, "y": y, "a": i} for i, (x, y) in enumerate([(NAN, 1), (0.0, 1), (-0.0, 2), (None, 1), (1.5, None)])
    ]
    right = [
        {"x": x, "y": y, "b": i} for i, (x, y) in enumerate([(NAN, 1), (-0.0, 1), (0.0, 2), (None, 1), (1.5, None)])
    ]
    expected = oracles.join(left, right, {"x": "x", "y": "y"}, ("xya", "xyb"), how)

    assert_tables_equal(ps.join(table(left), table(right), ["x", "y"], how=how, strategy=strategy), expected)


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize(
    ("heavy", "strategy"), [*((heavy, "skew") for heavy in ("left", "right", "both", "alone")), ("both", "shuffle")]
)
def test_heavy_keys_change_nothing(table, heavy, how, strategy):
    """A key with most rows of either side or both, met or alone, beside nulls and light keys, gives the same rows."""
    hot = {"left": (60, 2), "right": (2, 60), "both": (60, 30), "alone": (60, 0)}[heavy]
    light = [1, 1, 2, 3, None, None, None]
    left = [{"k": k, "s": "s", "a": i} for i, k in enumerate([7] * hot[0] + light + [5])]
    right = [{"k": k, "s": "s", "b": i} for i, k in enumerate([7] * hot[1] + light + [6] * 25)]
    expected = oracles.join(left, right, {"k": "k", "s": "s"}, ("ksa", "ksb"), how)

    assert_tables_equal(ps.join(table(left), table(right), ["k", "s"], how=how, strategy=strategy), expected)


INSIDE = ["l", "r", "t", "l0", "r0", "l_salt", "copied", "salts", "k0", "left_side", "heavy"]


@pytest.mark.parametrize("keys", [1, 2, 5, len(INSIDE)])
@pytest.mark.parametrize("strategy", ["shuffle", "skew"])
def test_no_column_name_is_taken(table, keys, strategy):
    """Names that the join might use inside itself are free for keys, of one side or both, and for other columns."""
    names = [*INSIDE[-keys:], *INSIDE[:-keys]]  # the first are keys
    left = [dict.fromkeys(names, value) for value in [1] * 30 + [3]]
    right = [dict.fromkeys(INSIDE, 1), dict.fromkeys(INSIDE, 5)]
    on = dict(zip(names[:keys], reversed(names[-keys:]), strict=True))
    expected = oracles.join(left, right, on, (names, INSIDE), "left")

    assert_tables_equal(ps.join(table(left), table(right), on, how="left", strategy=strategy), expected)


def test_numbers_of_unlike_width_meet(table):
    """A 32-bit and a 64-bit integer, or a float and a double, are compared as numbers."""
    narrow = pa.table({"k": pa.array([1, 2, 2], pa.int32()), "a": [1, 2, 3]})
    wide = pa.table({"k": pa.array([2, 2**40], pa.int64()), "b": [1, 2]})

    for how in HOWS:
        expected = oracles.join(narrow.to_pylist(), wide.to_pylist(), {"k": "k"}, ("ka", "kb"), how)
        assert_tables_equal(ps.join(table(narrow), table(wide), "k", how=how), expected)


@st.composite
def questions(draw):
    """Two tables that hold the same values, and their keys, of the same names or of others."""
    data = draw(tables(kinds(), kinds(), kinds(), kinds(), values=3))
    cut = draw(st.integers(0, data.num_rows))
    keys = data.column_names[: draw(st.integers(1, 2))]
    named = {key: key + " too" if draw(st.booleans()) else key for key in keys}
    left, right = data.slice(0, cut).select(data.column_names[:3]), data.slice(cut)
    return left, right.rename_columns([named.get(name, name) for name in right.column_names]), named


@pytest.mark.parametrize("how", HOWS)
def test_agrees_with_the_oracle(table, explore, how):
    """On any tables, by keys of any kind and with any strategy, the rows are the oracle's."""

    def check(question, strategy):
        left, right, on = question
        result = ps.join(table(left), table(right), on, how=how, strategy=strategy)
        columns = (left.column_names, right.column_names)

        assert_tables_equal(result, oracles.join(left.to_pylist(), right.to_pylist(), on, columns, how))

    explore(check, questions(), st.sampled_from([strategy for kind, strategy in ALLOWED if kind == how]))


@pytest.mark.parametrize("how", HOWS)
def test_any_layout_gives_the_same_rows(layouts, how):
    """With one hot key on the left, neither order nor pieces nor the way chosen change the rows."""
    left = pa.table({"k": [0 if i < 900 else i % 40 if i % 7 else None for i in range(1200)], "id": list(range(1200))})
    right = pa.table({"k": [i % 50 if i % 9 else None for i in range(60)], "x": list(range(60))})
    expected = oracles.join(left.to_pylist(), right.to_pylist(), {"k": "k"}, (["k", "id"], ["k", "x"]), how)

    for number, (ours, theirs) in enumerate(zip(layouts(left), layouts(right), strict=True)):
        if ps.engine_of(ours).name == "duckdb" and ps.engine_of(ours).connection is not ps.engine_of(theirs).connection:
            continue
        strategy = ["skew", "shuffle", "auto"][number % 3]
        assert_tables_equal(ps.join(ours, theirs, "k", how=how, strategy=strategy), expected)


def test_empty_tables_meet(table):
    """A side without rows gives what the other keeps."""
    none = pa.table({"k": pa.array([], pa.int64()), "b": pa.array([], pa.string())})
    left = [{"k": 1, "a": 1}]

    for how, strategy in ALLOWED:
        expected = oracles.join(left, [], {"k": "k"}, ("ka", "kb"), how)
        assert_tables_equal(ps.join(table(left), table(none), "k", how=how, strategy=strategy), expected)


# -- wrong calls -------------------------------------------------------------------------------------------------------


def test_a_missing_key_is_named_with_its_side(table):
    """The message says which side has no such column, and offers the nearest."""
    with pytest.raises(ps.PenstockError, match=r'no column "usr" in the left; did you mean "user"'):
        ps.join(table(VISITS), table(USERS), {"usr": "id"})
    with pytest.raises(ps.PenstockError, match=r'no column "user" in the right; .*it has: id, page, name'):
        ps.join(table(VISITS), table(USERS), "user")


def test_keys_of_unlike_types_are_refused(table):
    """A number and a text do not meet, and the message has the cast to write."""
    with pytest.raises(ps.UsageError, match=r'"user" is BIGINT on the left, and "name" is VARCHAR.*cast'):
        ps.join(table(VISITS), table(USERS), {"user": "name"})


def test_options_are_checked(table):
    """An unknown `how`, `strategy` or `expect`, no key at all, and a suffix that clashes are refused when called."""
    left, right = table(VISITS), table(USERS)
    for wrong in ({"how": "outer"}, {"strategy": "fast"}, {"expect": "1:n"}):
        [(option, value)] = wrong.items()
        with pytest.raises(ps.UsageError, match=f'{option}="{value}" is unknown; one of: '):
            ps.join(left, right, {"user": "id"}, **wrong)
    with pytest.raises(ps.UsageError, match="a join needs a key"):
        ps.join(left, right, [])
    with pytest.raises(ps.UsageError, match='both sides have a column "page"'):
        ps.join(left, right, {"user": "id"}, suffix="")
    with pytest.raises(ps.UsageError, match="none can be broadcast"):
        ps.join(left, right, {"user": "id"}, how="full", strategy="broadcast")


def test_tables_of_two_engines_are_refused(duckdb_engine, spark_engine):
    """Rows meet on one engine."""
    left, right = (each.adopt(pa.table({"k": [1]})) for each in (duckdb_engine, spark_engine))

    with pytest.raises(ps.UsageError, match="the left is on duckdb, the right on spark"):
        ps.join(left, right, "k")


# -- what is expected of keys, and explosions --------------------------------------------------------------------------


def test_keys_are_held_to_what_is_expected(table):
    """A key that occurs twice on the side that should have one is named with its count, before the join runs."""
    with pytest.raises(ps.UsageError, match=r'keys of the left occur more than once: "user" = 1 in 2 rows'):
        ps.join(table(VISITS), table(USERS), {"user": "id"}, expect="1:1")
    with pytest.raises(ps.UsageError, match=r'keys of the right occur more than once: "id" = 1 in 2 rows'):
        ps.join(table(USERS), table(VISITS), {"id": "user"}, expect="m:1")
    for expect in ("m:1", "m:m"):
        assert_tables_equal(ps.join(table(VISITS), table(USERS), {"user": "id"}, expect=expect), INNER)


def test_a_null_key_is_no_duplicate(table):
    """Null keys meet nothing, so any number of them is as expected."""
    result = ps.join(table([{"k": None}, {"k": None}, {"k": 1}]), table([{"k": None}, {"k": None}]), "k", expect="1:1")

    assert_tables_equal(result, [])


def hot(count, key=7):
    """Rows of which all but ten have one key."""
    return pa.table({"k": [key] * (count - 10) + list(range(100, 110)), "x": list(range(count))})


@pytest.mark.parametrize("share", [1, 20])
def test_an_explosion_is_refused(engine, monkeypatch, share):
    """A join forecast to make 36 M rows of 6 000 and 6 000 is refused, names the key, and may be allowed."""
    monkeypatch.setattr(samples, "ROWS", 6000 // share)
    left, right = engine.adopt(hot(6000)), engine.adopt(hot(6000))

    with pytest.raises(ps.UsageError, match=r'about 3\d,\d{3},\d{3} rows .*"k" = 7 \(about .*expect="m:m"'):
        ps.join(left, right, "k")
    ps.join(left, right, "k", expect="m:m")
    ps.join(left, right, "k", how="semi")


@pytest.mark.parametrize("seed", range(5))
def test_a_key_that_a_sample_meets_by_chance_is_no_alarm(engine, monkeypatch, seed):
    """Heavy keys of one side that occur once or twice on the other make no explosion, however small the samples."""
    monkeypatch.setattr(samples, "ROWS", 300)
    left = pa.table({"k": [i % 9 if i % 5 < 3 else i for i in range(9000)]})
    right = pa.table({"k": [(i * 31 + seed * 7) % 6000 for i in range(6000)] + [seed, 11, 12]})

    ps.join(engine.adopt(left), engine.adopt(right), "k")


def test_a_size_is_known_without_running(engine):
    """Both engines say from the plan alone how large a table is, in rows or in bytes."""
    size = engine.size(engine.adopt(hot(1000)))

    assert size.rows == 1000 or size.bytes >= 16_000


def test_a_sample_is_taken_again_where_a_filter_leaves_few_rows(engine, monkeypatch):
    """The plan expects more rows than there are; the sample is still large enough to tell."""
    monkeypatch.setattr(samples, "ROWS", 200)
    few = ps.where(engine.adopt(pa.table({"k": list(range(20_000))})), "k % 200 = 7")
    sample = samples.take(few, ["k"])

    assert sample.share == 1 and sample.keys.num_rows == 100


def keys(values):
    """A sample's keys."""
    return pa.table({"k0": pa.array(values, pa.int64())})


def test_a_forecast_knows_its_error(duckdb_engine):
    """One heavy key met once proves nothing; ten thousand keys, ten times in each sample, prove a billion rows."""
    table = duckdb_engine.adopt(keys([1]))
    once = samples.meet(table, samples.Sample(keys([7] * 5000), 0.01), samples.Sample(keys(range(500)), 0.001))
    many = samples.Sample(keys([i % 10_000 for i in range(100_000)]), 0.01)

    assert samples.forecast(once).rows == pytest.approx(5000 / 1e-5)
    assert samples.forecast(once).least < 0
    assert samples.forecast(samples.meet(table, many, many)).least == pytest.approx(1e10, rel=0.1)


# -- what Spark does ---------------------------------------------------------------------------------------------------


@pytest.fixture
def unbroadcast(spark):
    """Spark's own threshold set to never broadcast, as a user may."""
    spark.conf.set("spark.sql.autoBroadcastJoinThreshold", "-1")
    yield
    spark.conf.unset("spark.sql.autoBroadcastJoinThreshold")


def test_a_small_side_is_broadcast(spark_engine):
    """The plan has a broadcast and no exchange of rows, and the notes say how small the side is."""
    left, right = spark_engine.adopt(hot(500)), spark_engine.adopt(hot(20))
    for how, side in [("inner", "right"), ("left", "right"), ("semi", "right"), ("anti", "right"), ("right", "left")]:
        result = ps.join(left, right, "k", how=how)
        plan = spark_engine.explain(result)

        assert "BroadcastHashJoin" in plan
        assert "Exchange" not in plan.replace("BroadcastExchange", "")
        assert notes_of(result)[0].startswith(f"join: broadcast the {side} side, 0.0 MB by its plan's statistics")


def test_a_threshold_that_was_set_is_heeded(spark_engine, unbroadcast):
    """Nothing is broadcast where the session says never; heavy keys are divided instead, which the notes say."""
    left, right = spark_engine.adopt(hot(500)), spark_engine.adopt(hot(20, key=8))
    result = ps.join(left, right, "k", how="left")
    plan = spark_engine.explain(result)

    assert notes_of(result) == ('join: shuffle of both sides; "k" = 7 holds 98% of the left and is divided by 46',)
    assert "xxhash64" in plan and "SortMergeJoin" in plan
    assert list(spark_engine.columns(result)) == ["k", "x", "x_right"]


def test_light_keys_are_not_divided(spark_engine, unbroadcast):
    """Where no key is heavy the join is an ordinary shuffle."""
    left = spark_engine.adopt(pa.table({"k": list(range(500))}))
    result = ps.join(left, left, "k")

    assert notes_of(result) == ("join: shuffle of both sides; no key is heavy",)
    assert "xxhash64" not in spark_engine.explain(result)


def test_a_key_whose_copies_cost_more_than_they_save_is_left_whole(spark_engine, unbroadcast):
    """A key that is as heavy on the other side is not divided."""
    both = spark_engine.adopt(hot(500))
    result = ps.join(both, both, "k")

    assert notes_of(result) == (
        "join: shuffle of both sides; heavy keys whose copies would cost more than they save: 1",
    )


@pytest.mark.parametrize(
    ("how", "long", "reduced"),
    [
        ("inner", "left", True), ("left", "left", False), ("right", "left", True), ("full", "left", False),
        ("inner", "right", True), ("left", "right", True), ("right", "right", False), ("semi", "right", True),
        ("anti", "right", True),
    ],
)  # fmt: skip
def test_a_side_of_which_little_matches_is_filtered_first(spark_engine, spark, how, long, reduced):
    """Where rows are too wide to broadcast but keys are not, what meets nothing is dropped before it moves; never a
    row that the join keeps.
    """
    much = pa.table({"k": list(range(3000)), "a": ["a" * 20] * 3000})
    wide = pa.table({"k": [i * 7 for i in range(600)], **{f"b{i}": ["b" * 20] * 600 for i in range(4)}})
    left, right = (much, wide) if long == "left" else (wide, much)
    spark.conf.set("spark.sql.autoBroadcastJoinThreshold", "16KB")
    try:
        result = ps.join(spark_engine.adopt(left), spark_engine.adopt(right), "k", how=how)
        found, plan, told = rows(result), spark_engine.explain(result), notes_of(result)[0]
    finally:
        spark.conf.unset("spark.sql.autoBroadcastJoinThreshold")

    columns = (left.column_names, right.column_names)
    other = "left" if long == "right" else "right"
    assert_tables_equal(found, oracles.join(left.to_pylist(), right.to_pylist(), {"k": "k"}, columns, how))
    assert (f"the {long} first reduced to the keys of the {other}: 14% match" in told) == reduced
    assert ("LeftSemi, BuildRight" in plan) == reduced


def test_a_shuffle_that_was_asked_for_is_one(spark_engine):
    """`strategy="shuffle"` neither broadcasts nor salts."""
    result = ps.join(spark_engine.adopt(hot(500)), spark_engine.adopt(hot(20)), "k", strategy="shuffle")
    plan = spark_engine.explain(result)

    assert "SortMergeJoin" in plan and "xxhash64" not in plan
    assert notes_of(result) == ("join: shuffle of both sides, as asked",)


@pytest.fixture
def whole_partitions(spark):
    """Adaptive execution does not put small partitions together."""
    spark.conf.set("spark.sql.adaptive.coalescePartitions.enabled", "false")
    yield
    spark.conf.unset("spark.sql.adaptive.coalescePartitions.enabled")


@pytest.mark.parametrize("strategy", ["shuffle", "skew", "merge"])
@pytest.mark.parametrize("how", ["left", "right", "full", "anti"])
def test_null_keys_go_to_every_task(spark_engine, whole_partitions, how, strategy):
    """Of rows that are kept though their key is null, no task gets more than about its share."""
    nulls = spark_engine.adopt(pa.table({"k": pa.array([None] * 300, pa.int64()), "x": list(range(300))}))
    few = spark_engine.adopt(hot(20))
    left, right = (few, nulls) if how == "right" else (nulls, few)
    result = ps.join(left, right, "k", how=how, strategy=strategy)
    places = spark_engine.query("SELECT spark_partition_id() AS task, count(*) AS n FROM t GROUP BY 1", {"t": result})

    assert sum(row["n"] for row in rows(places)) == (320 if how == "full" else 300)
    assert max(row["n"] for row in rows(places)) < 150


def test_what_is_made_by_a_shuffle_is_not_run_twice(spark_engine, unbroadcast):
    """Keys are sampled of plain scans only, and the notes say so; "skew" samples all the same."""
    left = ps.distinct(spark_engine.adopt(hot(500)), "k", "x")

    assert "not sampled" in notes_of(ps.join(left, left, "k"))[0]
    assert '"k" = 7' in notes_of(ps.join(left, spark_engine.adopt(hot(20)), "k", strategy="skew"))[0]


def test_tables_bucketed_alike_do_not_move(spark, spark_engine):
    """Two tables saved in the same buckets are merged without an exchange, by "merge" and where "auto" may not
    broadcast; an outer join keeps the keys alone for it.
    """
    for name in ("visits_in_buckets", "users_in_buckets"):
        frame = spark_engine.adopt(hot(300))
        frame.write.bucketBy(4, "k").sortBy("k").mode("overwrite").saveAsTable(name)
    left, right = spark.table("visits_in_buckets"), spark.table("users_in_buckets")
    try:
        for how in HOWS:
            result = ps.join(left, right, "k", how=how, strategy="merge")
            assert "Exchange" not in spark_engine.explain(result)
            assert notes_of(result) == ("join: merge, both sides are bucketed alike and no row moves",)
    finally:
        for name in ("visits_in_buckets", "users_in_buckets"):
            spark.sql(f"DROP TABLE {name}")


def test_the_embedded_engine_has_one_way(duckdb_engine):
    """On DuckDB every strategy is the same hash join, and the notes say so."""
    left = duckdb_engine.adopt(hot(20))

    assert notes_of(ps.join(left, left, "k")) == ("join: one hash join",)
    for strategy in STRATEGIES[1:]:
        told = f'join: one hash join, strategy="{strategy}" is for Spark'
        assert notes_of(ps.join(left, left, "k", strategy=strategy)) == (told,)


def test_a_heavy_key_is_one_that_would_double_a_task(duckdb_engine):
    """Of 9 800 rows in 10 tasks a key with 1 500 is heavy and one with 300 is not; more rows are more salts."""
    table = duckdb_engine.adopt(keys([1]))
    left = [1] * 4000 + [2] * 1500 + [3] * 300 + list(range(10, 4010))
    met = samples.meet(table, samples.Sample(keys(left), 1.0), samples.Sample(keys(range(1, 100)), 1.0))
    heavy, dear = salting.heavy_keys(met, ["BIGINT"], ["BIGINT"], 10, "inner")

    assert [(each.key, each.side) for each in heavy] == [({"k0": 1}, "left"), ({"k0": 2}, "left")]
    assert heavy[0].salts > heavy[1].salts > salting.PIECES
    assert dear == []
