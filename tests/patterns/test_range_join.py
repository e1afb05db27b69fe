"""`range_join`: the ranges that a value lies in."""

import ipaddress
import random

import pyarrow as pa
import pytest
from hypothesis import strategies as st

import oracles
import penstock as ps
from penstock.engines.notes import notes_of
from penstock.testing import assert_tables_equal, rows
from strategies import KINDS, in_turn, kinds, tables

NAN = float("nan")
CLICKS = [{"id": 1, "ip": 5}, {"id": 2, "ip": 10}, {"id": 3, "ip": 11}, {"id": 4, "ip": None}]
NETS = [
    {"first": 0, "last": 10, "id": "a"},
    {"first": 10, "last": 10, "id": "b"},
    {"first": 12, "last": 11, "id": "empty"},
    {"first": None, "last": 99, "id": "c"},
    {"first": 0, "last": None, "id": "d"},
]


def inside(position, net):
    """A row of CLICKS beside one of NETS, or beside none."""
    found = NETS[net] if net is not None else dict.fromkeys(NETS[0])
    return CLICKS[position] | {"first": found["first"], "last": found["last"], "id_right": found["id"]}


def test_every_range_that_holds_the_value(table):
    """Both ends are in the range; nulls match nothing."""
    result = ps.range_join(table(CLICKS), table(NETS), "ip", "first", "last")

    assert_tables_equal(result, [inside(0, 0), inside(1, 0), inside(1, 1)])


def test_rows_in_no_range_may_be_kept(table):
    """`how="left"` keeps every row of the left."""
    result = ps.range_join(table(CLICKS), table(NETS), "ip", "first", "last", how="left")

    assert_tables_equal(result, [inside(0, 0), inside(1, 0), inside(1, 1), inside(2, None), inside(3, None)])


def test_nan_lies_above_every_number(table):
    """NaN lies in the ranges that end in NaN."""
    ranges = [{"low": 1.0, "high": NAN}, {"low": 1.0, "high": float("inf")}, {"low": NAN, "high": NAN}]
    result = ps.range_join(table([{"x": NAN}, {"x": 2.0}]), table(ranges), "x", "low", "high")

    expected = [(NAN, 0), (NAN, 2), (2.0, 0), (2.0, 1)]
    assert_tables_equal(result, [{"x": x} | ranges[i] for x, i in expected])


ADDRESSES = [
    *("1.2.3.4", "0.0.0.0", "255.255.255.255", "256.1.1.1", "1.2.3", "1.2.3.4.5", "01.2.3.4", "1e2.1.1.1", "2E2.1.1.1"),
    *("+1.2.3.4", " 1.2.3.4", "1.2.3.4 ", "1.2.3.4\n", "1..3.4", "1.2.3.4.", "", "0x1.1.1.1", "1_0.1.1.1", "1.1.1.-0"),
    *("\uff11.1.1.1", "'", "\\", "::", "::1", "1::", "1:2:3:4:5:6:7:8", "1:2:3:4::5:6:7:8", "1:2:3:4:5:6:7::", ":::"),
    *("::2:3:4:5:6:7:8", "::1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8::", "0::1:2:3:4:5:6:7", "1:::2", "1::2::3", ":1", "1:"),
    *(":1:2:3:4:5:6:7", "1:2:3:4:5:6:7:", "::ffff:1.2.3.4", "::1.2.3.4", "1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5::1.2.3.4"),
    *("1:2:3:4:5:6:7:1.2.3.4", "1:2:3:4:5:6::1.2.3.4", "::1.2.3.256", "::ffff:01.2.3.4", "1.2.3.4::", "2001:DB8::1"),
    *("12345::", "g::", "::1\n", "0::0", "0::", "::0", "0000::1", "00000::1", "0:2:3:4::5:6:7:8", "1:2:3:4:5:6::0:8"),
    *("1_0::", "::_1", "::0x1", "0x1::", " ::1", "::1 ", "1 ::", "::+1", "::-1", "0:1:2:3:4:5:6:01234", "01234::"),
    *("::10000", "1::2::3::4:5", "1:2::3::4:5:6", "::1::", "::1:2:3::", "1:2:3:4:5:6:7:8:9", "0:0:0:0:0:0:0:0", "::."),
    *("0001:0002:0003:0004:0005:0006:0007:0008", "1:2:3:4:5:6:7", "::1.2:1.2.3.4", "ABCD:EF01::abcd:ef01", "::1:00000"),
]


