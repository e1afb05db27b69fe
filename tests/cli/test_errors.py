"""What goes wrong: an exit code, one line that says what, one that says what to do, and nothing on stdout."""

import gzip
import socket
import time
from pathlib import Path

import pytest

from cli.conftest import LOG

# Each wrong use with what the first and the second line must say.
WRONG = {
    "unknown column": (["top", "sales.csv", "--by", "contry"], 'no column "contry"', 'did you mean "country"? it has:'),
    "unknown column in a condition": (["where", "sales.csv", "ammount > 1"], 'no column "ammount"', '"amount"'),
    "missing file": (["top", "sale.csv", "--by", "x"], "no such file: sale.csv", 'did you mean "sales.csv"?'),
    "empty glob": (["top", "data/*.csv", "--by", "x"], "no file matches data/*.csv", "looked for in"),
    "folder without data": (["top", "empty", "--by", "x"], "no data files in empty", "the folder is empty"),
    "ragged rows": (["top", "ragged.csv", "--by", "a"], "ragged.csv, line 3 has 3 fields", "correct the line"),
    "truncated gzip": (["top", "cut.csv.gz", "--by", "a"], "cut.csv.gz", ""),
    "gzip of another name": (["where", "cut", "true"], "cut is compressed, which its name does not say", "pipe it in"),
    "wrong type": (["aggregate", "sales.csv", "x=sum(country)"], "needs numbers, and country is VARCHAR", "cast it"),
    "not a condition": (["where", "sales.csv", "amount"], "amount is no condition, it is BIGINT", "compare it"),
    "not SQL": (["where", "sales.csv", "amount >"], "this is not SQL:", ""),
    "no such function": (["where", "sales.csv", "nope(amount)"], "nope", "-v shows the SQL"),
    "unknown engine": (["top", "sales.csv", "--by", "at", "-e", "oracle"], 'engine target "oracle"', "local[4]"),
    "unknown setting": (["top", "sales.csv", "--by", "country", "--set", "wings=2"], "cannot open duckdb", "settings"),
    "half a setting": (["top", "sales.csv", "--by", "country", "--set", "memory"], "KEY=VALUE", "penstock top"),
    "unknown format": (["top", "sales.csv", "--by", "at", "--format", "xml"], "'xml' is not one of", "penstock top"),
    "unknown option": (["top", "sales.csv", "--bye", "country"], "No such option '--bye'", "penstock top"),
    "missing option": (["top", "sales.csv"], "Missing option '--by'", "penstock top [OPTIONS] FILE..."),
    "missing files": (["top", "--by", "country"], "Missing argument 'FILE...'", "penstock top"),
    "missing condition": (["where"], "Missing argument", "penstock where [OPTIONS] FILE... PREDICATE"),
    "no aggregate": (["aggregate", "sales.csv", "--by", "country"], "was given no aggregate", "name one"),
    "nothing kept": (["top", "sales.csv", "--by", "country", "-n", "0"], "n=0 keeps nothing", "positive"),
    "table to a file": (["sort", "x.csv", "--order", "at", "-o", "x", "--format", "table"], "for the screen", "csv"),
    "no order": (["sort", "sales.csv", "--order", ""], "the order is empty", "direction"),
}  # fmt: skip


@pytest.fixture(autouse=True)
def broken_files(folder):
    """Files that cannot be read as what their names say."""
    Path("empty").mkdir()
    Path("ragged.csv").write_text("a,b\n1,2\n3,4,5\n6,7\n")
    packed = gzip.compress("".join(f"{i},{i * i}\n" for i in range(50_000)).encode())
    Path("cut.csv.gz").write_bytes(packed[: len(packed) // 2])
    Path("cut").write_bytes(packed[: len(packed) // 2])


@pytest.mark.parametrize(("words", "what", "to_do"), WRONG.values(), ids=WRONG)
def test_wrong_use_is_told(penstock, words, what, to_do):
    """Exit 2, nothing on stdout, `error:` with what happened, `help:` with what to do, no trace."""
    result = penstock(*words)
    error, *help_ = result.err.splitlines()

    assert (result.code, result.out) == (2, "")
    assert error.startswith("error: ") and what in error
    assert not to_do or (help_[-1].startswith("  = help: ") and to_do in help_[-1])
    assert sum(line.startswith("  = help: ") for line in help_) <= 1 and "Traceback" not in result.err


def test_an_engine_that_fails_is_exit_1(penstock):
    """Data that breaks a computation is no wrong use: it is found while running."""
    Path("n.csv").write_text("v\n9223372036854775807\n1\n")

    result = penstock("aggregate", "n.csv", "total=sum(v)")

    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("error: running: ")


def test_verbose_shows_the_trace_and_the_sql(penstock):
    """With -v the engine's own words and the statement are there, before the same error line."""
    result = penstock("where", "sales.csv", "nope(amount)", "-v")

    assert result.code == 2
    assert result.err.startswith("Traceback") and "CatalogException" in result.err
    assert "the SQL was: SELECT" in result.err.splitlines()[-1]


def test_verbose_says_how_long_it_took(penstock):
    """-v ends with what ran, where, and the seconds."""
    result = penstock("top", "sales.csv", "--by", "country", "-v")

    assert result.err.startswith("note: top on duckdb took ")


def test_an_unreachable_master_is_told_within_seconds(penstock, java):
    """A port where nothing listens ends in one line, not in minutes of retries."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    began = time.monotonic()

    result = penstock("top", "sales.csv", "--by", "country", "-e", f"spark://127.0.0.1:{port}")

    assert time.monotonic() - began < 20
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(f"error: nothing answers at spark://127.0.0.1:{port}")


def test_a_log_of_only_malformed_lines_is_no_error(penstock):
    """Nothing is dropped silently: the lines are counted, and the result is what there is."""
    Path("x.log").write_text("nothing\nof a log\n")

    result = penstock("top", "x.log", "--by", "path")

    assert (result.code, result.lines) == (0, ["path,n", ",2"])
    assert "2 of 2 lines did not parse" in result.err


def test_the_hint_for_malformed_lines_can_be_pasted(penstock):
    """A file name with a blank is quoted for the shell in the command that is proposed."""
    Path("my access.log").write_text(LOG)

    result = penstock("top", "my access.log", "--by", "path")

    assert "penstock where 'my access.log' \"raw IS NOT NULL\"" in result.err
