"""`penstock explain`: what a finding means, and what to do when a run goes wrong."""

from __future__ import annotations

import json

import click

from penstock.cli.main import COMMANDS
from penstock.cli.runs import json_option
from penstock.findings.explained import Topic, explained, topics

__all__ = ["explain"]


def _run(words: tuple[str, ...], as_json: bool) -> None:
    asked = " ".join(words).strip()
    found = explained(asked) if asked else list(topics())
    if as_json:
        told = {"format_version": "1.0", "topics": [topic.to_json() for topic in found]}
        click.echo(json.dumps(told, indent=1, ensure_ascii=False))
    elif not asked:
        click.echo(_listed(found))
    else:
        click.echo(str(found[0]))
        for other in found[1:]:
            click.echo(f"see also: penstock explain {other.name}: {other.title}", err=True)


def _listed(found: list[Topic]) -> str:
    width = max(len(topic.name) for topic in found)
    lines = ["What a plan finds:"]
    for topic in found:
        if not topic.is_code and found[found.index(topic) - 1].is_code:
            lines += ["", "What goes wrong in a run:"]
        lines.append(f"  {topic.name.ljust(width)}  {topic.title}")
    return "\n".join([*lines, "", 'penstock explain PEN203, or what you see: penstock explain "out of memory"'])


explain = click.Command(
    "explain",
    params=[
        click.Argument(["words"], nargs=-1, metavar="[CODE | WORDS...]"),
        json_option(),
    ],
    callback=_run,
    help=COMMANDS["explain"],
    epilog="Without a code it lists all that there is.",
)
