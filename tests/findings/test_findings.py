"""Findings: each mistake is found where it is made, and not where it is not; what is told of it, and where."""

from __future__ import annotations

import ast
import gzip
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

import penstock as ps
from mistakes import CASES, events, made, on_paper, twice
from penstock.figures import exact
from penstock.findings import crossing, finding, joining, reading
from penstock.findings.explained import topics
from penstock.findings.finding import Finding
from penstock.findings.findings import findings
from penstock.forecasts.cluster import cluster_of
from penstock.plans.paper import Paper

ROWS = 30_000
CODES = [topic.name for topic in topics() if topic.is_code]
DOCS = Path(__file__).parent.parent.parent / "docs" / "findings.md"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same events as Parquet, csv, gzip and many small files, and a table of users."""
    folder = tmp_path_factory.mktemp("findings")
    rows = events(ROWS)
    pq.write_table(rows, folder / "events.parquet", row_group_size=3_000)
    pa.csv.write_csv(rows, folder / "events.csv")
    (folder / "events.csv.gz").write_bytes(gzip.compress((folder / "events.csv").read_bytes()))
    for name, count in (("many", 60), ("few", 10)):
        (folder / name).mkdir()
        for number in range(count):
            pq.write_table(rows.slice(number * ROWS // count, ROWS // count), folder / name / f"{number}.parquet")
    users = {"user_id": [f"u{n}" for n in range(5000)], "plan": [f"p{n % 3}" for n in range(5000)]}
    pq.write_table(pa.table(users | {"about": [f"{n:0100}" for n in range(5000)]}), folder / "users.parquet")
    return folder


@pytest.fixture
def data(files: Path) -> SimpleNamespace:
    """Tables over the files."""
    names = {"ev": "events.parquet", "csv": "events.csv", "gz": "events.csv.gz", "many": "many", "few": "few"}
    tables = {name: ps.read(str(files / file)) for name, file in (names | {"us": "users.parquet"}).items()}
    return SimpleNamespace(**tables, many_folder=files / "many")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thresholds that data of a few hundred KB reach."""
    monkeypatch.setattr(finding, "MATTERS", 20_000)
    monkeypatch.setattr(joining, "PAIRS", 1_000_000)
    monkeypatch.setattr(joining, "MANY", 100_000)
    monkeypatch.setattr(joining, "TOO_LARGE", 5_000_000)
    monkeypatch.setattr(reading, "PIECE", 100_000)
    monkeypatch.setattr(crossing, "MOST", 200_000)
    monkeypatch.setattr(crossing, "WANTED", 100_000)


def found(table: Any, **cluster: Any) -> list[Finding]:
    """The findings of a table, of one on paper, or of several as of a job's stages."""
    paper = Paper(cluster_of({"cores": 4, "memory": "8GB", **cluster}, ps.connect("duckdb")))
    tables = table if isinstance(table, list) else [table]
    nodes = [paper.placed(each(paper) if callable(each) else paper.again(each)) for each in tables]
    return findings(nodes[0], paper.forecast, *nodes[1:])


@pytest.mark.parametrize(("code", "number"), [(code, i) for code, cases in CASES.items() for i in range(len(cases))])
def test_a_mistake_is_found_and_its_sibling_is_none(data: SimpleNamespace, small: None, code: str, number: int) -> None:
    """The code is among the findings of what makes the mistake, with something to do, and not of what does not."""
    wrong, right = CASES[code][number]

    told = [each for each in found(made(wrong, data)) if each.code == code]
    assert told
    assert all(each.what and 1 <= len(each.help) <= 2 for each in told)
    assert code not in [each.code for each in found(made(right, data))]


def test_every_code_has_a_test_and_a_section_in_the_docs() -> None:
    """The codes that are explained are those that are tested here, and docs/findings.md has a section for each."""
    assert sorted([*CASES, "PEN212", "PEN217"]) == CODES
    for code in CODES:
        assert f"### {code}: " in DOCS.read_text()


@pytest.mark.parametrize("code", sorted(set(CASES) - {"PEN205", "PEN210"}))
def test_small_data_is_no_matter(data: SimpleNamespace, code: str) -> None:
    """Nothing is said of a few hundred KB but that results explode, or are left to chance."""
    for wrong, _ in CASES[code]:
        assert found(made(wrong, data)) == []


# -- settings of the cluster ------------------------------------------------------------------------------------------


