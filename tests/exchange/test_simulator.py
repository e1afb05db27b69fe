"""The simulator: clocks that can be worked out by hand, and plans for a thousand workers."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from penstock import exchange as ex
from penstock.errors import EngineError
from penstock.exchange import wire
from penstock.exchange.transports.simulator import simulate, tree_and_star

pytestmark = pytest.mark.timeout(120)

HEADER = wire.HEADER.size


def test_one_message_takes_two_ports_and_a_flight() -> None:
    """Latency plus the size over the bandwidth; a second message waits for the port."""

    def work(part: None, world: ex.World) -> None:
        world.share("one", bytes(1000 - HEADER))
        world.share("two", bytes(1000 - HEADER))

    found = simulate(work, [None, None], latency=0.5, bandwidth=1000.0)

    assert found.seconds == pytest.approx(0.5 + 1 + 1)
    assert [(hop.phase, hop.sender, hop.receiver, hop.bytes) for hop in found.path] == [("two", 0, 1, 1000)]
    assert [(each.phase, each.bytes, each.messages) for each in found.phases] == [("one", 1000, 1), ("two", 1000, 1)]
    assert found.phases[0].ended == pytest.approx(1.5)


def test_a_receiver_takes_one_message_at_a_time() -> None:
    """What arrives together goes through the receiver's port one after the other: a funnel costs time."""
    _, star = tree_and_star(11, 1000, latency=0.0, bandwidth=1000.0)

    assert star.seconds == pytest.approx(10 + 10)


def test_the_critical_path_is_a_chain() -> None:
    """Every hop begins where the one before it ended, and the last one ends when all is over."""

    def work(part: None, world: ex.World) -> bytes:
        return world.reduce("reduce", bytes(500), max)

    found = simulate(work, [None] * 20)

    assert all(one.receiver == other.sender and one.arrived <= other.sent for one, other in pairwise(found.path))
    assert found.path[-1].arrived == found.seconds
    assert 4 <= len(found.path) <= 10


def test_a_thousand_workers_have_no_funnel() -> None:
    """At 1 000 workers nobody receives more than twice the mean in any phase; a second run takes as long."""

    def work(part: int, world: ex.World) -> int:
        total = world.reduce("count", part.to_bytes(8, "big"), add)
        world.share("plan", bytes(5000), root=17)
        return int.from_bytes(total, "big") + len(world.gather("ids", b"%d" % part))

    found = simulate(work, range(1000))

    assert found.results == [sum(range(1000)) + 1000] * 1000
    assert [each.phase for each in found.phases] == ["count", "plan", "ids"]
    assert all(each.received_max <= 2 * each.received_mean for each in found.phases)
    assert simulate(work, range(1000)).seconds == found.seconds


def add(left: bytes, right: bytes) -> bytes:
    return (int.from_bytes(left, "big") + int.from_bytes(right, "big")).to_bytes(8, "big")


def test_a_tree_beats_a_star() -> None:
    """Reducing 100 KB over 1 000 workers takes ten times as long through one worker as by a tree, and more."""
    tree, star = tree_and_star(1000, 100_000)

    assert star.seconds > 10 * tree.seconds
    assert star.phases[0].received_max > 400 * star.phases[0].received_mean
    assert tree.phases[0].received_max < 2 * tree.phases[0].received_mean
    assert str(tree).splitlines()[0].split()[:2] == ["phase", "ms"]


def test_all_to_all_is_spread_over_the_ports() -> None:
    """Each of W ports takes its W - 1 parts one after the other, all ports at once: no time is lost."""

    def work(part: None, world: ex.World) -> Any:
        return world.swap("swap", [bytes(1000 - HEADER)] * world.size)

    found = simulate(work, [None] * 50, latency=0.001, bandwidth=1e6)

    assert found.seconds == pytest.approx(0.001 + 50 * 0.001, rel=0.05)


def test_a_deadlock_is_seen_when_it_happens() -> None:
    """When everybody waits, the error says for whom and where; nobody waits for a timeout."""

    def work(part: None, world: ex.World) -> Any:
        return world.gather("all", b"") if world.id else None

    with pytest.raises(EngineError, match=r'a deadlock: 3 workers wait, such as worker 1 in "all"'):
        simulate(work, [None] * 4)


def test_an_error_ends_all() -> None:
    """A worker's error is raised with its id."""

    def work(part: None, world: ex.World) -> Any:
        return world.gather("all", b"%d" % (1 // (world.id - 2)))

    with pytest.raises(EngineError, match="worker 2 failed: ZeroDivisionError"):
        simulate(work, [None] * 4)
