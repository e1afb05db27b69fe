"""The files that a command reads: standard input spooled to one, and formats told from what stands in a file."""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from penstock.engines.files import format_of, head, is_delta, resolve
from penstock.errors import InputError, UsageError

__all__ = ["Inputs", "opened"]

STDIN = "-"
COMPRESSED = {b"\x1f\x8b": ".gz", b"\x28\xb5\x2f\xfd": ".zst"}
_LOG_LINE = re.compile(r'^\S+ \S+ .*\[\d\d/[A-Z][a-z]{2}/\d{4}:[^\]]*\] "', re.MULTILINE)


class Inputs(NamedTuple):
    """What to read: as it was named, as single files, and the format they have."""

    names: list[str]
    paths: list[str]
    format: str


@contextmanager
def opened(names: Sequence[str], format: str | None, say: Callable[[str], None]) -> Iterator[Inputs]:
    """The inputs of a command. `-` becomes a temporary file that is gone at the end, however that comes about."""
    folder = tempfile.mkdtemp(prefix="penstock-") if STDIN in names else ""
    try:
        spooled = _spooled(Path(folder)) if folder else ""
        found = [spooled if name == STDIN else name for name in names]
        logged = format is None and any(map(is_delta, found))
        # Which files there are does not depend on the format, but where a log says it.
        source = resolve(found, "delta" if logged else format or "csv")
        if format is None and not logged:
            shown = {spooled: "standard input"}
            told = {format_of(path) or _sniffed(path, shown.get(path, path), say) for path in source.paths}
            if len(told) > 1:
                raise UsageError(f"files of several formats: {', '.join(sorted(told))}", "read each kind by itself")
            source = source._replace(format=told.pop())
        yield Inputs(found, source.paths, source.format)
    finally:
        if folder:
            shutil.rmtree(folder, ignore_errors=True)


def _spooled(folder: Path) -> str:
    """Standard input as a file: the engines read in parallel, more than once, and Parquet from its end."""
    path = folder / "stdin"
    with path.open("wb") as file:
        shutil.copyfileobj(sys.stdin.buffer, file, 1 << 20)
    with path.open("rb") as file:
        start = file.read(4)
    ending = next((ending for magic, ending in COMPRESSED.items() if start.startswith(magic)), "")
    return str(path.rename(path.with_suffix(ending)) if ending else path)  # engines tell compression by the ending


def _sniffed(path: str, shown: str, say: Callable[[str], None]) -> str:
    """The format of a file whose name does not tell, from how it begins."""
    start = head(path)
    if any(start.startswith(magic) for magic in COMPRESSED):
        raise InputError(f"{shown} is compressed, which its name does not say", f"pipe it in: penstock … - < {shown}")
    if not start:
        raise InputError(f"cannot tell the format of {shown}: it is empty", "give it: --input-format log")
    found = _format_of_bytes(start)
    say(f"reading {shown} as {found}; --input-format says otherwise")
    return found


def _format_of_bytes(start: bytes) -> str:
    if start.startswith(b"PAR1"):
        return "parquet"
    if start.startswith(b"ARROW1"):
        return "arrow"
    if start.startswith(b"ORC"):
        return "orc"
    if start.startswith(b"Obj\x01"):
        return "avro"
    text = start.decode(errors="replace").lstrip("\ufeff \t\r\n")
    if _LOG_LINE.search(text):
        return "log"
    if text.startswith(("{", "[")):
        return "json"
    first = text.partition("\n")[0]
    return "tsv" if first.count("\t") > first.count(",") else "csv"
