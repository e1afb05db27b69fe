"""`penstock runs`, `show` and `diff`: the runs that there were."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from penstock.amounts import aligned, amount, clock
from penstock.cli.main import COMMANDS

__all__ = ["diff", "folder_option", "json_option", "runs", "show"]


def folder_option() -> click.Option:
    """Where runs are kept."""
    return click.Option(
        ["--folder"], default=".penstock", show_default=True, metavar="DIR", help="Where runs are kept."
    )


def json_option() -> click.Option:
    """The same for programs."""
    return click.Option(["as_json", "--json"], is_flag=True, help="As JSON, on stdout.")


def _runs(job: str | None, count: int, folder: str, as_json: bool) -> None:
    from penstock.jobs.run_folder import runs_of
    from penstock.jobs.summary import summary

    homes = [Path(folder, job)] if job else sorted(Path(folder).glob("[!.]*"))
    found = sorted((run for home in homes for run in runs_of(home)), key=lambda run: run.id)[-count:]
    told = [summary(run) for run in reversed(found)]
    if as_json:
        keys = ("run", "job", "status", "engine", "began", "seconds", "parameters")
        listed = [{key: one[key] for key in keys} for one in told]
        click.echo(json.dumps({"format_version": "1.0", "runs": listed}, indent=1, ensure_ascii=False, default=str))
        return
    if not told:
        click.echo(f"no runs in {folder}; penstock run job.py makes the first", err=True)
        return
    rows = [
        [one["run"], one["job"], one["status"], one["engine"] or "-", clock(one["seconds"]), _did(one), _bad(one)]
        for one in told
    ]
    head = ["run", "job", "status", "engine", "took", "steps", "quarantined"]
    click.echo("\n".join(aligned([head, *rows], right=(4, 5, 6))))


def _did(one: dict[str, Any]) -> str:
    return f"{sum(step['state'] in ('done', 'reused') for step in one['steps'])} of {len(one['steps'])}"


def _bad(one: dict[str, Any]) -> str:
    return amount(sum(step.get("quarantined", 0) for step in one["steps"]))


def _show(run: str, folder: str, as_json: bool) -> None:
    from penstock.cli.report import report
    from penstock.jobs.run_folder import find
    from penstock.jobs.summary import summary

    found = summary(find(Path(folder), run))
    click.echo(json.dumps(found, indent=1, ensure_ascii=False, default=str) if as_json else report(found))


def _diff(one: str, other: str, folder: str, as_json: bool) -> None:
    from penstock.jobs.run_folder import find
    from penstock.jobs.summary import differences

    first, second = find(Path(folder), one), find(Path(folder), other)
    found = differences(first, second)
    if as_json:
        told = {"format_version": "1.0", "one": first.id, "other": second.id, "differences": found}
        click.echo(json.dumps(told, indent=1, ensure_ascii=False, default=str))
    elif not found:
        click.echo(f"{first.id} and {second.id} did the same", err=True)
    else:
        rows = [[d["step"], d["what"], str(d["one"]), str(d["other"])] for d in found]
        click.echo("\n".join(aligned([["step", "what", first.id, second.id], *rows])))


_RUN = "RUN"
runs = click.Command(
    "runs",
    params=[
        click.Argument(["job"], required=False),
        click.Option(["count", "-n"], type=int, default=20, show_default=True, help="How many, the newest first."),
        folder_option(),
        json_option(),
    ],
    callback=_runs,
    help=COMMANDS["runs"],
)
show = click.Command(
    "show",
    params=[click.Argument(["run"], default="last", metavar=_RUN), folder_option(), json_option()],
    callback=_show,
    help=COMMANDS["show"],
)
diff = click.Command(
    "diff",
    params=[
        click.Argument(["one"], metavar=_RUN), click.Argument(["other"], metavar=_RUN), folder_option(), json_option(),
    ],
    callback=_diff,
    help=COMMANDS["diff"],
)  # fmt: skip
