"""A Spark on paper: an engine that plans whatever is asked of it, as Spark would, and runs nothing.

A table remembers the call that made it (`made.py`). Made again on paper, of tables on paper, by the same functions and
in Spark's dialect, it is a tree. Where a pattern looks at rows first to choose its plan, it is shown a sample.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn, Self

import sqlglot
from sqlglot import exp

from penstock import sql
from penstock.engines.asking import ask, embedded
from penstock.engines.engine import Engine, Size, using
from penstock.engines.files import LOGS, resolve
from penstock.engines.notes import inherit
from penstock.engines.through_arrow import parquet_files
from penstock.errors import UsageError
from penstock.forecasts.cluster import Cluster
from penstock.forecasts.forecast import Forecast
from penstock.forecasts.sources import Source, as_parquet, identity
from penstock.made import Made, calling, current, made_by
from penstock.optimising.exchanges import placed
from penstock.optimising.optimise import optimised
from penstock.queries.catalyst import read_plan
from penstock.queries.read import Relation, UnreadableError, read
from penstock.tables import engine_of, is_table
from penstock.trees.sizes import size_of
from penstock.trees.tree import Columns, Exchange, Label, Node, Scan, attribute, labelled, walk

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Paper", "PaperTable"]

#: What DuckDB calls reading what is in memory.
_IN_MEMORY = re.compile(
    r"ARROW_SCAN|PANDAS_SCAN|SEQ_SCAN|PROJECTION|COLUMN_DATA_SCAN|DUMMY_SCAN|TABLE_SCAN", re.IGNORECASE
)
SAMPLE = 300_000


class PaperTable:
    """A table that is only planned."""

    def __init__(self, engine: Paper, relation: Relation) -> None:
        self.engine, self.relation = engine, relation

    def __repr__(self) -> str:
        return f"PaperTable({', '.join(name for name, _ in self.relation.names)})"


class Paper:
    """The engine: what it needs of `engines.engine.Engine` for patterns to work on it."""

    name = "spark"
    shows_samples = True

    def __init__(self, cluster: Cluster, settings: Engine | None = None) -> None:
        self.cluster = cluster
        self.settings = settings
        """The real Spark, if the plan is for tables of one: it is asked for its settings."""
        self.forecast = Forecast(cluster)
        self._again: dict[int, tuple[Any, PaperTable]] = {}
        self.step = ""
        """Of a job, whose function is at work."""

    # -- tables made again --------------------------------------------------------------------------------------------

    def again(self, table: Any) -> PaperTable:
        """A table of either engine on paper."""
        if isinstance(table, PaperTable):
            return table
        if id(table) not in self._again:
            made = made_by(table)
            found = self._without_a_call(table) if made is None else self._called(table, made)
            self._again[id(table)] = (table, found)
        return self._again[id(table)][1]

    def _called(self, table: Any, made: Made) -> PaperTable:
        if made.function is None:
            with calling(made.name, made.place):
                if made.name == "adopt":
                    return self.adopt(*made.arguments)
                return self.read(*made.arguments, **made.options, columns=engine_of(table).columns(table))

        def given(value: Any) -> Any:
            return self.again(value) if is_table(value) else value

        arguments = [given(value) for value in made.arguments]
        options = {name: given(value) for name, value in made.options.items()}
        with calling(made.name, made.place), using(self):  # type: ignore[arg-type]
            result = made.function(*arguments, **options)
        found: PaperTable = result.marked if type(result).__name__ == "Checked" else result
        return found

    def _without_a_call(self, table: Any) -> PaperTable:
        """A table that was made without us: rows in memory, or a statement of the engine's own."""
        engine = engine_of(table)
        if engine.name != "duckdb":
            from penstock.engines.spark_plans import uncut  # PySpark is an extra

            with calling("query", ""):
                plan = read_plan(uncut(table, "extended"), lambda paths, kind: self.read(paths, kind).relation)
                return self.table(plan)
        statement = engine.statement(table)
        if all(_IN_MEMORY.search(node.name) for node in engine.operators(table).walk()):
            rows = engine.batches(engine.query(f"SELECT * FROM t LIMIT {SAMPLE}", {"t": table})).read_all()
            found = self.adopt(rows)
            if rows.num_rows == SAMPLE and isinstance(found.relation.node, Scan):  # else these are all
                source = replace(found.relation.node.source, rows=_counted(engine, table))
                found.relation = found.relation._replace(node=found.relation.node._replace(source=source))
            return found
        tree = sqlglot.parse_one(statement, read="duckdb")
        tables: dict[str, PaperTable] = {}
        for call in list(tree.find_all(exp.ReadParquet)):
            first = call.expressions[0]
            paths = [each.name for each in (first.expressions if isinstance(first, exp.Array) else [first])]
            name = f"files {len(tables)}"
            tables[name] = self.read(paths, "parquet")
            call.replace(exp.to_identifier(name, quoted=True))
        types = {name: self.columns(each) for name, each in tables.items()}
        with calling("query", ""):
            return self.query(sql.spell_query(tree.sql("duckdb"), "spark", types, refusing=False), tables)

    def table(self, relation: Relation) -> PaperTable:
        """A tree as a table, labelled with the call that it comes from."""
        call = current()
        label = Label(call.name if call else "", call.place if call else "", self.step)
        return PaperTable(self, relation._replace(node=labelled(relation.node, label)))

    # -- the verbs of an engine ---------------------------------------------------------------------------------------

    def columns(self, table: PaperTable) -> Columns:
        return table.relation.typed()

    def adopt(self, data: pa.Table) -> PaperTable:
        rows = embedded().adopt(data)
        return self._scan(
            Source("rows in memory", _as_spark(embedded().columns(rows)), data.nbytes, table=rows, rows=data.num_rows)
        )

    def read(
        self, path: Any, format: str | None = None, *, columns: Columns | None = None, **options: Any
    ) -> PaperTable:
        """Files; their columns are asked of the embedded engine where they are not known."""
        found = resolve(path, format)
        known = _as_spark(columns or embedded().columns(embedded().read(path, format, **options)))
        paths = tuple(found.paths)
        source = Source(_called_so(paths), known, None, found.format, paths, found.hive, options)
        if files := parquet_files(found, options):
            source = as_parquet(source, files) or source
        if source.format not in LOGS:
            source = replace(source, bytes=sum(identity(each)[1] for each in source.paths))
        return self._scan(source)

    def query(self, statement: str, tables: Mapping[str, PaperTable]) -> PaperTable:
        found = self.table(read(statement, {name: table.relation for name, table in tables.items()}))
        return inherit(found, tables.values())

    def materialize(self, table: PaperTable) -> PaperTable:
        return table

    def batches(self, table: PaperTable) -> pa.RecordBatchReader:
        """The rows of a sample: what a pattern sees that looks first."""
        relation = table.relation
        flow = self.forecast.flows.of(optimised(relation.node))
        if flow is None:
            raise UnreadableError("a look at rows of which no sample can be taken")
        named = ", ".join(
            f"CAST({sql.quote(place)} AS {'BIGINT' if kind == 'HUGEINT' else kind}) AS {sql.quote(name)}"
            for (name, place), kind in zip(relation.names, relation.typed().values(), strict=True)
        )
        return ask(f"SELECT {named} FROM ({flow.text})").to_reader()

    def statement(self, _: PaperTable) -> str:
        return ""

    def is_narrow(self, table: PaperTable) -> bool:
        return not any(isinstance(node, Exchange) for node in walk(self.placed(table)))

    def size(self, table: PaperTable) -> Size:
        return Size(bytes=size_of(optimised(table.relation.node)))

    def setting(self, name: str) -> str | None:
        if self.settings is not None:
            return self.settings.setting(name)
        return {"spark.sql.shuffle.partitions": str(self.cluster.reducers)}.get(name)

    def memory(self) -> int | None:
        return None

    def write_files(self, *_: Any, **__: Any) -> NoReturn:
        raise UsageError("a plan writes nothing", "")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    # -- trees --------------------------------------------------------------------------------------------------------

    def placed(self, table: PaperTable) -> Node:
        """The tree of a table as Spark would plan it."""
        return placed(optimised(table.relation.node), self.cluster.broadcast)

    def kept(self, table: PaperTable, node: Node, name: str) -> PaperTable:
        """A table whose rows, those of `node`, are written down first: what is above reads files, however they lie."""
        places = dict(table.relation.names)
        written = self.forecast.written(node).mid
        source = Source(name, self.columns(table), None if written is None else int(written), kept=(node, places))
        return self._scan(source)

    def _scan(self, source: Source) -> PaperTable:
        names = {attribute(name): name for name in source.columns}
        columns = {place: source.columns[name] for place, name in names.items()}
        return self.table(Relation(Scan(source, names, columns), tuple((name, place) for place, name in names.items())))


def _counted(engine: Engine, table: Any) -> int | None:
    """How many rows a relation in memory has; None where DuckDB filters it, since it guesses at what that leaves."""
    filtered = any(node.info.get("Filters") for node in engine.operators(table).walk())
    return None if filtered else engine.size(table).rows


#: Spark's integers have signs, so that it takes wider ones for those that have none.
_SIGNED = {"UTINYINT": "SMALLINT", "USMALLINT": "INTEGER", "UINTEGER": "BIGINT", "UBIGINT": "DECIMAL(20,0)"}


def _as_spark(columns: Columns) -> Columns:
    return {name: _SIGNED.get(kind, kind) for name, kind in columns.items()}


def _called_so(paths: Sequence[str]) -> str:
    """The file, or the folder that all files lie in, as far as it is no partition."""
    if len(paths) == 1:
        return paths[0].rpartition("/")[2]
    folders = [part for part in paths[0].split("/")[:-1] if "=" not in part]
    return f"{folders[-1] if folders else '.'}/"
