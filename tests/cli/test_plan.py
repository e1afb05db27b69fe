"""`penstock plan`: what a query or a job will move, held to budgets, and beside what was measured."""

import gzip
import json
import re
import textwrap
from pathlib import Path

import pytest

from penstock.forecasts import text_samples

TOTALS = "SELECT country, sum(amount) AS total FROM t GROUP BY country"
JOB = """
    import penstock as ps
    job = ps.Job("shop")

    @job.source
    def sales(input: str = "sales.csv"):
        return ps.read(input)

    @job.step
    def totals(sales, least: int = 0):
        return ps.aggregate(ps.where(sales, f"amount > {least}"), "country", total="sum(amount)")

    @job.sink("out")
    def best(totals):
        return ps.sort(totals, "total desc")
"""


@pytest.fixture(autouse=True)
def job(folder):
    """A job of three functions."""
    Path("job.py").write_text(textwrap.dedent(JOB))


def cells(line):
    """The cells of a line of a table."""
    return re.split(r"  +", line.strip())


def test_the_plan_of_a_query(penstock):
    """Its steps, their rows and what they move; nothing is run, and nothing is said on standard error."""
    result = penstock("plan", TOTALS, "sales.csv")

    assert (result.code, result.err) == (0, "")
    assert result.lines[0] == "2 steps, 1 wide · duckdb"
    assert result.lines[1].endswith("Nothing was run.")
    assert cells(result.lines[4]) == ["1", "read sales.csv", "narrow", "=4", "-", "-", "csv"]
    assert cells(result.lines[5])[:4] == ["2", "group by country", "WIDE", "=3"]


def test_what_was_measured_stands_beside(penstock):
    """With --run the query is run as well, and each wide step has what came of it."""
    result = penstock("plan", TOTALS, "sales.csv", "--run")

    at = next(number for number, line in enumerate(result.lines) if "forecast is" in line)
    assert result.lines[1].endswith("Then it was run.")
    assert [cells(line) for line in result.lines[at : at + 3]] == [
        ["rows out", "forecast", "measured", "forecast is"],
        ["2", "group by country", "3", "3", "1.00x"],
        ["all", "3", "3", "1.00x"],
    ]


def test_a_plan_as_json(penstock):
    """--json is the whole plan and nothing else: every figure with its range and basis, and what was measured."""
    result = penstock("plan", TOTALS, "sales.csv", "--json", "--run")

    found = json.loads(result.out)
    assert (result.err, found["engine"], [step["name"] for step in found["steps"]]) == (
        "", "duckdb", ["read sales.csv", "group by country"],
    )  # fmt: skip
    moved = found["steps"][1]["moved_bytes"]
    assert moved["low"] <= moved["mid"] <= moved["high"]
    assert (moved["basis"], found["steps"][1]["measured"]["out"], found["measured"]["ratio"]) == ("sample", 3, 1.0)


def test_the_plan_of_a_job(penstock):
    """Its steps under the names of its functions; parameters are given as to a run, and nothing is written."""
    result = penstock("plan", "job.py", "-p", "least=6")

    assert result.code == 0
    assert result.lines[0] == "shop · 5 steps, 3 wide · duckdb"
    assert [cells(line)[1] for line in result.lines[4:9]] == [
        "sales: read sales.csv", "totals: filter", "totals: group by country", "best: sort by total, country",
        "best: write out",
    ]  # fmt: skip
    assert cells(result.lines[5])[3] == "=2"
    assert not Path("out").exists()


def test_a_job_is_run_beside_its_plan(penstock):
    """With --run it is run as `penstock run` does it, and the forecast's hit is kept with the project."""
    result = penstock("plan", "job.py", "--run")

    assert result.code == 0
    assert "forecast is" in result.out
    assert Path("out").exists()
    assert "of 1 forecasts kept in .penstock" in result.err


def test_a_budget_that_is_not_kept(penstock):
    """Exit 5 with the two steps to blame, by their function and line."""
    result = penstock("plan", "job.py", "--max-moved", "100B")

    assert result.code == 5
    error, blamed = result.err.splitlines()[-2:]
    assert re.fullmatch(r"error: about \d+ B would be moved, and 100 B may be", error)
    assert re.fullmatch(
        r"  = help: most of it is for: \d+ B  \w+: .* \(job\.py:\d+\); \d+ B  \w+: .* \(job\.py:\d+\)", blamed
    )


