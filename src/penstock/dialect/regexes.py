"""Regular expressions: RE2's, which DuckDB runs, as Java writes them, which Spark runs."""

from __future__ import annotations

import re

from penstock.errors import UsageError

__all__ = ["java_flags", "java_pattern", "java_replacement"]

_WORD = "[0-9A-Za-z_]"
_EDGE = f"(?:(?<={_WORD})(?!{_WORD})|(?<!{_WORD})(?={_WORD}))"
_NO_EDGE = f"(?:(?<={_WORD})(?={_WORD})|(?<!{_WORD})(?!{_WORD}))"
#: What Java reads otherwise, outside of brackets and inside: its \b knows all letters, its \s the vertical tab.
_OUTSIDE = {r"\b": _EDGE, r"\B": _NO_EDGE, r"\s": r"[\t\n\f\r ]", r"\S": r"[^\t\n\f\r ]", r"\v": r"\x0B"}
_INSIDE = {r"\s": r"\t\n\f\r ", r"\S": r"[^\t\n\f\r ]", r"\v": r"\x0B"}
_POSIX = {
    "alnum": "Alnum", "alpha": "Alpha", "ascii": "ASCII", "blank": "Blank", "cntrl": "Cntrl", "digit": "Digit",
    "graph": "Graph", "lower": "Lower", "print": "Print", "punct": "Punct", "upper": "Upper", "xdigit": "XDigit",
}  # fmt: skip
_PIECE = re.compile(
    r"""
    \\Q.*?(?:\\E|$)                # quoted text
    | \\[pP]\{(?P<script>\w+)\}
    | \\.
    | \[:(?P<not>\^?)(?P<posix>[a-z]+):\]
    | \[\^?\]?                     # an opening bracket, with the closing one that is literal after it
    | \(\?(?P<flags>[imsU]+)(?P<end>[:)])
    | \(\?P<
    | (?P<brace>\{(?!\d+(?:,\d*)?\}))  # one that counts nothing
    | .
    """,
    re.VERBOSE | re.DOTALL,
)


def java_pattern(pattern: str) -> str:
    r"""The pattern that matches in Java what `pattern` matches in RE2.

    >>> print(java_pattern(r"^[[:alpha:]_[]+\b.$"))
    ^[\p{Alpha}_\[]+(?:(?<=[0-9A-Za-z_])(?![0-9A-Za-z_])|(?<![0-9A-Za-z_])(?=[0-9A-Za-z_]))[^\n]\z
    """
    flags = "".join(found["flags"] for found in _PIECE.finditer(pattern) if found["flags"])
    if "U" in flags:
        raise UsageError(f"the flag U in {pattern} means another thing to each engine", "write *? for an ungreedy *")
    special = {".": "." if "s" in flags else r"[^\n]", "$": "$" if "m" in flags else r"\z", "(?P<": "(?<"}
    inside, written = False, []
    for found in _PIECE.finditer(pattern):
        piece = found[0]
        if found["posix"] and inside:
            written.append(_posix(found["posix"], bool(found["not"]), pattern))
        elif found["script"]:
            written.append(piece.replace("{", "{Is") if len(found["script"]) > 2 else piece)
        elif inside:
            inside = piece != "]"
            written.append({"[": r"\[", "[^": r"\[^", "[]": r"\[]", "&": r"\&"}.get(piece) or _INSIDE.get(piece, piece))
            inside = inside and piece != "[]"
        elif piece.startswith("["):
            inside = True
            written.append(piece.replace("]", r"\]"))
        elif found["brace"]:
            written.append(r"\{")
        elif found["flags"]:
            written.append(f"(?{found['flags'].replace('i', 'iu')}{found['end']}")  # else Java folds ASCII only
        else:
            written.append(special.get(piece) or _OUTSIDE.get(piece, piece))
    return "".join(written)


def _posix(name: str, negated: bool, pattern: str) -> str:
    if name == "word":
        return r"\W" if negated else r"\w"
    if name == "space":
        return r"\S" if negated else r"\t\n\x0B\f\r "
    if name not in _POSIX:
        raise UsageError(f"there is no class [:{name}:] in {pattern}", f"one of: {', '.join(_POSIX)}, space, word")
    return rf"\{'P' if negated else 'p'}{{{_POSIX[name]}}}"


def java_flags(flags: str) -> str:
    """DuckDB's option letters as a prefix of the pattern.

    >>> java_flags("i"), java_flags("c")
    ('(?i)', '')
    """
    if unknown := set(flags) - set("cisg"):
        raise UsageError(
            f'the option "{min(unknown)}" of a regular expression is on one engine only', "i, s, c and g are on both"
        )
    kept = "".join(flag for flag in "is" if flag in flags)
    return f"(?{kept})" if kept else ""


def java_replacement(text: str, behind: int = 0) -> str:
    r"""A replacement with RE2's `\1` as Java's `$1`, or `$2` where the pattern stands behind one more group.

    >>> print(java_replacement(r"$\1\\"), java_replacement(r"<\1>", behind=1))
    \$$1\\ <$2>
    """
    escapes = {"$": r"\$", "\\": r"\\", r"\\": r"\\"}
    return re.sub(r"\\(\d)|\\\\|[\\$]", lambda m: f"${int(m[1]) + behind}" if m[1] else escapes[m[0]], text)
