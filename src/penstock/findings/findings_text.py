"""Findings as text: what was found, the user's line with carets under what is to blame, and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from penstock.findings.finding import Finding
from penstock.findings.source_lines import short, words_of

__all__ = ["text"]


def text(findings: Iterable[Finding]) -> str:
    """Findings below each other, with a last line that says where more is told."""
    found = list(findings)
    parts = ["\n".join(_told(each)) for each in found]
    if found:
        codes = ", ".join(dict.fromkeys(each.code for each in found))
        parts.append(f"note: penstock explain tells more: {codes}")
    return "\n\n".join(parts)


def _told(finding: Finding) -> Iterator[str]:
    step = f"{finding.step}: " if finding.step else ""
    yield f"warning[{finding.code}]: {step}{finding.what}"
    file, _, line = finding.place.rpartition(":")
    margin = "   "
    if file:
        words = words_of(finding.place, finding.call)
        span = words.span(finding.argument)
        number = span.line if span else int(line)
        margin = " " * (len(str(number)) + 1)
        column = f":{span.start + 1}" if span else ""
        yield f"{margin[:-1]}--> {short(file)}:{number}{column}"
        if 0 < number <= len(words.lines):
            shown = words.lines[number - 1]
            yield f"{margin}|"
            yield f"{number} | {_plain(shown)}".rstrip()
            if span:
                yield f"{margin}| {' ' * len(_plain(shown[: span.start]))}{'^' * max(1, span.end - span.start)}"
    yield from (f"{margin}= help: {fix}" for fix in finding.help)


def _plain(line: str) -> str:
    """A line without tabs, so that carets stand below what they are for."""
    return line.expandtabs(4)
