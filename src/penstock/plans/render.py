"""A plan as text. `=` stands before what is exact, `~` before what is estimated, and `?` for what is not known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from penstock.plans.estimates import Estimate
from penstock.plans.steps import Step

if TYPE_CHECKING:
    from penstock.plans.plan import Plan

__all__ = ["amount", "size", "text"]

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


def _told(estimate: Estimate) -> str:
    if estimate.mid is None:
        return "?" if estimate.high is None else f"<= {amount(estimate.high)}"
    return f"{'=' if estimate.basis == 'exact' else '~'}{amount(estimate.mid)}"


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


def amount(number: float) -> str:
    """A count.

    >>> amount(950), amount(128_200_000)
    ('950', '128.2 M')
    """
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e4, "K")):
        if number >= limit:
            return f"{number / (1e3 if unit == 'K' else limit):.1f} {unit}"
    return f"{number:.0f}"


def size(number: float) -> str:
    """Bytes, in powers of a thousand.

    >>> size(999), size(1500), size(9_613_742_080)
    ('999 B', '1.5 KB', '9.6 GB')
    """
    for limit, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "KB")):
        if number >= limit:
            return f"{number / limit:.1f} {unit}"
    return f"{number:.0f} B"
