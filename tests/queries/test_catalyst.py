"""DataFrames that were made without us: trees read from what Spark's optimiser prints."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.forecasts.sources import Source
from penstock.queries.catalyst import read_plan
from penstock.queries.catalyst_text import attributes_of, expressions
from penstock.queries.names import UnreadableError
from penstock.queries.read import Relation
from penstock.trees.tree import Aggregate, Filter, Join, Limit, Project, Scan, Shuffle, Sort, Window, walk

KINDS = {"id": "BIGINT", "k": "BIGINT", "t": "VARCHAR", "at": "TIMESTAMP"}
READ = "Relation [id#0L,k#1L,t#2,at#4] parquet"
SCAN = (
    "FileScan parquet [id#0L,k#1L,t#2,at#4] Batched: true, DataFilters: [], Format: Parquet, "
    "Location: InMemoryFileIndex(1 paths)[file:/data/e.parquet], PartitionFilters: [], PushedFilters: []"
)


def files(paths: Any, format: str) -> Relation:
    """A scan of files that are nowhere."""
    source = Source("e", KINDS, None, format, tuple(paths))
    names = {f"{name}#9{place}": name for place, name in enumerate(KINDS)}
    return Relation(
        Scan(source, names, {place: KINDS[name] for place, name in names.items()}),
        tuple((name, place) for place, name in names.items()),
    )


def tree(*lines: str) -> Any:
    """The tree of an optimised plan, whose physical one scans the files."""
    text = "\n".join(f"{' ' * (3 * max(0, depth - 1))}{'+- ' * (depth > 0)}{line}" for depth, line in enumerate(lines))
    printed = f"== Analyzed Logical Plan ==\nx\n== Optimized Logical Plan ==\n{text}\n\n== Physical Plan ==\n{SCAN}\n"
    return read_plan(printed, files).node


# -- expressions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("printed", "sql"),
    [
        ("k#1L", "`k#1`"),
        ("(k#1L > 3)", "(`k#1` > 3)"),
        ("(t#2 = US)", "(`t#2` = 'US')"),
        ("((id#0L >= -5) AND (t#2 = New York))", "((`id#0` >= -5) AND (`t#2` = 'New York'))"),
        ("isnotnull(t#2)", "(`t#2` IS NOT NULL)"),
        ("NOT (t#2 = a)", "(NOT (`t#2` = 'a'))"),
        ("t#2 IN (a,5,c d)", "(`t#2` IN ('a', 5, 'c d'))"),
        ("sum(id#0L) AS total#7L", "sum(`id#0`) AS `total#7`"),
        ("count(distinct t#2) AS n#8L", "count(DISTINCT `t#2`) AS `n#8`"),
        ("count(1)", "count(1)"),
        ("at#4 DESC NULLS LAST", "`at#4` DESC NULLS LAST"),
        ("cast(k#1L as string)", "CAST(`k#1` AS string)"),
        ("cast(k#1L as decimal(10,2))", "CAST(`k#1` AS decimal(10,2))"),
        ("CASE WHEN (k#1L > 5) THEN many ELSE few END", "CASE WHEN (`k#1` > 5) THEN 'many' ELSE 'few' END"),
        ("if ((k#1L > 5)) 1 else null", "if((`k#1` > 5), 1, null)"),
        ("StartsWith(t#2, 20)", "startswith(`t#2`, '20')"),
        ("(at#4 > 2026-03-01 10:00:00)", "(`at#4` > TIMESTAMP '2026-03-01 10:00:00')"),
        ("(at#4 < 2026-03-01)", "(`at#4` < DATE '2026-03-01')"),
        ("t#2 LIKE page%", "(`t#2` LIKE 'page%')"),
        ("first(t#2, false) AS f#9", "first(`t#2`) AS `f#9`"),
        ("(t#2 = it's)", "(`t#2` = 'it\\'s')"),
    ],
)  # fmt: skip
def test_expressions(printed: str, sql: str) -> None:
    """As Spark prints them, back as SQL: columns are quoted, what is neither column, number nor call is a text."""
    plan = f"Project [{printed}]\n+- {READ}"

    assert expressions(printed, attributes_of(plan)) == [sql]


def test_lists_of_expressions() -> None:
    """Commas within brackets divide nothing, and of columns of one name each has its number."""
    assert expressions("k#1L, coalesce(t#2, t#22) AS t#3, 5", ["t#22", "k#1", "t#2", "t#3"]) == [
        "`k#1`", "coalesce(`t#2`, `t#22`) AS `t#3`", "5",
    ]  # fmt: skip


@pytest.mark.parametrize("printed", ["(k#1L > 3", "k#1L k#1L", "sum(k#1L", "CASE WHEN (k#1L > 5) few END"])
def test_expressions_that_are_none(printed: str) -> None:
    """What is not understood is said to be so, in Spark's own words."""
    with pytest.raises(UnreadableError, match="in Spark's plan"):
        expressions(printed, ["k#1"])


# -- trees ------------------------------------------------------------------------------------------------------------


