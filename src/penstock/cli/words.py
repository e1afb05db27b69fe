"""What stands on the command line, as the values that functions take: names, keys, `name=expression` pairs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from pathlib import Path

from penstock.errors import UsageError

__all__ = ["keys", "matches", "names", "number_or_text", "pair", "split"]

_NAME = r'(?:"(?:[^"]|"")+"|[^",=]+)'
_NAMES = re.compile(rf"{_NAME}(?:,{_NAME})*")
_PAIR = re.compile(r'("(?:[^"]|"")+"|[^\W\d]\w*)=(?!=)(.+)', re.DOTALL)


def names(words: Iterable[str]) -> list[str]:
    """Columns named by one option or several, separated by commas; double quotes keep a comma or a `=` in a name.

    >>> names(["a,b", '"c,d",e'])
    ['a', 'b', 'c,d', 'e']
    """
    found = []
    for word in words:
        if not _NAMES.fullmatch(word):
            raise UsageError(f"{word} names no columns", """separate them by commas, quote odd ones: --by 'a,"b=c"'""")
        found += [_unquoted(name.strip()) for name in re.findall(_NAME, word)]
    return found


def pair(word: str) -> tuple[str, str] | None:
    """The two sides of `name=expression`, or None if a word is something else.

    >>> pair("total=sum(amount)"), pair('"a b"=x'), pair("x == 1"), pair("country")
    (('total', 'sum(amount)'), ('a b', 'x'), None, None)
    """
    found = _PAIR.fullmatch(word)
    return (_unquoted(found[1]), found[2]) if found else None


def keys(words: Iterable[str]) -> list[str] | dict[str, str]:
    """Group keys: names, or, where one of them is an expression, every name with what it stands for.

    >>> keys(["country,city"]), keys(["country", "day=date_trunc('day', ts)"])
    (['country', 'city'], {'country': '"country"', 'day': "date_trunc('day', ts)"})
    """
    from penstock.sql import quote

    taken = [(word, pair(word)) for word in words]
    if not any(given for _, given in taken):
        return names(word for word, _ in taken)
    return {
        name: expression
        for word, given in taken
        for name, expression in ([given] if given else ((name, quote(name)) for name in names([word])))
    }


def matches(words: Iterable[str]) -> list[str] | dict[str, str]:
    """Columns of two tables: names that both have, or, where one is `left=right`, each of the left with the right's.

    >>> matches(["user,day"]), matches(["user=id", "day"])
    (['user', 'day'], {'user': 'id', 'day': 'day'})
    """
    taken = [(word, pair(word)) for word in words]
    if not any(given for _, given in taken):
        return names(word for word, _ in taken)
    found: dict[str, str] = {}
    for word, given in taken:
        found |= {given[0]: _unquoted(given[1])} if given else {name: name for name in names([word])}
    return found


def number_or_text(word: str) -> str | Decimal:
    """A number as one, and anything else as it stands.

    >>> number_or_text("0.5"), number_or_text("30 minutes")
    (Decimal('0.5'), '30 minutes')
    """
    try:
        return Decimal(word)
    except InvalidOperation:
        return word


def split(words: Iterable[str]) -> tuple[list[str], dict[str, str]]:
    """Files apart from `name=expression` pairs. The first word is a file, and so is every word that names one.

    >>> split(["day=1/a.csv", "n=count(*)", "b.csv"])
    (['day=1/a.csv', 'b.csv'], {'n': 'count(*)'})
    """
    files: list[str] = []
    pairs: dict[str, str] = {}
    for word in words:
        given = pair(word) if files and not Path(word).exists() else None
        if given is None:
            files.append(word)
        elif given[0] in pairs:
            raise UsageError(f'"{given[0]}" is given twice', "give each its own name")
        else:
            pairs[given[0]] = given[1]
    return files, pairs


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name
