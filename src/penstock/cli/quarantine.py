"""`penstock quarantine`: the rows that checks refused, and the way to feed them in again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from penstock.amounts import amount
from penstock.cli.main import COMMANDS
from penstock.cli.options import FORMATS
from penstock.cli.runs import folder_option, json_option
from penstock.errors import OutputError, UsageError

if TYPE_CHECKING:
    from penstock.engines.engine import Engine
    from penstock.jobs.run_folder import RunFolder

__all__ = ["quarantine"]


def _quarantine(
    run: str, step: str | None, rows: int, reason: str | None, output: str | None, format: str | None, folder: str,
    as_json: bool,
) -> None:  # fmt: skip
    from penstock import sql
    from penstock.cli.output import chosen, show
    from penstock.engines.duckdb import DuckDBEngine
    from penstock.jobs.run_folder import find

    found = find(Path(folder), run)
    names = sorted(place.name for place in (found.path / "quarantine").glob("*"))
    if step and step not in names:
        raise UsageError(f'"{step}" has no quarantined rows in {found.id}', f"these have: {', '.join(names) or 'none'}")
    told = {name: _reasons(found, name) for name in names}
    if as_json:
        listed = {"format_version": "1.0", "run": found.id, "quarantined": told}
        click.echo(json.dumps(listed, indent=1, ensure_ascii=False))
        return
    if not names:
        click.echo(f"{found.id} has no quarantined rows", err=True)
        return
    if output and not step and len(names) > 1:
        raise UsageError(
            f"steps {', '.join(names)} have quarantined rows", "name one: penstock quarantine RUN STEP -o …"
        )
    with DuckDBEngine.open() as engine:
        for name in [step] if step else names:
            said = " · ".join(f"{what} {amount(n)}" for what, n in told[name].items())
            click.echo(f"{name}: {said}", err=True)
            table = engine.read(found.quarantine(name), "parquet")
            if reason:
                table = table.filter(f"list_contains(reasons, {sql.literal(reason)})")
            if output:
                _export(engine, table, output)
                click.echo(f"wrote {output}: mend it, and give it to the run as one more input", err=True)
            else:
                reader = engine.batches(table.limit(rows))
                show(reader.schema, reader, chosen(format), frozenset())


def _reasons(run: RunFolder, step: str) -> dict[str, int]:
    """How many rows break each rule; read from the rows themselves, which a failed check has as well."""
    from penstock.engines.duckdb import DuckDBEngine

    with DuckDBEngine.open() as engine:
        reasons = engine.read(run.quarantine(step), "parquet").project("unnest(reasons) AS reason")
        counted = reasons.aggregate("reason, count(*) AS n").order("n DESC, reason").fetchall()
    return dict(counted)


def _export(engine: Engine, table: Any, path: str) -> None:
    """The rows as the lines that they were, or as JSON where they parsed; a file that `ps.read` takes."""
    from penstock import sql

    given = [name for name in table.columns if name not in ("raw", "source_file", "source_line", "reasons")]
    fields = ", ".join(f"{sql.quote(name)} := {sql.quote(name)}" for name in given)
    whole = f"to_json(struct_pack({fields}))::VARCHAR"
    lines = table.project(f"coalesce(raw, {whole}) AS line" if "raw" in table.columns else f"{whole} AS line")
    try:
        with Path(path).open("x", encoding="utf-8") as file:
            for batch in engine.batches(lines):
                file.writelines(f"{line}\n" for line in batch.column(0).to_pylist())
    except FileExistsError as error:
        raise OutputError(f"{path} is there already", "name another file") from error


quarantine = click.Command(
    "quarantine",
    params=[
        click.Argument(["run"], default="last", metavar="RUN"),
        click.Argument(["step"], required=False),
        click.Option(["rows", "-n"], type=int, default=20, show_default=True, help="How many rows to show."),
        click.Option(["--format"], type=click.Choice(FORMATS), help="Of the rows that are shown."),
        click.Option(["--reason"], help="Only rows that break this rule."),
        click.Option(
            ["-o", "--output"], metavar="FILE",
            help="All of them as lines to mend and read again: JSON, or the lines that did not parse.",
        ),
        folder_option(),
        json_option(),
    ],
    callback=_quarantine,
    help=COMMANDS["quarantine"],
)  # fmt: skip
