"""What goes through each operator of a tree: samples of the files, sent through it on the embedded engine."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import sqlglot
from sqlglot import exp

from penstock import sql
from penstock.engines.asking import ask, keep, let_go
from penstock.errors import PenstockError
from penstock.figures import UNKNOWN, Figure, exact
from penstock.figures import total as total_of
from penstock.forecasts.cluster import Cluster
from penstock.forecasts.flow import HIDDEN, PLACE, TASK, Flow, part_of
from penstock.forecasts.joined import joined
from penstock.forecasts.keys import Distinct, counted, share_of
from penstock.forecasts.parquet_samples import THICK
from penstock.forecasts.sampled import sampled
from penstock.forecasts.scans import Condition, conditions_of, kept_paths
from penstock.trees.lineage import is_presence
from penstock.trees.spelled import spelled
from penstock.trees.tree import (
    Aggregate,
    Exchange,
    Explode,
    Filter,
    Join,
    Limit,
    Node,
    Project,
    Scan,
    Shuffle,
    Sort,
    Union,
    Values,
    Window,
    references,
    walk,
)

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["THIN", "Flows"]

#: Rows of a sample, at least and at most.
THIN, NARROW = 40_000, 300_000
#: Where rows have to meet before keys are counted: sending a million through windows takes seconds.
DEEP, _DEAR = 300_000, (Window, Join, Explode)
#: Of a sample that has many columns, fewer rows.
CELLS = 1_500_000
#: With a smaller share of distinct keys than this, a thin sample has seen them all.
FEW = 0.02


class Flows:
    """What is known of the operators of a tree, each looked at once."""

    def __init__(self, cluster: Cluster, moved: Callable[[Exchange], Figure]) -> None:
        self.cluster, self.moved = cluster, moved
        self._known: dict[tuple[int, int], Flow | None] = {}
        self._kept: list[Node] = []  # so that no other node gets the number of one that is known
        self._names: dict[int, str] = {}
        self._answers: dict[str, pa.Table] = {}
        weakref.finalize(self, lambda names: let_go(names.values()), self._names)
        self._distinct: dict[tuple[int, tuple[str, ...]], Distinct] = {}
        self._looked: dict[Any, tuple[tuple[str, ...], int]] = {}

    def of(self, node: Node, wanted: int = THIN) -> Flow | None:
        """The flow out of a node; None where nothing is known of its rows."""
        key = (id(node), wanted)
        if key not in self._known:
            self._kept.append(node)
            try:
                self._known[key] = self._flow(node, wanted)
            except (PenstockError, sqlglot.errors.SqlglotError):
                self._known[key] = None
        return self._known[key]

    @property
    def looked(self) -> tuple[int, int]:
        """How many files samples were taken of, and how many rows they have together."""
        return len({path for paths, _ in self._looked.values() for path in paths}), sum(
            n for _, n in self._looked.values()
        )

    def rows(self, node: Node) -> Figure:
        """How many rows leave a node."""
        found = self.of(node)
        return UNKNOWN if found is None else found.total

    def _keep(self, rows: pa.Table) -> str:
        """Rows that questions are asked about as long as this is there; the same rows under the same name."""
        if id(rows) not in self._names:
            self._names[id(rows)] = keep(rows)
        return self._names[id(rows)]

    # -- operators ----------------------------------------------------------------------------------------------------

    def _flow(self, node: Node, wanted: int) -> Flow | None:
        if isinstance(node, Scan):
            return self._scan(node, (), wanted)
        if isinstance(node, Values):
            return self._values(node, wanted)
        if isinstance(node, Union):
            return self._union(node, wanted)
        if isinstance(node, Join):
            left, right = self.of(node.left, wanted), self.of(node.right, wanted)
            return None if left is None or right is None else joined(self, node, left, right)
        if isinstance(node, Filter):
            return self._filter(node, wanted)
        below = self.of(node.children[0], wanted)
        if below is None:
            return None
        if isinstance(node, Exchange):
            return self._crossed(node, below)
        if isinstance(node, Aggregate):
            return self._aggregate(node, below)
        if isinstance(node, Limit):
            return self._limit(node, below)
        if isinstance(node, (Sort, Shuffle)):
            return below
        if isinstance(node, Project):
            made = _listed(node.made)
            return below._replace(text=f"SELECT {made}, {HIDDEN} FROM ({below.text})")
        if isinstance(node, Window):
            return below._replace(text=f"SELECT *, {_listed(node.made)} FROM ({below.text})")
        return self._explode(node, below)

    def _scan(self, scan: Scan, filters: Sequence[exp.Expr], wanted: int) -> Flow | None:
        source = scan.source
        renamed = {name: scan.names[name] for name in scan.columns}
        if source.kept is not None:
            return self._read_again(scan, filters, wanted)
        if wanted == THIN:
            wanted = max(THIN, min(NARROW, CELLS // max(1, len(renamed))))
        paths = kept_paths(source, filters, scan.names)
        conditions: list[Condition] = conditions_of(filters, scan.names)
        found = sampled(source, paths, sorted(set(renamed.values())), conditions, self.cluster, wanted)
        if found is None:
            return None
        self._looked[source, tuple(sorted(renamed.values())), wanted] = (source.paths, found.taken)
        columns = "".join(f"{sql.quote(name)} AS {sql.quote(place)}, " for place, name in renamed.items())
        total = found.total
        base = total.mid if total.mid is not None else found.taken
        return Flow(
            f"SELECT {columns}{HIDDEN} FROM {self._keep(found.rows)}", found.taken, total, found.tasks,
            base, found.taken, True, found.whole, found.first_run,
        )  # fmt: skip

    def _read_again(self, scan: Scan, filters: Sequence[exp.Expr], wanted: int) -> Flow | None:
        """Rows that a stage of the job wrote: as many map tasks as the files are large."""
        node, places = scan.source.kept
        below = self.of(node, wanted)
        if below is None:
            return None
        columns = "".join(f"{sql.quote(places[scan.names[name]])} AS {sql.quote(name)}, " for name in scan.columns)
        size = scan.source.bytes or 0
        tasks = max(
            1, math.ceil(size / min(self.cluster.split, max(self.cluster.open_cost, size / self.cluster.cores)))
        )
        return below._replace(text=f"SELECT {columns}{HIDDEN} FROM ({below.text})", runs=False, tasks=tasks)

    def _values(self, node: Values, wanted: int) -> Flow:
        taken = min(wanted, node.rows if node.rows is not None else wanted)
        columns = "".join(f"{sql.quote(name)}, " for name in node.columns)
        text = f"SELECT {columns}0 AS {TASK}, row_number() OVER () - 1 AS {PLACE} FROM {node.text} LIMIT {taken}"
        total = exact(node.rows) if node.rows is not None else UNKNOWN
        return Flow(text, taken, total, self.cluster.cores, node.rows or taken, taken, True, taken == node.rows, taken)

    def _filter(self, node: Filter, wanted: int) -> Flow | None:
        # Conditions prune the files themselves where they stand right above them.
        if isinstance(node.child, Scan):
            below = self._scan(node.child, node.conditions, wanted)
        else:
            below = self.of(node.child, wanted)
        if below is None:
            return None
        where = " AND ".join(f"({self._condition(condition, node)})" for condition in node.conditions)
        if all(map(is_presence, node.conditions)):  # mostly all are there, and copying them takes longer than a look
            [there] = ask(f"SELECT count(*) AS n FROM ({below.text}) WHERE {where}")["n"].to_pylist()
            if there == below.taken:
                return below
        return self._thinned(below._replace(text=f"SELECT * FROM ({below.text}) WHERE {where}"))

    def _condition(self, condition: exp.Expr, node: Filter) -> str:
        """A condition as text, with the values of queries within it."""
        text = spelled(condition)
        for name, inner in node.beside.items():
            if name in references(condition) and (value := self.of(inner.node)) is not None:
                first = next(iter(inner.node.columns))
                text = text.replace(sql.quote(name), f"(SELECT {sql.quote(first)} FROM ({value.text}) LIMIT 1)")
        return text

    def held(self, flow: Flow) -> Flow:
        """The same rows in memory: what is above may ask for them more than once."""
        if flow.text not in self._answers:  # a thicker sample of what is small is the same one
            self._answers[flow.text] = ask(flow.text)
        rows = self._answers[flow.text]
        return flow._replace(text=f"SELECT * FROM {self._keep(rows)}", taken=rows.num_rows)

    def _thinned(self, flow: Flow) -> Flow:
        """A flow of fewer rows."""
        found = self.held(flow)
        return found._replace(total=part_of(flow.total, found.taken, flow.taken, flow.whole))

    def _explode(self, node: Explode, below: Flow) -> Flow:
        kept = "".join(f"{sql.quote(name)}, " for name in node.columns if name not in node.made)
        listed = spelled(node.generator.this)
        if isinstance(node.generator, exp.Inline):
            fields = ", ".join(f"e.{sql.quote(name.rpartition('#')[0])} AS {sql.quote(name)}" for name in node.made)
            inner = f"SELECT *, unnest({listed}) AS e FROM ({below.text})"
            text = f"SELECT {kept}{fields}, {HIDDEN} FROM ({inner})"
        elif isinstance(node.generator, exp.Posexplode):
            place, value = map(sql.quote, node.made)
            text = f"SELECT {kept}unnest(range(len({listed}))) AS {place}, unnest({listed}) AS {value}, {HIDDEN} "
            text += f"FROM ({below.text})"
        else:
            text = f"SELECT {kept}unnest({listed}) AS {sql.quote(node.made[0])}, {HIDDEN} FROM ({below.text})"
        return self._thinned(below._replace(text=text))

    def _limit(self, node: Limit, below: Flow) -> Flow:
        order = ""
        if isinstance(node.child, Sort):
            order = f" ORDER BY {', '.join(spelled(term) for term in node.child.order)}"
        total = below.total
        most = [None if each is None else min(each, node.n) for each in (total.low, total.mid, total.high)]
        high = node.n if most[2] is None else most[2]
        limited = Figure(most[0], most[1], high, "exact" if most[0] == node.n else total.basis)
        text = f"SELECT * FROM ({below.text}){order} LIMIT {node.n}"
        return below._replace(text=text, total=limited, taken=min(below.taken, node.n), whole=False)

    def _aggregate(self, node: Aggregate, below: Flow) -> Flow:
        keys = [f"{spelled(each)} AS {sql.quote(name)}" for name, each in node.keys.items()]
        made = [f"{spelled(each)} AS {sql.quote(name)}" for name, each in node.made.items()]
        grouping = f" GROUP BY {', '.join(spelled(each) for each in node.keys.values())}" if node.keys else ""
        columns = ", ".join([*keys, *made, f"min({PLACE}) AS first"])
        grouped = f"SELECT {columns} FROM ({below.text}){grouping} ORDER BY first"
        text = f"SELECT * EXCLUDE (first), 0 AS {TASK}, row_number() OVER () - 1 AS {PLACE} FROM ({grouped})"
        groups = self.held(Flow(text, 0, exact(1), 1, 1, 1, False, below.whole, 1))
        if not node.keys:
            return groups
        lowest = node.child
        while isinstance(lowest, Exchange):
            lowest = lowest.child
        total = self.distinct(lowest, tuple(node.keys.values())).total
        base = total.mid if total.mid is not None else groups.taken
        return groups._replace(
            total=total, tasks=below.tasks, base=base, base_taken=max(1, groups.taken), first_run=max(1, groups.taken)
        )

    def _union(self, node: Union, wanted: int) -> Flow | None:
        """Of branches that are sampled more thickly, fewer rows; places go on from branch to branch.

        Branches of one sample share its places: they are its rows, asked in several ways.
        """
        found = [self.of(branch, wanted) for branch in node.branches]
        flows = [flow for flow in found if flow is not None]
        if not flows or len(flows) < len(found):
            return None
        shares = [flow.taken / flow.total.mid if flow.total.mid else 1.0 for flow in flows]
        least = min(shares)
        columns = sql.quoted(node.columns)
        alike = len({tuple(each.source for each in walk(branch) if isinstance(each, Scan)) for branch in node.branches})
        texts, places = [], 0
        for flow, share in zip(flows, shares, strict=True):
            begin = 0 if alike == 1 else places
            some = f" WHERE hash({PLACE}) % 10000 < {round(10_000 * least / share)}" if share > least else ""
            texts.append(f"SELECT {columns}, 0 AS {TASK}, {PLACE} + {begin} AS {PLACE} FROM ({flow.text}){some}")
            places = max(places, begin + flow.base_taken)
        total, whole = total_of(flow.total for flow in flows), all(flow.whole for flow in flows)
        tasks = sum(flow.tasks for flow in flows)
        held = self.held(Flow(" UNION ALL ".join(texts), 0, total, tasks, places, places, False, whole, places))
        return held._replace(base=places * (total.mid or held.taken) / max(1, held.taken))

    def _crossed(self, node: Exchange, below: Flow) -> Flow:
        """The same rows; where they were brought together, they lie in other partitions, in no order."""
        if node.kind == "broadcast":
            return below
        return below._replace(runs=False, tasks=self.tasks_after(node))

    def tasks_after(self, node: Exchange) -> float:
        """How many tasks read what crossed: adaptive execution puts small partitions together."""
        if node.kind == "single":
            return 1
        moved = self.moved(node).mid
        if not self.cluster.adaptive or moved is None or isinstance(node.why, Shuffle):
            return self.cluster.reducers
        target = max(min(self.cluster.advised, moved / self.cluster.cores), 1 << 20)
        return max(1.0, min(float(self.cluster.reducers), math.ceil(moved / target)))

    # -- keys ---------------------------------------------------------------------------------------------------------

    def distinct(self, node: Node, keys: tuple[exp.Expr, ...]) -> Distinct:
        """How many distinct keys there are among the rows of a node."""
        known = id(node), tuple(key.sql() for key in keys)
        if known not in self._distinct:
            self._kept.append(node)
            try:
                self._distinct[known] = self._keys(node, keys)
            except (PenstockError, sqlglot.errors.SqlglotError):
                self._distinct[known] = Distinct()
        return self._distinct[known]

    def _keys(self, node: Node, keys: tuple[exp.Expr, ...]) -> Distinct:
        flow = self.of(node)
        if flow is None:
            return Distinct()
        if not keys:
            return Distinct(exact(1), exact(flow.tasks), flow, 1)
        if not flow.whole and share_of(flow, keys) > FEW:
            flow = self.of(node, DEEP if any(isinstance(each, _DEAR) for each in walk(node)) else THICK) or flow
        return counted(flow, keys)


def _listed(made: Mapping[str, exp.Expr]) -> str:
    return ", ".join(f"{spelled(each)} AS {sql.quote(name)}" for name, each in made.items()) or "1 AS one"
