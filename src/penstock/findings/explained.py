"""`penstock explain`: what a finding means, and what goes wrong in a run: symptom, cause, what to do.

The texts stand in `codes/`, a file each: of a code, or of something that happens to a run. They are Markdown, so that
one can read them there, too.
"""

from __future__ import annotations

import difflib
import functools
import re
import textwrap
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any, NamedTuple

from penstock.errors import UsageError

__all__ = ["Topic", "explained", "topics"]

#: What a word of the question counts for, where it is found.
TITLE, WORDS, TEXT = 4, 3, 1
#: A topic is told beside the best one if it fits at least half as well, and so many are.
NEAR, MOST = 0.5, 3
WIDTH = 98  # of what is printed
#: Words that say nothing of what is asked.
EMPTY = frozenset(
    ["a", "an", "and", "are", "at", "by", "for", "from", "i", "in", "is", "it", "job", "my", "of", "on", "or", "spark",
     "that", "the", "to", "was", "what", "why", "with"]
)  # fmt: skip


class Topic(NamedTuple):
    """A code of a finding, or something that goes wrong in a run."""

    name: str
    """The code, or a few words with hyphens."""
    title: str
    words: tuple[str, ...]
    """Other words for it."""
    sections: Mapping[str, str]
    """Markdown by headings: Symptom, Cause, Fix, …"""

    @property
    def is_code(self) -> bool:
        """Whether it is what a plan finds."""
        return self.name.startswith("PEN")

    def to_json(self) -> dict[str, Any]:
        """As `--json` prints it."""
        kind = "finding" if self.is_code else "run"
        return {"name": self.name, "kind": kind, "title": self.title, "words": list(self.words)} | {
            "sections": dict(self.sections)
        }

    def __str__(self) -> str:
        parts = [f"{self.name}: {self.title}" if self.is_code else self.title]
        for heading, text in self.sections.items():
            parts.append(f"{heading}\n{_indented(text)}")
        return "\n\n".join(parts)


@functools.cache
def topics() -> tuple[Topic, ...]:
    """All of them, codes first.

    >>> topics()[0].name, topics()[0].title
    ('PEN201', 'a group is collected only to be added up')
    """
    found = [_read(file.name.removesuffix(".md"), file.read_text("utf-8")) for file in _files()]
    return tuple(sorted(found, key=lambda topic: (not topic.is_code, topic.name)))


def explained(question: str) -> list[Topic]:
    """The topics that a question is about, the nearest first.

    Args:
        question: A code, or words: "out of memory".

    Returns:
        One topic, or a few where several fit.

    Raises:
        UsageError: a code that there is not, or words that no topic has.

    Example:
        >>> [topic.name for topic in explained("pen203")]
        ['PEN203']
        >>> explained("stuck at 99 %")[0].title
        'a job is stuck at 99 %'
    """
    asked = question.strip()
    named = {topic.name.casefold(): topic for topic in topics()}
    if found := named.get("-".join(asked.casefold().split())):
        return [found]
    if re.fullmatch(r"(?i)pen\S*\d\S*", asked):
        codes = [topic.name for topic in topics() if topic.is_code]
        near = difflib.get_close_matches(asked.upper(), codes, n=1, cutoff=0.5)
        guess = f"did you mean {near[0]}? " if near else ""
        raise UsageError(f'there is no finding "{asked}"', f"{guess}penstock explain lists them all")
    scored = sorted(((_score(asked, topic), topic) for topic in topics()), key=lambda pair: -pair[0])
    best = scored[0][0]
    if not best:
        known = [word for topic in topics() for word in (*topic.words, topic.title)]
        near = difflib.get_close_matches(asked, known, n=1, cutoff=0.6)
        guess = f'did you mean "{near[0]}"? ' if near else ""
        raise UsageError(f'nothing is known of "{asked}"', f"{guess}penstock explain lists what is")
    return [topic for score, topic in scored if score >= NEAR * best][:MOST]


def _score(question: str, topic: Topic) -> int:
    """How well a topic fits: each word counts by the best place that it is found in, and whole phrases count twice."""
    places = (
        (TITLE, f"{topic.title} {topic.name}"),
        (WORDS, " ".join(topic.words)),
        (TEXT, f"{topic.sections.get('Symptom', '')} {topic.sections.get('Cause', '')}"),
    )
    asked = _stems(question)
    stems = [(weight, _stems(text)) for weight, text in places]
    found = sum(max((weight for weight, there in stems if stem in there), default=0) for stem in asked)
    phrase = question.casefold()
    return found * (2 if any(phrase in text.casefold() for _, text in places[:2]) else 1)


def _stems(text: str) -> set[str]:
    """The words of a text without their endings, so that `killed` finds `kill`."""
    words = set(re.findall(r"[a-z0-9_.]*[a-z0-9]", text.casefold())) - EMPTY
    return {re.sub(r"(ing|ies|ed|es|s|e|y)$", "", word) if len(word) > 4 else word for word in words}


# -- files ------------------------------------------------------------------------------------------------------------


def _files() -> Iterator[Any]:
    return (file for file in files("penstock.findings").joinpath("codes").iterdir() if file.name.endswith(".md"))


def _read(name: str, text: str) -> Topic:
    opening, *rest = re.split(r"^## (.+)\n", text, flags=re.MULTILINE)
    [title] = re.findall(r"^# (.+)$", opening, re.MULTILINE)
    words = re.findall(r"^Words: (.+)$", opening, re.MULTILINE)
    sections = dict(zip(rest[::2], (part.strip("\n") for part in rest[1::2]), strict=True))
    return Topic(name, title, tuple(words[0].split(", ")) if words else (), sections)


def _indented(text: str) -> str:
    """Paragraphs as wide as they read well; lists and code as they stand."""
    parts = []
    for part in text.split("\n\n"):
        prose = not part.startswith((" ", "-")) and not part[0].isdigit()
        lines = textwrap.wrap(" ".join(part.split()), WIDTH, break_on_hyphens=False) if prose else part.splitlines()
        parts.append("\n".join(f"  {line}".rstrip() for line in lines))
    return "\n\n".join(parts)
