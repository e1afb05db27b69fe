"""What a call is given, looked at before anything is sent: a wrong argument is an error of the one who calls."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise
from numbers import Integral, Real
from typing import Any

import numpy as np

from penstock.errors import UsageError

__all__ = ["edges_of", "is_number", "number_of", "shares_of"]


def is_number(value: Any) -> bool:
    """Whether it is a number that can be compared; True is none here."""
    return isinstance(value, Real) and not isinstance(value, (bool, np.bool_)) and not math.isnan(value)


def number_of(name: str, value: Any, hint: str) -> int:
    """A whole number of 1 or more."""
    if not is_number(value) or not isinstance(value, Integral) or value < 1:
        raise UsageError(f"{name}={value!r} cannot be", hint)
    return int(value)


def shares_of(q: Any) -> list[Any]:
    """One share or several, each from 0 to 1."""
    several: list[Any] = [q] if isinstance(q, Real) else list(q) if isinstance(q, Iterable) else [None]
    if not all(is_number(each) and 0 <= each <= 1 for each in several):
        raise UsageError(f"q={q!r} cannot be", "q is 0 to 1, or several such numbers")
    return several


def edges_of(bins: Any) -> list[Any]:
    """Edges of bins as they are: integers stay exact."""
    edges = list(bins) if isinstance(bins, Iterable) and not isinstance(bins, (str, bytes, dict)) else []
    if len(edges) < 2 or not all(map(is_number, edges)):
        raise UsageError(f"bins={bins!r} cannot be", "give how many, 1 or more, or the edges: two numbers or more")
    if not all(low < high for low, high in pairwise(edges)):
        raise UsageError("the edges of a histogram ascend, and are two or more", "sort them")
    return [int(edge) if isinstance(edge, Integral) else float(edge) for edge in edges]
