"""Rows that are as they should be, apart from those that are not, with every reason, in one pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from numbers import Integral, Number
from typing import Any, NamedTuple

from sqlglot import exp

from penstock import sql
from penstock.dialect.kinds import kind as kind_of
from penstock.engines.engine import Engine
from penstock.errors import CheckFailed, UsageError
from penstock.made import remembered
from penstock.sides import Pair, refuse_unlike
from penstock.tables import Table, adopt, columns, engine_of, native, resolve, resolve_in, type_of

__all__ = ["Checked", "check", "is_marked"]

#: What `ps.read(bad="quarantine")` adds to the columns of the files.
MARKS = ("raw", "source_file", "source_line")
REASONS = "reasons"
#: What the engines call the type of a column that has never held a value.
NULL = ("NULL", '"NULL"')


class Checked:
    """What a check found: `good, quarantined = ps.check(…)`.

    Nothing runs until one of the two is asked for. Then one pass marks the rows and keeps them, and both are parts of
    it. A step of a job returns this as it is, and the run keeps the quarantined rows.
    """

    def __init__(self, marked: Table, fail_above: float | None) -> None:
        self.marked = marked
        """All rows, and `reasons`: null, or the names of the rules that the row breaks."""
        self.fail_above = fail_above
        self._rows: Table | None = None

    @property
    def _kept(self) -> Table:
        # No cached_property: before Python 3.12 it holds one lock for all checks of the process while it runs.
        if self._rows is None:
            kept = engine_of(self.marked).materialize(self.marked)
            if self.fail_above is not None:
                refuse_above(counted(kept), self.fail_above)
            self._rows = kept
        return self._rows

    @property
    def good(self) -> Table:
        """The rows that break no rule, with the columns that they had."""
        return good_of(self._kept)

    @property
    def quarantined(self) -> Table:
        """The rows that break a rule, whole, and `reasons`."""
        return quarantined_of(self._kept)

    def __iter__(self) -> Iterator[Table]:
        return iter((self.good, self.quarantined))


class Counts(NamedTuple):
    """How many rows a check saw."""

    rows: int
    quarantined: int
    reasons: dict[str, int]


@remembered
def check(
    t: Table,
    rules: Mapping[str, str] | None = None,
    *,
    fail_above: float | None = None,
    required: str | Sequence[str] = (),
    types: Mapping[str, str] | None = None,
    allowed: Mapping[str, Iterable[Any]] | None = None,
    unique: str | Sequence[str] | Sequence[Sequence[str]] = (),
    references: Mapping[str, Any] | None = None,
) -> Checked:
    """Split the rows of a table into good ones and quarantined ones.

    Args:
        t: A table of either engine. Rows that `ps.read(…, bad="quarantine")` marked as malformed break the rule
            "malformed"; where they came from (`source_file`, `source_line`) leaves the good rows.
        rules: Names, and SQL conditions that a good row fulfils, each about its own row. As in SQL's CHECK, a condition
            that is null (it speaks of a value that is not there) is not broken: `required` is about those.
        fail_above: The share of quarantined rows above which all fails: `0.01`.
        required: Columns that may not be null.
        types: Columns of text, and the type that the text has to be a value of: `{"price": "DOUBLE"}`. It has to be
            written as both engines read it: `2026-03-01 12:00:00`, a whole number without a point.
        allowed: Columns, and the values that they may have besides null.
        unique: A column, or several, no value of which may stand in two rows; all rows that share one are quarantined.
            `[["user_id", "ts"], "id"]` names a pair and a single one. A null is no value, as in SQL's UNIQUE. This
            compares rows, so it moves them.
        references: Columns, and the table of one column that has to hold their values: `{"user_id": users}`. A null
            refers to nothing.

    Returns:
        The rows as `good` and as `quarantined`, the latter with `reasons`, a list of the names of all rules that the
        row breaks, in the order of the arguments above.

    Raises:
        ColumnError: a rule names a column that the table does not have.
        UsageError: a rule is no condition or speaks of other rows, two have one name, or the types do not compare.
        CheckFailed: there are more quarantined rows than `fail_above`; raised when the rows are asked for.

    Example:
        >>> orders = ps.adopt([{"id": 1, "amount": 5}, {"id": 2, "amount": -1}, {"id": None, "amount": -2}])
        >>> good, quarantined = check(orders, {"amount is positive": "amount > 0"}, required="id")
        >>> good.fetchall()
        [(1, 5)]
        >>> sorted(quarantined.fetchall(), key=str)
        [(2, -1, ['amount is positive']), (None, -2, ['amount is positive', 'id is required'])]
    """
    if fail_above is not None and not 0 <= fail_above <= 1:
        raise UsageError(f"fail_above is {fail_above}", "it is a share of the rows, from 0 to 1")
    engine, present = engine_of(t), columns(t)
    if sql.unused(REASONS, present) != REASONS:
        raise UsageError(f'the table has a column "{REASONS}" already', "rename it")
    beside = _Beside(engine, present)
    rules_ = [
        *_conditions(t, rules or {}, engine, present),
        *_required(resolve(t, _names(required)), engine),
        *_typed(t, types or {}, engine, present),
        *_allowed(t, allowed or {}, engine, present),
        *beside.unique(_keys(t, unique)),
        *beside.references(t, references or {}),
    ]
    if is_marked(t):  # nothing else can be said of a line that did not parse
        rules_ = [(name, f"raw IS NULL AND {condition}") for name, condition in rules_]
        rules_.insert(0, ("malformed", "raw IS NOT NULL"))
    if not rules_:
        raise UsageError("there is no rule", 'give some: {"amount is positive": "amount > 0"}')
    names = [name for name, _ in rules_]
    if doubled := {name for name in names if names.count(name) > 1}:
        raise UsageError(f'two rules are called "{min(doubled)}"', "rename one, or name the column once")
    return Checked(_marked(t, dict(rules_), beside), fail_above)


def is_marked(table: Table) -> bool:
    """Whether a table has the columns of `ps.read(bad="quarantine")`."""
    return set(MARKS) <= columns(table).keys()


def good_of(marked: Table) -> Table:
    """The rows of a marked table that break no rule, without the marks."""
    hidden = {REASONS, *(MARKS if is_marked(marked) else ())}
    kept = [name for name in columns(marked) if name not in hidden]
    return native(lambda d: f"SELECT {sql.quoted(kept, d)} FROM t WHERE {REASONS} IS NULL", t=marked)


def quarantined_of(marked: Table) -> Table:
    """The rows of a marked table that break a rule."""
    return native(lambda _: f"SELECT * FROM t WHERE {REASONS} IS NOT NULL", t=marked)


def counted(marked: Table) -> Counts:
    """Rows of a marked table, and how many break each rule; one that breaks two counts for both."""
    spread = native(
        lambda d: (
            f"SELECT {'explode' if d == 'spark' else 'unnest'}({REASONS}) AS reason FROM t WHERE {REASONS} IS NOT NULL"
        ),
        t=marked,
    )
    engine = engine_of(marked)
    sums = engine.query(f"SELECT count(*) AS n, count({REASONS}) AS bad FROM t", {"t": marked})
    each = engine.query("SELECT reason, count(*) AS n FROM t GROUP BY reason ORDER BY n DESC, reason", {"t": spread})
    (total,) = engine.batches(sums).read_all().to_pylist()
    reasons = {row["reason"]: row["n"] for row in engine.batches(each).read_all().to_pylist()} if total["bad"] else {}
    return Counts(total["n"], total["bad"], reasons)


def refuse_above(counts: Counts, fail_above: float | None) -> None:
    """Fail where more rows are quarantined than may be."""
    # Not as a product: 0.29 * 100 is below 29.
    if fail_above is not None and counts.quarantined and counts.quarantined / counts.rows > fail_above:
        said = ", ".join(f"{name}: {n}" for name, n in counts.reasons.items())
        raise CheckFailed(
            f"{counts.quarantined} of {counts.rows} rows are bad ({counts.quarantined / counts.rows:.2%}), and "
            f"fail_above is {fail_above:.2%}",
            said,
        )


# -- rules, each as the condition of a row that breaks it -------------------------------------------------------------


def _conditions(
    t: Table, rules: Mapping[str, str], engine: Engine, present: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    for name, predicate in rules.items():
        if sql.expression(predicate).find(exp.AggFunc, exp.Window, exp.Query, exp.Unnest, exp.Explode):
            raise UsageError(
                f'the rule "{name}" speaks of more than one row: {predicate}', "compute that first, as a column"
            )
        resolve_in(present, sql.columns_of(predicate))
        if (kind := type_of(t, predicate)) not in ("BOOLEAN", *NULL):
            raise UsageError(f'the rule "{name}" is no condition, it is {kind}: {predicate}', "compare with something")
        yield name, f"({sql.spell(predicate, engine.name, present)}) IS FALSE"


def _required(names: Iterable[str], engine: Engine) -> Iterator[tuple[str, str]]:
    for name in names:
        yield f"{name} is required", f"{sql.quote(name, engine.name)} IS NULL"


_NUMBER = r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?"
_DAY = "[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}"
_HOUR = r"([01]?[0-9]|2[0-3]):[0-5]?[0-9](:[0-5]?[0-9](\.[0-9]{1,9})?( ?(Z|UTC|[-+](0[0-9]|1[0-4])(:?[0-5][0-9])?))?)?"
#: How values of a type are written. What else the engines forgive differs: DuckDB casts `1_000` and `2026/03/01`, Spark
#: `1d` and `2026-03`.
_WRITTEN = {
    "integer": " *[-+]?[0-9]+ *",
    "decimal": f" *{_NUMBER} *",
    "float": f"(?i) *({_NUMBER}|nan|[-+]?inf(inity)?) *",
    "boolean": "(?i)true|false|t|f|yes|no|y|n|1|0",
    "DATE": f" *{_DAY} *",
    "time": f" *{_DAY}([ T]{_HOUR} *)?",
}


def _typed(t: Table, types: Mapping[str, str], engine: Engine, present: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, kind in zip(resolve(t, types), types.values(), strict=True):
        column = sql.quote(name)
        cast = sql.expression(f"TRY_CAST({column} AS {kind})")
        to = cast.to.sql("duckdb") if isinstance(cast, exp.TryCast) else ""
        written = _WRITTEN.get(to) or _WRITTEN.get(kind_of(cast))
        if present[name] in NULL or to == sql.type_for(present[name], "duckdb"):
            broken = "FALSE"
        elif present[name] != "VARCHAR":
            raise UsageError(f'"{name}" is {present[name]} and not {kind}', "a type is checked in a column of text")
        elif not to or not written:
            raise UsageError(f'"{name}": no text is checked for being {kind}', "a number, BOOLEAN, DATE or TIMESTAMP")
        else:
            fits = f"regexp_full_match({column}, {sql.literal(written)}) AND TRY_CAST({column} AS {kind}) IS NOT NULL"
            broken = sql.spell(f"{column} IS NOT NULL AND NOT ({fits})", engine.name, present)
        yield f"{name} is {kind}", broken


def _allowed(
    t: Table, allowed: Mapping[str, Iterable[Any]], engine: Engine, present: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    for name, values in zip(resolve(t, allowed), allowed.values(), strict=True):
        listed = [_literal(value, name, present[name]) for value in _names(values) if value is not None]
        if not listed:
            raise UsageError(f'no value is allowed for "{name}"', "list some")
        isin = sql.spell(f"{sql.quote(name)} IN ({', '.join(listed)})", engine.name, present)
        yield f"{name} is allowed", f"({isin}) IS FALSE"


def _literal(value: Any, name: str, kind: str) -> str:
    """A value as SQL of a column's own type: of another one, each engine would cast in its own way."""
    if kind in NULL:
        return "NULL"
    family = kind_of(sql.expression(f"CAST(x AS {kind})"))
    truth = isinstance(value, bool)
    number = isinstance(value, Number) and not truth
    if family == "text" and isinstance(value, str):
        return sql.literal(value)
    if (family == "boolean" and truth) or (family == "integer" and number and isinstance(value, Integral)):
        return str(value)
    if family == "decimal" and number and Decimal(str(value)).is_finite():
        return f"{Decimal(str(value)):f}"
    if family == "float" and number:
        return f"CAST('{float(value)}' AS {kind})"
    if kind == "DATE" and isinstance(value, date) and not isinstance(value, datetime):
        return f"DATE '{value}'"
    if kind.startswith("TIMESTAMP") and isinstance(value, datetime):
        naive = value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
        return f"CAST('{naive}' AS {kind})"
    raise UsageError(f'"{name}" is {kind}, and {value!r} is not', "list values of the column's type")


