"""What a stage read and wrote, as OpenLineage names and describes datasets."""

from __future__ import annotations

import glob
import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from penstock import __version__
from penstock.engines.engine import connect
from penstock.engines.files import is_remote
from penstock.errors import PenstockError
from penstock.jobs.checks import MARKS, REASONS
from penstock.jobs.origins import DIRECT, Input, Origin, origins
from penstock.jobs.run_folder import RunFolder
from penstock.tables import columns, read

if TYPE_CHECKING:
    from openlineage.client.event_v2 import InputDataset, OutputDataset

__all__ = ["PRODUCER", "Datasets", "facet", "named", "namespace"]

PRODUCER = f"https://github.com/penstock/penstock/tree/v{__version__}"
MOST = 20  # paths of one read that are inputs of their own; more of them are one, the folder that they lie in


def facet(kind: Any, **said: Any) -> Any:
    """A facet that says who made it."""
    return kind(producer=PRODUCER, **said)


def namespace() -> str:
    """That of jobs, and of steps whose rows are kept in runs."""
    return os.environ.get("OPENLINEAGE_NAMESPACE", "penstock")


class Name(NamedTuple):
    """A dataset."""

    namespace: str
    name: str


def named(path: str) -> Name:
    """The dataset that a path means: of a glob over whole folders, the folder.

    >>> named("s3://lake/visits/date=*/*.parquet")
    Name(namespace='s3://lake', name='visits')
    >>> named("/data/orders-*.csv")
    Name(namespace='file', name='/data/orders-*.csv')
    """
    if is_remote(path):
        url = urlsplit(path)
        return Name(f"{url.scheme}://{url.netloc}", _without_magic(path.split("://", 1)[1].partition("/")[2]))
    return Name("file", os.path.abspath(_without_magic(path.removeprefix("file://"))))


def _without_magic(path: str) -> str:
    parts = path.rstrip("/").split("/")
    for number, part in enumerate(parts):
        if glob.has_magic(part):
            whole = part.startswith(("*", "[", "?")) or "=" in part
            return "/".join(parts[:number] if whole else parts[: number + 1])
    return "/".join(parts)


class _Source(NamedTuple):
    """What a stage reads: files, or the rows of another stage."""

    names: tuple[Name, ...]
    files: frozenset[str]
    kinds: dict[str, str]
    """The columns and their types, where they are known without looking."""
    statistics: dict[str, int]
    read: Mapping[str, Any] | None


