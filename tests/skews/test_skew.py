"""Skew: heavy keys and their shares, partitions held against Spark's own, and what each remedy would leave."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

import penstock as ps
from penstock.engines.engine import Engine, Table
from penstock.errors import ColumnError, UsageError
from penstock.skews import key_counts

#: Tables of 20,000 rows and keys of many kinds, by a formula that gives the same rows everywhere.
ROWS = 20_000
KEYS: dict[str, str] = {
    "nine in ten": "CASE WHEN i % 10 < 9 THEN 'US' ELSE 'c' || CAST(i % 677 AS VARCHAR) END",
    "zipf": "CAST(floor(3000 * power((i * 7919 % 20000) / 20000.0, 3)) AS BIGINT)",
    "nulls": "CASE WHEN i % 10 < 3 THEN NULL ELSE i % 4001 END",
    "few": "CAST(i % 30 AS INTEGER)",
    "times": "TIMESTAMP '2026-03-01 00:00:00' + INTERVAL 1 HOUR * (i % 5 * (i % 211))",
    "even": "i % 5003",
}
TWO = {"country": KEYS["nine in ten"], "user": KEYS["zipf"]}


def numbers() -> pa.Table:
    """The rows that keys are computed of."""
    return pa.table({"i": range(ROWS)})


def in_spark(engine: Engine, keys: dict[str, str], partitions: int) -> list[int]:
    """How many rows Spark really has in each partition, the smallest first."""
    table = ps.derive(engine.adopt(numbers()), **keys).repartition(partitions, *keys)
    counted = "SELECT p, count(*) AS n FROM (SELECT spark_partition_id() AS p FROM t) GROUP BY p"
    found = engine.batches(engine.query(counted, {"t": table})).read_all()["n"].to_pylist()
    return [0] * (partitions - len(found)) + sorted(found)


@pytest.fixture
def bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table of 20,000 rows is taken for a large one with many keys."""
    monkeypatch.setattr(key_counts, "ROWS", 5_000)
    monkeypatch.setattr(key_counts, "FEW", 100)


# -- heavy keys -------------------------------------------------------------------------------------------------------


def test_heavy_keys_and_their_shares(table: Callable[..., Table]) -> None:
    """A key with more rows than a reducer would get is named, with its exact rows and share; a null is one."""
    rows = [{"user": "anonymous"}] * 600 + [{"user": None}] * 200 + [{"user": f"u{i}"} for i in range(200)]

    found = ps.skew(table(rows), "user", partitions=10)

    told = [(key.key, key.rows.mid, key.share.mid, key.rows.basis) for key in found.heavy]
    assert told == [({"user": "anonymous"}, 600, 0.6, "exact"), ({"user": None}, 200, 0.2, "exact")]
    assert (found.rows.mid, found.distinct.mid, found.heavy_keys) == (1000, 202, 2)


def test_odd_numbers_are_one_key_each(table: Callable[..., Table]) -> None:
    """NaN is a key, and so are both zeros together."""
    values = [float("nan")] * 30 + [0.0, -0.0] * 10 + [float(i) for i in range(1, 51)]

    found = ps.skew(table(pa.table({"x": values})), "x", partitions=5)

    assert [key.rows.mid for key in found.heavy] == [30, 20]
    assert found.distinct.mid == 52


def test_keys_may_be_several_or_computed(table: Callable[..., Table]) -> None:
    """Two columns are one key, and so is an expression."""
    rows = [{"a": 1, "b": "x"}] * 50 + [{"a": i, "b": "y"} for i in range(50)]

    two, computed = ps.skew(table(rows), ["a", "b"], 4), ps.skew(table(rows), {"odd": "a % 2"}, 4)

    assert [(key.key, key.rows.mid) for key in two.heavy] == [({"a": 1, "b": "x"}, 50)]
    assert {key.key["odd"]: key.rows.mid for key in computed.heavy} == {0: 25, 1: 75}


def test_heavy_keys_among_too_many_to_hold(engine: Engine, bounded: None) -> None:
    """Where keys are many, those that a sample shows are counted over all rows: their shares are exact."""
    data = ps.derive(engine.adopt(numbers()), k=KEYS["nulls"])

    found = ps.skew(data, "k", partitions=20)

    told = [(key.key, key.rows.mid, key.share.mid, key.rows.basis) for key in found.heavy]
    assert told == [({"k": None}, 6_000, 0.3, "exact")]
    assert (found.rows.mid, found.rows.basis) == (ROWS, "exact")
    assert found.distinct.mid == pytest.approx(4002, rel=0.1)


