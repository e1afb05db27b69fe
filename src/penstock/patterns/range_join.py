"""Ranges that a value lies in: the country of an address, the rate at a time, the band of an income."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from penstock import sql
from penstock.addresses import addressed
from penstock.errors import UsageError
from penstock.made import remembered
from penstock.sides import Pair, carried, note, refuse_unlike, same_engine
from penstock.tables import Table, columns, engine_of, native, resolve_in

__all__ = ["range_join"]

#: Where the ranges of a sample begin: the places that Spark sorts values into.
CUTS = 4095
#: Ranges that are sent to every worker, so that the left stays where it is.
FEW_RANGES = 1_000_000
#: Texts that are looked at before all are taken for addresses.
SAMPLE = 100


@remembered
def range_join(
    left: Table, right: Table, value: str, low: str, high: str, how: Literal["inner", "left"] = "inner",
    suffix: str = "_right", kind: Literal["auto", "value", "address"] = "auto",
) -> Table:  # fmt: skip
    """Rows of the left with the ranges of the right that their value lies in.

    For the latest row before a time take `asof_join`.

    Args:
        left: A table of either engine.
        right: A table of the same engine, with a range in each row; ranges may overlap.
        value: The left's column to look up: a number, a time, a text, an IP address.
        low: The right's column in which a range begins; the range holds it.
        high: The right's column in which a range ends; the range holds it.
        how: "inner", or "left" to keep also the rows that lie in no range.
        suffix: What the right's columns get where the left has their name.
        kind: Whether text is an IPv4 or IPv6 "address" or a "value" that sorts by its bytes; "auto" takes it for
            addresses if a hundred lows and highs all are. Addresses as integers are values.

    Returns:
        The left's columns, then the right's; one row for each range that a row lies in.

    Cost:
        Spark: 0 exchanges up to a million ranges, which are sent to every worker; else 1 of either side by bins of
        the ranges. A look at the lows, which runs the right once, decides; how="left" adds 2 exchanges.
        DuckDB: sorts both sides, spills; ranges that overlap others are hashed by bins of their places.

    Ties and nulls:
        Every match is a row, so there are no ties. A null value, low or high matches nothing, as does an address that
        is none. NaN is above every number, and lies in the ranges that end in NaN.

    Raises:
        ColumnError: a column that a table does not have.
        UsageError: value, low and high of unlike types or without an order, addresses that are not text, an unknown
            `how` or `kind`, tables of two engines.

    Example:
        >>> clicks = ps.adopt([{"ip": "10.0.0.7"}, {"ip": "::1"}])
        >>> nets = ps.adopt([{"first": "10.0.0.0", "last": "10.0.0.255", "net": "home"}])
        >>> range_join(clicks, nets, "ip", "first", "last").fetchall()
        [('10.0.0.7', '10.0.0.0', '10.0.0.255', 'home')]
    """
    if how not in ("inner", "left"):
        raise UsageError(f'how="{how}" is unknown', 'give "inner" or "left"')
    if kind not in ("auto", "value", "address"):
        raise UsageError(f'kind="{kind}" is unknown', 'give "auto", "value" or "address"')
    same_engine(left, right)
    ours, theirs = columns(left), columns(right)
    [value], [low, high] = resolve_in(ours, [value]), resolve_in(theirs, [low, high])
    for bound in (low, high):
        _refuse_orderless(value, ours[value])
        refuse_unlike(Pair(value, bound), ours[value], theirs[bound])
    if kind == "address" and ours[value] != "VARCHAR":
        raise UsageError(f'"{value}" is {ours[value]}, and addresses are text', 'integers are values: kind="value"')
    shown = carried(ours, theirs, suffix=suffix)
    as_addresses = kind == "address" or (
        kind == "auto" and ours[value] == "VARCHAR" and _all_addresses(right, [low, high])
    )

    def keyed(names: Sequence[str], letter: str, keys: Mapping[str, str], table: str, dialect: str) -> str:
        """The columns by their positions, because both sides may have any names, and what is compared."""
        named = [f"{sql.quote(name, dialect)} AS {letter}{position}" for position, name in enumerate(names)]
        texts = [f"{sql.quote(name, dialect)} AS {key}{'_text' * as_addresses}" for key, name in keys.items()]
        found = f"SELECT {', '.join([*named, *texts])} FROM {table}"
        for key in keys if as_addresses else ():
            found = addressed(found, f"{key}_text", key, dialect)
        kept = [*_numbered(letter, names), *keys]
        return f"SELECT {', '.join(kept)} FROM ({found})"

    def statement(dialect: str) -> str:
        values = keyed(list(ours), "l", {"v": value}, "ours", dialect)
        ranges = keyed(list(shown), "r", {"lo": low, "hi": high}, "theirs", dialect)
        mine, other = _numbered("l", ours), _numbered("r", shown)
        if dialect == "duckdb":
            ctes = _latest_then_bins(values, ranges, mine, other, by_number=theirs[low] == "VARCHAR")
        else:
            bound = "VARCHAR" if as_addresses else theirs[low]
            ranges += " WHERE lo <= hi"
            counted, cuts = _look(native(lambda _: ranges, theirs=right), bound)
            ctes = _bins(values, ranges, mine, other, cuts, counted <= FEW_RANGES)
        found = f"SELECT {', '.join([*mine, *other])} FROM found"
        if how == "left":
            missing = f"SELECT {', '.join([*mine, *(f'NULL AS {name}' for name in other)])} FROM"
            anti = {"duckdb": "ANTI", "spark": "LEFT ANTI"}[dialect]
            outside = f"valued {anti} JOIN (SELECT DISTINCT v AS w FROM found) ON v = w"
            # Null values apart: in one join they would all meet in one task.
            found += f" UNION ALL {missing} {outside} WHERE v IS NOT NULL UNION ALL {missing} valued WHERE v IS NULL"
        names = [*ours, *shown.values()]
        renamed = ", ".join(
            f"{place} AS {sql.quote(name, dialect)}" for place, name in zip([*mine, *other], names, strict=True)
        )
        return f"WITH {', '.join(f'{name} AS {text}' for name, text in ctes.items())} SELECT {renamed} FROM ({found})"

    result = native(statement, ours=left, theirs=right)
    told = kind == "auto" and as_addresses
    return (
        note(result, f'range_join: "{low}" and "{high}" are read as IP addresses, as a look says') if told else result
    )


class Cuts(NamedTuple):
    """Values in order, that divide all others into bins."""

    text: str
    """An array, in Spark's SQL."""
    number: int


