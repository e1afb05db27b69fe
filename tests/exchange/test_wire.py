"""Messages: whatever happens to the bytes on their way, nothing wrong comes out."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import EngineError
from penstock.exchange import wire

RUN = wire.run_key("tuesday", 4)


def frame(sender: int, phase: int, sequence: int, kind: int, body: bytes) -> wire.Frame:
    return wire.Frame(sender, phase, wire.name_key("phase"), sequence, kind, memoryview(body))


def test_a_frame_comes_out_as_it_went_in() -> None:
    """Every field and the body survive the way to bytes and back."""
    sent = frame(3, 7, 2, wire.MORE, b"\x00\xff body")

    assert wire.unpack(RUN, wire.pack(RUN, sent)) == sent
    assert len(wire.pack(RUN, sent)) == wire.HEADER.size + len(sent.body)


@given(st.binary(max_size=40), st.data())
def test_no_damaged_message_is_taken(body: bytes, data: st.DataObject) -> None:
    """One bit that differs, a byte that lacks or one too many is an error."""
    whole = bytearray(wire.pack(RUN, frame(1, 2, 3, wire.LAST, body)))
    bit = data.draw(st.integers(0, len(whole) * 8 - 1))
    flipped = bytearray(whole)
    flipped[bit // 8] ^= 1 << bit % 8

    for damaged in (flipped, whole[:-1], whole + b"x", b""):
        with pytest.raises(EngineError):
            wire.unpack(RUN, damaged)


def test_a_message_of_another_run_is_refused() -> None:
    """Another name of the run, or another number of workers, is another run."""
    sent = frame(1, 2, 3, wire.LAST, b"")

    for other in (wire.run_key("wednesday", 4), wire.run_key("tuesday", 5)):
        with pytest.raises(EngineError, match="belongs to another run; start all workers with the same"):
            wire.unpack(RUN, wire.pack(other, sent))


def test_what_is_no_message_is_refused() -> None:
    """Bytes of something else are told from damaged ones."""
    with pytest.raises(EngineError, match="does not begin as those of this exchange do"):
        wire.unpack(RUN, b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n")


@pytest.mark.parametrize(("size", "count"), [(0, 1), (1, 1), (7, 1), (8, 2), (14, 2), (15, 3)])
def test_a_long_message_goes_in_frames(size: int, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """No frame carries more than `FRAME` bytes, the last one says so, and an empty message is one frame."""
    monkeypatch.setattr(wire, "FRAME", 7)
    cut = list(wire.frames(bytes(size)))

    assert [kind for kind, _ in cut] == [wire.MORE] * (count - 1) + [wire.LAST]
    assert sum(len(body) for _, body in cut) == size
    assert max(len(body) for _, body in cut) <= 7


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.binary(max_size=9)), max_size=12), st.randoms())
def test_an_inbox_puts_frames_in_order(messages: list[tuple[int, int, bytes]], chance: random.Random) -> None:
    """Frames that come in any order, some twice, give every message once, whole, in the order of sending."""
    frames = []
    sequences: dict[tuple[int, int], int] = {}
    for sender, phase, data in messages:
        pieces = [data[start : start + 2] for start in range(0, max(1, len(data)), 2)]
        for number, piece in enumerate(pieces, 1):
            place = sequences.get((sender, phase), 0)
            sequences[sender, phase] = place + 1
            kind = wire.LAST if number == len(pieces) else wire.MORE
            frames.append(frame(sender, phase, place, kind, piece))
    frames += chance.sample(frames, len(frames) // 3)
    chance.shuffle(frames)
    inbox = wire.Inbox()
    for each in frames:
        inbox.put(each)

    for phase in range(3):
        for sender in range(3):
            expected = [data for one, other, data in messages if (one, other) == (sender, phase)]
            taken = []
            while (message := inbox.take(phase, sender)) is not None:
                taken.append(message.data)
            assert taken == expected
        inbox.end(phase)
        for each in frames:  # all of it once more: nothing of what is over comes back
            if each.phase <= phase:
                inbox.put(each)
                assert inbox.take(phase, each.sender) is None
