"""The options that every verb has."""

from __future__ import annotations

from typing import Any, NamedTuple

import click

from penstock.cli import config
from penstock.engines import files
from penstock.errors import UsageError

__all__ = [
    "FORMATS", "Options", "budget_options", "common", "engine_option", "reading_options", "settings_option", "taken",
]  # fmt: skip

FORMATS = ("table", "csv", "ndjson", "parquet", "arrow")
MODES = ("error", "append", "overwrite", "overwrite_partitions")


class Options(NamedTuple):
    """What was said on the command line besides the verb's own words."""

    engine: str
    settings: dict[str, str | bool]
    input_format: str | None
    reading: dict[str, str | bool]
    output: str | None
    mode: str
    format: str | None
    plan: bool
    quiet: bool
    verbose: bool

    @property
    def to_files(self) -> bool:
        """Whether the result goes to files, not to standard output."""
        return self.output not in (None, "-")


def common() -> list[click.Parameter]:
    """The click options behind `Options`, field by field."""
    return [
        engine_option(),
        settings_option(),
        *reading_options(),
        click.Option(["-o", "--output"], metavar="PATH", help="Write there, a file or a folder, in place of printing."),
        click.Option(
            ["--mode"], type=click.Choice(MODES), default="error", help="What to do with what is at PATH already."
        ),
        click.Option(
            ["--format"],
            type=click.Choice(FORMATS),
            default=lambda: config.value("format"),
            help="Of the result: table on a terminal, csv in a pipe, where it is not given.",
        ),
        click.Option(
            ["--plan"],
            is_flag=True,
            help="Print what it will read and move, and run nothing; -v: the engine's own plan.",
        ),
        click.Option(["-q", "--quiet"], is_flag=True, help="Nothing on stderr but errors."),
        click.Option(["-v", "--verbose"], is_flag=True, help="What ran, how long, and where errors come from."),
    ]


def engine_option() -> click.Option:
    """Where to work."""
    return click.Option(
        ["-e", "--engine"],
        metavar="TARGET",
        envvar="PENSTOCK_ENGINE",
        default=lambda: config.value("engine") or "duckdb",
        help="duckdb, duckdb:///file.db, spark, local[4], spark://host:port or sc://host:port.",
    )


def reading_options() -> list[click.Option]:
    """What the files are."""
    return [
        click.Option(
            ["--input-format"],
            type=click.Choice([*files.FORMATS, "ndjson"]),
            help="What the files are, where names do not tell.",
        ),
        click.Option(
            ["reading", "--read"],
            multiple=True,
            metavar="KEY=VALUE",
            callback=_pairs,
            help="An option of the reader: delimiter=;, header=false, null=NA.",
        ),
    ]


def budget_options() -> list[click.Option]:
    """What a plan may cost at most."""
    return [
        click.Option(["--max-moved"], metavar="SIZE", help="Exit with 5 where more bytes would be moved."),
        click.Option(["--max-memory"], metavar="SIZE", help="Exit with 5 where a task would hold more bytes."),
        click.Option(["--max-files"], metavar="N", help="Exit with 5 where more files would be written."),
    ]


def settings_option() -> click.Option:
    """How to work."""
    return click.Option(
        ["settings", "--set"],
        multiple=True,
        metavar="KEY=VALUE",
        callback=_pairs,
        help="A setting of the engine: memory=8GB, threads=4, scratch=/fast/disk, or one of its own.",
    )


def _pairs(_: click.Context, __: click.Parameter, words: tuple[str, ...]) -> dict[str, str | bool]:
    given = dict(word.partition("=")[::2] for word in words)
    if "" in given or "" in given.values():
        raise click.BadParameter("write it as KEY=VALUE")
    return {key: {"true": True, "false": False}.get(value, value) for key, value in given.items()}


def taken(values: dict[str, Any]) -> Options:
    """Take the common options out of what click parsed; the verb's own words stay."""
    options = Options(**{field: values.pop(field) for field in Options._fields})
    if options.to_files and options.format == "table":
        raise UsageError("a table is for the screen, not for files", "choose --format csv, ndjson, parquet or arrow")
    return options
