"""Tables and common table expressions written where a statement uses them."""

from __future__ import annotations

import pytest

from penstock.engines.ctes import in_place

TABLES = {"a": "<a>", "b c": "<b c>"}


@pytest.mark.parametrize(
    ("statement", "written"),
    [
        ("SELECT a.x FROM A JOIN `b c` AS d ON a.x = d.x", "SELECT a.x FROM <a> AS A JOIN <b c> AS d ON a.x = d.x"),
        ("WITH a AS (SELECT * FROM a) SELECT * FROM a", "SELECT * FROM (SELECT * FROM <a> AS a) AS a"),
        (
            "WITH c AS (SELECT 1 AS x), d AS (WITH c AS (FROM a) SELECT * FROM c) SELECT * FROM c, d",
            "SELECT * FROM (SELECT 1 AS x) AS c, (SELECT * FROM (FROM <a> AS a) AS c) AS d",
        ),
        (
            "SELECT 'FROM a {' FROM other WHERE x IN (WITH c AS (SELECT x FROM a) SELECT max(x) FROM c AS d)",
            "SELECT 'FROM a {' FROM other WHERE x IN (SELECT max(x) FROM (SELECT x FROM <a> AS a) AS d)",
        ),
        (
            "WITH c AS (FROM a) SELECT /*+ BROADCAST(c) */ * FROM c",
            "SELECT /*+ BROADCAST(c) */ * FROM (FROM <a> AS a) AS c",
        ),
    ],
)  # fmt: skip
def test_tables_are_written_in_their_places(statement: str, written: str) -> None:
    """A name stands for the nearest expression of that name before it, else for a table; other text stays as it is."""
    assert in_place(statement, TABLES) == written


@pytest.mark.parametrize(
    "statement",
    [
        "WITH c AS (SELECT rand() AS x) SELECT * FROM c JOIN c AS d USING (x)",
        "WITH c(x) AS (SELECT 1) SELECT * FROM c",
        "WITH RECURSIVE c AS (SELECT 1 UNION ALL SELECT * FROM c) SELECT * FROM c",
        "SELECT * FROM a TABLESAMPLE (3 ROWS)",
        "SELECT FROM",
        f"WITH c0 AS (FROM a), {', '.join(f'c{i + 1} AS (FROM c{i}, c{i} AS d)' for i in range(30))} FROM c30",
    ],
)
def test_some_statements_keep_their_expressions(statement: str) -> None:
    """Chances that would be drawn twice, what has no one place, and text that would grow without end, are left."""
    assert in_place(statement, TABLES) is None
