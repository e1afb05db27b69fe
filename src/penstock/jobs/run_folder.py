"""A run is a folder that a person can read; what is in it is done, and what is done is in it.

.penstock/clickstream/            a job
    lock                          held by the run that is at work
    20261120T163327-482/          a run
        run.json                  job, parameters, logical time; written once
        events.ndjson             what happened, a line each, appended
        steps/visits/             a step that was kept: appears in one rename, with its record in it
            record.json           fingerprint and what it is made of, columns, rows, bytes, seconds
            statement.sql         what the engine ran, where it was SQL
            rows/part-0.parquet
        quarantine/visits/        the rows that a check refused
"""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import json
import os
import secrets
import shutil
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from penstock import __version__
from penstock.errors import InputError, UsageError
from penstock.lake.swap import sync, sync_tree

__all__ = ["Busy", "RunFolder", "create", "find", "held", "is_held", "prune", "runs_of", "sums_of"]

FORMAT = 1
_UNFINISHED = ".unfinished"


class Busy(UsageError):
    """Another run of the job is at work."""


class RunFolder(NamedTuple):
    """One run."""

    path: Path

    @property
    def id(self) -> str:
        """The name of the folder."""
        return self.path.name

    @property
    def job(self) -> str:
        """The name of the job."""
        return self.path.parent.name

    # -- what it was started with -------------------------------------------------------------------------------------

    def start(self) -> dict[str, Any]:
        """What `run.json` says."""
        try:
            found: dict[str, Any] = json.loads((self.path / "run.json").read_text())
        except (OSError, ValueError) as error:
            raise InputError(f"{self.path} is no run: {error}", "remove that folder") from error
        if found.get("format", 0) > FORMAT:
            raise InputError(
                f"the run {self.id} was written by penstock {found.get('penstock')}, in a form that {__version__} does "
                "not know",
                "pip install -U penstock, or give the job another folder",
            )
        return found

    # -- events -------------------------------------------------------------------------------------------------------

    def append(self, event: Mapping[str, Any]) -> None:
        """Add an event in one write. A line that a kill cut short before it stays by itself."""
        line = json.dumps(event, ensure_ascii=False, default=str) + "\n"
        handle = os.open(self.path / "events.ndjson", os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            size = os.fstat(handle).st_size
            if size and os.pread(handle, 1, size - 1) != b"\n":
                line = "\n" + line
            os.write(handle, line.encode())
        finally:
            os.close(handle)

    def events(self) -> list[dict[str, Any]]:
        """All events that were written whole, in order."""
        try:
            lines = (self.path / "events.ndjson").read_bytes().split(b"\n")
        except FileNotFoundError:
            return []
        found = []
        for line in lines:
            with contextlib.suppress(ValueError):
                found.append(json.loads(line))
        return found

    # -- steps --------------------------------------------------------------------------------------------------------

    def record(self, step: str) -> dict[str, Any] | None:
        """The record of a step that is done."""
        try:
            found: dict[str, Any] = json.loads((self.path / "steps" / step / "record.json").read_text())
        except (OSError, ValueError):
            return None
        return found

    def records(self) -> dict[str, dict[str, Any]]:
        """The records of all steps that are done."""
        found = ((folder.name, self.record(folder.name)) for folder in sorted((self.path / "steps").glob("[!.]*")))
        return {name: record for name, record in found if record is not None}

    def rows(self, step: str) -> Path:
        """Where the rows of a step that is done lie."""
        return self.path / "steps" / step / "rows"

    def quarantine(self, step: str) -> Path:
        """Where the rows that a step's check refused lie."""
        return self.path / "quarantine" / step

    @contextmanager
    def workshop(self, name: str) -> Iterator[Path]:
        """A hidden folder to write a step into, gone afterwards."""
        folder = self.path / _UNFINISHED / f"{name}-{secrets.token_hex(4)}"
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def statement(self, step: str) -> str:
        """The statement that gave the rows of a step, where it was one."""
        file = self.path / "steps" / step / "statement.sql"
        return file.read_text(encoding="utf-8") if file.exists() else ""

    def finish(self, step: str, workshop: Path, record: Mapping[str, Any], statement: str = "") -> None:
        """Make a step done: its record joins what lies in the workshop, and both appear in one rename."""
        text = json.dumps({"format": FORMAT} | dict(record), indent=1, ensure_ascii=False, default=str)
        (workshop / "record.json").write_text(text)
        _place(workshop, self.path / "steps" / step)
        if statement:
            with contextlib.suppress(OSError):  # to look at, and to tell others: not worth 4 ms of waiting for the disk
                (self.path / "steps" / step / "statement.sql").write_text(statement, encoding="utf-8")

    def set_aside(self, step: str, written: Path) -> None:
        """Make the rows visible that a step's check refused."""
        _place(written, self.quarantine(step))

    def take_over(self, step: str, other: RunFolder) -> None:
        """Have a step of another run in this one as well: its files are linked, not copied."""
        with self.workshop(step) as folder:
            for place, there in (
                (folder / "step", other.path / "steps" / step),
                (folder / "bad", other.quarantine(step)),
            ):
                if there.exists():
                    shutil.copytree(there, place, copy_function=_link)
            if (folder / "bad").exists():
                _place(folder / "bad", self.quarantine(step))
            _place(folder / "step", self.path / "steps" / step)

    def sums(self, step: str) -> dict[str, list[int]]:
        """The files of a step's rows, each with its size and a checksum of its bytes."""
        return sums_of(self.rows(step))

    def clear(self) -> None:
        """Remove what is only half done."""
        shutil.rmtree(self.path / _UNFINISHED, ignore_errors=True)


def sums_of(folder: Path) -> dict[str, list[int]]:
    """Each file below a folder with its size and a checksum of its bytes."""
    return {
        file.relative_to(folder).as_posix(): [file.stat().st_size, _checksum(file)]
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def _checksum(file: Path) -> int:
    found = 0
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            found = zlib.crc32(block, found)
    return found


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without links
        shutil.copy2(source, target)


def _place(folder: Path, target: Path) -> None:
    """Put a folder in its place in one step, with its bytes on the disk before."""
    sync_tree(folder)
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        spare = folder.with_name(f"{folder.name}-replaced")
        os.rename(target, spare)
    os.rename(folder, target)
    sync(target.parent)


# -- the runs of a job ------------------------------------------------------------------------------------------------


def create(home: Path, start: Mapping[str, Any]) -> RunFolder:
    """A new run; it is there with its `run.json`, or not at all."""
    home.mkdir(parents=True, exist_ok=True)
    ignored = home.parent / ".gitignore"
    if not ignored.exists():
        ignored.write_text("*\n")
    for left in home.glob(".new-*"):
        shutil.rmtree(left, ignore_errors=True)
    run = _name(home)
    fresh = home / f".new-{run}"
    fresh.mkdir()
    said = {"format": FORMAT, "penstock": __version__, "run": run} | dict(start)
    (fresh / "run.json").write_text(json.dumps(said, indent=1, ensure_ascii=False, default=str))
    os.rename(fresh, home / run)
    return RunFolder(home / run)


def _name(home: Path) -> str:
    """The time of day to the millisecond, later than that of any run before."""
    newest = max((run.id for run in runs_of(home)), default="")
    while True:
        now = datetime.datetime.now(datetime.UTC)
        name = f"{now:%Y%m%dT%H%M%S}-{now.microsecond // 1000:03}"
        if name > newest:
            return name
        time.sleep(0.001)


def runs_of(home: Path) -> list[RunFolder]:
    """The runs of a job, oldest first."""
    return [RunFolder(path) for path in sorted(home.glob("[0-9]*T*-*")) if path.is_dir()]


def find(folder: Path, name: str) -> RunFolder:
    """The run of a name, of the end of one, or "last"."""
    runs = sorted((run for home in folder.glob("[!.]*") for run in runs_of(home)), key=lambda run: run.id)
    if name == "last" and runs:
        return runs[-1]
    found = [run for run in runs if name in (run.id, run.id.rpartition("-")[2]) or run.id.startswith(name)]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f'"{name}" is the beginning of {len(found)} runs', ", ".join(run.id for run in found[-3:]))
    known = ", ".join(run.id for run in runs[-3:]) or f"none in {folder}"
    raise UsageError(f'there is no run "{name}"', f"the last ones: {known}")


@contextmanager
def held(home: Path, *, wait: bool) -> Iterator[None]:
    """Hold a job, so that one run of it is at work at a time. The lock ends with the process, however that ends."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            lock.seek(0)
            raise Busy(
                f'another run of "{home.name}" is at work: {lock.read().strip() or "just begun"}',
                "wait for it with --wait (wait=True), or stop it",
            ) from None
        lock.truncate(0)
        lock.write(f"process {os.getpid()}, since {datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M:%S} UTC")
        lock.flush()
        try:
            yield
        finally:
            fcntl.flock(lock, fcntl.LOCK_UN)  # by name: a process that was forked meanwhile holds the file as well


def is_held(home: Path) -> bool:
    """Whether a run of the job is at work."""
    try:
        with (home / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def prune(home: Path, keep: int) -> list[str]:
    """Remove all but the newest runs; the names of those removed. What others share with them is linked, and stays."""
    gone = runs_of(home)[:-keep]
    for run in gone:
        shutil.rmtree(run.path, ignore_errors=True)
    return [run.id for run in gone]
