"""What statements moved, as measured: each operator once, only those of the block and its thread, and no guesses."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import penstock as ps
from penstock.engines.duckdb_measures import of_profile
from penstock.engines.engine import Engine, Table
from penstock.engines.measures import Measured, Measures, Told
from penstock.engines.spark_measures import keys_in

#: Two files, which Spark reads as two partitions: three keys, of which one is in both.
FILES = [{"k": [1, 1, 2], "v": [1, 2, 3]}, {"k": [2, 3], "v": [4, 5]}]


@pytest.fixture
def two_files(engine: Engine, tmp_path: Path) -> Table:
    """The rows of FILES."""
    for number, columns in enumerate(FILES):
        pq.write_table(pa.table(columns), tmp_path / f"{number}.parquet")
    return engine.read(str(tmp_path))


def wide(measured: Measures) -> list[Measured]:
    """The operators where rows met."""
    return [operator for operator in measured.operators if operator.kind == "wide"]


# -- on both engines ---------------------------------------------------------------------------------------------------


def test_a_group_by_is_one_wide_operator(engine: Engine, two_files: Table) -> None:
    """DuckDB moves a row a group, Spark a row a group and partition; both say how many groups came out."""
    table = engine.query("SELECT k, sum(v) AS total FROM t GROUP BY k", {"t": two_files})

    with engine.measured() as measured:
        engine.batches(table).read_all()

    (group,) = wide(measured)
    assert (group.keys, group.rows, group.out) == (("k",), {"duckdb": 3, "spark": 4}[engine.name], 3)
    assert group.bytes == measured.moved_bytes
    assert group.bytes is not None and group.bytes > 0
    assert measured.read_rows == 5
    assert measured.spilled_bytes == 0


def test_a_join_tells_both_sides(engine: Engine, two_files: Table) -> None:
    """The rows of the left and of the right: as sides of one operator on DuckDB, as exchanges on Spark."""
    keys = engine.adopt(pa.table({"k": [1, 2, 3]}))
    joined = engine.query("SELECT /*+ MERGE(r) */ l.k, l.v FROM l JOIN r ON l.k = r.k", {"l": two_files, "r": keys})

    with engine.measured() as measured:
        engine.batches(joined).read_all()

    found = wide(measured)
    assert {(operator.keys, operator.out) for operator in found} == {(("k",), 5)}
    if engine.name == "duckdb":
        assert [side.rows for operator in found for side in operator.sides] == [5, 3]
        assert found[0].rows == 3  # what is put into a table; the others stream by
    else:
        assert [(exchange.rows, exchange.feeds) for exchange in found] == [(5, "SortMergeJoin"), (3, "SortMergeJoin")]


def test_writing_and_keeping_are_measured(engine: Engine, two_files: Table, tmp_path: Path) -> None:
    """What a write puts in order is told, and what a table that is kept was grouped by, once."""
    grouped = engine.query("SELECT k, v, count(*) AS n FROM t GROUP BY k, v", {"t": two_files})

    with engine.measured() as writing:
        ps.write(two_files, tmp_path / "out", sort_by="v desc")
    with engine.measured() as keeping:
        kept = engine.materialize(grouped)
    with engine.measured() as reading:
        engine.batches(kept).read_all()

    assert [(one.keys, one.rows) for one in wide(writing)] == [(("v",), 5)]
    assert [(one.rows, one.out) for one in wide(keeping) if one.keys == ("k", "v")] == [(5, 5)]
    assert wide(reading) == []


def test_nothing_outside_of_the_block_counts(engine: Engine, two_files: Table) -> None:
    """Statements before and after it, and those that only plan, leave nothing behind."""
    table = engine.query("SELECT k, count(*) AS n FROM t GROUP BY k", {"t": two_files})

    engine.batches(table).read_all()
    with engine.measured() as measured:
        engine.explain(table)
        engine.columns(table)
    engine.batches(table).read_all()

    assert measured.operators == ()
    assert (measured.moved_bytes, measured.read_bytes, measured.seconds) == (0, 0, 0)


def test_branches_of_two_threads_see_their_own(engine: Engine) -> None:
    """What another thread does at the same time is not told."""
    both = threading.Barrier(2, timeout=60)

    def grouped_by(key: str) -> list[tuple[str, ...]]:
        with engine.branch() as branch, branch.measured() as measured:
            both.wait()
            rows = branch.adopt(pa.table({"k": [1, 1, 2], "v": [1, 2, 3]}))
            made = branch.query(f"SELECT {key}, count(*) AS n FROM t GROUP BY {key}", {"t": rows})
            branch.batches(made).read_all()
            both.wait()
        return [operator.keys for operator in wide(measured)]

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(grouped_by, ["k", "v"])) == [[("k",)], [("v",)]]


def test_an_error_loses_nothing(engine: Engine, two_files: Table) -> None:
    """What ran before it is told, nothing is measured after it, and a statement that is not told makes no total."""
    table = engine.query("SELECT k, count(*) AS n FROM t GROUP BY k", {"t": two_files})
    fails = {"duckdb": "error('no')", "spark": "raise_error('no')"}[engine.name]

    with pytest.raises(ps.EngineError, match="no"), engine.measured() as measured:
        engine.batches(table).read_all()
        engine.batches(
            engine.query(f"SELECT CASE WHEN v > 4 THEN {fails} END AS x FROM t", {"t": two_files})
        ).read_all()
    engine.batches(table).read_all()

    assert [operator.keys for operator in wide(measured)] == [("k",)]
    assert measured.moved_bytes == (wide(measured)[0].bytes if engine.name == "spark" else None)


def test_a_block_within_a_block(engine: Engine, two_files: Table) -> None:
    """The outer one has what the inner one has, too."""
    table = engine.query("SELECT k, count(*) AS n FROM t GROUP BY k", {"t": two_files})

    with engine.measured() as outer:
        with engine.measured() as inner:
            engine.batches(table).read_all()
        engine.batches(table).read_all()

    assert [len(wide(inner)), len(wide(outer))] == [1, 2]


def test_it_goes_into_json(engine: Engine, two_files: Table) -> None:
    """Operators that moved rows, and the totals; nothing that only read."""
    with engine.measured() as measured:
        engine.batches(engine.query("SELECT k, count(*) AS n FROM t GROUP BY k", {"t": two_files})).read_all()

    found = json.loads(json.dumps(measured.to_json()))
    assert [operator["keys"] for operator in found["operators"]] == [["k"]]
    assert found["moved_bytes"] == measured.moved_bytes
    assert found.keys() == {
        "operators", "moved_bytes", "read_rows", "read_bytes", "spilled_bytes", "peak_bytes", "seconds",
    }  # fmt: skip


# -- DuckDB ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "keys"),
    [
        ("SELECT k, count(*) FROM t GROUP BY k", ("k",)),
        ("SELECT k, v % 3 AS r, count(*) FROM t GROUP BY ALL", ("k", "r")),
        ("SELECT * FROM t ORDER BY v DESC, k", ("v", "k")),
        ("SELECT k FROM t ORDER BY v", ("v",)),
        ("SELECT *, sum(v) OVER (PARTITION BY k, greatest(v, 3) ORDER BY v) FROM t", ("k", "greatest(v, 3)")),
        ("SELECT a.v FROM t AS a JOIN t AS b ON a.k = b.k AND a.v > b.v", ("k",)),
        ("SELECT sum(v) FROM t", ()),
    ],
)
def test_keys_have_the_names_of_columns(duckdb_engine: Any, sql: str, keys: tuple[str, ...]) -> None:
    """Numbers of columns, and what the optimiser narrows them to, are told as the columns that they stand for."""
    t = duckdb_engine.adopt(pa.table({"k": list(range(1000)), "v": list(range(1000))}))
    with duckdb_engine.measured() as measured:
        duckdb_engine.batches(duckdb_engine.query(sql, {"t": t})).read_all()

    assert [operator.keys for operator in wide(measured)] == [keys]


def test_a_stream_counts_when_it_is_read_to_its_end(duckdb_engine: Any) -> None:
    """Before, its rows are not known, and no total is."""
    t = duckdb_engine.query("SELECT range AS v FROM range(1000000) ORDER BY v DESC", {})
    with duckdb_engine.measured() as measured:
        stream = duckdb_engine.batches(t)
        stream.read_next_batch()
        assert (measured.operators, measured.moved_bytes, measured.seconds) == ((), None, None)
        stream.read_all()

    assert [operator.rows for operator in wide(measured)] == [1_000_000]
    assert measured.moved_bytes == wide(measured)[0].bytes


def test_profiling_is_off_afterwards(duckdb_engine: Any) -> None:
    """Also after an error; a user who has it on himself keeps it."""
    connection = duckdb_engine.connection.cursor()
    engine: Any = ps.connect(connection)
    with engine.measured() as measured:
        engine.materialize(engine.query("SELECT 1 AS x", {}))
        with pytest.raises(ps.EngineError):
            engine.materialize(engine.query("SELECT error('no') AS x", {}))
    assert json.loads(connection.get_profiling_information(format="json")) == {"result": "disabled"}
    assert len(measured.statements) == 2

    connection.execute("SET enable_profiling = 'no_output'")
    with engine.measured() as measured:
        engine.materialize(engine.query("SELECT count(*) AS n FROM range(10)", {}))
    assert [operator.rows for operator in wide(measured)] == [1]
    assert json.loads(connection.get_profiling_information(format="json"))["operator"]


def test_rows_that_are_kept_are_not_run_again(duckdb_engine: Any) -> None:
    """Keeping what is kept runs nothing, and tells nothing that ran before."""
    kept = duckdb_engine.materialize(duckdb_engine.query("SELECT count(*) AS n FROM range(10)", {}))
    with duckdb_engine.measured() as measured:
        duckdb_engine.materialize(kept)

    assert (wide(measured), measured.moved_bytes) == ([], 0)


def test_questions_of_the_engine_itself_do_not_count(duckdb_engine: Any, tmp_path: Path) -> None:
    """A writer counts partitions before it writes them; that is no part of what it was given."""
    t = duckdb_engine.adopt(pa.table({"k": [1, 1, 2], "v": [1, 2, 3]}))
    with duckdb_engine.measured() as measured:
        ps.write(t, tmp_path / "out", partition_by="k")

    assert (wide(measured), measured.read_rows) == ([], 3)


def test_spilled_bytes_are_told(tmp_path: Path) -> None:
    """A sort that has too little memory says what it wrote to disk."""
    with ps.connect("duckdb", threads=1, memory="60MB", scratch=str(tmp_path / "scratch")) as engine:
        rows = engine.query("SELECT hash(range) AS h, range::VARCHAR || repeat('x', 40) AS s FROM range(1500000)", {})
        with engine.measured() as measured:
            ps.write(rows, tmp_path / "out.parquet", sort_by="h", compression="none")

    assert measured.spilled_bytes is not None and measured.spilled_bytes > 1_000_000
    assert measured.peak_bytes is not None and measured.peak_bytes > 1_000_000


def test_what_brings_others_together_has_their_rows() -> None:
    """A union counts none itself; the side of a join that it stands on has those of its parts."""

    def node(name: str, rows: int, *children: dict[str, Any], **info: Any) -> dict[str, Any]:
        return {
            "name": name, "type": name, "intermediate_rows": rows, "intermediate_size_bytes": 8 * rows, "timing": 0.5,
            "extra_info": info, "children": list(children),
        }  # fmt: skip

    union = node("UNION", 0, node("A", 3), node("B", 4))
    told = of_profile({"operator": [node("HASH_JOIN", 9, node("C", 5), union, Conditions="k = j")]})

    join = told.operators[-1]
    assert (join.rows, join.bytes, join.out, join.keys) == (7, 56, 9, ("k",))
    assert [tuple(side) for side in join.sides] == [(5, 40), (7, 56)]
    assert told.seconds == 2.5


# -- Spark -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def made(spark: Any) -> Table:
    """Rows that Spark makes itself, in two partitions."""
    return spark.range(0, 4000, 1, 2).selectExpr("id % 50 AS k", "id AS v", "sha(string(id)) AS s")


@pytest.fixture
def uncoalesced(spark: Any) -> Iterator[None]:
    """A task for each partition, however small."""
    spark.conf.set("spark.sql.adaptive.coalescePartitions.enabled", "false")
    yield
    spark.conf.unset("spark.sql.adaptive.coalescePartitions.enabled")


def written(spark: Any, after: int) -> tuple[int, int]:
    """The last stage, and the shuffle bytes of all stages after another, as Spark's own page has them."""
    store = spark._jsc.sc().statusStore()
    stages = store.stageList(None, False, False, spark._sc._gateway.new_array(spark._jvm.double, 0), None)
    found = [stages.apply(number) for number in range(stages.size())]
    return (
        max((stage.stageId() for stage in found), default=-1),
        sum(stage.shuffleWriteBytes() for stage in found if stage.stageId() > after),
    )


