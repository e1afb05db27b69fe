"""The steps of a DuckDB plan."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import sqlglot
from sqlglot import exp

from penstock import sql
from penstock.engines.engine import Engine, Table
from penstock.engines.files import NULL_PARTITION, partition_of, resolve
from penstock.engines.operators import Operator
from penstock.figures import NOTHING, UNKNOWN, Figure, exact, modelled
from penstock.forecasts.scans import Condition, scanned
from penstock.forecasts.sources import Source, footer
from penstock.forecasts.steps import Step

__all__ = ["steps_of"]

_PASSES = ("PROJECTION", "QUERY", "CTE", "CTE_SCAN", "EMPTY_RESULT", "DUMMY_SCAN", "RESULT_COLLECTOR", "EXPLAIN")
_SIGNS: dict[type[exp.Expr], str] = {exp.EQ: "=", exp.GT: ">", exp.GTE: ">=", exp.LT: "<", exp.LTE: "<="}


def steps_of(engine: Engine, table: Table) -> list[Step]:
    """The steps, from what is read to what comes out."""
    statement = sqlglot.parse_one(engine.statement(table), read="duckdb")
    files = list(_files(statement))
    found: list[Step] = []
    _gather(engine, engine.operators(table), files, found)
    if statement.find(exp.Lateral):  # DuckDB makes joins of it, and guesses what comes of those
        found = [step if step.scan and step.rows.basis == "exact" else step._replace(rows=UNKNOWN) for step in found]
    return found


def _gather(engine: Engine, at: Operator, files: list[list[str]], found: list[Step]) -> None:
    for child in at.children:
        _gather(engine, child, files, found)
    if at.name == "READ_PARQUET":
        found.append(_scan(engine, at, files))
    elif at.name not in _PASSES:
        found.append(_step(at))


def _step(at: Operator) -> Step:
    rows, how = _rows(at), at.name.lower().replace("_", " ")
    if at.name.endswith("GROUP_BY") or at.name == "PARTITIONED_AGGREGATE":
        keys = _named(at.children[0], _listed(at.info.get("Groups")))
        name = "group by" if _listed(at.info.get("Aggregates")) else "distinct"
        return Step(f"{name} {', '.join(keys)}", "wide", keys, rows, UNKNOWN, how)
    if "AGGREGATE" in at.name:
        return Step("aggregate all", "wide", (), exact(1), UNKNOWN, how)
    if "JOIN" in at.name or at.name == "CROSS_PRODUCT":
        keys = tuple(_left(condition) for condition in _listed(at.info.get("Conditions")))
        how = f"{how}, {at.info.get('Join Type', 'cross').lower()}"
        return Step(f"join on {', '.join(keys)}" if keys else "cross join", "wide", keys, rows, UNKNOWN, how)
    if at.name == "WINDOW":
        keys = _partitions(_listed(at.info.get("Projections")))
        return Step(f"window by {', '.join(keys)}" if keys else "window over all", "wide", keys, rows, UNKNOWN, how)
    if at.name in ("ORDER_BY", "TOP_N"):
        terms = tuple(re.sub(r" (ASC|DESC)( NULLS \w+)?$", "", term) for term in _listed(at.info.get("Order By")))
        name = f"top {at.info.get('Top', '')} by" if at.name == "TOP_N" else "sort by"
        return Step(f"{name} {', '.join(terms)}", "wide", terms, rows, UNKNOWN, how)
    names = {"UNNEST": "explode", "STREAMING_WINDOW": "window in order", "UNION": "union", "FILTER": "filter"}
    return Step(names.get(at.name, how), "narrow", (), rows, NOTHING, how)


def _rows(at: Operator) -> Figure:
    guess = at.info.get("Estimated Cardinality")
    if "LIMIT" in at.name or at.name == "TOP_N":  # DuckDB takes them to be there all, and what is no number to be none
        most = str(at.info.get("Limit", at.info.get("Top", "")))
        return Figure(0, None, int(most), "unknown") if most.isdigit() else UNKNOWN
    counted = at.name.endswith(("ARROW_SCAN", "SEQ_SCAN", "RANGE")) and not _filters(at)
    return UNKNOWN if not guess else exact(int(guess)) if counted else modelled(int(guess))


def _filters(at: Operator) -> list[str]:
    """What a scan itself leaves rows out by; then the rows that it is said to have are a guess."""
    return [text for text in _listed(at.info.get("Filters")) if text]


# -- reading ----------------------------------------------------------------------------------------------------------


def _scan(engine: Engine, at: Operator, files: list[list[str]]) -> Step:
    """A scan of Parquet. Several in one plan are told apart by the number of files and their columns, and by order."""
    said = re.match(r"\d+/(\d+)", str(at.info.get("Scanning Files", "")))
    read = _listed(at.info.get("Projections"))
    fits = [
        number for number, paths in enumerate(files) if (not said or len(paths) == int(said[1])) and _has(paths, read)
    ]
    if not fits:
        return Step("read parquet", "narrow", (), _rows(at), NOTHING, "parquet")
    paths = files.pop(fits[0]) if len(fits) > 1 else files[fits[0]]  # of one, a plan may have several scans
    filters = _filters(at)
    kept = _kept(engine, paths, _listed(at.info.get("File Filters")))
    source = Source(_place(paths), {}, None, "parquet", tuple(paths))
    scan = scanned(source, kept, read, list(_conditions(filters)))
    rows = modelled(int(at.info["Estimated Cardinality"]), high=scan.rows) if filters else exact(scan.rows)
    return Step(f"read {_place(paths)}", "narrow", (), rows, NOTHING, "parquet", scan)


def _has(paths: Sequence[str], columns: Sequence[str]) -> bool:
    """Whether the first file has some columns, or its folders do."""
    there = {*footer(paths[0]).schema.to_arrow_schema().names, *partition_of(paths[0])}
    return there.issuperset(columns)


def _files(statement: exp.Expr) -> Iterator[list[str]]:
    """The files of every `read_parquet` that is asked for; one that is named twice is scanned twice at most."""
    for part in _asked(statement):
        for call in part.find_all(exp.ReadParquet):
            first = call.expressions[0]
            literals = first.expressions if isinstance(first, exp.Array) else [first]
            yield [literal.name for literal in literals]


def _asked(statement: exp.Expr) -> Iterator[exp.Expr]:
    """The queries under WITH that the last one is built on, in their order, and that one; others were given in vain."""
    with_ = statement.args.get("with_")
    made = {cte.alias.casefold(): cte.this for cte in with_.expressions} if with_ else {}
    body = statement.copy()
    body.set("with_", None)
    wanted, left = set[str](), [body]
    while left:
        named = {table.name.casefold() for table in left.pop().find_all(exp.Table)} & made.keys() - wanted
        wanted |= named
        left += [made[name] for name in named]
    yield from (query for name, query in made.items() if name in wanted)
    yield body


def _kept(engine: Engine, paths: Sequence[str], filters: Sequence[str]) -> list[str]:
    """The files whose folders' names pass the filters, which DuckDB itself is asked about."""
    values = [partition_of(path) for path in paths]
    if not filters or not values[0]:
        return list(paths)
    kinds = resolve(paths).hive
    texts = [["NULL" if v == NULL_PARTITION else sql.literal(v) for v in value.values()] for value in values]
    rows = ", ".join(f"({number}, {', '.join(text)})" for number, text in enumerate(texts))
    names = sql.quoted(kinds)
    typed = ", ".join(f"CAST({sql.quote(name)} AS {kind}) AS {sql.quote(name)}" for name, kind in kinds.items())
    where = " AND ".join(f"({text})" for text in filters)
    folders = f"SELECT file, {typed} FROM (VALUES {rows}) AS v(file, {names})"
    picked = engine.query(f"SELECT file FROM ({folders}) WHERE {where}", {})
    return [paths[number] for number in engine.batches(picked).read_all()["file"].to_pylist()]


