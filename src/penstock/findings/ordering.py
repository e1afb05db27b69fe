"""Orders: windows over all rows, ranks that leave nothing out before it moves, sorts whose order is lost."""

from __future__ import annotations

import json
from collections.abc import Iterator

from sqlglot import exp

from penstock.amounts import about, size
from penstock.findings.finding import Finding, Look, keys_of, matters
from penstock.trees.lineage import called, resolved
from penstock.trees.tree import Aggregate, Exchange, Filter, Limit, Node, Project, Sort, Union, Window

__all__ = ["ranked_whole", "sorted_in_vain", "windows_over_all"]

#: Ranks that say which rows are the first, and up to how many Spark finds them before rows move
#: (windowGroupLimitThreshold).
RANKS, MOST = (exp.RowNumber, exp.Rank, exp.DenseRank), 1_000
#: Aggregates of which the result hangs on the order of the rows: below them, a sort is not left out (EliminateSorts).
ORDERED = (exp.ArrayAgg, exp.First, exp.Last, exp.AnyValue, exp.GroupConcat)
#: What has to be saved, as a share.
WORTH = 0.5


def windows_over_all(look: Look) -> Iterator[Finding]:
    """PEN209: a window without PARTITION BY over many rows."""
    for window in look.of(Window):
        exchange = window.child
        if (
            window.by
            or not look.is_written(window)
            or not isinstance(exchange, Exchange)
            or exchange.kind != "single"
            or exchange.reused
        ):
            continue
        held = look.forecast.crossing(exchange).unpacked
        if not matters(held) or _first(look, window) is not None:
            continue
        order = ", ".join(dict.fromkeys(_terms(window, exchange)))
        subject = look.subject(window)
        fixes = [f'ps.query("SELECT *, … OVER (PARTITION BY … ORDER BY {order or "…"}) FROM t", t={subject})']
        if order and all(isinstance(each.this, RANKS) for each in window.made.values()):
            fixes.append(f"ps.top_n({subject}, (), {json.dumps(order)}, n=100)")
        yield look.finding(
            "PEN209",
            window,
            f"without PARTITION BY, all {about(look.rows(exchange))} rows, {size(held.mid)} in memory, go to one task, "
            "however many machines there are",
            fixes,
            look.forecast.crossing(exchange).bytes,
            argument="OVER (",
        )


def _terms(window: Window, below: Node) -> Iterator[str]:
    """The order of a window, as it is typed."""
    for each in window.made.values():
        order = each.args.get("order") if isinstance(each, exp.Window) else None
        for term in order.expressions if order else ():
            yield f"{called(term, below)}{' desc' if term.args.get('desc') else ''}"


# -- ranks ------------------------------------------------------------------------------------------------------------


def _first(look: Look, window: Window) -> int | None:
    """How many first rows a filter right above a window leaves, where Spark understands it."""
    for above in look.above(window):
        if isinstance(above, Filter):
            found = [_limit(condition, above.child, window) for condition in above.conditions]
            return min((each for each in found if each is not None), default=None)
        if not isinstance(above, Project):
            return None
    return None


def _limit(condition: exp.Expr, below: Node, window: Window) -> int | None:
    """The n of `rank <= n`, in any way that Spark takes for it: InferWindowGroupLimit."""
    found = resolved(below, condition.unnest(), Window)
    if found is None or found[0] is not window:
        return None
    asked = found[1].unnest()
    if isinstance(asked, exp.Between):
        return _number(asked.args["high"]) if _is_rank(asked.this, window) else None
    for kinds, rank, bound in (
        ((exp.LTE, exp.LT, exp.EQ), asked.this, asked.args.get("expression")),
        ((exp.GTE, exp.GT, exp.EQ), asked.args.get("expression"), asked.this),
    ):
        if isinstance(asked, kinds) and _is_rank(rank, window) and (n := _number(bound)) is not None:
            return n - isinstance(asked, (exp.LT, exp.GT))
    return None


def _is_rank(value: object, window: Window) -> bool:
    made = window.made.get(value.name) if isinstance(value, exp.Column) else None
    return made is not None and isinstance(made.this, RANKS)


def _number(value: object) -> int | None:
    return int(value.name) if isinstance(value, exp.Literal) and value.is_int else None