STATEMENTS: dict[str, Callable[[Engine, Table, str], Any]] = {
    "join, group and sort": lambda engine, t, _: engine.batches(
        engine.query(
            "SELECT /*+ MERGE(b) */ a.k, count(*) AS n FROM t AS a JOIN t AS b ON a.v = b.v GROUP BY 1 ORDER BY n, 1",
            {"t": t},
        )
    ),
    "kept rows, read twice": lambda engine, t, _: [
        engine.batches(kept) for kept in [engine.materialize(ps.aggregate(t, "s", n="count(*)"))] * 2
    ],
    "sorted files": lambda engine, t, folder: ps.write(ps.distinct(t, "s", "k"), folder, sort_by="s"),
    "files of partitions": lambda engine, t, folder: ps.write(ps.top_n(t, "k", "v"), folder, partition_by="k"),
    "resilient distributed data": lambda engine, t, _: t.rdd.map(lambda row: (row[0], 1)).groupByKey(2).count(),
}


@pytest.mark.parametrize("statement", STATEMENTS)
def test_all_shuffle_bytes_are_told(spark_engine: Any, spark: Any, made: Table, tmp_path: Path, statement: str) -> None:
    """The bytes of all exchanges are those that the stages wrote, to the byte."""
    before, _ = written(spark, -1)
    with spark_engine.measured() as measured:
        STATEMENTS[statement](spark_engine, made, str(tmp_path / "out"))
    _, bytes_written = written(spark, before)

    assert bytes_written > 0
    assert measured.moved_bytes == bytes_written
    assert all(exchange.bytes for exchange in wide(measured))