def spoilt(count, seed=1):
    """Texts that are nearly addresses."""
    chance = random.Random(seed)
    for _ in range(count):
        letters = list(chance.choice(ADDRESSES) or "1")
        for _ in range(chance.randint(1, 3)):
            letters[chance.randrange(len(letters))] = chance.choice("0123456789abcdefABE.:x ")
        yield "".join(letters)


def number(text):
    """An address as Python reads it, IPv4 as ::ffff:a.b.c.d; None where it is none."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return int(address) + (0xFFFF << 32 if address.version == 4 else 0)


def test_addresses_are_those_that_python_knows(table):
    """A text lies in the range from itself to itself exactly if Python takes it for an address."""
    texts = sorted({*ADDRESSES, *spoilt(1500)})
    data = table(pa.table({"ip": texts}))
    known = [text for text in texts if number(text) is not None]

    found = ps.range_join(data, table([{"low": "::", "high": "f" * 4 + ":ffff" * 7}]), "ip", "low", "high")

    assert len(known) > 100
    assert sorted(row["ip"] for row in rows(found)) == known


def test_addresses_sort_as_numbers(table):
    """Ranges of addresses hold what they hold as numbers, in any spelling, of IPv4 and IPv6 together."""
    chance = random.Random(2)
    spellings = [str, lambda a: a.exploded, lambda a: a.compressed.upper()]
    made = [ipaddress.IPv4Address(chance.getrandbits(32)) for _ in range(60)]
    made += [ipaddress.IPv6Address(chance.getrandbits(chance.choice([16, 48, 64, 128]))) for _ in range(60)]
    texts = [chance.choice(spellings)(address) for address in made]
    ends = [sorted(chance.sample(texts, 2), key=number) for _ in range(40)]
    ranges = [{"low": low, "high": high, "n": n} for n, (low, high) in enumerate(ends)]
    expected = [
        {"ip": ip} | held
        for ip in texts
        for held in ranges
        if number(held["low"]) <= number(ip) <= number(held["high"])
    ]

    result = ps.range_join(table([{"ip": ip} for ip in texts]), table(ranges), "ip", "low", "high")

    assert_tables_equal(result, expected)
    assert "IP addresses" in notes_of(result)[0]


def test_what_is_no_address_may_be_kept(table):
    """`how="left"` keeps the addresses that lie in no range, and the texts that are none."""
    asked = [{"ip": "10.0.0.7"}, {"ip": "10.0.1.0"}, {"ip": "::1"}, {"ip": "localhost"}, {"ip": None}]
    nets = [{"low": "10.0.0.0", "high": "10.0.0.255", "net": "home"}, {"low": "9.0.0.0", "high": "::", "net": "empty"}]
    expected = [asked[0] | nets[0], *(row | dict.fromkeys(nets[0]) for row in asked[1:])]

    assert_tables_equal(ps.range_join(table(asked), table(nets), "ip", "low", "high", how="left"), expected)


def test_text_that_is_no_address_is_a_value(table):
    """One bound that is no address makes "auto" compare bytes; `kind` says it outright."""
    names, bands = [{"x": "10.0.0.9"}], [{"low": "10.0.0.10", "high": "10.0.0.9"}, {"low": "a", "high": "b"}]

    for kind, found in [("auto", bands[:1]), ("value", bands[:1]), ("address", [])]:
        result = ps.range_join(table(names), table(bands), "x", "low", "high", kind=kind)
        assert_tables_equal(result, [names[0] | band for band in found])
        assert notes_of(result) == ()


def test_addresses_as_integers(engine):
    """Integers of 128 bits, or the widest decimals, are values like any other."""
    if engine.name == "duckdb":
        made = engine.query("SELECT (2::UHUGEINT << 120) AS low, (2::UHUGEINT << 120) + 9 AS high", {})
        asked = engine.query("SELECT (2::UHUGEINT << 120) + 9 AS ip UNION ALL SELECT (2::UHUGEINT << 120) + 10", {})
    else:
        made = engine.query("SELECT CAST('9e37' AS DECIMAL(38)) AS low, CAST('9e37' AS DECIMAL(38)) + 9 AS high", {})
        asked = engine.query("SELECT CAST('9e37' AS DECIMAL(38)) + n AS ip FROM VALUES (9), (10) AS t(n)", {})

    assert len(rows(ps.range_join(asked, made, "ip", "low", "high"))) == 1


@pytest.mark.parametrize("names", in_turn("ours", "v", "lo", "l0", "r0", "bin", "place", "found", "k"), ids=str)
def test_no_column_name_is_taken(table, names):
    """Names that a query might use inside itself are free on either side."""
    low, high, other = names
    ranges = [{low: 1, high: 3, other: 0}, {low: 2, high: 2, other: 1}, {low: 3, high: 4, other: 2}]
    expected = [{low: 2, f"{low}_right": held[low], high: held[high], other: held[other]} for held in ranges[:2]]

    assert_tables_equal(ps.range_join(table([{low: 2}]), table(ranges), low, low, high), expected)


@pytest.mark.parametrize("how", ["inner", "left"])
def test_empty_sides(table, how):
    """No ranges, or none that holds anything, match nothing; an empty left gives no rows, and the columns stay."""
    typed = pa.schema([("first", pa.int64()), ("last", pa.int64()), ("id", pa.string())])
    for nets in ([], NETS[2:]):
        ranges = table(pa.Table.from_pylist(nets, typed))
        kept = [inside(position, None) for position in range(4)] if how == "left" else []
        assert_tables_equal(ps.range_join(table(CLICKS), ranges, "ip", "first", "last", how=how), kept)
    none = table(pa.table({"ip": pa.array([], pa.int64())}))
    empty = ps.range_join(none, table(NETS), "ip", "first", "last", how=how)
    assert_tables_equal(empty, [])
    assert list(ps.engine_of(empty).columns(empty)) == ["ip", "first", "last", "id"]


@st.composite
def questions(draw):
    """Two tables with values and bounds of one kind, that have most values in common."""
    kind = draw(st.sampled_from([kind for kind in KINDS if kind != "bool"]))
    whole = draw(tables(kind, kinds(), values=30, max_rows=80))
    cut = draw(st.integers(0, whole.num_rows))
    value, other = whole.column_names
    column = whole[value].to_pylist()
    highs = column[cut:]
    random.Random(cut).shuffle(highs)
    right = pa.table({"low": whole[value][cut:], "high": pa.array(highs, KINDS[kind].type), other: whole[other][cut:]})
    return whole.slice(0, cut), right, value


def test_agrees_with_the_oracle(table, explore):
    """On values and ranges of any kind, that overlap or not, the rows are the oracle's."""

    def check(question, how):
        left, right, value = question
        result = ps.range_join(table(left), table(right), value, "low", "high", how=how)
        expected = oracles.range_join(
            left.to_pylist(), right.to_pylist(), value, "low", "high", how, right.column_names
        )
        assert_tables_equal(result, expected)

    explore(check, questions(), st.sampled_from(["inner", "left"]))


