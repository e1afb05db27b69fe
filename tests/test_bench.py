"""The bench: contenders run in processes of their own, their answers are compared, and the numbers are written."""

import json
from datetime import datetime

import duckdb
import pyarrow as pa
import pytest
from bench import answers, data, peers
from bench.__main__ import PATTERNS, main
from bench.harness import load
from click.testing import CliRunner

ONE = pa.table({"k": ["a", "b"], "v": [1.0, 2.0]})


@pytest.fixture
def bench(tmp_path, monkeypatch):
    """The command line of the bench, with its data and results in a folder of the test."""
    monkeypatch.setattr(data, "FOLDER", tmp_path / "data")

    def run(*args):
        result = CliRunner().invoke(main, [*args, "--rows", "20000", "--rounds", "2", "--into", str(tmp_path)])
        reports = [json.loads(file.read_text()) for file in tmp_path.glob("*.json")]
        return result, reports[0] if reports else None

    return run


def test_peers_agree_and_are_measured(bench):
    """DuckDB and Polars answer alike; every timed round and the peak memory are written as JSON and shown."""
    result, report = bench("top_n", "--only", "duckdb,polars,duckdb-any-ties")

    assert result.exit_code == 0, result.output
    assert list(report["contenders"]) == ["duckdb", "polars", "duckdb-any-ties"]
    for name, measured in report["contenders"].items():
        assert name in result.output
        assert len(measured["seconds"]) == 2
        assert min(measured["seconds"]) <= measured["median"] <= max(measured["seconds"])
        assert measured["rows"] == report["contenders"]["duckdb"]["rows"] > 10
        assert measured["ratio"] is None  # nothing of Penstock's ran
    assert report["versions"]["polars"] and report["machine"]["cores"]


def test_penstock_is_the_measure(bench):
    """A ratio is the time over that of Penstock on the same engine."""
    result, report = bench("top", "--only", "penstock-duckdb,duckdb")

    ours, peer = report["contenders"]["penstock-duckdb"], report["contenders"]["duckdb"]
    assert result.exit_code == 0, result.output
    assert ours["ratio"] == 1
    assert peer["ratio"] == pytest.approx(peer["median"] / ours["median"])


def test_other_rows_fail_the_bench(bench, monkeypatch):
    """A contender that gives other rows than the first is named with the difference, and the exit code is 1."""
    monkeypatch.setattr(answers, "disagreement", lambda *args, **options: "has 3 rows, not 1")
    result, report = bench("mode", "--only", "duckdb,polars")

    assert result.exit_code == 1
    assert report["failed"] == {"polars": "disagrees with duckdb: it has 3 rows, not 1"}
    assert "polars: disagrees with duckdb" in result.output


def test_a_missing_peer_is_left_out(bench, monkeypatch):
    """A peer that is not installed is reported with what to install, and does not fail the bench."""
    monkeypatch.setattr(peers, "find_spec", lambda package: None if package == "polars" else package)
    result, report = bench("where", "--only", "duckdb,polars")

    assert result.exit_code == 0
    assert list(report["contenders"]) == ["duckdb"]
    assert report["left_out"] == {"polars": "not installed: pip install 'penstock[bench]'"}


def test_an_unknown_contender_is_refused(bench):
    """A misspelt name is refused with the names there are, before anything runs."""
    result, report = bench("top", "--only", "duckbd")

    assert (result.exit_code, report) == (2, None)
    assert "no contender duckbd; top has: penstock-duckdb, " in result.output


@pytest.mark.parametrize(
    ("polars", "reason"),
    [("raise OSError('no room')", "OSError: no room"), ("import os; os._exit(9)", "its process ended with 9")],
)
def test_a_failing_contender_is_named(bench, monkeypatch, tmp_path, polars, reason):
    """A contender that raises, or whose process dies, is named with the reason; the others are still measured."""
    (tmp_path / "polars.py").write_text(polars)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    result, report = bench("top", "--only", "duckdb,polars")

    assert result.exit_code == 1
    assert list(report["contenders"]) == ["duckdb"]
    assert report["failed"]["polars"].startswith(reason)


@pytest.mark.parametrize(
    ("theirs", "difference"),
    [
        (pa.table({"v": [2.0 + 1e-12, 1.0], "k": ["b", "a"]}), ""),
        (pa.table({"k": pa.array(["a", "b"]).dictionary_encode(), "v": pa.array([1, 2], pa.uint8())}), ""),
        (pa.table({"k": ["a", "b"], "v": [1.0, 2.0 + 1e-6]}), "says ('b', 2.000001), not ('b', 2.0), in k, v"),
        (pa.table({"k": ["a", "b"], "v": [1.0, None]}), "says ('b', None), not ('b', 2.0), in k, v"),
        (ONE.slice(1), "has 1 rows, not 2"),
        (ONE.select(["k"]), "has no column v"),
    ],
)
def test_rows_are_compared_not_types_or_order(theirs, difference):
    """Order, integer width and the last bits of a float are free; values, nulls, rows and columns are not."""
    assert answers.disagreement(ONE, theirs) == difference


def test_an_ordered_answer_has_one_order():
    """Where a pattern orders its rows, their order is compared too."""
    turned = ONE.take([1, 0])

    assert answers.disagreement(ONE, turned) == ""
    assert answers.disagreement(ONE, turned, ordered=True).startswith("says ('b', 2.0), not ('a', 1.0)")


def test_time_zones_name_the_same_instant():
    """A naive timestamp is one in UTC."""
    at = [datetime(2026, 1, 1)]
    naive, aware = (pa.table({"at": pa.array(at, pa.timestamp("us", zone))}) for zone in (None, "UTC"))

    assert answers.disagreement(naive, aware) == ""


def test_events_follow_from_the_seed(tmp_path, monkeypatch):
    """The same seed gives the same file on any number of threads, another seed another one."""
    files = {}
    for threads, seed in ((1, 1), (4, 1), (4, 2)):
        monkeypatch.setattr(data, "FOLDER", tmp_path / f"{threads}-{seed}")
        with duckdb.connect(config={"threads": threads}) as connection:
            monkeypatch.setattr(duckdb, "sql", connection.sql)
            files[threads, seed] = data.events(300_000, seed).read_bytes()

    assert files[1, 1] == files[4, 1] != files[4, 2]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_pattern_has_every_peer(pattern):
    """Each bench sets this project on both engines beside all the peers, those that leave ties open last."""
    contenders = load(pattern).CONTENDERS
    open_ties = [bool(contender.determined) for contender in contenders.values()]

    assert list(contenders)[:2] == ["penstock-duckdb", "penstock-spark"]
    assert {"duckdb", "polars", "chdb", "datafusion", "pyspark"} <= contenders.keys()
    assert open_ties == sorted(open_ties)
