"""Joins: sides that are small and shuffled, results that explode, broadcasts that are too large."""

from __future__ import annotations

import json
from collections.abc import Iterator

from penstock.amounts import about, size
from penstock.figures import Figure, modelled
from penstock.findings.finding import Finding, Look, matters
from penstock.trees.lineage import called, scans
from penstock.trees.sizes import width
from penstock.trees.tree import Aggregate, Exchange, Filter, Join, Node, Project, Window, both

__all__ = ["exploding", "keys_as_given", "sent_too_large", "shuffled_small", "sides_of"]

#: What a side may take in memory to be sent to every worker: as `ps.join` has it where it knows the size.
SMALL = 64 << 20
#: How much more the other side has to move: a copy goes to every worker.
TIMES = 10
#: The sides that each join may send.
MAY_SEND = {"inner": ("left", "right"), "left": ("right",), "right": ("left",), "semi": ("right",), "anti": ("right",)}
#: Rows that are many, and so many times the larger input's that a join explodes.
MANY, EXPLODES = 10_000_000, 10
#: Pairs of rows that are compared one by one: 7 to 9 s of one core, on either engine.
PAIRS = 1_000_000_000
#: What the driver takes of a broadcast by default (spark.driver.maxResultSize).
TOO_LARGE = 1 << 30


def shuffled_small(look: Look) -> Iterator[Finding]:
    """PEN202: a join that shuffles both sides, although one could be sent to every worker."""
    for join in look.of(Join):
        sides = {side: _exchange(getattr(join, side)) for side in ("left", "right")}
        if not both(join) or _is_needed_above(look, join):
            continue
        for side, other in (("right", "left"), ("left", "right")):
            if side not in MAY_SEND.get(join.how, ()) or (small := sides[side]) is None:
                continue
            sent = look.forecast.crossing(small)
            large = sides[other]
            moved = look.forecast.crossing(large).bytes if large is not None else sent.bytes
            most = sent.unpacked.high
            if large is None or most is None or most > SMALL or not matters(moved) or most * TIMES > (moved.mid or 0.0):
                continue
            how = f', how="{join.how}"' if join.how != "inner" else ""
            fix = f'ps.join({", ".join(sides_of(look, join))}, on={keys_as_given(join)}{how}, strategy="broadcast")'
            yield look.finding(
                "PEN202",
                join,
                f"{_rows(look, small)} of {_name_of(getattr(join, side))} meet {_rows(look, large)}, and both are "
                f"shuffled: to send {size(sent.unpacked.mid)} to every worker would save {size(moved.mid)}",
                [fix],
                moved,
            )
            break


def _exchange(node: Node) -> Exchange | None:
    return node if isinstance(node, Exchange) and node.kind == "hash" and not node.reused else None


def _is_needed_above(look: Look, join: Join) -> bool:
    """Whether what stands above goes on with the rows as they lie: then they would have to cross there."""
    for above in look.above(join):
        if isinstance(above, (Aggregate, Window, Join)):
            return True
        if not isinstance(above, (Project, Filter)):
            return False
    return False


def sides_of(look: Look, join: Join) -> tuple[str, str]:
    """What the user calls the two tables."""
    named = look.label(join).name == "join"
    left, right = (look.subject(join, 0), look.subject(join, 1)) if named else ("t", "t")
    return ("left" if left == "t" else left), ("right" if right == "t" else right)


def keys_as_given(join: Join) -> str:
    """The keys as `ps.join` takes them."""
    names = {one: other for one, other in _keys(join) if one != "l_salt"}  # `ps.join` adds it
    if any(ours != theirs for ours, theirs in names.items()):
        return json.dumps(names)
    return json.dumps(list(names) if len(names) > 1 else next(iter(names)))


def _keys(join: Join) -> list[tuple[str, str]]:
    return [(called(ours, join), called(theirs, join)) for ours, theirs in both(join)]


def _rows(look: Look, exchange: Exchange) -> str:
    return f"{about(look.forecast.crossing(exchange).rows.mid or 0.0)} rows"


def _name_of(node: Node) -> str:
    """What is below, by the names of the files."""
    return ", ".join(dict.fromkeys(scan.source.name for scan in scans(node))) or "the query's rows"


# -- explosions -------------------------------------------------------------------------------------------------------


def exploding(look: Look) -> Iterator[Finding]:
    """PEN205: a join that compares all pairs of rows, or makes many times the rows that it is given."""
    for join in look.of(Join):
        left, right, out = look.rows(join.left), look.rows(join.right), look.rows(join)
        nested = not both(join)
        compared = left * right if nested and min(left, right) > 1 else 0.0
        if join.how in ("semi", "anti"):
            out = 0.0
        explodes = out > MANY and out > EXPLODES * max(left, right)
        if compared <= PAIRS and not explodes:
            continue
        sides = f"{about(left)} rows of {_name_of(join.left)} and {about(right)} of {_name_of(join.right)}"
        if nested:
            what = f"each row meets each: {sides} are {about(left * right)} comparisons"
        else:
            keys = ", ".join(dict.fromkeys(ours for ours, _ in _keys(join)))
            what = f"{sides} make {about(out)} rows: keys of {keys} occur many times on both sides"
        yield look.finding("PEN205", join, what, _instead(look, join, nested), _made(join, out))


def _instead(look: Look, join: Join, nested: bool) -> list[str]:
    left, right = sides_of(look, join)
    if not nested:
        on = keys_as_given(join)
        return [f'ps.join({left}, ps.dedup({right}, {on}, keep="any"), on={on}, expect="m:1")']
    if join.conditions:
        return [
            f'ps.range_join({left}, {right}, value="…", low="…", high="…")',
            f'ps.asof_join({left}, {right}, on=(), at="…")',
        ]
    return [f'ps.join({left}, {right}, on="…")']


def _made(join: Join, rows: float) -> Figure:
    """The bytes of the result, by the types of its columns."""
    return modelled(rows * width(join.columns.values()), high=None)


# -- broadcasts -------------------------------------------------------------------------------------------------------


def sent_too_large(look: Look) -> Iterator[Finding]:
    """PEN217: a side that is sent to every worker and takes a gigabyte there."""
    for exchange in look.of(Exchange):
        if exchange.kind != "broadcast" or exchange.reused:
            continue
        held = look.forecast.crossing(exchange).unpacked
        if held.mid is None or held.mid < TOO_LARGE:
            continue
        join = look.operator(exchange)
        if not isinstance(join, Join) or not both(join):
            continue
        hinted = "by ps.join" if look.label(join).name == "join" else "as its hint asks"
        why = hinted if join.hint.startswith("broadcast") else "since its files are small"
        yield look.finding(
            "PEN217",
            join,
            f"{_rows(look, exchange)} of {_name_of(exchange)} are sent to every worker, {why}, and take "
            f"{size(held.mid)} in the memory of each; the driver takes 1.1 GB by default",
            [f'ps.join({", ".join(sides_of(look, join))}, on={keys_as_given(join)}, strategy="shuffle")'],
            held,
            argument="strategy",
        )
