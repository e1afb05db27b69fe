"""IP addresses as values that sort: text of IPv4 and IPv6 in one order, on either engine.

An IPv4 address is the IPv6 address ::ffff:a.b.c.d, so both kinds may meet in one column. What is no address is null.
"""

from __future__ import annotations

from penstock import sql

__all__ = ["addressed"]

_GROUPS = "[0-9a-fA-F]{1,4}(:[0-9a-fA-F]{1,4})*"
#: Groups of hexadecimal digits with at most one `::`, which may stand at the ends; their number is counted apart.
_FORM = rf"\A({_GROUPS})?(::({_GROUPS})?)?\z"


def addressed(query: str, column: str, into: str, dialect: str) -> str:
    """The query with a column more: a text column as a value that sorts as its address does, null where it is none.

    128 bits on DuckDB, 32 hexadecimal digits on Spark. The columns of the steps, named after `into`, stay as well; each
    is computed once and read often, which one long expression would not do. `column` and `into` are plain identifiers.
    """
    for name, expression in _steps(column, into, dialect):
        query = f"SELECT *, {expression} AS {name} FROM ({query})"
    return query


def _steps(column: str, into: str, dialect: str) -> list[tuple[str, str]]:
    colon, dot = f"{column} LIKE '%:%'", f"{column} LIKE '%.%'"
    dotted, numbers, number = f"{into}_dotted", f"{into}_numbers", f"{into}_number"
    six, full, groups = f"{into}_six", f"{into}_full", f"{into}_groups"
    tail = f"regexp_extract({column}, {sql.literal('[^:]*$', dialect)}, 0)"
    whole = f"CASE WHEN {six} IS NULL THEN {_ipv4(number, dialect)} ELSE {_ipv6(six, groups, dialect)} END"
    return [
        # 1. What is written with dots: the whole of IPv4, or the end of IPv6, where it stands for two groups.
        (dotted, f"CASE WHEN NOT {colon} THEN {column} WHEN {dot} THEN {tail} END"),
        (numbers, _numbers(dotted, dialect)),
        (number, _number(dotted, numbers, dialect)),
        # 2. IPv6 in groups alone, and as many groups of 0 as `::` stands for; eight in all.
        (six, f"CASE WHEN {colon} THEN CASE WHEN {dot} THEN {_in_groups(column, dotted, number, dialect)} "
              f"ELSE {column} END END"),
        (full, f"CASE WHEN {six} LIKE '%::%' THEN {_filled(six)} ELSE {six} END"),
        (groups, _groups(full, dialect)),
        # Spark would put the steps into each filter above them, one into the other; it moves no filter below explode.
        (into, f"explode(array({whole}))" if dialect == "spark" else whole),
    ]  # fmt: skip


def _numbers(text: str, dialect: str) -> str:
    if dialect == "spark":
        return f"transform(split({text}, '[.]'), part -> try_cast(part AS BIGINT))"
    return f"TRY_CAST(string_split({text}, '.') AS UTINYINT[])"  # half the time of four times split_part


def _number(text: str, numbers: str, dialect: str) -> str:
    """An IPv4 address as an integer: four numbers up to 255, written as numbers are printed."""
    if dialect == "spark":
        a, b, c, d = (f"get({numbers}, {position})" for position in range(4))
        bounds = " AND ".join(f"{part} BETWEEN 0 AND 255" for part in (a, b, c, d))
        plain = f"concat_ws('.', {a}, {b}, {c}, {d}) = {text} AND {bounds}"
    else:
        parts = [f"{numbers}[{position}]" for position in range(1, 5)]
        # Whatever else DuckDB takes for a number up to 255 is longer than its digits are, but for 1e2 and 2e2.
        digits = " + ".join(f"({part} > {most})::TINYINT" for part in parts for most in (9, 99))
        plain = (
            f"len({numbers}) = 4 AND strlen({text}) = 7 + {digits} "
            f"AND NOT contains({text}, 'e') AND NOT contains({text}, 'E')"
        )
        a, b, c, d = (f"{part}::BIGINT" for part in parts)
    return f"CASE WHEN {plain} THEN {a} * 16777216 + {b} * 65536 + {c} * 256 + {d} END"


def _in_groups(text: str, dotted: str, number: str, dialect: str) -> str:
    """The dotted end as two groups of hexadecimal digits."""
    head = f"substring({text}, 1, length({text}) - length({dotted}))"
    high, low = {
        "duckdb": (f"to_hex({number} >> 16)", f"to_hex({number} & 65535)"),
        "spark": (f"hex(shiftright({number}, 16))", f"hex({number} & 65535)"),
    }[dialect]
    return f"{head} || {high} || ':' || {low}"


def _filled(six: str) -> str:
    """The groups of 0 written out; null where `::` stands for none, or twice."""
    start, end = (f"CASE WHEN {six} LIKE '{edge}' THEN '0' ELSE '' END" for edge in ("::%", "%::"))
    # A 0 is put where an edge has no group, so that an edge holds one colon more than its groups need.
    colons = f"(length({six}) - length(replace({six}, ':', '')))"
    edges = f"CASE WHEN {six} LIKE '::%' OR {six} LIKE '%::' THEN 8 ELSE 7 END"
    zeros = f"repeat('0:', CAST(8 - {colons} AS INTEGER))"
    some = f"{colons} <= {edges} AND {six} NOT LIKE '%::%::%'"
    return f"CASE WHEN {some} THEN {start} || replace({six}, '::', ':' || {zeros}) || {end} END"


def _groups(full: str, dialect: str) -> str:
    if dialect == "spark":
        return f"split({full}, ':')"
    # One cast of the list: 0.41 s for 1 M texts of eight groups, where eight times lpad took 0.55 s.
    return f"TRY_CAST(string_split('0x' || replace({full}, ':', ':0x'), ':') AS USMALLINT[])"


def _ipv6(six: str, groups: str, dialect: str) -> str:
    if dialect == "spark":
        digits = " || ".join(f"lpad(lower(get({groups}, {position})), 4, '0')" for position in range(8))
        form = sql.literal(_FORM, dialect)
        return f"CASE WHEN size({groups}) = 8 AND {six} RLIKE {form} THEN {digits} END"
    # The cast takes also 1_0, and 00001; a group longer than four digits that it takes begins with 0.
    long = f"(contains({six}, ':0') OR starts_with({six}, '0')) AND regexp_matches({six}, '[^:]{{5}}')"
    plain = f"len({groups}) = 8 AND NOT contains({six}, '_') AND NOT CASE WHEN {long} THEN true ELSE false END"
    upper, lower = (
        " + ".join(f"{groups}[{first + place}]::UBIGINT * {1 << 48 - 16 * place}" for place in range(4))
        for first in (1, 5)
    )
    return f"CASE WHEN {plain} THEN (({upper})::UHUGEINT << 64) + ({lower})::UHUGEINT END"


def _ipv4(number: str, dialect: str) -> str:
    if dialect == "spark":
        return f"'00000000000000000000ffff' || lpad(lower(hex({number})), 8, '0')"
    return f"({number} + 281470681743360)::UHUGEINT"  # ::ffff:0.0.0.0
