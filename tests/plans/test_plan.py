"""Plans: which steps are wide and by what, what scans read and skip, and that none of it runs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import strategies as st
from sqlglot import exp

import penstock as ps
from penstock.engines.engine import Engine, Table
from penstock.figures import exact
from penstock.forecasts.cluster import Cluster, cluster_of
from penstock.forecasts.scans import Condition, scanned
from penstock.forecasts.sources import Source
from penstock.forecasts.steps import Step
from penstock.plans.advice import advice
from penstock.plans.paper import Paper
from penstock.trees.tree import Join, walk

ROWS = 4_000


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """Four files in folders of two days, each of five row groups in the order of `id`."""
    for part in range(4):
        folder = tmp_path / "lake" / f"day=2026-03-0{part // 2 + 1}"
        folder.mkdir(parents=True, exist_ok=True)
        ids = range(part * 1000, part * 1000 + 1000)
        rows = {"id": ids, "k": [i % 7 for i in ids], "text": [f"text {i % 100}" for i in ids]}
        pq.write_table(pa.table(rows), folder / f"{part}.parquet", row_group_size=200)
    return tmp_path / "lake"


def held(lake: Path, columns: set[str], groups: Callable[[Any], bool] = lambda _: True) -> int:
    """The compressed bytes of some columns of some row groups, by hand."""
    found = 0
    for file in lake.rglob("*.parquet"):
        footer = pq.read_metadata(file)
        for number in range(footer.num_row_groups):
            group = footer.row_group(number)
            chunks = [group.column(i) for i in range(group.num_columns)]
            if groups(next(chunk.statistics for chunk in chunks if chunk.path_in_schema == "id")):
                found += sum(chunk.total_compressed_size for chunk in chunks if chunk.path_in_schema in columns)
    return found


# -- steps ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "wide"),
    [
        (lambda t: ps.where(t, "id > 1"), []),
        (lambda t: ps.derive(t, twice="2 * id"), []),
        (lambda t: ps.aggregate(t, "k", total="sum(id)"), [("group by k", ("k",))]),
        (lambda t: ps.aggregate(t, ["k", "text"], n="count(*)"), [("group by k, text", ("k", "text"))]),
        (lambda t: ps.distinct(t, "text"), [("distinct text", ("text",))]),
        (lambda t: ps.query("SELECT k, sum(id) AS s FROM t GROUP BY k", t=t), [("group by k", ("k",))]),
        (lambda t: ps.query("SELECT * FROM t ORDER BY id DESC", t=t), [("sort by id", ("id",))]),
        (
            lambda t: ps.query("SELECT k, lag(text) OVER (PARTITION BY k ORDER BY id) AS p FROM t", t=t),
            [("window by k", ("k",))],
        ),
        (
            lambda t: ps.aggregate(ps.aggregate(t, ["k", "text"], n="count(*)"), "text", most="max(n)"),
            [("group by k, text", ("k", "text")), ("group by text", ("text",))],
        ),
    ],
    ids=["where", "derive", "aggregate", "two keys", "distinct", "sum", "sort", "window", "two groups"],
)
def test_wide_steps_and_their_keys(
    engine: Engine, lake: Path, made: Callable[[Table], Table], wide: list[tuple[str, tuple[str, ...]]]
) -> None:
    """Where rows have to meet there is a wide step, with the columns that they meet by, in the order of the work."""
    found = ps.plan(made(engine.read(str(lake))))

    assert [(step.name, step.keys) for step in found.steps if step.kind != "narrow"] == wide


def test_a_join_on_spark_is_wide_or_a_broadcast(spark_engine: Engine) -> None:
    """A shuffled join moves both sides by the key; a broadcast join moves the small one to the rows."""
    left, right = (spark_engine.adopt(pa.table({"k": [1, 2], name: [3, 4]})) for name in ("a", "b"))
    shuffled = ps.plan(ps.join(left, right, "k", strategy="shuffle"))
    broadcast = ps.plan(ps.join(left, right, "k", strategy="broadcast"))

    assert [step.kind for step in shuffled.steps if step.name.startswith("join")] == ["wide"]
    assert [step.kind for step in broadcast.steps if step.name.startswith("join")] == ["broadcast"]
    assert broadcast.notes == ("join: broadcast the right side, as asked; 0.0 MB by its plan's statistics",)


@pytest.mark.parametrize("made", [lambda t: t, lambda t: ps.where(t, "id > 10")], ids=["itself", "of it"])
def test_one_table_under_two_names(engine: Engine, lake: Path, made: Callable[[Table], Table]) -> None:
    """A table joined to itself, or to what is made of it, meets by columns of two tables, as it does on Spark."""
    table = engine.read(str(lake))
    joined = ps.query("SELECT a.id, b.text FROM a JOIN b ON a.k = b.k", a=table, b=made(table))
    paper = Paper(Cluster(cores=4, memory=0))
    (join,) = [node for node in walk(paper.again(joined).relation.node) if isinstance(node, Join)]
    (one, other) = {column.name for condition in join.conditions for column in condition.find_all(exp.Column)}

    assert one.partition("#")[0] == other.partition("#")[0] == "k"
    assert [(step.name, step.kind) for step in ps.plan(joined).steps if step.kind != "narrow"] == [
        ("join on k", "broadcast")
    ]
    if engine.name == "spark":
        assert (engine.explain(joined).count("Exchange"), "BroadcastHashJoin" in engine.explain(joined)) == (1, True)


def test_sql_has_a_plan_too(engine: Engine, lake: Path) -> None:
    """SQL over named tables is planned as the table that it would be."""
    found = ps.plan("SELECT k, count(*) AS n FROM t GROUP BY k", t=engine.read(str(lake)))

    assert [step.name for step in found.steps if step.kind == "wide"] == ["group by k"]
    with pytest.raises(ps.UsageError, match="not SQL"):
        ps.plan("SELECT k FROM (", t=engine.read(str(lake)))


def test_what_differs_from_run_to_run_is_planned(duckdb_engine: Any, lake: Path) -> None:
    """A relation of DuckDB's own may hold what SQL of ours may not, such as chance: it has a plan, which says so."""
    drawn = duckdb_engine.connection.sql(
        f"SELECT k, list(id) AS ids, mode(text) AS text FROM read_parquet('{lake}/*/*.parquet') WHERE random() < 0.5 "
        "GROUP BY k"
    )
    found = ps.plan(drawn)

    assert [step.name for step in found.steps] == ["read lake/", "filter", "group by k"]
    assert (found.notes, [finding.code for finding in found.findings]) == ((), ["PEN210"])


