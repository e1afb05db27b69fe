"""SQL as text, and one dialect on two engines: what an expression means must not depend on where it runs."""

from __future__ import annotations

import datetime
import re
from typing import Any

import pyarrow as pa
import pytest
import sqlglot
from sqlglot import exp

import penstock as ps
from expressions import AGGREGATES, GROUPS, QUERIES, REFUSED, TABLE, each
from penstock import sql
from penstock.dialect.refused import check
from penstock.testing import _canonical, _close, assert_tables_equal, rows

TYPES = {
    "id": "BIGINT", "i": "BIGINT", "j": "BIGINT", "k": "INTEGER", "d": "DOUBLE", "f": "DOUBLE", "m": "DECIMAL(10,2)",
    "s": "VARCHAR", "t": "TIMESTAMP",
}  # fmt: skip
NAMES = pa.table({"i": [7, -7, None, 7, 100], "name": ["seven", "minus", None, "again", "none"]})


# -- both engines give the same values --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def both(duckdb_engine: Any, spark_engine: Any) -> dict[str, Any]:
    """The table of nasty values on each engine."""
    return {engine.name: engine.adopt(TABLE) for engine in (duckdb_engine, spark_engine)}


def family(kind: str) -> str:
    """What of a type shows in the values: how many bits an integer has does not."""
    kind = re.sub(r"\b(U?(TINY|SMALL|BIG|HUGE)INT|U?INTEGER)\b", "INT", kind.replace('"', ""))
    return re.sub(r"DECIMAL\(\d+,(\d+)\)", r"DECIMAL(.,\1)", kind)


def printed(value: Any) -> Any:
    """A value as it is compared, and the sign of a zero, which a csv file would show."""
    return _canonical(value), repr(value) if value == 0 else None


def differences(expressions: list[str], tables: dict[str, Any]) -> list[str]:
    """The columns x0, x1, … of two tables of equal rows in which they differ, told by their expressions."""
    one, other = (sorted(rows(table), key=lambda row: str(row.get("id"))) for table in tables.values())
    kinds = [ps.engine_of(table).columns(table) for table in tables.values()]
    found = []
    for number, text in enumerate(expressions):
        name = f"x{number}"
        types = [family(columns[name]) for columns in kinds]
        values = [(row[name], pair[name]) for row, pair in zip(one, other, strict=True)]
        unlike = [pair for pair in values if printed(pair[0]) != printed(pair[1]) and not _close(*pair, 1e-9)]
        if unlike or types[0] != types[1]:
            found.append(f"{text}: {types if types[0] != types[1] else ''} {unlike[:3]}")
    return found


@pytest.mark.parametrize("group", GROUPS)
def test_an_expression_means_one_thing(both: dict[str, Any], group: str) -> None:
    """Every expression of a group gives the same values of the same kind of type on both engines."""
    expressions = GROUPS[group]
    computed = {f"x{number}": text for number, text in enumerate(expressions)}

    results = {name: ps.derive(table, **computed) for name, table in both.items()}

    assert differences(expressions, results) == []


@pytest.mark.parametrize("by", [(), "b"])
def test_an_aggregate_means_one_thing(both: dict[str, Any], by: Any) -> None:
    """Every aggregate that ps.query takes gives the same values on both engines, in groups and over the whole."""
    expressions = each(AGGREGATES)
    select = ", ".join(f"{text} AS x{number}" for number, text in enumerate(expressions))
    grouped = f"SELECT b AS id, {select} FROM t GROUP BY b" if by else f"SELECT {select} FROM t"

    results = {name: ps.query(grouped, t=table) for name, table in both.items()}

    assert differences(expressions, results) == []


@pytest.mark.parametrize("text", QUERIES)
def test_a_query_means_one_thing(both: dict[str, Any], text: str) -> None:
    """A whole query gives the same rows under the same names on both engines, in order where it has one."""
    one, other = (ps.query(text, t=table, r=ps.engine_of(table).adopt(NAMES)) for table in both.values())

    assert_tables_equal(one, other, ordered="ORDER BY" in text and "OVER" not in text)


@pytest.mark.parametrize("order", ["d // 2", "round(f, 2) desc", "i % 3, f::bigint desc", "upper(s) desc", "k // 2, t"])
def test_an_order_means_one_thing(both: dict[str, Any], order: str) -> None:
    """Expressions in an order are computed alike on both engines, whole and as the first rows of groups."""
    one, other = both.values()

    assert_tables_equal(ps.sort(one, order), ps.sort(other, order), ordered=True)
    assert_tables_equal(ps.top_n(one, "b", order, n=2), ps.top_n(other, "b", order, n=2))


