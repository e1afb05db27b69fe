"""The verbs that are no patterns: query, convert, doctor."""

from importlib.metadata import version
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from penstock.cli import doctor


def test_a_query_over_files(penstock):
    """SQL sees the files as t, and its order is the order of the rows."""
    result = penstock("query", "SELECT country, 7 // amount AS q FROM t ORDER BY amount DESC LIMIT 2", "sales.csv")

    assert result.lines == ["country,q", "DE,0", "DE,1"]


def test_a_query_changes_nothing(penstock):
    """Only a SELECT is taken."""
    result = penstock("query", "DROP TABLE t", "sales.csv")

    assert result.code == 2
    assert "this is not a query" in result.err


def test_converting_to_standard_output(penstock):
    """`convert --format` prints the same rows in another format."""
    result = penstock("convert", "sales.csv", "--format", "ndjson")

    assert len(result.lines) == 4
    assert result.lines[3] == '{"country": null, "amount": 1, "at": "2026-03-02 00:00:00"}'


def test_converting_needs_to_know_into_what(penstock):
    """`convert` with neither -o nor --format would be `cat`."""
    result = penstock("convert", "sales.csv")

    assert (result.code, result.err.splitlines()[0]) == (2, "error: convert was not told into what")


@pytest.mark.parametrize("verb", [["convert", "sales.csv"], ["where", "sales.csv", "true"]])
def test_writing_files(penstock, verb):
    """`-o` writes there, says so on stderr and prints nothing; the ending tells the format."""
    result = penstock(*verb, "-o", "out.parquet")

    assert (result.code, result.out) == (0, "")
    assert result.err.startswith("note: wrote out.parquet: 4 rows, ")
    assert pq.read_table("out.parquet").num_rows == 4


def test_what_is_there_already_is_kept(penstock):
    """Without --mode a second write is refused; with it the output is replaced."""
    assert penstock("convert", "sales.csv", "-o", "out.parquet").code == 0
    refused = penstock("where", "sales.csv", "amount > 5", "-o", "out.parquet")
    kept = pq.read_table("out.parquet").num_rows
    replaced = penstock("where", "sales.csv", "amount > 5", "-o", "out.parquet", "--mode", "overwrite")

    assert (refused.code, kept) == (2, 4)
    assert (replaced.code, pq.read_table("out.parquet").num_rows) == (0, 2)


def test_a_sorted_result_is_written_in_order(penstock):
    """`sort -o` writes the rows in the order that it would print."""
    assert penstock("sort", "sales.csv", "--order", "amount desc", "-o", "out.parquet").code == 0

    assert pq.read_table("out.parquet")["amount"].to_pylist() == [10, 7, 5, 1]


def test_converting_into_folders_by_value(penstock):
    """`--partition-by` makes a folder for each value."""
    assert penstock("convert", "sales.csv", "-o", "out", "--partition-by", "country").code == 0

    assert {"country=DE", "country=FR"} <= {path.name for path in Path("out").iterdir()}
    assert penstock("where", "out", "country = 'DE'").lines[0].split(",")[-1] == "country"


def test_the_doctor_looks_around(penstock, java):
    """Versions of the engines, the Java that Spark would use, memory and room."""
    said = dict(line.split(maxsplit=1) for line in penstock("doctor").lines)

    assert said["duckdb"] == version("duckdb")
    assert int(said["java"].split(".")[0]) >= 17
    assert {"cores", "memory", "scratch", "engine", "format"} <= set(said)


def test_the_doctor_says_how_to_get_what_is_missing(penstock, monkeypatch):
    """Without Java or a package the line is what to type."""
    monkeypatch.setattr(doctor.shutil, "which", lambda _: None)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setitem(doctor.PACKAGES, "no-such-package", "pip install it")

    out = penstock("doctor").out

    assert f"not found, and Spark needs 17 or newer: {doctor.INSTALL_JAVA}" in out
    assert "not installed: pip install it" in out
