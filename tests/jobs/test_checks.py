"""`ps.check`: rows that are as they should be, and those that are not, with every reason."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import strategies as st

import penstock as ps
from oracles import place
from penstock.jobs.checks import Counts, refuse_above
from penstock.testing import assert_tables_equal, rows
from strategies import kinds, quote, tables

Row = dict[str, Any]

ORDERS = [
    {"id": 1, "amount": 5, "country": "DE"},
    {"id": 2, "amount": -1, "country": "de"},
    {"id": 2, "amount": None, "country": None},
    {"id": None, "amount": -2, "country": "FR"},
    {"id": None, "amount": -2, "country": "FR"},
]


# -- the oracle -------------------------------------------------------------------------------------------------------


class Rules(NamedTuple):
    """What a check is asked: its arguments, and beside each name, in order, whether a row breaks it."""

    arguments: dict[str, Any]
    broken: dict[str, Callable[[Row], bool]]


def split(found: list[Row], broken: dict[str, Callable[[Row], bool]]) -> tuple[list[Row], list[Row]]:
    """The rows that break no rule, and the others with the names of all that they break."""
    good, quarantined = [], []
    for row in found:
        reasons = [name for name, breaks in broken.items() if breaks(row)]
        if reasons:
            quarantined.append(row | {"reasons": reasons})
        else:
            good.append(row)
    return good, quarantined


def assert_split(checked: Any, good: list[Row], quarantined: list[Row]) -> None:
    """Fail unless a check found these rows, and nothing else."""
    assert_tables_equal(checked.good, good)
    assert_tables_equal(checked.quarantined, quarantined)


CONDITIONS: dict[str, Callable[[Any], bool]] = {
    "{} is not null": lambda value: value is None,
    "{0} = {0}": lambda value: False,
    "{0} <> {0}": lambda value: value is not None,
    "coalesce({0} = {0}, false)": lambda value: value is None,
}


def rules_of(data: pa.Table, seed: int) -> Rules:
    """Some rules of each sort for a table, that some rows break and others do not."""
    chance = random.Random(seed)
    found, names = data.to_pylist(), data.column_names

    def some() -> list[str]:
        return chance.sample(names, chance.randint(0, len(names)))

    def half(name: str) -> list[Any]:
        values = list({place(row[name]): row[name] for row in found}.values())
        return chance.sample(values, len(values) // 2)

    conditions = {f"rule '{i}' \\": chance.choice([*CONDITIONS]) for i in range(chance.randint(0, 2))}
    about = {name: chance.choice(names) for name in conditions}
    keys = [key for key in ([names[0]], names[-2:], names) if chance.random() < 0.4]
    keys = list({tuple(key): key for key in keys}.values())
    allowed = {name: half(name) for name in some()}
    allowed = {name: values for name, values in allowed.items() if set(values) - {None}}
    held = {name: [None, *half(name) * 2] for name in some()}
    required = some()

    def key_of(row: Row, key: list[str]) -> tuple[Any, ...]:
        return tuple(place(row[name]) for name in key)

    def shared(key: list[str]) -> Callable[[Row], bool]:
        keys_ = [key_of(row, key) for row in found if all(row[name] is not None for name in key)]
        return lambda row: keys_.count(key_of(row, key)) > 1

    def absent(name: str, values: list[Any]) -> Callable[[Row], bool]:
        places = {place(value) for value in values}
        return lambda row: row[name] is not None and place(row[name]) not in places

    def column(name: str, breaks: Callable[[Any], bool]) -> Callable[[Row], bool]:
        return lambda row: breaks(row[name])

    broken = {rule: column(about[rule], CONDITIONS[text]) for rule, text in conditions.items()}
    broken |= {f"{name} is required": column(name, lambda value: value is None) for name in required}
    broken |= {f"{name} is allowed": absent(name, values) for name, values in allowed.items()}
    broken |= {f"{', '.join(key)} is unique": shared(key) for key in keys}
    broken |= {f"{name} is known": absent(name, values) for name, values in held.items()}
    arguments = {
        "rules": {rule: text.format(quote(about[rule])) for rule, text in conditions.items()} | {"held": "true"},
        "required": required,
        "allowed": allowed,
        "unique": keys,
        "references": {name: pa.table({"k": pa.array(values, data[name].type)}) for name, values in held.items()},
    }
    return Rules(arguments, broken)


SEEDS = st.integers(0, 2**24 - 1)


# -- rows and reasons -------------------------------------------------------------------------------------------------


def test_every_row_is_good_or_has_its_reasons(table):
    """Reasons come in the order of the rules; equal rows stay as many as they were; null breaks no condition."""
    good, quarantined = ps.check(
        table(ORDERS), {"positive": "amount > 0", "loud": "country = upper(country)"}, required="id"
    )

    assert_tables_equal(good, [ORDERS[0], ORDERS[2]])
    assert_tables_equal(
        quarantined,
        [
            ORDERS[1] | {"reasons": ["positive", "loud"]},
            ORDERS[3] | {"reasons": ["positive", "id is required"]},
            ORDERS[4] | {"reasons": ["positive", "id is required"]},
        ],
    )


def test_agrees_with_the_oracle(table, explore):
    """On any table with any names, and rules of all sorts, the rows and the reasons are the oracle's."""

    def check(data, seed):
        rules = rules_of(data, seed)

        assert_split(ps.check(table(data), **rules.arguments), *split(data.to_pylist(), rules.broken))

    explore(check, tables(kinds(), kinds(), kinds()), SEEDS, on_spark=2)