def test_a_filter_that_the_plan_knows_nothing_of(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a sample comes out much smaller than meant, the rows are counted and it is taken anew."""
    monkeypatch.setattr(key_counts, "ROWS", 1_000)
    few = ps.where(engine.adopt(numbers()), "i * i % 4999 = 1")

    found = ps.skew(few, {"one": "i * 0"}, 4)

    assert (found.heavy[0].rows.mid, found.rows) == (9, found.heavy[0].rows)


# -- partitions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", KEYS)
def test_partitions_are_those_of_spark(spark_engine: Engine, duckdb_engine: Engine, key: str) -> None:
    """The largest, the median and the empty partitions of a table on DuckDB are those that Spark really has."""
    real = in_spark(spark_engine, {"k": KEYS[key]}, 40)

    found = ps.skew(ps.derive(duckdb_engine.adopt(numbers()), k=KEYS[key]), "k", partitions=40)

    assert found.largest.mid == real[-1]
    assert found.median.mid == (real[19] + real[20]) / 2
    assert (found.spread.empty.mid, found.spread.mean.mid) == (real.count(0), ROWS / 40)
    assert found.largest.basis == "exact"


@pytest.mark.parametrize("keys", [{"k": KEYS["zipf"]}, {"k": KEYS["nulls"]}, TWO], ids=["zipf", "nulls", "two"])
def test_partitions_of_many_keys(
    spark_engine: Engine, duckdb_engine: Engine, bounded: None, keys: dict[str, str]
) -> None:
    """Where light keys are not held one by one, the prediction is within 20 % of Spark, and its range holds the truth.

    The ratio is that of the largest partition to the median.
    """
    real = in_spark(spark_engine, keys, 20)
    middle = (real[9] + real[10]) / 2

    data = ps.derive(duckdb_engine.adopt(numbers()), **keys)
    found = {rows: ps.skew(data, list(keys), 20, rows=rows) for rows in ("all", "sample")}

    assert {rows: each.largest.basis for rows, each in found.items()} == {"all": "model", "sample": "sample"}
    for each in found.values():
        assert each.ratio.mid == pytest.approx(real[-1] / middle, rel=0.2)
        assert each.largest.low <= real[-1] <= each.largest.high
        assert each.median.low <= middle <= each.median.high


def test_spark_tells_its_own_partitions(spark_engine: Engine, bounded: None) -> None:
    """On Spark the rows of light keys too are counted by the partition that they go to."""
    real = in_spark(spark_engine, TWO, 20)

    found = ps.skew(ps.derive(spark_engine.adopt(numbers()), **TWO), list(TWO), 20)

    assert (found.largest.mid, found.median.mid) == (real[-1], (real[9] + real[10]) / 2)
    assert found.largest.basis == "exact"


def test_a_heavy_key_says_where_it_goes(spark_engine: Engine, duckdb_engine: Engine) -> None:
    """The partition of a heavy key is that in which Spark has it."""
    rows = [{"k": "US"}] * 50 + [{"k": f"c{i}"} for i in range(50)]
    table = spark_engine.adopt(pa.Table.from_pylist(rows)).repartition(7, "k")
    real = spark_engine.query("SELECT DISTINCT spark_partition_id() AS p FROM t WHERE k = 'US'", {"t": table})

    found = ps.skew(duckdb_engine.adopt(pa.Table.from_pylist(rows)), "k", 7)

    assert [found.heavy[0].partition] == spark_engine.batches(real).read_all()["p"].to_pylist()


def test_a_type_that_spark_has_not(duckdb_engine: Engine) -> None:
    """A key of times of the day is counted, but its partition is not told, and the figures are no more exact."""
    data = duckdb_engine.query(
        "SELECT TIME '10:00:00' + INTERVAL 1 MINUTE * (i % 3 * i % 60) AS k FROM range(60) r(i)", {}
    )

    found = ps.skew(data, "k", 4)

    assert (found.heavy[0].rows.basis, found.heavy[0].partition, found.largest.basis) == ("exact", None, "model")


# -- remedies ---------------------------------------------------------------------------------------------------------


def test_no_skew_is_said_plainly(duckdb_engine: Engine) -> None:
    """Where no key is heavy there is nothing to do."""
    found = ps.skew(duckdb_engine.adopt(numbers()), "i", 8)

    assert (found.heavy, found.remedies) == ((), ())
    assert "no skew: no key is heavy" in str(found)


def test_a_table_without_rows(table: Callable[..., Table]) -> None:
    """It has no skew, and no partition has a row."""
    found = ps.skew(table(pa.table({"k": pa.array([], pa.int64())})), "k", 8)

    assert (found.rows.mid, found.ratio.mid, found.remedies) == (0, None, ())
    assert "no rows" in str(found)


def test_the_remedies_of_a_heavy_value(duckdb_engine: Engine) -> None:
    """Combining and broadcasting leave it even; the heavy key is divided until the largest is within twice the median.

    Adaptive execution is no remedy for so few rows, which is noted.
    """
    rows = [{"k": "US"}] * 9_000 + [{"k": f"c{i}"} for i in range(1_000)]

    found = ps.skew(duckdb_engine.adopt(pa.Table.from_pylist(rows)), "k", 10)

    after = {remedy.name: remedy.after.ratio.mid for remedy in found.remedies}
    assert list(after) == ["combine", "broadcast", "salt"]
    assert after["combine"] < 1.5
    assert after["broadcast"] == 1
    assert after["salt"] <= 2 < (found.ratio.mid or 0)
    assert found.remedies[-1].what.startswith("join: salt the heavy keys with R = ")
    assert found.notes[-1].startswith("Spark's adaptive execution would split nothing")


def test_a_predicted_salt_is_what_spark_gets(spark_engine: Engine, duckdb_engine: Engine) -> None:
    """The largest partition after salting with the R that is told is within 20 % of Spark's, with a hash for a salt."""
    found = ps.skew(ps.derive(duckdb_engine.adopt(numbers()), k=KEYS["nine in ten"]), "k", 20)
    salts = int(found.remedies[-1].what.split("R = ")[1].split(";")[0])
    hashed = f"CASE WHEN k = 'US' THEN pmod(xxhash64(i), {salts}) ELSE CAST(0 AS BIGINT) END"
    data = ps.derive(spark_engine.adopt(numbers()), k=KEYS["nine in ten"])
    salted = spark_engine.query(f"SELECT k, {hashed} AS salt FROM t", {"t": data}).repartition(20, "k", "salt")
    counted = "SELECT count(*) AS n FROM (SELECT spark_partition_id() AS p FROM t) GROUP BY p"

    real = sorted(spark_engine.batches(spark_engine.query(counted, {"t": salted})).read_all()["n"].to_pylist())

    assert found.remedies[-1].after.largest.mid == pytest.approx(real[-1], rel=0.2)
    assert found.remedies[-1].after.median.mid == pytest.approx((real[9] + real[10]) / 2, rel=0.2)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, 'ps.where(t, "user IS NOT NULL")'),
        ("Anonymous", "ps.where(t, \"user IS DISTINCT FROM 'Anonymous'\")"),
        ("", "ps.where(t, \"user IS DISTINCT FROM ''\")"),
        (-1, 'ps.where(t, "user IS DISTINCT FROM -1")'),
        ("US", ""),
        (True, ""),
        (7, ""),
    ],
)
def test_a_key_that_stands_for_none(duckdb_engine: Engine, value: Any, said: str) -> None:
    """Null and what stands for it is to be left out, in words that run; another value is not, however heavy."""
    other = {str: lambda i: f"c{i}", bool: lambda _: False}.get(type(value), lambda i: i + 100)
    data = duckdb_engine.adopt(pa.Table.from_pylist([{"user": value}] * 90 + [{"user": other(i)} for i in range(40)]))

    found = ps.skew(data, "user", 4)

    dropped = [remedy for remedy in found.remedies if remedy.name == "drop"]
    assert [remedy.what.split(": ")[1] for remedy in dropped] == ([said] if said else [])
    if dropped:
        left = eval(said, {"ps": ps, "t": data})
        assert ps.skew(left, "user", 4).largest.mid == dropped[0].after.largest.mid


