"""What Spark says of where rows move: the Exchange nodes of a physical plan, planned without adaptive execution.

This is the truth that forecasts of plans are held against. `python tests/spark_exchanges.py FOLDER` plans the TPC-H
queries and writes what Spark said to `optimising/tpch_exchanges.json`; FOLDER has the tables at scale factor 1:
`tpchgen-cli parquet -s 1 --output-dir=FOLDER`.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import penstock as ps
import tpch
from penstock.engines.operators import Operator, of_text
from penstock.engines.spark_plans import explained

__all__ = ["KEPT", "REGIMES", "Exchange", "exchanges", "kept", "planned", "said"]

#: What Spark said, and the sizes of the files that it said it of.
KEPT = Path(__file__).parent / "optimising" / "tpch_exchanges.json"


class Exchange(NamedTuple):
    """A place where rows move.

    >>> hashed = Exchange("hash", ("k", "year(at)"), reused=True, in_subquery=True)
    >>> str(hashed), Exchange.of(str(hashed)) == hashed
    ('subquery: reused hash(k, year(at))', True)
    """

    kind: str
    """hash, range, single (all rows to one partition), broadcast, or Spark's own word."""
    keys: tuple[str, ...] = ()
    """Columns, or expressions, as Spark writes them but for its numbers; of a range without directions."""
    reused: bool = False
    """No rows move: those of an equal exchange are read again. The keys are those of the one that is read."""
    in_subquery: bool = False
    """It belongs to a scalar subquery, which runs before the rest."""

    @classmethod
    def of(cls, text: str) -> Exchange:
        """The exchange that prints as this."""
        found = re.fullmatch(r"(subquery: )?(reused )?(\w+)(?:\((.*)\))?", text)
        assert found, text
        return cls(found[3], tuple(_listed(found[4] or "")), bool(found[2]), bool(found[1]))

    def __str__(self) -> str:
        keys = f"({', '.join(self.keys)})" if self.keys else ""
        return f"{'subquery: ' * self.in_subquery}{'reused ' * self.reused}{self.kind}{keys}"


def exchanges(dataframe: Any) -> list[Exchange]:
    """The exchanges of a DataFrame's plan in the order of the work: what is below another, or left of it, comes first.

    A subquery comes before what is below the operator that it is used in. `TakeOrderedAndProject` and `CollectLimit`
    gather rows without an Exchange node, and are not listed.
    """
    with planned(dataframe.sparkSession):
        # A DataFrame keeps the plan that it once had, so it is made anew of its own operators.
        return list(_gathered(of_text(explained(dataframe.select("*"), "simple")), False))


def _gathered(at: Operator, in_subquery: bool) -> Iterator[Exchange]:
    for child in at.children:
        yield from _gathered(child, in_subquery or at.name == "Subquery")
    if at.name in ("Exchange", "BroadcastExchange", "ReusedExchange"):
        yield _read(str(at.info["text"]))._replace(in_subquery=in_subquery)


def _read(text: str) -> Exchange:
    if found := re.match(r"ReusedExchange \[.*?\], ((?:Broadcast)?Exchange .*)", text):
        return _read(found[1])._replace(reused=True)
    if text.startswith("BroadcastExchange"):
        return Exchange("broadcast")
    if text.startswith("Exchange SinglePartition"):
        return Exchange("single")
    found = re.match(r"Exchange (\w+?)(?:partitioning)?\((.*), \d+\)", text, re.IGNORECASE)
    assert found, text
    keys = (re.sub(r"#\d+L?", "", key) for key in _listed(found[2]))
    return Exchange(found[1], tuple(re.sub(r" (ASC|DESC) NULLS (FIRST|LAST)$", "", key) for key in keys))


def _listed(text: str) -> Iterator[str]:
    """The parts between the commas that stand in no brackets."""
    part, depth = "", 0
    for letter in text:
        depth += (letter in "([") - (letter in ")]")
        if letter == "," and not depth:
            yield part.strip()
            part = ""
        else:
            part += letter
    if part:
        yield part.strip()


# -- sessions ----------------------------------------------------------------------------------------------------------


@contextmanager
def planned(session: Any, **settings: str) -> Iterator[None]:
    """A session that plans without adaptive execution, with these settings besides; as it was before afterwards."""
    wanted = {"spark.sql.adaptive.enabled": "false", **settings}
    before = {name: session.conf.get(name, None) for name in wanted}
    try:
        for name, value in wanted.items():
            session.conf.set(name, value)
        yield
    finally:
        for name, value in before.items():
            session.conf.unset(name) if value is None else session.conf.set(name, value)


#: What tables are planned over and with which settings: whatever their size nothing is broadcast, or what is small is.
REGIMES: dict[str, dict[str, str]] = {
    "no broadcast": {"spark.sql.autoBroadcastJoinThreshold": "-1"},
    "tiny": {},
    "sf1": {},
}


def said(query: str, regime: str, tables: Mapping[str, Any]) -> list[str]:
    """The exchanges that Spark plans for a TPC-H query, as they print."""
    sql = tpch.QUERIES[query]
    session = next(iter(tables.values())).sparkSession
    with planned(session, **REGIMES[regime]):
        return [str(each) for each in exchanges(ps.query(sql, **{name: tables[name] for name in tpch.tables_of(sql)}))]


def kept(query: str, regime: str) -> list[Exchange]:
    """What Spark said of a TPC-H query when it was last asked."""
    return [Exchange.of(text) for text in json.loads(KEPT.read_text())["exchanges"][f"{query} {regime}"]]


# -- asking again ------------------------------------------------------------------------------------------------------


def main(large: Path) -> None:
    """Plan every query in every regime, and keep what Spark says."""
    with ps.connect("local[2]") as engine, tempfile.TemporaryDirectory() as folder:
        files = {"tiny": tpch.tiny(Path(folder)), "sf1": {name: large / f"{name}.parquet" for name in tpch.SCHEMAS}}
        tables = {size: {name: engine.read(str(file)) for name, file in files[size].items()} for size in files}
        found = {
            f"{query} {regime}": said(query, regime, tables.get(regime, tables["tiny"]))
            for query in tpch.QUERIES
            for regime in REGIMES
        }
        about = {
            "spark": engine.session.version,
            "bytes": {size: {name: file.stat().st_size for name, file in files[size].items()} for size in files},
        }
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(found[name])}" for name in sorted(found))
    head = "".join(f" {json.dumps(name)}: {json.dumps(value)},\n" for name, value in about.items())
    KEPT.write_text(f'{{\n{head} "exchanges": {{\n{lines}\n }}\n}}\n')


if __name__ == "__main__":
    main(Path(sys.argv[1]))
