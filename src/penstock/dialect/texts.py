"""Text: patterns mean what they mean on DuckDB, positions start at 1, and letters fold one to one."""

from __future__ import annotations

import re

from sqlglot import exp

from penstock.dialect import regexes
from penstock.dialect.rules import Rules, call, fill, literal_of, on_spark
from penstock.errors import UsageError

__all__ = ["RULES"]


# -- LIKE --------------------------------------------------------------------------------------------------------------


def _like(node: exp.Like | exp.ILike, dialect: str) -> exp.Expr:
    """A backslash is a letter in DuckDB's LIKE and escapes in Spark's, unless another character does."""
    pattern = node.expression
    harmless = isinstance(pattern, exp.Literal) and "\\" not in pattern.name
    if dialect == "duckdb" or harmless or isinstance(node.parent, exp.Escape):
        return node
    return exp.Escape(this=node.copy(), expression=exp.Literal.string("\x01"))


# -- regular expressions -----------------------------------------------------------------------------------------------


def _pattern(node: exp.Expr, flags: exp.Expr | None, *, repeated: bool = False) -> exp.Literal:
    """The pattern in Java's spelling; one that is looked for again and again must match something."""
    text = literal_of(node.expression, "a regular expression")
    if repeated and _matches_nothing(text):
        raise UsageError(
            f"{text} matches the empty text, which each engine finds in other places", "match one letter or more"
        )
    prefix = regexes.java_flags(literal_of(flags, "the options") if flags is not None else "")
    return exp.Literal.string(regexes.java_pattern(prefix + text))


def _matches_nothing(pattern: str) -> bool:
    try:
        return re.match(pattern, "") is not None
    except re.error:  # a pattern that only RE2 knows
        return False


def _matches(node: exp.RegexpLike, dialect: str) -> exp.Expr:
    pattern = _pattern(node, node.args.get("flag"))
    return exp.RegexpLike(this=node.this.copy(), expression=pattern) if dialect == "spark" else node


def _full_match(node: exp.RegexpFullMatch, dialect: str) -> exp.Expr:
    pattern = _pattern(node, node.args.get("options"))
    whole = exp.Literal.string(rf"\A(?:{pattern.name})\z")
    return exp.RegexpLike(this=node.this.copy(), expression=whole) if dialect == "spark" else node


def _extract(node: exp.RegexpExtract | exp.RegexpExtractAll, dialect: str) -> exp.Expr:
    pattern = _pattern(node, node.args.get("parameters"), repeated=isinstance(node, exp.RegexpExtractAll))
    group = node.args.get("group") or exp.convert(0)
    name = "regexp_extract" if isinstance(node, exp.RegexpExtract) else "regexp_extract_all"
    return call(name, node.this, pattern, group) if dialect == "spark" else node


def _split(node: exp.RegexpSplit, dialect: str) -> exp.Expr:
    pattern = _pattern(node, None, repeated=True)
    return call("split", node.this, pattern) if dialect == "spark" else node


def _split_by_name(node: exp.Anonymous, dialect: str) -> exp.Expr:
    value, pattern = node.expressions
    spelled = _split(exp.RegexpSplit(this=value.copy(), expression=pattern.copy()), dialect)
    return spelled if dialect == "spark" else node


def _replace(node: exp.RegexpReplace, dialect: str) -> exp.Expr:
    """All matches with the option g, else the first alone, which Spark reaches by a group before it."""
    flags = node.args.get("modifiers")
    every = flags is not None and "g" in flags.name
    pattern = _pattern(node, flags, repeated=every)
    text = literal_of(node.args["replacement"], "what replaces a match")
    if r"\0" in text and not every:
        raise UsageError(r"\0 in a replacement of the first match is on one engine only", "put a group round the whole")
    if dialect == "duckdb":
        return node
    if every:
        return call("regexp_replace", node.this, pattern, regexes.java_replacement(text))
    first = rf"\A((?s:.*?))(?:{pattern.name})"
    return call("regexp_replace", node.this, first, "$1" + regexes.java_replacement(text, behind=1))


# -- positions, pieces, letters ----------------------------------------------------------------------------------------


def _substring(node: exp.Substring, _: str) -> exp.Expr:
    start = node.args.get("start")
    if isinstance(start, exp.Literal) and start.name == "0":
        raise UsageError(f"{node.sql('duckdb')}: there is no position 0", "the first letter is at 1")
    return node


def _end(node: exp.Left | exp.Right, _: str) -> exp.Expr:
    if isinstance(node.expression, exp.Neg):
        raise UsageError(f"{node.sql('duckdb')}: a negative length is on one engine only", "substring(x, from, length)")
    return node


def _pieces(node: exp.Split, _: str) -> exp.Expr:
    if isinstance(node.expression, exp.Literal) and not node.expression.name:
        raise UsageError(
            f"{node.sql('duckdb')}: nothing to split at", "regexp_extract_all(x, '(?s).') gives the letters"
        )
    return node


RULES: Rules = {
    exp.Like: _like,
    exp.ILike: _like,
    exp.RegexpLike: _matches,
    exp.RegexpFullMatch: _full_match,
    exp.RegexpExtract: _extract,
    exp.RegexpExtractAll: _extract,
    exp.RegexpReplace: _replace,
    exp.RegexpSplit: _split,
    "regexp_split_to_array": _split_by_name,
    exp.Substring: _substring,
    exp.Left: _end,
    exp.Right: _end,
    exp.Split: _pieces,
    # Java writes two letters for it.
    exp.Upper: on_spark(lambda node, _: fill("upper(replace(x_, 'ß', 'ẞ'))", "spark", x=node.this)),
    "strlen": on_spark(lambda node, _: call("octet_length", *node.expressions)),
    "prefix": on_spark(lambda node, _: call("startswith", *node.expressions)),
    "suffix": on_spark(lambda node, _: call("endswith", *node.expressions)),
}
