"""`penstock query`: SQL over files."""

from __future__ import annotations

from typing import Any

import click

from penstock.cli import options
from penstock.cli.execute import Work, execute
from penstock.cli.main import COMMANDS
from penstock.cli.verbs import files_argument

__all__ = ["query"]


def _run(sql: str, files: tuple[str, ...], **values: Any) -> None:
    import penstock as ps

    execute(Work("query", lambda table: ps.query(sql, t=table)), files, options.taken(values))


query = click.Command(
    "query",
    params=[
        click.Argument(["sql"], metavar="SQL", help="One SELECT in DuckDB's dialect, on either engine."),
        files_argument(),
        *options.common(),
    ],
    callback=_run,
    help=COMMANDS["query"],
    epilog="Rows come in the order that the SQL asks for; without ORDER BY they have none.",
)