def test_adaptive_execution_splits_what_is_large(duckdb_engine: Engine) -> None:
    """A partition of more than 256 MB and five times the median is split in parts of 64 MB, or of what is usual."""
    wide = ", ".join(f"i AS c{column}" for column in range(2_000))
    data = duckdb_engine.query(f"SELECT (i % 10 < 9)::INTEGER * -7 + (i % 10 = 9)::INTEGER * i AS k, {wide} FROM t",
                               {"t": duckdb_engine.adopt(pa.table({"i": range(100_000)}))})  # fmt: skip

    found = ps.skew(data, "k", 10)

    [split] = [remedy for remedy in found.remedies if remedy.name == "aqe"]
    assert found.largest.mid * found.row_bytes.mid > 256 << 20  # type: ignore[operator]
    assert split.after.largest.mid * found.row_bytes.mid <= 64 << 20  # type: ignore[operator]
    assert not any("adaptive" in note for note in found.notes)


def test_keys_that_are_few_want_fewer_partitions(duckdb_engine: Engine) -> None:
    """Equal keys fall unevenly where there are about as many partitions; the number that evens them out is told."""
    data = duckdb_engine.query("SELECT i % 300 AS k FROM range(30000) r(i)", {})

    found = ps.skew(data, "k", 200)

    assert found.remedies[-1].name == "partitions"
    assert ps.skew(data, "k", 50).largest.mid == found.remedies[-1].after.largest.mid
    assert "50 partitions" in found.remedies[-1].what


