"""`penstock layout`: how a Parquet table lies on the disk."""

from __future__ import annotations

import json

import click

from penstock.cli.main import COMMANDS
from penstock.cli.malformed import spaced

__all__ = ["layout"]


def _run(path: str, as_json: bool) -> None:
    import penstock as ps

    found = ps.layout(path)
    if as_json:
        click.echo(json.dumps(found._asdict(), indent=1, ensure_ascii=False))
        return
    counts = {name: value for name, value in found._asdict().items() if isinstance(value, int)}
    counts["below 16 MB"] = counts.pop("small")
    for name, count in counts.items():
        click.echo(f"{name:<11}  {spaced(count)}")
    if found.warning:
        click.echo(f"warning: {found.warning}", err=True)


layout = click.Command(
    "layout",
    params=[
        click.Argument(["path"]),
        click.Option(["as_json", "--json"], is_flag=True, help="Print the report as JSON."),
    ],
    callback=_run,
    help=COMMANDS["layout"],
)
