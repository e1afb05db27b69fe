"""The first rows of each group."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from penstock import sql
from penstock.errors import UsageError
from penstock.made import remembered
from penstock.tables import By, Table, columns, engine_of, grouped, native, total_order

__all__ = ["top_n"]

#: Where the groups of a sample are fewer than this, finding each group's n-th value first costs less than it saves.
FEW_GROUPS = 5_000
SAMPLE = 100_000
#: Rows of a group from which on its first value alone is worth looking for.
SOME_ROWS = 4


@remembered
def top_n(
    t: Table, by: By, order: str | Sequence[str], n: int = 1, ties: Literal["break", "all", "any"] = "break"
) -> Table:
    """The n first rows of each group, in an order.

    For the n most frequent keys take `top`; for the latest row of each key, n=1 here or `dedup`.

    Args:
        t: A table of either engine.
        by: Group keys.
        order: `"amount desc, ts"`: what is first.
        n: How many rows a group.
        ties: Rows equal in `order`: "break" ties by the remaining columns, return "all" that equal the n-th, or "any".

    Returns:
        Whole rows, all columns; at most n a group (more with `ties="all"`).

    Cost:
        Spark: 1 exchange of at most n rows a group and partition (a bounded heap combines before anything moves).
        DuckDB: a bounded heap a group. Where the table is a plain scan, a look at 100 000 keys decides: with few groups
        it is read twice, first only keys and order; with very many, each group is sorted, which spills. So it is for
        n = 1 over any other table.

    Ties and nulls:
        Nulls last in both directions, NaN above every number. Ties are broken by the remaining columns in table order,
        ascending, nulls last, so the same rows come out whatever the file split, threads or partitions.

    Raises:
        ColumnError: a group key or an order column that the table does not have.
        UsageError: n is not positive, or `ties` is unknown.

    Example:
        >>> t = ps.adopt([{"k": "a", "v": 1}, {"k": "a", "v": 3}, {"k": "b", "v": 2}])
        >>> sorted(top_n(t, "k", "v desc").fetchall())
        [('a', 3), ('b', 2)]
    """
    if n < 1:
        raise UsageError(f"n={n} keeps nothing", "give a positive number")
    if ties not in ("break", "all", "any"):
        raise UsageError(f'ties="{ties}" is unknown', 'give "break", "all" or "any"')
    kept = list(columns(t))
    keyed, keys = grouped(t, by)
    present = columns(keyed)
    named, every = len(sql.orders(order)), total_order(keyed, order)
    # Rows of a group are equal in its keys, which so break no tie.
    asked, rest = every[:named], every[named:]
    terms = asked + [term for term in rest if sql.plain_column(term[0].expression) not in keys]
    engine = engine_of(t)
    if ties == "all":
        found = native(lambda dialect: _up_to_nth(keys, present, asked, n, dialect), t=keyed)
    else:
        wanted = terms if ties == "break" else asked
        plan = "heaps"
        if engine.name == "duckdb" and engine.is_narrow(t):
            plan = _plan(keyed, keys, n)
        elif engine.name == "duckdb" and n == 1 and keys:
            plan = "window"  # which spills: a heap a group does not, and groups may be as many as rows
        if plan == "value first":
            found = engine.query(_nth_value_first(keys, present, wanted, n), {"t": keyed})
        elif plan == "window":
            found = engine.query(_window(keys, wanted, n), {"t": keyed})
        else:
            found = native(lambda dialect: _heaps(keys, wanted, n, dialect), t=keyed)
    return engine.query(f"SELECT {sql.quoted(kept, engine.name)} FROM t", {"t": found})


def _heaps(keys: list[str], terms: list[tuple[sql.Order, str]], n: int, dialect: str) -> str:
    """Whole rows in a bounded heap a group: one pass.

    Spark 8.3 s (0.7 MB moved) against 26 s for `row_number() <= 10`; DuckDB 1.3 s against 5.7 s with every tie broken
    (20 M rows, 676 groups).
    """
    key, grouping = sql.sort_key(terms, dialect), _group_by(keys, dialect)
    if dialect == "spark":
        return f"SELECT inline(min_by(struct(t.*), {key}, {n})) FROM t{grouping}"
    row = '"a whole row"'
    heap = f"SELECT unnest(min_by({row}, {key}, {n})) AS kept FROM t AS {row}{grouping}"
    return f"SELECT unnest(kept) FROM ({heap})"


def _nth_value_first(keys: list[str], present: Iterable[str], terms: list[tuple[sql.Order, str]], n: int) -> str:
    """The n-th value of each group by a heap of single values, then an exact sort of the few rows that reach it.

    0.75 s where one struct as the sort key takes 1.9 s and five order columns take 5.7 s. DuckDB rewrites exactly
    `row_number() OVER (PARTITION BY … ORDER BY one_column) <= n` to the heap.
    """
    first = terms[0][0]
    value, cut = (sql.quote(sql.unused(name, present)) for name in ("first", "cut"))
    partition = f"PARTITION BY {sql.quoted(keys)} " if keys else ""
    direction, least, reaches = ("DESC", "min", ">=") if first.descending else ("ASC", "max", "<=")
    native_value = first.spelled("duckdb")
    # 1. The n first values of each group. 2. The last of them; null if a null is among them: then every row stays.
    heap = f"SELECT {', '.join([*map(sql.quote, keys), f'{native_value} AS {value}'])} FROM t"
    if n == 1:
        nth = f"{'max' if first.descending else 'min'}({value}) AS {cut}"
    else:
        heap += f" QUALIFY row_number() OVER ({partition}ORDER BY {native_value} {direction} NULLS LAST) <= {n}"
        nth = f"CASE WHEN count({value}) = count(*) THEN {least}({value}) END AS {cut}"
    cuts = f"SELECT {', '.join([*map(sql.quote, keys), nth])} FROM heap{_group_by(keys, 'duckdb')}"
    # 3. The rows that reach it, in the whole order. A union, because an OR in one join takes 1.3 times as long.
    same, order = _same_keys("t", "cuts", keys, "duckdb"), ", ".join(term.text("duckdb") for term, _ in terms)
    valued = f"SELECT *, {native_value} AS {value} FROM t"
    candidates = (
        f"SELECT t.* FROM ({valued}) AS t JOIN cuts ON {same} AND t.{value} {reaches} cuts.{cut} UNION ALL "
        f"SELECT t.* FROM ({valued}) AS t SEMI JOIN (FROM cuts WHERE {cut} IS NULL) AS cuts ON {same}"
    )
    return (
        f"WITH heap AS ({heap}), cuts AS ({cuts}), candidates AS ({candidates}) "
        f"SELECT * FROM candidates QUALIFY row_number() OVER ({partition}ORDER BY {order}) <= {n}"
    )


def _up_to_nth(
    keys: list[str], present: Iterable[str], asked: list[tuple[sql.Order, str]], n: int, dialect: str
) -> str:
    """Every row that is not behind the n-th of its group: the n-th key by a heap, then a filter; no rank window.

    DuckDB 1.0 s against 4.8 s for `rank() <= 10`; Spark 8 s against 26 s.
    """
    key, cut = (sql.quote(sql.unused(name, present), dialect) for name in ("sort key", "cut"))
    greatest = {"duckdb": "list_max", "spark": "array_max"}[dialect]
    keyed = f"SELECT *, {sql.sort_key(asked, dialect)} AS {key} FROM t"
    nth = f"{greatest}(min_by({key}, {key}, {n})) AS {cut}"
    cuts = f"SELECT {', '.join([*(sql.quote(k, dialect) for k in keys), nth])} FROM keyed{_group_by(keys, dialect)}"
    same = _same_keys("keyed", "cuts", keys, dialect)
    kept = f"SELECT keyed.* FROM keyed JOIN cuts ON {same} WHERE keyed.{key} <= cuts.{cut}"
    return f"WITH keyed AS ({keyed}), cuts AS ({cuts}) {kept}"


def _group_by(keys: list[str], dialect: str) -> str:
    return f" GROUP BY {sql.quoted(keys, dialect)}" if keys else ""


def _same_keys(left: str, right: str, keys: list[str], dialect: str) -> str:
    columns_ = [sql.quote(key, dialect) for key in keys]
    return " AND ".join(f"{left}.{column} IS NOT DISTINCT FROM {right}.{column}" for column in columns_) or "true"


def _plan(t: Table, keys: list[str], n: int) -> Literal["value first", "window"]:
    """A plan for a plain scan, by how often a sample of the keys repeats itself.

    The n-th value first pays for few groups, and for the first value alone where a group has some rows: 2.4 s where the
    window takes 4.2 s (20 M rows, 2 M groups); 10.4 s against 4.7 s where nearly every row is a group of its own.
    """
    engine = engine_of(t)
    if not keys:
        return "value first"
    sample = (
        f"SELECT {sql.quoted(keys)}, count(*) AS n FROM (SELECT {sql.quoted(keys)} FROM t LIMIT {SAMPLE}) GROUP BY ALL"
    )
    look = engine.query(f"SELECT count(*) AS groups, sum(n) AS rows FROM ({sample}) AS s", {"t": t})
    [seen] = engine.batches(look).read_all().to_pylist()
    if seen["groups"] < FEW_GROUPS:
        return "value first"
    # As many pairs of equal keys as a sample shows are expected of so many groups of one size.
    groups = seen["rows"] ** 2 / 2 / max(1, seen["rows"] - seen["groups"])
    rows = engine.size(t).rows or 0
    return "value first" if n == 1 and rows > SOME_ROWS * groups else "window"


def _window(keys: list[str], terms: list[tuple[sql.Order, str]], n: int) -> str:
    """One sort of each group. With many groups 9 s of CPU where a heap a group takes 22 s (20 M rows, 19 M groups)."""
    order = ", ".join(term.text("duckdb") for term, _ in terms)
    return f"SELECT * FROM t QUALIFY row_number() OVER (PARTITION BY {sql.quoted(keys)} ORDER BY {order}) <= {n}"