class Datasets:
    """The inputs and the output of a stage that is done."""

    def __init__(self, folder: RunFolder, job: str, step: str) -> None:
        self.folder, self.job, self.step = folder, job, step
        self.record = folder.record(step) or {}
        self.statement = folder.statement(step)

    @cached_property
    def sources(self) -> list[_Source]:
        """What it read."""
        made = self.record.get("made_of", {"steps": {}, "needs": {}})
        reads = [read for parts in made["steps"].values() for read in parts["reads"]]
        needs = [need for need, fingerprint in made["needs"].items() if fingerprint != "failed"]
        return [*map(_files_of, reads), *map(self._rows_of, needs)]

    def _rows_of(self, step: str) -> _Source:
        record = self.folder.record(step) or {}
        rows = self.folder.rows(step)
        statistics = {"rowCount": record["rows"]} if "rows" in record else {}
        files = frozenset(str(rows / name) for name in record.get("files", ()))
        return _Source((self._kept(step),), files, kinds_of(record), statistics, None)

    def _kept(self, step: str) -> Name:
        return Name(namespace(), f"{self.job}.{step}")

    def inputs(self) -> list[InputDataset]:
        """What it read, with schema and size where they are known."""
        from openlineage.client.event_v2 import InputDataset
        from openlineage.client.facet_v2 import input_statistics_input_dataset

        found = {}
        for source in self.sources:
            facets = {"schema": schema(kinds)} if (kinds := _kinds(source)) else {}
            about: dict[str, Any] = {}
            if len(source.names) == 1 and source.statistics:
                kind = input_statistics_input_dataset.InputStatisticsInputDatasetFacet
                about["inputStatistics"] = facet(kind, **source.statistics)
            if len(self.sources) == 1 and self.record.get("reasons"):
                about["dataQualityAssertions"] = _assertions(self.record["reasons"])
            for name in source.names:
                found[name] = InputDataset(*name, facets=facets, inputFacets=about)
        return list(found.values())

    def outputs(self) -> list[OutputDataset]:
        """What it wrote, with schema and size, and where the columns come from."""
        from openlineage.client.event_v2 import OutputDataset
        from openlineage.client.facet_v2 import output_statistics_output_dataset

        if not self.record.get("copied", True):
            return []
        name = named(self.record["path"]) if "path" in self.record else self._kept(self.step)
        facets = {}
        if kinds := kinds_of(self.record):
            facets["schema"] = schema(kinds)
            if lineage := self._lineage(kinds):
                facets["columnLineage"] = lineage
        size = facet(
            output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet,
            rowCount=self.record.get("rows"), size=self.record.get("bytes"),
            fileCount=len(self.record.get("files", ())),
        )  # fmt: skip
        return [OutputDataset(*name, facets=facets, outputFacets={"outputStatistics": size})]

    def _lineage(self, kinds: Mapping[str, str]) -> Any:
        from openlineage.client.facet_v2 import column_lineage_dataset as facets

        inputs = [Input(str(n), source.files, partial(_kinds, source)) for n, source in enumerate(self.sources)]
        found = origins(self.statement, inputs) if self.statement else None
        if found is None:
            return None
        fields = {
            column: facets.Fields(inputFields=fed)
            for column in kinds
            if (fed := list(self._fields(found.columns.get(column.casefold(), ()))))
        }
        rows = list(self._fields(found.rows))
        return facet(facets.ColumnLineageDatasetFacet, fields=fields, dataset=rows) if fields or rows else None

    def _fields(self, found: Sequence[Origin]) -> Iterator[Any]:
        from openlineage.client.facet_v2 import column_lineage_dataset as facets

        for origin in found:
            way = facets.Transformation("DIRECT" if origin.way in DIRECT else "INDIRECT", origin.way)
            for name in self.sources[int(origin.input)].names:
                yield facets.InputField(*name, origin.column, transformations=[way])


def kinds_of(record: Mapping[str, Any]) -> dict[str, str]:
    """The columns of a stage's rows, without the marks of a check."""
    hidden = {REASONS, *MARKS} if record.get("checked") else set()
    return {name: kind for name, kind in record.get("columns", {}).items() if name not in hidden}


def schema(kinds: Mapping[str, str]) -> Any:
    """Columns and types as a facet."""
    from openlineage.client.facet_v2 import schema_dataset

    fields = [schema_dataset.SchemaDatasetFacetFields(name, kind) for name, kind in kinds.items()]
    return facet(schema_dataset.SchemaDatasetFacet, fields=fields)


def _files_of(read: Mapping[str, Any]) -> _Source:
    names = read["names"] if len(read["names"]) <= MOST else [_above(read["names"])]
    sizes = [size for size, _ in read["files"].values() if size is not None]
    statistics = {"size": sum(sizes), "fileCount": len(read["files"])}
    return _Source(tuple(dict.fromkeys(map(named, names))), frozenset(read["files"]), {}, statistics, read)


def _above(names: Sequence[str]) -> str:
    """The folder that all lie in, of paths or of URLs."""
    alike = itertools.takewhile(lambda parts: len(set(parts)) == 1, zip(*(n.split("/") for n in names), strict=False))
    return "/".join(parts[0] for parts in alike)


def _kinds(source: _Source) -> dict[str, str]:
    """The columns of what a stage reads; Parquet files are asked, other ones would have to be read for it."""
    if source.read is None or not all(Path(file).suffix in (".parquet", ".pq") for file in source.files):
        return source.kinds
    if not source.kinds:
        try:
            with connect("duckdb", threads=1) as engine:
                source.kinds.update(columns(read(source.read["names"], source.read["format"], engine)))
        except PenstockError:  # gone or replaced since
            return {}
    return source.kinds


def _assertions(reasons: Mapping[str, int]) -> Any:
    from openlineage.client.facet_v2 import data_quality_assertions_dataset as facets

    broken = [facets.Assertion(name, success=False, name=name, actual=str(count)) for name, count in reasons.items()]
    return facet(facets.DataQualityAssertionsDatasetFacet, assertions=broken)
