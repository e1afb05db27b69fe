"""`penstock run`: a job, as far as it is not done."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from penstock.cli import config, job_files
from penstock.cli.main import COMMANDS
from penstock.cli.options import budget_options, engine_option, settings_option

if TYPE_CHECKING:
    from penstock.cli.progress import Watch
    from penstock.engines.engine import Engine
    from penstock.jobs.job import Job
    from penstock.plans.plan import Plan

__all__ = ["run"]


def _run(
    job: str, params: tuple[str, ...], select: tuple[str, ...], engine: str, settings: dict[str, Any], fresh: bool,
    wait: bool, explain: bool, as_json: bool, progress: str, lineage: str | None, metrics: str | None, quiet: bool,
    verbose: bool, **most: str | None,
) -> None:  # fmt: skip
    from penstock.engines.engine import connect
    from penstock.jobs.run_folder import RunFolder
    from penstock.jobs.runner import decided
    from penstock.jobs.summary import summary

    declared, values = job_files.load(job), job_files.parameters(params)
    chosen = list(select) or None
    if explain:
        _explain(decided(declared, resume=not fresh, select=chosen, params=values), as_json)
        return
    from penstock.cli.progress import watching
    from penstock.cli.report import report
    from penstock.plans.render import measured

    told = _told(lineage, metrics)
    intent = decided(declared, resume=not fresh, select=chosen, params=values)
    if intent.last and not intent.continues and not any(decision.runs for decision in intent.decisions):
        if told:
            declared.run(engine, resume=not fresh, select=chosen, wait=wait, watch=_all(told), **values)
        if as_json:
            click.echo(json.dumps(summary(intent.last) | {"did": []}, indent=1, ensure_ascii=False, default=str))
        elif not quiet:
            click.echo(f"{declared.name}: nothing to do, all is as run {intent.last.id} left it", err=True)
        return
    try:
        with connect(engine, **settings) as opened:
            planned = _held_to(most, declared, opened, values) if any(most.values()) else None
            with watching("none" if quiet else progress) as watch:
                shown = _all([watch, *told])
                done = declared.run(opened, resume=not fresh, select=chosen, wait=wait, watch=shown, **values)
    except KeyboardInterrupt:
        click.echo("stopped; what is done is kept, and the same command goes on from there", err=True)
        raise
    found = summary(RunFolder(done.folder)) | {"did": list(done.did)}
    if planned:
        planned = planned.beside_run(found)
        found["forecast"] = planned.measured.to_json() if planned.measured else None
    if as_json:
        click.echo(json.dumps(found, indent=1, ensure_ascii=False, default=str))
    elif not quiet:
        click.echo("\n".join([report(found), *(["", *measured(planned)] if planned else [])]), err=True)
    if done.status == "partial":
        raise click.exceptions.Exit(4)


def _held_to(most: Mapping[str, str | None], job: Job, engine: Engine, values: Mapping[str, Any]) -> Plan:
    """The plan of the job, if it is within the budget."""
    from penstock.cli.plan import planned
    from penstock.plans.budget import budget_of, hold_to

    budget = budget_of(**most)
    found = planned(job, engine, **values)
    hold_to(found.steps, budget)
    return found


def _told(lineage: str | None, metrics: str | None) -> list[Watch]:
    """What tells others of the run. Where it cannot, that is a line on stderr."""
    from penstock.jobs.lineage import emitting
    from penstock.jobs.metrics import exporting

    def complain(said: str) -> None:
        click.echo(f"warning: {said}", err=True)

    told: list[Watch] = [emitting(lineage, complain)] if lineage else []
    return [*told, exporting(metrics, complain)] if metrics else told


def _all(watches: Sequence[Watch]) -> Watch:
    """One that shows an event to several."""

    def watch(event: Mapping[str, Any]) -> None:
        for one in watches:
            one(event)

    return watch


def _explain(intent: Any, as_json: bool) -> None:
    """Print what would be done, and why."""
    from penstock.amounts import aligned

    told = [
        {
            "step": d.stage.name,
            "members": list(d.stage.members),
            "state": d.state,
            "because": d.why,
            "kept": d.stage.why,
        }
        for d in intent.decisions
    ]
    if as_json:
        click.echo(json.dumps({"format_version": "1.0", "steps": told}, indent=1, ensure_ascii=False))
        return
    rows = [[" > ".join(d["members"]), d["state"], d["because"], d["kept"]] for d in told]
    click.echo("\n".join(aligned([["step", "is", "because", "kept because"], *rows])))
    count = sum(d["state"] in ("stale", "pending") for d in told)
    left = intent.last.id if intent.last else ""
    click.echo(f"{count} of {len(told)} to do" + (f", going on with run {left}" if intent.continues else ""), err=True)


run = click.Command(
    "run",
    params=[
        click.Argument(["job"], metavar="JOB.py[:NAME]"),
        click.Option(
            ["params", "-p", "--param"], multiple=True, metavar="NAME=VALUE",
            help="A parameter; a name given several times is a list.",
        ),
        click.Option(["--select"], multiple=True, metavar="STEP", help="Only this step and what it needs."),
        click.Option(["--fresh"], is_flag=True, help="Do all anew, whatever earlier runs have done."),
        click.Option(["--wait"], is_flag=True, help="Wait for another run of the job to end; else that is an error."),
        click.Option(["--explain"], is_flag=True, help="Say what would be done and why, and run nothing."),
        engine_option(),
        settings_option(),
        *budget_options(),
        click.Option(["as_json", "--json"], is_flag=True, help="The summary as JSON, on stdout."),
        click.Option(
            ["--progress"], type=click.Choice(["auto", "plain", "json", "none"]), default="auto",
            help="On stderr: a tree on a terminal, lines elsewhere, or NDJSON.",
        ),
        click.Option(
            ["--lineage"], metavar="FILE|URL", default=lambda: config.value("lineage"),
            help="Emit OpenLineage events: append them to a file, or post them to an http(s) server.",
        ),
        click.Option(
            ["--metrics"], metavar="FILE.prom", default=lambda: config.value("metrics"),
            help="Write metrics for Prometheus's node exporter at the end.",
        ),
        click.Option(["-q", "--quiet"], is_flag=True, help="Nothing on stderr but errors."),
        click.Option(["-v", "--verbose"], is_flag=True, help="Where errors come from."),
    ],
    callback=_run,
    help=COMMANDS["run"],
)  # fmt: skip
