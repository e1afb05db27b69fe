"""Expressions as Spark prints them in its plans, back as SQL.

    ((amount#4 > 3.0) AND (country#3 = US))    ->    ((`amount#4` > 3.0) AND (`country#3` = 'US'))

Spark prints texts bare and columns with a number. What stands where a value is wanted and is neither a column, a number
nor a call is taken for a text, up to what ends the value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from penstock import sql
from penstock.queries.read import UnreadableError

__all__ = ["attributes_of", "expressions"]

_OPERATORS = ("AND", "OR", "<=>", ">=", "<=", "=", ">", "<", "+", "-", "*", "/", "%", "div", "&", "|", "^", "RLIKE")
_OPERATOR = re.compile(r" (" + "|".join(map(re.escape, _OPERATORS)) + r") ")
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}( \d{2}:\d{2}:\d{2}(\.\d+)?)?")
_NUMBER = re.compile(r"-?\d+(\.\d+)?(E-?\d+)?(?=[),\] ]|$)")
_CALL = re.compile(r"([A-Za-z_]\w*)\(")
_ENDS = re.compile(r"\)|, | AND | OR | THEN | ELSE | WHEN | END\b| AS |\]|$")

#: Arguments that are Spark's own business, from which on, by function.
_OWN = {
    "first": 1, "last": 1, "any_value": 1, "collect_list": 1, "collect_set": 1, "size": 1, "approx_count_distinct": 2,
    "max_by": 2, "min_by": 2, "percentile": 2, "split": 2, "hour": 1, "minute": 1, "second": 1, "trunc": 2,
    "date_trunc": 2, "date_format": 2, "to_timestamp": 1, "unix_timestamp": 1,
}  # fmt: skip
#: Calls that only wrap a value.
_WRAPS = frozenset(("knownfloatingpointnormalized", "normalizenanandzero", "promote_precision", "checkoverflow"))
_SPELLED: Mapping[str, Callable[[list[str]], str]] = {
    "isnotnull": lambda given: f"({given[0]} IS NOT NULL)",
    "isnull": lambda given: f"({given[0]} IS NULL)",
}
#: Functions of texts: what stands bare in them is one, also where it looks like a number.
_OF_TEXTS = frozenset(("startswith", "endswith", "contains"))


def attributes_of(plan: str) -> list[str]:
    """The columns that a plan names, the longest first: `sum(x)#5`, `user_id#0`."""
    named = re.findall(r" AS ((?:(?! AS |, |\n).)+?#\d+)", plan)
    plain = re.findall(r"[\w.$]+#\d+", plan)
    read = [name for listed in re.findall(r"Relation \[(.*)\]", plan) for name in re.findall(r"([^,]+?#\d+)L?", listed)]
    return sorted({*named, *plain, *read}, key=len, reverse=True)


def expressions(text: str, attributes: Iterable[str]) -> list[str]:
    """The expressions of a list, without its brackets."""
    reader = _Reader(text, list(attributes))
    found = []
    while reader.at < len(text):
        found.append(reader.named())
        if reader.at < len(text) and not reader.skip(", "):
            reader.need(",")
    return found


class _Reader:
    def __init__(self, text: str, attributes: list[str]) -> None:
        self.text, self.attributes, self.at = text, attributes, 0

    def skip(self, token: str) -> bool:
        """Whether a token stands here; if so, on past it."""
        if self.text.startswith(token, self.at):
            self.at += len(token)
            return True
        return False

    def need(self, token: str) -> None:
        if not self.skip(token):
            raise UnreadableError(f"{self.text[self.at :][:40]} in Spark's plan")

    def named(self) -> str:
        """An expression, and the column that it becomes."""
        found = self.value()
        for direction in (" ASC", " DESC"):
            if self.skip(direction):
                self.need(" NULLS ")
                found += f"{direction} NULLS {'FIRST' if self.skip('FIRST') else 'LAST' if self.skip('LAST') else ''}"
        return f"{found} AS {self.attribute()}" if self.skip(" AS ") else found

    def attribute(self) -> str:
        for name in self.attributes:
            if self.text.startswith(name, self.at) and not self.text[self.at + len(name) :][:1].isdigit():
                self.at += len(name)
                self.skip("L")
                return sql.quote(name, "spark")
        return ""

    def value(self) -> str:
        """One value, with what may stand behind it."""
        found = self.bare()
        while True:
            if self.skip(" IN (") or self.skip(" INSET "):
                found = f"({found} IN ({self.members()}))"
            elif self.skip(" LIKE "):
                found = f"({found} LIKE {self.text_until_end()})"
            elif self.skip("["):
                found = f"{found}[{self.value()}]"
                self.need("]")
            else:
                return found

    def bare(self) -> str:
        if self.skip("("):
            found = self.value()
            while operator := _OPERATOR.match(self.text, self.at):
                self.at = operator.end()
                found = f"{found} {operator[1]} {self.value()}"
            self.need(")")
            return f"({found})"
        if self.skip("NOT "):
            return f"(NOT {self.value()})"
        if self.skip("CASE WHEN "):
            return self.cases()
        if self.skip("if ("):
            condition = self.value()
            self.need(") ")
            then = self.value()
            self.need(" else ")
            return f"if({condition}, {then}, {self.value()})"
        if self.skip("cast("):
            value = self.value()
            self.need(" as ")
            kind = self.upto(")")
            return f"CAST({value} AS {kind})"
        if found := self.attribute():
            return found
        if call := _CALL.match(self.text, self.at):
            self.at = call.end()
            return self.called(call[1])
        if time := _TIME.match(self.text, self.at):
            self.at = time.end()
            return f"{'TIMESTAMP' if time[1] else 'DATE'} '{time[0]}'"
        if number := _NUMBER.match(self.text, self.at):
            self.at = number.end()
            return number[0]
        for word in ("null", "true", "false"):
            if re.compile(rf"{word}(?=[),\] ]|$)").match(self.text, self.at):
                self.at += len(word)
                return word
        if self.skip("-"):
            return f"-{self.value()}"
        return self.text_until_end()

    def cases(self) -> str:
        found = f"CASE WHEN {self.value()}"
        self.need(" THEN ")
        found += f" THEN {self.value()}"
        while self.skip(" WHEN "):
            found += f" WHEN {self.value()}"
            self.need(" THEN ")
            found += f" THEN {self.value()}"
        if self.skip(" ELSE "):
            found += f" ELSE {self.value()}"
        self.need(" END")
        return f"{found} END"

    def called(self, name: str) -> str:
        distinct = "DISTINCT " if self.skip("distinct ") else ""
        given = []
        if not self.skip(")"):
            given.append(self.value())
            while self.skip(", "):
                given.append(self.value())
            self.need(")")
        lower = name.lower()
        if lower in _WRAPS:
            return given[0]
        if lower in _SPELLED:
            return _SPELLED[lower](given)
        if lower in _OF_TEXTS:
            given = [sql.literal(each, "spark") if _NUMBER.fullmatch(each) else each for each in given]
        return f"{lower}({distinct}{', '.join(given[: _OWN.get(lower)])})"

    def members(self) -> str:
        """The values of a list, up to its bracket."""
        inner = self.upto(")") if ")" in self.text[self.at :] else self.upto("")
        return ", ".join(each if _NUMBER.fullmatch(each) else sql.literal(each, "spark") for each in inner.split(","))

    def text_until_end(self) -> str:
        end = _ENDS.search(self.text, self.at)
        stop = end.start() if end else len(self.text)
        found, self.at = self.text[self.at : stop], stop
        return sql.literal(found, "spark")

    def upto(self, token: str) -> str:
        """What stands before a token, which is passed; brackets within it count."""
        depth, begin = 0, self.at
        while self.at < len(self.text):
            letter = self.text[self.at]
            if letter == token and not depth:
                self.at += 1
                return self.text[begin : self.at - 1]
            depth += (letter == "(") - (letter == ")")
            self.at += 1
        return self.text[begin:]
