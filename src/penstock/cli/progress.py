"""A run while it goes on: a tree that is drawn anew where a person looks, a line for each event where not."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import click

from penstock.amounts import amount, clock, size

__all__ = ["watching"]

Watch = Callable[[Mapping[str, Any]], None]
MOST = 7  # lines of the tree
WIDTH = 32  # letters of a stage


@contextmanager
def watching(how: str) -> Iterator[Watch]:
    """Something to be called with every event: "auto", "plain", "json" or "none"."""
    if how == "auto":
        how = "live" if sys.stderr.isatty() and sys.stdout.isatty() else "plain"
    if how == "live":
        with _live() as watch:
            yield watch
    else:
        yield {"plain": _plain, "json": _json, "none": lambda _: None}[how]


def _json(event: Mapping[str, Any]) -> None:
    click.echo(json.dumps(event, ensure_ascii=False, default=str), err=True)


def _plain(event: Mapping[str, Any]) -> None:
    """One line for what has ended."""
    kind, step = event["event"], event.get("step")
    if kind == "step_finished":
        said = [f"step={step}", f"rows={event.get('rows', '-')}", f"bytes={event.get('bytes', '-')}"]
        said += [f"quarantined={event['quarantined']}"] if event.get("quarantined") else []
        click.echo(" ".join([*said, f"s={event['seconds']}"]), err=True)
    elif kind == "step_failed":
        click.echo(f"step={step} failed attempt={event['attempt']} error={json.dumps(event['error'])}", err=True)
    elif kind == "step_retried":
        click.echo(f"step={step} retry_in={event['in_seconds']}", err=True)
    elif kind == "step_skipped":
        click.echo(f"step={step} skipped because={','.join(event['because'])}", err=True)
    elif kind == "step_reused":
        click.echo(f"step={step} reused from={event['run_of']}", err=True)


@contextmanager
def _live() -> Iterator[Watch]:
    from rich.console import Console
    from rich.live import Live

    tree = _Tree()
    with Live(get_renderable=tree.drawn, console=Console(stderr=True), refresh_per_second=8, transient=True):
        yield tree.take


class _Tree:
    """The steps of a run, and how far each is."""

    def __init__(self) -> None:
        self.title = "starting"
        self.began = time.monotonic()
        self.lines: dict[str, dict[str, Any]] = {}

    def take(self, event: Mapping[str, Any]) -> None:
        """Take an event in."""
        kind, step = event["event"], event.get("step")
        if kind == "run_started":
            self.title = f"{event['job']} · run {event['run']} · {event['engine']}"
            self.lines = {
                s["step"]: s | {"mark": "·" if s["state"] in ("stale", "pending") else "="} for s in event["stages"]
            }
        elif kind == "progress":
            for name, at in event["running"].items():
                self.lines[name] |= at | {"mark": "*"}
        elif step:
            marks = {
                "step_finished": "✓",
                "step_failed": "✗",
                "step_skipped": "-",
                "step_reused": "=",
                "step_retried": "↻",
            }
            self.lines.setdefault(step, {"step": step})
            self.lines[step] |= dict(event) | {"mark": marks.get(kind, "*")}

    def drawn(self) -> Any:
        """The tree as it is now. Of a long one, what is at work and what is next to it."""
        from rich.text import Text

        shown = list(self.lines.values())
        if len(shown) > MOST - 2:
            at_work = next((i for i, line in enumerate(shown) if line["mark"] in "*·"), len(shown))
            first = max(0, min(at_work - 2, len(shown) - (MOST - 2)))
            shown = shown[first : first + MOST - 2]
        head = f"{self.title} · {clock(time.monotonic() - self.began)} so far"
        foot = "   Ctrl-C stops; the same command goes on from there"
        return Text("\n".join([head, *map(_line, shown), foot]))


def _line(line: Mapping[str, Any]) -> str:
    name = " > ".join(line.get("members") or [line["step"]])
    shown = name if len(name) <= WIDTH else f"… {name[2 - WIDTH :]}"  # the step that is written down stands last
    said = f" {line['mark']} {shown:<{WIDTH}}"
    if line["mark"] == "✓":
        return f"{said} {amount(line.get('rows')):>14} rows {size(line.get('bytes')):>9} {clock(line['seconds']):>7}"
    if line["mark"] == "*":
        share = line.get("share")
        bar = f"{'━' * round(20 * share):<20} {share:4.0%}" if share is not None else f"{'working':<25}"
        return f"{said} {bar} {clock(line.get('seconds', 0)):>7}"
    if line["mark"] == "=":
        return f"{said} done before"
    return f"{said} {line.get('error', '') if line['mark'] in '✗↻' else ''}".rstrip()
