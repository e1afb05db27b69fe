"""What was measured of a machine: where it is kept, what it changes, and that measuring leaves nothing behind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import penstock as ps
from penstock.estimates import calibrate, machine_file
from penstock.figures import Figure

MEASURED = {
    "format_version": "1.0", "cores": 2, "memory_bytes": 24_000_000_000, "disk_bytes_per_second": 500_000_000,
    "disk_bytes": 80_000_000_000, "rates": {
        "json": 4e8, "csv": 3e8, "parquet": 8e8, "write": 2e8, "gz": 4e8, "lz4": 1e9, "wide": 2e8,
        "wide_row_seconds": 2e-7, "disk_write": 4e8, "disk_read": 6e8,
    },
}  # fmt: skip


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder below one in which a machine was measured."""
    (tmp_path / ".penstock").mkdir()
    (tmp_path / ".penstock" / "machine.json").write_text(json.dumps(MEASURED))
    (tmp_path / "deep" / "down").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "deep" / "down")
    return tmp_path


def test_one_machine_is_the_one_that_was_measured(here: Path) -> None:
    """Its cores, memory, disk and speeds are those of the nearest file, and its time rests on a sample."""
    found = ps.estimate(bytes="8GB", storage="local")
    alone, spark = found.engines["duckdb"], found.engines["spark"]

    assert (alone.machines.cores, alone.machines.disk_size, alone.seconds.basis) == (2, 80e9, "sample")
    assert alone.steps[1].needs[0].formula == "8 GB / (2 cores x 800 MB/s)"
    assert (spark.machines.cores, spark.seconds.basis) == (16, "model")
    assert "measured here" in str(found)


def test_what_is_said_goes_before_what_was_measured(here: Path) -> None:
    """Cores that were given are the single machine's as well; without `measured` nothing of the file counts."""
    told, plain = ps.estimate(bytes="8GB", cores=64), ps.estimate(bytes="8GB", measured=False)

    assert (told.engines["duckdb"].machines.cores, told.engines["duckdb"].machines.memory) == (64, 24e9)
    assert (plain.engines["duckdb"].machines.cores, plain.engines["duckdb"].seconds.basis) == (16, "model")


@pytest.mark.parametrize("text", ["{", "[]", "{}", json.dumps(MEASURED | {"rates": {"json": -1}})])
def test_a_broken_measurement_is_refused(here: Path, text: str) -> None:
    """It is not taken for nothing: the error names the file and the command that writes it anew."""
    (here / ".penstock" / "machine.json").write_text(text)

    with pytest.raises(ps.InputError, match=r"machine\.json .*penstock estimate --calibrate"):
        ps.estimate(bytes="1GB")


def test_measuring_finds_a_rate_for_everything_that_one_machine_does(tmp_path: Path) -> None:
    """What is kept is what an estimate reads, every rate is positive, and the files it took are gone."""
    measured = calibrate.measure(tmp_path, rows=2_000, disk_bytes=1_000_000)

    assert list(tmp_path.iterdir()) == []
    assert measured.rates.keys() == MEASURED["rates"].keys()  # type: ignore[attr-defined]
    assert min(measured.rates.values()) > 0
    assert machine_file.keep(measured, tmp_path) == tmp_path / ".penstock" / "machine.json"
    assert machine_file.nearest(tmp_path).rates == measured.rates  # type: ignore[union-attr]


def test_a_measurement_is_kept_whole_or_not_at_all(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes where the nearest one is; if that fails in the last moment, the old one stands and nothing lies about."""
    measured = machine_file.nearest()
    assert measured is not None
    better = measured._replace(machine=measured.machine._replace(disk=Figure(1, 1, 1, "sample")))

    def full(*_: object) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as patched, pytest.raises(ps.OutputError, match="no space left"):
        patched.setattr("os.replace", full)
        machine_file.keep(better)
    assert json.loads((here / ".penstock" / "machine.json").read_text()) == MEASURED
    assert machine_file.keep(better) == here / ".penstock" / "machine.json"
    assert [path.name for path in (here / ".penstock").iterdir()] == ["machine.json"]
