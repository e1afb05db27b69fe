"""Shuffles: keys that are too heavy for one task, and partitions that are far too large or far too many."""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from sqlglot import exp

from penstock import sql
from penstock.amounts import about, amount, size
from penstock.engines.asking import ask
from penstock.figures import UNKNOWN
from penstock.findings.finding import Finding, Look, brief, matters
from penstock.findings.joining import keys_as_given, sides_of
from penstock.forecasts.flow import PLACE, TASK
from penstock.skews.remedies import DATES, NUMBERS, TEXTS
from penstock.trees.lineage import called
from penstock.trees.spelled import spelled
from penstock.trees.tree import Aggregate, Exchange, Join, Shuffle

__all__ = ["heavy_keys", "partition_counts"]

#: So many times the mean a task has to get: what Spark takes for skewed (skewJoin.skewedPartitionFactor).
TIMES = 5
#: Parts of the sample; one with fewer rows says nothing, and in each other a key has to have so much of its share at
#: least: else the file is sorted by it, about, and each part has only a few keys.
PARTS, SOME_ROWS, EVERYWHERE = 8, 500, 0.25
#: Columns that `ps.join` adds to its keys.
SALTS = ("l_salt", "r_salt")
#: What a partition may have as it crosses, what it had better have, and what is next to nothing.
MOST, WANTED, LEAST = 256 << 20, 128 << 20, 1 << 20
#: So many partitions are many, and so many blocks, one for each map task and partition.
MANY, BLOCKS = 1_000, 1_000_000


def heavy_keys(look: Look) -> Iterator[Finding]:
    """PEN203: a step that moves every row, of which one key has many."""
    for exchange in look.of(Exchange):
        crossing, reducers = look.forecast.crossing(exchange), look.forecast.reducers(exchange)
        if exchange.kind != "hash" or not _moves_all(exchange) or exchange.reused:
            continue
        if isinstance(exchange.why, Shuffle) and look.forecast.cluster.adaptive:
            continue  # a REBALANCE, whose large partitions are divided (OptimizeSkewInRebalancePartitions)
        if not matters(crossing.bytes):
            continue
        heaviest = _heaviest(look, exchange)
        if heaviest is None or heaviest.share * min(reducers, heaviest.keys) < TIMES:
            continue  # where keys are few, each of them is many times the mean
        task = crossing.bytes.times(heaviest.share, "sample")
        if not matters(task):
            continue
        named = zip((called(key, exchange) for key in exchange.keys), heaviest.key, strict=True)
        pairs = {key: value for key, value in named if key not in SALTS}
        keys = list(pairs)
        told = ", ".join(f"{brief(key)} = {_shown(value)}" for key, value in pairs.items())
        share = f"{'' if heaviest.whole else 'about '}{heaviest.share:.1%}"
        yield look.finding(
            "PEN203",
            look.operator(exchange),
            f"{told} has {share} of the {about(look.rows(exchange.child))} rows that move by "
            f"{', '.join(map(brief, keys))}: one task gets {size(task.mid)}, "
            f"{heaviest.share * min(reducers, heaviest.keys):.0f} times the mean",
            list(_treated(look, exchange, pairs))[:2],
            task,
            argument="by" if len(keys) > 1 else keys[0],
        )


class Heaviest(NamedTuple):
    """The most frequent key."""

    key: tuple[Any, ...]
    share: float
    keys: int
    """How many keys were seen."""
    whole: bool
    """Whether all rows were looked at."""


def _moves_all(exchange: Exchange) -> bool:
    """Whether each row crosses: a combiner leaves a row a key, unless it keeps all values."""
    if not exchange.combined:
        return True
    [combiner] = exchange.combined
    keeps = (exp.ArrayAgg, exp.Median, exp.WithinGroup)
    return isinstance(combiner, Aggregate) and any(each.find(*keeps) for each in combiner.made.values())


