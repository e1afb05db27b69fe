"""What every verb does once it is parsed: open an engine, read, apply the function, and print, write or explain."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from penstock.cli.attend import attended
from penstock.cli.options import Options

if TYPE_CHECKING:
    import pyarrow as pa

    from penstock.cli.inputs import Inputs
    from penstock.engines.engine import Engine, Table

__all__ = ["Work", "execute", "note"]


class Work(NamedTuple):
    """What a verb wants done with the table that it read."""

    name: str
    apply: Callable[[Table], Table]
    in_order: Callable[[Table, Inputs], Table] = lambda result, _: result
    """The result in the order that it is printed in."""
    summed: frozenset[str] = frozenset()
    """Columns of floats that were added up."""
    write: Callable[[Table], dict[str, Any]] = lambda _: {}
    """What `ps.write` is told besides path, format and mode."""


def execute(work: Work, files: Sequence[str], options: Options) -> None:
    """Do it."""
    import penstock as ps
    from penstock.cli.inputs import opened
    from penstock.cli.output import chosen

    say = (lambda _: None) if options.quiet else note
    printed = "" if options.plan or options.to_files else chosen(options.format)
    began = time.monotonic()
    with ps.connect(options.engine, **options.settings) as engine, opened(files, options.input_format, say) as inputs:
        table = ps.read(inputs.names, inputs.format, engine=engine, **options.reading)
        result = work.apply(table)
        if options.plan:
            click.echo(engine.explain(result).rstrip())
            return
        if options.to_files:
            _write(engine, result, work, options, say)
        else:
            _print(engine, work.in_order(result, inputs), printed, work, say)
        if inputs.format == "log" and not options.quiet:
            _count_malformed(engine, table, files, say)
        if options.verbose:
            say(f"{work.name} on {options.engine} took {time.monotonic() - began:.2f} s")


def note(text: str) -> None:
    """Tell the person at the terminal something that is not data."""
    click.echo(f"note: {text}", err=True)


def _print(engine: Engine, result: Table, format: str, work: Work, say: Callable[[str], None]) -> None:
    from penstock.cli.output import SHOWN, show

    reader = attended(engine, lambda: _begun(engine.batches(result)), task=work.name)
    if not attended(engine, lambda: show(*reader, format, work.summed)):
        say(f"these are the first {SHOWN} rows; all of them: --format csv, or -o PATH")


def _begun(reader: pa.RecordBatchReader) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """A stream whose first rows are there: that is where an engine does the long work."""
    first = next(reader, None)

    def batches() -> Iterator[pa.RecordBatch]:
        if first is not None:
            yield first
            yield from reader

    return reader.schema, batches()


def _write(engine: Engine, result: Table, work: Work, options: Options, say: Callable[[str], None]) -> None:
    import penstock as ps

    path, layout = str(options.output), work.write(result)
    written = attended(
        engine,
        lambda: ps.write(result, path, options.format, mode=options.mode, **layout),
        task=f"{work.name}, to {path}",
    )
    say(f"wrote {path}: {_spaced(written.rows)} rows, {_spaced(written.bytes)} bytes, files: {len(written.files)}")


def _count_malformed(engine: Engine, table: Table, files: Sequence[str], say: Callable[[str], None]) -> None:
    lines = engine.query("SELECT count(*) AS n, count(raw) AS malformed FROM t", {"t": table})
    found = attended(engine, lambda: engine.batches(lines).read_all().to_pylist())[0]
    if found["malformed"]:
        what = f"{_spaced(found['malformed'])} of {_spaced(found['n'])} lines did not parse"
        say(f'{what}; see them: penstock where {shlex.join(files)} "raw IS NOT NULL"')


def _spaced(number: int) -> str:
    return f"{number:,}".replace(",", " ")
