"""`penstock compact`: small files of a folder put together."""

from __future__ import annotations

import json
import threading

import click

from penstock.cli.attend import attended
from penstock.cli.main import COMMANDS
from penstock.cli.malformed import spaced

__all__ = ["compact"]


class _Watch:
    """How far a compaction is, and the way to stop it: what `attended` asks of an engine."""

    def __init__(self) -> None:
        self.share: float | None = None
        self.stopped = threading.Event()

    def __call__(self, done: int, of: int) -> None:
        self.share = done / of
        if self.stopped.is_set():
            raise KeyboardInterrupt

    def progress(self) -> float | None:
        return self.share

    def cancel(self) -> None:
        self.stopped.set()


def _run(path: str, target_file_size: str, dry_run: bool, as_json: bool) -> None:
    import penstock as ps

    watch = _Watch()
    done = attended(watch, lambda: ps.compact(path, target_file_size, dry_run, progress=watch), task=f"compact {path}")
    if as_json:
        plan = [merge._asdict() for merge in done.plan]
        click.echo(json.dumps(done._asdict() | {"plan": plan}, indent=1, ensure_ascii=False))
        return
    if dry_run:
        for merge in done.plan:
            click.echo(f"{merge.into}: {spaced(len(merge.files))} files, {spaced(merge.bytes)} bytes")
    if not done.plan:
        click.echo(f"{path}: nothing to do, files: {spaced(done.files_before)}")
        return
    would = "would become" if dry_run else "became"
    bytes_ = (
        "" if done.bytes_after is None else f", {spaced(done.bytes_before)} bytes became {spaced(done.bytes_after)}"
    )
    files = f"{spaced(done.files_before)} files {would} {spaced(done.files_after)}"
    click.echo(f"{path}: {files}{bytes_}, folders: {spaced(done.folders)}")


compact = click.Command(
    "compact",
    params=[
        click.Argument(["path"]),
        click.Option(
            ["--target-file-size"],
            metavar="SIZE",
            default="256MB",
            show_default=True,
            help="What a file is to have at most, about; files below half of it are put together.",
        ),
        click.Option(["--dry-run"], is_flag=True, help="Only print what would be put together."),
        click.Option(["as_json", "--json"], is_flag=True, help="Print the report as JSON."),
    ],
    callback=_run,
    help=COMMANDS["compact"],
)
