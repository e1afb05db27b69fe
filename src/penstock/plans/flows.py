"""What goes through each operator of a tree: samples of the files, sent through it on the embedded engine.

A join of two samples would meet hardly anything. So unless one side is there whole, each row of the larger side is given
one row of the other's sample, the same to all rows of its key, with the chance that its key is there at all. Numbers of
rows go by the usual assumption that keys of the smaller side are among those of the larger.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import sqlglot
from sqlglot import exp

from penstock import sql
from penstock.errors import PenstockError
from penstock.plans.cluster import Cluster
from penstock.plans.figures import UNKNOWN, Figure, exact
from penstock.plans.figures import total as total_of
from penstock.plans.growth import UNITS, grown
from penstock.plans.sampled import ROW, RUN, sampled
from penstock.plans.scans import Condition, conditions_of, kept_paths
from penstock.plans.spelled import embedded, spelled
from penstock.plans.tree import (
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
    both,
    references,
)

__all__ = ["THIN", "Distinct", "Flow", "Flows"]

#: Rows of a sample, at least and at most; and of one that has to tell how many keys there are.
THIN, NARROW, THICK = 40_000, 300_000, 1_000_000
#: Of a sample that has many columns, fewer rows.
CELLS = 1_500_000
#: With a smaller share of distinct keys than this, a thin sample has seen them all.
FEW = 0.02


class Flow(NamedTuple):
    """A sample of the rows that leave an operator, and how many there are in all."""

    text: str
    """A SELECT of the columns, RUN and ROW, over `tables`."""
    tables: Mapping[str, Any]
    taken: int
    total: Figure
    tasks: float
    """In how many partitions they lie."""
    base: float
    """The rows of the files that the sample stands for, and how many of the files' rows it was taken from: before any
    filter, since runs are of rows as they lie in the files."""
    base_taken: int
    runs: bool
    """Whether rows still lie as in the files."""
    whole: bool
    """Whether these are all rows."""
    first_run: int
    """Of `base_taken`, those of the long run."""

    @property
    def reach(self) -> float:
        """How many times the rows of the long run a task has."""
        return self.base / max(1.0, self.tasks) / self.first_run if self.runs and not self.whole else 1.0


class Distinct(NamedTuple):
    """How many distinct keys there are: in all, and in each partition, all added up."""

    total: Figure
    in_tasks: Figure
    flow: Flow | None = None
    """The sample that they were counted in."""


class Flows:
    """What is known of the operators of a tree, each looked at once."""

    def __init__(self, cluster: Cluster, moved: Callable[[Exchange], Figure]) -> None:
        self.cluster, self.moved = cluster, moved
        self.engine = embedded()
        self._known: dict[tuple[int, int], Flow | None] = {}
        self._kept: list[Node] = []  # so that no other node gets the number of one that is known
        self._names = itertools.count()
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

    def query(self, text: str, flow: Flow) -> Any:
        """Rows of a query over a flow, as Arrow."""
        return self.engine.batches(self.engine.query(text, flow.tables)).read_all()

    # -- operators ----------------------------------------------------------------------------------------------------

    def _flow(self, node: Node, wanted: int) -> Flow | None:
        if isinstance(node, Scan):
            return self._scan(node, (), wanted)
        if isinstance(node, Values):
            return self._values(node, wanted)
        if isinstance(node, Union):
            return self._union(node, wanted)
        if isinstance(node, Join):
            return self._join(node, wanted)
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
            return below._replace(text=f"SELECT {made}{_HIDDEN} FROM ({below.text})")
        if isinstance(node, Window):
            own = {name: each for name, each in node.made.items()}
            return below._replace(text=f"SELECT *, {_listed(own, comma=False)} FROM ({below.text})")
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
        table = f"s{next(self._names)}"
        columns = "".join(f"{sql.quote(name)} AS {sql.quote(place)}, " for place, name in renamed.items())
        total = found.total
        base = total.mid if total.mid is not None else found.taken
        return Flow(
            f"SELECT {columns}{_HIDDEN_ONLY} FROM {table}", {table: found.rows}, found.taken, total, found.tasks,
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
        return below._replace(text=f"SELECT {columns}{_HIDDEN_ONLY} FROM ({below.text})", runs=False, tasks=tasks)

    def _values(self, node: Values, wanted: int) -> Flow:
        taken = min(wanted, node.rows if node.rows is not None else wanted)
        columns = "".join(f"{sql.quote(name)}, " for name in node.columns)
        text = f"SELECT {columns}0 AS {_RUN}, row_number() OVER () - 1 AS {_ROW} FROM {node.text} LIMIT {taken}"
        total = exact(node.rows) if node.rows is not None else UNKNOWN
        return Flow(
            text, {}, taken, total, self.cluster.cores, node.rows or taken, taken, True, taken == node.rows, taken
        )

    def _filter(self, node: Filter, wanted: int) -> Flow | None:
        # Conditions prune the files themselves where they stand right above them.
        if isinstance(node.child, Scan):
            below = self._scan(node.child, node.conditions, wanted)
        else:
            below = self.of(node.child, wanted)
        if below is None:
            return None
        asked = [self._condition(condition, node, below) for condition in node.conditions]
        tables = {name: table for _, more in asked for name, table in more.items()} | dict(below.tables)
        where = " AND ".join(f"({text})" for text, _ in asked)
        return self._thinned(below._replace(text=f"SELECT * FROM ({below.text}) WHERE {where}", tables=tables))

    def _condition(self, condition: exp.Expr, node: Filter, below: Flow) -> tuple[str, Mapping[str, Any]]:
        """A condition as text, with the values of queries within it."""
        text, tables = spelled(condition), {}
        for name, inner in node.beside.items():
            if name in references(condition) and (value := self.of(inner.node)) is not None:
                first = next(iter(inner.node.columns))
                text = text.replace(sql.quote(name), f"(SELECT {sql.quote(first)} FROM ({value.text}) LIMIT 1)")
                tables.update(value.tables)
        return text, tables

    def _held(self, flow: Flow) -> Flow:
        """The same rows in memory: what is above may ask for them more than once."""
        rows = self.query(flow.text, flow)
        table = f"s{next(self._names)}"
        tables = {table: self.engine.adopt(rows)}
        return flow._replace(text=f"SELECT * FROM {table}", tables=tables, taken=rows.num_rows)

    def _thinned(self, flow: Flow) -> Flow:
        """A flow of fewer rows."""
        found = self._held(flow)
        return found._replace(total=_part(flow.total, found.taken, flow.taken, flow.whole))

    def _explode(self, node: Explode, below: Flow) -> Flow:
        kept = "".join(f"{sql.quote(name)}, " for name in node.columns if name not in node.made)
        listed = spelled(node.generator.this)
        if isinstance(node.generator, exp.Inline):
            fields = ", ".join(f"e.{sql.quote(name.rpartition('#')[0])} AS {sql.quote(name)}" for name in node.made)
            inner = f"SELECT *, unnest({listed}) AS e FROM ({below.text})"
            text = f"SELECT {kept}{fields}, {_HIDDEN_ONLY} FROM ({inner})"
        elif isinstance(node.generator, exp.Posexplode):
            place, value = map(sql.quote, node.made)
            text = f"SELECT {kept}unnest(range(len({listed}))) AS {place}, unnest({listed}) AS {value}, {_HIDDEN_ONLY} "
            text += f"FROM ({below.text})"
        else:
            text = f"SELECT {kept}unnest({listed}) AS {sql.quote(node.made[0])}, {_HIDDEN_ONLY} FROM ({below.text})"
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
        columns = ", ".join([*keys, *made, f"min({_ROW}) AS first"])
        grouped = f"SELECT {columns} FROM ({below.text}){grouping} ORDER BY first"
        text = f"SELECT * EXCLUDE (first), 0 AS {_RUN}, row_number() OVER () - 1 AS {_ROW} FROM ({grouped})"
        groups = self._held(Flow(text, below.tables, 0, exact(1), 1, 1, 1, False, below.whole, 1))
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
        """Of branches that are sampled more thickly, fewer rows."""
        found = [self.of(branch, wanted) for branch in node.branches]
        flows = [flow for flow in found if flow is not None]
        if not flows or len(flows) < len(found):
            return None
        shares = [flow.taken / flow.total.mid if flow.total.mid else 1.0 for flow in flows]
        least = min(shares)
        columns = sql.quoted(node.columns)
        texts = [
            f"SELECT {columns}, {_RUN}, {_ROW} FROM ({flow.text})"
            + (f" WHERE hash({_ROW}) % 10000 < {round(10_000 * least / share)}" if share > least else "")
            for flow, share in zip(flows, shares, strict=True)
        ]
        tables = {name: table for flow in flows for name, table in flow.tables.items()}
        text = f"SELECT {columns}, 0 AS {_RUN}, row_number() OVER () - 1 AS {_ROW} FROM ({' UNION ALL '.join(texts)})"
        total = total_of(flow.total for flow in flows)
        tasks = sum(flow.tasks for flow in flows)
        found = self._held(Flow(text, tables, 0, total, tasks, 1, 1, False, all(flow.whole for flow in flows), 1))
        taken = max(1, found.taken)
        return found._replace(base=total.mid or taken, base_taken=taken, first_run=taken)

    def _crossed(self, node: Exchange, below: Flow) -> Flow:
        """The same rows; where they were brought together, they lie in other partitions, in no order."""
        if node.kind == "broadcast":
            return below
        return below._replace(runs=False, tasks=self.tasks_after(node))

    def tasks_after(self, node: Exchange) -> float:
        """How many tasks read what crossed: adaptive execution puts small partitions together (CoalesceShufflePartitions)."""
        if node.kind == "single":
            return 1
        moved = self.moved(node).mid
        if not self.cluster.adaptive or moved is None or isinstance(node.why, Shuffle):
            return self.cluster.reducers
        target = max(min(self.cluster.advised, moved / self.cluster.cores), 1 << 20)
        return max(1.0, min(float(self.cluster.reducers), math.ceil(moved / target)))

    # -- joins --------------------------------------------------------------------------------------------------------

    def _join(self, node: Join, wanted: int) -> Flow | None:
        left, right = self.of(node.left, wanted), self.of(node.right, wanted)
        if left is None or right is None:
            return None
        if left.whole or right.whole or not both(node):
            return self._met(node, left, right)
        return self._supposed(node, left, right)

    def _met(self, node: Join, left: Flow, right: Flow) -> Flow | None:
        """A real join: of a sample with a side that is there whole."""
        pairs = both(node)
        if not pairs and left.taken * right.taken > 4_000_000:
            left, right = (_few(flow, 2_000) for flow in (left, right))
        main, other = (left, right) if right.whole or not left.whole else (right, left)
        how = {"cross": "CROSS", "semi": "SEMI", "anti": "ANTI"}.get(node.how, node.how.upper())
        where = " AND ".join(f"({spelled(condition)})" for condition in node.conditions) or "true"
        on = "" if how == "CROSS" else f" ON {where}"
        sides = [
            f"SELECT * {'' if flow is main else f'EXCLUDE ({_RUN}, {_ROW})'} FROM ({flow.text})"
            for flow in (left, right)
        ]
        text = f"SELECT * FROM ({sides[0]}) AS l {how} JOIN ({sides[1]}) AS r{on}"
        columns = "".join(f"{sql.quote(name)}, " for name in node.columns)
        hidden = f"coalesce({_RUN}, 0) AS {_RUN}, coalesce({_ROW}, 0) AS {_ROW}"
        if node.how in ("semi", "anti") and main is right:
            hidden = f"0 AS {_RUN}, row_number() OVER () AS {_ROW}"
        text = f"SELECT {columns}{hidden} FROM ({text})"
        tables = {**left.tables, **right.tables}
        met = self._held(main._replace(text=text, tables=tables, whole=left.whole and right.whole))
        scale = 1.0 if other.whole else (other.total.mid or other.taken) / max(1, other.taken)
        return met._replace(total=_part(main.total, met.taken * scale, main.taken, met.whole))

    def _supposed(self, node: Join, left: Flow, right: Flow) -> Flow | None:
        pairs = both(node)
        ours, theirs = [one for one, _ in pairs], [other for _, other in pairs]
        keys = self.distinct(node.left, tuple(ours)).total, self.distinct(node.right, tuple(theirs)).total
        known = [self.distinct_in_files(side, key) for side, key in ((node.left, ours), (node.right, theirs))]
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
        text = self._given(node, main, other, main_keys, other_keys, met[0 if left_leads else 1])
        found = self._held(main._replace(text=text, tables={**left.tables, **right.tables}, whole=False))
        residual = [each for each in node.conditions if not isinstance(each, (exp.EQ, exp.NullSafeEQ))]
        if residual and node.how == "inner":
            where = " AND ".join(f"({spelled(each)})" for each in residual)
            kept = self._held(found._replace(text=f"SELECT * FROM ({found.text}) WHERE {where}"))
            rows, found = rows * (kept.taken + 0.5) / (found.taken + 1), kept
        spread = 1.3 if domain > max(keys[0].mid, keys[1].mid) else 1.15
        total = Figure(rows / spread, rows, rows * spread, "sample")
        if node.how in ("semi", "anti"):
            total = total._replace(high=min(total.high or rows, left.total.high or rows * spread))
        return found._replace(total=total)

    def _given(
        self, node: Join, main: Flow, other: Flow, main_keys: Sequence[exp.Expr], other_keys: Sequence[exp.Expr],
        met: float,
    ) -> str:  # fmt: skip
        """Each row of the larger side with a row of the other's sample, or with none, as its key decides."""
        key = f"hash({', '.join(spelled(each) for each in main_keys)})"
        chance = f"{key} / 18446744073709551616.0 < {met!r}"
        columns = "".join(f"{sql.quote(name)}, " for name in node.columns)
        if node.how in ("semi", "anti"):
            negated = "NOT " if node.how == "anti" else ""
            return f"SELECT {columns}{_HIDDEN_ONLY} FROM ({main.text}) WHERE {negated}{chance}"
        equal = {
            theirs.name: spelled(ours)
            for ours, theirs in zip(main_keys, other_keys, strict=True)
            if isinstance(theirs, exp.Column)
        }
        names = [name for name in node.columns if name in _columns_of(node, other is not main, main_keys)]
        own = [name for name in node.columns if name not in names]
        shown = [f"m.{sql.quote(name)}" for name in names]
        shown += [f"{equal[name]} AS {sql.quote(name)}" if name in equal else f"o.{sql.quote(name)}" for name in own]
        numbered = f"SELECT * EXCLUDE ({_RUN}, {_ROW}), row_number() OVER () - 1 AS place FROM ({other.text})"
        place = f"hash({key}, 3) % {max(1, other.taken)}"
        kind = "" if node.how in ("inner", "right" if main is not other else "inner") else "LEFT "
        joined = (
            f"SELECT {', '.join(shown)}, m.{_RUN} AS {_RUN}, m.{_ROW} AS {_ROW} FROM ({main.text}) AS m "
            f"{kind}JOIN ({numbered}) AS o ON o.place = {place} AND {chance}"
        )
        return f"SELECT {columns}{_HIDDEN_ONLY} FROM ({joined})"

    # -- keys ---------------------------------------------------------------------------------------------------------

    def distinct(self, node: Node, keys: tuple[exp.Expr, ...]) -> Distinct:
        """How many distinct keys there are among the rows of a node."""
        flow = self.of(node)
        if flow is None:
            return Distinct(UNKNOWN, UNKNOWN)
        if not keys:
            return Distinct(exact(1), exact(flow.tasks))
        found, share = self._counted(flow, keys)
        if share > FEW and not flow.whole and (more := self.of(node, THICK)) is not None:
            flow, found = more, self._counted(more, keys)[0]
        return found._replace(flow=flow)

    def distinct_in_files(self, node: Node, keys: Sequence[exp.Expr]) -> float | None:
        """How many there would be if no filter stood before."""
        if len(keys) != 1 or not isinstance(keys[0], exp.Column):
            return None
        base = _base(node, keys[0].name)
        if base is None or base[0] is node:
            return None
        scan, name = base
        return self.distinct(scan, (exp.Column(this=exp.to_identifier(name, quoted=True)),)).total.mid

    def _counted(self, flow: Flow, keys: tuple[exp.Expr, ...]) -> tuple[Distinct, float]:
        """The distinct keys, and their share of the sample's rows."""
        asked = ", ".join(f"{spelled(key)} AS k{i}" for i, key in enumerate(keys))
        names = ", ".join(f"k{i}" for i in range(len(keys)))
        source = f"SELECT {asked}, {_RUN} AS run, {_ROW} AS place FROM ({flow.text})"
        if flow.whole and flow.runs:
            counted = f"SELECT {names}, count(DISTINCT run) AS tasks FROM ({source}) GROUP BY {names}"
            [row] = self.query(f"SELECT count(*) AS n, coalesce(sum(tasks), 0) AS t FROM ({counted})", flow).to_pylist()
            return Distinct(exact(row["n"]), exact(int(row["t"]))), 0.0
        bit = "(1::UBIGINT << (place * {0} // {1})::INTEGER)"
        units = bit.format(UNITS, flow.base_taken), bit.format(UNITS, flow.first_run)
        masks = (
            f"SELECT bit_count(bit_or({units[0]})) AS a, "
            f"bit_count(bit_or({units[1]}) FILTER (WHERE run = 0)) AS b FROM ({source}) GROUP BY {names}"
        )
        rows = self.query(f"SELECT a, b, count(*) AS n FROM ({masks}) GROUP BY ALL", flow).to_pylist()
        everywhere: dict[int, int] = {}
        first: dict[int, int] = {}
        for row in rows:
            everywhere[row["a"]] = everywhere.get(row["a"], 0) + row["n"]
            if row["b"]:
                first[row["b"]] = first.get(row["b"], 0) + row["n"]
        seen = sum(everywhere.values())
        times = flow.base / flow.base_taken
        total = exact(seen) if flow.whole else _told(grown(everywhere, UNITS * times), seen, times, flow.total)
        if flow.runs:
            reach = flow.reach
            in_tasks = flow.tasks * grown(first, max(0.02, UNITS * reach))
        else:
            reach = times
            in_tasks = _spread(total.mid or 0.0, flow.total.mid or 0.0, flow.tasks)
        most = flow.total.mid if flow.total.mid is not None else in_tasks
        each = _told(min(in_tasks, max(most, 1.0)), 0, max(1.0, reach), flow.total)
        return Distinct(total, each), seen / max(1, flow.taken)


