"""DataFrames that were made with PySpark alone: their plans have the wide steps that Spark's have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import penstock as ps

ROWS = 1_000


@pytest.fixture(scope="module")
def frames(spark: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    """Events and users, read by Spark itself; a folder's name has a blank."""
    folder = tmp_path_factory.mktemp("frames") / "with a blank"
    folder.mkdir()
    i = range(ROWS)
    events = {"id": i, "k": [n % 7 for n in i], "t": [f"page {n % 5}" for n in i], "l": [[1, 2]] * ROWS}
    pq.write_table(pa.table(events), folder / "events.parquet")
    pq.write_table(pa.table({"k": range(7), "name": [f"n{n}" for n in range(7)]}), folder / "users.parquet")
    return spark.read.parquet(str(folder / "events.parquet")), spark.read.parquet(str(folder / "users.parquet"))


def functions() -> Any:
    """PySpark's, which is there only where Spark is."""
    from pyspark.sql import functions as found

    return found


def first_of_each(e: Any) -> Any:
    """The first row of each key, by a window."""
    from pyspark.sql import Window

    return e.withColumn("n", functions().row_number().over(Window.partitionBy("k").orderBy("id"))).where("n = 1")


Made = Callable[[Any, Any], Any]
WIDE: dict[str, tuple[Made, list[str]]] = {
    "groupBy": (lambda e, u: e.groupBy("k").agg(functions().sum("id").alias("s")), ["wide: group by k"]),
    "distinct counts": (
        lambda e, u: e.groupBy("k").agg(functions().countDistinct("t")), ["wide: group by k, t", "wide: group by k"],
    ),
    "rollup": (lambda e, u: e.rollup("k", "t").count(), ["wide: group by k, t, spark_grouping_id"]),
    "distinct": (lambda e, u: e.select("t").distinct(), ["wide: distinct t"]),
    "small join": (lambda e, u: e.join(u, "k"), ["broadcast: join on k"]),
    "broadcast hint": (lambda e, u: u.join(functions().broadcast(e), "k"), ["broadcast: join on k"]),
    "merge hint": (lambda e, u: e.join(u.hint("merge"), "k"), ["wide: join on k"]),
    "hash hint": (lambda e, u: e.join(u.hint("shuffle_hash"), "k", "left"), ["wide: left join on k"]),
    "semi join": (lambda e, u: e.join(u, "k", "semi"), ["broadcast: semi join on k"]),
    "cross join": (lambda e, u: e.crossJoin(u), ["broadcast: cross join"]),
    "window": (lambda e, u: first_of_each(e), ["wide: window by k"]),
    "explode": (
        lambda e, u: e.select(functions().explode("l").alias("x")).groupBy("x").count(), ["wide: group by x"],
    ),
    "union": (lambda e, u: e.select("k").union(u.select("k")).distinct(), ["wide: distinct k"]),
    "orderBy": (lambda e, u: e.orderBy(functions().desc("id"), "t"), ["wide: sort by id, t"]),
    "limit": (lambda e, u: e.orderBy("id").limit(5), ["wide: top 5 by id"]),
    "repartition": (lambda e, u: e.repartition(4, "k"), ["wide: shuffle by k"]),
    "filter": (lambda e, u: e.where("t = 'page 1' AND id > 3"), []),
    "text and number": (lambda e, u: e.where("t = '5' OR k = 5").groupBy("k").count(), ["wide: group by k"]),
}  # fmt: skip


@pytest.mark.parametrize("name", WIDE)
def test_wide_steps_of_a_dataframe(frames: tuple[Any, Any], name: str) -> None:
    """The kinds and keys of what moves; a sample tells how much, for the plan is understood."""
    make, wide = WIDE[name]

    found = ps.plan(make(*frames))

    assert [f"{step.kind}: {step.name}" for step in found.steps if step.kind != "narrow"] == wide
    assert found.notes == ()
    assert (found.moved_bytes.mid or 0) > 0 or not wide


def test_rows_of_a_dataframe(frames: tuple[Any, Any]) -> None:
    """Where the files are small enough to be sampled whole, the rows of each step are exact."""
    events, _ = frames

    found = ps.plan(events.rollup("k", "t").count())

    assert found.steps[-1].rows.mid == events.rollup("k", "t").count().count()
    assert found.steps[0].rows.mid == ROWS


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda spark, e: spark.createDataFrame([(1, "a")], "k int, t string").groupBy("k").count(), "LogicalRDD"),
        (lambda spark, e: e.groupBy("k").pivot("t", ["page 1", "page 2"]).count(), "count"),
    ],
    ids=["literal rows", "pivot"],
)
def test_what_is_not_understood_falls_back(frames: tuple[Any, Any], spark: Any, make: Made, said: str) -> None:
    """The wide steps are then those of Spark's own plan, without bytes, and a note says what was not understood."""
    found = ps.plan(make(spark, frames[0]))

    assert [step.name for step in found.steps if step.kind == "wide"][-1] == "group by k"
    assert found.moved_bytes.mid is None
    [note] = found.notes
    assert note.startswith("what it moves is not forecast: the plan does not understand")
    assert said in note