def _refuse_orderless(name: str, kind: str) -> None:
    numbers = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
    plain = {*numbers, *(f"U{number}" for number in numbers), "FLOAT", "DOUBLE", "DATE", "VARCHAR"}
    if kind not in plain and not kind.startswith(("DECIMAL", "TIMESTAMP")):
        raise UsageError(f'"{name}" is {kind}, which has no ranges', "give numbers, times, texts or addresses")


def _numbered(letter: str, names: Iterable[str]) -> list[str]:
    return [f"{letter}{position}" for position, _ in enumerate(names)]


def _all_addresses(t: Table, names: Iterable[str]) -> bool:
    """Whether some texts of these columns are addresses, all of them."""

    def statement(dialect: str) -> str:
        quoted = [sql.quote(name, dialect) for name in names]
        some = [f"SELECT * FROM (SELECT {name} AS x FROM t WHERE {name} IS NOT NULL LIMIT {SAMPLE})" for name in quoted]
        return f"SELECT count(*) AS n, count(v) AS good FROM ({addressed(' UNION ALL '.join(some), 'x', 'v', dialect)})"

    found = engine_of(t).batches(native(statement, t=t)).read_all().to_pylist()[0]
    return bool(found["n"] > 0 and found["n"] == found["good"])


def _latest_then_bins(values: str, ranges: str, mine: list[str], other: list[str], by_number: bool) -> dict[str, str]:
    """DuckDB: an ASOF join finds the only range that may hold a value, where ranges do not overlap.

    A range that overlaps none is the latest one at all values that it holds; the others go by bins: numbered by their
    lows, a range spans the numbers of the lows that it holds, and a value has that of the latest low. A range of 2^k
    numbers lies in two bins of that size, so that a value meets it by an equality, looking into one bin of each size.
    The plain inequality is DuckDB's IEJoin at best (1.5 s for 1 M values in 4 000 ranges, 10 M matches), but a nested
    loop where the planner expects few rows: with the ranges behind a filter such as `id % 100 = 0` 7 s.

    With texts in them, ranges are sorted as numbers of rows, and what they hold is joined to the result by a hash: 0.34
    s of CPU instead of 0.46 for 1 M values in 400 000 ranges with two texts, but 0.30 instead of 0.25 with integers.
    """
    l, r = ", ".join(mine), "j" if by_number else ", ".join(other)  # noqa: E741
    before = "max(hi) OVER (ORDER BY lo ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)"
    after = "lead(lo) OVER (ORDER BY lo)"
    first, last = {"ranged": f"({ranges})"}, {}
    if by_number:
        # The numbering runs in one thread, so what is numbered is made before.
        first = {
            "made": f"MATERIALIZED ({ranges})",
            "ranged": "MATERIALIZED (SELECT *, row_number() OVER () AS j FROM made)",
        }
        last = {"found": f"(SELECT {l}, {', '.join(other)}, v FROM pairs JOIN ranged USING (j))"}
    return {
        "asked": f"({values})",
        **first,
        "marked": f"MATERIALIZED (SELECT *, coalesce({before} < lo, true) AND coalesce(hi < {after}, true) AS alone "
                  f"FROM (SELECT {r}, lo, hi FROM ranged WHERE lo <= hi))",
        "met": f"MATERIALIZED (SELECT {l}, v, {r}, coalesce(v <= hi, false) AS inside "
               "FROM asked ASOF LEFT JOIN (FROM marked WHERE alone) ON v >= lo)",
        "valued": f"(SELECT {l}, v FROM met)",
        "numbered": f"MATERIALIZED (SELECT {r}, lo, hi, rank() OVER (ORDER BY lo) AS i FROM marked WHERE NOT alone)",
        "lows": "(SELECT DISTINCT lo AS since, i AS place FROM numbered)",
        "spanned": "(SELECT *, ceil(log2(place - i + 1))::INTEGER AS k FROM numbered ASOF JOIN lows ON hi >= since)",
        "binned": f"MATERIALIZED (SELECT {r}, lo, hi, k, "
                  "unnest(range(i >> k, (place >> k) + 1)) AS bin FROM spanned)",
        "placed": f"(SELECT {l}, v, place FROM (FROM met WHERE NOT inside) ASOF JOIN lows ON v >= since)",
        "probes": f"(SELECT {l}, v, place, unnest(range(0, 40)) AS size FROM placed)",
        "pairs" if by_number else "found": f"(SELECT {l}, {r}, v FROM met WHERE inside UNION ALL SELECT {l}, {r}, v "
                 "FROM probes JOIN binned ON size = k AND place >> size = bin AND v >= lo AND v <= hi)",
        **last,
    }  # fmt: skip


