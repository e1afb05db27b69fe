"""Buffers of approximate counts as Spark moves them: words of registers, as full as the values make them."""

from __future__ import annotations

import math

import pyarrow as pa
import pytest

from penstock.trees.registers import MARK, put_out, registers_of


def words(*seen: int, registers: int = 512, times: float = 1.0) -> pa.Table:
    """The words of buffers that saw so many values."""
    data = {"k": list(range(len(seen))), f"{MARK}0_0": [[each, registers] for each in seen]}
    return put_out(pa.table(data), times)


def filled(row: dict[str, int]) -> int:
    """How many registers of a buffer are not zero."""
    return sum((word >> 6 * place & 63) > 0 for name, word in row.items() if name != "k" for place in range(10))


def test_registers_of_an_error() -> None:
    """As Spark has it: 2 to the power of twice log2(1.106 / error), rounded up."""
    assert [registers_of(error) for error in (0.1, 0.05, 0.02, 0.01)] == [128, 512, 4096, 16384]


def test_a_buffer_is_words_of_ten_registers() -> None:
    """Columns of numbers stand where the count was, the other columns stay."""
    found = words(100)

    assert found.column_names == ["k", *(f"word {i}" for i in range(52))]
    assert set(found.schema.types) == {pa.int64()}


@pytest.mark.parametrize(("seen", "full"), [(0, 0), (50, 48), (512, 329), (100_000, 520)])
def test_registers_fill_as_values_come(seen: int, full: int) -> None:
    """Of so many values, about as many registers are not zero as chance fills: n (1 - exp(-values / 512)) of 520."""
    found = [filled(row) for row in words(*[seen] * 40).to_pylist()]

    assert sum(found) / len(found) == pytest.approx(full, rel=0.05)


def test_ranks_halve() -> None:
    """The registers that are at most k are exp(-values / 512 / 2^k) of all: each next rank is half as frequent."""
    rows = words(*[1024] * 40).to_pylist()
    ranks = [word >> 6 * place & 63 for row in rows for name, word in row.items() if name != "k" for place in range(10)]

    for most in range(1, 8):
        share = sum(rank <= most for rank in ranks) / len(ranks)
        assert share == pytest.approx(math.exp(-2 / 2**most), abs=0.015)


def test_a_task_sees_more_values_than_a_sample() -> None:
    """A buffer of a sample's run is as full as one that saw so many times its values."""
    [row] = words(50, times=10).to_pylist()

    assert filled(row) == pytest.approx(320, rel=0.1)


def test_the_same_buffers_twice() -> None:
    """Chance is the same in every plan."""
    assert words(5, 100, 3_000) == words(5, 100, 3_000)


def test_other_tables_stay() -> None:
    """A table without such buffers is not changed."""
    table = pa.table({"k": [1], "n": [2]})

    assert put_out(table) is table
