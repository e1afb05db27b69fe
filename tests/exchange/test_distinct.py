"""distinct against a set, exactly and estimated."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange_parts import parts, there
from penstock import exchange as ex
from penstock.errors import UsageError
from penstock.exchange import look


def on_all(fn: Any, all_parts: list[Any]) -> tuple[int, int]:
    """The number that all workers agree on, and the bytes that all sent."""
    results = ex.run(lambda part, world: (fn(part, world), world.traffic), all_parts, transport="threads")
    assert len({found for found, _ in results}) == 1
    return results[0][0], sum(its.sent_bytes for _, traffic in results for its in traffic.values())


@settings(max_examples=40)
@given(parts(), st.sampled_from([-1e9, 1e9]))
def test_distinct_is_the_size_of_the_set(all_parts: list[list[Any]], fingerprint: float) -> None:
    """By fingerprints and by moving every key; NaN is one value, nulls are none."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(look, "FEW", 0)
        patch.setattr(look, "FINGERPRINT", fingerprint)
        found, _ = on_all(ex.distinct, all_parts)

    assert found == len(set(there(all_parts)))


@pytest.mark.parametrize("error", [None, 0.01])
def test_strings_beyond_the_memory_are_counted_from_files(error: float | None, tmp_path: Path) -> None:
    """Chunks of strings with room for a few hundred of them; the files are gone afterwards."""
    all_parts = [[f"user {n * 7 % 1500}" for n in range(worker, 4000)] for worker in range(3)]

    def work(part: list[str], world: ex.World) -> int:
        return ex.distinct((part[at : at + 100] for at in range(0, len(part), 100)), world, error, memory=50_000)

    folders = []
    make = tempfile.mkdtemp
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(tmp_path))
        patch.setattr(tempfile, "mkdtemp", lambda *names: folders.append(make(*names)) or folders[-1])
        found, _ = on_all(work, all_parts)

    assert abs(found - 1500) <= (0 if error is None else 4 * error * 1500)
    assert len(folders) == 3
    assert list(tmp_path.iterdir()) == []


def test_values_that_nobody_shares_are_not_sent() -> None:
    """Counting them costs no more than finding a mode: a byte and a half each."""
    draw = np.random.default_rng(6)
    all_parts = [draw.integers(-(2**63), 2**63 - 1, 20_000) for _ in range(10)]
    all_parts[1][:100] = all_parts[2][:100]

    found, sent = on_all(ex.distinct, all_parts)

    assert found == 199_900
    assert sent <= 1.5 * 200_000


@pytest.mark.parametrize("count", [0, 1, 100, 3000, 200_000])
@pytest.mark.parametrize("kind", ["numbers", "text"])
def test_an_estimate_is_within_its_error(count: int, kind: str) -> None:
    """Within four standard errors, for few values and for many; however often they come, on however many workers."""
    values = np.arange(count) * 1000 if kind == "numbers" else [f"user {n}" for n in range(min(count, 20_000))]
    all_parts = [values, values[: count // 2], values[count // 3 :]]

    found, sent = on_all(lambda part, world: ex.distinct(part, world, 0.02), all_parts)

    assert abs(found - len(values)) <= 4 * 0.02 * len(values)
    assert sent <= 40_000


def test_an_error_that_no_sketch_has() -> None:
    """The call fails before anything runs."""
    with pytest.raises(UsageError, match=r"give 0\.001 to 0\.26, or None"):
        ex.distinct([1], None, 0.5)  # type: ignore[arg-type]
