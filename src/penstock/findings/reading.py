"""Files: many small ones, text in place of Parquet, ones that cannot be divided, statistics that are not used."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterator, Sequence

from sqlglot import exp

from penstock.amounts import amount, size
from penstock.errors import PenstockError
from penstock.figures import Figure, exact
from penstock.findings.finding import Finding, Look, matters
from penstock.findings.source_lines import short
from penstock.forecasts.scans import Condition, conditions_of, kept_paths, scanned
from penstock.forecasts.sources import Source, footer, identity
from penstock.trees.tree import Scan

__all__ = ["hidden_from_statistics", "small_files", "text_in_place_of_parquet", "undivided"]

TEXT = ("csv", "tsv", "json", "log")
#: More files than this, smaller than this on average, are too small; and so many are too many, whatever they hold.
FILES, SMALL, TOO_MANY = 50, 16 << 20, 1_000
#: What a file had better have, as `ps.compact` makes it.
WANTED = 256 << 20
#: The part of the text that Parquet may take at most to be worth converting.
PART = 0.25
#: Twice what a map task reads, in one piece.
PIECE = 256 << 20
#: The part of what is read that a range may read at most.
HALF = 0.5


def small_files(look: Look) -> Iterator[Finding]:
    """PEN206: files that take longer to open than to read."""
    for scan in _once(look):
        paths = _paths(look, scan)
        if len(paths) <= FILES:
            continue
        there = sum(identity(path)[1] for path in paths)
        each = there / len(paths)
        if each >= SMALL or (not matters(exact(there)) and len(paths) <= TOO_MANY):
            continue
        wanted = max(1, math.ceil(there / WANTED))
        saved = (len(paths) - wanted) * look.forecast.cluster.open_cost
        parquet = scan.source.format == "parquet"
        fix = f"penstock compact {_folder(scan.source)}" if parquet else _converted(scan.source)
        yield look.finding(
            "PEN206",
            scan,
            f"{amount(len(paths))} files of {size(each)} each: to open them costs as much as to read {size(saved)}, "
            f"and they hold {size(there)}; {amount(wanted)} would do",
            [fix],
            exact(saved),
            argument="0",
        )


def text_in_place_of_parquet(look: Look) -> Iterator[Finding]:
    """PEN207: text of which Parquet would read a small part."""
    for scan in _once(look):
        source = scan.source
        if source.format not in TEXT:
            continue
        text = sum(identity(path)[1] for path in _paths(look, scan))
        part = look.forecast.written(scan) if scan.columns else exact(0)
        if part.mid is None or part.mid > PART * text or not matters(exact(text - part.mid)):
            continue
        saved = Figure(text - (part.high or part.mid), text - part.mid, text - (part.low or 0.0), "sample")
        columns = f"{len(scan.columns)} of {len(source.columns)} column{'s' * (len(source.columns) != 1)}"
        yield look.finding(
            "PEN207",
            scan,
            f"{size(text)} of {source.format} are parsed for {columns}: of Parquet, {size(part.mid)} would be read, "
            f"{_percent(part.mid / text)}",
            [_converted(source)],
            saved,
            argument="0",
        )


def undivided(look: Look) -> Iterator[Finding]:
    """PEN211: files, or row groups, that one task has to read."""
    for scan in _once(look):
        paths = _paths(look, scan)
        if scan.source.format in TEXT:
            pieces = {path: identity(path)[1] for path in paths if path.endswith((".gz", ".zst"))}
            kind = "file"
        elif scan.source.format == "parquet":
            pieces = _row_groups(paths, set(scan.names.values()))
            kind = "row group"
        else:
            continue
        large = {name: length for name, length in pieces.items() if length >= PIECE}
        if not large:
            continue
        most = max(large.values())
        many = f"{amount(len(large))} {kind}s are" if len(large) > 1 else f"a {kind} is"
        yield look.finding(
            "PEN211",
            scan,
            f"{many} read by one task {'each' if len(large) > 1 else 'alone'}: {size(most)} "
            f"{'at most' if len(large) > 1 else 'in one piece'}, where a task should have "
            f"{size(look.forecast.cluster.split)}",
            [_converted(scan.source)],
            exact(most),
            argument="0",
        )


def _row_groups(paths: Sequence[str], columns: set[str]) -> dict[str, int]:
    """What is read of each row group."""
    found = {}
    for path in paths:
        told = footer(path)
        for number in range(told.num_row_groups):
            group = told.row_group(number)
            chunks = (group.column(i) for i in range(group.num_columns))
            read = sum(each.total_compressed_size for each in chunks if each.path_in_schema.split(".")[0] in columns)
            found[f"{path}:{number}"] = read
    return found


# -- statistics -------------------------------------------------------------------------------------------------------


def hidden_from_statistics(look: Look) -> Iterator[Finding]:
    """PEN216: a condition on a function of a column, where a range of the column would skip row groups."""
    for scan in _once(look):
        source, asked = scan.source, look.asked(scan)
        if source.format != "parquet":
            continue
        paths = kept_paths(source, asked, scan.names)
        columns = sorted(set(scan.names.values()))
        known = conditions_of(asked, scan.names)
        for condition in asked:
            found = _range(condition, scan)
            if found is None:
                continue
            name, low, high = found
            bounds = [Condition(name, ">=", low.isoformat()), Condition(name, "<", high.isoformat())]
            now = scanned(source, paths, columns, known).read_bytes
            then = scanned(source, paths, columns, [*known, *bounds]).read_bytes
            if then > HALF * now or not matters(exact(now - then)):
                continue
            where, kind = look.parents[id(scan)], scan.columns[_place_of(scan, name)].partition(" ")[0]
            first, end = (f"{kind} '{_shown(each)}'" for each in (low, high))
            yield look.finding(
                "PEN216",
                where,
                f"a function hides {name} from the statistics of the row groups: {size(now)} are read, and as a range "
                f"of {name} it would be {size(then)}",
                [f'ps.where({look.subject(where)}, "{name} >= {first} AND {name} < {end}")'],
                exact(now - then),
                argument=name,
            )


def _shown(moment: datetime.datetime) -> str:
    return str(moment if moment.hour or moment.minute else moment.date())


def _range(condition: exp.Expr, scan: Scan) -> tuple[str, datetime.datetime, datetime.datetime] | None:
    """The column of a condition such as `date_trunc('day', ts) = …`, and the range of it that means the same."""
    asked = condition.unnest()
    if not isinstance(asked, exp.EQ):
        return None
    left, right = _uncast(asked.left), _uncast(asked.right)
    for one, other in ((left, right), (right, left)):
        column = one.find(exp.Column)
        name = scan.names.get(column.name) if column is not None else None
        if name is None or column is None or not scan.columns[column.name].startswith(("TIMESTAMP", "DATE")):
            continue
        value = other.this if isinstance(other, (exp.TsOrDsToDate, exp.Timestamp, exp.Date)) else other
        if not isinstance(value, exp.Literal):
            continue
        found = None
        if isinstance(one, exp.Year) and value.is_int:
            found = datetime.datetime(int(value.name), 1, 1), datetime.datetime(int(value.name) + 1, 1, 1)
        elif isinstance(one, (exp.TimestampTrunc, exp.DateTrunc)) and _uncast(one.this) == column:
            found = _period(value.name, one.args["unit"].name.lower())
        if found:
            return (name, *found)
    return None


def _uncast(expression: exp.Expr) -> exp.Expr:
    """What is cast, most often to the type that it has."""
    while isinstance(bare := expression.unnest(), exp.Cast):
        expression = bare.this
    return bare


def _period(text: str, unit: str) -> tuple[datetime.datetime, datetime.datetime] | None:
    """The hour, day, month or year that begins at a moment."""
    try:
        low = datetime.datetime.fromisoformat(text)
    except ValueError:
        return None
    if unit in ("hour", "day", "week"):
        return low, low + datetime.timedelta(**{f"{unit}s": 1})
    if unit == "month" and low.day == 1:
        return low, (low + datetime.timedelta(days=31)).replace(day=1)
    return (low, low.replace(year=low.year + 1)) if unit == "year" and (low.month, low.day) == (1, 1) else None


def _place_of(scan: Scan, name: str) -> str:
    return next(place for place, known in scan.names.items() if known == name)


# -- files ------------------------------------------------------------------------------------------------------------


def _once(look: Look) -> Iterator[Scan]:
    """The scans of files, of each source the one that reads most columns."""
    found: dict[str, Scan] = {}
    for scan in look.of(Scan):
        if scan.source.paths:
            known = found.setdefault(repr(scan.source), scan)
            if len(scan.columns) > len(known.columns):
                found[repr(scan.source)] = scan
    return iter(found.values())


def _paths(look: Look, scan: Scan) -> Sequence[str]:
    """The files that are read, after those whose folders are ruled out."""
    try:
        return list(kept_paths(scan.source, look.asked(scan), scan.names))
    except PenstockError:
        source: Source = scan.source
        return source.paths


def _folder(source: Source) -> str:
    """The folder that all files lie in, as far as it is no partition."""
    parts = _near(source.paths[0]).split("/")[:-1]
    return "/".join(part for part in parts if "=" not in part) or "."


def _converted(source: Source) -> str:
    """The command that writes the files as Parquet."""
    path = _near(source.paths[0])
    head, slash, name = path.rpartition("/")
    stem, dot, ending = name.partition(".")
    if len(source.paths) == 1:
        return f"penstock convert {path} -o {head}{slash}{stem}{'' if dot and ending != 'parquet' else '-again'}"
    folder = _folder(source)
    deep = "**/" if "=" in head else ""
    return (
        f"penstock convert '{folder}/{deep}*{dot}{ending}' -o {folder}-{'again' if ending == 'parquet' else 'parquet'}"
    )


def _near(path: str) -> str:
    """A path as it is typed from here."""
    return path if "://" in path.removeprefix("file://") else short(path.removeprefix("file://"))


def _percent(share: float) -> str:
    return "less than 1 %" if share < 0.01 else f"{share:.0%}"
