"""Samples that meet.

A join of two samples would find hardly anything. So unless one side is there whole, each row of the larger side is
given one row of the other's sample, the same to all rows of its key, with the chance that its key is there at all. But
whether a key is among others that come of the same rows, as what is left over is asked, their samples tell themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlglot import exp

from penstock import sql
from penstock.engines.asking import ask
from penstock.figures import Figure
from penstock.forecasts.flow import HIDDEN, PLACE, TASK, Flow, part_of
from penstock.forecasts.keys import in_files
from penstock.trees.spelled import spelled
from penstock.trees.tree import Join, both, references

if TYPE_CHECKING:
    from penstock.forecasts.flows import Flows

__all__ = ["joined"]

#: Pairs of rows that are tried where nothing has to be equal, and where keys have to be: those are kept.
PAIRS, EQUAL = 4_000_000, 1_000_000
#: Keys of which a sample has so small a part, and that holds most of another's, are not there by chance.
SMALL, MOST = 0.25, 0.5


def joined(flows: Flows, node: Join, left: Flow, right: Flow) -> Flow | None:
    """The flow out of a join."""
    whole = right.whole or (left.whole and node.how in ("inner", "cross", "right")) or _of_the_same(node, left, right)
    return _met(flows, node, left, right) if whole or not both(node) else _supposed(flows, node, left, right)


def _of_the_same(node: Join, left: Flow, right: Flow) -> bool:
    """Whether two samples are of the same rows: most keys of the one are in the other, more than chance has it."""
    if node.how not in ("semi", "anti") or not both(node) or right.taken > SMALL * (right.total.mid or 0.0):
        return False
    ours, theirs = (f"hash({', '.join(map(spelled, side))})" for side in zip(*both(node), strict=True))
    found = ask(f"SELECT count(*) AS n FROM ({left.text}) WHERE {ours} IN (SELECT {theirs} FROM ({right.text}))")
    return bool(found["n"][0].as_py() > MOST * left.taken)


def _met(flows: Flows, node: Join, left: Flow, right: Flow) -> Flow:
    """A real join: of a sample with a side that is there whole."""
    pairs = both(node)
    if not pairs and left.taken * right.taken > PAIRS:
        left, right = (_few(flow, 2_000) for flow in (left, right))
    if pairs and node.how not in ("semi", "anti"):
        left, right = _bounded(pairs, left, right)
    main, other = (left, right) if right.whole or not left.whole else (right, left)
    how = {"cross": "CROSS", "semi": "SEMI", "anti": "ANTI"}.get(node.how, node.how.upper())
    where = " AND ".join(f"({spelled(condition)})" for condition in node.conditions) or "true"
    on = "" if how == "CROSS" else f" ON {where}"
    sides = [
        f"SELECT * {'' if flow is main else f'EXCLUDE ({TASK}, {PLACE})'} FROM ({flow.text})" for flow in (left, right)
    ]
    text = f"SELECT * FROM ({sides[0]}) AS l {how} JOIN ({sides[1]}) AS r{on}"
    columns = "".join(f"{sql.quote(name)}, " for name in node.columns)
    hidden = f"coalesce({TASK}, 0) AS {TASK}, coalesce({PLACE}, 0) AS {PLACE}"
    if node.how in ("semi", "anti") and main is right:
        hidden = f"0 AS {TASK}, row_number() OVER () AS {PLACE}"
    text = f"SELECT {columns}{hidden} FROM ({text})"
    met = flows.held(main._replace(text=text, whole=left.whole and right.whole))
    once = other.whole or node.how in ("semi", "anti")
    scale = 1.0 if once else (other.total.mid or other.taken) / max(1, other.taken)
    return met._replace(total=part_of(main.total, met.taken * scale, main.taken, met.whole))


def _bounded(pairs: Sequence[tuple[exp.Expr, exp.Expr]], left: Flow, right: Flow) -> tuple[Flow, Flow]:
    """Fewer rows of the side that leads, where equal keys would make too many pairs of all."""
    ours, theirs = (f"hash({', '.join(map(spelled, side))})" for side in zip(*pairs, strict=True))
    counts = [
        f"SELECT {key} AS h, count(*) AS n FROM ({flow.text}) GROUP BY h"
        for key, flow in ((ours, left), (theirs, right))
    ]
    leads = right.whole or not left.whole
    [most] = ask(f"SELECT coalesce(max(n), 0) AS n FROM ({counts[leads]})")["n"].to_pylist()
    if most * (left if leads else right).taken <= EQUAL:  # each key once, mostly: no need to count both
        return left, right
    made = f"SELECT coalesce(sum(l.n * r.n), 0)::DOUBLE AS n FROM ({counts[0]}) AS l JOIN ({counts[1]}) AS r USING (h)"
    [found] = ask(made)["n"].to_pylist()
    if found <= EQUAL:
        return left, right
    return (_thinned(left, EQUAL / found), right) if leads else (left, _thinned(right, EQUAL / found))


def _thinned(flow: Flow, share: float) -> Flow:
    """A share of the rows, one every so often: by their places, rows that a join made of one would stay together."""
    numbered = f"SELECT *, row_number() OVER () AS n FROM ({flow.text})"
    text = f"SELECT * EXCLUDE (n) FROM ({numbered}) WHERE floor(n * {share!r}) > floor((n - 1) * {share!r})"
    return flow._replace(text=text, taken=max(1, int(flow.taken * share)), whole=False)


def _supposed(flows: Flows, node: Join, left: Flow, right: Flow) -> Flow | None:
    """A join of two samples, as it would be if keys met by chance; keys of the smaller side are among the larger's."""
    pairs = both(node)
    ours, theirs = [one for one, _ in pairs], [other for _, other in pairs]
    keys = flows.distinct(node.left, tuple(ours)).total, flows.distinct(node.right, tuple(theirs)).total
    known = [in_files(flows, side, key) for side, key in ((node.left, ours), (node.right, theirs))]
    if keys[0].mid is None or keys[1].mid is None or left.total.mid is None or right.total.mid is None:
        return None
    domain = max(1.0, keys[0].mid, keys[1].mid, *(each for each in known if each))
    met = min(1.0, keys[1].mid / domain), min(1.0, keys[0].mid / domain)  # of the left's keys, of the right's
    pairs_made = left.total.mid * met[0] * right.total.mid / max(1.0, keys[1].mid)
    alone = left.total.mid * (1 - met[0]), right.total.mid * (1 - met[1])
    rows = {
        "inner": pairs_made, "semi": left.total.mid * met[0], "anti": alone[0], "left": pairs_made + alone[0],
        "right": pairs_made + alone[1], "full": pairs_made + sum(alone),
    }[node.how]  # fmt: skip
    left_leads = node.how in ("semi", "anti", "left", "full") or (
        node.how == "inner" and left.total.mid >= right.total.mid
    )
    main, other = (left, right) if left_leads else (right, left)
    main_keys, other_keys = (ours, theirs) if left_leads else (theirs, ours)
    text = _given(node, main, other, main_keys, other_keys, met[0 if left_leads else 1])
    found = flows.held(main._replace(text=text, whole=False))
    residual = [each for each in node.conditions if not isinstance(each, (exp.EQ, exp.NullSafeEQ))]
    if residual and node.how == "inner":
        where = " AND ".join(f"({spelled(each)})" for each in residual)
        kept = flows.held(found._replace(text=f"SELECT * FROM ({found.text}) WHERE {where}"))
        rows, found = rows * (kept.taken + 0.5) / (found.taken + 1), kept
    spread = 1.3 if domain > max(keys[0].mid, keys[1].mid) else 1.15
    total = Figure(rows / spread, rows, rows * spread, "sample")
    if node.how in ("semi", "anti"):
        total = total._replace(high=min(total.high or rows, left.total.high or rows * spread))
    return found._replace(total=total)


