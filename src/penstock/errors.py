"""Every error that Penstock raises on purpose, as one tree.

    PenstockError
    |-- UsageError          (ValueError)   the call is wrong; nothing ran                       exit 2
    |   |-- ColumnError     (KeyError)     a column that the table does not have
    |   `-- MissingExtra    (ImportError)  an optional package is not installed
    |-- InputError          (ValueError)   a file or a record cannot be read as what it is said to be   exit 2
    |-- OutputError         (OSError)      the result cannot be written; what was there before is intact   exit 2
    |-- CheckFailed         (ValueError)   more rows are bad than a check allows                exit 3
    |-- OverBudget          (ValueError)   a plan would move, hold or write more than it may    exit 5
    `-- EngineError         (RuntimeError) the engine failed while working                      exit 1
        `-- StepFailed                     a step of a job failed; what other steps did is kept

A message says what happened, what was there and what to do about it. `hint` holds the last part by itself, so that the
command line and a page can set it apart.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "CheckFailed",
    "ColumnError",
    "EngineError",
    "InputError",
    "MissingExtra",
    "OutputError",
    "OverBudget",
    "PenstockError",
    "StepFailed",
    "UsageError",
]


class PenstockError(Exception):
    """The root: catch this to catch everything that Penstock raises on purpose."""

    exit_code = 1

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what, hint)
        self.what = what
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.what}; {self.hint}" if self.hint else self.what


class UsageError(PenstockError, ValueError):
    """The call cannot mean anything; it is raised when the call is made and nothing has run."""

    exit_code = 2


class ColumnError(UsageError, KeyError):
    """A column was named that the table does not have."""

    __str__ = PenstockError.__str__  # KeyError would print the repr of its argument

    @classmethod
    def missing(cls, name: str, columns: Iterable[str], where: str = "the table") -> ColumnError:
        """Name the nearest column there is, and all that there are.

        >>> print(ColumnError.missing("userid", ["user_id", "ts"], "events"))
        no column "userid" in events; did you mean "user_id"? it has: user_id, ts
        """
        present = list(columns)
        folded = {column.casefold(): column for column in present}
        near = difflib.get_close_matches(name.casefold(), folded, n=1)
        guess = f'did you mean "{folded[near[0]]}"? ' if near else ""
        return cls(f'no column "{name}" in {where}', f"{guess}it has: {', '.join(present)}")


class MissingExtra(UsageError, ImportError):
    """A part of Penstock that needs an optional package was used without it."""

    @classmethod
    def of(cls, package: str, extra: str) -> MissingExtra:
        """Give the line to type.

        >>> print(MissingExtra.of("pyspark", "spark"))
        pyspark is not installed; pip install 'penstock[spark]'
        """
        return cls(f"{package} is not installed", f"pip install 'penstock[{extra}]'")


class InputError(PenstockError, ValueError):
    """A file is missing, broken, or not what it is said to be."""

    exit_code = 2


class OutputError(PenstockError, OSError):
    """The result cannot be written where it was asked for; whatever stood there before still does."""

    exit_code = 2


class CheckFailed(PenstockError, ValueError):
    """A check found more bad rows than it allows; they are kept apart, and nothing was built on the others."""

    exit_code = 3


class OverBudget(PenstockError, ValueError):
    """A plan is forecast to move, hold or write more than it may; nothing ran."""

    exit_code = 5


class EngineError(PenstockError, RuntimeError):
    """The engine failed while working: its own message, the step and the SQL."""


class StepFailed(EngineError):
    """A step of a job failed: its name, its place in the user's file, and the error that was the cause."""
