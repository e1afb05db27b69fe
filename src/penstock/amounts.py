"""Numbers as a person reads them, and rows of them below each other."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence

from penstock.errors import UsageError

__all__ = ["about", "aligned", "amount", "bytes_of", "clock", "size"]

_PREFIXES = "KMGTP"
_UNITS: dict[str, int] = {
    "": 1, "B": 1,
    **{f"{prefix}B": 1000**power for power, prefix in enumerate(_PREFIXES, 1)},
    **{f"{prefix}IB": 1024**power for power, prefix in enumerate(_PREFIXES, 1)},
}  # fmt: skip


def amount(number: int | None) -> str:
    """A count.

    >>> amount(1234567), amount(None)
    ('1,234,567', '-')
    """
    return "-" if number is None else f"{number:,}"


def about(number: float) -> str:
    """A count, to three or four digits.

    >>> about(950), about(128_200_000)
    ('950', '128.2 M')
    """
    for limit, scale, unit in ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "K")):
        if number >= limit:
            return f"{number / scale:.1f} {unit}"
    return f"{number:.0f}"


def size(number: float | None) -> str:
    """Bytes, in powers of a thousand.

    >>> size(999), size(1500), size(9_613_742_080)
    ('999 B', '1.5 KB', '9.6 GB')
    """
    if number is None:
        return "-"
    left, unit = float(number), "B"
    for larger in ("KB", "MB", "GB", "TB", "PB"):
        if left < 1000:
            break
        left, unit = left / 1000, larger
    return f"{left:.0f} {unit}" if unit == "B" else f"{left:.1f} {unit}"


def bytes_of(value: str | float) -> int:
    """A size in bytes.

    >>> bytes_of("256MB"), bytes_of("1.5 GiB"), bytes_of("100 TB"), bytes_of(1000)
    (256000000, 1610612736, 100000000000000, 1000)
    """
    plain = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    text = f"{value:f}" if plain else str(value)
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", text)
    if not found or found[2].upper() not in _UNITS or float(found[1]) <= 0:
        raise UsageError(f'"{value}" is not a size', 'write it like "256MB", "1GiB", or a number of bytes')
    return max(1, round(float(found[1]) * _UNITS[found[2].upper()]))


def clock(seconds: float) -> str:
    """A length of time.

    >>> clock(0.12), clock(75), clock(4000)
    ('0.1 s', '1:15', '1:06:40')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def aligned(rows: Sequence[Sequence[str]], right: Sequence[int] = (), *, before: str = " ") -> Iterator[str]:
    """Rows as lines, their cells below each other: to the left, but for the columns that are named.

    >>> list(aligned([["rows", "of"], ["12", "a"]], right=[0]))
    [' rows  of', '   12  a']
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (
            cell.rjust(width) if place in right else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield f"{before}{'  '.join(cells)}".rstrip()
