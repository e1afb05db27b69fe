"""Runs of events: each key's events in the order of time, cut at long pauses and where a run would grow too long.

`sessionize`, `sessions` and `dedup(within=…)` are three readings of the same runs. A run is cut where the pause is
longer than `pause`, and, greedily, where the next event is more than `longest` after the run's first. Events without a
time stand behind the others of their key, as a run of their own.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from penstock import sql
from penstock.errors import UsageError
from penstock.tables import Table, columns, engine_of, resolve

__all__ = ["Runs", "length", "micros", "runs", "time_column"]


#: Microseconds, more than from the first year to the last: beyond, engines would overflow.
ALL_TIME = 10**18


class Runs(NamedTuple):
    """A SELECT of all rows of `t` with columns beside its own, whose names, quoted, are these.

    On DuckDB the rows come in the order of key and time, so that `OVER ()` reads them as they stand.
    """

    text: str
    time: str
    """Microseconds since 1970: an expression, and the only one that is no column."""
    start: str
    """Whether a row is the first of its run."""
    fresh: str
    """Whether a row is the first of its key."""
    before: str
    """The time of the row before it; on DuckDB."""
    place: str
    """Its number among all rows; on DuckDB."""


def time_column(t: Table, at: str) -> str:
    """The column that says when, as the table spells it; refused where it holds no time."""
    [at] = resolve(t, [at])
    kind = columns(t)[at]
    if kind != "DATE" and not kind.startswith("TIMESTAMP"):
        raise UsageError(f'"{at}" is {kind}, which is no time', f"cast it first: {sql.quote(at)}::timestamp")
    return at


def length(value: str | datetime.timedelta, name: str) -> int:
    """A length of time in microseconds; refused where it is none."""
    found = sql.duration(value)
    if found <= 0:
        raise UsageError(f"{name}={value!r} is not positive", f'write it like {name}="30 minutes"')
    return min(found, ALL_TIME)


def runs(
    t: Table, keys: Sequence[str], at: str, *, pause: int, longest: int | None = None, ties: Iterable[sql.Order] = ()
) -> Runs:
    """The runs of a table; events of one time stand in the order of `ties`."""
    present, dialect = columns(t), engine_of(t).name
    name = {word: sql.quote(sql.unused(f"run {word}", present), dialect) for word in _WORDS}
    when = sql.quote(at, dialect)
    name["time"] = micros(when, dialect)  # no column, which would be sorted, or would move, with every row
    order = ", ".join([f"{when} ASC NULLS LAST", *(term.text(dialect) for term in ties)])
    if dialect == "duckdb":
        text = _streamed(keys, at, present, name, order, pause)
        text = text if longest is None else _folded_duckdb(text, name, longest)
    else:
        text = _windowed(keys, at, name, order, pause)
        text = text if longest is None else _folded_spark(text, keys, present, name, order, longest)
    return Runs(text, name["time"], name["start"], name["fresh"], name["before"], name["place"])


_WORDS = ("start", "fresh", "before", "place", "burst", "since", "span", "hash", "more hash")


def micros(time: str, dialect: str) -> str:
    """A time in microseconds since 1970."""
    return f"epoch_us({time})" if dialect == "duckdb" else f"unix_micros(CAST({time} AS TIMESTAMP_LTZ))"


def _starts(name: Mapping[str, str], fresh: str, pause: int, dialect: str) -> str:
    time, before = name["time"], name["before"]
    paused = f"coalesce({time} - {micros(before, dialect)} > {pause}, false)"
    start = f"{fresh} OR {paused} OR ({time} IS NULL AND {before} IS NOT NULL)"
    return f"({fresh}) AS {name['fresh']}, ({start}) AS {name['start']}"


# -- DuckDB: one sort, then windows that stream ------------------------------------------------------------------------

#: Types whose values take 8 bytes or fewer, and so keep the sort on its fast path.
_NARROW = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "BOOLEAN", "DATE", "TIMESTAMP", "FLOAT", "DOUBLE")


def _streamed(
    keys: Sequence[str], at: str, present: Mapping[str, str], name: Mapping[str, str], order: str, pause: int
) -> str:
    """`OVER ()` over sorted rows streams; windows by key would sort twice and hold the rows.

    20 M rows, 8 a session: 1.4 s where lag and sum by key take 3.7 s; text keys 2.5 s against 5.4 s.
    """
    marks = _marks(keys, present, name)
    computed = "".join(f", {value} AS {mark}" for mark, value in marks.items() if value != mark)
    last = {mark: sql.quote(sql.unused(f"run last {position}", present)) for position, mark in enumerate(marks)}
    lags = "".join(f", lag({mark}) OVER () AS {before}" for mark, before in last.items())
    changes = [f"{mark} IS DISTINCT FROM {before}" for mark, before in last.items()]
    fresh = " OR ".join([f"{name['place']} = 1", *changes])
    before = f"lag({sql.quote(at)}) OVER () AS {name['before']}{lags}"
    ordered = f"SELECT *{computed} FROM t ORDER BY {', '.join([*marks, order])}"
    lagged = f"SELECT *, row_number() OVER () AS {name['place']}, {before} FROM ({ordered})"
    return f"SELECT *, {_starts(name, fresh, pause, 'duckdb')} FROM ({lagged})"


def _marks(keys: Sequence[str], present: Mapping[str, str], name: Mapping[str, str]) -> dict[str, str]:
    """Narrow columns, and what they are computed from, that are equal where the keys are: what is sorted and compared.

    Other keys are hashed to 96 bits: with a billion keys the chance that two share a hash is 1 in 10^11. The time and
    96 bits are the most that DuckDB 2.0 sorts fast: with 128 bits it takes 2.5 times as long.
    """
    if len(keys) == 1 and present[keys[0]] in _NARROW:
        return {sql.quote(keys[0]): sql.quote(keys[0])}
    if any(present[key].endswith("]") or "(" in present[key] for key in keys):
        return {sql.quote(key): sql.quote(key) for key in keys}  # nested and decimal
    # Two hashes that do not collide together: of the keys, and of the keys turned round, texts with a letter before.
    turned = [f"'x' || {sql.quote(key)}" if present[key] == "VARCHAR" else sql.quote(key) for key in reversed(keys)]
    return (
        {
            name["hash"]: f"hash({sql.quoted(keys)})",
            name["more hash"]: f"(hash({', '.join(turned)}) % 4294967296)::UINTEGER",
        }
        if keys
        else {}
    )


def _folded_duckdb(text: str, name: Mapping[str, str], longest: int) -> str:
    """The runs, with those that are too long cut; see `_folded_spark` for how."""
    time, start, place, burst, since = (name[word] for word in ("time", "start", "place", "burst", "since"))
    so_far = "OVER (ROWS UNBOUNDED PRECEDING)"
    reach = f"RANGE BETWEEN UNBOUNDED PRECEDING AND {longest} FOLLOWING"
    return f"""WITH RECURSIVE placed AS MATERIALIZED (
        SELECT *, count(*) FILTER ({start}) {so_far} AS {burst},
            last_value(CASE WHEN {start} THEN {time} END IGNORE NULLS) {so_far} AS {since} FROM ({text})
    ), long AS (
        SELECT {burst} AS burst, {place} AS place, {time} AS time FROM placed
        WHERE {burst} IN (SELECT {burst} FROM placed WHERE {time} - {since} > {longest})
    ), hops AS (
        SELECT burst, place, count(*) OVER (PARTITION BY burst ORDER BY time {reach}) + 1 AS hop FROM long
    ), reached AS (
        SELECT min(place) AS first, list(hop ORDER BY place) || [count(*) + 1] AS hops, [1::BIGINT] AS reached
        FROM hops GROUP BY burst
        UNION ALL
        SELECT first, list_select(hops, hops),
            reached || list_filter(list_select(hops, reached), lambda hop: hop < len(hops))
        FROM reached WHERE hops[1] < len(hops)
    ), cuts AS (
        SELECT first + unnest(reached) - 1 AS {place} FROM reached WHERE hops[1] = len(hops)
    )
    SELECT placed.* REPLACE ({start} OR cuts.{place} IS NOT NULL AS {start})
    FROM placed LEFT JOIN cuts ON placed.{place} = cuts.{place} ORDER BY placed.{place}"""


# -- Spark: windows by key over one exchange ---------------------------------------------------------------------------


def _windowed(keys: Sequence[str], at: str, name: Mapping[str, str], order: str, pause: int) -> str:
    window = f"({_partition(keys)}ORDER BY {order})"
    before = f"lag({sql.quote(at, 'spark')}) OVER {window} AS {name['before']}"
    lags = f"{before}, row_number() OVER {window} AS {name['place']}"
    fresh = f"{name['place']} = 1"
    return f"SELECT *, {_starts(name, fresh, pause, 'spark')} FROM (SELECT *, {lags} FROM t)"


def _folded_spark(
    text: str, keys: Sequence[str], present: Mapping[str, str], name: Mapping[str, str], order: str, longest: int
) -> str:
    """The runs, with those that are too long cut.

    Each event of such a run hops to the first event that is too late for a run which it starts. The events that the
    first one reaches are the cuts. They are found by doubling: hops, hops of hops, and so on, as lists of places, so
    that a run with a million cuts takes 20 rounds. Only runs that are too long are gathered.
    """
    time, start, place, burst, span = (name[word] for word in ("time", "start", "place", "burst", "span"))
    mine = f"{sql.quoted(present, 'spark')}, {name['fresh']}"
    by_burst = _partition([*keys], burst)
    reach = f"RANGE BETWEEN UNBOUNDED PRECEDING AND {longest} FOLLOWING"
    groups = ", ".join([*_quoted(keys), burst])
    hop_on = "transform(s.hops, hop -> s.hops[hop - 1])"
    reach_on = "filter(transform(s.reached, place -> s.hops[place - 1]), hop -> hop < size(s.hops))"
    doubled = f"named_struct('hops', {hop_on}, 'reached', concat(s.reached, {reach_on}))"
    whole = f"(s, round) -> if(s.hops[0] >= size(s.hops), s, {doubled}), s -> array_sort(s.reached)"
    piece = "slice(events, place, coalesce(get(reached, i + 1), size(events) + 1) - place)"
    marked = f"transform({piece}, (event, j) -> struct(event.row, j = 0 AS start))"
    return f"""WITH cut AS ({text}), placed AS (
        SELECT *, count_if({start}) OVER ({_partition(keys)}ORDER BY {order}) AS {burst} FROM cut
    ), measured AS (
        SELECT *, max({time}) OVER ({by_burst}) - min({time}) OVER ({by_burst}) AS {span} FROM placed
    ), hops AS (
        SELECT *, CAST(count(*) OVER ({by_burst}ORDER BY {time} {reach}) + 1 AS INT) AS {name["since"]}
        FROM measured WHERE {span} > {longest}
    ), gathered AS (
        SELECT array_sort(
            collect_list(named_struct('place', {place}, 'hop', {name["since"]}, 'row', struct({mine}))),
            (a, b) -> CAST(a.place - b.place AS INT)
        ) AS events FROM hops GROUP BY {groups}
    ), reached AS (
        SELECT events, aggregate(sequence(1, 32), named_struct('hops', hops, 'reached', array(1)), {whole}) AS reached
        FROM (SELECT events, concat(transform(events, e -> e.hop), array(size(events) + 1)) AS hops FROM gathered)
    ), pieces AS (
        SELECT inline(flatten(transform(reached, (place, i) -> {marked}))) FROM reached
    )
    SELECT {mine}, {start} FROM measured WHERE {span} IS NULL OR {span} <= {longest}
    UNION ALL
    SELECT row.*, start FROM pieces"""


def _quoted(keys: Sequence[str]) -> list[str]:
    return [sql.quote(key, "spark") for key in keys]


def _partition(keys: Sequence[str], *more: str) -> str:
    columns_ = ", ".join([*_quoted(keys), *more])
    return f"PARTITION BY {columns_} " if columns_ else ""