def ranked_whole(look: Look) -> Iterator[Finding]:
    """PEN214: a filter that keeps the first rows of each group, and leaves out nothing before rows move."""
    for where in look.of(Filter):
        if not look.is_written(where):
            continue
        for condition in where.conditions:
            kept = _kept(where.child, condition)
            if kept is None:
                continue
            window, n, order, ties = kept
            exchange = window.child
            if not isinstance(exchange, Exchange) or exchange.reused or exchange.combined or not window.by:
                continue
            crossing = look.forecast.crossing(exchange)
            groups = look.forecast.flows.distinct(exchange.child, exchange.keys).in_tasks
            if groups.mid is None or not crossing.rows.mid or crossing.bytes.mid is None:
                continue
            left = min(1.0, groups.mid * n / crossing.rows.mid)
            saved = crossing.bytes.times(1 - left, "sample")
            if left > WORTH or not matters(saved):
                continue
            keys = [called(key, exchange) for key in exchange.keys]
            yield look.finding(
                "PEN214",
                window,
                f"{about(crossing.rows.mid)} rows, {size(crossing.bytes.mid)}, cross by {keys_of(exchange)} to be "
                f"ranked, and {f'the first {n}' if n > 1 else 'the first'} of each group are kept: that would be "
                f"{size(crossing.bytes.mid * left)}",
                [
                    f"ps.top_n({look.subject(window)}, {json.dumps(keys if len(keys) > 1 else keys[0])}, "
                    f"{json.dumps(order)}, n={n}{ties})"
                ],
                saved,
            )


def _kept(below: Node, condition: exp.Expr) -> tuple[Window, int, str, str] | None:
    """The window that a condition ranks by, how many rows it keeps, in which order, and what of equal ones."""
    found = resolved(below, condition.unnest(), Window)
    if found is None or not isinstance(window := found[0], Window):
        return None
    asked = found[1].unnest()
    if isinstance(asked, exp.EQ):
        return _extreme(asked, window)
    if not isinstance(asked, exp.In) or not _is_rank(asked.this, window):
        return None
    numbers = [_number(each) for each in asked.expressions]
    n = max((each for each in numbers if each is not None), default=0)
    if None in numbers or not 0 < n <= MOST or not all(isinstance(each.this, RANKS) for each in window.made.values()):
        return None
    ties = "" if isinstance(window.made[asked.this.name].this, exp.RowNumber) else ', ties="all"'
    return window, n, ", ".join(dict.fromkeys(_terms(window, window.child))), ties


def _extreme(asked: exp.EQ, window: Window) -> tuple[Window, int, str, str] | None:
    """`ts = max(ts) OVER (PARTITION BY …)`."""
    for one, other in ((asked.left, asked.right), (asked.right, asked.left)):
        made = window.made.get(other.name) if isinstance(other, exp.Column) else None
        if made is None or not isinstance(made.this, (exp.Max, exp.Min)) or made.this.this != one:
            continue
        if made.args.get("order") is None and len(window.made) == 1:
            down = " desc" if isinstance(made.this, exp.Max) else ""
            return window, 1, f"{called(one, window.child)}{down}", ', ties="all"'
    return None


# -- sorts ------------------------------------------------------------------------------------------------------------


def sorted_in_vain(look: Look) -> Iterator[Finding]:
    """PEN215: a sort of all rows below what brings them together in another way."""
    for sort in look.of(Sort):
        exchange = sort.child
        if not sort.everywhere or not isinstance(exchange, Exchange) or exchange.kind != "range" or exchange.reused:
            continue
        loser = _loser(look, sort)
        moved = look.forecast.crossing(exchange).bytes
        if not loser or not matters(moved):
            continue
        first = called(exchange.keys[0], exchange)  # `ps.sort` goes on with all other columns
        yield look.finding(
            "PEN215",
            sort,
            f"{about(look.rows(sort))} rows are sorted by {first}, {size(moved.mid)} cross for it, and {loser} above "
            "does not keep the order",
            [f"ps.write(…, sort_by={json.dumps(first)})"],
            moved,
            argument="ORDER BY",
        )


def _loser(look: Look, sort: Sort) -> str:
    """What stands above a sort and brings rows into another order; nothing where the order is kept, or Spark leaves out
    the sort."""
    for above in look.above(sort):
        if isinstance(above, Window):
            return "a window"
        if isinstance(above, Union):
            return "a union"
        if isinstance(above, Aggregate):
            return "a group" if any(each.find(*ORDERED) for each in above.made.values()) else ""
        if isinstance(above, Limit) or not isinstance(above, (Project, Filter, Exchange)):
            return ""
    return ""