@pytest.mark.parametrize(
    ("query", "last", "rows"),
    [
        ("SELECT id FROM t LIMIT 7", "first 7", 7),
        ("SELECT id FROM t LIMIT 5000", "first 5000", ROWS),
        ("SELECT count(*) AS n FROM t LIMIT 0", "first 0", 0),
        ("SELECT id FROM t LIMIT 5 OFFSET 3998", "skip 3998", 2),
        ("SELECT id FROM t ORDER BY id LIMIT 5 OFFSET 3998", "skip 3998", 2),
        ("SELECT id FROM t ORDER BY id LIMIT 5 OFFSET 9000", "skip 9000", 0),
        ("SELECT id FROM t ORDER BY id LIMIT 10 OFFSET 20", "skip 20", 10),
        ("SELECT id FROM t ORDER BY id LIMIT 10", "top 10 by id", 10),
    ],
)
def test_what_comes_out_of_a_limit(engine: Engine, lake: Path, query: str, last: str, rows: int) -> None:
    """The last step tells the rows of a query that ends with LIMIT, never more than OFFSET leaves of them."""
    found = ps.plan(query, t=engine.read(str(lake))).steps[-1]

    assert (found.name, found.rows) == (last, exact(rows))


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELECT id FROM t ORDER BY id LIMIT 10%", "LIMIT PERCENT"),
        ("SELECT count(*) AS n FROM (SELECT id FROM t LIMIT 5 OFFSET 3998)", "OFFSET in a query within another one"),
        ("SELECT * FROM t POSITIONAL JOIN u", "POSITIONAL JOIN"),
        ("SELECT t.id, s.x FROM t, LATERAL (SELECT t.id + 1 AS x) AS s", "LATERAL"),
        ("SELECT MAP {text: 1} AS s FROM t", "Name needs to be a string or an Identifier"),
    ],
)
def test_what_a_plan_does_not_understand(duckdb_engine: Engine, lake: Path, query: str, said: str) -> None:
    """A note says what it is; the reads are those of tables that are asked for, and nothing made up stands beside."""
    other = lake.parent / "other.parquet"
    pq.write_table(pa.table({"id": [1, 2]}), other)
    found = ps.plan(query, u=duckdb_engine.read(str(other)), t=duckdb_engine.read(str(lake)))

    reads = sorted({step.name for step in found.steps if step.scan})
    assert said in found.notes[-1]
    assert reads == (["read lake/", "read other.parquet"] if "JOIN" in query else ["read lake/"])
    assert {step.rows.mid for step in found.steps if not step.scan} <= {None, 1, ROWS}


