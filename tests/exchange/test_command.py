"""`python -m penstock.exchange`: a file a worker in, a statistic out."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from penstock.exchange.__main__ import STATISTICS, main


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Three parts of one column of integers, one of text and one of floats."""
    for rank in range(3):
        ids = [rank, rank + 1, 10 * rank, None]
        table = pa.table({"id": ids, "who": [f"user {n}" for n in ids], "x": [0.5, None, float("nan"), rank]})
        pq.write_table(table, tmp_path / f"part-{rank}.parquet", row_group_size=2)
    return str(tmp_path / "part-{rank}.parquet")


@pytest.mark.parametrize(
    ("line", "printed"),
    [
        ("mode --column id", "0\t2\n"),
        ("top --column who -n 2", "user None\t3\nuser 0\t2\n"),
        ("median --column id", "2\n"),
        ("median --column id --kind mean", "2\n"),
        ("quantiles --column id -q 0 1", "0\n20\n"),
        ("distinct --column id", "6\n"),
        ("distinct --column who --error 0.01", "7\n"),
        ("histogram --column id --bins 2", "edges\t[0.0, 10.0, 20.0]\ncounts\t[7, 2]\noutside\t0\n"),
    ],
)
def test_worker_0_prints_the_result(path: str, line: str, printed: str, capsys: pytest.CaptureFixture[str]) -> None:
    """As many workers as there are files; columns of a result are set apart by tabs."""
    statistic, *options = line.split()

    assert main([statistic, path, *options, "--transport", "threads"]) == 0
    assert capsys.readouterr().out == printed


@pytest.mark.parametrize("statistic", STATISTICS)
def test_json_has_the_result_and_the_traffic(path: str, statistic: str, capsys: pytest.CaptureFixture[str]) -> None:
    """NaN is told as text, because JSON has none."""
    assert main([statistic, path, "--column", "x", "--json", "--transport", "threads"]) == 0

    def fail(name: str) -> None:
        pytest.fail(f"{name} in the JSON")

    told = json.loads(capsys.readouterr().out, parse_constant=fail)
    assert set(told) == {statistic, "traffic"}
    assert told["traffic"]["kinds"]["sent_messages"] > 0


@pytest.mark.parametrize(
    ("column", "file", "told"),
    [
        ("idd", "part-{rank}.parquet", 'no column "idd"'),
        ("id", "none-{rank}.parquet", "there is no file"),
        ("id", "part-0.parquet --workers 2", "write {rank} into the path"),
        ("id", "part-{nope}.parquet", "write {rank} for a worker's number"),
        ("id", "part-{rank", "cannot be filled in"),
        ("id", "part-{rank}.parquet --workers 4", "cannot read"),
    ],
)
def test_wrong_use_ends_with_2(
    path: str, column: str, file: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is wrong stands on stderr, and nothing on stdout."""
    name, *options = file.split()

    code = main(["mode", str(Path(path).parent / name), "--column", column, "--transport", "threads", *options])

    printed = capsys.readouterr()
    assert code == 2
    assert told in printed.err
    assert printed.out == ""
