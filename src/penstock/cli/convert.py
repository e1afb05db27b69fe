"""`penstock convert`: files in, files out."""

from __future__ import annotations

from typing import Any

import click

from penstock.cli import options, words
from penstock.cli.execute import Work, execute
from penstock.cli.main import COMMANDS
from penstock.cli.verbs import files_argument
from penstock.errors import UsageError

__all__ = ["convert"]


def _run(files: tuple[str, ...], partition_by: tuple[str, ...], sort_by: tuple[str, ...], **values: Any) -> None:
    said = options.taken(values)
    if said.output is None and said.format is None and not said.plan:
        raise UsageError("convert was not told into what", "give -o PATH, or --format and a pipe")
    layout = {"partition_by": words.names(partition_by), "sort_by": sort_by}
    execute(Work("convert", lambda table: table, write=lambda _: layout), files, said)


convert = click.Command(
    "convert",
    params=[
        files_argument(),
        click.Option(
            ["--partition-by"], multiple=True, metavar="COLUMN,...", help="One folder for each value of these."
        ),
        click.Option(
            ["--sort-by"], multiple=True, metavar="EXPRESSION [desc],...", help="Write the rows in this order."
        ),
        *options.common(),
    ],
    callback=_run,
    help=COMMANDS["convert"],
)