def test_groups() -> None:
    """An Aggregate with its keys and what is made, over the columns that are needed, over the files."""
    found = tree("Aggregate [k#1L], [k#1L, sum(id#0L) AS s#7L]", "Project [id#0L, k#1L]", READ)

    project, aggregate = found, found.child
    assert isinstance(project, Project)
    assert isinstance(aggregate, Aggregate)
    assert (list(aggregate.keys), [each.sql() for each in aggregate.made.values()]) == (["k#1"], ['SUM("id#0")'])
    assert list(project.columns) == ["k#1", "s#7"]
    scan = next(node for node in walk(found) if isinstance(node, Scan))
    assert scan.source.paths == ("/data/e.parquet",)
    assert scan.names == {"id#0": "id", "k#1": "k", "t#2": "t", "at#4": "at"}


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("Filter (isnotnull(k#1L) AND (k#1L > 3))", Filter),
        ("Sort [id#0L ASC NULLS FIRST], true", Sort),
        ("RepartitionByExpression [k#1L], 4", Shuffle),
        ("Repartition 4, true", Shuffle),
        ("GlobalLimit 5", Limit),
        (
            "Window [row_number() windowspecdefinition(k#1L, at#4 DESC NULLS LAST, specifiedwindowframe(RowFrame, "
            "unboundedpreceding$(), currentrow$())) AS n#25], [k#1L], [at#4 DESC NULLS LAST]",
            Window,
        ),
    ],
)
def test_operators(line: str, kind: type) -> None:
    """Each of Spark's operators is one of ours, over what it was over."""
    found = tree(line, READ)

    assert isinstance(found, kind)
    assert isinstance(found.child, Scan)


def test_conditions_of_a_filter() -> None:
    """They are told apart; what is compared with a text is one, also where it looks like a number."""
    found = tree("Filter ((isnotnull(t#2) AND (t#2 = 5)) AND (k#1L = 5))", READ)

    assert [each.sql("duckdb") for each in found.conditions] == [
        'NOT "t#2" IS NULL',
        "\"t#2\" = '5'",
        '"k#1" = 5',
    ]


def test_a_window_has_its_keys_and_order() -> None:
    """PARTITION BY and ORDER BY stand in the expression, as they do in SQL."""
    over = "windowspecdefinition(k#1L, id#0L ASC NULLS FIRST, specifiedwindowframe(RowFrame, -1, -1))"
    found = tree(f"Window [lag(id#0L, -1, null) {over} AS p#5L], [k#1L], [id#0L ASC NULLS FIRST]", READ)

    assert [each.name for each in found.by] == ["k#1"]
    assert "PARTITION BY" in found.made["p#5"].sql()
    assert found.columns["p#5"] == "BIGINT"


def test_a_join_with_a_hint() -> None:
    """How, by which conditions, and what the user asked for."""

    def joined(line: str) -> Any:
        text = f"{line}\n:- {READ}\n+- {READ.replace('#', '#1')}"
        scans = f"{SCAN}\n{SCAN.replace('#', '#1')}"
        return read_plan(f"== Optimized Logical Plan ==\n{text}\n\n== Physical Plan ==\n{scans}\n", files).node

    inner = joined("Join Inner, (k#1L = k#11L)")
    assert isinstance(inner, Join)
    assert (inner.how, inner.hint, [each.sql() for each in inner.conditions]) == ("inner", "", ['"k#1" = "k#11"'])
    hints = {
        "rightHint=(strategy=broadcast)": "broadcast right", "leftHint=(strategy=broadcast)": "broadcast left",
        "rightHint=(strategy=merge)": "merge", "leftHint=(strategy=shuffle_hash)": "merge",
    }  # fmt: skip
    for hint, meant in hints.items():
        assert joined(f"Join LeftOuter, (k#1L = k#11L), {hint}").hint == meant
    assert [joined(f"Join {how}").how for how in ("Cross", "LeftSemi", "FullOuter")] == ["cross", "semi", "full"]


@pytest.mark.parametrize(
    "lines",
    [
        ("LogicalRDD [k#1L], false",),
        ("LocalRelation [k#1L]",),
        ("MapPartitions func, obj#5", READ),
        ("Join ExistenceJoin(exists#5), (k#1L = k#1L)", READ),
        ("Filter (k#1L >", READ),
        ("Generate stack(2, k#1L, id#0L), false, [x#5L]", READ),
        ("Relation [q#70L] parquet",),
        ("Sample 0.0, 0.1, true, 5", READ),
    ],
    ids=lambda lines: lines[0].split()[0],
)
def test_plans_that_are_not_understood(lines: tuple[str, ...]) -> None:
    """They are refused in words, whatever stands in them."""
    with pytest.raises(UnreadableError):
        tree(*lines)


@pytest.mark.parametrize("text", ["", "== Optimized Logical Plan ==\n\n== Physical Plan ==\n", "no plan at all"])
def test_texts_that_are_no_plan(text: str) -> None:
    """Another version of Spark may print anything."""
    with pytest.raises(UnreadableError):
        read_plan(text, files)
