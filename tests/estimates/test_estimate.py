"""Estimates: the arithmetic that can be checked by hand, what holds an engine up, and where a cluster begins to pay."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

import penstock as ps
from penstock.figures import total

#: A day of clicks: 100 TB of JSON in 12 000 gzip files, deduplicated, enriched and put in order for a lake.
CLICKSTREAM: dict[str, Any] = {
    "bytes": "100TB", "format": "json.gz", "files": 12_000, "machines": 200, "cores": 16, "memory": "64GB",
    "network": "10 Gb/s", "disk_size": "1TB", "shuffles": 2, "broadcasts": ["10GB", "500MB"],
}  # fmt: skip


def estimated(**given: Any) -> Any:
    """An estimate that does not depend on what was measured of the machine that the tests run on."""
    return ps.estimate(**{"measured": False} | given)


def step(found: Any, engine: str, name: str) -> Any:
    """The step of an engine whose name begins so."""
    return next(step for step in found.engines[engine].steps if step.name.startswith(name))


def warned(found: Any, engine: str) -> str:
    """All that an engine's side warns of."""
    return "\n".join(found.engines[engine].warnings)


# -- the day of clicks ------------------------------------------------------------------------------------------------


def test_the_back_of_an_envelope() -> None:
    """Tasks, tasks a core, seconds and shuffles are the plain quotients, with the numbers in the formulas."""
    assert [(line.name, line.formula, line.value) for line in estimated(**CLICKSTREAM).envelope] == [
        ("tasks", "100 TB / 128 MB = 781,250 tasks, say 800,000", 781_250),
        ("waves", "781,250 / (200 x 16 cores) = 245 tasks a core, say 250", 245),
        ("map", "245 x 2 s = 490 s, say 500, at 64 MB/s a core", 490),
        ("shuffle 1", "100 TB / (200 x 1.25 GB/s) = 400 s", 400),
        ("shuffle 2", "100 TB / (200 x 1.25 GB/s) = 400 s", 400),
        ("together", "490 + 400 + 400 s = 22 min", 1_290),
    ]


def test_files_that_cannot_be_split_make_the_tasks() -> None:
    """12 000 gzip files are 12 000 tasks of a whole file each, in four waves; plain JSON is split into 128 MB."""
    packed, plain = estimated(**CLICKSTREAM), estimated(**CLICKSTREAM | {"format": "json"})

    assert packed.work.tasks == 12_000
    assert plain.work.tasks > 780_000
    assert step(packed, "spark", "read").needs[0].formula == (
        "12,000 files on 3,200 cores = 4 waves x (8.33 GB / 63.7 MB/s + 0.05 s)"
    )
    assert "a gz file cannot be split: 12,000 tasks, not 781,250" in warned(packed, "spark")
    assert "cannot be split" not in warned(plain, "spark")


def test_the_day_of_clicks_on_spark() -> None:
    """Twenty to thirty minutes; both wide steps and both broadcasts are steps of their own."""
    side = estimated(**CLICKSTREAM).engines["spark"]

    assert 20 * 60 <= side.seconds.mid <= 30 * 60
    assert [step.name for step in side.steps] == [
        "start", "read json.gz", "broadcast 10 GB", "broadcast 500 MB", "wide step 1, all rows",
        "wide step 2, all rows", "write 12.5 TB of Parquet",
    ]  # fmt: skip
    assert side.seconds.mid == pytest.approx(sum(step.seconds.mid for step in side.steps))


def test_what_the_day_of_clicks_runs_into() -> None:
    """Spark refuses the large broadcast, its executors must hold both, and the default of 200 partitions is far off."""
    said = warned(estimated(**CLICKSTREAM), "spark")

    assert "Spark refuses to broadcast more than 8 GiB, and this is 10 GB" in said
    assert "broadcasts of 10.5 GB need 10.5 GB to 31.5 GB in every executor, on machines of 64 GB" in said
    assert "spark.sql.shuffle.partitions is 200 by default, tasks of 250 GB: set 390,625" in said
    assert "12,000 tasks x 390,625 partitions = 4,687,500,000 blocks of 5.33 KB" in said
    assert "more than 1 / 3,200 = 0.03% of the rows decides by itself" in said


def test_one_machine_cannot_hold_the_day_of_clicks() -> None:
    """Its wide steps spill more than its disk has, so however long it would take, it is not the answer."""
    found = estimated(**CLICKSTREAM)

    assert not found.engines["duckdb"].fits
    assert "one machine cannot hold 30 TB of spilled rows on its disk of 1 TB" in warned(found, "duckdb")
    assert found.best.engine == "spark"
    assert "One machine cannot hold it. Spark wins above about" in str(found)


