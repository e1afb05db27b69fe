"""Questions about samples: what is kept, and what is let go."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pyarrow as pa
import pytest

from penstock.engines.asking import ask, keep, let_go
from penstock.errors import InputError

ONE = pa.table({"x": [1]})


def test_what_is_let_go_is_forgotten() -> None:
    """A table answers until it is let go; others stay."""
    gone, there = keep(ONE), keep(ONE)
    assert ask(f"SELECT x FROM {gone}") == ONE

    let_go([gone])

    assert ask(f"SELECT x FROM {there}") == ONE
    with pytest.raises(InputError, match=gone):
        ask(f"SELECT x FROM {gone}")
    let_go([there])


def test_letting_go_waits_for_no_question() -> None:
    """While a question is at work another thread lets go at once: the question may be waiting for that very thread."""
    begun, done = threading.Event(), threading.Event()
    in_time: list[bool] = []

    def batches() -> Iterator[pa.RecordBatch]:
        begun.set()
        in_time.append(done.wait(20))
        yield from ONE.to_batches()

    other = keep(ONE)
    slow = keep(pa.RecordBatchReader.from_batches(ONE.schema, batches()))
    question = threading.Thread(target=ask, args=(f"SELECT sum(x) FROM {slow}",))
    question.start()
    assert begun.wait(20)
    let_go([other])
    done.set()
    question.join()

    assert in_time == [True]
    let_go([slow])
