"""`penstock skew`: heavy keys of files, from the command line."""

import json
from pathlib import Path

import pytest

ANSWERS = "user,answer\n" + "anonymous,late\n" * 60 + "".join(f"u{i},soon\n" for i in range(40))


@pytest.fixture(autouse=True)
def answers(folder):
    """A file in which six rows in ten are of one key."""
    Path("answers.csv").write_text(ANSWERS)


def test_the_heavy_key_of_a_file(penstock):
    """It is named with its share on standard output, with what to do below."""
    result = penstock("skew", "answers.csv", "--key", "user", "--partitions", "4")

    assert (result.code, result.err) == (0, "")
    assert result.lines[0] == "skew of user · =100 rows, =41 keys · 4 partitions · duckdb"
    assert result.lines[3].split()[:3] == ['"anonymous"', "=60", "=60.00%"]
    assert "user IS DISTINCT FROM 'anonymous'" in result.out


def test_the_report_as_json(penstock):
    """`--json` prints the figures with their basis; keys may be several, and computed."""
    result = penstock("skew", "answers.csv", "--key", "answer", "--key", "short=length(user) < 3", "--json")

    found = json.loads(result.out)
    assert (found["key"], found["partitions"]) == (["answer", "short"], 200)
    assert found["heavy"][0]["key"] == {"answer": "late", "short": False}
    assert found["heavy"][0]["share"] == {"low": 0.6, "mid": 0.6, "high": 0.6, "basis": "exact"}


def test_standard_input(penstock):
    """`-` is a file like any other."""
    result = penstock("skew", "-", "--key", "user", "--rows", "sample", "--json", stdin=ANSWERS)

    assert json.loads(result.out)["rows"]["mid"] == 100
    assert result.err == "note: reading standard input as csv; --input-format says otherwise\n"


def test_a_column_that_is_not_there(penstock):
    """The nearest one is named, and nothing ran."""
    result = penstock("skew", "answers.csv", "--key", "usr")

    assert (result.code, result.out) == (2, "")
    assert 'error: no column "usr" in the table' in result.err
    assert 'did you mean "user"?' in result.err


def test_a_key_without_a_name(penstock):
    """The error speaks of the option that there is."""
    result = penstock("skew", "answers.csv", "--key", "")

    assert result.code == 2
    assert "error: --key names no column" in result.err
    assert "--by" not in result.err


@pytest.mark.parametrize("key", ['the "user"', '"the ""user"""'])
def test_a_column_with_quotes_in_its_name(penstock, key):
    """It may be given by its plain name as well as in quotes."""
    Path("quoted.csv").write_text('"the ""user""",n\na,1\na,2\nb,3\n')

    result = penstock("skew", "quoted.csv", "--key", key, "--json")

    assert json.loads(result.out)["key"] == ['the "user"']


@pytest.mark.parametrize("words", [["--partitions", "0", "--key", "user"], [], ["--key", ","]])
def test_wrong_words(penstock, words):
    """No key, or no partition, is wrong use."""
    assert penstock("skew", "answers.csv", *words).code == 2