def test_what_was_found_good_is_good(table, explore):
    """The good rows break none of the rules that were asked, also where rows were compared."""

    def check(data, seed):
        arguments = rules_of(data, seed).arguments
        again = ps.check(ps.check(table(data), **arguments).good, **arguments)

        assert_tables_equal(again.quarantined, [])

    explore(check, tables(kinds(), kinds()), SEEDS, on_spark=1)


def test_two_checks_are_one(table, explore):
    """Rules about single rows leave the same rows in one check as in two, one after the other."""

    def check(data, seed):
        first, second = (rules_of(data, seed + i).arguments for i in range(2))
        one = {"rules": first["rules"], "references": first["references"]}
        other = {"required": second["required"], "allowed": second["allowed"], "rules": {"true": "true"}}
        both = one | other | {"rules": one["rules"] | other["rules"]}
        whole = ps.check(table(data), **both)

        assert_tables_equal(ps.check(ps.check(table(data), **one).good, **other).good, whole.good)

    explore(check, tables(kinds(), kinds()), SEEDS, on_spark=1)


def test_any_layout_gives_the_same_rows(layouts):
    """Neither the order of the rows nor their pieces change which are good, for rules that compare rows too."""
    data = [{"a": i // 2 if i % 10 == 0 else i, "b": i % 7} for i in range(1000)]
    users = pa.table({"id": [0, 1, 2, 3, 4, 5, None, 5, 5]})
    values = [row["a"] for row in data]
    broken = {
        "b is positive": lambda row: row["b"] <= 0,
        "a is unique": lambda row: values.count(row["a"]) > 1,
        "b is known": lambda row: row["b"] > 5,
    }

    for laid_out in layouts(data):
        checked = ps.check(laid_out, {"b is positive": "b > 0"}, unique="a", references={"b": users})
        assert_split(checked, *split(data, broken))


def test_an_empty_table_has_no_bad_rows(table):
    """Of no rows none are bad, and both parts have their columns."""
    empty = table(pa.table({"id": pa.array([], pa.int64())}))
    checked = ps.check(empty, {"r": "id > 0"}, fail_above=0, required="id", unique="id", references={"id": [{"id": 1}]})

    assert_split(checked, [], [])
    assert list(ps.engine_of(empty).columns(checked.good)) == ["id"]
    assert list(ps.engine_of(empty).columns(checked.quarantined)) == ["id", "reasons"]


def test_nan_is_a_number_above_all(table):
    """NaN is a value: it is not null, it is above every number, and a condition about it is judged."""
    numbers = table([{"x": float("nan")}, {"x": 1.0}, {"x": None}])

    good, quarantined = ps.check(numbers, {"low": "x < 5", "number": "not isnan(x)"}, required="x")

    assert_tables_equal(good, [{"x": 1.0}])
    reasons = [{"x": float("nan"), "reasons": ["low", "number"]}, {"x": None, "reasons": ["x is required"]}]
    assert_tables_equal(quarantined, reasons)


def test_columns_may_be_called_as_the_plan_calls_its_own(table):
    """No name that a check uses itself is in the way of a column of that name."""
    names = ["t", "k", "same0", "held0", "rows_in", "held0_t", "x", "reason", "Raw"]
    row = dict.fromkeys(names, 1)
    data = table([row, row | {"k": 2}])

    checked = ps.check(
        data,
        {name: f"{name} = 1" for name in names},
        unique=[["t", "k"], names[2:]],
        references={"k": [{"k": 1}], "held0": [{"held0": 1}]},
    )

    same = ", ".join(names[2:]) + " is unique"
    assert_split(
        checked, [], [row | {"reasons": [same]}, row | {"k": 2, "reasons": ["k", same, "k is known"]}]
    )  # fmt: skip


def test_a_field_is_not_taken_for_a_column(table):
    """A rule `t.x` is about the field x of the column t, also where there is a column x."""
    data = table([{"t": {"x": 1}, "x": -1}, {"t": {"x": -1}, "x": 1}])

    good, _ = ps.check(data, {"r": "t.x > 0"})

    assert_tables_equal(good, [{"t": {"x": 1}, "x": -1}])


# -- rules of each sort -----------------------------------------------------------------------------------------------

# Texts, and whether each is a value of the type on both engines.
TYPED: dict[str, dict[bool, list[str]]] = {
    "BIGINT": {
        True: ["1", "-1", "+1", " 1 ", "-0", "0" * 50 + "1", "9223372036854775807", "-9223372036854775808"],
        False: ["", "abc", "1.5", "1.0", "1e3", "0x10", "1_000", "9223372036854775808", "9" * 60, "٣", "--1", "1L"],
    },
    "TINYINT": {True: ["127", "-128"], False: ["128", "-129"]},
    "DOUBLE": {
        True: ["1", "1.5", ".5", "5.", "1e308", "1E-5", "nan", "NaN", "inf", "-Infinity", "+inf", " 1 "],
        False: ["", ".", "1d", "1f", "0x1p3", "1_000.5", "+-1", "-nan", "1e", "e1", "1,5", "٣"],
    },
    "DECIMAL(4, 1)": {True: ["1", "999.9", "1.04", "1e2", ".5", "999.94"], False: ["1000", "999.95", "nan", "1_0", ""]},
    "BOOLEAN": {
        True: ["true", "FALSE", "t", "F", "yes", "No", "y", "n", "1", "0"],
        False: ["", "on", "2", " true ", "1.0", "null", "tru"],
    },
    "DATE": {
        True: ["2026-03-01", "2026-3-1", " 2026-03-01 ", "2024-02-29", "0001-01-01", "9999-12-31"],
        False: ["2026-03", "2026", "2026-02-29", "2026-13-01", "2026/03/01", "2026 03 01", "26-03-01", "20260301",
                "2026-03-01 12:00:00", "epoch", "infinity", "+2026-03-01", "2026-03-01 BC", "today", ""],
    },
    "TIMESTAMP": {
        True: ["2026-03-01", "2026-03-01 12:00", "2026-03-01T12:00:00", "2026-03-01 12:00:00.123456789",
               "2026-03-01T12:00:00.5Z", "2026-03-01 12:00:00+02", "2026-03-01 12:00:00 +0200",
               "2026-03-01 12:00:00 UTC", "2026-3-1 1:2:3", "9999-12-31 23:59:59.999999", "2026-03-01 12:00:00-14:00"],
        False: ["2026-03", "12:00:00", "2026-03-01 12", "2026-03-01 24:00:00", "2026-03-01 23:59:60", "epoch", "",
                "2026-03-01  12:00:00", "2026-03-01 12:00:00 PM", "2026-03-01T12:00:00+19:00", "2026-02-29 00:00:00",
                "2026-03-01T12:00:00+02:60", "2026-03-01T12:00Z", "2026-03-01T12:00:00+1", "2026-03-01 12:60:00"],
    },
}  # fmt: skip


def test_types_mean_the_same_on_both_engines(table):
    """A text is a value of a type as both engines read it: what one of them alone forgives is not."""
    columns = {kind: [*told[True], *told[False]] for kind, told in TYPED.items()}
    length = max(map(len, columns.values()))
    data = pa.table({"row": range(length)} | {k: v + [None] * (length - len(v)) for k, v in columns.items()})

    good, quarantined = ps.check(table(data), types={kind: kind for kind in TYPED})

    reasons = {row["row"]: row["reasons"] for row in rows(quarantined)}
    for kind, told in TYPED.items():
        found = {text: f"{kind} is {kind}" not in reasons.get(i, []) for i, text in enumerate(columns[kind])}
        assert found == dict.fromkeys(told[True], True) | dict.fromkeys(told[False], False)
    assert len(rows(good)) + len(reasons) == length


def test_types_of_any_text_agree(duckdb_engine, spark_engine):
    """Whatever stands in a column, the engines judge it alike: forms of values, bent at random."""
    rng = random.Random(1)

    def bent(text: str) -> str:
        for _ in range(rng.randint(0, 2)):
            at = rng.randint(0, len(text))
            text = text[:at] + rng.choice(["", *"0159-+:. eETZ_/\t"]) + text[at + rng.randint(0, 1) :]
        return text

    def judged(engine: Any) -> set[tuple[str, str]]:
        quarantined = ps.check(engine.adopt(data), types={kind: kind for kind in TYPED}).quarantined
        return {
            (kind, row[kind]) for row in rows(quarantined) for kind in TYPED if f"{kind} is {kind}" in row["reasons"]
        }

    data = pa.table(
        {k: [bent(rng.choice([*told[True], *told[False]])) for _ in range(4000)] for k, told in TYPED.items()}
    )
    found = judged(duckdb_engine)

    assert 5000 < len(found) < 20_000
    assert found ^ judged(spark_engine) == set()


def test_a_column_that_has_the_type_is_right(table):
    """A column of the very type cannot break the rule, however the type is spelled; one of another type is refused."""
    data = table(pa.table({"id": pa.array([1, None], pa.int64()), "name": ["a", None]}))

    assert_tables_equal(ps.check(data, types={"id": "int8", "NAME": "text"}).quarantined, [])
    with pytest.raises(ps.UsageError, match='"id" is BIGINT and not DOUBLE'):
        ps.check(data, types={"id": "DOUBLE"})


def test_a_column_without_any_value_breaks_nothing_but_required(table):
    """A column that has never held a value has no type; nothing is wrong with what is not there."""
    data = table(pa.table({"x": pa.nulls(2)}))
    others = {"types": {"x": "DATE"}, "allowed": {"x": [1]}, "unique": "x", "references": {"x": [{"k": 1}]}}

    _, quarantined = ps.check(data, {"r": "x = x"}, required="x", **others)

    assert_tables_equal(quarantined, [{"x": None, "reasons": ["x is required"]}] * 2)


@pytest.mark.parametrize("kind", ["FOO", "INT) OR (1 = 1", "UUID", "INTEGER[]", "TIME", "HUGEINT", ""])
def test_a_type_that_is_none_is_refused(table, kind):
    """What is no type, or one that a text cannot be checked for on both engines, is refused by the call."""
    with pytest.raises(ps.UsageError):
        ps.check(table(ORDERS), types={"country": kind})


MOMENT = datetime(2026, 3, 1, 12, 0, 0, 5)


@pytest.mark.parametrize(
    ("kind", "values", "beyond", "others"),
    [
        (pa.string(), ["a'b", 'a"b', "a\\b", "", "日本", "{x}", "%s", "?"], [], ["a", " ", "A'B", "\\"]),
        (pa.int32(), [1, -1, 2**31 - 1], [2**31, 2**40], [0, 2, -(2**31)]),
        (pa.int64(), [2**63 - 1, -(2**63)], [2**70], [2**63 - 2, 0]),
        (pa.float64(), [float("nan"), 0.0, float("inf"), 0.1], range(1, 12), [float("-inf"), 0.2, 5e-324]),
        (pa.float32(), [0.1, 3.0, float("nan")], [1], [0.25, 0.0]),
        (
            pa.decimal128(10, 2),
            [Decimal("1.50"), Decimal("1E+2")],
            [2, 0.25, 1.005],
            [Decimal("1.01"), Decimal("1.00")],
        ),
        (pa.bool_(), [True], [], [False]),
        (pa.date32(), [date(2026, 3, 1), date(1, 1, 1)], [], [date(2026, 3, 2)]),
        (pa.timestamp("us"), [MOMENT, datetime(1, 1, 1)], [], [MOMENT + timedelta(microseconds=1)]),
    ],
    ids=["text", "small", "int", "double", "float", "decimal", "bool", "date", "timestamp"],
)
def test_allowed_values_of_any_type(table, kind, values, beyond, others):
    """Each value that is listed may stand in the column, as may null, and no other."""
    right, wrong = pa.array([*values, None], kind), pa.array(others, kind)
    data = pa.table({"x": pa.concat_arrays([right, wrong])})

    good, quarantined = ps.check(table(data), allowed={"x": iter([*values, *beyond, None])})

    assert_tables_equal(good, pa.table({"x": right}))
    assert_tables_equal(quarantined, [{"x": x, "reasons": ["x is allowed"]} for x in wrong.to_pylist()])


def test_both_zeros_are_allowed_as_one(table):
    """-0.0 is 0.0, also in a list that is long enough for Spark to keep it as a set."""
    listed = [0.0, *(float(i) for i in range(1, 20))]

    assert_tables_equal(ps.check(table([{"x": -0.0}, {"x": 1.0}]), allowed={"x": listed}).quarantined, [])
    assert_tables_equal(ps.check(table([{"x": 0.0}, {"x": 1.0}]), allowed={"x": [-0.0, 1]}).quarantined, [])


def test_an_allowed_moment_is_one_of_utc(table):
    """A datetime with a zone is the moment that it means."""
    listed = [datetime(2026, 3, 1, 14, 0, 0, 5, timezone(timedelta(hours=2))), datetime(2026, 1, 1, tzinfo=UTC)]
    data = [{"x": MOMENT}, {"x": datetime(2026, 1, 1)}]

    assert_tables_equal(ps.check(table(data), allowed={"x": listed}).quarantined, [])


def test_one_text_may_be_allowed(table):
    """A text that is given for the list is a value, and not its letters."""
    assert_tables_equal(ps.check(table([{"x": "DE"}, {"x": "D"}]), allowed={"x": "DE"}).good, [{"x": "DE"}])


@pytest.mark.parametrize(
    ("column", "values"),
    [("id", ["1"]), ("id", [1.0]), ("id", [True]), ("country", [1]), ("country", [b"DE"]), ("id", []), ("id", [None])],
)
def test_allowed_values_of_another_type_are_refused(table, column, values):
    """The engines would cast them in two ways; and a list of no value at all is a mistake."""
    with pytest.raises(ps.UsageError, match=f'"{column}"'):
        ps.check(table(ORDERS), allowed={column: values})


def test_all_rows_that_share_a_key_are_apart(table):
    """Of equal keys none is good; a key with a null is no key; NaN equals NaN, and -0.0 equals 0.0."""
    nan = float("nan")
    pairs = [(nan, 1), (nan, 2), (0.0, 1), (-0.0, 1), (1.0, None), (1.0, None), (None, 1), (None, 1)]
    data = [{"i": i, "x": x, "y": y} for i, (x, y) in enumerate(pairs)]

    checked = ps.check(table(data), unique=["x", ["x", "y"]])

    both, one = ["x is unique", "x, y is unique"], ["x is unique"]
    reasons = [one, one, both, both, one, one]
    apart = [row | {"reasons": why} for row, why in zip(data, reasons, strict=False)]
    assert_split(checked, data[6:], apart)


def test_a_reference_is_there_or_not(table):
    """Rows stay single however often the other table has their key; a null refers to nothing, NaN and zeros match."""
    nan = float("nan")
    data = [{"x": x} for x in (nan, -0.0, 1.0, 1.0, 2.0, None)]
    others = pa.table({"any name": [nan, 0.0, 1.0, 1.0, None, None]})

    assert_split(
        ps.check(table(data), references={"x": table(others)}),
        [{"x": nan}, {"x": -0.0}, {"x": 1.0}, {"x": 1.0}, {"x": None}],
        [{"x": 2.0, "reasons": ["x is known"]}],
    )
    empty = table(pa.table({"x": pa.array([None], pa.float64())}))
    assert_tables_equal(ps.check(table(data), references={"x": empty}).good, [{"x": None}])


# -- malformed records ------------------------------------------------------------------------------------------------

LOG = 'h - - [28/Feb/2026:00:00:00 +0000] "GET /{} HTTP/1.1" 200 5'


@pytest.mark.parametrize(
    ("name", "lines", "rule"),
    [
        ("a.csv", ["k,v", "1,2", "1", "", "-1,2", '"x"y,2'], "k > 0"),
        ("a.ndjson", ['{"k":1,"v":2}', '{"k":1', "", '{"k":-1,"v":2}', "5"], "k > 0"),
        ("a.log", [LOG.format("a"), "x", "", LOG.format("b"), "y"], "path = '/a'"),
    ],
)
def test_malformed_records_are_quarantined_whole(engine, tmp_path, name, lines, rule):
    """They break the rule "malformed" alone, with text and place; good rows lose those three columns."""
    (tmp_path / name).write_text("".join(f"{line}\n" for line in lines))
    read = engine.read(str(tmp_path / name), bad="quarantine")
    first = next(iter(engine.columns(read)))

    checked = ps.check(read, {"rule": rule}, required=first, unique=["user" if name == "a.log" else "k"])

    marks = ["raw", "source_file", "source_line"]
    found = [(row["source_line"], row["raw"], row["reasons"]) for row in rows(checked.quarantined)]
    head = name == "a.csv"
    expected = [
        (2 + head, lines[1 + head], ["malformed"]),
        (4 + head, None, ["rule"]),
        (5 + head, lines[4 + head], ["malformed"]),
    ]
    assert sorted(found, key=str) == sorted(expected, key=str)
    assert len(rows(checked.good)) == 1
    assert list(engine.columns(checked.good)) == [c for c in engine.columns(read) if c not in marks]
    assert list(engine.columns(checked.quarantined)) == [*engine.columns(read), "reasons"]


def test_malformed_is_a_rule_by_itself(engine, tmp_path):
    """What was read with bad="quarantine" may be checked for nothing else, and no other rule may have the name."""
    (tmp_path / "a.csv").write_text("k,v\n1,2\nx\n")
    read = engine.read(str(tmp_path / "a.csv"), bad="quarantine")

    assert_tables_equal(ps.check(read).good, [{"k": 1, "v": 2}])
    with pytest.raises(ps.UsageError, match='two rules are called "malformed"'):
        ps.check(read, {"malformed": "k > 0"})


# -- too many bad rows ------------------------------------------------------------------------------------------------


def test_at_the_limit_is_not_above_it(table):
    """29 of 100 rows are not more than 0.29 of them; 30 are, and the error counts the reasons of all."""
    data = table([{"x": x} for x in range(100)])

    assert len(rows(ps.check(data, {"r": "x >= 29"}, fail_above=0.29).quarantined)) == 29
    checked = ps.check(data, {"high": "x >= 30", "even": "x % 2 = 0 or x > 9"}, fail_above=0.29)
    with pytest.raises(ps.CheckFailed, match=r"30 of 100 rows are bad \(30.00%\), and fail_above is 29.00%") as failed:
        rows(checked.good)
    assert failed.value.exit_code == 3
    assert failed.value.hint == "high: 30, even: 5"
    with pytest.raises(ps.CheckFailed):
        rows(checked.quarantined)


def test_any_share_is_held_exactly():
    """A limit in whole percents lets exactly so many rows be bad, and not one more."""
    for rows_ in (100, 700, 12_300):
        for percent in range(100):
            bad = rows_ * percent // 100
            refuse_above(Counts(rows_, bad, {}), percent / 100)
            with pytest.raises(ps.CheckFailed):
                refuse_above(Counts(rows_, bad + 1, {}), percent / 100)
    refuse_above(Counts(0, 0, {}), 0)


@pytest.mark.parametrize("share", [-0.1, 1.1, 5, float("nan")])
def test_a_share_is_one(table, share):
    """`fail_above` is between 0 and 1."""
    with pytest.raises(ps.UsageError, match="from 0 to 1"):
        ps.check(table(ORDERS), {"r": "id > 0"}, fail_above=share)


# -- lazy, once -------------------------------------------------------------------------------------------------------


def test_nothing_runs_until_it_is_asked_and_then_once(engine, tmp_path, monkeypatch):
    """The call runs nothing; then one statement marks the rows and reads the file once, whatever is asked."""
    pq.write_table(pa.table({"x": range(10), "y": range(10)}), tmp_path / "a.parquet")
    ran: list[str] = []

    def count(verb: str) -> None:
        real = getattr(type(engine), verb)

        def counted(self: Any, table: Any) -> Any:
            ran.append(verb)
            return real(self, table)

        monkeypatch.setattr(type(engine), verb, counted)

    count("materialize")
    count("batches")
    checked = ps.check(
        engine.read(str(tmp_path / "a.parquet")),
        {"r": "x > 5"},
        required="y",
        allowed={"x": range(8)},
        unique=["x", "y"],
    )
    scan = "FileScan parquet" if engine.name == "spark" else "READ_PARQUET"
    assert engine.explain(checked.marked).upper().count(scan.upper()) == 1
    assert ran == []

    good, quarantined = checked
    assert ran == ["materialize"]
    assert [len(rows(part)) for part in (good, quarantined, checked.good)] == [2, 8, 2]
    assert ran.count("materialize") == 1


def test_rules_about_the_row_move_nothing(engine, tmp_path):
    """Without `unique` and `references` a check reads, computes and writes: no exchange, no join."""
    pq.write_table(pa.table({"x": range(10), "y": ["1"] * 10}), tmp_path / "a.parquet")

    checked = ps.check(
        engine.read(str(tmp_path / "a.parquet")),
        {"r": "x > 5"},
        required="y",
        types={"y": "INTEGER"},
        allowed={"x": [6, 7]},  # DuckDB makes a join of a longer list
    )

    assert engine.is_narrow(checked.marked)


# -- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        {"rules": {"r": "amuont > 0"}},
        {"required": "amuont"},
        {"required": ["id", "amuont"]},
        {"types": {"amuont": "INTEGER"}},
        {"allowed": {"amuont": [1]}},
        {"unique": "amuont"},
        {"unique": [["id", "amuont"]]},
        {"references": {"amuont": [{"x": 1}]}},
    ],
    ids=str,
)
def test_an_unknown_column_is_named_with_its_nearest(table, arguments):
    """A misspelt column in a rule of any sort fails when the call is made, and the message offers the right one."""
    with pytest.raises(ps.ColumnError, match=r'no column "amuont" .*did you mean "amount"'):
        ps.check(table(ORDERS), **arguments)


