"""`penstock completions`: the script that a shell needs to complete verbs and options."""

from __future__ import annotations

import click
from click.shell_completion import BashComplete, FishComplete, ZshComplete

from penstock.cli.main import COMMANDS, cli

__all__ = ["completions"]

SHELLS = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}


def _run(shell: str) -> None:
    click.echo(SHELLS[shell](cli, {}, "penstock", "_PENSTOCK_COMPLETE").source())


completions = click.Command(
    "completions",
    params=[click.Argument(["shell"], type=click.Choice(list(SHELLS)))],
    callback=_run,
    help=COMMANDS["completions"],
    epilog='In bash: eval "$(penstock completions bash)"',
)
