"""Every pattern as a verb: what it prints, and that its words are those of the function."""

import inspect
import json
from pathlib import Path

import click
import pytest

import penstock as ps
from penstock.catalog import PATTERNS
from penstock.cli.main import cli

COMMANDS = {
    "where": (["sales.csv", "amount > 5"], ["country,amount,at", "DE,10,2026-03-01 10:00:00", "DE,7,"]),
    "derive": (
        ["sales.csv", "half=amount / 2", "day=date_trunc('day', at)"],
        [
            "country,amount,at,half,day",
            "DE,10,2026-03-01 10:00:00,5.0,2026-03-01 00:00:00",
            "FR,5,2026-03-01 11:30:00.25,2.5,2026-03-01 00:00:00",
            "DE,7,,3.5,",
            ",1,2026-03-02 00:00:00,0.5,2026-03-02 00:00:00",
        ],
    ),
    "aggregate": (
        ["sales.csv", "--by", "country", "total=sum(amount)", "n=count(*)"],
        ["country,total,n", "DE,17,2", "FR,5,1", ",1,1"],
    ),
    "top": (["sales.csv", "--by", "country", "-n", "2"], ["country,n", "DE,2", "FR,1"]),
    "top_n": (
        ["sales.csv", "--by", "country", "--order", "amount desc"],
        ["country,amount,at", "DE,10,2026-03-01 10:00:00", "FR,5,2026-03-01 11:30:00.25", ",1,2026-03-02 00:00:00"],
    ),
    "mode": (["sales.csv", "--column", "country"], ["value,n", "DE,2"]),
    "distinct": (["sales.csv", "--columns", "country"], ["country", "DE", "FR", ""]),
    "count_distinct": (["sales.csv", "--columns", "amount", "--by", "country"], ["country,n", "DE,2", "FR,1", ",1"]),
    "sort": (
        ["short.csv", "--order", "amount"],
        ["country,amount", ",1", "FR,5", "DE,7", "DE,10"],
    ),
    "sessionize": (
        ["sales.csv", "--by", "country", "--at", "at"],
        [
            "country,amount,at,session,session_start",
            "DE,10,2026-03-01 10:00:00,1,2026-03-01 10:00:00",
            "DE,7,,,",
            "FR,5,2026-03-01 11:30:00.25,1,2026-03-01 11:30:00.25",
            ",1,2026-03-02 00:00:00,1,2026-03-02 00:00:00",
        ],
    ),
    "sessions": (
        ["sales.csv", "--by", "country", "--at", "at", "--gap", "1h", "most=max(amount)"],
        [
            "country,session,started_at,ended_at,events,most",
            "DE,1,2026-03-01 10:00:00,2026-03-01 10:00:00,1,10",
            "DE,,,,1,7",
            "FR,1,2026-03-01 11:30:00.25,2026-03-01 11:30:00.25,1,5",
            ",1,2026-03-02 00:00:00,2026-03-02 00:00:00,1,1",
        ],
    ),
    "dedup": (
        ["sales.csv", "--by", "country", "--at", "at"],
        ["country,amount,at", "DE,10,2026-03-01 10:00:00", "FR,5,2026-03-01 11:30:00.25", ",1,2026-03-02 00:00:00"],
    ),
    "join": (
        ["sales.csv", "--right", "short.csv", "--on", "country"],
        [
            "country,amount,at,amount_right",
            "DE,7,,7",
            "DE,7,,10",
            "DE,10,2026-03-01 10:00:00,7",
            "DE,10,2026-03-01 10:00:00,10",
            "FR,5,2026-03-01 11:30:00.25,5",
        ],
    ),
    "asof_join": (
        ["sales.csv", "--right", "sales.csv", "--on", "country", "--at", "at", "--tolerance", "1h"],
        [
            "country,amount,at,amount_right,at_right",
            "DE,10,2026-03-01 10:00:00,10,2026-03-01 10:00:00",
            "DE,7,,,",
            "FR,5,2026-03-01 11:30:00.25,5,2026-03-01 11:30:00.25",
            ",1,2026-03-02 00:00:00,,",
        ],
    ),
    "range_join": (
        ["sales.csv", "--right", "short.csv", "--value", "amount", "--low", "amount", "--high", "amount"],
        [
            "country,amount,at,country_right,amount_right",
            ",1,2026-03-02 00:00:00,,1",
            "FR,5,2026-03-01 11:30:00.25,FR,5",
            "DE,7,,DE,7",
            "DE,10,2026-03-01 10:00:00,DE,10",
        ],
    ),
}


