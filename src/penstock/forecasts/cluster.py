"""The cluster that a plan is for: what Spark decides by."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from penstock.amounts import bytes_of
from penstock.engines.engine import Engine
from penstock.errors import UsageError

__all__ = ["Cluster", "cluster_of"]


class Cluster(NamedTuple):
    """Cores, memory, and Spark's settings where they decide what moves."""

    cores: int
    memory: int
    """Bytes of all executors together."""
    reducers: int = 200
    """spark.sql.shuffle.partitions"""
    split: int = 128 << 20
    """spark.sql.files.maxPartitionBytes"""
    open_cost: int = 4 << 20
    """spark.sql.files.openCostInBytes"""
    broadcast: int = 10 << 20
    """spark.sql.autoBroadcastJoinThreshold"""
    advised: int = 64 << 20
    """spark.sql.adaptive.advisoryPartitionSizeInBytes"""
    adaptive: bool = True
    codec: str = "lz4"
    """spark.io.compression.codec"""


#: Settings of Spark by the fields that they are.
_SETTINGS = {
    "reducers": "spark.sql.shuffle.partitions", "split": "spark.sql.files.maxPartitionBytes",
    "open_cost": "spark.sql.files.openCostInBytes", "broadcast": "spark.sql.autoBroadcastJoinThreshold",
    "advised": "spark.sql.adaptive.advisoryPartitionSizeInBytes", "adaptive": "spark.sql.adaptive.enabled",
    "codec": "spark.io.compression.codec", "cores": "spark.default.parallelism",
}  # fmt: skip


def cluster_of(given: Mapping[str, Any] | None, engine: Engine) -> Cluster:
    """What was said of the cluster; else what the engine says of its own; else this machine with Spark's defaults."""
    found = Cluster(cores=max(2, os.cpu_count() or 2), memory=_memory_of_this_machine())
    if engine.name == "spark":
        told = {field: engine.setting(name) for field, name in _SETTINGS.items()}
        found = found._replace(**{field: _read(field, text) for field, text in told.items() if text is not None})
    if given is None:
        return found
    if not isinstance(given, Mapping):
        raise UsageError(
            f"cluster={given!r} describes no cluster", 'name its properties: cluster={"machines": 20, "cores": 16}'
        )
    known = {*Cluster._fields, "machines"}
    for name in given:
        if name not in known:
            raise UsageError(f'a cluster has no "{name}"', f"it has: {', '.join(sorted(known))}")
    values = {name: _given(name, value) for name, value in given.items()}
    machines = values.pop("machines", 1)
    for each in ("cores", "memory"):
        values[each] = values.get(each, getattr(found, each)) * machines
    return found._replace(**values)


#: The codecs that blocks can be compressed with as Spark does it (`serialised`).
CODECS = ("lz4", "zstd", "snappy", "none")

#: What may be given for each field, where that is no amount from 1 on.
_ALLOWED = {
    "adaptive": re.compile("true|false"), "codec": re.compile("|".join(CODECS)),
    "open_cost": re.compile(r"\d.*"), "broadcast": re.compile(r"-1|\d.*"),
}  # fmt: skip
_EXAMPLES = {
    **dict.fromkeys(("machines", "cores", "reducers"), "a whole number from 1 on"), "adaptive": "true or false",
    "codec": ", ".join(CODECS), "open_cost": "bytes, such as 4MB, or 0",
    "broadcast": "bytes, such as 10MB; 0 or -1 broadcasts nothing",
}  # fmt: skip


def _given(field: str, value: Any) -> Any:
    """A property as a person gave it.

    Raises:
        UsageError: It can be no such property.
    """
    text = str(value).strip().lower()
    counted = field in ("machines", "cores", "reducers")
    pattern = re.compile(r"0*[1-9]\d*") if counted else _ALLOWED.get(field, re.compile(r"(?=.*[1-9])\d.*"))
    try:
        if pattern.fullmatch(text):
            return int(text) if counted else _read(field, text)
    except UsageError:  # of what begins like a size and is none
        pass
    wanted = _EXAMPLES.get(field, "bytes, such as 64MB, and more than 0")
    raise UsageError(f'a cluster cannot have {field}="{value}"', f"give {wanted}")


def _read(field: str, text: str) -> Any:
    if field == "adaptive":
        return text.lower() == "true"
    if field == "codec":
        return text.lower()
    if field in ("cores", "reducers"):
        return int(text)
    size = re.fullmatch(r"(-?\d+)\s*([kmgt]?)b?", text.strip().lower())
    return int(size[1]) << {"": 0, "k": 10, "m": 20, "g": 30, "t": 40}[size[2]] if size else bytes_of(text)


def _memory_of_this_machine() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
