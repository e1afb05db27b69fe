"""The command line of the bench: `python -m bench top_n --rows 2000000 --rounds 3`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click
from rich.console import Console

from bench import harness, report

PATTERNS = sorted(file.stem for file in Path(__file__).parent.glob("patterns/[!_]*.py"))
RESULTS = Path(__file__).parent / "results"


@click.command()
@click.argument("pattern", type=click.Choice(PATTERNS))
@click.option("--rows", default=2_000_000, type=click.IntRange(min=1), show_default=True)
@click.option("--rounds", default=3, type=click.IntRange(min=1), show_default=True, help="Timed, after one to warm up.")
@click.option("--seed", default=1, show_default=True, help="Of the events.")
@click.option("--only", default="", metavar="A,B", help="These contenders, in the order of their file.")
@click.option("--skip", default="", metavar="A,B", help="All contenders but these.")
@click.option("--into", default=RESULTS, type=click.Path(path_type=Path, file_okay=False), help="Where the JSON goes.")
def main(pattern: str, rows: int, rounds: int, seed: int, only: str, skip: str, into: Path) -> None:
    """Time one PATTERN beside its peers; exit 1 where a contender fails or gives other rows than the first."""
    contenders = harness.load(pattern).CONTENDERS
    wanted, unwanted = ({name for name in names.split(",") if name} for names in (only, skip))
    if unknown := (wanted | unwanted) - contenders.keys():
        raise click.UsageError(f"no contender {', '.join(sorted(unknown))}; {pattern} has: {', '.join(contenders)}")
    names = [name for name in contenders if name in (wanted or contenders) and name not in unwanted]

    setting = report.setting()
    with Console(stderr=True).status("") as status:
        outcome = harness.run(pattern, names, rows=rows, rounds=rounds, seed=seed, say=status.update)
    result = {
        "pattern": pattern,
        "rows": rows,
        "rounds": rounds,
        "seed": seed,
        **setting,
        "contenders": report.measures(outcome, contenders),
        "failed": outcome.failed,
        "left_out": outcome.left_out,
    }
    into.mkdir(parents=True, exist_ok=True)
    (into / f"{pattern}-{rows}.json").write_text(json.dumps(result, indent=2) + "\n")
    Console().print(report.table(result))
    sys.exit(1 if outcome.failed else 0)


if __name__ == "__main__":
    main()