def _conditions(filters: Sequence[str]) -> Iterator[Condition]:
    """The comparisons of a column with a value, of all that have to hold."""
    for text in filters:
        tree = sqlglot.parse_one(text, read="duckdb").unnest()
        for part in tree.flatten() if isinstance(tree, exp.And) else [tree]:
            comparison = part.unnest()
            if type(comparison) not in _SIGNS or not isinstance(comparison.this, exp.Column):
                continue
            value = comparison.expression.this if isinstance(comparison.expression, exp.Cast) else comparison.expression
            if isinstance(value, (exp.Literal, exp.Neg)):
                text_value = value.name if isinstance(value, exp.Literal) else f"-{value.this.name}"
                yield Condition(comparison.this.name, _SIGNS[type(comparison)], text_value)


def _place(paths: Sequence[str]) -> str:
    """The file, or the folder that all files lie in, as far as it is no partition."""
    if len(paths) == 1:
        return paths[0].rpartition("/")[2]
    folders = [part for part in paths[0].split("/")[:-1] if "=" not in part]
    return f"{folders[-1] if folders else '.'}/"


# -- names ------------------------------------------------------------------------------------------------------------


def _listed(value: Any) -> list[str]:
    return [] if value in (None, "") else [value] if isinstance(value, str) else list(value)


def _outputs(at: Operator) -> list[str]:
    """The columns that an operator gives, as far as the plan tells."""
    if at.name == "PROJECTION":
        return list(_named(at.children[0], _listed(at.info.get("Projections"))))
    if at.name.startswith("READ_") or at.name.endswith("SCAN"):
        return _listed(at.info.get("Projections"))
    if at.name.endswith("GROUP_BY"):
        return [*_named(at.children[0], _listed(at.info.get("Groups"))), *_listed(at.info.get("Aggregates"))]
    return [name for child in at.children for name in _outputs(child)]


def _named(below: Operator, names: Sequence[str]) -> tuple[str, ...]:
    """Names, where the plan has the numbers of columns below: "#0" is the first."""
    columns = _outputs(below)

    def name(text: str) -> str:
        number = int(text[1:]) if re.fullmatch(r"#\d+", text) else None
        return text if number is None or number >= len(columns) else columns[number]

    return tuple(map(name, names))


def _left(condition: str) -> str:
    return re.split(r" (?:=|IS NOT DISTINCT FROM|>=|<=|>|<|!=) ", condition)[0]


def _partitions(projections: Sequence[str]) -> tuple[str, ...]:
    found = re.search(r"PARTITION BY (.*?)(?: ORDER BY| ROWS| RANGE|\))", projections[0]) if projections else None
    return tuple(found[1].split(", ")) if found else ()
