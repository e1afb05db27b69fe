"""Write a realistic access log, fast: `python examples/access_log.py --size 300MB --seed 7 --out access.log`.

Combined format; pages and clients by Zipf's law, times increasing, a few requests without a path, one line in a
thousand that does not parse. Those have no path either, so that `awk -F'"' '{split($2, a, " "); print a[2]}'` and
Penstock count the same. A seed gives the same lines whatever the size.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["write_access_log"]

LINES = 100_000  # made at once: about 24 MB
PAGES, QUERIES, CLIENTS, REFERERS = 30_000, 5_000, 40_000, 2_000
START = np.datetime64("2026-03-02T00:00:00", "us")
PAUSE = 40_000.0  # microseconds between two requests, in the mean
ASKED, TIMED_OUT, BROKEN = 0.12, 0.002, 0.001  # shares of lines

HOT = ["/", "/favicon.ico", "/robots.txt", "/login", "/cart", "/search", "/static/app.js", "/static/site.css"]
PAGE_SHAPES = [
    "/products/{a}-{b}-{n}",
    "/blog/{y}/{m:02d}/{a}-{b}-{c}",
    "/images/{a}/{b}-{n}.jpg",
    "/static/js/{a}.{n:06x}.js",
    "/api/v1/{a}/{n}",
    "/docs/{a}/{b}/{c}.html",
]
QUERY_SHAPES = ["?page={n}", "?q={a}+{b}", "?utm_source={a}&utm_campaign={b}", "?id={n}&sort={c}", "?lang=en&ref={a}"]
WORDS = [
    "amber", "atlas", "autumn", "basalt", "birch", "canyon", "cedar", "cobalt", "copper", "coral", "delta", "ember",
    "falcon", "fern", "flint", "garnet", "glacier", "granite", "harbor", "hazel", "indigo", "iris", "ivory", "jasper",
    "juniper", "lagoon", "lantern", "larch", "linen", "lotus", "maple", "marble", "meadow", "mica", "moss", "nectar",
    "nimbus", "oak", "ochre", "onyx", "opal", "orchid", "pebble", "pine", "plum", "quartz", "raven", "reed", "ridge",
    "saffron", "sage", "sierra", "slate", "spruce", "summit", "tidal", "timber", "topaz", "umber", "velvet", "violet",
    "walnut", "willow", "zephyr",
]  # fmt: skip
SITES = ["https://www.google.com/", "https://duckduckgo.com/", "https://www.bing.com/search?q=amber"]
BROWSERS = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{n}.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1 (KHTML, like Gecko) Version/{n}.1 Safari/605.1",
    "Mozilla/5.0 (X11; Linux x86_64; rv:{n}.0) Gecko/20100101 Firefox/{n}.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS {n}_2 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
    "Mozilla/5.0 (Linux; Android 16; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{n}.0.0.0 Mobile Safari/537.36",
]
ROBOTS = ["-", "curl/8.5.0", "Mozilla/5.0 (compatible; ExampleBot/2.1; +http://www.example.com/bot.html)"]
ESCAPED = r"monitor \"uptime\" 1.4"

# Values with their shares of the lines; the last takes what the others leave.
METHODS = {"POST": 0.06, "HEAD": 0.03, "PUT": 0.005, "OPTIONS": 0.005, "GET": 1.0}
PROTOCOLS = {"HTTP/2.0": 0.26, "HTTP/1.0": 0.02, "HTTP/1.1": 1.0}
USERS = {"admin": 0.008, "deploy": 0.004, "report": 0.003, "-": 1.0}
STATUSES = {"304": 0.05, "404": 0.03, "301": 0.02, "302": 0.015, "206": 0.01, "403": 0.006, "500": 0.005, "200": 1.0}
BROKEN_LINES = {
    b"192.0.2.7 - - [02/Mar/2026:0": 0.3,
    b'192.0.2.7 - - [02/Mar/2026:04:11:09 +0000] "-" 408 - "-" "-': 0.2,
    b'192.0.2.7 - - [02/Mar/2026:04:11:09] "-" 408 0 "-" "-"': 0.1,
    b"192.0.2.7 - caf\xe9 [02/Mar/2026": 0.02,  # not UTF-8
    b"[error] 311#311: *4180 connect() failed (111: Connection refused), client: 192.0.2.7": 0.2,
    b"    at handler (/srv/app/server.js:41:13)": 1.0,
}


def write_access_log(path: str | Path, size: int, seed: int = 7) -> int:
    """Write whole lines, `size` bytes of them or up to one line more; return how many lines."""
    vocabulary = _vocabulary(np.random.default_rng(seed))
    lines, room, clock = 0, size, START
    with Path(path).open("wb") as out:
        while room > 0:
            block, clock = _block(vocabulary, np.random.default_rng([seed, lines]), clock)
            _, offsets, text = block.buffers()
            ends = np.frombuffer(offsets, dtype=np.int32)[1:]
            kept = min(int(np.searchsorted(ends, room)) + 1, len(block))
            out.write(memoryview(text)[: ends[kept - 1]])
            lines, room = lines + kept, room - int(ends[kept - 1])
    return lines


def _vocabulary(rng: np.random.Generator) -> dict[str, pa.Array]:
    """The distinct values of the fields that have many; the likely ones first."""
    pages = HOT + _filled(PAGE_SHAPES, PAGES - len(HOT), rng)
    asked = [pages[rank] for rank in _zipf(PAGES, QUERIES, rng)]
    queries = _filled(QUERY_SHAPES, QUERIES, rng)
    clients = rng.integers(1, 255, (CLIENTS, 4)).tolist()
    agents = [shape.format(n=160 - i) for i in range(40) for shape in BROWSERS]
    return {
        "host": pa.array([_host(*octets, short=number % 12 > 0) for number, octets in enumerate(clients)]),
        "page": pa.array(pages),
        "asked": pa.array([page + query for page, query in zip(asked, queries, strict=True)]),
        "referer": pa.array(["-", *SITES, *(f"https://www.example.com{page}" for page in pages[:REFERERS])]),
        "agent": pa.array([*agents[:10], *ROBOTS, *agents[10:], ESCAPED]),
    }


def _filled(shapes: list[str], n: int, rng: np.random.Generator) -> list[str]:
    words, numbers = rng.choice(WORDS, (n, 3)).tolist(), rng.integers(1, 10_000, (n, 3)).tolist()
    return [
        shapes[k % len(shapes)].format(a=a, b=b, c=c, n=i, y=2015 + j % 11, m=1 + j % 12)
        for (a, b, c), (i, j, k) in zip(words, numbers, strict=True)
    ]


def _host(a: int, b: int, c: int, d: int, *, short: bool) -> str:
    return f"{a}.{b}.{c}.{d}" if short else f"2001:db8:{a:x}:{b:x}::{c * d:x}"


def _zipf(n: int, draws: int, rng: np.random.Generator, exponent: float = 1.0) -> np.ndarray:
    """Ranks below `n`; two more than the rank, so that the first does not take a tenth of everything."""
    weights = np.cumsum((np.arange(n) + 3.0) ** -exponent)
    return np.searchsorted(weights, rng.random(draws) * weights[-1])


def _block(
    vocabulary: Mapping[str, pa.Array], rng: np.random.Generator, clock: np.datetime64
) -> tuple[pa.Array, np.datetime64]:
    """The next lines, each with its newline, and the time of the last."""

    def drawn(field: str, exponent: float = 1.0) -> pa.Array:
        return vocabulary[field].take(pa.array(_zipf(len(vocabulary[field]), LINES, rng, exponent)))

    def shared(shares: Mapping[str, float] | Mapping[bytes, float]) -> pa.Array:
        bounds = np.minimum(np.cumsum(list(shares.values())), 1.0)
        return pa.array(list(shares)).take(pa.array(np.searchsorted(bounds, rng.random(LINES))))

    def chance(share: float) -> pa.Array:
        return pa.array(rng.random(LINES) < share)

    times = clock + np.cumsum(rng.exponential(PAUSE, LINES)).astype("timedelta64[us]")
    seconds, which = np.unique(times.astype("datetime64[s]"), return_inverse=True)
    at = pc.strftime(pa.array(seconds), "%d/%b/%Y:%H:%M:%S +0000").take(pa.array(which))

    path = pc.if_else(chance(ASKED), drawn("asked"), drawn("page"))
    request = pc.binary_join_element_wise(shared(METHODS), path, shared(PROTOCOLS), " ")
    status = shared(STATUSES)
    timed_out = chance(TIMED_OUT)
    request, status = pc.if_else(timed_out, "-", request), pc.if_else(timed_out, "408", status)
    size = pa.array(np.minimum(rng.lognormal(8.5, 1.6, LINES), 5e8).astype(np.int64)).cast(pa.string())
    size = pc.if_else(pc.is_in(status, pa.array(["304", "408"])), "-", size)

    line = pc.binary_join_element_wise(
        drawn("host", 0.8), " - ", shared(USERS), " [", at, '] "', request, '" ', status, " ", size,
        ' "', drawn("referer", 1.3), '" "', drawn("agent", 1.2), '"', "",
    )  # fmt: skip
    line = pc.if_else(chance(BROKEN), shared(BROKEN_LINES), line.cast(pa.binary()))
    return pc.binary_join_element_wise(line, b"\n", b""), times[-1]


def _bytes(text: str) -> int:
    if not (parts := re.fullmatch(r"(\d+)([kMG]?)B?", text)):
        raise argparse.ArgumentTypeError(f"{text} is no size; write 300MB or 1GB")
    return int(parts[1]) * {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}[parts[2]]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=_bytes, default="300MB")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--out", default="access.log")
    asked_for = parser.parse_args()
    print(f"{write_access_log(asked_for.out, asked_for.size, asked_for.seed):,} lines in {asked_for.out}")
