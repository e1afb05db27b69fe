"""The command `penstock`: finds the verb, and turns whatever goes wrong into a line on stderr and an exit code.

0 done   1 the engine or a step failed   2 wrong use, nothing ran   3 a check failed   4 done in part   5 over budget
130 interrupted   141 the reader of the pipe went away
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

import click

from penstock import __version__
from penstock.catalog import PATTERNS
from penstock.errors import PenstockError

__all__ = ["COMMANDS", "cli", "main", "run"]

#: The verbs that are no patterns, each in the module of its name, or of the one that it is a part of.
COMMANDS = {
    "plan": "What a job, or a query over files, will read and move; nothing of it runs.",
    "skew": "Which keys are heavy, how uneven a shuffle by them is, and what to do.",
    "estimate": "How long a job will take that does not exist yet, on one machine and on clusters.",
    "explain": "What a finding of a plan means, or what to do when a run goes wrong.",
    "run": "Run a job, as far as it is not done.",
    "runs": "The runs that there were, the newest first.",
    "show": "What a run did.",
    "diff": "What two runs of a job did differently.",
    "quarantine": "The rows that a run's checks refused, and why.",
    "query": "SQL over files; the table is called t.",
    "convert": "Read files and write them in another format.",
    "compact": "Put the small files of a Parquet folder together.",
    "layout": "How many files a Parquet table has, how large they are, and whether they are too small.",
    "doctor": "What is installed, what this machine has, and where defaults come from.",
    "completions": "Print the script that completes verbs and options in a shell.",
}

_HOMES = {"show": "runs", "diff": "runs"}

EXAMPLES = """\
  penstock top access.log --by path -n 100
  penstock aggregate 'events/*.parquet' --by country total='sum(amount)' n='count(*)'
  penstock top_n events.parquet --by user_id --order 'ts desc' -o latest.parquet
  penstock where events.csv "amount > 100" --format ndjson | head
  cat access.log | penstock query "SELECT status, count(*) FROM t GROUP BY 1 ORDER BY 1" -
"""


class _Verbs(click.Group):
    """Loads a verb when it is called; listing them imports no engine."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [pattern.name for pattern in PATTERNS] + list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        name = cmd_name.replace("-", "_")
        found: click.Command | None = None
        if name in COMMANDS:
            found = getattr(import_module(f"penstock.cli.{_HOMES.get(name, name)}"), name)
        elif pattern := next((pattern for pattern in PATTERNS if pattern.name == name), None):
            found = import_module("penstock.cli.verbs").verb(pattern)
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], self.list_commands(ctx), n=1)
            ctx.fail(f'there is no verb "{args[0]}"' + (f"; did you mean {near[0]}?" if near else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for heading, verbs in [
            ("Patterns", [pattern[:2] for pattern in PATTERNS]),
            ("Besides", list(COMMANDS.items())),
        ]:
            with formatter.section(heading):
                formatter.write_dl(verbs)


@click.command(
    cls=_Verbs,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="penstock", message="%(prog)s %(version)s")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Batch patterns that move the fewest bytes, on DuckDB and on Apache Spark.

    Data goes to stdout, everything else to stderr. Every verb has --help.
    """
    if ctx.invoked_subcommand is None:
        click.echo(f"Examples:\n{EXAMPLES}\n{ctx.get_help()}")


def run(arguments: Sequence[str]) -> int:
    """Run a command line; the exit code."""
    try:
        # Not cli.main: it would turn a closed pipe and Ctrl-C into codes of its own.
        with cli.make_context("penstock", list(arguments)) as context:
            cli.invoke(context)
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.UsageError as error:
        usage = error.ctx.get_usage().removeprefix("Usage: ") if error.ctx else ""
        return _failed(error.format_message(), " ".join(usage.split()), 2)
    except PenstockError as error:
        _trace(error, arguments)
        sql_only = error.hint.startswith("the SQL was:") and not _verbose(arguments)
        return _failed(error.what, "-v shows the SQL" if sql_only else error.hint, error.exit_code)
    return 0


def main() -> NoReturn:
    """Run the command that the process was started with, and leave nothing behind."""
    if "_PENSTOCK_COMPLETE" in os.environ:
        cli.main(prog_name="penstock")
    signals: list[int] = []

    def stop(number: int, _: object) -> NoReturn:
        signals.append(number)
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    try:
        code = run(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        code = 128 + signal.SIGPIPE
    except BaseException as error:
        if signals or isinstance(error, KeyboardInterrupt):  # whatever an engine said when it was stopped
            click.echo("interrupted", err=True)
            code = 128 + (signals or [signal.SIGINT])[0]
        else:
            _trace(error, sys.argv)
            code = _failed(f"{type(error).__name__}: {error}", "a mistake in penstock: please report what -v shows", 1)
    if code > 128:
        os._exit(code)  # an engine may be at work yet, and closing stdout would complain of the pipe
    sys.exit(code)


def _failed(what: str, hint: str, code: int) -> int:
    click.echo(f"error: {what}", err=True)
    if hint:
        click.echo(f"  = help: {hint}", err=True)
    return code


def _trace(error: BaseException, arguments: Sequence[str]) -> None:
    if _verbose(arguments):
        import traceback

        click.echo("".join(traceback.format_exception(error)), err=True, nl=False)


def _verbose(arguments: Sequence[str]) -> bool:
    return "-v" in arguments or "--verbose" in arguments
