"""The two sides of a join: which columns meet, and what the columns of the result are called."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from penstock import sql
from penstock.engines.notes import note
from penstock.errors import ColumnError, UsageError
from penstock.tables import Table, columns, engine_of, resolve_in

__all__ = ["Meeting", "On", "Pair", "carried", "meeting_of", "note", "pairs_of", "same_engine"]

#: Join keys: a column of both sides, several, or the left's names with the right's.
On: TypeAlias = "str | Sequence[str] | Mapping[str, str]"


class Pair(NamedTuple):
    """A column of the left and the one of the right that it meets."""

    left: str
    right: str


def same_engine(left: Table, right: Table) -> None:
    """Refuse tables of two engines: rows meet on one."""
    ours, theirs = engine_of(left).name, engine_of(right).name
    if ours != theirs:
        raise UsageError(f"the left is on {ours}, the right on {theirs}", "adopt one: ps.adopt(right, engine)")


def pairs_of(left: Table, right: Table, on: On) -> list[Pair]:
    """The columns that have to be equal, as each side spells them and of types that compare alike on both engines."""
    named = on if isinstance(on, Mapping) else {name: name for name in ([on] if isinstance(on, str) else on)}
    if not named:
        raise UsageError("a join needs a key", 'name the columns that meet: on="user_id", on={"user_id": "id"}')
    ours, theirs = columns(left), columns(right)
    pairs = [
        Pair(_resolved(ours, left_name, "the left"), _resolved(theirs, right_name, "the right"))
        for left_name, right_name in named.items()
    ]
    for pair in pairs:
        refuse_unlike(pair, ours[pair.left], theirs[pair.right])
    return pairs


def _resolved(present: Mapping[str, str], name: str, side: str) -> str:
    try:
        return resolve_in(present, [name])[0]
    except ColumnError:
        raise ColumnError.missing(name, present, side) from None


def refuse_unlike(pair: Pair, left: str, right: str) -> None:
    """Refuse columns whose types one engine would cast and the other not, or that lose digits when they meet."""
    if "MAP(" in left:
        raise UsageError(f'"{pair.left}" is {left}: maps have no equality on both engines', "take one of its values")
    if "NULL" not in (left.strip('"'), right.strip('"')) and _family(left) != _family(right):
        raise UsageError(
            f'"{pair.left}" is {left} on the left, and "{pair.right}" is {right} on the right',
            f'cast one of them first: ps.derive(right, {{"{pair.right}": "{sql.quote(pair.right)}::{left}"}})'
            if not pair.right.isidentifier()
            else f'cast one of them first: ps.derive(right, {pair.right}="{pair.right}::{left}")',
        )


def carried(
    left: Iterable[str], right: Iterable[str], *, without: Iterable[str] = (), suffix: str = "_right"
) -> dict[str, str]:
    """The right's columns and their names in the result: all but `without`, suffixed where the left has the name."""
    taken = {name.casefold() for name in left}
    dropped, found = set(without), {}
    for name in right:
        if name in dropped:
            continue
        shown = name + suffix if name.casefold() in taken else name
        if shown.casefold() in taken:
            raise UsageError(f'both sides have a column "{shown}"', 'give another suffix: suffix="_of_user"')
        taken.add(shown.casefold())
        found[name] = shown
    return found


def meeting_of(left: Table, right: Table, pairs: list[Pair], how: str, suffix: str) -> Meeting:
    """A join of two sides and its columns: the left's, then the right's but for its keys, unless `how` leaves them."""
    return Meeting(left, right, pairs, how, _shown(left, right, pairs, how, suffix))


class Meeting(NamedTuple):
    """What is asked: two tables, the keys they meet on, and how the columns of the result are called."""

    left: Table
    right: Table
    pairs: list[Pair]
    how: str
    shown: list[tuple[str, str]]  # an expression over l0, l1, … and r0, r1, …, and its name

    def table(self, side: str) -> Table:
        return self.left if side == "left" else self.right

    def keys(self, side: str) -> list[str]:
        return [pair.left if side == "left" else pair.right for pair in self.pairs]

    def names(self, side: str) -> dict[str, str]:
        """The columns of a side that the join needs, and what they are called within it: no name can collide there."""
        needed = self.keys(side) if side == "right" and self.how in ("semi", "anti") else columns(self.table(side))
        return {name: f"{side[0]}{i}" for i, name in enumerate(dict.fromkeys(needed))}

    def places(self, side: str) -> list[str]:
        """The keys of a side by those names."""
        names = self.names(side)
        return [names[key] for key in self.keys(side)]

    def input(self, side: str, *extra: str, distinct: bool = False) -> str:
        """A side's columns under their names within the join."""
        dialect = engine_of(self.left).name
        named = [f"{sql.quote(name, dialect)} AS {place}" for name, place in self.names(side).items()]
        return f"SELECT {'DISTINCT ' * distinct}{', '.join([*named, *extra])} FROM {side}_side"

    def kinds(self, side: str) -> list[str]:
        """The types of those columns."""
        kinds = columns(self.table(side))
        return [kinds[name] for name in self.names(side)]

    def row(self, side: str) -> list[str]:
        """The columns of a side that its hash is made of. Spark has no hash of a map."""
        kinds = columns(self.table(side))
        return [place for name, place in self.names(side).items() if "MAP(" not in kinds[name]]

    def query(
        self, ours: str = "", theirs: str = "", *, hint: str = "", salted: bool = False, where: str = "",
        tables: Mapping[str, Table] | None = None,
    ) -> Table:  # fmt: skip
        """The join of two inputs; `salted` ones meet on `l_salt` and `r_salt` too."""
        dialect = engine_of(self.left).name
        shown = ", ".join(f"{expression} AS {sql.quote(name, dialect)}" for expression, name in self.shown)
        both = [*zip(self.places("left"), self.places("right"), strict=True), *([("l_salt", "r_salt")] * salted)]
        same = " AND ".join(f"l.{ours_} = r.{theirs_}" for ours_, theirs_ in both)
        statement = (
            f"SELECT {hint and f'/*+ {hint} */ '}{shown} FROM ({ours or self.input('left')}) AS l "
            f"{self.how.upper()} JOIN ({theirs or self.input('right')}) AS r ON {same}{where and f' WHERE {where}'}"
        )
        sides = {"left_side": self.left, "right_side": self.right}
        return engine_of(self.left).query(statement, sides | dict(tables or {}))


def _shown(left: Table, right: Table, pairs: Sequence[Pair], how: str, suffix: str) -> list[tuple[str, str]]:
    ours = list(columns(left))
    theirs = [] if how in ("semi", "anti") else list(columns(right))
    met = {pair.left: f"r.r{theirs.index(pair.right)}" for pair in pairs} if how in ("right", "full") else {}
    shown = []
    for i, name in enumerate(ours):
        shown.append((f"coalesce(l.l{i}, {met[name]})" if name in met else f"l.l{i}", name))
    named = carried(ours, theirs, without=[pair.right for pair in pairs], suffix=suffix)
    return shown + [(f"r.r{theirs.index(name)}", called) for name, called in named.items()]


_FAMILIES = {
    "integer": ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"),
    "float": ("FLOAT", "DOUBLE"),
}


def _family(kind: str) -> str:
    """What a type compares with. Decimals of any width are exact numbers, as integers are."""
    if kind.startswith("DECIMAL"):
        return "integer"
    return next((family for family, kinds in _FAMILIES.items() if kind in kinds), kind)
