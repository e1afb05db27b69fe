"""Long lists of constants in a query: taken out before it is parsed, since thousands of casts take seconds to parse."""

from __future__ import annotations

import re

import sqlglot
from sqlglot import exp

from penstock import sql
from penstock.engines.asking import constant

__all__ = ["parsed"]

_NAME = "penstock_constants"
_CONSTANT = r"CAST\((X?)'([^'\\]*)' AS (\w+)\)"
_LONG_LIST = re.compile(r"\barray\((?:CAST\(X?'[^'\\]*' AS \w+\)(?:, )?){50,}\)", re.IGNORECASE)


def parsed(text: str) -> exp.Expr:
    """A statement of Spark's, in which lists of many constants are text for DuckDB already.

    Raises:
        sqlglot.errors.SqlglotError: It is none.
    """
    found: list[str] = []

    def put_aside(match: re.Match[str]) -> str:
        found.append(_for_duckdb(match[0]))
        return f"{_NAME}({len(found) - 1})"

    query = sqlglot.parse_one(_LONG_LIST.sub(put_aside, text), read="spark")
    if found:
        for call in list(query.find_all(exp.Anonymous)):
            if call.name == _NAME:
                call.replace(exp.Var(this=constant(found[int(call.expressions[0].name)])))
    return query


def _for_duckdb(text: str) -> str:
    """A list of constants of one type in DuckDB's words."""
    parts = re.findall(_CONSTANT, text, re.IGNORECASE)
    kind = exp.DataType.build(parts[0][2], dialect="spark").sql("duckdb")
    values = (bytes.fromhex(value).decode() if coded else value for coded, value, _ in parts)
    return f"[{', '.join(map(sql.literal, values))}]::{kind}[]"