@pytest.mark.parametrize(
    ("predicate", "message"),
    [
        ("amount", "no condition, it is BIGINT"),
        ("upper(country)", "no condition, it is VARCHAR"),
        ("amount >", "not SQL"),
        ("sum(amount) > 1", "more than one row"),
        ("amount > avg(amount) OVER ()", "more than one row"),
        ("row_number() OVER (ORDER BY id) = 1", "more than one row"),
        ("id IN (SELECT 1)", "more than one row"),
        ("EXISTS (SELECT 1)", "more than one row"),
        ("unnest([true, false])", "more than one row"),
        ("random() > 0.5", "differs from run to run"),
    ],
)
def test_a_rule_is_a_condition_of_its_row(table, predicate, message):
    """Numbers, texts, and what looks at other rows are refused by the call."""
    with pytest.raises(ps.UsageError, match=message):
        ps.check(table(ORDERS), {"r": predicate})


def test_a_condition_that_is_always_null_is_never_broken(table):
    """`NULL` is a condition, and an unknown one."""
    assert_tables_equal(ps.check(table(ORDERS), {"r": "NULL"}).good, ORDERS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "no rule"),
        ({"rules": {}, "required": [], "unique": []}, "no rule"),
        ({"rules": {"id is required": "id > 0"}, "required": "id"}, 'two rules are called "id is required"'),
        ({"required": ["id", "ID"]}, 'two rules are called "id is required"'),
        ({"unique": [[]]}, "no key to be unique"),
        ({"references": {"id": [{"a": 1, "b": 2}]}}, "select one"),
        ({"references": {"country": [{"a": 1}]}}, "VARCHAR.*BIGINT"),
    ],
    ids=str,
)
def test_a_check_that_cannot_be_meant_is_refused(table, arguments, message):
    """No rule at all, two of one name, an empty key, a table that is no list of keys."""
    with pytest.raises(ps.UsageError, match=message):
        ps.check(table(ORDERS), **arguments)


@pytest.mark.parametrize("name", ["reasons", "Reasons"])
def test_the_name_of_the_reasons_is_taken(table, name):
    """A table that has the column already would have it twice."""
    with pytest.raises(ps.UsageError, match="rename"):
        ps.check(table([{name: 1}]), {"r": "true"})
