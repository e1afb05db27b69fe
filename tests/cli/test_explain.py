"""`penstock explain`: what a finding means, and what goes wrong in a run."""

import ast
import json
import re

import pytest

from penstock.catalog import PATTERNS
from penstock.cli.main import COMMANDS
from penstock.findings.explained import topics

CODES = [topic for topic in topics() if topic.is_code]


def code_lines(text):
    """What stands indented in a text: Python, or commands."""
    blocks = re.findall(r"(?:^ {4,}.*\n?)+", text, re.MULTILINE)
    return [re.sub(r"^ {4,7}(?! )", "", block, flags=re.MULTILINE) for block in blocks]


@pytest.mark.parametrize("word", ["PEN203", "pen203"])
def test_a_code_is_explained(penstock, word):
    """A code in any case prints its title, the symptom, the cause, how it is found, the fix, and when to ignore it."""
    result = penstock("explain", word)

    assert (result.code, result.err) == (0, "")
    assert result.lines[0] == "PEN203: one key dominates a step that moves every row"
    headings = [line for line in result.lines[1:] if line and not line.startswith(" ")]
    assert headings == ["Symptom", "Cause", "How it is found", "Fix", "When to ignore it"]
    assert max(map(len, result.lines)) <= 120


def test_without_a_code_all_are_listed(penstock):
    """Each code and each thing that goes wrong in a run stands with its title on a line."""
    result = penstock("explain")

    assert result.code == 0
    for topic in topics():
        assert any(line.split()[:1] == [topic.name] and line.endswith(topic.title) for line in result.lines)


@pytest.mark.parametrize(
    ("words", "title"),
    [
        ("out of memory", "a task runs out of memory in a shuffle"),
        ("java.lang.OutOfMemoryError: Java heap space", "a task runs out of memory in a shuffle"),
        ("stuck at 99 %", "a job is stuck at 99 %"),
        ("executor killed by YARN", "an executor is killed"),
        ("tiny output files", "the result is thousands of tiny files"),
        ("why are reads so slow?", "reading is terribly slow"),
        ("FetchFailedException", "shuffle blocks cannot be fetched"),
        ("groupByKey", "PEN201: a group is collected only to be added up"),
        ("cartesian", "PEN205: a join makes far more rows than it is given"),
        ("spark.sql.shuffle.partitions", "PEN212: the number of shuffle partitions does not fit the bytes"),
    ],
)
def test_words_find_the_nearest_topic(penstock, words, title):
    """What a user sees leads to what it is, whether it is given as one word or as several."""
    assert penstock("explain", words).lines[0] == title
    assert penstock("explain", *words.split()).lines[0] == title


def test_other_topics_that_fit_are_named(penstock):
    """Where several fit, the first is told and the others stand on standard error."""
    result = penstock("explain", "small files")

    assert result.lines[0] == "PEN206: many small files"
    assert "see also: penstock explain tiny-output-files: the result is thousands of tiny files" in result.err


def test_the_report_as_json(penstock):
    """`--json` prints the topics with their sections; without words, all of them."""
    found = json.loads(penstock("explain", "PEN206", "--json").out)

    assert [topic["name"] for topic in found["topics"]] == ["PEN206"]
    assert "penstock compact" in found["topics"][0]["sections"]["Fix"]
    assert len(json.loads(penstock("explain", "--json").out)["topics"]) == len(topics())


@pytest.mark.parametrize(
    ("words", "hint"),
    [("PEN302", "did you mean PEN2"), ("PEN2O3", "did you mean PEN2"), ("skwe", 'did you mean "skew"?')],
)
def test_an_unknown_code_is_told_the_nearest(penstock, words, hint):
    """A slip is wrong use; the nearest code or word is named, and nothing is printed."""
    result = penstock("explain", words)

    assert (result.code, result.out) == (2, "")
    assert hint in result.err


@pytest.mark.parametrize("topic", topics(), ids=lambda topic: topic.name)
def test_every_topic_is_whole(topic):
    """Each has a symptom, a cause and a fix; its Python can be parsed, its commands and the codes in it are there."""
    assert {"Symptom", "Cause", "Fix"} <= set(topic.sections)
    verbs = {pattern.name for pattern in PATTERNS} | set(COMMANDS)
    text = "\n".join(topic.sections.values())
    for block in code_lines(text):
        if not block.startswith("penstock "):
            ast.parse(block)
    for verb in re.findall(r"(?:^ +|`)penstock (\w+)", text, re.MULTILINE):
        assert verb in verbs
    for code in re.findall(r"PEN2\d\d", text):
        assert code in {each.name for each in CODES}