def test_map_reduce_joins_a_large_lookup_by_a_job() -> None:
    """Sixteen tasks of a machine cannot each hold 10 GB, so there are three jobs, and two results between them."""
    found = estimated(**CLICKSTREAM)
    names = [step.name for step in found.engines["mapreduce"].steps]

    assert [name for name in names if name.endswith("start")] == ["job 1: start", "job 2: start", "job 3: start"]
    assert sum("write for job" in name for name in names) == 2
    assert "each of 16 tasks of a machine would hold its own copy of 10 GB" in warned(found, "mapreduce")
    assert found.engines["mapreduce"].seconds.mid > 3 * found.engines["spark"].seconds.mid


# -- published and measured runs --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "machines", "seconds"), [("100TB", 206, 23 * 60), ("1PB", 190, 234 * 60)], ids=["100 TB", "1 PB"]
)
def test_the_sort_records_of_spark_are_within_the_range(size: str, machines: int, seconds: int) -> None:
    """100-byte records sorted on machines of 32 cores, 10 Gb/s and 3 GB/s of disks (Databricks, October 2014)."""
    found = estimated(
        bytes=size, format="csv", row_bytes=100, machines=machines, cores=32, memory="244GB", network="10 Gb/s",
        disk="3 GB/s", disk_size="6.4TB", storage="local", partition="400MB", engine="spark",
    )  # fmt: skip
    low, _, high, _ = found.engines["spark"].seconds

    assert low < seconds < high


@pytest.mark.parametrize(
    ("engine", "job", "seconds"),
    [
        ("duckdb", {"columns": "30/55", "row_bytes": 55}, 1.75),
        ("duckdb", {"columns": "16/55", "row_bytes": 16}, 3.2),
        ("duckdb", {"columns": "8/55", "row_bytes": 8, "shuffles": [0.27]}, 0.6),
        ("spark", {"row_bytes": 55}, 25.8),
        ("spark", {"columns": "16/55", "row_bytes": 16}, 18.9),
        ("spark", {"columns": "8/55", "row_bytes": 8, "shuffles": [0.27]}, 7.5),
    ],
    ids=[f"{job} on {engine}" for engine in ("duckdb", "spark") for job in ("dedup", "sessions", "mode")],
)
def test_what_was_measured_on_two_cores_is_within_the_range(engine: str, job: dict[str, Any], seconds: float) -> None:
    """20 M events of 55 bytes in 340 MB of Parquet, by an engine that runs: dedup by (user, url), sessions, mode."""
    found = estimated(
        bytes=20_000_000 * 55, stored="340MB", files=1, output=0, machines=1, cores=2, memory="24GB", disk="500 MB/s",
        storage="local", engine=engine, **job,
    )  # fmt: skip
    low, _, high, _ = total(step.seconds for step in found.engines[engine].steps if step.name != "start")

    assert low < seconds < high


# -- a cluster or one machine -----------------------------------------------------------------------------------------


def test_spark_wins_above_the_crossover_and_only_there() -> None:
    """A fifth less than that is done on one machine first, a fifth more on the cluster."""
    at = estimated(bytes="1TB").crossover.mid
    below, above = (estimated(bytes=at * times).engines for times in (0.8, 1.2))

    assert below["duckdb"].seconds.mid < below["spark"].seconds.mid
    assert above["spark"].seconds.mid < above["duckdb"].seconds.mid or not above["duckdb"].fits


def test_the_crossover_has_a_range_and_depends_on_the_job_not_on_its_size() -> None:
    """The same job over more files of the same size changes hands at the same size."""
    one, other = (estimated(bytes=size, files=files).crossover for size, files in [("10GB", 100), ("100GB", 1000)])

    assert one.low < one.mid < (one.high or float("inf"))
    assert one.mid == pytest.approx(other.mid, rel=0.01)


def test_a_cluster_of_one_never_wins() -> None:
    """The same machine with Spark has nothing to win by, and the estimate says so."""
    found = estimated(bytes="1GB", machines=1)

    assert found.crossover.mid is None
    assert "One machine is always faster than one of them with Spark." in str(found)


def test_small_data_stays_on_one_machine() -> None:
    """The start alone takes a cluster longer."""
    found = estimated(bytes="4GB")

    assert found.best.engine == "duckdb"
    assert re.search(r"Stay on one machine\. Spark wins above about .* times this\.", str(found))
    assert found.engines["spark"].bottleneck == "start"


