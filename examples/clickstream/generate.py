"""Write a day of clicks as its servers would: `python examples/clickstream/generate.py --size 300MB --into data`.

    data/logs/server-03/2026-03-01T14.json.gz   what a server received in an hour, one JSON object a line
    data/users.parquet, pages.csv, ranges.csv   who is signed in, what a URL is, which country has which addresses
    data/truth.json                             what was done to the lines, and what should be left of them

The lines are as they come in life: few visitors and pages have most of them, a tenth has no user, some events arrive
hours late (after midnight, too, and from the evening before), some are sent again, one in a hundred is broken. A seed
gives the same bytes, with any number of processes; a core writes about 12 MB of gzip a second.
"""

from __future__ import annotations

import argparse
import binascii
import gzip
import json
import multiprocessing
import os
import re
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from functools import cache, partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

__all__ = ["BROKEN", "generate", "size_in_bytes"]

DAY = date(2026, 3, 1)
LINE = 42.5  # bytes of gzip, as measured
PART = 25e6  # bytes of gzip that a server has, where their number is not given
SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000  # in milliseconds, which all times here are, from midnight on
EVENING, MIDNIGHT, END = -3 * HOUR, 24 * HOUR, 27 * HOUR
QUIET = 2 * SECOND  # before each midnight, so that an event and its repetition are of one day

PAGES, RANGES, NETWORKS_6 = 5_000, 8_000, 48
CLICKS, GAP = 8, 20 * SECOND  # of a visit: how many in the mean, and the usual time between two
GUESTS, TRAVELLERS, LATE, PAUSED = 0.1, 0.05, 0.01, 0.01  # shares of visits, and of events
CURVE = [3, 2, 2, 2, 1, 1, 1, 1, 1, 2, 3, 5, 6, 6, 6, 7, 7, 6, 6, 7, 8, 9, 10, 10, 8, 6, 4]  # visits, from 21:00 on

KINDS = {"view": 0.82, "search": 0.08, "share": 0.03, "cart": 0.05, "buy": 0.02}
COUNTRIES = {
    "US": 30, "DE": 9, "IN": 9, "GB": 8, "FR": 7, "BR": 7, "JP": 6, "CA": 5, "NL": 4, "PL": 4, "ES": 4, "KR": 3,
    "AU": 2, "CI": 1, "NZ": 1,
}  # fmt: skip
SECTIONS = ["products", "blog", "docs", "help", "jobs"]
PLANS = ["free", "plus", "pro"]
WORDS = [
    "amber", "birch", "cedar", "coral", "ember", "fern", "flint", "hazel", "iris", "larch", "maple", "moss", "ochre",
    "opal", "pebble", "plum", "quartz", "reed", "sage", "slate", "topaz", "umber", "violet", "willow",
]  # fmt: skip

#: What breaks a line, each in the same share of them. The first three do not parse as what they should be.
BROKEN = ("cut", "not_json", "wrong_type", "no_url", "impossible_time", "bad_ip")
#: The shares of lines that are broken, sent twice, sent again a moment later, and again minutes later.
BREAKS, EXACT, RETRIED, RELOADED = 0.01, 0.008, 0.01, 0.002
WHOLE, TWICE, AGAIN, RELOAD = range(-1, 3)

NOT_JSON = ['GET /healthz HTTP/1.1" 200 2', "panic: runtime error: index out of range [3]", "[1, 2, 3]", "}", "\ufffd"]
NO_TIMES = ["1970-01-01T00:00:00", "2106-02-07T06:28:15"]
NO_ADDRESSES = ["300.12.4.1", "10.0.0", "localhost", "", "1.2.3.4.5"]


class World(NamedTuple):
    """What all servers have in common: how many users there are, and the pieces that lines are made of."""

    users: int
    addresses: pa.Array
    urls: pa.Array
    seconds: pa.Array


