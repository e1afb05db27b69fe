"""`penstock plan`: what a job, or a query over files, will read and move, and what it moved where it is run as well."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from penstock.cli import options
from penstock.cli.main import COMMANDS
from penstock.cli.options import engine_option, settings_option
from penstock.cli.runs import json_option

if TYPE_CHECKING:
    from penstock.engines.engine import Engine
    from penstock.engines.measures import Measures
    from penstock.jobs.job import Job
    from penstock.plans.plan import Plan

__all__ = ["plan", "planned", "show"]

#: Where a project keeps what is known of its runs; a job may say another.
HOME = Path(".penstock")


def _run(
    what: str, files: tuple[str, ...], params: tuple[str, ...], engine: str, settings: dict[str, Any],
    input_format: str | None, reading: dict[str, Any], cluster: tuple[str, ...], run: bool, as_json: bool,
    **most: str | None,
) -> None:  # fmt: skip
    import penstock as ps
    from penstock.cli import job_files
    from penstock.errors import OverBudget, UsageError
    from penstock.plans.budget import budget_of, hold_to
    from penstock.plans.history import remember

    budget = budget_of(**most)
    hardware = _hardware(cluster)
    is_job = not files and what.partition(":")[0].endswith(".py")
    if not files and not is_job:
        raise UsageError(f'"{what}" has no files', "penstock plan job.py, or penstock plan 'SELECT … FROM t' FILE…")
    job, values = (job_files.load(what), job_files.parameters(params)) if is_job else (None, {})
    with ps.connect(engine, **settings) as opened:
        table = None if job else ps.query(what, t=ps.read(list(files), input_format, engine=opened, **reading))
        found = planned(job or table, opened, hardware, **values)
        try:
            hold_to(found.steps, budget)
        except OverBudget:
            show(found, _home(job), as_json)
            raise
        if run:
            found = _after(found, opened, table) if job is None else _after_job(found, opened, job, values)
    if found.measured:
        remember(_home(job), job.name if job else what, found.engine, found.measured)
    show(found, _home(job), as_json)


def _hardware(words: Sequence[str]) -> dict[str, Any] | None:
    """What to plan for, in the words of --cluster."""
    from penstock.cli import job_files
    from penstock.errors import UsageError

    for word in words:
        name, _, value = word.partition("=")
        if not name or not value:
            raise UsageError(f'"{word}" describes no cluster', "write --cluster NAME=VALUE: --cluster machines=20")
    return job_files.parameters(words) or None


def planned(of: Any, engine: Engine, cluster: Mapping[str, Any] | None = None, **values: Any) -> Plan:
    """A plan, made beside this thread: what DuckDB makes of Ctrl-C would be taken for a sample that cannot be asked."""
    from penstock.cli.attend import attended
    from penstock.engines.engine import using
    from penstock.plans.plan import plan

    def work() -> Plan:
        with using(engine):
            return plan(of, cluster=cluster, **values)

    return attended(engine, work, task="planning")


def _after(found: Plan, engine: Engine, table: Any) -> Plan:
    """What a query did, whose rows nobody wants."""
    from penstock.cli.attend import attended

    def work() -> Measures:
        with engine.measured() as measured:
            engine.drain(table)
        return measured

    return found.beside(attended(engine, work, task="running"))


def _after_job(found: Plan, engine: Engine, job: Job, values: Mapping[str, Any]) -> Plan:
    """What a job did, as `penstock run` does it."""
    from penstock.jobs.run_folder import RunFolder
    from penstock.jobs.summary import summary

    return found.beside_run(summary(RunFolder(job.run(engine, **values).folder)))


def _home(job: Job | None) -> Path:
    return Path(job.folder) if job else HOME


def show(found: Plan, home: Path = HOME, as_json: bool = False) -> None:
    """The plan on stdout; what is a matter of talk on stderr."""
    from penstock.findings.findings_text import text
    from penstock.plans.history import hits

    click.echo(json.dumps(found.to_json(), indent=1, ensure_ascii=False) if as_json else str(found))
    for said in (text(found.findings), hits(home)):
        if said and not as_json:
            click.echo(f"\n{said}", err=True)


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
        *options.budget_options(),
        click.Option(["--run"], is_flag=True, help="Run it as well, and show what was measured beside the forecast."),
        json_option(),
    ],
    callback=_run,
    help=COMMANDS["plan"],
    epilog="Every pattern verb has --plan, which prints the same about it.",
)  # fmt: skip
