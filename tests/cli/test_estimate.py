"""`penstock estimate`: a table or JSON on stdout, and what this machine can do."""

import json
from pathlib import Path

import pytest

from penstock.estimates import calibrate

CLICKSTREAM = (
    "estimate", "--bytes", "100TB", "--format", "json.gz", "--files", "12000", "--machines", "200", "--cores", "16",
    "--memory", "64GB", "--network", "10Gb/s", "--disk-size", "1TB", "--shuffle", "100%", "--shuffle", "100%",
    "--broadcast", "10GB", "--broadcast", "500MB",
)  # fmt: skip


def test_the_engines_side_by_side(penstock):
    """One machine, Spark and MapReduce, then the arithmetic with the numbers in it."""
    result = penstock(*CLICKSTREAM)

    assert (result.code, result.err) == (0, "")
    for said in (
        "  duckdb, 1 machine ", "> spark, 200 machines ", "  mapreduce, 200 machines ",
        "100 TB / 128 MB = 781,250 tasks, say 800,000", "100 TB / (200 x 1.25 GB/s) = 400 s",
        "12,000 files on 3,200 cores = 4 waves",
    ):  # fmt: skip
        assert said in result.out


def test_the_same_as_json(penstock):
    """--json is the whole estimate; --engine leaves one, and with it no comparison."""
    found = json.loads(penstock(*CLICKSTREAM, "--engine", "spark", "--json").out)

    assert (found["format_version"], found["crossover_bytes"]) == ("1.0", None)
    assert [side["engine"] for side in found["engines"]] == ["spark"]
    assert 20 * 60 < found["engines"][0]["seconds"]["mid"] < 30 * 60


def test_no_wide_step_at_all(penstock):
    """`--shuffle 0` is none; without the option there is one that moves everything."""
    none, one = (json.loads(penstock("estimate", "--bytes", "1TB", "--json", *more).out)["work"]["shuffles"]
                 for more in (["--shuffle", "0"], []))  # fmt: skip

    assert (none, one) == ([], [1.0])


@pytest.mark.parametrize(
    ("words", "error", "help"),
    [
        ([], "how much is there to read?", "100 TB"),
        (["--bytes", "5XB"], '"5XB" is not a size', "256MB"),
        (["--bytes", "-5GB"], '"-5GB" is not a size', "256MB"),
        (["--bytes", "1TB", "--machines", "0"], "machines is 0", "from 1 on"),
        (["--bytes", "1TB", "--engine", "sparc"], 'unknown engine "sparc"', "did you mean spark?"),
        (["--bytes", "1TB", "--format", "xml"], 'unknown format "xml"', "parquet"),
        (["--bytes", "1TB", "--network", "fast"], '"fast" is no speed', "10 Gb/s"),
    ],
)
def test_what_means_nothing_is_refused(penstock, words, error, help):
    """Exit code 2, one line for what is wrong and one for how to write it, and nothing on stdout."""
    result = penstock("estimate", *words)

    assert (result.code, result.out) == (2, "")
    assert result.err.splitlines()[0] == f"error: {error}"
    assert help in result.err.splitlines()[1]


def test_calibrating_and_what_comes_of_it(penstock, monkeypatch):
    """What was measured is told and kept here; the next estimate of one machine rests on it, unless told not to."""
    monkeypatch.setattr(calibrate.measure, "__kwdefaults__", {"rows": 2_000, "disk_bytes": 1_000_000})
    measured = penstock("estimate", "--calibrate")
    after, plain = (json.loads(penstock("estimate", "--bytes", "1GB", "--engine", "duckdb", "--json", *more).out)
                    for more in ([], ["--not-measured"]))  # fmt: skip

    assert measured.code == 0
    assert "JSON read" in measured.out
    assert measured.err.startswith("note: kept in ")
    assert Path(".penstock/machine.json").exists()
    assert Path(".penstock/.gitignore").read_text() == "*\n"
    assert [found["engines"][0]["steps"][1]["needs"][0]["seconds"]["basis"] for found in (after, plain)] == [
        "sample", "model",
    ]  # fmt: skip


def test_calibrating_as_json(penstock, monkeypatch):
    """The record that is kept is the record that is printed."""
    monkeypatch.setattr(calibrate.measure, "__kwdefaults__", {"rows": 2_000, "disk_bytes": 1_000_000})

    result = penstock("estimate", "--calibrate", "--json")

    assert json.loads(result.out) == json.loads(Path(".penstock/machine.json").read_text())


def test_runs_are_still_found_beside_a_measurement(penstock, monkeypatch):
    """The file in `.penstock` is no job."""
    monkeypatch.setattr(calibrate.measure, "__kwdefaults__", {"rows": 2_000, "disk_bytes": 1_000_000})
    penstock("estimate", "--calibrate")

    assert penstock("runs").code == 0
