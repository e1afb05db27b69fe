"""Machines: how many, and what each has."""

from __future__ import annotations

import math
import re
from typing import Any, NamedTuple

from penstock.amounts import bytes_of
from penstock.errors import UsageError
from penstock.estimates.ranges import count, digits, speed
from penstock.estimates.workload import whole
from penstock.figures import Figure, exact

__all__ = ["DEFAULTS", "Machines", "machines", "speed_of"]

#: A common machine of a cluster, and ten of them.
DEFAULTS: dict[str, Any] = {
    "machines": 10, "cores": 16, "memory": "64GB", "network": "10 Gb/s", "disk": "1 GB/s", "disk_size": "1TB",
}  # fmt: skip


class Machines(NamedTuple):
    """Machines that are alike. Each figure is of one of them."""

    number: int
    cores: int
    memory: int
    network: int
    """Bytes a second."""
    disk: Figure
    """Bytes a second."""
    disk_size: int

    @property
    def all_cores(self) -> int:
        """Of all machines together."""
        return self.number * self.cores

    def to_json(self) -> dict[str, Any]:
        """As it stands in reports."""
        return self._asdict() | {"disk": self.disk.to_json()}

    def __str__(self) -> str:
        return (
            f"{count(self.number)} machine{'s, each' * (self.number > 1)} of {count(self.cores)} cores, "
            f"{digits(self.memory)} of memory, network {self.network * 8 / 1e9:.3g} Gb/s, "
            f"disk {digits(self.disk_size)} at {speed(self.disk)}"
        )


def machines(
    *, number: Any, cores: Any, memory: Any, network: Any, disk: Any, disk_size: Any, measured: Machines | None = None
) -> Machines:
    """Machines as they were described; what was not said is as it was measured, or as is common."""
    usual = measured or Machines(
        DEFAULTS["machines"], DEFAULTS["cores"], bytes_of(DEFAULTS["memory"]),
        speed_of(DEFAULTS["network"], "network"), exact(speed_of(DEFAULTS["disk"], "disk")),
        bytes_of(DEFAULTS["disk_size"]),
    )  # fmt: skip
    return Machines(
        usual.number if number is None else whole(number, "machines"),
        usual.cores if cores is None else whole(cores, "cores"),
        usual.memory if memory is None else bytes_of(memory),
        usual.network if network is None else speed_of(network, "network"),
        usual.disk if disk is None else exact(speed_of(disk, "disk")),
        usual.disk_size if disk_size is None else bytes_of(disk_size),
    )


_SPEED = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([KMGTkmgt]?)(i?)(B|b|[Bb]its?)\s*(?:/\s*s(?:ec)?|[Pp][Ss])?\s*")
_SLOWEST = 1_000_000  # bytes a second; a bare number below this was meant as something else


def speed_of(value: Any, name: str) -> int:
    """A speed in bytes a second. A small b is bits, a large one bytes.

    >>> speed_of("10 Gb/s", "network"), speed_of("10gbps", "network"), speed_of("1.25 GB/s", "network")
    (1250000000, 1250000000, 1250000000)
    """
    hint = f'write it like "10 Gb/s" (bits) or "1.25 GB/s" (bytes): {name}="10 Gb/s"'
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if not _SLOWEST <= value < math.inf:
            raise UsageError(f"{name} is {value}, in bytes a second less than {speed(_SLOWEST)}", hint)
        return round(value)
    found = _SPEED.fullmatch(str(value))
    if not found or not float(found[1]):
        raise UsageError(f'"{value}" is no speed', hint)
    power = " KMGT".index(found[2].upper() or " ")
    bits = found[4] == "b" or found[4].lower().startswith("bit")
    scale: float = (1024 if found[3] else 1000) ** power / (8 if bits else 1)
    return max(1, round(float(found[1]) * scale))
