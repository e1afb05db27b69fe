"""What makes a version visible in one step, and clears up after writers that died."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from penstock.lake import swap


def left_over(target: Path, *, replaced: bool = False) -> Path:
    """A hidden folder as a writer that was killed leaves it, also in the midst of a swap in three steps."""
    folder = target.with_name(f".{target.name}.penstock-dead")
    (folder / "version").mkdir(parents=True)
    if replaced:
        os.rename(target, folder / "replaced")
    return folder


def test_names_change_places(tmp_path: Path) -> None:
    """After an exchange each name has what the other had, whether it is a file or a folder."""
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "x").write_text("x")
    (tmp_path / "other").write_text("file")

    swap.exchange(tmp_path / "one", tmp_path / "other")

    assert (tmp_path / "one").read_text() == "file"
    assert (tmp_path / "other" / "x").read_text() == "x"


def test_names_change_places_in_three_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system has no exchange, three renames do it."""
    monkeypatch.setattr(swap, "_exchanged", lambda one, other: False)
    for name in ("new/version", "out"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / name.replace("/", "-")).write_text("")

    swap.exchange(tmp_path / "new" / "version", tmp_path / "out")

    assert os.listdir(tmp_path / "out") == ["new-version"]
    assert os.listdir(tmp_path / "new" / "version") == ["out"]


def test_a_name_that_is_not_there(tmp_path: Path) -> None:
    """An exchange with nothing is an error and changes nothing."""
    (tmp_path / "one").mkdir()

    with pytest.raises(FileNotFoundError):
        swap.exchange(tmp_path / "one", tmp_path / "other")
    assert os.listdir(tmp_path) == ["one"]


def test_left_overs_of_the_dead_are_removed(tmp_path: Path) -> None:
    """The next writer removes what has no owner, for this path alone."""
    left_over(tmp_path / "out")
    other = left_over(tmp_path / "other")

    with swap.aside(tmp_path / "out") as folder:
        assert sorted(os.listdir(tmp_path)) == sorted([folder.name, other.name])
    assert os.listdir(tmp_path) == [other.name]


def test_a_swap_that_was_cut_off_is_undone(tmp_path: Path) -> None:
    """A writer killed between the steps of a swap leaves no output; the next writer puts the old version back."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "x").write_text("old")
    left_over(tmp_path / "out", replaced=True)

    with swap.aside(tmp_path / "out"):
        assert (tmp_path / "out" / "x").read_text() == "old"
    assert os.listdir(tmp_path) == ["out"]


def test_the_living_keep_their_folders(tmp_path: Path) -> None:
    """Writers to one path do not take each other's folders for left-overs, until one is killed."""
    script = (
        "import sys, pathlib; from penstock.lake.swap import aside\n"
        "with aside(pathlib.Path(sys.argv[1])) as folder: print(folder.name, flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "out")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        theirs = other.stdout.readline().strip()
        with swap.aside(tmp_path / "out") as ours:
            assert sorted(os.listdir(tmp_path)) == sorted([ours.name, theirs])
        assert os.listdir(tmp_path) == [theirs]
        other.send_signal(signal.SIGKILL)
    with swap.aside(tmp_path / "out") as ours:
        assert os.listdir(tmp_path) == [ours.name]


def test_a_lock_ends_with_its_holder(tmp_path: Path) -> None:
    """A process that was forked while a folder was held, as an exchange's workers are, does not hold it any longer."""
    (tmp_path / "out").mkdir()
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
    try:
        with swap.held(tmp_path / "out"):
            child.start()
        with swap._locked(tmp_path / "out", wait=False) as free:
            assert free
        assert child.is_alive()
    finally:
        child.kill()
        child.join()


def test_a_version_is_held_or_gone(tmp_path: Path) -> None:
    """Holding a folder says whether there is one."""
    with swap.held(tmp_path / "out") as there:
        assert not there
    (tmp_path / "out").mkdir()
    with swap.held(tmp_path / "out") as there:
        assert there