def scattered(count, width, seed):
    """Ranges that begin anywhere below 3000, up to `width` long, some of them far longer."""
    chance = random.Random(seed)
    lows = [chance.randrange(3000) for _ in range(count)]
    highs = [low + chance.randrange(width) * (40 if chance.random() < 0.1 else 1) for low in lows]
    return pa.table({"low": lows, "high": highs, "n": list(range(count))})


@pytest.mark.parametrize(("count", "width"), [(300, 12), (60, 400)])
def test_any_layout_gives_the_same_rows(layouts, count, width):
    """Ranges alone, in part over one another and one inside the other: neither order nor pieces change the rows."""
    chance = random.Random(5)
    left = pa.table({"x": [chance.randrange(3200) for _ in range(1000)], "id": list(range(1000))})
    right = scattered(count, width, seed=count)
    expected = oracles.range_join(left.to_pylist(), right.to_pylist(), "x", "low", "high", "left", right.column_names)

    for one, other in zip(layouts(left), layouts(right), strict=True):
        assert_tables_equal(ps.range_join(one, other, "x", "low", "high", how="left"), expected)


def test_many_ranges_are_moved_instead_of_sent(table, monkeypatch):
    """On Spark more ranges than a worker should get are joined by their bins, with the same rows."""
    import sys

    import penstock.patterns.range_join  # noqa: F401 - the name in the package is the function

    monkeypatch.setattr(sys.modules["penstock.patterns.range_join"], "FEW_RANGES", 10)
    left, right = pa.table({"x": list(range(0, 3000, 7))}), scattered(200, 30, seed=3)
    expected = oracles.range_join(left.to_pylist(), right.to_pylist(), "x", "low", "high", "inner", right.column_names)

    assert_tables_equal(ps.range_join(table(left), table(right), "x", "low", "high"), expected)


