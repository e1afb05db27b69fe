"""`penstock compact` and `penstock layout`."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from penstock.cli.compact import _Watch


def lay() -> None:
    """A folder of small files."""
    Path("lake/k=1").mkdir(parents=True)
    for name in "abc":
        pq.write_table(pa.table({"v": [1, 2]}), f"lake/k=1/{name}.parquet")


def test_compacting(penstock):
    """A dry run tells the plan, the run does it, and a second one has nothing to do."""
    lay()

    planned = penstock("compact", "lake", "--dry-run")
    done = penstock("compact", "lake", "--target-file-size", "1MB")
    again = penstock("compact", "lake")

    assert planned.lines[0].startswith("k=1/a-c")
    assert planned.lines[-1] == "lake: 3 files would become 1, folders: 1"
    assert done.lines[0].startswith("lake: 3 files became 1, ")
    assert again.lines == ["lake: nothing to do, files: 1"]
    assert len(list(Path("lake/k=1").iterdir())) == 1


def test_reports_for_programs(penstock):
    """With --json both print one object."""
    lay()

    before = json.loads(penstock("layout", "lake", "--json").out)
    done = json.loads(penstock("compact", "lake", "--json").out)

    assert (before["files"], before["rows"], before["partitions"]) == (3, 6, 1)
    assert (done["files_before"], done["files_after"], len(done["plan"])) == (3, 1, 1)


def test_a_layout_warns_on_stderr(penstock):
    """The report is on stdout, and what to do about small files on stderr."""
    lay()

    result = penstock("layout", "lake")

    assert result.lines[:2] == ["files        3", "rows         6"]
    assert result.err == "warning: 3 of 3 files are below 16 MB; penstock compact lake\n"


def test_what_is_not_there(penstock):
    """A wrong path is wrong use."""
    result = penstock("compact", "lake")

    assert (result.code, result.err.splitlines()[0]) == (2, "error: no such folder: lake")


def test_a_compaction_can_be_stopped():
    """What watches the work says how far it is, and ends it between two files when it is told to."""
    watch = _Watch()
    watch(1, 4)
    assert watch.progress() == 0.25

    watch.cancel()
    try:
        watch(2, 4)
    except KeyboardInterrupt:
        return
    raise AssertionError("it went on")
