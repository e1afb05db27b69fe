"""The same command prints the same bytes whichever engine runs it."""

import datetime
import random
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from penstock.catalog import PATTERNS

KEY = '"the ""key"""'
COMMANDS = {
    "where": [["id % 2 = 0"]],
    "derive": [[
        "half=amount / 2", "whole=id // 7", "rest=-id % 7", "day=date_trunc('day', at)", "big=upper(text)",
        "n=-amount", "twice=price * 2", "letters=length(text)", "never=1 / 0",
    ]],
    "aggregate": [
        [
            "--by", KEY, "n=count(*)", "total=sum(amount)", "mean=avg(amount)", "spread=stddev(amount)", "last=max(at)",
            "texts=list(text ORDER BY text)", "paid=sum(price)", "any=any_value(text)", "ids=sum(id)",
            "middle=quantile_cont(amount, 0.9)", "most=arg_max(text, amount)", "kinds=count(DISTINCT text)",
        ],
        ["--by", "day=date_trunc('day', at)", "--by", "flag", "n=count(*)"],
    ],
    "top": [["--by", KEY], ["--by", f"{KEY},flag", "--weight", "amount", "-n", "5"]],
    "top_n": [["--by", KEY, "--order", "amount desc", "-n", "2"], ["--by", "flag", "--order", "id", "--ties", "all"]],
    "mode": [["--column", "amount"], ["--column", "text", "--by", KEY, "--ties", "all"]],
    "distinct": [[], ["--columns", f"{KEY},flag"]],
    "count_distinct": [[], ["--columns", "text,flag", "--by", KEY]],
    "sort": [["--order", "amount desc, text"], ["--order", "lower(text)"]],
    "sessionize": [["--by", KEY, "--at", "at"], ["--by", f"{KEY},flag", "--at", "at", "--max-length", "20 minutes"]],
    "sessions": [["--by", KEY, "--at", "at"], ["--by", KEY, "--at", "at", "--max-length", "1h", "total=sum(amount)"]],
    "dedup": [["--by", KEY, "--at", "at"], ["--by", f"{KEY},flag", "--at", "at", "--within", "1h"]],
    "join": [
        ["--right", "part1.parquet", "--on", f"{KEY},flag", "--how", "full"],
        ["--right", "part0.parquet", "--on", "id=id"],
    ],
    "asof_join": [["--right", "part1.parquet", "--on", KEY, "--at", "at", "--tolerance", "3h"]],
    "range_join": [
        ["--right", "part1.parquet", "--value", "price", "--low", "price", "--high", "price", "--how", "left"],
    ],
}  # fmt: skip
SCHEMA = pa.schema({
    "id": pa.int64(), 'the "key"': pa.string(), "amount": pa.float64(), "price": pa.decimal128(10, 2),
    "at": pa.timestamp("us"), "flag": pa.bool_(), "text": pa.string(),
})  # fmt: skip


@pytest.fixture
def files(folder: Path) -> list[str]:
    """Rows of every kind in three files of unlike sizes; the smallest is named first, the largest last."""
    chance = random.Random(4)
    start = datetime.datetime(2026, 3, 1)
    for number, size in enumerate([3, 40, 1200]):
        rows = [
            {
                "id": 10_000 * number + i,
                'the "key"': chance.choice(["DE", "", None, 'a,"b', "ü"]),
                "amount": chance.choice([None, round(chance.gauss(0, 100), 2)]),
                "price": chance.choice([None, Decimal(chance.randint(0, 50_000)) / 100]),
                "at": start
                + datetime.timedelta(seconds=chance.randint(0, 400_000), microseconds=chance.choice([0, 1])),
                "flag": chance.choice([True, False, None]),
                "text": chance.choice(["x,y", 'q"q', "", "é", " lead", None]),
            }
            for i in range(size)
        ]
        pq.write_table(pa.Table.from_pylist(rows, SCHEMA), f"part{number}.parquet", row_group_size=200)
    return ["part1.parquet", "part0.parquet", "part2.parquet"]


@pytest.mark.parametrize("name", [pattern.name for pattern in PATTERNS])
def test_both_engines_print_the_same_bytes(penstock, spark_engine, files, name):
    """Every verb prints, in csv, byte for byte the same on DuckDB and on Spark, over several files too."""
    for words in COMMANDS[name]:
        duckdb = penstock(name, *files, *words)
        spark = penstock(name, *files, *words, "-e", "local[2]")

        assert (duckdb.code, spark.code) == (0, 0), spark.err
        assert len(duckdb.lines) > 1
        assert spark.bytes == duckdb.bytes


def test_narrow_verbs_keep_the_order_of_the_files(penstock, spark_engine, files):
    """Rows come file after file as these were named, on Spark too, which reads the largest first."""
    for engine in ("duckdb", "local[2]"):
        printed = penstock("where", *files, "id >= 0", "-e", engine)
        ids = [int(line.split(",")[0]) for line in printed.lines[1:]]

        assert ids == [*range(10_000, 10_040), *range(3), *range(20_000, 21_200)]


@pytest.mark.parametrize(
    "words",
    [
        ["top", "access.log", "--by", "path"],
        ["aggregate", "access.log", "--by", "status", "n=count(*)"],
        ["where", "access.log", "status = 200"],
    ],
    ids=lambda words: words[0],
)
def test_a_log_is_read_and_counted_alike(penstock, spark_engine, words):
    """Rows and the number of malformed lines are the same on both engines, counted along or by themselves."""
    duckdb = penstock(*words)
    spark = penstock(*words, "-e", "local[2]")

    assert (spark.code, spark.bytes, spark.err) == (0, duckdb.bytes, duckdb.err)
    assert duckdb.err.startswith("note: 1 of 4 lines did not parse")
