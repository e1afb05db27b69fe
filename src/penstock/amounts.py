"""Numbers as a person reads them."""

from __future__ import annotations

__all__ = ["about", "amount", "clock", "size"]


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
