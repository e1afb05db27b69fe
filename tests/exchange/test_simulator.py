"""The simulator: clocks that can be worked out by hand, and plans for a thousand workers."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any

import pytest

from exchange_parts import counts, there
from penstock import exchange as ex
from penstock.errors import EngineError
from penstock.exchange import look, wire
from penstock.exchange.transports.simulator import simulate

pytestmark = pytest.mark.timeout(120)

HEADER = wire.HEADER.size

MAKES = ("distinct", "zipf", "uneven", "one part", "equal", "strings", "common")


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

    def work(part: None, world: ex.World) -> bytes:
        return world.reduce("sum", bytes(1000 - HEADER), max)

    star = simulate(work, [None] * 11, latency=0.0, bandwidth=1000.0, star=True)

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
    assert all(each.burden <= 2 for each in found.phases)
    assert simulate(work, range(1000)).seconds == found.seconds


def add(left: bytes, right: bytes) -> bytes:
    return (int.from_bytes(left, "big") + int.from_bytes(right, "big")).to_bytes(8, "big")


def test_a_tree_beats_a_star() -> None:
    """Reducing 100 KB over 1 000 workers takes ten times as long through one worker as by a tree, and more."""

    def work(part: None, world: ex.World) -> bytes:
        return world.reduce("sum", bytes(100_000), max)

    tree, star = (simulate(work, [None] * 1000, star=star) for star in (False, True))

    assert star.seconds > 10 * tree.seconds
    assert star.phases[0].burden > 400
    assert tree.phases[0].burden < 2
    assert tree.results == star.results
    assert str(tree).splitlines()[0].split()[:2] == ["phase", "ms"]


def test_what_grows_on_the_way_goes_along_two_trees() -> None:
    """In one tree a worker near the root receives three times what a leaf does; halves along two trees even it out."""

    def one(part: int, world: ex.World) -> bytes:
        return world.reduce("one", b"%08d" % part, union)

    def two(part: int, world: ex.World) -> bytes:
        mine = b"%08d" % part
        return union(*world.reduce_halves("two", (b"", mine) if part % 2 else (mine, b""), union))

    found = [simulate(work, [worker % 100 for worker in range(1000)]) for work in (one, two)]

    assert found[0].results == found[1].results == [b"".join(b"%08d" % part for part in range(100))] * 1000
    assert [its.phases[0].burden > 2 for its in found] == [True, False]


def union(left: bytes, right: bytes) -> bytes:
    """Numbers of eight digits, each once."""
    return b"".join(sorted({data[at : at + 8] for data in (left, right) for at in range(0, len(data), 8)}))


def numbers(make: str, worker: int, workers: int, rows: int) -> list[Any]:
    """A part of each make, the same in every run."""
    chance = random.Random(worker)
    if make == "zipf":
        return [int(chance.paretovariate(0.5)) for _ in range(rows)]
    if make == "uneven":
        rows = chance.choice([0, 0, rows // 2, 8 * rows])
    if make == "one part":
        rows = workers * rows if worker == workers // 3 else 0
    if make == "equal":
        return [7] * rows
    if make == "strings":
        return [f"user {chance.randrange(10**9)}" for _ in range(rows)]
    if make == "common":
        return [*range(10), *(chance.randrange(10**12) for _ in range(rows))]
    return [chance.randrange(-(2**63), 2**63) for _ in range(rows)]


STATISTICS: dict[str, tuple[Any, Any]] = {
    "mode": (ex.mode, lambda parts: counts(parts)[0]),
    "top": (lambda part, world: ex.top(part, world, 10), lambda parts: counts(parts)[:10]),
    "distinct": (ex.distinct, lambda parts: len(counts(parts))),
    "median": (ex.median, lambda parts: there(parts)[sum(map(len, parts)) // 2]),
    "quantiles": (
        lambda part, world: ex.quantiles(part, world, [0.25, 0.75]),
        lambda parts: [there(parts)[-(-share * sum(map(len, parts)) // 4) - 1] for share in (1, 3)],
    ),
    "estimate": (lambda part, world: abs(ex.distinct(part, world, 0.02) / world.size - 5) < 0.5, lambda parts: True),
    "moments": (lambda part, world: ex.moments(part, world).n, lambda parts: sum(map(len, parts))),
}


@pytest.mark.parametrize(
    ("workers", "statistic", "make", "rows"),
    [
        (1000, "mode", "distinct", 5),
        (1000, "median", "uneven", 10),
        (1000, "quantiles", "zipf", 10),
        (1000, "estimate", "distinct", 5),
        (1000, "moments", "distinct", 5),
        *((80, statistic, make, 60) for statistic in ("top", "distinct") for make in MAKES),
        *((80, "median", make, 60) for make in ("one part", "strings")),
    ],
)
def test_no_statistic_has_a_funnel(workers: int, statistic: str, make: str, rows: int) -> None:
    """In no phase does anybody receive more than twice the mean, whatever the values are; and the result is right."""
    work, truth = STATISTICS[statistic]
    parts = [numbers(make, worker, workers, rows) for worker in range(workers)]

    found = simulate(work, parts)

    assert found.results == [truth(parts)] * workers
    assert {each.phase: each.burden for each in found.phases if each.burden > 2} == {}


def test_fingerprints_have_no_funnel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where keys are few to a worker a shuffle is cheaper, and is what the others take; but it holds here too."""
    monkeypatch.setattr(look, "FINGERPRINT", -1e9)
    parts = [numbers("strings", worker, 100, 60) for worker in range(100)]

    found = simulate(ex.mode, parts)

    assert found.results == [counts(parts)[0]] * 100
    assert "second look" in [each.phase for each in found.phases]
    assert {each.phase: each.burden for each in found.phases if each.burden > 2} == {}


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
