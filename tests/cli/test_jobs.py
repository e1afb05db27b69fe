"""The verbs about jobs: what they print, on which stream, and how they end."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest

JOB = """
import penstock as ps
job = ps.Job("shop")
RULES = {"amount is positive": "amount > 0"}

@job.source
def orders(input: str = "orders/*.csv", share: float = 0.5):
    return ps.check(ps.read(input, bad="quarantine"), RULES, fail_above=share)

@job.step(keep=True)
def totals(orders):
    return ps.aggregate(orders, by="user", total="sum(amount)")

@job.sink("out/totals.csv")
def lake(totals):
    return totals
"""


@pytest.fixture(autouse=True)
def job(folder):
    """A job of three steps over two small files."""
    Path("orders").mkdir()
    Path("orders/1.csv").write_text("id,user,amount\n1,a,5\n2,b,-1\nnot a row\n")
    Path("orders/2.csv").write_text("id,user,amount\n3,a,7\n4,c,2\n")
    Path("job.py").write_text(JOB)


def test_run_does_the_job_and_tells_what_it_did(penstock):
    """The summary is on stderr, with rows, quarantine and what to type next; stdout has nothing."""
    result = penstock("run", "job.py")

    assert (result.code, result.out) == (0, "")
    assert "shop finished in" in result.err
    assert "orders: 2 of 5 rows quarantined (40.00%): amount is positive 1 · malformed 1" in result.err
    assert "wrote    out/totals.csv: 2 rows" in result.err
    assert "penstock quarantine" in result.err
    assert "step=totals rows=2" in result.err


def test_a_second_run_says_that_there_is_nothing_to_do(penstock):
    """One line, and the outputs are untouched."""
    penstock("run", "job.py", "-q")
    before = Path("out/totals.csv").stat().st_mtime_ns
    result = penstock("run", "job.py")

    assert (result.code, result.err.count("\n")) == (0, 1)
    assert "shop: nothing to do, all is as run " in result.err
    assert Path("out/totals.csv").stat().st_mtime_ns == before


def test_the_summary_is_json_when_asked_for(penstock):
    """--json puts the record on stdout, in a form with a version."""
    found = json.loads(penstock("run", "job.py", "--json", "--progress", "none").out)

    assert (found["format_version"], found["status"]) == ("1.0", "finished")
    assert found["did"] == ["totals", "lake"]
    assert {step["step"]: step["rows"] for step in found["steps"]} == {"orders": 3, "totals": 2, "lake": 2}


def test_progress_is_ndjson_when_asked_for(penstock):
    """--progress json writes every event as a line on stderr."""
    lines = penstock("run", "job.py", "--json", "--progress", "json").err.splitlines()

    kinds = [json.loads(line)["event"] for line in lines]
    assert kinds[0] == "run_started"
    assert kinds[-1] == "run_finished"


def test_explain_says_what_would_be_done_and_runs_nothing(penstock):
    """Each stage with its state, why, and why it is kept; no run appears."""
    result = penstock("run", "job.py", "--explain")

    assert result.code == 0
    assert "orders > totals  pending  never done    keep=True" in result.out
    assert "lake             pending  after totals  written to out/totals.csv" in result.out
    assert "2 of 2 to do" in result.err
    assert not Path(".penstock").exists()


def test_parameters_and_selection_come_from_the_command_line(penstock):
    """-p gives values of the right type, several of one name a list; --select runs a part."""
    result = penstock("run", "job.py", "-p", "input=orders/1.csv", "-p", "input=orders/2.csv", "--select", "totals")

    assert result.code == 0
    assert not Path("out").exists()
    assert penstock("run", "job.py", "-p", "share=half").code == 2
    assert penstock("run", "job.py", "-p", "shar=1").code == 2


def test_a_failed_check_ends_with_3(penstock):
    """More bad rows than allowed: exit 3, the reasons, and the rows can be looked at."""
    result = penstock("run", "job.py", "-p", "share=0.1")

    assert result.code == 3
    assert "2 of 5 rows are bad (40.00%), and fail_above is 10.00%" in result.err
    assert "not a row" in penstock("quarantine", "last", terminal=True).out
    assert not Path("out").exists()


def test_a_job_done_in_part_ends_with_4(penstock):
    """Where a step failed and the rest went on, the exit code says so, and what to do."""
    text = JOB.replace("@job.step(keep=True)", '@job.step(keep=True, on_error="skip")').replace(
        "sum(amount)", "sum(amont)"
    )
    Path("job.py").write_text(text)
    result = penstock("run", "job.py")

    assert result.code == 4
    assert "step=lake skipped because=totals" in result.err
    assert "the same penstock run goes on from here" in result.err


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["run", "nothing.py"], "there is no file nothing.py"),
        (["run", "broken.py"], "cannot be loaded: ZeroDivisionError"),
        (["run", "two.py"], "names 2 jobs"),
        (["run", "none.py"], "names 0 jobs"),
        (["run", "job.py", "-p", "input"], "write it as -p name=value"),
        (["run", "job.py", "--select", "total"], 'no step "total"'),
        (["show", "nope"], 'there is no run "nope"'),
        (["diff", "a", "b"], 'there is no run "a"'),
    ],
)
def test_wrong_use_ends_with_2(penstock, arguments, what):
    """Files, parameters, steps and runs that are not there are errors before anything runs."""
    Path("broken.py").write_text("1 / 0\n")
    Path("two.py").write_text("import penstock as ps\na = ps.Job('a')\nb = ps.Job('b')\n")
    Path("none.py").write_text("x = 1\n")
    result = penstock(*arguments)

    assert result.code == 2
    assert what in result.err


def test_one_of_several_jobs_is_chosen_by_name(penstock):
    """job.py:name takes the job of that name or variable."""
    Path("job.py").write_text(JOB + "other = ps.Job('other')\n")

    assert penstock("run", "job.py").code == 2
    assert penstock("run", "job.py:shop", "-q").code == 0


def test_runs_lists_them_and_show_and_diff_look_closer(penstock):
    """The newest run first; `show` is the summary again, `diff` what differs."""
    penstock("run", "job.py", "-q")
    Path("orders/3.csv").write_text("id,user,amount\n5,d,1\n")
    penstock("run", "job.py", "-q")
    listed = json.loads(penstock("runs", "--json").out)["runs"]

    assert [run["status"] for run in listed] == ["finished", "finished"]
    assert listed[0]["run"] > listed[1]["run"]
    assert penstock("runs").lines[1].startswith(f" {listed[0]['run']}  shop  finished  duckdb")
    assert "shop finished in" in penstock("show").out
    assert json.loads(penstock("show", listed[1]["run"], "--json").out)["run"] == listed[1]["run"]
    assert "totals  rows" in penstock("diff", listed[1]["run"], listed[0]["run"]).out


def test_quarantined_rows_are_shown_and_can_be_mended_and_fed_in_again(penstock):
    """The rows have their reasons, file and line; as lines in a file they are input again."""
    penstock("run", "job.py", "-q")
    shown = penstock("quarantine")
    assert "orders: amount is positive 1 · malformed 1" in shown.err
    assert "orders/1.csv" in shown.out

    penstock("quarantine", "last", "orders", "--reason", "amount is positive", "-o", "mend.ndjson")
    (line,) = Path("mend.ndjson").read_text().splitlines()
    assert json.loads(line) == {"id": 2, "user": "b", "amount": -1}
    assert penstock("quarantine", "last", "orders", "-o", "mend.ndjson").code == 2  # it is there already


def test_ctrl_c_stops_a_run_that_can_go_on(tmp_path, started):
    """Exit 130, a word about going on, a run that is "interrupted", and the same command ends it."""
    slow = JOB.replace("    return ps.aggregate", "    import time\n    time.sleep(SLEEP)\n    return ps.aggregate")
    Path("job.py").write_text(slow.replace("SLEEP", "60"))
    process = started("run", "job.py", "--progress", "json", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    for line in process.stderr:
        if b'"step_started"' in line:
            break
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)

    assert process.returncode == 130
    assert b"the same command goes on from there" in err
    out, _ = started("runs", "--json", stdout=subprocess.PIPE).communicate(timeout=60)
    assert json.loads(out)["runs"][0]["status"] == "interrupted"
    Path("job.py").write_text(slow.replace("SLEEP", "0"))
    out, _ = started("run", "job.py", "--json", "-q", stdout=subprocess.PIPE).communicate(timeout=60)
    assert "lake" in json.loads(out)["did"]
