"""`penstock doctor`: what is installed, what the machine has, and where defaults come from."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import click

from penstock import __version__
from penstock.cli import config
from penstock.cli.main import COMMANDS

__all__ = ["INSTALL_JAVA", "doctor", "java"]

PACKAGES = {
    "duckdb": "",
    "pyarrow": "",
    "sqlglot": "",
    "pyspark": "pip install 'penstock[spark]'",
    "fsspec": "pip install 'penstock[s3]'",
    "fastavro": "pip install 'penstock[avro]'",
    "deltalake": "pip install 'penstock[delta]'",
    "pyiceberg": "pip install 'penstock[iceberg]'",
}
INSTALL_JAVA = "apt-get install openjdk-17-jre-headless, or brew install openjdk@17"


def _run() -> None:
    found = find()
    width = max(map(len, found))
    for name, said in found.items():
        click.echo(f"{name:<{width}}  {said}")


def find() -> dict[str, str]:
    """Everything that is told, by name."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    scratch = tempfile.gettempdir()
    return {
        "penstock": __version__,
        "python": platform.python_version(),
        **{package: _version(package, missing) for package, missing in PACKAGES.items()},
        "java": java()[1],
        "cores": str(os.cpu_count()),
        "memory": f"{memory / 1e9:.1f} GB",
        "scratch": f"{scratch}, {shutil.disk_usage(scratch).free / 1e9:.1f} GB free",
        **{key: _default(key) for key in config.KEYS},
    }


def _version(package: str, missing: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return f"not installed: {missing}"


def java() -> tuple[bool, str]:
    """Whether Spark can run on the Java that is here, and what there is to say of it."""
    home = os.environ.get("JAVA_HOME")
    program = str(Path(home, "bin", "java")) if home else shutil.which("java")
    if not program or not Path(program).exists():
        return False, f"not found, and Spark needs 17 or newer: {INSTALL_JAVA}"
    said = subprocess.run([program, "-version"], capture_output=True, text=True, check=False).stderr
    number = re.search(r'version "(\d+)[^"]*"', said)
    if number and int(number[1]) >= 17:
        return True, f"{number[0].split()[1].strip(chr(34))}, {program}"
    return False, f"{program} is too old, Spark needs 17 or newer: {INSTALL_JAVA}"


def _default(key: str) -> str:
    """The value that holds when no option is given, and who said so."""
    variable = f"PENSTOCK_{key.upper()}"
    configured = config.find(Path.cwd())
    if key == "engine" and variable in os.environ:
        return f"{os.environ[variable]}, from {variable}"
    if key in configured.values:
        return f"{configured.values[key]}, from {configured.path}"
    ours = {"engine": "duckdb", "format": "table on a terminal, csv in a pipe"}
    return f"{ours.get(key, 'none')}, by default"


doctor = click.Command("doctor", callback=_run, help=COMMANDS["doctor"])
