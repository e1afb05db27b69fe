"""Defaults: an option, then PENSTOCK_ENGINE, then the nearest configuration file, then ours."""

from pathlib import Path

import pytest

WORDS = ("top", "sales.csv", "--by", "country", "-n", "1")


def test_a_file_sets_the_format(penstock):
    """`penstock.toml` in the folder holds."""
    Path("penstock.toml").write_text('format = "ndjson"\n')

    assert penstock(*WORDS).lines == ['{"country": "DE", "n": 2}']


def test_pyproject_sets_it_too(penstock):
    """So does `[tool.penstock]`; a pyproject.toml without it is passed over."""
    Path("pyproject.toml").write_text('[tool.penstock]\nformat = "ndjson"\n')

    assert penstock(*WORDS).lines == ['{"country": "DE", "n": 2}']


def test_the_nearest_file_wins_alone(penstock, monkeypatch):
    """Files further up are not merged in, and penstock.toml goes before pyproject.toml beside it."""
    Path("penstock.toml").write_text('format = "ndjson"\nengine = "oracle"\n')
    Path("inner/most").mkdir(parents=True)
    Path("inner/penstock.toml").write_text('format = "csv"\n')
    Path("inner/pyproject.toml").write_text('[tool.penstock]\nformat = "ndjson"\n')
    Path("inner/most/pyproject.toml").write_text('[project]\nname = "x"\n')
    monkeypatch.chdir("inner/most")

    assert penstock("top", "../../sales.csv", *WORDS[2:]).lines == ["country,n", "DE,2"]


def test_an_option_goes_before_the_environment_and_that_before_a_file(penstock, monkeypatch):
    """Flag, then PENSTOCK_ENGINE, then the file."""
    Path("penstock.toml").write_text('engine = "from-a-file"\n')
    assert 'unknown engine target "from-a-file"' in penstock(*WORDS).err

    monkeypatch.setenv("PENSTOCK_ENGINE", "from-the-environment")
    assert 'unknown engine target "from-the-environment"' in penstock(*WORDS).err

    assert penstock(*WORDS, "-e", "duckdb").code == 0


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('motor = "duckdb"', 'has an unknown key "motor"'),
        ("engine = 4", "engine in"),
        ("[tool.penstock]\nengine = 'duckdb'", "has a table [tool]"),
        ("engine = ", "is not TOML"),
    ],
)
def test_a_mistake_in_the_file_is_told(penstock, text, what):
    """Exit 2 with the file and what is wrong in it; nothing is passed over."""
    Path("penstock.toml").write_text(text)

    result = penstock(*WORDS)

    assert result.code == 2
    assert "penstock.toml" in result.err and what in result.err


def test_the_doctor_says_where_a_default_comes_from(penstock, monkeypatch):
    """`penstock doctor` shows each value and who set it."""
    Path("penstock.toml").write_text('format = "csv"\nengine = "spark"\n')
    monkeypatch.setenv("PENSTOCK_ENGINE", "local[2]")

    said = dict(line.split(maxsplit=1) for line in penstock("doctor").lines)

    assert said["format"] == f"csv, from {Path.cwd() / 'penstock.toml'}"
    assert said["engine"] == "local[2], from PENSTOCK_ENGINE"
