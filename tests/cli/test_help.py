"""What `penstock` says about itself, and that it is quick to say it."""

import subprocess
import sys

import pytest

from penstock import __version__
from penstock.catalog import PATTERNS
from penstock.cli.main import COMMANDS, EXAMPLES

HEAVY = {"duckdb", "_duckdb", "numpy", "pandas", "pyarrow", "pyspark", "rich", "sqlglot"}


@pytest.mark.parametrize("word", ["--help", "-h"])
def test_the_help_lists_every_verb(penstock, word):
    """Each verb stands in the help with its line."""
    said = " ".join(penstock(word).out.split())

    for name, summary in [pattern[:2] for pattern in PATTERNS] + list(COMMANDS.items()):
        assert f"{name} {summary}" in said


def test_a_bare_command_shows_examples_first(penstock):
    """`penstock` alone prints five examples, then the verbs, and is no mistake."""
    result = penstock()

    assert result.code == 0
    assert result.out.index(EXAMPLES) < result.out.index("Patterns:")
    assert len(EXAMPLES.splitlines()) == 5


def test_the_help_imports_nothing_heavy():
    """`penstock --help` loads no engine and no library that takes longer than itself."""
    program = "import sys; from penstock.cli.main import run; run(['--help']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = {module.partition(".")[0] for module in done.stdout.splitlines()[-1].split()}

    assert "click" in loaded
    assert not loaded & HEAVY


@pytest.mark.parametrize("name", [*(pattern.name for pattern in PATTERNS), *COMMANDS])
def test_every_verb_has_help(penstock, name):
    """`penstock VERB --help` says what the verb does; a pattern also says what it costs."""
    result = penstock(name, "--help")

    assert result.code == 0
    assert f"Usage: penstock {name}" in result.out
    assert ("Cost:" in result.out) == (name in {pattern.name for pattern in PATTERNS})


def test_the_version_is_the_library_s(penstock):
    """`--version` prints it."""
    assert penstock("--version").out == f"penstock {__version__}\n"


def test_an_unknown_verb_is_told_the_nearest(penstock):
    """A slip of the finger costs one more line, not a look at the manual."""
    result = penstock("tpo", "x.csv")

    assert (result.code, result.out) == (2, "")
    assert result.err.startswith('error: there is no verb "tpo"; did you mean top?\n')


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completions_are_a_script_for_the_shell(penstock, shell):
    """What it prints mentions the command and the variable that click listens to."""
    result = penstock("completions", shell)

    assert result.code == 0
    assert "_PENSTOCK_COMPLETE" in result.out
