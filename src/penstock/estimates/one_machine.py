"""DuckDB on one machine: no network between its cores, and no more memory and disk than it has."""

from __future__ import annotations

from penstock.estimates.hardware import Machines
from penstock.estimates.ranges import bounds, digits, lasts, over, times
from penstock.estimates.speeds import Speeds
from penstock.estimates.steps import Need, Side, Step, on_cores, part_of, reading, regrouping, through, writing
from penstock.estimates.workload import Workload
from penstock.figures import Figure, total

__all__ = ["one_machine"]

USED = 0.8  # of the memory, as DuckDB's memory_limit is by default
STATE = Figure(0.5, 1.0, 1.5, "model")  # what a hash table or a sort holds of each byte of its rows
PACKED = Figure(0.4, 0.6, 1.0, "model")  # what is spilled takes on the disk: 0.34 to 0.73 of 422 MB of rows measured
FILLED = 0.9  # of a disk


def one_machine(work: Workload, on: Machines, speeds: Speeds) -> Side:
    """The steps, with what does not fit into memory going to the disk and back."""
    room = on.memory * USED
    steps = [
        Step("start", (Need("start", "one process", Figure(0.05, 0.1, 0.5, speeds.write.basis)),)),
        reading(work, on, speeds, tasks=None if work.splits else max(1, min(work.tasks, work.files))),
    ]
    if work.broadcasts:
        of = sum(work.broadcasts)
        steps.append(Step(f"hash {digits(of)} of lookups", (on_cores(of, on, speeds.wide(work.row_bytes)),)))
    held = float(sum(work.broadcasts))
    states = [times(work.values, share, STATE) for share in work.shuffles]
    spills = [_above(state, room - held) for state in states]
    for number, (share, spill) in enumerate(zip(work.shuffles, spills, strict=True), 1):
        needs = [regrouping(share, work, on, speeds)]
        if spill.high:
            needs = [_packed(needs[0], spill, on, speeds), _spilled(spill, on, speeds)]
        steps.append(Step(f"wide step {number}, {part_of(share)}", tuple(needs)))
    steps.extend(writing(work, on, speeds))
    spilled = times(max(spills, key=lambda spill: spill.mid or 0.0, default=total([])), PACKED)
    holds = max([min(room, held + (state.mid or 0.0)) for state in states] or [held])
    there = work.stored + bounds(over(times(work.values, work.output), 4))[1] if work.storage == "local" else 0.0
    full = (spilled.mid or 0.0) + there > FILLED * on.disk_size
    return Side(
        "duckdb", on, tuple(steps), memory=times(holds, Figure(0.8, 1, 1.2, "model")), disk=spilled,
        fits=not full and held <= room, warnings=tuple(_warnings(work, on, held, room, spilled, there, full, steps)),
    )  # fmt: skip


def _spilled(spill: Figure, on: Machines, speeds: Speeds) -> Need:
    said = f"{digits(spill)} spilled x {bounds(PACKED)[1]:g} packed, written and read"
    return through("disk", times(spill, PACKED, 2), on, speeds.disk, said)


def _packed(work: Need, spill: Figure, on: Machines, speeds: Speeds) -> Need:
    packing = on_cores(spill, on, speeds.pack)
    return Need(work.resource, f"{work.formula} + {packing.formula} to pack", total([work.seconds, packing.seconds]))


def _above(state: Figure, room: float) -> Figure:
    low, mid, high = (max(0.0, bound - max(0.0, room)) for bound in bounds(state))
    return Figure(low, mid, high, state.basis)


def _warnings(
    work: Workload, on: Machines, held: float, room: float, spilled: Figure, there: float, full: bool, steps: list[Step]
) -> list[str]:
    found = []
    if held > room:
        found.append(f"one machine cannot hold {digits(held)} of lookups in {digits(room)} of memory")
    if full:
        parts = [f"{digits(spilled)} of spilled rows"] * bool(spilled.mid) + [f"{digits(there)} of files"] * bool(there)
        found.append(f"one machine cannot hold {' and '.join(parts)} on its disk of {digits(on.disk_size)}")
    elif spilled.mid:
        found.append(f"{digits(spilled)} do not fit into {digits(room)} of memory, and are spilled")
    if steps[1].bound == "too few tasks":
        found.append(
            f"{work.codec} files cannot be split: {work.files} of them keep {min(work.files, on.cores)} of {on.cores} "
            f"cores busy for {lasts(bounds(steps[1].seconds)[1])}"
        )
    return found
