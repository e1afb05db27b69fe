"""The job in a file: found, loaded, and its parameters taken from the command line."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.errors import InputError, PenstockError, UsageError

if TYPE_CHECKING:
    from penstock.jobs.job import Job

__all__ = ["load", "parameters"]


def load(name: str) -> Job:
    """The job of a file, `job.py` or `job.py:name` where the file has several."""
    from penstock.jobs.job import Job

    path, _, wanted = name.partition(":")
    file = Path(path)
    if not file.is_file():
        raise InputError(f"there is no file {path}", "give the file that declares the job: penstock run job.py")
    spec = importlib.util.spec_from_file_location(f"penstock_job_{file.stem}", file)
    if spec is None or spec.origin is None:
        raise InputError(f"{path} is no Python file", "a job is declared in one: job = ps.Job(…)")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    sys.path.insert(0, str(file.parent.absolute()))  # its neighbours can be imported, as when Python runs it
    try:
        # No bytecode, as of any program that Python runs: nothing is left beside the file, and a file that was edited
        # within a second is never taken for the older one.
        exec(compile(file.read_bytes(), spec.origin, "exec"), vars(module))  # noqa: S102, the file that was asked for
    except PenstockError:
        raise
    except Exception as error:
        raise UsageError(f"{path} cannot be loaded: {type(error).__name__}: {error}", "-v shows where") from error
    jobs = {key: value for key, value in vars(module).items() if isinstance(value, Job)}
    chosen = {key: job for key, job in jobs.items() if wanted in ("", key, job.name)}
    if len(set(map(id, chosen.values()))) != 1:
        there = ", ".join(sorted(jobs)) or "none"
        raise UsageError(f"{name} names {len(chosen)} jobs", f"{path} has: {there}; choose with {path}:name")
    return next(iter(chosen.values()))


def parameters(words: Iterable[str]) -> dict[str, Any]:
    """Values from `name=value`; a name that is given several times has a list.

    >>> parameters(["day=2026-03-01", "input=a", "input=b"])
    {'day': '2026-03-01', 'input': ['a', 'b']}
    """
    found: dict[str, list[str]] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise UsageError(f'"{word}" is no parameter', "write it as -p name=value")
        found.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}
