"""What every verb does once it is parsed: open an engine, read, apply the function, and print, write or explain."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from penstock.cli import malformed
from penstock.cli.attend import attended
from penstock.cli.malformed import spaced
from penstock.cli.options import Options

if TYPE_CHECKING:
    import pyarrow as pa

    from penstock.cli.inputs import Inputs
    from penstock.engines.engine import Engine, Table

__all__ = ["Work", "execute"]


class Work(NamedTuple):
    """What a verb wants done with the table that it read."""

    name: str
    apply: Callable[..., Table]
    """Given the table, and those of `beside` by their names."""
    in_order: Callable[[Table, Inputs], Table] = lambda result, _: result
    """The result in the order that it is printed in."""
    summed: frozenset[str] = frozenset()
    """Columns of floats that were added up."""
    write: Callable[[Table], dict[str, Any]] = lambda _: {}
    """What `ps.write` is told besides path, format and mode."""
    counted_along: Callable[[Table], Table | None] = lambda _: None
    """The result with the counts of a log's lines beside it; see `malformed`."""
    beside: Mapping[str, Sequence[str]] = {}
    """Further tables: names with files."""


def execute(work: Work, files: Sequence[str], options: Options) -> None:
    """Do it."""
    import penstock as ps
    from penstock.cli.inputs import opened
    from penstock.cli.output import chosen
    from penstock.cli.plan import planned, show

    say = (lambda _: None) if options.quiet else _note
    printed = "" if options.plan or options.to_files else chosen(options.format)
    began = time.monotonic()
    with ExitStack() as stack:
        engine = stack.enter_context(ps.connect(options.engine, **options.settings))
        inputs = stack.enter_context(opened(files, options.input_format, say))
        others = {name: stack.enter_context(opened(given, None, say)) for name, given in work.beside.items()}
        table, *rest = (
            ps.read(each.names, each.format, engine=engine, **options.reading) for each in (inputs, *others.values())
        )
        apply = partial(work.apply, **dict(zip(others, rest, strict=True)))
        count: malformed.Count | None = None
        counting = inputs.format == "log" and not options.quiet
        if options.plan:
            result = apply(table)
            show(planned(result, engine))
            if options.verbose:
                click.echo(engine.explain(result).rstrip())
            return
        if options.to_files:
            _write(engine, apply(table), work, options, say)
        else:
            along = work.counted_along(table) if counting else None
            result = work.in_order(apply(table) if along is None else along, inputs)
            count = _print(engine, result, printed, work, say)
        if counting:
            count = count or attended(engine, lambda: malformed.of_table(engine, table))
            if count.malformed:
                say(malformed.told(count, files))
        if options.verbose:
            say(f"{work.name} on {options.engine} took {time.monotonic() - began:.2f} s")


def _note(text: str) -> None:
    """Tell the person at the terminal something that is not data."""
    click.echo(f"note: {text}", err=True)


def _print(
    engine: Engine, result: Table, format: str, work: Work, say: Callable[[str], None]
) -> malformed.Count | None:
    from penstock.cli.output import SHOWN, show

    def begun() -> tuple[pa.RecordBatchReader, pa.RecordBatch | None]:
        reader = engine.batches(result)
        return reader, next(reader, None)  # before its first rows an engine does the long work

    reader, first = attended(engine, begun, task=work.name)
    schema, batches, count = malformed.apart(reader.schema, first, chain([] if first is None else [first], reader))
    if not attended(engine, lambda: show(schema, batches, format, work.summed)):
        say(f"these are the first {SHOWN} rows; all of them: --format csv, or -o PATH")
    return count


def _write(engine: Engine, result: Table, work: Work, options: Options, say: Callable[[str], None]) -> None:
    import penstock as ps

    path, layout = str(options.output), work.write(result)
    written = attended(
        engine,
        lambda: ps.write(result, path, options.format, mode=options.mode, **layout),
        task=f"{work.name}, to {path}",
    )
    say(f"wrote {path}: {spaced(written.rows)} rows, {spaced(written.bytes)} bytes, files: {len(written.files)}")