def _look(ranges: Table, kind: str) -> tuple[int, Cuts]:
    """How many ranges there are, and lows of a sample in order."""
    text = "hex(x)" if kind == "VARCHAR" else "CAST(x AS STRING)"
    sample = f"array_sort(array_distinct(min_by(lo, xxhash64(lo), {CUTS})))"
    look = f"SELECT count(*) AS n, transform({sample}, x -> {text}) AS cuts FROM t"
    found = engine_of(ranges).batches(native(lambda _: look, t=ranges)).read_all().to_pylist()[0]
    cuts = found["cuts"] or []
    if kind == "VARCHAR":
        texts = [bytes.fromhex(cut).decode("utf-8", "replace") for cut in cuts]
        if not all(text.isalnum() and text.isascii() for text in texts):  # addresses are
            listed = ", ".join(f"CAST(X'{cut}' AS STRING)" for cut in cuts)
            return found["n"], Cuts(f"array({listed})", len(cuts))
        cuts = texts
    # One literal: 4 095 of them, each with a cast, took 1.5 s to read and to spell.
    listed = f"split('{','.join(cuts)}', ',')"
    return found["n"], Cuts(f"CAST({listed} AS ARRAY<{sql.type_for(kind, 'spark')}>)", len(cuts))


def _bins(values: str, ranges: str, mine: list[str], other: list[str], cuts: Cuts, few: bool) -> dict[str, str]:
    """Spark: values and ranges meet by an equality of bins, which are places between the cuts.

    A range spans the places from its low to its high. A long one lies in few bins of 8, 64, 512 … places, so that it
    is not repeated for each place; a value looks into one bin of each size.
    """
    l, r = ", ".join(mine), ", ".join(other)  # noqa: E741
    sizes = range(0, CUTS.bit_length(), 3)
    spans = " ".join(f"WHEN until - i < {7 << size} THEN {size}" for size in sizes)
    hint = "/*+ BROADCAST(binned) */ " if few else ""
    bins = "explode(sequence(shiftright(i, k), shiftright(until, k))) AS bin"
    return {
        "valued": f"({values})",
        "ranged": f"(SELECT *, {_place('lo', cuts)} AS i, {_place('hi', cuts)} AS until FROM ({ranges}))",
        "sized": f"(SELECT *, CASE {spans} ELSE {sizes[-1]} END AS k FROM ranged)",
        "binned": f"(SELECT {r}, lo, hi, k, {bins} FROM sized)",
        "placed": f"(SELECT {l}, v, {_place('v', cuts)} AS place FROM valued WHERE v IS NOT NULL)",
        "probes": f"(SELECT *, explode(array({', '.join(map(str, sizes))})) AS size FROM placed)",
        "found": f"(SELECT {hint}{l}, {r}, v FROM probes JOIN binned "
                 "ON size = k AND shiftright(place, size) = bin AND v >= lo AND v <= hi)",
    }  # fmt: skip


def _place(name: str, cuts: Cuts) -> str:
    """How many of the cuts are not above a value, by a binary search."""
    if not cuts.number:
        return "0"
    steps = ", ".join(str(1 << bit) for bit in reversed(range(cuts.number.bit_length())))
    return f"aggregate(array({steps}), 0, (p, s) -> IF(get({cuts.text}, p + s - 1) <= {name}, p + s, p))"