def test_floats_round_alike_to_the_last_bit(duckdb_engine: Any, spark_engine: Any) -> None:
    """Half-way floats, which no binary number is exactly, are rounded, cast and printed as the same digits."""
    floats = pa.table({"id": range(4000), "f": [(n - 2000) / 8 + n % 7 * 0.005 for n in range(4000)]})
    expressions = [
        "round(f, 2)",
        "round(f, 2)::varchar",
        "f::decimal(12, 2)",
        "round(f / 3, 3)",
        "f::varchar",
        "f::int",
    ]
    computed = {f"x{number}": text for number, text in enumerate(expressions)}

    results = {e.name: ps.derive(e.adopt(floats), **computed) for e in (duckdb_engine, spark_engine)}

    assert differences(expressions, results) == []
    assert rows(results["duckdb"])[0]["x1"] == "-250.0"


# -- what has no one answer ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", each(REFUSED))
def test_what_has_no_one_answer_is_refused(text: str) -> None:
    """The call is refused for both engines alike, so that no program depends on which one it met first."""
    said = []
    for dialect in ("duckdb", "spark"):
        with pytest.raises(ps.UsageError) as caught:
            sql.spell(text, dialect, TYPES)
        said.append(str(caught.value))

    assert said[0] == said[1]
    assert caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM t USING SAMPLE 3",
        "SELECT * FROM t TABLESAMPLE 50%",
        "SELECT * FROM t PIVOT (count(*) FOR b IN (true, false))",
        "SELECT DISTINCT ON (b) * FROM t",
        "WITH RECURSIVE x AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM x) SELECT * FROM x",
    ],
)
def test_clauses_without_one_answer_are_refused(text: str) -> None:
    """A clause whose rows differ from run to run or between engines is refused, with another way to get there."""
    with pytest.raises(ps.UsageError) as caught:
        sql.spell_query(text, "duckdb", {"t": {"b": "BOOLEAN"}})

    assert caught.value.hint


def test_what_an_engine_has_no_word_for_is_not_left_out() -> None:
    """A part that Spark's SQL does not have is an error, where a query without it would give other rows."""
    text = "SELECT sum(b) OVER (ORDER BY b ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING EXCLUDE TIES) AS s FROM t"

    assert "EXCLUDE TIES" in sql.spell_query(text, "duckdb", {"t": {"b": "INTEGER"}})
    with pytest.raises(ps.UsageError, match="Spark has no word for a part of this: EXCLUDE"):
        sql.spell_query(text, "spark", {"t": {"b": "INTEGER"}})


#: Known to both engines by name, but not compared.
ELSEWHERE = {
    "date_sub": "takes other arguments on Spark, which says so",
    "mean": "avg by another name",
}


def test_every_function_that_both_engines_know_is_tested_or_refused(duckdb_engine: Any, spark: Any) -> None:
    """A new function of an engine that the other has too fails here until somebody has compared the two."""
    texts = [*(text for group in GROUPS.values() for text in group), *each(AGGREGATES)]
    trees = [sql.expression(text) for text in texts]
    tested = {name for text in texts for name in re.findall(r"(\w+)\(", text)}
    nodes = {type(node) for tree in trees for node in tree.walk()} - {exp.Anonymous}
    known_to_spark = {row[0].lower() for row in spark.sql("SHOW FUNCTIONS").collect()}
    listed = duckdb_engine.connection.execute(
        "SELECT DISTINCT function_name, len(parameters) FROM duckdb_functions() "
        "WHERE function_type IN ('scalar', 'aggregate', 'macro') AND schema_name = 'main'"
    ).fetchall()

    shared, open_ = set(), set()
    for name, size in listed:
        call = f"{name}({', '.join(f'c{number}' for number in range(size))})"
        node = _parsed(call) if re.fullmatch(r"\w+", name) else None
        written = set() if node is None else set(re.findall(r"(\w+)\(", node.sql("spark").lower()))
        if not written or not written <= known_to_spark | {"cast"}:
            continue
        shared.add(name)
        if not (_is_refused(node) or name in tested or type(node) in nodes or name in ELSEWHERE):
            open_.add(name)

    assert len(shared) > 200
    assert sorted(open_) == []


