"""What the docs show happens: every example runs, every command prints what the page says, every path exists."""

from __future__ import annotations

import contextlib
import doctest
import importlib
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import penstock as ps
from penstock.engines.engine import _default

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
MODULES = sorted(
    ".".join(file.relative_to(ROOT / "src").with_suffix("").parts)
    for file in (ROOT / "src").rglob("*.py")
    if file.stem not in ("__init__", "spark")
)
FENCE = re.compile(r"^```(python|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHOWN = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A folder of its own, and no default engine left over from another example."""
    with contextlib.chdir(tmp_path):
        _default.clear()
        yield tmp_path
        _default.clear()


def page_id(page: Path) -> str:
    """The page's path in the project."""
    return page.relative_to(ROOT).as_posix()


def examples(page: Path) -> list[tuple[str, str]]:
    """The kind and the text of every block of a page that is to be run."""
    return [(kind, text) for kind, text in FENCE.findall(page.read_text()) if ">>> " in text or "$ penstock" in text]


def commands(block: str) -> Iterator[tuple[str, str]]:
    """The commands of a console block, each with what it prints."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, printed = part.partition("\n")
        while command.endswith("\\"):
            more, _, printed = printed.partition("\n")
            command = command[:-1] + more
        yield command, printed


def prints(command: str) -> str:
    """What a command line of a page writes on stdout, run by this interpreter."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "COLUMNS": "120"}
    return subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=environment).stdout


def engines_of(page: Path, request: pytest.FixtureRequest) -> None:
    """A page that runs something on Spark needs Java, as a test does."""
    if any("--engine" in text for kind, text in examples(page) if kind == "console"):
        request.getfixturevalue("java")


def outcome(runner: doctest.DocTestRunner, test: doctest.DocTest) -> None:
    """Fail with the doctest's own report."""
    report: list[str] = []
    if runner.run(test, out=report.append, clear_globs=False).failed:
        pytest.fail("".join(report), pytrace=False)


@pytest.mark.parametrize("page", [page for page in PAGES if page.exists() and examples(page)], ids=page_id)
def test_the_examples_of_a_page(page: Path, elsewhere: Path, request: pytest.FixtureRequest) -> None:
    """The blocks of a page run one after another in one folder, and give what the page shows."""
    engines_of(page, request)
    runner = doctest.DocTestRunner(optionflags=SHOWN)
    globs: dict[str, object] = {}
    for number, (kind, block) in enumerate(examples(page)):
        if kind == "python":
            test = doctest.DocTestParser().get_doctest(block, globs, f"{page.name}-{number}", str(page), 0)
            outcome(runner, test)
            globs = test.globs
            continue
        for command, printed in commands(block):
            assert shlex.split(command), block
            assert prints(command).rstrip() == printed.rstrip(), command


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module(name: str, elsewhere: Path) -> None:
    """Every example in a docstring gives what it shows."""
    module = importlib.import_module(name)
    runner = doctest.DocTestRunner(optionflags=SHOWN)
    for test in doctest.DocTestFinder(exclude_empty=True).find(module, extraglobs={"ps": ps}):
        outcome(runner, test)


def test_there_are_examples() -> None:
    """The tests above cannot pass on nothing."""
    assert sum(len(examples(page)) for page in PAGES) >= 30
    assert len(MODULES) >= 25
    assert {page.stem for page in PAGES} >= {"README", "quickstart", "semantics", "spark", "errors", "top_n"}


def test_paths_that_the_docs_name_exist() -> None:
    """A link or a path of the project in the docs leads somewhere."""
    missing = []
    for page in PAGES:
        text = page.read_text()
        links = [link for link in re.findall(r"\]\(([^)#\s]+)", text) if "://" not in link]
        missing += [f"{page_id(page)}: {link}" for link in links if not (page.parent / link).exists()]
        named = re.findall(r"`((?:src|tests|bench|docs|examples)/[\w./-]+\.\w+)`", text)
        missing += [f"{page_id(page)}: {path}" for path in named if not (ROOT / path).exists()]

    assert missing == []


def test_the_table_of_patterns_is_the_catalog() -> None:
    """docs/patterns/README.md links every pattern's page."""
    from penstock.catalog import PATTERNS

    table = (ROOT / "docs" / "patterns" / "README.md").read_text()

    for pattern in PATTERNS:
        assert f"[{pattern.name}]({pattern.name}.md)" in table.replace("`", "")