@pytest.mark.parametrize("budget", [["--max-moved", "1MB"], ["--max-memory", "1GB"], ["--max-files", "10"]])
def test_a_budget_that_is_kept(penstock, budget):
    """Then nothing is said of it."""
    result = penstock("plan", "job.py", *budget)

    assert (result.code, "error" in result.err) == (0, False)


@pytest.mark.parametrize(
    ("budget", "said"), [(["--max-memory", "1B"], "held by one task"), (["--max-files", "0"], "files would be written")]
)
def test_other_budgets(penstock, budget, said):
    """What a task holds, and how many files are written."""
    result = penstock("plan", "job.py", *budget)

    assert result.code == 5
    assert said in result.err


def test_a_format_without_statistics(penstock, monkeypatch):
    """Of a large csv.gz rows are estimated and never said to be exact; where nothing is known there is a `?`."""
    monkeypatch.setattr(text_samples, "TEXT", 1 << 16)
    lines = (f"{n % 7},page {n * 7919 % 100_003}\n" for n in range(60_000))
    Path("big.csv.gz").write_bytes(gzip.compress(("k,url\n" + "".join(lines)).encode(), 1))

    result = penstock("plan", "SELECT url, count(*) AS n FROM t GROUP BY url", "big.csv.gz")

    rows = [cells(line) for line in result.lines if re.match(r" [12]  ", line)][:2]
    assert [(row[1], row[2], row[3][0]) for row in rows] == [
        ("read big.csv.gz", "narrow", "~"), ("group by url", "WIDE", "~"),
    ]  # fmt: skip


def test_sql_that_does_not_parse(penstock):
    """A caret stands under the token that was not expected."""
    result = penstock("plan", "SELECT country FROM t WHERE amount = = 3", "sales.csv")

    assert (result.code, result.out) == (2, "")
    first, text, caret, help_ = result.err.splitlines()
    assert (first, text) == ("error: this is not SQL:", "SELECT country FROM t WHERE amount = = 3")
    assert caret.index("^") == text.index("= 3")
    assert help_.startswith("  = help: ")


@pytest.mark.parametrize(
    ("words", "what", "hint"),
    [
        (["SELECT k FROM u", "sales.csv"], 'no table "u" was given', "there is: t"),
        (["SELECT contry FROM t", "sales.csv"], "contry", ""),
        (["SELECT 1 AS one"], "has no files", "penstock plan job.py"),
        ([TOTALS, "sale.csv"], "no such file: sale.csv", 'did you mean "sales.csv"?'),
        (["jab.py"], "jab.py", ""),
        ([TOTALS, "sales.csv", "--cluster", "core=3"], 'a cluster has no "core"', "cores"),
        ([TOTALS, "sales.csv", "--cluster", "machines"], '"machines" describes no cluster', "--cluster NAME=VALUE"),
        ([TOTALS, "sales.csv", "--cluster", "reducers=0"], 'cannot have reducers="0"', "a whole number from 1 on"),
        ([TOTALS, "sales.csv", "--max-moved", "lots"], '"lots" is not a size', "256MB"),
        (["DELETE FROM t", "sales.csv"], "this is not a query", "write one SELECT"),
    ],
)  # fmt: skip
def test_what_cannot_be_planned(penstock, words, what, hint):
    """Exit 2, nothing on standard output, what is wrong and what to do."""
    result = penstock("plan", *words)

    assert (result.code, result.out) == (2, "")
    assert what in result.err
    assert hint in result.err


def test_another_cluster(penstock):
    """What it is planned for is said in words: rows in more streams have more headers."""
    moved = []
    for reducers in (2, 200):
        result = penstock("plan", TOTALS, "sales.csv", "--cluster", f"reducers={reducers}", "--json")
        moved.append(json.loads(result.out)["moved_bytes"]["mid"])

    assert moved[0] < moved[1]
