"""What values may come as: arrays of pandas, Polars and Arrow with nulls, dates and times one by one."""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from penstock import exchange as ex
from penstock.errors import UsageError

DAYS = [dt.date(2024, 2, 29), dt.date(1969, 1, 1), dt.date(2024, 2, 29), None]
NOON = dt.datetime(2024, 7, 1, 12, 0, 0, 5)
TIMES = [dt.time(23, 59, 59, 999_999), None, dt.time(1, 2, 3), dt.time(1, 2, 3)]


def alone(fn: Any, values: Any) -> Any:
    """What a single worker makes of values."""
    return ex.run(fn, [values], transport="threads")[0]


def nullable(make: Any, dtype: str) -> Any:
    """Two large integers that one float stands for, and nulls."""
    return make([None, 2**53 + 1, 2**53 + 1, 2**53, None], dtype=dtype)


@pytest.mark.parametrize("dtype", ["Int64", "UInt64", "int64[pyarrow]"])
@pytest.mark.parametrize("make", [pd.Series, pd.array, pd.Index], ids=["Series", "array", "Index"])
def test_nullable_integers_of_pandas_stay_exact(make: Any, dtype: str) -> None:
    """Nulls are skipped and counted, and no integer goes through a float."""
    values = nullable(make, dtype)

    assert alone(ex.top, values) == [(2**53 + 1, 2), (2**53, 1)]
    assert alone(ex.median, values) == 2**53 + 1
    assert alone(ex.moments, values)[:2] == (3, 2)
    assert alone(ex.mode, [values, values]) == (2**53 + 1, 4)


@pytest.mark.parametrize(
    ("values", "mode"),
    [
        (pd.array([None, 1.5, 1.5], dtype="Float64"), 1.5),
        (pd.Series([None, True, True], dtype="boolean"), True),
        (pd.Series(["b", None, "b"]), "b"),
        (pd.Series(["b", None, "b"], dtype="category"), "b"),
        (pd.Series([7, None, 7], dtype=pd.CategoricalDtype([7, 8])), 7),
        (pd.Series([0.0, 1.0, 1.0], dtype=pd.SparseDtype("float")), 1.0),
    ],
    ids=["Float64", "boolean", "str", "category", "category of integers", "sparse"],
)
def test_types_that_numpy_does_not_have(values: Any, mode: Any) -> None:
    """A null of whatever type is skipped."""
    assert alone(ex.mode, values) == (mode, 2)


def test_periods_are_refused() -> None:
    """Numbers behind a type that is not known here are not taken for integers."""
    with pytest.raises(UsageError, match="cannot be counted here"):
        alone(ex.mode, pd.Series(pd.period_range("2024-01-01", periods=2, freq="D")))


@pytest.mark.parametrize(
    ("values", "least"),
    [
        (DAYS, np.datetime64("1969-01-01")),
        ([NOON, None, NOON], np.datetime64(NOON)),
        ([NOON.replace(tzinfo=ZoneInfo("Europe/Berlin"))], np.datetime64(NOON - dt.timedelta(hours=2))),
        ([dt.timedelta(days=-1), dt.timedelta(0)], np.timedelta64(-86_400_000_000, "us")),
        ([np.datetime64("2024-01-01", "ns"), np.datetime64("NaT")], np.datetime64("2024-01-01", "ns")),
        ([pd.Timestamp(1, unit="ns")], np.datetime64(1, "ns")),
        (pd.Series([NOON, None]).dt.tz_localize("UTC"), np.datetime64(NOON)),
        (TIMES, dt.time(1, 2, 3)),
        (pa.array(TIMES), dt.time(1, 2, 3)),
        (pa.array([3, 4], pa.time32("s")), dt.time(0, 0, 3)),
        (pl.Series(TIMES), dt.time(1, 2, 3)),
    ],
    ids=["date", "naive", "aware", "timedelta", "NumPy", "Timestamp", "pandas", "time", "time64", "time32", "Polars"],
)  # fmt: skip
def test_dates_and_times_are_ordered(values: Any, least: Any) -> None:
    """Each kind has a least value, and it comes back from a process: dates as NumPy's, times as Python's."""
    found = ex.run(lambda part, world: ex.quantiles(part, world, 0), [values, values])

    assert found == [least] * 2
    assert type(found[0]) is type(least)


def test_moments_with_and_without_a_zone_are_unlike() -> None:
    """No clock is guessed, be it in one list or on two workers."""
    aware = NOON.replace(tzinfo=dt.UTC)
    for parts in ([[NOON, aware]], [[NOON], [aware]], [pa.array([NOON]), pa.array([aware])]):
        with pytest.raises(UsageError, match="unlike kinds"):
            ex.run(ex.mode, parts, transport="threads")
    with pytest.raises(UsageError, match="with a time zone"):
        alone(ex.mode, [dt.time(1, tzinfo=dt.UTC)])


def test_times_finer_than_microseconds_are_refused() -> None:
    """No digit is dropped in silence."""
    with pytest.raises(UsageError, match="finer than microseconds"):
        alone(ex.mode, pa.array([1], pa.time64("ns")))


@pytest.mark.timeout(30)
def test_integers_that_are_all_beyond_64_bits() -> None:
    """Their differences fit into 64 bits, and they are counted all the same."""
    values = [2**70, 2**70 + 1, 2**70 + 1]

    assert alone(ex.mode, values) == (2**70 + 1, 2)
    assert alone(ex.median, values) == 2**70 + 1
    assert alone(ex.distinct, values) == 2
