"""Where defaults come from: `penstock.toml`, or `[tool.penstock]` in `pyproject.toml`. The nearest file wins."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, NamedTuple

from penstock.errors import UsageError

__all__ = ["KEYS", "Configuration", "find", "value"]

KEYS = ("engine", "format", "lineage", "metrics")


class Configuration(NamedTuple):
    """The values of a configuration file, and which it was."""

    values: dict[str, str]
    path: Path | None = None


def find(folder: Path) -> Configuration:
    """The configuration that holds in a folder."""
    for parent in (folder, *folder.parents):
        own = parent / "penstock.toml"
        if own.is_file():
            return _checked(_table(own), own)
        project = parent / "pyproject.toml"
        if project.is_file() and "penstock" in (tools := _table(project).get("tool", {})):
            return _checked(tools["penstock"], project)
    return Configuration({})


def value(key: str) -> str | None:
    """One value for the folder that the command was started in."""
    return find(Path.cwd()).values.get(key)


def _table(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not TOML: {error}", "correct it, or take it away") from error


def _checked(values: dict[str, Any], path: Path) -> Configuration:
    for key, said in values.items():
        if key == "tool":
            raise UsageError(f"{path} has a table [tool]", 'penstock.toml takes its keys at the top: engine = "spark"')
        if key not in KEYS:
            raise UsageError(f'{path} has an unknown key "{key}"', f"it takes: {', '.join(KEYS)}")
        if not isinstance(said, str):
            raise UsageError(f"{key} in {path} is {said!r}", f'give a text: {key} = "…"')
    return Configuration(values, path)
