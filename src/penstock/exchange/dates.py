"""Dates, moments, durations and times of day that come one by one: as numbers of a unit, and back.

What has a time zone is a moment wherever it is read, and counts in UTC; what has none is a reading of some clock. The
two are kinds of their own.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from penstock.errors import UsageError

__all__ = ["DAY_TIME", "IN_UTC", "date_kind", "dates_as_numpy", "from_number", "times_as_numbers"]

DAY_TIME: Final = "time"  # the kind of times of day: microseconds since midnight, as finely as Python has them
IN_UTC: Final = " in UTC"  # behind NumPy's name of a kind


def date_kind(item: Any) -> str:
    """Which of the kinds here a value is; empty where it is none."""
    if isinstance(item, dt.datetime):
        return "moment" if item.tzinfo is None else f"moment{IN_UTC}"
    if isinstance(item, dt.time):
        if item.tzinfo is not None:
            raise UsageError("a time of day with a time zone is no moment", "give datetimes, or times without a zone")
        return DAY_TIME
    if isinstance(item, (dt.timedelta, np.timedelta64)):
        return "duration"
    if isinstance(item, np.datetime64):
        return "moment"
    return "date" if isinstance(item, dt.date) else ""


def dates_as_numpy(kind: str, items: list[Any]) -> npt.NDArray[Any]:
    """Dates, moments or durations as NumPy has them; moments in UTC where they have a zone."""
    if any(hasattr(item, "to_numpy") or isinstance(item, np.generic) for item in items):  # as fine as nanoseconds
        return np.array([item.to_numpy() if hasattr(item, "to_numpy") else item for item in items])
    if kind.endswith(IN_UTC):
        items = [item.astimezone(dt.UTC).replace(tzinfo=None) for item in items]
    try:
        return np.array(items, {"date": "M8[D]", "duration": "m8[us]"}.get(kind, "M8[us]"))
    except OverflowError:
        raise UsageError("a duration is longer than 292,000 years", "convert durations to numbers") from None


def times_as_numbers(times: list[dt.time]) -> npt.NDArray[np.int64]:
    """Times of day as microseconds since midnight."""
    counted = [((at.hour * 60 + at.minute) * 60 + at.second) * 1_000_000 + at.microsecond for at in times]
    return np.array(counted, np.int64)


def from_number(kind: str, number: int) -> Any:
    """The value of a number: a time of Python's, or a date, a moment or a duration of NumPy's."""
    if kind == DAY_TIME:
        return (dt.datetime.min + dt.timedelta(microseconds=number)).time()
    return np.int64(number).view(kind.removesuffix(IN_UTC))