@pytest.mark.parametrize("how", ["inner", "left"])
def test_no_plan_is_a_cross_product(engine, how):
    """Both plans meet by equalities or by sorting, also where a filter makes the engine expect few rows."""
    size = 5000 if engine.name == "duckdb" else 500  # Spark's optimiser computes rows in memory, one by one
    left = engine.adopt(pa.table({"x": list(range(size))}))
    right = engine.adopt(scattered(size * 2 // 5, 50, seed=1))
    result = ps.range_join(ps.where(left, "x % 2 = 0"), ps.where(right, "n % 2 = 0"), "x", "low", "high", how=how)
    plan = engine.explain(result).upper().replace("_", " ")

    assert not any(word in plan for word in ("NESTED", "CROSS", "CARTESIAN", "PIECEWISE"))


def test_duckdb_reads_each_side_once(duckdb_engine):
    """Addresses are parsed once, also where the rows that lie in no range are kept."""
    left = duckdb_engine.query("SELECT '10.0.0.7' AS ip FROM range(7)", {})
    right = duckdb_engine.query("SELECT '10.0.0.0' AS low, '10.0.0.255' AS high FROM range(9)", {})
    plan = duckdb_engine.explain(ps.range_join(left, right, "ip", "low", "high", how="left"))

    assert plan.upper().count("FUNCTION: RANGE") == 2


def test_spark_leaves_the_left_where_it_is(spark_engine):
    """With few ranges nothing is shuffled but what is sent to every worker."""
    left, right = spark_engine.adopt(pa.table({"x": [1, 2]})), spark_engine.adopt(scattered(50, 9, seed=1))
    plan = spark_engine.explain(ps.range_join(left, right, "x", "low", "high"))

    assert plan.count("Exchange") == plan.count("BroadcastExchange") == 1


def test_options_are_checked(table):
    """An unknown `how` or `kind` is refused with what there is; so are addresses that are no text."""
    with pytest.raises(ps.UsageError, match=r"inner.*left"):
        ps.range_join(table(CLICKS), table(NETS), "ip", "first", "last", how="full")
    with pytest.raises(ps.UsageError, match=r"auto.*value.*address"):
        ps.range_join(table(CLICKS), table(NETS), "ip", "first", "last", kind="ip")
    with pytest.raises(ps.UsageError, match="addresses are text"):
        ps.range_join(table(CLICKS), table(NETS), "ip", "first", "last", kind="address")


def test_unlike_types_are_refused(table):
    """Value and bounds have to compare alike, and to have an order."""
    with pytest.raises(ps.UsageError, match=r"BIGINT on the left.*VARCHAR on the right"):
        ps.range_join(table(CLICKS), table(NETS), "ip", "first", "id")
    with pytest.raises(ps.UsageError, match="no ranges"):
        ps.range_join(table([{"x": [1]}]), table([{"low": [1], "high": [2]}]), "x", "low", "high")


def test_a_missing_column_is_named(table):
    """A misspelt column fails when the call is made, with the nearest one."""
    with pytest.raises(ps.ColumnError, match='did you mean "first"'):
        ps.range_join(table(CLICKS), table(NETS), "ip", "frst", "last")
    with pytest.raises(ps.ColumnError, match='no column "ipp"'):
        ps.range_join(table(CLICKS), table(NETS), "ipp", "first", "last")