def test_lateral_queries_are_not_guessed_at(duckdb_engine: Engine, lake: Path) -> None:
    """DuckDB makes joins of them; what it expects to come out of those is not told as an estimate."""
    t, u = duckdb_engine.read(str(lake)), duckdb_engine.adopt(pa.table({"k": [1, 2], "n": [3, 4]}))
    found = ps.plan("SELECT t.id, s.n FROM t, LATERAL (SELECT u.n FROM u WHERE u.k = t.k) AS s", t=t, u=u)

    assert [step.rows.mid for step in found.steps if not step.scan and step.kind != "narrow"] == [None]


def test_what_a_scan_of_a_table_filters_is_estimated(duckdb_engine: Any) -> None:
    """DuckDB's guess of what a filter within a scan leaves is no count."""
    duckdb_engine.connection.execute("CREATE TABLE e AS SELECT i AS id, i % 5 AS k FROM range(1000) AS r(i)")
    found = ps.plan(duckdb_engine.connection.table("e").filter("id < 7").aggregate("k, count(*)"))

    assert (found.steps[0].name, found.steps[0].rows.basis) == ("seq scan", "model")


@pytest.mark.parametrize(
    ("cluster", "said"),
    [
        ({"machines": 0}, 'machines="0"'), ({"machines": 2.5}, 'machines="2.5"'), ({"machines": "x"}, 'machines="x"'),
        ({"cores": 0}, 'cores="0"'), ({"reducers": -3}, 'reducers="-3"'), ({"memory": -1}, 'memory="-1"'),
        ({"codec": "foo"}, "lz4, zstd, snappy, none"), ({"adaptive": "maybe"}, "true or false"),
        ({"split": 0}, 'split="0"'), ({"open_cost": "1x"}, 'open_cost="1x"'), (5, "cluster=5 describes no cluster"),
    ],
)  # fmt: skip
def test_a_cluster_that_cannot_be(duckdb_engine: Engine, cluster: Any, said: str) -> None:
    """What is wrong is named, and what is possible."""
    with pytest.raises(ps.UsageError, match=re.escape(said)):
        ps.plan(duckdb_engine.adopt(pa.table({"k": [1]})), cluster=cluster)


def test_a_cluster_in_its_own_words(duckdb_engine: Engine) -> None:
    """Numbers may be text, sizes have units, and Spark's -1 broadcasts nothing."""
    given = {"machines": "2", "cores": 3, "memory": "1g", "broadcast": -1, "adaptive": False, "codec": "ZSTD"}
    found = cluster_of(given, duckdb_engine)

    assert (found.cores, found.memory, found.broadcast, found.adaptive, found.codec) == (6, 2 << 30, -1, False, "zstd")


@pytest.mark.parametrize("of", [None, 5])
def test_what_has_no_plan(of: Any) -> None:
    """Neither a table nor SQL nor a job: the error says what may be given."""
    with pytest.raises(ps.UsageError, match=f"no plan of {of}; give a table, SQL"):
        ps.plan(of)