def test_an_exchange_that_is_used_twice_counts_once(spark_engine: Any, made: Table) -> None:
    """Adaptive execution runs equal exchanges once, and so they are told."""
    twice = """WITH g AS (SELECT k, count(*) AS n FROM t GROUP BY k)
               SELECT /*+ MERGE(b) */ a.k, a.n + b.n AS n FROM g AS a JOIN g AS b ON a.k = b.k"""
    with spark_engine.measured() as measured:
        spark_engine.batches(spark_engine.query(twice, {"t": made}))

    assert [(one.keys, one.rows, one.out) for one in wide(measured)] == [(("k",), 100, 50)]


def test_a_sample_of_ranges_does_not_count_twice(spark_engine: Any, made: Table) -> None:
    """What is sorted runs once more for the sample; the rows that came out of it are told as they are."""
    table = spark_engine.query("SELECT k, max(s) AS s FROM t GROUP BY k ORDER BY s", {"t": made})
    with spark_engine.measured() as measured:
        spark_engine.batches(table)

    assert [(one.keys, one.feeds, one.rows, one.out) for one in wide(measured)] == [
        (("k",), "SortAggregate", 100, 50),
        (("s",), "Sort", 50, 50),
    ]


def test_a_heavy_key_shows_in_the_largest_task(spark_engine: Any, uncoalesced: None, made: Table) -> None:
    """Nine rows in ten have one key: the task that gets them reads far more than the one in the middle."""
    hot = spark_engine.query("SELECT if(v % 10 = 0, v, -1) AS h, s FROM t", {"t": made})
    ranked = spark_engine.query("SELECT *, row_number() OVER (PARTITION BY h ORDER BY s) AS n FROM t", {"t": hot})
    with spark_engine.measured() as measured:
        spark_engine.batches(ranked)

    (window,) = wide(measured)
    assert (window.keys, window.feeds, window.tasks, window.rows, window.out) == (("h",), "Window", 3, 4000, 4000)
    assert window.largest_bytes is not None and window.median_bytes is not None and window.bytes is not None
    assert 5 * window.median_bytes < window.largest_bytes < window.bytes