def test_more_machines_take_less_time_and_more_bytes_take_more() -> None:
    """Twice the machines or half the bytes is never slower, on either cluster engine."""
    for engine in ("spark", "mapreduce"):
        few, many = (estimated(bytes="10TB", machines=n).engines[engine].seconds.mid for n in (50, 100))
        less = estimated(bytes="5TB", machines=50).engines[engine].seconds.mid

        assert many < few
        assert less < few


# -- what a job is made of --------------------------------------------------------------------------------------------


def test_what_is_combined_first_hardly_moves() -> None:
    """A wide step that moves one byte of 25 000 moves 25 000 times less, and its result is as small."""
    all_rows, combined = (estimated(bytes="1TB", shuffles=[share]).engines["spark"] for share in (1, 1 / 25_000))

    assert all_rows.moved.mid / combined.moved.mid == pytest.approx(25_000)
    assert combined.steps[-1].name == "write 10 MB of Parquet"
    assert combined.steps[2].needs[0].formula == (
        "4.0 G rows x 0.3 us / 160 cores to combine + 40 MB / (160 cores x 81.1 MB/s), rows of 250 B"
    )


def test_wide_steps_are_a_count_shares_or_bytes() -> None:
    """Two of them; all and a fiftieth; 20 GB of 100; none."""
    given = [2, ["100%", "1/50"], "20GB", 0]

    assert [estimated(bytes="100GB", shuffles=shuffles).work.shuffles for shuffles in given] == [
        (1, 1), (1, 0.02), (0.2,), (),
    ]  # fmt: skip


def test_only_columnar_files_skip_columns() -> None:
    """3 of 50 columns of Parquet are 3/50 of the bytes; of JSON, all is parsed, and the estimate says so."""
    parquet, text = (estimated(bytes="100TB", columns="3/50", format=name) for name in ("parquet", "json"))

    assert parquet.work.parsed == pytest.approx(6e12)
    assert text.work.parsed == 100e12
    assert "json has no columns to skip: 100 TB are parsed where 6 TB are needed" in warned(text, "spark")


def test_a_hot_key_decides_how_long_its_wide_step_takes() -> None:
    """One key with a hundredth of the rows keeps one core busy for longer than all others together."""
    even, hot = (estimated(bytes="10TB", machines=200, heaviest=share) for share in (0, "1%"))

    assert step(hot, "spark", "wide").bound == "one hot key"
    assert step(hot, "spark", "wide").seconds.mid > 10 * step(even, "spark", "wide").seconds.mid


def test_few_files_leave_cores_without_work() -> None:
    """Three gzip files keep three cores busy, on a cluster as on one machine."""
    found = estimated(bytes="30GB", format="csv.gz", files=3)

    assert "reading has 3 tasks for 160 cores: 157 of them wait" in warned(found, "spark")
    assert "3 of them keep 3 of 16 cores busy" in warned(found, "duckdb")
    assert step(found, "duckdb", "read").bound == "too few tasks"


def test_small_files_are_read_many_to_a_task() -> None:
    """A million files of a megabyte are packed into tasks, and each costs as much as 4 MB to open."""
    found = estimated(stored="1TB", files=1_000_000)

    assert found.work.tasks == 39_063
    assert "files of 1 MB: opening them costs more than reading" in warned(found, "spark")


def test_what_does_not_fit_into_memory_is_spilled() -> None:
    """100 GB of state in 51 of memory: half of it goes to the disk and back, which is what holds the step up."""
    found = estimated(bytes="100GB", memory="64GB", engine="duckdb")
    side = found.engines["duckdb"]

    assert (side.fits, side.disk.mid) == (True, pytest.approx(0.6 * 48.8e9))
    assert "48.8 GB spilled x 0.6 packed, written and read" in " ".join(need.formula for need in side.steps[2].needs)
    assert estimated(bytes="10GB", engine="duckdb").engines["duckdb"].disk.mid == 0


def test_the_bytes_of_the_files_are_enough() -> None:
    """20 TB of gzip files are 100 TB of JSON; given both, the ratio is theirs."""
    assert estimated(stored="20TB", format="json.gz").work.bytes == 100e12
    assert estimated(stored="10TB", bytes="100TB", format="json.gz").work.stored == 10e12


# -- what is said -----------------------------------------------------------------------------------------------------