# -- scans ------------------------------------------------------------------------------------------------------------


def test_what_a_scan_reads_and_skips_is_exact(engine: Engine, lake: Path) -> None:
    """Columns and row groups that are not read are counted from the footers, to the byte."""
    wanted = ps.aggregate(ps.where(engine.read(str(lake)), "id >= 3300"), "k", n="count(*)")
    found = ps.plan(wanted)

    read = held(lake, {"id", "k"}, lambda statistics: statistics.max >= 3300)
    assert (found.read_bytes, found.skipped_bytes) == (read, held(lake, {"id", "k", "text"}) - read)
    (scan,) = [step.scan for step in found.steps if step.scan]
    assert (scan.files, scan.row_groups, scan.row_groups_read, scan.rows) == (4, 20, 4, 800)


def test_folders_that_are_not_read_are_skipped(duckdb_engine: Engine, lake: Path) -> None:
    """A condition on a partition column leaves the files of other folders out, before any is opened."""
    found = ps.plan(ps.where(duckdb_engine.read(str(lake)), "day = DATE '2026-03-02'"))
    (scan,) = [step.scan for step in found.steps if step.scan]

    assert (scan.files_read, scan.files, scan.rows) == (2, 4, 2000)


def test_a_row_group_is_skipped_only_if_no_row_of_it_counts(tmp_path: Path, explore: Callable[..., None]) -> None:
    """Whatever the values and the condition, the rows that fulfil it are all in the row groups that are read."""

    def check(values: list[int | None], sign: str, value: int) -> None:
        file = str(tmp_path / "values.parquet")
        pq.write_table(pa.table({"v": pa.array(values, pa.int64())}), file, row_group_size=3)
        source = Source("values", {"v": "BIGINT"}, None, "parquet", (file,))
        scan = scanned(source, [file], ["v"], [Condition("v", sign, str(value))])
        fulfil = {"=": int.__eq__, "<": int.__lt__, "<=": int.__le__, ">": int.__gt__, ">=": int.__ge__}[sign]
        groups = [values[i : i + 3] for i in range(0, len(values), 3)]
        needed = [group for group in groups if any(v is not None and fulfil(v, value) for v in group)]
        assert len(needed) <= scan.row_groups_read <= len(groups)

    numbers = st.integers(-5, 5)
    explore(
        check, st.lists(st.none() | numbers, min_size=1), st.sampled_from(["=", "<", "<=", ">", ">="]), numbers,
        on_spark=1,
    )  # fmt: skip


# -- what is told -----------------------------------------------------------------------------------------------------


def test_a_plan_runs_nothing(engine: Engine) -> None:
    """Work without end is planned at once."""
    rows = "range(1000000000000)" if engine.name == "duckdb" else "range(0, 1000000000000)"
    name = "range" if engine.name == "duckdb" else "id"
    endless = engine.query(f"SELECT a.{name} % 10 AS k FROM {rows} AS a CROSS JOIN {rows} AS b", {})

    assert [step.name for step in ps.plan(ps.aggregate(endless, "k", n="count(*)")).steps][-1] == "group by k"


