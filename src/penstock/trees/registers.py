"""The buffer of a HyperLogLog++ as Spark moves it: registers of six bits, ten in a word, as full as they would be."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["MARK", "put_out", "registers_of"]

#: What columns are called that hold, in place of a buffer, how many values it saw and how many registers it has.
MARK = "registers"


def registers_of(error: float) -> int:
    """The registers that a relative error needs.

    >>> registers_of(0.05), registers_of(0.02)
    (512, 4096)
    """
    return 1 << math.ceil(2 * math.log2(1.106 / error))


def put_out(table: pa.Table, times: float = 1.0) -> pa.Table:
    """A table with words of buffers in place of the columns that stand for them, which saw so many times the values."""
    import numpy as np
    import pyarrow as pa

    chance = np.random.default_rng(7)  # the same in every plan
    for name in table.column_names:
        if MARK not in name:
            continue
        seen = times * np.array([value[0] for value in table[name].to_pylist()], float)
        registers = int(table[name][0].as_py()[1])
        words = registers // 10 + 1
        # A register keeps the highest rank among the x values that fall on it, and half of all have each next one. So
        # it is at most k with the chance exp(-x / 2^k), as the exponent of x over an exponential number is.
        waited = chance.standard_exponential((len(seen), 10 * words), np.float32)
        with np.errstate(divide="ignore"):
            values = np.clip(np.ceil(np.log2((seen / registers)[:, None] / waited)), 0, 63).astype(np.uint64)
        packed = (values.reshape(len(seen), words, 10) << (6 * np.arange(10, dtype=np.uint64))).sum(axis=2)
        table = table.drop_columns([name])
        for position in range(words):
            table = table.append_column(f"word {position}", pa.array(packed[:, position].astype(np.int64)))
    return table
