"""What is done, what is not, and why: decided from the runs' records and the files as they are now; writes nothing.

A stage is done if an earlier run did it with the same code and parameters, from files of the same size and time, on the
rows of the same stages. Each record says what it was made of, so that the same can be put together again from what is
there now, without calling a function of the user's.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from penstock.engines.files import filesystem, is_remote, resolve
from penstock.errors import PenstockError
from penstock.jobs.fingerprint import digest, identities, of_code
from penstock.jobs.job import LOGICAL_TIME, Step
from penstock.jobs.parameters import plain
from penstock.jobs.run_folder import RunFolder
from penstock.jobs.stages import Stage

__all__ = ["Decision", "decide", "made_of", "parts_of"]


class Decision(NamedTuple):
    """What is to happen with a stage."""

    stage: Stage
    state: Literal["done", "stale", "pending", "unneeded"]
    why: str
    fingerprint: str = ""
    """Of the rows that are there, where they are done or only not needed."""
    run: RunFolder | None = None
    """Whose rows they are."""

    @property
    def runs(self) -> bool:
        """Whether there is something to do."""
        return self.state in ("stale", "pending")


def decide(
    stages: Sequence[Stage], steps: Mapping[str, Step], values: Mapping[str, Any], runs: Sequence[RunFolder]
) -> list[Decision]:
    """A decision for every stage, in order. `runs` are the earlier ones, newest first."""
    records = [(run, run.records()) for run in runs]
    found: dict[str, Decision] = {}
    for stage in stages:
        own = [(run, kept[stage.name]) for run, kept in records if stage.name in kept]
        if stage.step.target:  # the newest one says what lies there now
            own = own[:1]
        found[stage.name] = _decision(stage, own, steps, values, found)
    return list(_needed(found).values())


def _decision(
    stage: Stage, records: Sequence[tuple[RunFolder, dict[str, Any]]], steps: Mapping[str, Step],
    values: Mapping[str, Any], found: Mapping[str, Decision],
) -> Decision:  # fmt: skip
    if not records:
        after = [need for need in stage.needs if found[need].runs]
        return Decision(stage, "pending", f"after {', '.join(after)}" if after else "never done")
    why = ""
    for run, record in records:
        differs = next(_differences(record, stage, steps, values, found), "")
        if differs:
            why = why or differs
            continue
        if lost := _lost(stage, run, record):
            return Decision(stage, "stale", lost, record["fingerprint"])
        return Decision(stage, "done", f"{record['rows']} rows" if "rows" in record else "", record["fingerprint"], run)
    return Decision(stage, "stale", why)


def _needed(found: dict[str, Decision]) -> dict[str, Decision]:
    """Leave out what is only there for stages that are done; do again what is damaged."""
    wanted = {need for decision in found.values() if decision.runs for need in decision.stage.needs}
    for name in reversed(found):
        decision = found[name]
        passing = not (decision.stage.step.target or decision.stage.step.keep or decision.stage.why == "asked for")
        if decision.runs and passing and name not in wanted and decision.fingerprint:
            found[name] = decision._replace(state="unneeded")
        elif decision.state == "done" and name in wanted and _is_damaged(decision):
            found[name] = decision._replace(state="stale", why="its rows are damaged", run=None)
            wanted.update(decision.stage.needs)
    return found


def _is_damaged(decision: Decision) -> bool:
    """Whether rows that are going to be read are no longer what was written."""
    record = decision.run.record(decision.stage.name) if decision.run else None
    return bool(decision.run and record and record["files"] != decision.run.sums(decision.stage.name))


# -- what a stage is made of ------------------------------------------------------------------------------------------


def parts_of(step: Step, values: Mapping[str, Any]) -> dict[str, Any]:
    """What a step is, besides the files that it reads."""
    return {
        "code": of_code(step.function),
        "parameters": {parameter.name: plain(values[parameter.name]) for parameter in step.parameters},
    }


def made_of(
    step: Step, steps: Mapping[str, Any], needs: Mapping[str, str], values: Mapping[str, Any]
) -> dict[str, Any]:
    """All that the rows of a stage depend on. The digest of it is the stage's fingerprint."""
    found: dict[str, Any] = {"steps": dict(steps), "needs": dict(needs)}
    if step.target:
        found["sink"] = [step.target.at(values), plain(step.target.options)]
    return found


def _differences(
    record: Mapping[str, Any], stage: Stage, steps: Mapping[str, Step], values: Mapping[str, Any],
    found: Mapping[str, Decision],
) -> Iterator[str]:  # fmt: skip
    """In words, what has changed since a record was written."""
    before = record["made_of"]
    for name, had in before["steps"].items():
        if name not in steps:
            yield f'the step "{name}" is gone'
            return
        now = parts_of(steps[name], values)
        if now["code"] != had["code"]:
            yield f"the code of {name} changed"
        for parameter, value in now["parameters"].items():
            was = had["parameters"].get(parameter)
            if value != was:
                yield "it stands for another time" if parameter == LOGICAL_TIME else f"{parameter} was {was}"
        yield from _changed_files(had["reads"])
    for need, fingerprint in before["needs"].items():
        if need not in found:
            yield f'the step "{need}" is gone, or no longer kept'
        elif found[need].fingerprint != fingerprint:
            yield f"after {need}"
    sink = made_of(stage.step, {}, {}, values).get("sink")
    if sink != before.get("sink"):
        yield "it is written another way"
    if digest(before) != record["fingerprint"]:
        yield "its record was edited"


def _changed_files(reads: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for read in reads:
        had: dict[str, Any] = read["files"]
        try:
            now = identities(resolve(read["names"], read["format"]).paths)
        except PenstockError as error:
            yield error.what
            return
        counts = {
            "new": len(now.keys() - had.keys()),
            "gone": len(had.keys() - now.keys()),
            "changed": sum(now[path] != had[path] for path in now.keys() & had.keys()),
        }
        if any(counts.values()):
            said = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
            yield f"input files: {said} ({', '.join(map(os.fspath, read['names']))})"


# -- whether it is still there ----------------------------------------------------------------------------------------


def _lost(stage: Stage, run: RunFolder, record: Mapping[str, Any]) -> str:
    """What is no longer there of what a record speaks of, or nothing."""
    if stage.step.target:
        path = record["made_of"]["sink"][0]
        there = filesystem(path).exists(path) if is_remote(path) else os.path.exists(path)
        return "" if there else f"{path} is gone"
    if not record.get("copied", True):
        return ""
    for name, (size, _) in record["files"].items():
        file = run.rows(stage.name) / name
        if not file.exists():
            return "its rows are gone"
        if file.stat().st_size != size:
            return "its rows are damaged"
    return ""