# -- how it is told ---------------------------------------------------------------------------------------------------


def test_the_table_that_it_prints(duckdb_engine: Engine) -> None:
    """The heavy key, bars of the largest and the median partition, and the remedies by number."""
    rows = [{"user": "anonymous"}] * 9_000 + [{"user": f"u{i}"} for i in range(1_000)]

    lines = str(ps.skew(duckdb_engine.adopt(pa.Table.from_pylist(rows)), "user", 10)).splitlines()

    assert lines[0] == "skew of user · =10.0 K rows, =1001 keys · 10 partitions · duckdb"
    assert lines[3].split() == ['"anonymous"', "=9000", "=90.00%", lines[3].split()[-1]]
    assert lines[6].endswith(f'{"█" * 30}  "anonymous"')
    assert lines[7].split()[0] == "median"
    assert lines[9].startswith(" the largest is =")
    assert [line.split()[0] for line in lines if line[1:2].isdigit()] == ["1", "2", "3", "4"]


def test_long_keys_are_cut_and_odd_ones_escaped(duckdb_engine: Engine) -> None:
    """A key is data: its line stays a line."""
    rows = [{"k": "x" * 500}] * 50 + [{"k": "a\nb\x1b[31m"}] * 50 + [{"k": str(i)} for i in range(20)]

    printed = str(ps.skew(duckdb_engine.adopt(pa.Table.from_pylist(rows)), "k", 10))

    assert f'"{"x" * 39}…"' in printed
    assert '"a\\nb\\u001b[31m"' in printed


def test_many_heavy_keys_are_told_in_short(duckdb_engine: Engine) -> None:
    """Ten keys are printed, a hundred are kept, and all are counted."""
    data = duckdb_engine.query("SELECT i % 150 AS k FROM range(15000) r(i)", {})

    found = ps.skew(data, "k", 200)

    assert (found.heavy_keys, len(found.heavy)) == (150, 100)
    assert " and 140 more" in str(found)


def test_the_report_as_json(duckdb_engine: Engine) -> None:
    """Every figure has its range and basis, and every key is one that JSON has."""
    data = duckdb_engine.query(
        "SELECT DATE '2026-03-01' + greatest(i - 90, 0)::INTEGER AS day, 'nan'::DOUBLE AS x FROM range(100) r(i)",
        {},
    )

    found = json.loads(json.dumps(ps.skew(data, ["day", "x"], 4).to_json(), allow_nan=False))

    assert (found["format_version"], found["key"], found["partitions"]) == ("1.0", ["day", "x"], 4)
    assert found["rows"] == {"low": 100, "mid": 100, "high": 100, "basis": "exact"}
    assert found["heavy"][0]["key"] == {"day": "2026-03-01", "x": "nan"}
    assert set(found["ratio"]) == {"low", "mid", "high", "basis"}
    assert [remedy["name"] for remedy in found["remedies"]] == ["combine", "broadcast", "drop", "salt"]


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({"key": "usr"}, ColumnError, 'did you mean "user"'),
        ({"key": []}, UsageError, "skew was given no key"),
        ({"key": "user", "partitions": 0}, UsageError, "partitions=0 is no number of partitions"),
        ({"key": "user", "rows": "some"}, UsageError, 'rows="some" is unknown'),
    ],
)
def test_wrong_calls(duckdb_engine: Engine, arguments: dict[str, Any], error: type[Exception], said: str) -> None:
    """What cannot be meant is refused before anything runs."""
    with pytest.raises(error, match=said):
        ps.skew(duckdb_engine.adopt(pa.table({"user": [1]})), **arguments)