# -- texts ------------------------------------------------------------------------------------------------------------

_RUN, _ROW = sql.quote(RUN), sql.quote(ROW)
_HIDDEN_ONLY = f"{_RUN}, {_ROW}"
_HIDDEN = f", {_HIDDEN_ONLY}"


def _listed(made: Mapping[str, exp.Expr], *, comma: bool = True) -> str:
    found = ", ".join(f"{spelled(each)} AS {sql.quote(name)}" for name, each in made.items())
    return found if found or not comma else "1 AS one"


def _few(flow: Flow, rows: int) -> Flow:
    taken = min(rows, flow.taken)
    return flow._replace(
        text=f"SELECT * FROM ({flow.text}) LIMIT {rows}", taken=taken, whole=flow.whole and taken < rows
    )


def _columns_of(node: Join, _: bool, main_keys: Sequence[exp.Expr]) -> set[str]:
    """The columns of the side that leads."""
    sides = (set(node.left.columns), set(node.right.columns))
    return sides[0] if references(*main_keys) <= sides[0] else sides[1]


def _base(node: Node, name: str) -> tuple[Node, str] | None:
    """The scan that a column comes from unchanged, and its name there."""
    while True:
        if isinstance(node, Scan):
            return (node, name) if name in node.columns else None
        if isinstance(node, Project):
            value = node.made.get(name)
            if not isinstance(value, exp.Column):
                return None
            node, name = node.child, value.name
        elif isinstance(node, Aggregate):
            value = node.keys.get(name)
            if not isinstance(value, exp.Column):
                return None
            node, name = node.child, value.name
        elif isinstance(node, Join):
            node = node.left if name in node.left.columns else node.right
        elif len(node.children) == 1 and name in node.children[0].columns:
            node = node.children[0]
        else:
            return None


# -- numbers ----------------------------------------------------------------------------------------------------------


def _part(total: Figure, kept: float, taken: float, whole: bool) -> Figure:
    """The rows that a filter leaves, with what chance may have done to a sample: two standard errors."""
    if whole:
        return exact(int(kept))
    if total.mid is None or not taken:
        return Figure(0, None, total.high, "unknown" if total.high is None else "sample")
    share = kept / taken
    error = 2 * (max(kept, 1.0) * max(0.0, 1 - min(share, 1.0))) ** 0.5 / taken + 0.02 * share
    low, high = max(0.0, share - error), share + error
    return Figure(low * (total.low or 0), share * total.mid, high * (total.high or total.mid), "sample")


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
