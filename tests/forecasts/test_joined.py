"""Joins of samples whose keys come often: what they make is told, and is not made."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

import penstock as ps
from penstock.forecasts import flows, joined


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("SELECT a.id FROM t AS a JOIN t AS b USING (page)", 40_000 * 400),
        ("SELECT a.id FROM t AS a LEFT JOIN t AS b ON a.page = b.page", 40_000 * 400),
        ("SELECT a.id FROM t AS a JOIN t AS b USING (page) JOIN t AS c USING (page)", 40_000 * 400 * 400),
        ("SELECT a.id FROM t AS a JOIN t AS b ON a.page = b.page AND a.id < b.id", 40_000 * 399 // 2),
    ],
    ids=["twice", "left", "three times", "and more"],
)
def test_what_explodes_is_told_and_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, query: str, rows: int
) -> None:
    """Where keys come 400 times on both sides, rows are within 15 %, of an answer that is no larger than `EQUAL`."""
    duckdb.sql(f"COPY (SELECT i AS id, i % 100 AS page FROM range(40_000) r(i)) TO '{tmp_path}/t.parquet'")
    monkeypatch.setattr(joined, "EQUAL", 50_000)
    answers: list[int] = []

    def counted(question: str) -> pa.Table:
        answers.append((found := ask(question)).num_rows)
        return found

    ask = flows.ask
    monkeypatch.setattr(flows, "ask", counted)

    found = ps.plan(ps.query(query, t=ps.read(f"{tmp_path}/t.parquet")))

    last = [step for step in found.steps if "join" in step.name][-1]
    assert last.rows.mid == pytest.approx(rows, rel=0.15)
    assert max(answers) <= 1.2 * 50_000