def test_nothing_is_logged(engine: Engine, lake: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A sketch of a given error, which DuckDB has none of, is planned without a line to standard error."""
    t = engine.read(str(lake))
    for counted in (
        ps.count_distinct(t, "id", by="k", error=0.02),
        ps.aggregate(t, "k", n="approx_count_distinct(id)"),
        ps.query("SELECT k, approx_count_distinct(id) AS n FROM t GROUP BY k ORDER BY n", t=t),
    ):
        assert ps.plan(counted).steps

    assert caplog.records == []


def test_a_plan_is_json_with_the_basis_of_each_number(engine: Engine, lake: Path) -> None:
    """Every estimate has low, mid, high and basis; what moves is told by the sample, and what is narrow moves none."""
    found = json.loads(json.dumps(ps.plan(ps.distinct(engine.read(str(lake)), "k")).to_json()))

    assert (found["format_version"], found["engine"]) == ("1.0", engine.name)
    scan, distinct = found["steps"]
    assert scan["rows"] == {"low": ROWS, "mid": ROWS, "high": ROWS, "basis": "exact"}
    assert (scan["kind"], scan["moved_bytes"]["mid"]) == ("narrow", 0)
    assert (distinct["kind"], distinct["keys"]) == ("wide", ["k"])
    assert distinct["rows"] == {"low": 7, "mid": 7, "high": 7, "basis": "exact"}
    assert distinct["moved_bytes"]["basis"] == "sample"
    assert 0 < distinct["moved_bytes"]["mid"] < 1_000
    assert found["moved_bytes"] == distinct["moved_bytes"]
    assert (found["looked"]["files"], found["looked"]["rows"]) == (4, ROWS)


def test_a_plan_prints_its_steps(duckdb_engine: Engine, lake: Path) -> None:
    """The steps stand below each other with what they read; a mark before each number says what it rests on."""
    text = str(ps.plan(ps.distinct(duckdb_engine.read(str(lake)), "k")))

    assert "2 steps, 1 wide · duckdb" in text
    assert re.search(
        r"1  read lake/  narrow +=4000 +-  - +parquet: 4 of 4 files, 20 of 20 row groups, 1 of 3 columns", text
    )
    assert re.search(r"2  distinct k  WIDE +=7 +~\d+ B +\S+ +combined before it moves", text)
    assert "% is skipped" in text


def test_a_cluster_has_the_cores_of_its_executors(spark_engine: Engine) -> None:
    """Where no parallelism is set, it is what Spark takes: here of local[2]."""
    assert cluster_of(None, spark_engine).cores == 2


def test_a_plan_says_where_it_had_better_run(lake: Path) -> None:
    """One machine beside a cluster of the machines that were described; nothing is advised of rows in memory."""
    table = ps.aggregate(ps.read(str(lake)), "k", n="count(*)")

    advised = ps.plan(table, cluster={"machines": 20, "cores": 16, "memory": "64GB"}).advice
    of_memory = ps.plan(ps.aggregate(ps.adopt(pa.table({"k": [1, 2]})), "k", n="count(*)")).advice

    assert [line.split(",")[0].strip("> ") for line in advised[1:4]] == ["duckdb", "spark", "mapreduce"]
    assert "20 machines" in advised[2] and advised[4].startswith(" Stay on one machine.")
    assert of_memory == ()


def test_far_too_few_partitions_are_told() -> None:
    """A shuffle of gigabytes into one partition: how many there should be, and what to set."""
    step = Step("sort by a", "wide", ("a",), exact(10), exact(10 * 2**30), "every row moves")

    said = advice([], [step], Cluster(cores=2, memory=0, reducers=1), None)

    assert said[1] == " set spark.sql.shuffle.partitions=160, or --cluster reducers=160 to plan for that"


@pytest.mark.parametrize(("where", "rows"), [("user_id < 10", 600), ("user_id < 1000", 60_000)])
def test_a_filtered_relation_of_duckdb_is_counted(where: str, rows: int) -> None:
    """What a view or a filter over a table of DuckDB's own leaves is counted; DuckDB only guesses at it."""
    connection = duckdb.connect()
    connection.execute("CREATE TABLE e AS SELECT i % 1000 AS user_id FROM range(60_000) r(i)")
    connection.execute(f"CREATE VIEW v AS FROM e WHERE {where}")

    for relation in (connection.table("e").filter(where), connection.table("v")):
        assert ps.plan(relation).steps[0].rows == exact(rows)


def test_the_caret_stands_under_a_first_word_that_begins_nothing() -> None:
    """Of a text that is no statement the first word is marked, not the one at which it ended making sense."""
    with pytest.raises(ps.UsageError) as caught:
        ps.plan("SELEC page FROM t", t=[{"page": 1}])

    assert "SELEC page FROM t\n^^^^^" in caught.value.what
