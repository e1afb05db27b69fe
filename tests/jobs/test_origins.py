"""From which columns of which inputs the columns of each pattern's result come."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import penstock as ps
from penstock.engines.engine import Engine, using
from penstock.jobs.origins import Input, Origins, origins

VISITS = ("user_id", "ts", "page", "amount")


@pytest.fixture(autouse=True)
def tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, duckdb_engine: Engine) -> Iterator[None]:
    """Visits in Parquet, users in CSV, and a log; on the embedded engine, whose statements are followed."""
    monkeypatch.chdir(tmp_path)
    Path("users.csv").write_text("id,Name\n1,ann\n")
    Path("access.log").write_text('192.0.2.1 - - [01/Mar/2026:10:00:00 +0000] "GET /a HTTP/1.1" 200 10\n')
    with using(duckdb_engine):
        rows = [{"user_id": 1, "ts": "2026-03-01 10:00:00", "page": "/a", "amount": 1.5}]
        ps.write(ps.derive(ps.adopt(rows), ts="ts::TIMESTAMP"), "visits.parquet")
        yield


def visits() -> Any:
    return ps.read("visits.parquet")


def users(**options: Any) -> Any:
    return ps.read("users.csv", **options)


def found(table: Any) -> Origins:
    """The origins of a table made of these files."""
    told = origins(
        table.sql_query(),
        [
            Input("visits", frozenset(["visits.parquet"]), lambda: VISITS),
            Input("users", frozenset(["users.csv"]), lambda: ()),
        ],
    )
    assert told is not None
    return told


def columns(table: Any) -> dict[str, set[str]]:
    """For each column, the columns that it comes from, and how."""
    return {name: {f"{o.input}.{o.column} {o.way}" for o in made} for name, made in found(table).columns.items()}


def rows(table: Any) -> set[str]:
    """The columns that decide which rows there are, and how."""
    return {f"{o.input}.{o.column} {o.way}" for o in found(table).rows}


def test_a_column_that_is_passed_on_is_itself() -> None:
    """Through selections, subqueries and filters; the filter decides about rows."""
    table = ps.where(ps.query("SELECT page, amount AS paid FROM t", t=visits()), "paid > 1")

    assert columns(table) == {"page": {"visits.page IDENTITY"}, "paid": {"visits.amount IDENTITY"}}
    assert rows(table) == {"visits.amount FILTER"}


def test_a_computed_column_comes_from_all_that_it_is_computed_from() -> None:
    """What is only asked about in a condition is marked so."""
    table = ps.derive(visits(), x="amount * user_id", y="CASE WHEN page = '/a' THEN amount END")

    assert columns(table)["x"] == {"visits.amount TRANSFORMATION", "visits.user_id TRANSFORMATION"}
    assert columns(table)["y"] == {"visits.amount TRANSFORMATION", "visits.page CONDITIONAL"}


def test_a_join_brings_columns_of_both() -> None:
    """The keys decide about rows; names are spelled as in the files."""
    table = ps.join(visits(), users(), on={"user_id": "id"})

    assert columns(table)["page"] == {"visits.page IDENTITY"}
    assert columns(table)["name"] == {"users.Name IDENTITY"}
    assert {one.split()[0] for one in rows(table)} == {"visits.user_id", "users.id"}


def test_an_aggregate_comes_from_what_it_aggregates() -> None:
    """A count of rows comes from no column."""
    table = ps.aggregate(visits(), by="page", total="sum(amount)", n="count(*)")

    assert columns(table) == {"page": {"visits.page IDENTITY"}, "total": {"visits.amount AGGREGATION"}, "n": set()}
    assert rows(table) == {"visits.page GROUP_BY"}


@pytest.mark.parametrize(
    "pattern",
    [
        lambda: ps.top_n(visits(), by="user_id", order="amount desc", n=2),
        lambda: ps.top_n(visits(), by="user_id", order="amount desc", n=1),
        lambda: ps.dedup(visits(), by="user_id", at="ts"),
        lambda: ps.dedup(visits(), by="user_id", at="ts", within="1s"),
        lambda: ps.sessionize(visits(), by="user_id", at="ts"),
        lambda: ps.sort(visits(), "amount"),
        lambda: ps.asof_join(visits(), visits(), on="user_id", at="ts"),
        lambda: ps.query("SELECT * FROM a UNION ALL BY NAME SELECT * FROM a", a=visits()),
    ],
)
def test_patterns_that_keep_rows_keep_their_columns(pattern: Callable[[], Any]) -> None:
    """Each column of the input is itself in the output."""
    told = columns(pattern())

    assert {name: told[name] for name in VISITS} == {name: {f"visits.{name} IDENTITY"} for name in VISITS}


def test_a_session_comes_from_its_key_and_time() -> None:
    """And from no other column."""
    told = columns(ps.sessionize(visits(), by="user_id", at="ts"))

    assert {one.split()[0] for one in told["session"]} == {"visits.user_id", "visits.ts"}


def test_files_that_are_read_by_way_of_arrow_are_known_by_their_columns() -> None:
    """Lines that may be malformed, beside files that the engine reads itself."""
    told = columns(ps.join(visits(), users(bad="quarantine"), on={"user_id": "id"}))

    assert told["name"] == {"users.Name IDENTITY"}
    assert told["page"] == {"visits.page IDENTITY"}


def test_files_that_are_only_read_are_known_too() -> None:
    """By way of Arrow: as a statement of their own, and as one over files of several folders."""
    import pyarrow as pa
    from pyarrow import orc

    for day in (1, 2):
        Path(f"orc/day={day}").mkdir(parents=True)
        orc.write_table(pa.table({"Amount": [day]}), f"orc/day={day}/part-0.orc")

    def alone(table: Any) -> dict[str, set[str]]:
        told = origins(table.sql_query(), [Input("it", frozenset(), lambda: ())])
        assert told is not None
        return {name: {f"{o.column} {o.way}" for o in made} for name, made in told.columns.items()}

    assert alone(ps.read("orc")) == {"amount": {"Amount IDENTITY"}, "day": {"day IDENTITY"}}
    assert alone(ps.read("access.log"))["path"] == {"path IDENTITY"}


def test_many_files_are_one_input() -> None:
    """The names of the others do not matter, whatever is in them."""
    for name in ("part-1.parquet", "part-2.parquet", "it's, '3'.parquet"):
        ps.write(visits(), f"many/{name}")
    table = ps.where(ps.read("many/*.parquet"), "page IN ('/a', '/b')")
    files = frozenset(f"many/{name}" for name in ("part-1.parquet", "part-2.parquet", "it's, '3'.parquet"))

    told = origins(table.sql_query(), [Input("many", files, lambda: VISITS)])

    assert told is not None and [tuple(one) for one in told.columns["page"]] == [("many", "page", "IDENTITY")]


def test_which_of_two_is_not_guessed() -> None:
    """Of two inputs by way of Arrow the statement does not say which is which: nothing is said of them."""
    both = ps.join(users(bad="quarantine"), ps.read("access.log"), on={"Name": "user"})
    told = origins(
        both.sql_query(),
        [
            Input("users", frozenset(["users.csv"]), lambda: ()),
            Input("log", frozenset(["access.log"]), lambda: ()),
        ],
    )

    assert told is not None and not any(told.columns.values())


def test_what_is_no_sql_has_no_origins() -> None:
    """Nor do statements that cannot be followed."""
    assert origins("SELEC FROM )", []) is None
