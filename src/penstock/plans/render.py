"""A plan as text. `=` stands before what is exact, `~` before what is estimated, and `?` for what is not known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from penstock.amounts import about, size
from penstock.plans.figures import Figure
from penstock.plans.steps import Step

if TYPE_CHECKING:
    from penstock.plans.plan import Plan

__all__ = ["text"]

KINDS = {"narrow": "narrow", "wide": "WIDE", "broadcast": "BROADCAST"}


def text(plan: Plan) -> str:
    """The steps below each other, then what is read, and what patterns chose."""
    return "\n".join(_lines(plan))


def _lines(plan: Plan) -> Iterator[str]:
    wide = sum(step.kind != "narrow" for step in plan.steps)
    yield f"{len(plan.steps)} steps, {wide} wide · {plan.engine}"
    yield ""
    rows = [["", "step", "kind", "rows out", "moves", "how it will run"]]
    rows += [
        [str(number), step.name, KINDS[step.kind], _told(step.rows), _moved(step), _how(step)]
        for number, step in enumerate(plan.steps, 1)
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [cell.rjust(width) if column in (0, 3, 4) else cell.ljust(width)
                 for column, (cell, width) in enumerate(zip(row, widths, strict=True))]  # fmt: skip
        yield " " + "  ".join(cells).rstrip()
    yield " = exact   ~ estimated   ? not known"
    there = plan.read_bytes + plan.skipped_bytes
    if there:
        yield ""
        yield f" reads {size(plan.read_bytes)} of {size(there)}, {plan.skipped_bytes / there:.0%} is skipped"
    for note in plan.notes:
        yield f" note: {note}"


def _told(estimate: Figure) -> str:
    if estimate.mid is None:
        return "?" if estimate.high is None else f"<= {about(estimate.high)}"
    return f"{'=' if estimate.basis == 'exact' else '~'}{about(estimate.mid)}"


def _moved(step: Step) -> str:
    if step.kind == "narrow":
        return "-"
    return "?" if step.moved_bytes.mid is None else size(step.moved_bytes.mid)


def _how(step: Step) -> str:
    if step.scan is None:
        return step.how
    scan = step.scan
    parts = [("file", scan.files_read, scan.files), ("row group", scan.row_groups_read, scan.row_groups)]
    said = [f"{read} of {of} {name}s" for name, read, of in [*parts, ("column", scan.columns_read, scan.columns)]]
    return f"{step.how}: {', '.join(said)}, {size(scan.read_bytes)} read, {size(scan.skipped_bytes)} skipped"