def _given(
    node: Join, main: Flow, other: Flow, main_keys: Sequence[exp.Expr], other_keys: Sequence[exp.Expr],
    met: float,
) -> str:  # fmt: skip
    """Each row of the larger side with a row of the other's sample, or with none, as its key decides."""
    key = f"hash({', '.join(spelled(each) for each in main_keys)})"
    chance = f"{key} / 18446744073709551616.0 < {met!r}"
    columns = "".join(f"{sql.quote(name)}, " for name in node.columns)
    if node.how in ("semi", "anti"):
        negated = "NOT " if node.how == "anti" else ""
        return f"SELECT {columns}{HIDDEN} FROM ({main.text}) WHERE {negated}{chance}"
    equal = {
        theirs.name: spelled(ours)
        for ours, theirs in zip(main_keys, other_keys, strict=True)
        if isinstance(theirs, exp.Column)
    }
    names = [name for name in node.columns if name in _columns_of(node, main_keys)]
    own = [name for name in node.columns if name not in names]
    shown = [f"m.{sql.quote(name)}" for name in names]
    shown += [f"{equal[name]} AS {sql.quote(name)}" if name in equal else f"o.{sql.quote(name)}" for name in own]
    numbered = f"SELECT * EXCLUDE ({TASK}, {PLACE}), row_number() OVER () - 1 AS place FROM ({other.text})"
    place = f"hash({key}, 3) % {max(1, other.taken)}"
    kind = "" if node.how in ("inner", "right" if main is not other else "inner") else "LEFT "
    joined = (
        f"SELECT {', '.join(shown)}, m.{TASK} AS {TASK}, m.{PLACE} AS {PLACE} FROM ({main.text}) AS m "
        f"{kind}JOIN ({numbered}) AS o ON o.place = {place} AND {chance}"
    )
    return f"SELECT {columns}{HIDDEN} FROM ({joined})"


def _few(flow: Flow, rows: int) -> Flow:
    taken = min(rows, flow.taken)
    return flow._replace(
        text=f"SELECT * FROM ({flow.text}) LIMIT {rows}", taken=taken, whole=flow.whole and taken < rows
    )


def _columns_of(node: Join, main_keys: Sequence[exp.Expr]) -> set[str]:
    """The columns of the side that leads."""
    sides = (set(node.left.columns), set(node.right.columns))
    return sides[0] if references(*main_keys) <= sides[0] else sides[1]
