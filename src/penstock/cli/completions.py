"""`penstock completions`: the script that a shell needs to complete verbs and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from penstock.cli.main import COMMANDS, cli

__all__ = ["completions"]

SHELLS = ("bash", "zsh", "fish")


def _run(shell: str) -> None:
    kind = get_completion_class(shell)
    click.echo(kind(cli, {}, "penstock", "_PENSTOCK_COMPLETE").source())


completions = click.Command(
    "completions",
    params=[click.Argument(["shell"], type=click.Choice(SHELLS))],
    callback=_run,
    help=COMMANDS["completions"],
    epilog='In bash: eval "$(penstock completions bash)"',
)