def test_what_was_not_given_is_said_to_be_assumed() -> None:
    """Every default stands in the result with its name, and nothing that was given does."""
    assert estimated(bytes="1TB", machines=5, cores=8, shuffles=1).assumed == {
        "format": "parquet", "columns": 1, "row_bytes": "250B", "heaviest": 0, "partition": "128MB",
        "storage": "remote", "memory": "64GB", "network": "10 Gb/s", "disk": "1 GB/s", "disk_size": "1TB",
        "files": "of 256MB", "output": "as much as the last wide step moves",
    }  # fmt: skip


def test_an_estimate_is_json_with_the_basis_of_each_number() -> None:
    """Engines, steps, formulas, crossover; every figure is low, mid, high and basis, in that order of size."""
    found = json.loads(json.dumps(estimated(**CLICKSTREAM).to_json()))

    assert (found["format_version"], found["best"]) == ("1.0", "spark")
    assert [side["engine"] for side in found["engines"]] == ["duckdb", "spark", "mapreduce"]
    assert found["crossover_bytes"]["basis"] == "model"
    figures = [side[name] for side in found["engines"] for name in ("seconds", "memory_bytes", "disk_bytes")]
    figures += [need["seconds"] for side in found["engines"] for one in side["steps"] for need in one["needs"]]
    assert len(figures) > 50
    for figure in figures:
        assert list(figure) == ["low", "mid", "high", "basis"]
        assert figure["low"] <= figure["mid"] <= figure["high"]
        assert figure["basis"] in ("exact", "sample", "model")


def test_an_estimate_prints_the_engines_then_the_formulas() -> None:
    """The table comes first, with a mark before the engine that is done first; every line fits a wide terminal."""
    text = str(estimated(**CLICKSTREAM))

    assert text.startswith("100 TB of json.gz, 20 TB stored: 12,000 files of 1.67 GB\n")
    assert re.search(r"^> spark, 200 machines +\d+ - \d+ min ", text, re.MULTILINE)
    assert "network  20 TB stored / (200 x 1.25 GB/s x 0.6)" in text
    assert max(map(len, text.splitlines())) <= 150


def test_one_engine_alone() -> None:
    """No comparison, and no arithmetic of a network where there is none."""
    found = estimated(bytes="1TB", engine="duckdb")

    assert (list(found.engines), found.crossover) == (["duckdb"], None)
    assert [line.name for line in found.envelope] == ["tasks", "waves", "map", "together"]
    assert "cluster" not in str(found)
    assert "machines" not in found.assumed
    assert repr(estimated(bytes="1TB", engine="spark")).startswith("Estimate(spark: ")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, 'how much is there to read?; give bytes="100 TB"'),
        ({"bytes": "much"}, '"much" is not a size; write it like "256MB"'),
        ({"bytes": -5}, '"-5" is not a size'),
        ({"bytes": 0}, '"0" is not a size'),
        ({"bytes": float("nan")}, '"nan" is not a size'),
        ({"machines": 0}, "machines is 0; give a whole number from 1 on"),
        ({"cores": 1.5}, "cores is 1.5"),
        ({"files": -1}, "files is -1"),
        ({"memory": "lots"}, '"lots" is not a size'),
        ({"network": "10 m/s"}, '"10 m/s" is no speed; write it like "10 Gb/s" (bits) or "1.25 GB/s" (bytes)'),
        ({"network": 10}, "network is 10, in bytes a second less than 1 MB/s"),
        ({"engine": "sparc"}, 'unknown engine "sparc"; did you mean spark?'),
        ({"format": "parket"}, 'unknown format "parket"; did you mean parquet?'),
        ({"format": "parquet.gz"}, 'unknown format "parquet.gz"'),
        ({"columns": 2}, "columns is 2, more than all"),
        ({"columns": 0}, "columns is 0: nothing would be read"),
        ({"columns": "3/0"}, "columns is '3/0', which is no share"),
        ({"shuffles": -1}, "shuffles is -1"),
        ({"shuffles": ["all"]}, '"all" is not a size'),
        ({"heaviest": True}, "heaviest is True, which is no share"),
        ({"broadcasts": ["-1GB"]}, '"-1GB" is not a size'),
        ({"storage": "tape"}, 'unknown storage "tape"'),
    ],
)
def test_what_means_nothing_is_refused(given: dict[str, Any], message: str) -> None:
    """The error says what was there and how to write it."""
    with pytest.raises(ps.UsageError, match=re.escape(message)):
        estimated(**({"bytes": "1TB"} if given and "bytes" not in given else {}) | given)
