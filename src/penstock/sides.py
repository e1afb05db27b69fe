"""The two sides of a join: which columns meet, and what the columns of the result are called."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from penstock import sql
from penstock.errors import UsageError
from penstock.tables import Table, columns, engine_of, resolve_in

__all__ = ["On", "Pair", "carried", "pairs_of", "same_engine"]

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
        Pair(*resolved) for resolved in zip(resolve_in(ours, named), resolve_in(theirs, named.values()), strict=True)
    ]
    for pair in pairs:
        refuse_unlike(pair, ours[pair.left], theirs[pair.right])
    return pairs


def refuse_unlike(pair: Pair, left: str, right: str) -> None:
    """Refuse columns whose types one engine would cast and the other not, or that lose digits when they meet."""
    if _family(left) != _family(right):
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


_FAMILIES = {
    "integer": ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"),
    "float": ("FLOAT", "DOUBLE"),
}


def _family(kind: str) -> str:
    """What a type compares with. Decimals of any width are exact numbers, as integers are."""
    if kind.startswith("DECIMAL"):
        return "integer"
    return next((family for family, kinds in _FAMILIES.items() if kind in kinds), kind)
