"""A plan as text. `=` stands before what is exact, `~` before what is estimated, and `?` for what is not known."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from penstock.amounts import about, aligned, amount, size
from penstock.figures import Figure
from penstock.forecasts.steps import Step

if TYPE_CHECKING:
    from penstock.plans.plan import Plan

__all__ = ["measured", "text"]

KINDS = {"narrow": "narrow", "wide": "WIDE", "broadcast": "BROADCAST"}
BAR = 40  # columns
SHOWN = 0.01  # of the longest bar, the shortest that is worth a line
HOT = 2.0  # times what it would be, the largest partition, from which on a key is told to be hot
TOLD = 1e6  # bytes in it, from which on that matters


def text(plan: Plan) -> str:
    """The steps below each other, what they move, what is read, what patterns chose, and where it had better run."""
    parts = [
        _head(plan),
        _steps(plan),
        list(_moved(plan)),
        list(measured(plan)),
        list(_below(plan)),
        list(plan.advice),
    ]
    return "\n\n".join("\n".join(lines) for lines in parts if lines)


def _head(plan: Plan) -> list[str]:
    wide = sum(step.kind != "narrow" for step in plan.steps)
    named = f"{plan.job} · " if plan.job else ""
    lines = [f"{named}{len(plan.steps)} step{'s' * (len(plan.steps) != 1)}, {wide} wide · {plan.engine}"]
    looked = plan.looked
    if looked.rows:
        files = f"{amount(looked.files)} file{'s' * (looked.files != 1)}"
        then = "Nothing was run." if plan.measured is None else "Then it was run."
        lines.append(f"Looked at {about(looked.rows)} rows of {files} ({looked.seconds:.1f} s). {then}")
    return lines


def _steps(plan: Plan) -> list[str]:
    rows = [["", "step", "kind", "rows out", "moves", "skew", "how it will run"]]
    rows += [
        [str(number), _called(step), KINDS[step.kind], _told(step.rows), _sent(step), _skew(step), _how(step)]
        for number, step in enumerate(plan.steps, 1)
    ]
    return [*aligned(rows, right=(0, 3, 4)), " = exact   ~ estimated   ? not known"]


def _called(step: Step) -> str:
    return f"{step.step}: {step.name}" if step.step else step.name


def _told(figure: Figure) -> str:
    if figure.mid is None:
        return "?" if figure.high is None else f"<= {about(figure.high)}"
    return f"{'=' if figure.basis == 'exact' else '~'}{about(figure.mid)}"


def _sent(step: Step) -> str:
    if step.kind == "narrow":
        return "-"
    if step.moved_bytes.mid is None:
        return "?"
    return f"{'=' if step.moved_bytes.basis == 'exact' else '~'}{size(step.moved_bytes.mid)}"


def _skew(step: Step) -> str:
    if step.kind != "wide" or step.skew is None:
        return "-"
    if step.skew < HOT:
        return "even"
    return f"HOT {step.skew:.0f}x" if (step.largest_bytes.mid or 0.0) >= TOLD else "-"


def _how(step: Step) -> str:
    if step.scan is None:
        place = f"  {os.path.basename(step.place)}" if step.place else ""
        written = f", ~{size(step.written_bytes.mid)}" if step.written_bytes.mid else ""
        return f"{step.how}{written}{place}"
    scan = step.scan
    parts = [("file", scan.files_read, scan.files), ("row group", scan.row_groups_read, scan.row_groups)]
    said = [f"{read} of {of} {name}s" for name, read, of in [*parts, ("column", scan.columns_read, scan.columns)]]
    return f"{step.how}: {', '.join(said)}, {size(scan.read_bytes)} read, {size(scan.skipped_bytes)} skipped"


def _moved(plan: Plan) -> Iterator[str]:
    """Bytes as bars, and their ranges: where rows cross is where the time goes."""
    moves = [(number, step) for number, step in enumerate(plan.steps, 1) if step.moved_bytes.mid]
    if not moves:
        return
    most = max(step.moved_bytes.mid or 0.0 for _, step in moves)
    whole = plan.moved_bytes
    moving = [(number, step) for number, step in moves if (step.moved_bytes.mid or 0.0) >= SHOWN * most]
    unknown = sum(step.moved_bytes.mid is None for step in plan.steps)
    said = f"~{size(whole.mid)}" if whole.mid is not None else f"at least {size(whole.low)}; {unknown} not known"
    yield f" bytes moved on a cluster, total {said}"
    names = max(len(_called(step)) for _, step in moving)
    for number, step in moving:
        figure = step.moved_bytes
        bar = "█" * round(BAR * (figure.mid or 0) / most) or "▏"
        said = f" {number:>2} {_called(step).ljust(names)}  {bar.ljust(BAR)} {size(figure.mid):>9}  {_range(figure)}"
        yield said.rstrip()
    if others := len(moves) - len(moving):
        rest = sum(step.moved_bytes.mid or 0.0 for _, step in moves if (_, step) not in moving)
        yield f"    {others} more  {size(rest)}"


def measured(plan: Plan) -> Iterator[str]:
    """Forecasts, and what the engine measured of the same, in its own unit."""
    whole = plan.measured
    if whole is None:
        return
    shown: Callable[[float | None], str] = size if whole.unit == "bytes" else _count
    rows = [["", f"{whole.unit} {'moved' if whole.unit == 'bytes' else 'out'}", "forecast", "measured", "forecast is"]]
    for number, step in enumerate(plan.steps, 1):
        if step.kind == "wide" or (step.measured and whole.unit == "rows" and step.kind != "narrow"):
            forecast = step.moved_bytes.mid if whole.unit == "bytes" else step.rows.mid
            found = step.measured and (step.measured.bytes if whole.unit == "bytes" else step.measured.out)
            rows.append([str(number), _called(step), shown(forecast), shown(found), _ratio(forecast, found)])
    rows.append(
        ["", "all", shown(whole.forecast.mid), shown(whole.measured), _ratio(whole.forecast.mid, whole.measured)]
    )
    yield from aligned(rows, right=(0, 2, 3, 4))


def _count(number: float | None) -> str:
    return "-" if number is None else about(number)


def _ratio(forecast: float | None, found: float | None) -> str:
    return "-" if forecast is None or not found else f"{forecast / found:.2f}x"


def _range(figure: Figure) -> str:
    return f"{size(figure.low)} - {size(figure.high)}" if figure.low != figure.high else ""


def _below(plan: Plan) -> Iterator[str]:
    there = plan.read_bytes + plan.skipped_bytes
    if there:
        yield f" reads {size(plan.read_bytes)} of {size(there)}, {plan.skipped_bytes / there:.0%} is skipped"
    yield from _notes(plan.notes)


def _notes(notes: Iterable[str]) -> Iterator[str]:
    for note in notes:
        yield f" note: {note}"
