"""`penstock plan`: what a job, or a query over files, will read and move. Nothing of it runs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from penstock.cli import options
from penstock.cli.main import COMMANDS
from penstock.cli.options import engine_option, settings_option
from penstock.cli.runs import json_option

if TYPE_CHECKING:
    from penstock.plans.plan import Plan

__all__ = ["plan"]


def _run(
    what: str, files: tuple[str, ...], params: tuple[str, ...], engine: str, settings: dict[str, Any],
    input_format: str | None, reading: dict[str, Any], cluster: tuple[str, ...], as_json: bool, **most: str | None,
) -> None:  # fmt: skip
    import penstock as ps
    from penstock.amounts import bytes_of
    from penstock.cli import job_files
    from penstock.engines.engine import using
    from penstock.errors import UsageError
    from penstock.plans.budget import Budget, hold_to

    budget = Budget(
        *(bytes_of(given) if given else None for given in (most["max_moved"], most["max_memory"])),
        files=int(most["max_files"]) if most["max_files"] else None,
    )
    hardware = job_files.parameters(cluster) or None
    with ps.connect(engine, **settings) as opened:
        if files:
            table = ps.read(list(files), input_format, engine=opened, **reading)
            found = ps.plan(what, cluster=hardware, t=table)
        elif what.partition(":")[0].endswith(".py"):
            with using(opened):
                found = ps.plan(job_files.load(what), cluster=hardware, **job_files.parameters(params))
        else:
            raise UsageError(f'"{what}" has no files', "penstock plan job.py, or penstock plan 'SELECT … FROM t' FILE…")
    _show(found, as_json)
    hold_to(found.steps, budget)


def _show(found: Plan, as_json: bool) -> None:
    click.echo(json.dumps(found.to_json(), indent=1, ensure_ascii=False) if as_json else str(found))


plan = click.Command(
    "plan",
    params=[
        click.Argument(
            ["what"], metavar="JOB.py[:NAME]|SQL",
            help="A job, or one SELECT in DuckDB's dialect; the files are the table t.",
        ),
        click.Argument(["files"], nargs=-1, metavar="[FILE...]", help="Files, globs or folders, for SQL."),
        click.Option(
            ["params", "-p", "--param"], multiple=True, metavar="NAME=VALUE", help="A parameter of the job.",
        ),
        engine_option(),
        settings_option(),
        *options.reading_options(),
        click.Option(
            ["--cluster"], multiple=True, metavar="NAME=VALUE",
            help="What to plan for: machines=20 cores=16 memory=64GB reducers=400; else the engine's own.",
        ),
        click.Option(["--max-moved"], metavar="SIZE", help="Exit with 5 where more bytes would be moved."),
        click.Option(["--max-memory"], metavar="SIZE", help="Exit with 5 where a task would hold more bytes."),
        click.Option(["--max-files"], metavar="N", help="Exit with 5 where more files would be written."),
        json_option(),
    ],
    callback=_run,
    help=COMMANDS["plan"],
    epilog="Every pattern verb has --plan, which prints the same about it.",
)  # fmt: skip