class _Beside:
    """What rules need besides the row: counts of its key, and whether another table has it."""

    def __init__(self, engine: Engine, present: Mapping[str, str]) -> None:
        self.engine = engine
        self.present = present
        self.counts: dict[str, str] = {}
        self.others: dict[str, tuple[Table, str, str]] = {}

    def unique(self, keys: Iterable[list[str]]) -> Iterator[tuple[str, str]]:
        for number, names in enumerate(keys):
            if not names or any("MAP(" in self.present[name] for name in names):
                raise UsageError(f"no key to be unique: {names}", "name columns, but no maps: they have no equality")
            columns_ = sql.quoted(names, self.engine.name)
            alias = sql.unused(f"same{number}", self.present)
            self.counts[alias] = f"count(*) OVER (PARTITION BY {columns_})"
            whole = " AND ".join(f"{sql.quote(name, self.engine.name)} IS NOT NULL" for name in names)
            yield f"{', '.join(names)} is unique", f"{whole} AND {alias} > 1"

    def references(self, t: Table, references: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        for number, (name, other) in enumerate(zip(resolve(t, references), references.values(), strict=True)):
            held = adopt(other, self.engine)
            if len(columns(held)) != 1:
                raise UsageError(
                    f'the table that "{name}" refers to has the columns {", ".join(columns(held))}', "select one"
                )
            alias = sql.unused(f"held{number}", self.present)
            ((key, kind),) = columns(held).items()
            refuse_unlike(Pair(name, key), self.present[name], kind)
            self.others[alias] = (held, key, name)
            yield f"{name} is known", f"{sql.quote(name, self.engine.name)} IS NOT NULL AND {alias} IS NULL"


def _marked(t: Table, broken: Mapping[str, str], beside: _Beside) -> Table:
    """The table with `reasons`."""
    dialect = beside.engine.name
    rows = sql.unused("t", beside.present)  # else `t.x` in a rule is the column x, and not a field of the column t
    names = [f"CASE WHEN {condition} THEN {sql.literal(name, dialect)} END" for name, condition in broken.items()]
    listed = (
        f"filter(array({', '.join(names)}), x -> x IS NOT NULL)"
        if dialect == "spark"
        else f"list_filter([{', '.join(names)}], lambda x: x IS NOT NULL)"
    )
    # Most rows are good: one condition tells them, and only the others have a list made.
    reasons = f"CASE WHEN {' OR '.join(f'({condition})' for condition in broken.values())} THEN {listed} END"
    counts = "".join(f", {window} AS {alias}" for alias, window in beside.counts.items())
    joins = "".join(
        f" LEFT JOIN (SELECT DISTINCT {sql.quote(key, dialect)} AS {alias} FROM {alias}_t) AS {alias}_t"
        f" ON {rows}.{sql.quote(name, dialect)} = {alias}"
        for alias, (_, key, name) in beside.others.items()
    )
    selected = sql.quoted(beside.present, dialect, f"{rows}.")
    return beside.engine.query(
        f"SELECT {selected}, {reasons} AS {REASONS} FROM (SELECT *{counts} FROM rows_in) AS {rows}{joins}",
        {"rows_in": t} | {f"{alias}_t": held for alias, (held, _, _) in beside.others.items()},
    )


def _names(given: str | Iterable[Any]) -> list[Any]:
    return [given] if isinstance(given, str) else list(given)


def _keys(t: Table, given: Any) -> list[list[str]]:
    return [resolve(t, _names(key)) for key in _names(given)]