def _heaviest(look: Look, exchange: Exchange) -> Heaviest | None:
    """The key that most rows of the sample have, if it is frequent wherever the sample was taken."""
    flows = look.forecast.flows
    flow = flows.of(exchange.child)
    if flow is None or not exchange.keys:
        return None
    names = [f"k{i}" for i, _ in enumerate(exchange.keys)]
    keys = ", ".join(f"{spelled(key)} AS {name}" for key, name in zip(exchange.keys, names, strict=True))
    listed = ", ".join(names)
    dropped = isinstance(exchange.why, Join) and exchange.why.how in ("inner", "semi")
    same = " AND ".join(f"c.{name} IS NOT DISTINCT FROM top.{name}" for name in names)
    where = f" WHERE {' AND '.join(f'{name} IS NOT NULL' for name in names)}" if dropped else ""
    # Runs of the sample, and parts of them: one run may be all that there is.
    part = f"({TASK}, {PLACE} * {PARTS} // {max(1, flow.base_taken)})"
    rows = f"SELECT * FROM (SELECT {keys}, {part} AS part FROM ({flow.text})){where}"
    least = (
        f"SELECT min(coalesce(c.n, 0) / of_part) FROM parts LEFT JOIN counted AS c ON c.part = parts.part AND {same} "
        f"WHERE of_part >= {SOME_ROWS}"
    )
    found = ask(
        f"WITH counted AS (SELECT {listed}, part, count(*) AS n FROM ({rows}) GROUP BY ALL), "
        f"parts AS (SELECT part, sum(n) AS of_part FROM counted GROUP BY part), "
        f"keys AS (SELECT {listed}, sum(n) AS n FROM counted GROUP BY ALL), "
        f"top AS (SELECT * FROM keys ORDER BY n DESC, {listed} LIMIT 1) "
        f"SELECT {listed}, n / (SELECT sum(n) FROM keys) AS share, (SELECT count(*) FROM keys) AS keys, "
        f"({least}) AS least FROM top",
    ).to_pylist()
    if not found:
        return None
    [row] = found
    if not flow.whole and (row["least"] or 0.0) < EVERYWHERE * row["share"]:
        return None
    return Heaviest(tuple(row[name] for name in names), float(row["share"]), int(row["keys"]), flow.whole)


# -- what to do -------------------------------------------------------------------------------------------------------


def _treated(look: Look, exchange: Exchange, heaviest: Mapping[str, Any]) -> Iterator[str]:
    node = look.operator(exchange)
    none = [_differs(key, value) for key, value in heaviest.items() if _stands_for_none(value)]
    subject = look.subject(node)
    if isinstance(node, Join):
        left, right = sides_of(look, node)
        subject = left if set(exchange.columns) <= set(node.left.columns) else right
    if none:
        yield f"ps.where({subject}, {json.dumps(' AND '.join(none), ensure_ascii=False)})"
    if isinstance(node, Join):
        yield f'ps.join({left}, {right}, on={keys_as_given(node)}, strategy="skew")'
    if not none:
        yield f"ps.skew({subject}, {json.dumps(list(heaviest) if len(heaviest) > 1 else next(iter(heaviest)))})"


def _stands_for_none(value: Any) -> bool:
    """Whether a value is one that often stands where there is none."""
    if value is None:
        return True
    if isinstance(value, str):
        return value.strip().casefold() in TEXTS
    if isinstance(value, (datetime.date, datetime.datetime)):
        return value.isoformat().removesuffix("T00:00:00") in DATES
    return not isinstance(value, bool) and isinstance(value, (int, float)) and value in NUMBERS


def _differs(key: str, value: Any) -> str:
    if value is None:
        return f"{key} IS NOT NULL"
    kind = {datetime.date: "DATE ", datetime.datetime: "TIMESTAMP "}.get(type(value), "")
    return f"{key} IS DISTINCT FROM {kind}{sql.literal(str(value)) if kind or isinstance(value, str) else value}"


def _shown(value: Any) -> str:
    if value is None:
        return "null"
    return brief(sql.literal(value) if isinstance(value, str) else str(value))


# -- partitions -------------------------------------------------------------------------------------------------------


def partition_counts(look: Look) -> Iterator[Finding]:
    """PEN212: partitions that have far too much, or thousands that have next to nothing."""
    cluster = look.forecast.cluster
    found = [
        (look.moved(exchange), exchange)
        for exchange in look.of(Exchange)
        if exchange.kind in ("hash", "range") and not exchange.reused
    ]
    if not found:
        return
    moved, exchange = max(found, key=lambda pair: pair[0])
    each = moved / cluster.reducers
    crossing = look.forecast.crossing(exchange)
    flow = look.forecast.flows.of(exchange.child)
    blocks = cluster.reducers * (flow.tasks if flow else 1.0)
    many = cluster.reducers >= MANY and (not cluster.adaptive or blocks > BLOCKS)
    if not moved or (each <= MOST and not (many and each < LEAST)):
        return
    rounds = max(1, math.ceil(moved / WANTED / cluster.cores))
    wanted = rounds * cluster.cores
    yield look.finding(
        "PEN212",
        look.operator(exchange),
        f"each of {amount(cluster.reducers)} partitions gets {size(each)}; {amount(wanted)} would get "
        f"{size(moved / wanted)} each",
        [f'ps.connect("spark", **{{"spark.sql.shuffle.partitions": {wanted}}})'],
        crossing.bytes if each > MOST else UNKNOWN,
    )