@pytest.mark.parametrize("name", [pattern.name for pattern in PATTERNS])
def test_every_pattern_is_a_verb(penstock, name):
    """A verb prints what its function returns, as csv where no terminal is, and says nothing else."""
    Path("short.csv").write_text("country,amount\nDE,7\n,1\nDE,10\nFR,5\n")
    words, expected = COMMANDS[name]

    result = penstock(name, *words)

    assert (result.code, result.lines, result.err) == (0, expected, "")


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.name)
def test_the_words_of_a_verb_are_those_of_its_function(pattern):
    """Each parameter of the function, but for the table, is a word of the verb with the help of its docstring."""
    command = cli.get_command(click.Context(cli), pattern.name)
    function = getattr(ps, pattern.name)
    _, *parameters = inspect.signature(function).parameters.values()
    named = {parameter.name: parameter for parameter in command.params}

    assert len(parameters) >= 1
    for parameter in parameters:
        word = named["files" if parameter.kind is parameter.VAR_KEYWORD else parameter.name]
        said = " ".join(inspect.getdoc(function).replace("`", "").split())
        help_ = " ".join(word.help.replace("`", "").split()).split("  [default")[0].split(" [default")[0]
        assert help_.removeprefix("Files, globs, folders, or - for standard input. ") in said
        assert word.required == (
            parameter.default is parameter.empty and parameter.kind is not parameter.VAR_POSITIONAL
        )


def test_a_verb_is_spelled_with_an_underscore_or_a_hyphen(penstock):
    """`top-n` is `top_n`."""
    words, expected = COMMANDS["top_n"]

    assert penstock("top-n", *words).lines == expected


def test_keys_are_separated_by_commas_or_given_one_by_one(penstock):
    """`--by a,b` and `--by a --by b` are the same."""
    together = penstock("top", "sales.csv", "--by", "country,amount", "-n", "1")
    apart = penstock("top", "sales.csv", "--by", "country", "--by", "amount", "-n", "1")

    assert together.lines == apart.lines == ["country,amount,n", "DE,7,1"]


def test_a_key_may_be_an_expression_with_a_name(penstock):
    """`--by name=expression` groups by the expression; plain columns may stand beside it."""
    result = penstock(
        "aggregate",
        "sales.csv",
        "--by",
        "day=date_trunc('day', at)",
        "--by",
        "country",
        "n=count(*)",
        "--format",
        "ndjson",
    )

    assert result.lines[0] == '{"day": "2026-03-01 00:00:00", "country": "DE", "n": 1}'
    assert len(result.lines) == 4


def test_the_top_rows_of_a_key_come_in_their_order(penstock):
    """`top_n` prints group by group, and each group in the order that was asked for."""
    result = penstock("top_n", "sales.csv", "--by", "country", "--order", "amount desc", "-n", "2")

    assert [line.split(",")[:2] for line in result.lines[1:]] == [["DE", "10"], ["DE", "7"], ["FR", "5"], ["", "1"]]


def test_a_choice_is_a_choice(penstock):
    """A parameter with a few possible values refuses others, and names them."""
    result = penstock("mode", "sales.csv", "--column", "country", "--ties", "some")

    assert result.code == 2
    assert "least" in result.err and "all" in result.err


@pytest.mark.parametrize("name", ['a "b" c', "a,b", "a=b", "größe", "[bold]", "select", "a`b", "; drop"])
def test_a_column_may_have_any_name(penstock, tmp_path, name):
    """Quoted on the command line as in SQL, every column can be named."""
    quoted = '"' + name.replace('"', '""') + '"'
    (tmp_path / "odd.csv").write_text(f"{quoted},n2\nx,1\nx,2\ny,1\n")

    top = penstock("top", "odd.csv", "--by", quoted, "-n", "1", "--format", "ndjson")
    total = penstock("aggregate", "odd.csv", f"{quoted}=sum(n2)", "--format", "ndjson")

    assert json.loads(top.out) == {name: "x", "n": 2}
    assert json.loads(total.out) == {name: 4}


def test_columns_that_cannot_be_told_apart_are_refused(penstock):
    """A list of columns that is none says how to write one."""
    result = penstock("top", "sales.csv", "--by", "country,,amount")

    assert result.code == 2
    assert "error: country,,amount names no columns\n  = help: separate them by commas" in result.err


def test_a_file_may_look_like_a_pair(penstock, tmp_path):
    """A word such as `day=1/part.csv` is a file if there is one."""
    (tmp_path / "day=1").mkdir()
    (tmp_path / "day=1" / "part.csv").write_text("v\n1\n")

    assert penstock("aggregate", "day=1/part.csv", "day=1/part.csv", "n=count(*)").lines == ["n", "2"]


def test_an_aggregate_is_named_once(penstock):
    """Two expressions of one name are refused before anything is read."""
    result = penstock("aggregate", "sales.csv", "n=count(*)", "n=sum(amount)")

    assert (result.code, result.err.splitlines()[0]) == (2, 'error: "n" is given twice')
