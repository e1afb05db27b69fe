"""Wrong arguments: a UsageError of the one who calls, before anything is sent."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from penstock import exchange as ex
from penstock.errors import UsageError


def alone(fn: Any, values: Any) -> Any:
    """What a single worker makes of values."""
    return ex.run(fn, [values], transport="threads")[0]


@pytest.mark.parametrize(
    "call",
    [
        *(lambda world, k=k: ex.top([1], world, k) for k in (1.5, "3", None, True, 0)),
        *(lambda world, q=q: ex.quantiles([1], world, q) for q in (None, "a", [0.5, None], 2, float("nan"))),
        *(lambda world, error=error: ex.distinct([1], world, error) for error in ("a", 2)),
        *(lambda world, bins=bins: ex.histogram([1], world, bins) for bins in (None, 1.5, "a", 0, True, [1], [1, "a"])),
        *(lambda world, memory=memory: ex.mode([1], world, memory=memory) for memory in ("1GB", None, 0, -1)),
    ],
)
def test_a_wrong_argument_is_told_at_once(call: Any) -> None:
    """What was given and what to give stand in the error, and no message was sent."""

    def refuse(*_: Any) -> bytes:
        raise AssertionError("something was sent")

    with pytest.raises(UsageError) as caught:
        call(ex.World(0, 2, refuse, refuse))
    assert caught.value.hint


@pytest.mark.parametrize(
    "values",
    [
        np.ones((2, 2)),
        np.array(5),
        pd.DataFrame({"a": [1]}),
        pl.DataFrame({"a": [1]}),
        pa.table({"a": [1]}),
        [np.ones((2, 2))],
    ],
    ids=["2-D", "0-D", "pandas", "polars", "arrow", "a list of 2-D"],
)
def test_a_table_is_no_column(values: Any) -> None:
    """Arrays of other than one dimension, and tables of whatever library, are refused with what to give."""
    with pytest.raises(UsageError, match="give one column"):
        alone(ex.mode, values)


@pytest.mark.parametrize("parts", [None, {"a": [1]}, "abc", 5])
def test_parts_are_a_list(parts: Any) -> None:
    """Nothing is started for what has no parts in order."""
    with pytest.raises(UsageError, match="give a list with a part for each worker"):
        ex.run(ex.mode, parts)


def test_an_unknown_option_names_those_there_are() -> None:
    """Each transport has its own."""
    with pytest.raises(UsageError, match=r"has no option restarts=; it has: timeout, checkpoint"):
        ex.run(ex.mode, [[1]], transport="threads", restarts=1)
