"""Whether a zstd file is whole, told without decompressing it."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pyarrow as pa
import pytest

import penstock as ps
from penstock.engines.zstd import refuse_cut


@pytest.mark.parametrize("size", [0, 1, 100, 300_000])
@pytest.mark.parametrize("kind", ["zeros", "noise", "text"])
def test_a_cut_anywhere_is_found(tmp_path: Path, size: int, kind: str) -> None:
    """A whole file passes, two in one pass, and one that ends early, anywhere, does not."""
    data = {"zeros": bytes(size), "noise": random.Random(1).randbytes(size), "text": b"1,abc\n" * (size // 6)}[kind]
    path = tmp_path / "a.zst"
    with pa.CompressedOutputStream(str(path), "zstd") as file:
        file.write(data)
    whole = path.read_bytes()

    refuse_cut(str(path))
    path.write_bytes(whole * 2)
    refuse_cut(str(path))
    chance = random.Random(2)
    for length in {1, 3, 5, len(whole) // 2, len(whole) - 1, *(chance.randrange(1, len(whole)) for _ in range(20))}:
        path.write_bytes(whole[:length])
        with pytest.raises(ps.InputError, match=r"a\.zst is (cut short|not zstd)"):
            refuse_cut(str(path))


def test_what_follows_a_frame_must_be_one(tmp_path: Path) -> None:
    """Skippable frames are passed over; anything else after the data is not zstd."""
    path = tmp_path / "a.zst"
    with pa.CompressedOutputStream(str(path), "zstd") as file:
        file.write(b"text")
    whole = path.read_bytes()

    path.write_bytes(whole + (0x184D2A53).to_bytes(4, "little") + (3).to_bytes(4, "little") + os.urandom(3))
    refuse_cut(str(path))
    path.write_bytes(whole + b"more")
    with pytest.raises(ps.InputError, match="is not zstd"):
        refuse_cut(str(path))
