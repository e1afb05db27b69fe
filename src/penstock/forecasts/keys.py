"""How many distinct keys the rows of a flow have: in all, and in each partition, where a combiner leaves a row each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from sqlglot import exp

from penstock.engines.asking import ask
from penstock.figures import UNKNOWN, Figure, exact
from penstock.forecasts.flow import PLACE, TASK, Flow
from penstock.forecasts.growth import GAPS, NEAR, SPARSE, UNITS, grown, stand_together
from penstock.trees.lineage import origin
from penstock.trees.spelled import spelled
from penstock.trees.tree import Node, column

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from penstock.forecasts.flows import Flows

    Masks: TypeAlias = npt.NDArray[np.uint64]
    Counts: TypeAlias = npt.NDArray[np.int64]

__all__ = ["Distinct", "counted", "in_files", "share_of"]


class Distinct(NamedTuple):
    """How many distinct keys there are: in all, and in each partition, all added up."""

    total: Figure = UNKNOWN
    in_tasks: Figure = UNKNOWN
    flow: Flow | None = None
    """The sample that they were counted in."""
    here: int = 0
    """How many keys its long run has."""


def share_of(flow: Flow, keys: Sequence[exp.Expr]) -> float:
    """How many keys there are for each row of a sample, about."""
    hashed = f"hash({', '.join(spelled(key) for key in keys)})"
    [found] = ask(f"SELECT approx_count_distinct({hashed}) AS n FROM ({flow.text})")["n"].to_pylist()
    return float(found) / max(1, flow.taken)


def counted(flow: Flow, keys: Sequence[exp.Expr]) -> Distinct:
    """The distinct keys of a sample, and what they tell of all rows."""
    import numpy as np

    asked = ", ".join(f"{spelled(key)} AS k{i}" for i, key in enumerate(keys))
    names = ", ".join(f"k{i}" for i in range(len(keys)))
    source = f"SELECT {asked}, {TASK} AS task, {PLACE} AS place FROM ({flow.text})"
    if flow.whole and flow.runs:
        each = f"SELECT {names}, count(DISTINCT task) AS tasks FROM ({source}) GROUP BY {names}"
        [row] = ask(f"SELECT count(*) AS n, coalesce(sum(tasks), 0) AS t FROM ({each})").to_pylist()
        return Distinct(exact(row["n"]), exact(int(row["t"])), flow)
    bit = "bit_or(1::UBIGINT << least({0} - 1, place * {0} // {1})::INTEGER)"  # rows outside of FILTER are shifted too
    masks = {"units": bit.format(UNITS, flow.base_taken)}
    # The units of the long run, which mostly is most of the sample, are some of all: a second mask takes a third more.
    of = UNITS * flow.first_run // flow.base_taken
    if 2 * of < UNITS:
        masks["first"] = f"{bit.format(UNITS, flow.first_run)} FILTER (WHERE task = 0)"
    made = ", ".join(f"coalesce({mask}, 0)::UBIGINT AS {name}" for name, mask in masks.items())
    found = ask(f"SELECT *, count(*) AS n FROM (SELECT {made} FROM ({source}) GROUP BY {names}) GROUP BY ALL")
    units, keys_of = found["units"].to_numpy(), found["n"].to_numpy()
    everywhere = _times(units, keys_of, UNITS)
    if "first" in masks:
        first, rows, of = _times(found["first"].to_numpy(), keys_of, UNITS), flow.first_run / UNITS, UNITS
    else:
        first, rows = _times(units & np.uint64((1 << of) - 1), keys_of, of), flow.base_taken / UNITS
    seen, times = sum(everywhere.values()), flow.base / flow.base_taken
    total = exact(seen) if flow.whole else _told(grown(everywhere, UNITS * times), seen, times, flow.total)
    if flow.runs:
        in_tasks, times = flow.tasks * grown(first, max(0.02, flow.reach * flow.first_run / rows), of=of), flow.reach
    else:
        in_tasks = _spread(total.mid or 0.0, flow.total.mid or 0.0, flow.tasks)
    most = flow.total.mid if flow.total.mid is not None else in_tasks
    each_task = _told(min(in_tasks, max(most, 1.0)), 0, max(1.0, times), flow.total)
    return Distinct(total, each_task, flow, sum(first.values()))


def _times(masks: Masks, keys: Counts, of: int) -> dict[int, int]:
    """How many keys come 1, 2, … times in so many units, by masks of the units that they are in.

    What stands together is one time: in a log, the clicks of a visit. What is in many units is everywhere.
    """
    import numpy as np

    masks, keys = masks[masks > 0], keys[masks > 0]
    every, before = np.bitwise_count(masks), np.zeros_like(masks)
    far, reach = masks >> np.uint64(NEAR) >= (masks & (~masks + np.uint64(1))), 0
    for gap in GAPS:
        while reach < gap:
            reach += 1
            before |= masks >> np.uint64(reach)
        times = np.where(every > SPARSE, every, np.bitwise_count(masks & ~before))
        near, apart = (int(keys[(times == 2) & where].sum()) for where in (~far, far))
        if not stand_together(near, apart, gap, of=of):
            break
    return {each: int(number) for each, number in enumerate(np.bincount(times, keys)) if number}


def in_files(flows: Flows, node: Node, keys: Sequence[exp.Expr]) -> float | None:
    """How many distinct keys there would be if no filter stood before."""
    if len(keys) != 1 or not isinstance(keys[0], exp.Column):
        return None
    found = origin(node, keys[0].name)
    return None if found is None or found[0] is node else flows.distinct(found[0], (column(found[1]),)).total.mid


def _spread(keys: float, rows: float, tasks: float) -> float:
    """Keys whose rows went to tasks by other keys, counted in each task that they came to."""
    if not keys:
        return 0.0
    return tasks * keys * float(-math.expm1(rows / keys * math.log1p(-min(1 / tasks, 1 - 1e-9))))


def _told(mid: float, least: float, times: float, rows: Figure) -> Figure:
    """A number of keys told for so many times the sample, which is the less certain the more that is."""
    if mid <= 0:
        return Figure(least, mid, mid, "sample")
    doubt = 0.02 + 0.04 * max(0.0, math.log2(max(1.0, times)))
    most = rows.high if rows.high is not None else mid * (1 + doubt)
    return Figure(max(least, mid * (1 - doubt)), mid, min(most, mid * (1 + doubt)) if most >= mid else mid, "sample")
