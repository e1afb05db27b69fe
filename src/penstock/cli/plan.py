"""`penstock plan`: what a query over files will read and where its rows have to meet. Nothing of it runs."""

from __future__ import annotations

import json
from typing import Any

import click

from penstock.cli import options
from penstock.cli.main import COMMANDS
from penstock.cli.options import engine_option, settings_option
from penstock.cli.runs import json_option
from penstock.cli.verbs import files_argument

__all__ = ["plan"]


def _run(
    sql: str, files: tuple[str, ...], engine: str, settings: dict[str, Any], input_format: str | None,
    reading: dict[str, Any], as_json: bool,
) -> None:  # fmt: skip
    import penstock as ps

    with ps.connect(engine, **settings) as opened:
        found = ps.plan(sql, t=ps.read(list(files), input_format, engine=opened, **reading))
    click.echo(json.dumps(found.to_json(), indent=1, ensure_ascii=False) if as_json else str(found))


plan = click.Command(
    "plan",
    params=[
        click.Argument(["sql"], metavar="SQL", help="One SELECT in DuckDB's dialect; the files are the table t."),
        files_argument(),
        engine_option(),
        settings_option(),
        *options.reading_options(),
        json_option(),
    ],
    callback=_run,
    help=COMMANDS["plan"],
    epilog="Every pattern verb has --plan, which prints the same about it.",
)
