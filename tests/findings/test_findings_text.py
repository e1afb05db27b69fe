"""Findings as text: the user's line with carets under what is to blame, and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.figures import UNKNOWN
from penstock.findings import findings_text
from penstock.findings.finding import Finding


def test_carets_stand_under_what_is_to_blame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A finding shows the user's line with carets under the argument, then what to do, and where more is told."""
    job = tmp_path / "job.py"
    job.write_text(
        "import penstock as ps\n\ndef visits(clean):\n    return ps.sessionize(clean, by='user_id', at='ts')\n"
    )
    monkeypatch.chdir(tmp_path)
    one = Finding(
        "PEN203", "one key has it all", ("do this", "or that"), f"{job}:4", "visits", UNKNOWN, "sessionize", "by"
    )

    assert findings_text.text([one]).splitlines() == [
        "warning[PEN203]: visits: one key has it all",
        " --> job.py:4:36",
        "  |",
        "4 |     return ps.sessionize(clean, by='user_id', at='ts')",
        "  |                                    ^^^^^^^^^",
        "  = help: do this",
        "  = help: or that",
        "",
        "note: penstock explain tells more: PEN203",
    ]


@pytest.mark.parametrize(
    ("line", "call", "argument", "marked"),
    [
        ('ps.read("a/*.csv")', "read", "0", '"a/*.csv"'),
        ('ps.join(a, b, on="k")', "join", "strategy", "ps.join"),
        ('t = ps.query("SELECT x, list(y) FROM t", t=t)', "query", "list(", "list("),
        ('ps.aggregate(é, "k", n="count(*)")', "aggregate", "k", "k"),
        ('ps.sort(ps.sort(t, "a"),\n    "b")', "sort", "b", "b"),
        ('ps.sessionize(t, by="user_id", at="ts")', "sessionize", "user_id", "user_id"),
        ("\tps.where(t, 'a = 1')", "where", "a", "a"),
    ],
)
def test_what_the_carets_mark(tmp_path: Path, line: str, call: str, argument: str, marked: str) -> None:
    """An argument by its name or place, a text within one, or else the function; on the line where it stands."""
    file = tmp_path / "job.py"
    file.write_text(f"if True:\n{line}\n" if line.startswith("\t") else f"\n{line}\n")
    lines = findings_text.text([Finding("PEN201", "w", (), f"{file}:2", "", UNKNOWN, call, argument)]).splitlines()

    shown, carets = lines[3].partition(" | ")[2], lines[4].partition(" | ")[2]
    assert shown[carets.index("^") : carets.rindex("^") + 1] == marked


@pytest.mark.parametrize("place", ["", "gone.py:7", "not a place"])
def test_a_line_that_cannot_be_read(place: str) -> None:
    """Of a call that came from no file, or from one that is gone, the rest is told."""
    told = findings_text.text([Finding("PEN201", "w", ("h",), place)]).splitlines()

    assert told[0] == "warning[PEN201]: w"
    assert told[-3].endswith("= help: h")


def test_nothing_found_is_nothing_printed() -> None:
    """No finding, no text."""
    assert findings_text.text([]) == ""