def _parsed(call: str) -> exp.Expr | None:
    try:
        node = sqlglot.parse_one(f"SELECT {call}", read="duckdb").expressions[0]
        node.sql("spark", unsupported_level=sqlglot.ErrorLevel.RAISE)
    except sqlglot.errors.SqlglotError:  # needs other arguments, or is not Spark's
        return None
    return node if isinstance(node, exp.Expr) else None


def _is_refused(node: exp.Expr) -> bool:
    try:
        check(node)
    except ps.UsageError:
        return True
    return False


# -- spelling --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("a / b", "CAST(a AS DOUBLE) / NULLIF(CAST(b AS DOUBLE), 0)"),
        ("d::int", "(CAST(RINT(CAST(d AS DOUBLE)) AS INT))"),
        ("i::int", "CAST(i AS INT)"),
        ("s LIKE 'a%'", "s LIKE 'a%'"),
        ("xs[2]", "TRY_ELEMENT_AT(xs, 2)"),
        ("median(i)", "MEDIAN(i)"),
        ("date_trunc('day', t)", "CAST(DATE_TRUNC('day', t) AS TIMESTAMP_NTZ)"),
        ("count(*) FILTER (WHERE s = 'x')", "COUNT(CASE WHEN s = 'x' THEN 1 END)"),
    ],
)
def test_types_keep_the_spelling_short(text: str, spelled: str) -> None:
    """Where the types of columns are known, Spark's text has no more in it than the meaning needs."""
    assert sql.spell(text, "spark", TYPES) == spelled


def test_a_type_that_is_not_known_is_asked_for_at_run_time() -> None:
    """Without a column's type a cast to an integer leaves the choice of rounding to the engine's typeof."""
    assert "TYPEOF(q)" in sql.spell("q::int", "spark")
    assert "TYPEOF" not in sql.spell("q::int", "spark", {"q": "DOUBLE"})


def test_kinds_are_followed_through_subqueries() -> None:
    """What is known of a table's columns is known of the columns that a query makes of them."""
    text = "WITH c AS (SELECT i / 2 AS half FROM t) SELECT half::int AS x FROM (SELECT * FROM c)"

    assert "TYPEOF" not in sql.spell_query(text, "spark", {"t": {"i": "BIGINT"}})


@pytest.mark.parametrize("text", ["1 +", "a b c", "(a", "'open", "a; DROP TABLE t"])
def test_what_is_not_sql_is_the_callers_error(text: str) -> None:
    """Text that does not parse as one expression is shown back as not being SQL."""
    with pytest.raises(ps.UsageError, match=r"this is not (SQL|a query)"):
        sql.spell(text, "duckdb")


@pytest.mark.parametrize(
    "text", ["DROP TABLE t", "INSERT INTO t VALUES (1)", "SELECT 1 INTO x", "COPY t TO 'x'", "SELECT 1; SELECT 2"]
)
def test_only_a_select_is_a_query(text: str) -> None:
    """Nothing that would change what it reads gets through."""
    with pytest.raises(ps.UsageError, match=r"this is not a query|not SQL"):
        sql.spell_query(text, "duckdb", {})


# -- names, values, orders -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["a", 'a "b"', "a`b", "x.y", "{brace}", "it's", "per%cent", "日本 語", "a\\b", "order by"]
)
def test_any_name_is_quoted(engine: Any, table: Any, name: str) -> None:
    """A column of any name is found behind its quotes, and keeps its name, on either engine."""
    one = table([{name: 1}])

    result = engine.query(f"SELECT {sql.quote(name, engine.name)} FROM t", {"t": one})

    assert rows(result) == [{name: 1}]


@pytest.mark.parametrize("value", ["", "it's", 'a "b"', "a\\b", "\\'", "{0}", "%s", "a\nb", "日本 語", "--", "\\"])
def test_any_text_is_a_literal(engine: Any, value: str) -> None:
    """A text arrives in SQL as it is, on either engine."""
    result = engine.query(f"SELECT {sql.literal(value, engine.name)} AS x", {})

    assert rows(result) == [{"x": value}]


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("30 minutes", 1_800_000_000),
        ("1s", 1_000_000),
        ("1h 30m", 5_400_000_000),
        ("1.5 hours", 5_400_000_000),
        ("2 days", 172_800_000_000),
        ("250ms", 250_000),
        ("1 week", 604_800_000_000),
        (datetime.timedelta(days=1, microseconds=1), 86_400_000_001),
    ],
)
def test_a_length_of_time(text: Any, micros: int) -> None:
    """Numbers with units, written together or apart, and timedeltas, are microseconds."""
    assert sql.duration(text) == micros


