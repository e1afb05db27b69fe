"""A skew as text: heavy keys, the largest partition against the median as bars, and what to do."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from penstock.amounts import about, aligned, size
from penstock.figures import Figure

if TYPE_CHECKING:
    from penstock.skews.skew import Skew

__all__ = ["key_text", "text"]

#: How many heavy keys are printed, how long a value of a key may be, and how long the longest bar is.
KEYS, LETTERS, BAR = 10, 40, 30
EIGHTHS = " ▏▎▍▌▋▊▉"
BARS = "█▏▎▍▌▋▊▉"


def text(skew: Skew) -> str:
    """The whole table."""
    return "\n".join(_lines(skew))


def _lines(skew: Skew) -> Iterator[str]:
    yield (
        f"skew of {', '.join(skew.key)} · {_told(skew.rows)} rows, {_told(skew.distinct)} keys · "
        f"{skew.partitions} partitions · {skew.engine}"
    )
    if not skew.rows.mid:
        yield "\n no rows"
        return
    if skew.heavy:
        yield from ("", *_keys(skew))
    yield from ("", *_bars(skew))
    yield ""
    if skew.remedies:
        yield from _remedies(skew)
    else:
        yield " no skew: no key is heavy, and the largest partition is within twice the median"
    yield from (f" note: {note}" for note in skew.notes)
    yield " = exact   ~ estimated   ? not known"


def _keys(skew: Skew) -> Iterator[str]:
    rows = [["heavy keys", "rows", "share", "partition"]]
    for key in skew.heavy[:KEYS]:
        partition = "?" if key.partition is None else str(key.partition)
        rows.append([key_text(key.key), _told(key.rows), _percent(key.share), partition])
    yield from _columns(rows, left=1)
    if skew.heavy_keys > KEYS:
        yield f" and {about(skew.heavy_keys - KEYS)} more"


def _bars(skew: Skew) -> Iterator[str]:
    spread, bytes_of = skew.spread, skew.row_bytes.mid or 0
    figures = {"largest": spread.largest, "median": spread.median, "mean": spread.mean}
    most = spread.largest.mid or 1
    rows = [["a partition", "rows", "range" if spread.largest.basis != "exact" else "", "bytes", ""]]
    for name, each in figures.items():
        value = each.mid or 0
        rows.append([f"  {name}", _told(each), _range(each), f"~{size(value * bytes_of)}", _bar(value / most)])
    lines = list(_columns(rows, left=1))
    most_of = [key for key in skew.heavy if key.partition is not None and (key.rows.mid or 0) * 2 > most]
    if most_of:
        lines[1] += f"  {key_text(most_of[0].key)}"
    yield from lines
    said = [] if skew.ratio.mid is None else [f"the largest is {_times(skew.ratio)} the median"]
    said.append(f"straggler factor {_times(skew.straggler)}: the largest over the mean")
    if spread.empty.mid:
        said.append(f"{_told(spread.empty)} of {skew.partitions} partitions are empty")
    yield f" {'; '.join(said)}"


def _remedies(skew: Skew) -> Iterator[str]:
    rows = [["", "what to do", "largest", "/ median"]]
    for number, remedy in enumerate(skew.remedies, 1):
        rows.append([str(number), remedy.what, _told(remedy.after.largest), _times(remedy.after.ratio)])
    yield from _columns(rows, left=2)


def _columns(rows: Sequence[Sequence[str]], *, left: int) -> Iterator[str]:
    """Cells below each other: the first `left` and bars to the left, others to the right; no column that is empty."""
    columns = [column for column in zip(*rows, strict=True) if any(column)]
    bars = [any(cell[:1] in BARS for cell in column if cell) for column in columns]
    yield from aligned([*zip(*columns, strict=True)], [n for n in range(left, len(columns)) if not bars[n]])


def _bar(share: float) -> str:
    """A bar to an eighth of a letter; what is there shows.

    >>> _bar(1.0) == "█" * BAR, _bar(0.05), _bar(0.0001), _bar(0)
    (True, '█▌', '▏', '')
    """
    eighths = max(round(share * BAR * 8), 1 if share > 0 else 0)
    return "█" * (eighths // 8) + EIGHTHS[eighths % 8].strip()


def key_text(key: Mapping[str, Any]) -> str:
    """A key as a line has it, long values cut.

    >>> key_text({"country": "US"}), key_text({"user": None, "day": 7}), len(key_text({"url": "x" * 1000}))
    ('"US"', 'user null, day 7', 42)
    """
    values = {name: _value(value) for name, value in key.items()}
    return next(iter(values.values())) if len(values) == 1 else ", ".join(f"{n} {v}" for n, v in values.items())


def _value(value: Any) -> str:
    if value is None:
        return "null"
    shown = value if isinstance(value, str) else str(value)
    if len(shown) > LETTERS:
        shown = shown[: LETTERS - 1] + "…"
    return json.dumps(shown, ensure_ascii=False) if isinstance(value, str) else shown


def _told(figure: Figure) -> str:
    if figure.mid is None:
        return "?"
    sign = "=" if figure.basis == "exact" else "~"
    return sign + (f"{figure.mid:.1f}" if figure.mid < 10 and figure.mid % 1 else about(figure.mid))


def _percent(figure: Figure) -> str:
    return "?" if figure.mid is None else f"{'=' if figure.basis == 'exact' else '~'}{figure.mid:.2%}"


def _range(figure: Figure) -> str:
    if figure.low is None or figure.high is None or figure.low == figure.high:
        return ""
    return f"{about(figure.low)} - {about(figure.high)}"


def _times(figure: Figure) -> str:
    if figure.mid is None:
        return "?"
    return f"{'=' if figure.basis == 'exact' else '~'}{figure.mid:,.{1 if figure.mid < 100 else 0}f}x"