def test_partitions_that_are_too_large_or_too_many(data: SimpleNamespace, small: None) -> None:
    """The number that is proposed is a multiple of the cores; between the two there is no finding."""
    table = ps.sessionize(data.ev, by="user_id", at="ts")

    def told(**cluster: Any) -> list[str]:
        return [each.help[0] for each in found(table, **cluster) if each.code == "PEN212"]

    assert told(reducers=200) == []
    [fix] = told(reducers=2)
    wanted = int(fix.rpartition(": ")[2].rstrip("})"))
    assert wanted > 2
    assert wanted % 4 == 0
    assert told(reducers=5000) == []  # adaptive execution puts them together
    assert len(told(reducers=5000, adaptive=False)) == 1


def test_a_broadcast_that_is_too_large(data: SimpleNamespace, small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A side that is sent and takes more than the driver has is found, before all that only costs."""
    table = ps.join(data.ev, data.us, "user_id")
    assert "PEN217" not in [each.code for each in found(table)]

    monkeypatch.setattr(joining, "TOO_LARGE", 100_000)
    first = found(table)[0]
    assert (first.code, first.step) == ("PEN217", "join on user_id")
    assert first.help == ('ps.join(left, right, on="user_id", strategy="shuffle")',)


# -- what is told -----------------------------------------------------------------------------------------------------


def only(code: str, told: list[Finding]) -> Finding:
    """The one finding of a code."""
    [one] = [each for each in told if each.code == code]
    return one


def test_the_heavy_key_is_named_with_its_share(data: SimpleNamespace, small: None) -> None:
    """The key, its share of the rows, what one task gets; a key that stands for no value is to be left out."""
    clicks = data.ev
    told = only("PEN203", found(ps.sessionize(clicks, by="user_id", at="ts")))

    assert told.what.startswith(
        "user_id = 'anonymous' has 30.0% of the 30.0 K rows that move by user_id: one task gets "
    )
    assert told.what.endswith(", 60 times the mean")
    assert told.help == ("""ps.where(clicks, "user_id IS DISTINCT FROM 'anonymous'")""",)
    assert (told.step, told.call, told.argument) == ("sessionize by user_id", "sessionize", "user_id")


def test_a_heavy_null_and_a_heavy_value(small: None) -> None:
    """A null key of an outer join is to be left out; a value that is one, to be divided."""
    rows = {"k": [None if i % 2 else i for i in range(20_000)], "text": [f"{i:050}" for i in range(20_000)]}
    left, right = (
        ps.adopt(pa.table(rows)),
        ps.adopt(pa.table({"k": list(range(20_000)), "v": [f"{i:060}" for i in range(20_000)]})),
    )
    outer = ps.query("SELECT l.*, r.v FROM l LEFT JOIN r ON l.k = r.k", l=left, r=right)
    told = only("PEN203", found(outer, broadcast=-1))
    assert told.help == ('ps.where(left, "k IS NOT NULL")', 'ps.join(left, right, on="k", strategy="skew")')

    uneven = ps.adopt(pa.table(rows | {"k": [7 if i % 2 else i for i in range(20_000)]}))
    told = only(
        "PEN203", found(ps.query("SELECT u.*, r.v FROM u JOIN r ON u.k = r.k", u=uneven, r=right), broadcast=-1)
    )
    assert told.what.startswith("k = 7 has 50.0% of the 20.0 K rows that move by k: ")
    assert told.help[0] == 'ps.join(left, right, on="k", strategy="skew")'


def test_a_file_in_the_order_of_its_keys_has_no_heavy_key(tmp_path: Path, small: None) -> None:
    """Where each part of a file has a few keys of its own, a key that fills a part is not taken for heavy."""
    rows = 1_000_000
    i = np.arange(rows)
    for name, key in (("sorted", i // (rows // 20)), ("mixed", np.where(i % 10 < 3, 0, i % 1000))):
        pq.write_table(
            pa.table({"k": key, "ts": pa.array(i * 1_000_000, pa.timestamp("us"))}), tmp_path / f"{name}.parquet"
        )
    sessions = {
        name: ps.sessionize(ps.read(str(tmp_path / f"{name}.parquet")), by="k", at="ts") for name in ("sorted", "mixed")
    }

    assert "PEN203" not in [each.code for each in found(sessions["sorted"])]
    assert only("PEN203", found(sessions["mixed"])).what.startswith("k = 0 has about 30.")


def test_the_most_costly_comes_first(data: SimpleNamespace, small: None) -> None:
    """Findings are in the order of what they cost, with what is not known last; the same one is told once."""
    told = found([*twice(data), ps.aggregate(data.csv, "country", n="count(*)"), data.many, data.gz])
    costs = [each.cost.mid or 0.0 for each in told]

    assert len(told) >= 4
    assert costs == sorted(costs, reverse=True)
    assert len({(each.code, each.place, each.help) for each in told}) == len(told)


def test_what_gives_other_rows_comes_before_what_costs(data: SimpleNamespace, small: None) -> None:
    """A salt by chance decides where rows go: it is told first, and why it is dangerous."""
    salted = "SELECT user_id, s, count(*) AS n FROM (SELECT *, floor(rand() * 16) AS s FROM t) GROUP BY user_id, s"
    told = found(on_paper(salted, t=data.csv))

    assert [each.code for each in told] == ["PEN210", "PEN207"]
    assert told[0].what == "rand() decides where rows go: a task that is tried again loses some and doubles others"


def test_fixes_name_the_user_s_tables(data: SimpleNamespace, small: None) -> None:
    """What the tables of a join are called on the user's line is what the fix calls them."""
    clicks, users = data.ev, ps.where(data.us, "about LIKE '%00'")
    told = only("PEN202", found(ps.join(clicks, users, on="user_id", how="left", strategy="shuffle")))
    assert told.help == ('ps.join(clicks, users, on="user_id", how="left", strategy="broadcast")',)

    visits = ps.sessionize(clicks, by="country", at="ts")
    two = [ps.aggregate(visits, "country", n="max(session)"), ps.aggregate(visits, "user_id", n="max(session)")]
    assert only("PEN208", found(two)).help == ("visits = ps.materialize(visits)",)


@pytest.mark.parametrize("code", sorted(CASES))
def test_fixes_can_be_typed(data: SimpleNamespace, small: None, code: str) -> None:
    """Each fix is Python that can be parsed, or a command."""
    for wrong, _ in CASES[code]:
        for each in found(made(wrong, data)):
            for fix in each.help:
                if not fix.startswith("penstock "):
                    ast.parse(fix.replace("…, on", "u, on").replace("(…", "(u").removeprefix("@"))


def test_the_step_of_a_job_is_named(data: SimpleNamespace, small: None) -> None:
    """In a job the finding is that of the job's step, and keeping the step is the fix."""
    paper = Paper(cluster_of({"cores": 4, "memory": "8GB"}, ps.connect("duckdb")))
    paper.step = "visits"
    one, other = (paper.placed(paper.again(each)) for each in twice(data))
    told = only("PEN208", findings(one, paper.forecast, other))

    assert told.step == "visits"
    assert told.help[0] == "@job.step(keep=True)"


def test_findings_as_json(data: SimpleNamespace, small: None) -> None:
    """A finding is a plain dict with its figure."""
    told = only("PEN206", found(data.many)).to_json()

    assert told["code"] == "PEN206"
    assert told["what"].startswith("60 files of ")
    assert told["help"] == [f"penstock compact {data.many_folder}"]
    assert told["cost"] == exact(59 * 4 * 1024 * 1024).to_json()
    assert set(told) == set(Finding._fields)


def test_what_a_pattern_does_by_itself_is_no_mistake_of_the_user(data: SimpleNamespace, small: None) -> None:
    """A pattern's own plan is not found fault with, nor are the columns told that it adds to a key."""
    assert [each.code for each in found(ps.mode(data.ev, "id", ties="all", by="country"))] == []

    told = only("PEN203", found(ps.join(data.ev, data.us, "user_id", how="full")))
    assert told.what.startswith("user_id = 'anonymous' has ")
    assert "salt" not in f"{told.what} {told.help}"


def test_a_rule_that_cannot_ask_its_sample_finds_nothing(
    data: SimpleNamespace, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where one of the rules fails, the plan does not, and the others are told."""

    def fails(_: Any) -> Any:
        raise ps.EngineError("the sample cannot be asked")
        yield

    rules = (fails, reading.small_files)
    monkeypatch.setattr("penstock.findings.findings.RULES", rules)

    assert [each.code for each in found(data.many)] == ["PEN206"]
