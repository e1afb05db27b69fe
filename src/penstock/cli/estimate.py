"""`penstock estimate`: how long a job will take that does not exist yet, and what this machine can do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from penstock.cli.main import COMMANDS
from penstock.cli.runs import json_option

if TYPE_CHECKING:
    from penstock.estimates.machine_file import Measured

__all__ = ["estimate"]


def _run(calibrate: bool, as_json: bool, **given: Any) -> None:
    if calibrate:
        _calibrate(as_json and not _job(given))
    if not calibrate or _job(given):
        import penstock as ps

        # An option that may be repeated and is not there is an empty tuple, which would be "no wide step".
        found = ps.estimate(**given | {"shuffles": given["shuffles"] or None})
        click.echo(json.dumps(found.to_json(), indent=1, ensure_ascii=False) if as_json else str(found))


def _job(given: dict[str, Any]) -> bool:
    return given["bytes"] is not None or given["stored"] is not None


def _calibrate(as_json: bool) -> None:
    from penstock.estimates import calibrate, machine_file

    measured = calibrate.measure()
    path = machine_file.keep(measured)
    click.echo(json.dumps(measured.to_json(), indent=1) if as_json else _told(measured))
    click.echo(f"note: kept in {path}; estimates for one machine use it from now on", err=True)


def _told(measured: Measured) -> str:
    from penstock.estimates.ranges import digits, speed

    of, rates = measured.machine, measured.rates
    what = {
        "json": "JSON read", "csv": "csv read", "parquet": "Parquet read, of what it holds", "write": "Parquet written",
        "gz": "gzip unpacked", "lz4": "lz4 packed", "wide": "a wide step, besides what each row costs",
    }  # fmt: skip
    lines = [f"{of.cores} cores, {digits(of.memory)} of memory, {digits(of.disk_size)} of disk free; one core does:"]
    lines += [f"  {speed(rates[name]):>9}  {said}" for name, said in what.items()]
    lines.append(f"  {rates['wide_row_seconds'] * 1e6:>6.2f} us  a row in a wide step, however narrow it is")
    lines.append(f"the disk: {speed(rates['disk_write'])} written, {speed(rates['disk_read'])} read")
    return "\n".join(lines)


def _option(name: str, help: str, **more: Any) -> click.Option:
    return click.Option([f"--{name.replace('_', '-')}"], help=help, **{"metavar": "SIZE"} | more)


estimate = click.Command(
    "estimate",
    params=[
        _option("bytes", "All rows, uncompressed: 100TB."),
        _option("stored", "The bytes of the files, in place of --bytes or beside it."),
        _option("format", "Of the files: parquet, csv, json, json.gz, …  [parquet]", metavar="FORMAT"),
        _option("files", "How many there are.", metavar="N"),
        _option("columns", "The share of each row that is needed: 6%, 3/50.", metavar="SHARE"),
        _option("row_bytes", "What the values of one row have, about.  [250B]"),
        click.Option(
            ["shuffles", "--shuffle"], multiple=True, metavar="MOVED",
            help="A wide step, and what it moves: 100%, 0.02, 20GB; 0 for none. May be repeated.  [100%]",
        ),
        _option("heaviest", "The share of the rows that have a wide step's most frequent key.  [0]", metavar="SHARE"),
        click.Option(
            ["broadcasts", "--broadcast"], multiple=True, metavar="SIZE",
            help="A small table that is joined without a wide step. May be repeated.",
        ),
        _option("output", "What is written, uncompressed.  [what the last wide step moves]", metavar="MOVED"),
        _option("partition", "What one task works on.  [128MB]"),
        _option("storage", "remote: an object store; local: the machines' own disks.  [remote]", metavar="WHERE"),
        _option("machines", "How many the cluster has.  [10]", metavar="N"),
        _option("cores", "Of each machine.  [16]", metavar="N"),
        _option("memory", "Of each machine.  [64GB]"),
        _option("network", "Of each machine: 10Gb/s (bits), 1.25GB/s (bytes).  [10 Gb/s]", metavar="SPEED"),
        _option("disk", "How fast each machine's is.  [1 GB/s]", metavar="SPEED"),
        _option("disk_size", "How much it holds.  [1TB]"),
        click.Option(["-e", "--engine"], metavar="ENGINE", help="duckdb, spark or mapreduce alone.  [all three]"),
        click.Option(["--calibrate"], is_flag=True, help="Measure this machine and keep it in .penstock/machine.json."),
        click.Option(
            ["measured", "--measured/--not-measured"], default=True,
            help="Whether one machine is this one, where it was measured.",
        ),
        json_option(),
    ],
    callback=_run,
    help=COMMANDS["estimate"],
    epilog="penstock estimate --bytes 100TB --format json.gz --files 12000 --machines 200 --shuffle 1 --shuffle 1",
)  # fmt: skip