def test_a_broadcast_is_no_shuffle(spark_engine: Any, made: Table) -> None:
    """Its rows are told with what each executor holds; bytes that cross a shuffle there are none."""
    small = spark_engine.query("SELECT id AS k FROM range(7)", {})
    joined = spark_engine.query("SELECT /*+ BROADCAST(s) */ t.* FROM t JOIN s ON t.k = s.k", {"t": made, "s": small})
    with spark_engine.measured() as measured:
        spark_engine.batches(joined)

    (broadcast,) = (one for one in measured.operators if one.kind == "broadcast")
    assert (broadcast.rows, broadcast.feeds, broadcast.out) == (7, "BroadcastHashJoin", 560)
    assert broadcast.bytes is not None and broadcast.bytes > 0
    assert measured.moved_bytes == 0


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("Exchange hashpartitioning(k#1L, 3), ENSURE_REQUIREMENTS, [plan_id=27]", ("k",)),
        ("Exchange rangepartitioning(v#2L DESC NULLS LAST, s#3 ASC NULLS FIRST, 200), [plan_id=1]", ("v", "s")),
        ("Exchange hashpartitioning(knownfloatingpointnormalized(normalizenanandzero(x#3)), 3), [plan_id=1]", ("x",)),
        ("Exchange hashpartitioning(concat(a#1, b#2), `a b`#3, 8), REPARTITION_BY_COL", ("concat(a, b)", "`a b`")),
        ("Exchange RoundRobinPartitioning(5), REPARTITION_BY_NUM, [plan_id=889]", ()),
        ("Exchange SinglePartition, ENSURE_REQUIREMENTS, [plan_id=842]", ()),
        ("TakeOrderedAndProject(limit=5, orderBy=[k#1L ASC NULLS FIRST], output=[k#1L,n#4L])", ("k",)),
    ],
)
def test_keys_are_read_from_exchanges(text: str, keys: tuple[str, ...]) -> None:
    """The columns or expressions, without Spark's numbers, directions and what makes floats comparable."""
    assert keys_in(text) == keys


# -- totals ------------------------------------------------------------------------------------------------------------


def test_a_total_is_known_when_all_its_parts_are() -> None:
    """One statement that says nothing, or not all, leaves no total; what is told stays."""
    group = Measured("HASH_GROUP_BY", "wide", ("k",), 3, 48)
    known = Told((group,), read_bytes=5, peak_bytes=7, seconds=1.0)

    assert Measures([known, known]).moved_bytes == 96
    assert [Measures([known, None]).moved_bytes, Measures([known, None]).peak_bytes] == [None, None]
    assert Measures([known, known._replace(read_bytes=None)]).read_bytes is None
    assert Measures([known._replace(whole=False)]).moved_bytes is None
    assert Measures([known, None]).operators == (group,)
    assert Measures([]).moved_bytes == 0
