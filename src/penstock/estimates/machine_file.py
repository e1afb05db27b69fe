"""What was measured of this machine, kept as `.penstock/machine.json` in the nearest folder that has one."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from penstock.errors import InputError, OutputError
from penstock.estimates.hardware import DEFAULTS, Machines, speed_of
from penstock.estimates.ranges import range_of

__all__ = ["FOLDER", "NAME", "Measured", "keep", "nearest", "place"]

FOLDER, NAME = ".penstock", "machine.json"
FORMAT_VERSION = "1.0"
AGAIN = "measure again: penstock estimate --calibrate"


class Measured(NamedTuple):
    """One machine, and how fast an engine was on it."""

    machine: Machines
    rates: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        """As the file has it."""
        of = self.machine
        return {
            "format_version": FORMAT_VERSION, "cores": of.cores, "memory_bytes": of.memory,
            "disk_bytes_per_second": of.disk.mid, "disk_bytes": of.disk_size, "rates": dict(self.rates),
        }  # fmt: skip


def place(folder: Path | None = None) -> Path:
    """Where the file is, or where it would be: beside what else is kept for the project."""
    here = (folder or Path.cwd()).absolute()
    homes = [parent for parent in (here, *here.parents) if (parent / FOLDER).is_dir()]
    kept = [home for home in homes if (home / FOLDER / NAME).exists()]
    return [*kept, *homes, here][0] / FOLDER / NAME


def nearest(folder: Path | None = None) -> Measured | None:
    """What was measured, or None."""
    path = place(folder)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}", AGAIN) from error
    try:
        numbers = {name: float(rate) for name, rate in found["rates"].items()}
        machine = Machines(
            1, int(found["cores"]), int(found["memory_bytes"]), speed_of(DEFAULTS["network"], "network"),
            range_of(float(found["disk_bytes_per_second"]), 1.25, basis="sample"), int(found["disk_bytes"]),
        )  # fmt: skip
        if min(numbers.values()) <= 0:
            raise ValueError("a rate is not positive")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is not what was measured of a machine: {error!r}", AGAIN) from error
    return Measured(machine, numbers)


def keep(measured: Measured, folder: Path | None = None) -> Path:
    """Write the file in one step, and say where."""
    path = place(folder)
    written = path.with_name(f".{NAME}.{secrets.token_hex(4)}")
    try:
        if not path.parent.exists():
            path.parent.mkdir(parents=True)
            (path.parent / ".gitignore").write_text("*\n")
        written.write_text(json.dumps(measured.to_json(), indent=1) + "\n", encoding="utf-8")
        os.replace(written, path)
    except OSError as error:
        written.unlink(missing_ok=True)
        raise OutputError(f"cannot write {path}: {error}", "start it in a folder that you may write to") from error
    return path