def generate(
    into: str | Path, size: int, seed: int = 7, day: date = DAY, servers: int | None = None,
    processes: int | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Write about `size` bytes of gzipped logs and what belongs to them; return what truth.json says."""
    into, servers = Path(into), servers or max(3, round(size / PART))
    lines = max(20, round(size / LINE / servers))
    users = max(200, lines * servers // 60)
    into.mkdir(parents=True, exist_ok=True)
    for old in into.glob("logs/server-*/*.json.gz"):
        old.unlink()
    _write_tables(into, users, seed, day)
    write = partial(_write_server, into, lines, users, seed, day)
    processes = processes or (os.cpu_count() or 1 if size > PART else 1)
    if processes == 1:
        counted = list(map(write, range(servers)))
    else:
        with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
            counted = list(pool.map(write, range(servers)))
    total: Counter[str] = Counter()
    for server in counted:
        total.update(server)
    truth = {"size": size, "seed": seed, "day": str(day), "servers": servers, **_nested(total)}
    (into / "truth.json").write_text(json.dumps(truth, indent=2) + "\n")
    return truth


def _nested(counts: Counter[str]) -> dict[str, Any]:
    """`{"broken.cut": 3}` as `{"broken": {"cut": 3}}`."""
    found: dict[str, Any] = {}
    for name, n in sorted(counts.items()):
        group, _, member = name.partition(".")
        if member:
            found.setdefault(group, {})[member] = n
        else:
            found[name] = n
    return found


# -- what stands beside the logs --------------------------------------------------------------------------------------


def _write_tables(into: Path, users: int, seed: int, day: date) -> None:
    rng = np.random.default_rng([seed, 1])
    known = np.flatnonzero(rng.random(users) > 0.01) + 1  # the others signed up today, and are not in the table yet
    joined = np.datetime64(day) - rng.integers(1, 1500, len(known))
    plans = rng.choice(PLANS, len(known), p=[0.7, 0.2, 0.1])
    table = pa.table({"user_id": known, "joined": pa.array(joined), "plan": plans})
    pyarrow.parquet.write_table(table, into / "users.parquet")

    urls = _urls(seed)
    sections = [url.split("/")[1] for url in urls]
    titles = [url.split("/")[2].replace("-", " ").capitalize() for url in urls]
    described = pa.table({"url": urls, "title": titles, "section": sections}).slice(0, PAGES - 50)
    pyarrow.csv.write_csv(described, into / "pages.csv")

    # The addresses from 1.0.0.0 to 223.255.255.255, cut into ranges of /24 networks; one range in fifty is nobody's.
    cuts = np.unique(rng.integers(1 << 16, 224 << 16, RANGES))
    first, last = _dotted(cuts[:-1] << 8).to_pylist(), _dotted((cuts[1:] << 8) - 1).to_pylist()
    first += [f"2001:db8:{network:x}00::" for network in range(NETWORKS_6)]
    last += [f"2001:db8:{network:x}ff:ffff:ffff:ffff:ffff:ffff" for network in range(NETWORKS_6)]
    share = np.array(list(COUNTRIES.values())) / sum(COUNTRIES.values())
    ranges = pa.table({"first": first, "last": last, "country": rng.choice(list(COUNTRIES), len(first), p=share)})
    pyarrow.csv.write_csv(ranges.filter(pa.array(rng.random(len(first)) > 0.02)), into / "ranges.csv")


def _urls(seed: int) -> list[str]:
    rng = np.random.default_rng([seed, 2])
    words, section = rng.choice(WORDS, (PAGES, 2)).tolist(), rng.choice(SECTIONS, PAGES).tolist()
    return [f"/{section[i]}/{a}-{b}-{i}" for i, (a, b) in enumerate(words)]


@cache  # a process writes several servers
def _world(users: int, seed: int, day: date) -> World:
    rng = np.random.default_rng([seed, 3])
    dotted = _dotted(rng.integers(1 << 24, 224 << 24, users))
    hexadecimal = pa.array([f"{i:x}" for i in range(1 << 16)])
    network, host = rng.integers(0, NETWORKS_6 << 8, users), rng.integers(1, 1 << 16, users)
    sixes = pc.binary_join_element_wise("2001:db8:", hexadecimal.take(network), "::", hexadecimal.take(host), "")
    addresses = pc.if_else(pa.array(rng.random(users) < 0.04), sixes, dotted)
    moments = np.datetime64(day, "s") + np.arange(EVENING // SECOND, END // SECOND)
    return World(
        users,
        pa.concat_arrays([addresses, pa.array(NO_ADDRESSES)]),
        pa.array([f',"url":"{url}"' for url in _urls(seed)]),
        pa.concat_arrays([pc.strftime(pa.array(moments), "%Y-%m-%dT%H:%M:%S"), pa.array(NO_TIMES)]),
    )


def _dotted(numbers: np.ndarray) -> pa.Array:
    octets = pa.array(list(map(str, range(256))))
    return pc.binary_join_element_wise(*(octets.take(pa.array(numbers >> s & 255)) for s in (24, 16, 8, 0)), ".")


# -- a server's day ---------------------------------------------------------------------------------------------------


class Events(NamedTuple):
    """Columns of what a server received, a row a line, in the order of receipt."""

    event: np.ndarray  # which of the server's events
    at: np.ndarray
    received: np.ndarray
    user: np.ndarray  # 0 is a guest
    address: np.ndarray
    kind: np.ndarray
    url: np.ndarray
    cents: np.ndarray
    broken: np.ndarray  # a place in BROKEN, or WHOLE
    sent: np.ndarray  # WHOLE the first time, else why it is sent again


def _write_server(into: Path, lines: int, users: int, seed: int, day: date, server: int) -> Counter[str]:
    rng = np.random.default_rng([seed, 4, server])
    world = _world(users, seed, day)
    events = _repeated(_visits(rng, lines, users), rng)
    texts = _lines(events, world, rng)
    folder = into / "logs" / f"server-{server + 1:02d}"
    folder.mkdir(parents=True, exist_ok=True)
    _, offsets, data = texts.buffers()
    ends, content = np.frombuffer(offsets, np.int32), memoryview(data)
    hours = np.searchsorted(events.received, np.arange(0, END + 1, HOUR))
    for hour, (begin, end) in enumerate(pairwise(hours.tolist())):
        if begin < end:
            name = str(np.datetime64(day, "h") + hour)
            (folder / f"{name}.json.gz").write_bytes(gzip.compress(content[ends[begin] : ends[end]], 1, mtime=0))
    return _truth(events)


def _visits(rng: np.random.Generator, lines: int, users: int) -> Events:
    """Events in visits: someone comes at some hour, looks at some pages, and pauses now and then."""
    visits = max(1, round(lines / CLICKS))
    hour = rng.choice(len(CURVE), visits, p=np.array(CURVE) / sum(CURVE))
    start = EVENING + hour * HOUR + rng.integers(0, HOUR, visits)
    guest = rng.random(visits) < GUESTS
    user = np.where(guest, 0, 1 + _zipf(rng, users, visits))
    away = guest | (rng.random(visits) < TRAVELLERS)
    home = np.where(away, rng.integers(0, users, visits), user - 1)

    clicks = rng.geometric(1 / CLICKS, visits)
    visit, n = np.repeat(np.arange(visits), clicks), int(clicks.sum())
    pause = np.clip(rng.lognormal(np.log(GAP), 1.0, n), 1.2 * SECOND, 25 * MINUTE)
    pause = np.where(rng.random(n) < PAUSED, rng.integers(10 * MINUTE, 55 * MINUTE, n), pause).astype(np.int64)
    passed = np.cumsum(pause)
    at = start[visit] + passed - np.repeat(passed[np.cumsum(clicks) - clicks], clicks)
    received = at + 20 + rng.exponential(150, n).astype(np.int64)
    received += np.where(rng.random(n) < LATE, rng.integers(MINUTE, 3 * HOUR - MINUTE, n), 0)

    # What came in before the day began is in yesterday's files; of yesterday evening only the late is here.
    here = (received >= 0) & (at < MIDNIGHT - QUIET) & ~((at >= -QUIET) & (at < 0))
    visit, at, received = visit[here], at[here], received[here]
    kind = np.searchsorted(np.cumsum(list(KINDS.values())), rng.random(len(at)) * 0.9999)
    return Events(
        event=np.arange(len(at)),
        at=at,
        received=np.minimum(received, END - 1),
        user=user[visit],
        address=home[visit],
        kind=kind,
        url=_zipf(rng, PAGES, len(at)),
        cents=np.where(kind == len(KINDS) - 1, rng.integers(99, 20_000, len(at)), 0),
        broken=np.full(len(at), WHOLE),
        sent=np.full(len(at), WHOLE),
    )


def _zipf(rng: np.random.Generator, n: int, draws: int) -> np.ndarray:
    """Ranks below `n`, the first the most frequent: it has one draw in thirty of ten thousand ranks."""
    weights = np.cumsum(1.0 / (np.arange(n) + 3.0))
    return np.searchsorted(weights, rng.random(draws) * weights[-1])


def _repeated(events: Events, rng: np.random.Generator) -> Events:
    """The lines in order of receipt, some of them broken, and some others there again."""
    n = len(events.event)
    fate = rng.random(n)
    way = np.floor(fate / BREAKS * len(BROKEN)).astype(np.int64)
    events = events._replace(broken=np.where(fate < BREAKS, way, WHOLE))
    bounds = np.cumsum([BREAKS, EXACT, RETRIED, RELOADED])
    again = [np.flatnonzero((fate >= low) & (fate < high)) for low, high in pairwise(bounds)]
    again[RELOAD] = again[RELOAD][events.at[again[RELOAD]] < MIDNIGHT - 30 * MINUTE]
    again[RELOAD] = again[RELOAD][events.at[again[RELOAD]] >= 0]
    repeats = []
    for why, rows in enumerate(again):
        repeat = Events(*(column[rows] for column in events))
        m = len(rows)
        later = {
            TWICE: np.zeros(m, np.int64),
            AGAIN: rng.integers(1, 900, m),
            RELOAD: rng.integers(2 * MINUTE, 20 * MINUTE, m),
        }[why]
        queued = rng.integers(0, 40 * MINUTE, m) if why == AGAIN else 0
        received = np.minimum(repeat.received + later + queued, END - 1)
        repeats.append(repeat._replace(at=repeat.at + later, received=received, sent=np.full(m, why)))
    every = Events(*(np.concatenate(columns) for columns in zip(events, *repeats, strict=True)))
    order = np.argsort(every.received, kind="stable")
    return Events(*(column[order] for column in every))


def _truth(events: Events) -> Counter[str]:
    """What a reader of these lines should find."""
    whole, today = events.broken == WHOLE, events.at >= 0
    kept = whole & today & ((events.sent == WHOLE) | (events.sent == RELOAD))
    counts = {
        "lines": len(events.at),
        "earlier_day": int((whole & ~today).sum()),
        "events": int(kept.sum()),
        "cents": int(events.cents[kept].sum()),
        "late.in_a_later_hour": int((whole & (events.received // HOUR > events.at // HOUR)).sum()),
        "late.after_midnight": int((whole & (events.received >= MIDNIGHT)).sum()),
        "sent_again.exact": int((whole & today & (events.sent == TWICE)).sum()),
        "sent_again.retried": int((whole & today & (events.sent == AGAIN)).sum()),
        "sent_again.reloaded": int((whole & today & (events.sent == RELOAD)).sum()),
    }
    counts |= {f"broken.{way}": int((events.broken == i).sum()) for i, way in enumerate(BROKEN)}
    counts |= {f"kinds.{kind}": int((kept & (events.kind == i)).sum()) for i, kind in enumerate(KINDS)}
    return Counter(counts)


# -- lines ------------------------------------------------------------------------------------------------------------


def _lines(events: Events, world: World, rng: np.random.Generator) -> pa.Array:
    """Each event as a line of JSON, broken in its way."""
    n = len(events.at)
    some = rng.integers(0, 1 << 16, n)

    def broken(way: str) -> np.ndarray:
        return events.broken == BROKEN.index(way)

    def chosen(way: str, else_: np.ndarray, last: list[str], vocabulary: pa.Array) -> pa.Array:
        """The wrong values are the last ones of a vocabulary."""
        return vocabulary.take(pa.array(np.where(broken(way), len(vocabulary) - 1 - some % len(last), else_)))

    def fraction(times: np.ndarray, then: str) -> pa.Array:
        return pa.array([f".{ms:03d}Z{then}" for ms in range(SECOND)]).take(pa.array(times % SECOND))

    digits = binascii.hexlify(rng.bytes(8 * (int(events.event.max(initial=0)) + 1)))
    ids = pa.Array.from_buffers(pa.binary(16), len(digits) // 16, [None, pa.py_buffer(digits)]).cast(pa.binary())
    user = pc.coalesce(pa.array(events.user, mask=events.user == 0).cast(pa.string()), "null")
    user = pc.if_else(pa.array(broken("wrong_type")), '"guest"', user)
    kinds = pa.array([f'","kind":"{kind}"' for kind in KINDS])
    url = pc.if_else(pa.array(broken("no_url")), "", world.urls.take(pa.array(events.url)))
    cents = pc.coalesce(pa.array(events.cents, mask=events.cents == 0).cast(pa.string()), "null")

    line = pc.binary_join_element_wise(
        '{"event_id":"', ids.cast(pa.string()).take(pa.array(events.event)),
        '","at":"', chosen("impossible_time", (events.at - EVENING) // SECOND, NO_TIMES, world.seconds),
        fraction(events.at, '","received_at":"'), world.seconds.take(pa.array((events.received - EVENING) // SECOND)),
        fraction(events.received, '","user_id":'), user,
        ',"ip":"', chosen("bad_ip", events.address, NO_ADDRESSES, world.addresses),
        kinds.take(pa.array(events.kind)), url, ',"cents":', cents, "}\n", "",
    )  # fmt: skip
    spoiled = broken("cut") | broken("not_json")
    rows = zip(line.filter(pa.array(spoiled)).to_pylist(), broken("cut")[spoiled], some[spoiled].tolist(), strict=True)
    texts = [(text[: 1 + n % (len(text) - 2)] if cut else NOT_JSON[n % len(NOT_JSON)]) + "\n" for text, cut, n in rows]
    return pc.replace_with_mask(line, pa.array(spoiled), pa.array(texts, pa.string()))


def size_in_bytes(text: str) -> int:
    """Bytes in "300MB" or "2GB"."""
    if not (parts := re.fullmatch(r"(\d+)([kMG]?)B?", text)):
        raise argparse.ArgumentTypeError(f"{text} is no size; write 300MB or 2GB")
    return int(parts[1]) * {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}[parts[2]]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--into", default="data")
    parser.add_argument("--size", type=size_in_bytes, default="300MB", help="of the gzipped logs, about")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--day", type=date.fromisoformat, default=DAY)
    parser.add_argument("--servers", type=int)
    print(json.dumps(generate(**vars(parser.parse_args())), indent=2))
