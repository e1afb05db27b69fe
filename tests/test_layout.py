"""The house stays in order: one stem everywhere, imports one way, light to import."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import penstock as ps
from penstock.catalog import PATTERNS

ROOT = Path(__file__).parent.parent
SRC = ROOT / "src" / "penstock"
FILES = sorted(SRC.rglob("*.py"))
STEMS = {pattern.name for pattern in PATTERNS}

#: Lowest first: a room imports from its own and the ones before it.
ORDER = (
    ("amounts", "errors", "figures", "made"),
    ("exchange",),
    ("dialect", "sql"),
    ("engines",),
    ("tables",),
    ("addresses", "aggregates", "runs", "salting", "samples", "sides", "testing", "threads"),
    ("patterns", "lake"),
    ("trees",),
    ("optimising", "queries"),
    ("forecasts",),
    ("skews",),
    ("estimates", "findings"),
    ("jobs", "plans"),
    ("catalog", "cli"),
)
RANK = {room: rank for rank, rooms in enumerate(ORDER) for room in rooms}


def room(file: Path) -> str:
    """The first name below the package."""
    return file.relative_to(SRC).parts[0].removesuffix(".py")


def imported(file: Path) -> Iterator[str]:
    """The modules that a file imports, wherever in it, but not those that only its type checker sees."""
    tree = ast.parse(file.read_text())
    unseen = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and getattr(block.test, "id", "") == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if id(node) in unseen:
            continue
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "penstock":
            yield from (f"penstock.{name.name}" for name in node.names if name.name in RANK)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize(
    ("folder", "prefix", "ending"),
    [
        ("src/penstock/patterns", "", ".py"),
        ("tests/patterns", "test_", ".py"),
        ("docs/patterns", "", ".md"),
        ("bench/patterns", "", ".py"),
    ],
)
def test_one_stem_everywhere(folder: str, prefix: str, ending: str) -> None:
    """A pattern has a file of its name in every folder that is about patterns, and no other file is there."""
    names = {file.name for file in (ROOT / folder).glob(f"*{ending}")} - {"__init__.py", "README.md", "conftest.py"}

    assert names == {f"{prefix}{stem}{ending}" for stem in STEMS}


def test_every_pattern_is_public_under_its_name() -> None:
    """`ps.<stem>` is the function of that name in the file of that name, and has an oracle."""
    import oracles

    for stem in STEMS:
        assert getattr(ps, stem).__module__ == f"penstock.patterns.{stem}"
        assert stem in ("where", "derive") or callable(getattr(oracles, stem))


def test_imports_flow_one_way() -> None:
    """No room imports from one that comes after it."""
    print("\n".join(" ".join(rooms) for rooms in ORDER))
    wrong = [
        f"{file.relative_to(SRC)} imports {name}"
        for file in FILES
        if file.name != "__init__.py" or file.parent != SRC
        for name in imported(file)
        if name.startswith("penstock.") and RANK[name.split(".")[1]] > RANK[room(file)]
    ]

    assert len(FILES) >= 30
    assert wrong == []


@pytest.mark.parametrize(
    ("package", "homes"),
    [
        ("pyspark", ["spark.py", "spark_errors.py"]),
        ("py4j", ["spark.py", "spark_errors.py"]),
        ("duckdb", ["asking.py", "duckdb.py", "text_files.py"]),
    ],
)
def test_an_engine_is_imported_in_its_own_rooms(package: str, homes: list[str]) -> None:
    """Everything else goes through the verbs of `Engine`; the bench and the tests are outside."""
    users = [
        file.name
        for file in FILES
        if room(file) != "cli" and any(name.split(".")[0] == package for name in imported(file))
    ]

    assert users == homes


def test_engines_know_no_pattern_and_patterns_name_no_engine_file() -> None:
    """The two meet in `tables` only."""
    for file in FILES:
        names = set(imported(file))
        if room(file) == "engines":
            assert not any(name.startswith(("penstock.patterns", "penstock.lake")) for name in names), file
        if room(file) == "patterns":
            assert not any(name.startswith("penstock.engines") for name in names), file


def test_importing_penstock_loads_no_engine() -> None:
    """`import penstock` and the help of the command line need none of the heavy packages."""
    heavy = "{'duckdb', 'pyspark', 'pyarrow', 'sqlglot', 'numpy'} & set(sys.modules)"
    code = f"import sys, penstock, penstock.cli.main; print(sorted({heavy}))"

    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert found.stdout.strip() == "[]"


def test_the_public_names_are_sorted_and_agree() -> None:
    """`__all__`, where each name lives, and what type checkers are told are the same names."""
    tree = ast.parse((SRC / "__init__.py").read_text())
    told = {
        name.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("penstock.")
        for name in node.names
    }

    assert ps.__all__ == sorted(ps.__all__)
    assert set(ps.__all__) == set(ps._HOMES) == told
    assert all(hasattr(ps, name) for name in ps.__all__)


def test_no_dumping_rooms_and_no_long_files() -> None:
    """Every file is about one subject: none is called utils, and none is longer than 400 lines."""
    names = {file.stem for file in FILES} | {file.parent.name for file in FILES}
    long = {str(file): lines for file in FILES if (lines := len(file.read_text().splitlines())) > 400}

    assert not names & {"utils", "util", "misc", "base", "common", "helpers"}
    assert long == {}


def test_user_input_is_never_checked_by_assert() -> None:
    """`python -O` drops asserts; the package raises errors of its own tree."""
    found = [
        str(file) for file in FILES for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Assert)
    ]

    assert found == []


@pytest.mark.parametrize("stem", sorted(STEMS))
def test_a_pattern_says_what_it_costs(stem: str) -> None:
    """Every pattern's docstring has the sections that users look for."""
    text = getattr(ps, stem).__doc__

    for section in ("Args:", "Returns:", "Cost:", "Ties and nulls:", "Raises:", "Example:"):
        assert f"\n    {section}\n" in text
    assert "Spark: " in text
    assert "DuckDB: " in text
