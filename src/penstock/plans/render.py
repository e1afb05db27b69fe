"""A plan as text. `=` stands before what is exact, `~` before what is estimated, and `?` for what is not known."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from penstock.amounts import about, amount, size
from penstock.plans.figures import Figure
from penstock.plans.steps import Step

if TYPE_CHECKING:
    from penstock.plans.plan import Plan

__all__ = ["text"]

KINDS = {"narrow": "narrow", "wide": "WIDE", "broadcast": "BROADCAST"}
BAR = 40  # columns
HOT = 2.0  # times what it would be, the largest partition, from which on a key is told to be hot


def text(plan: Plan) -> str:
    """The steps below each other, what they move, what is read, what patterns chose, and where it had better run."""
    parts = [_head(plan), _steps(plan), list(_moved(plan)), list(_below(plan)), list(plan.advice)]
    return "\n\n".join("\n".join(lines) for lines in parts if lines)


def _head(plan: Plan) -> list[str]:
    wide = sum(step.kind != "narrow" for step in plan.steps)
    named = f"{plan.job} · " if plan.job else ""
    lines = [f"{named}{len(plan.steps)} step{'s' * (len(plan.steps) != 1)}, {wide} wide · {plan.engine}"]
    looked = plan.looked
    if looked.rows:
        files = f"{amount(looked.files)} file{'s' * (looked.files != 1)}"
        lines.append(f"Looked at {about(looked.rows)} rows of {files} ({looked.seconds:.1f} s). Nothing was run.")
    return lines


def _steps(plan: Plan) -> list[str]:
    rows = [["", "step", "kind", "rows out", "moves", "skew", "how it will run"]]
    rows += [
        [str(number), _called(step), KINDS[step.kind], _told(step.rows), _sent(step), _skew(step), _how(step)]
        for number, step in enumerate(plan.steps, 1)
    ]
    return [*_table(rows, right=(0, 3, 4)), " = exact   ~ estimated   ? not known"]


def _table(rows: Sequence[Sequence[str]], right: tuple[int, ...]) -> Iterator[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = (
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield f" {'  '.join(cells)}".rstrip()


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
    return f"HOT {step.skew:.0f}x" if step.skew >= HOT else "even"


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
    moving = [(number, step) for number, step in enumerate(plan.steps, 1) if step.moved_bytes.mid]
    if not moving:
        return
    most = max(step.moved_bytes.mid or 0.0 for _, step in moving)
    whole = plan.moved_bytes
    unknown = sum(step.moved_bytes.mid is None for step in plan.steps)
    said = f"~{size(whole.mid)}" if whole.mid is not None else f"at least {size(whole.low)}; {unknown} not known"
    yield f" bytes moved on a cluster, total {said}"
    names = max(len(_called(step)) for _, step in moving)
    for number, step in moving:
        figure = step.moved_bytes
        bar = "█" * round(BAR * (figure.mid or 0) / most) or "▏"
        yield f" {number:>2} {_called(step).ljust(names)}  {bar.ljust(BAR)} {size(figure.mid):>9}  {_range(figure)}"


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
