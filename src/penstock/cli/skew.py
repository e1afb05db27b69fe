"""`penstock skew`: which keys of files are heavy, and how uneven a shuffle by them is. It reads the key columns."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import click

from penstock.cli import options, words
from penstock.cli.main import COMMANDS
from penstock.cli.options import engine_option, settings_option
from penstock.cli.runs import json_option
from penstock.cli.verbs import files_argument

__all__ = ["skew"]


def _run(
    files: tuple[str, ...], key: tuple[str, ...], partitions: int, rows: Any, engine: str, settings: dict[str, Any],
    input_format: str | None, reading: dict[str, Any], as_json: bool,
) -> None:  # fmt: skip
    import penstock as ps
    from penstock.cli.attend import attended
    from penstock.cli.inputs import opened

    say = lambda text: click.echo(f"note: {text}", err=True)  # noqa: E731
    with ps.connect(engine, **settings) as at, opened(files, input_format, say) as inputs:
        table = ps.read(inputs.names, inputs.format, engine=at, **reading)
        wanted = _keys(key, at.columns(table))
        found = attended(at, lambda: ps.skew(table, wanted, partitions, rows=rows), task="skew")
    click.echo(json.dumps(found.to_json(), indent=1, ensure_ascii=False) if as_json else str(found))


def _keys(given: Sequence[str], columns: Iterable[str]) -> list[str] | dict[str, str]:
    """What rows meet by; a column with quotes in its name may be given by that name as it is."""
    from penstock.errors import UsageError
    from penstock.sql import quote

    there = set(columns)
    try:
        return words.keys(quote(word) if '"' in word and word in there else word for word in given)
    except UsageError as error:
        named = error.what if all(map(str.strip, given)) else "--key names no column"
        raise UsageError(named, """separate columns by commas, quote odd ones: --key 'a,"b=c"'""") from error


skew = click.Command(
    "skew",
    params=[
        files_argument(),
        click.Option(
            ["--key"],
            multiple=True,
            required=True,
            metavar="COLUMN,...|NAME=EXPRESSION",
            help="What a join or a group is by.",
        ),
        click.Option(
            ["--partitions"],
            type=click.IntRange(min=1),
            default=200,
            show_default=True,
            help="How many reducers share the rows.",
        ),
        click.Option(
            ["--rows"],
            type=click.Choice(["all", "sample"]),
            default="all",
            show_default=True,
            help="Count heavy keys exactly, or look at some 150,000 rows.",
        ),
        engine_option(),
        settings_option(),
        *options.reading_options(),
        json_option(),
    ],
    callback=_run,
    help=COMMANDS["skew"],
    epilog="What to do about it stands below, the least effort first, each with the partitions that it would leave.",
)