@pytest.mark.parametrize("text", ["", "soon", "30", "30 fortnights", "1h and a bit", "minutes"])
def test_what_is_not_a_length_of_time(text: str) -> None:
    """Anything else is refused with examples of how to write it."""
    with pytest.raises(ps.UsageError, match=r'not a length of time.*"30 minutes"'):
        sql.duration(text)


def test_orders() -> None:
    """An order is a list of expressions with directions, given as one text or several."""
    assert sql.orders("amount desc, lower(name)") == [sql.Order("amount", True), sql.Order("LOWER(name)")]
    assert sql.orders(["a", "b desc"]) == [sql.Order("a"), sql.Order("b", True)]
    with pytest.raises(ps.UsageError, match="the order is empty"):
        sql.orders(" ")


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("a + b * a", ["a", "b"]),
        ('"x.y" || "a ""b"""', ["x.y", 'a "b"']),
        ("count(*)", []),
        ("list_transform(xs, v -> v + a)", ["xs", "a"]),
        ("s.field", ["s"]),
        ("sum(a) OVER (PARTITION BY b ORDER BY c)", ["a", "b", "c"]),
    ],
)
def test_the_columns_of_an_expression(text: str, columns: list[str]) -> None:
    """Every column that is read, once; not the parameters of a lambda."""
    assert sorted(sql.columns_of(text)) == sorted(columns)


def test_a_plain_column() -> None:
    """An expression that is no more than a column is told by its name."""
    assert sql.plain_column('"a b"') == "a b"
    assert sql.plain_column("a + 0") is None


@pytest.mark.parametrize(
    ("kind", "spark"),
    [
        ("BIGINT", "BIGINT"),
        ("VARCHAR", "STRING"),
        ("DECIMAL(10,2)", "DECIMAL(10, 2)"),
        ("TIMESTAMP", "TIMESTAMP_NTZ"),
        ("TIMESTAMP WITH TIME ZONE", "TIMESTAMP_LTZ"),
        ("BLOB", "BINARY"),
        ("INTEGER[]", "ARRAY<INT>"),
        ("STRUCT(a BIGINT, b VARCHAR)[]", "ARRAY<STRUCT<a: BIGINT, b: STRING>>"),
        ("MAP(VARCHAR, DOUBLE)", "MAP<STRING, DOUBLE>"),
    ],
)
def test_a_type_for_spark(kind: str, spark: str) -> None:
    """A type in DuckDB's words is that type in Spark's."""
    assert sql.type_for(kind, "spark") == spark


def test_an_unused_name() -> None:
    """What a plan carries along never meets a column's name, whatever its case."""
    assert sql.unused("cut", ["k", "Cut", "cut_"]) == "cut__"


COLUMNS = {
    "i": "BIGINT",
    "k": "INTEGER",
    "d": "DOUBLE",
    "m": "DECIMAL(10,2)",
    "s": "VARCHAR",
    "t": "TIMESTAMP",
    "day": "DATE",
    "b": "BOOLEAN",
}


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("column", COLUMNS)
def test_one_value_sorts_as_the_whole_order(engine: Any, column: str, descending: bool) -> None:
    """The sort key of an order puts rows where the order puts them: nulls last both ways, NaN above every number."""
    terms = [(sql.Order(column, descending), COLUMNS[column]), (sql.Order("id"), "BIGINT")]
    keyed = f"SELECT id FROM t ORDER BY {sql.sort_key(terms, engine.name)}"
    ordered = f"SELECT id FROM t ORDER BY {', '.join(term.text(engine.name) for term, _ in terms)}"
    t = engine.adopt(TABLE)

    assert_tables_equal(engine.query(keyed, {"t": t}), engine.query(ordered, {"t": t}), ordered=True)


@pytest.mark.parametrize("text", ["", " ", "a, b", "a FROM t", "a > 0 WHERE b", "a ORDER BY b", "DISTINCT a", "a AS b"])
def test_what_is_more_or_less_than_one_expression_is_refused(text: str) -> None:
    """A second expression, a clause or a name behind it would be lost without a word, so it is an error."""
    with pytest.raises(ps.UsageError, match=r"is not one expression|not SQL"):
        sql.expression(text)
