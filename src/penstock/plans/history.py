"""Forecasts that were held against a run, in `.penstock/forecasts.ndjson`: how far to trust the next one.

They are kept where the project has that folder; a query in some other place leaves nothing behind.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from penstock.plans.actuals import Compared

__all__ = ["NEAR", "hits", "remember"]

NEAR = 0.15  # of what was measured, within which a forecast is called near
NAME = "forecasts.ndjson"


def remember(home: Path, of: str, engine: str, found: Compared) -> None:
    """Add a forecast and what came of it, in one write."""
    if found.ratio is None or not home.is_dir():
        return
    line = {"t": datetime.now(UTC).isoformat(timespec="seconds"), "of": of, "engine": engine} | found.to_json()
    with (home / NAME).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line, ensure_ascii=False) + "\n")


def hits(home: Path) -> str:
    """How the forecasts did that are kept; empty where there are none."""
    try:
        lines = (home / NAME).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return ""
    known = [found["ratio"] for line in lines if (found := _read(line)).get("ratio") is not None]
    near = sum(abs(ratio - 1) <= NEAR for ratio in known)
    return (
        f"of {len(known)} forecasts kept in {home}, {near} were within {NEAR:.0%} of what was measured" if known else ""
    )


def _read(line: str) -> Mapping[str, Any]:
    """A line; nothing where it was cut short."""
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
