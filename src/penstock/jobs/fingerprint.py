"""What the rows of a step depend on, as short texts that change when it does: code, and files.

Code counts by its syntax tree, so comments, blank lines, formatting, docstrings and decorators do not count. What a
function calls counts too, where it is the user's own: functions, classes and constants of his modules, to any depth.
"""

from __future__ import annotations

import ast
import datetime
import hashlib
import inspect
import json
import os
import re
import sys
import sysconfig
import textwrap
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from enum import Enum
from pathlib import Path, PurePath
from typing import Any

from penstock.engines.files import filesystem, is_remote
from penstock.jobs.parameters import plain

__all__ = ["digest", "identities", "of_code"]

_INSTALLED = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})
#: Values that count by what they are. Any other, such as a table, is not looked into.
_CONSTANTS = (
    str, bytes, int, float, bool, type(None), list, tuple, dict, set, frozenset, datetime.date, datetime.timedelta,
    Decimal, PurePath, re.Pattern, Enum,
)  # fmt: skip


def digest(value: Any) -> str:
    """A short text that is the same for equal values.

    >>> digest({"b": 1, "a": 2}) == digest({"a": 2, "b": 1})
    True
    """
    text = json.dumps(plain(value), sort_keys=True, ensure_ascii=False)
    return hashlib.blake2b(text.encode(), digest_size=10).hexdigest()


# -- files ------------------------------------------------------------------------------------------------------------


def identities(paths: Iterable[str]) -> dict[str, list[Any]]:
    """Each file with its size and the time of its last change, or its etag."""
    return {path: _remote_identity(path) if is_remote(path) else _local_identity(path) for path in paths}


def _local_identity(path: str) -> list[Any]:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return [None, None]
    return [found.st_size, found.st_mtime_ns]


def _remote_identity(path: str) -> list[Any]:
    files = filesystem(path)
    try:
        found = files.info(path)
    except FileNotFoundError:
        return [None, None]
    return [found.get("size"), str(found.get("ETag") or found.get("etag") or found.get("LastModified", ""))]


# -- code -------------------------------------------------------------------------------------------------------------


def of_code(function: Callable[..., Any]) -> str:
    """A digest of a function and of all of the user's own that it uses."""
    return digest(list(_parts(function, set())))


def _parts(thing: Any, seen: set[int]) -> Iterator[Any]:
    """The function or class, then what it uses, once each."""
    if id(thing) in seen:
        return
    seen.add(id(thing))
    tree = _tree(thing)
    if tree is None:  # typed into a prompt: there is no source
        code = thing.__code__ if inspect.isfunction(thing) else None
        yield [thing.__qualname__, code and code.co_code.hex(), code and repr(code.co_consts)]
        used: Sequence[tuple[str, ...]] = [(name,) for name in code.co_names] if code else []
    else:
        yield ast.dump(tree)
        used = sorted(set(_names(tree)))
    for chain in used:
        for name, value in _meant(chain, thing):
            if _is_own(value):
                yield from _parts(value, seen)
            elif isinstance(value, _CONSTANTS):
                yield [name, plain(value)]


def _tree(thing: Any) -> ast.AST | None:
    """The syntax tree of a function or class, without what does not count."""
    try:
        source = textwrap.dedent(inspect.getsource(thing))
        found = ast.parse(source).body[0]
    except (OSError, TypeError, SyntaxError):
        return None
    for node in ast.walk(found):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            node.decorator_list = []
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and len(node.body) > 1:
                node.body = node.body[1:]
    return found


def _names(tree: ast.AST) -> Iterator[tuple[str, ...]]:
    """Names that are read, with the attributes behind them: `rules.LIMIT` is ("rules", "LIMIT")."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield (node.id,)
        elif isinstance(node, ast.Attribute):
            chain = [node.attr]
            below = node.value
            while isinstance(below, ast.Attribute):
                chain.insert(0, below.attr)
                below = below.value
            if isinstance(below, ast.Name):
                yield (below.id, *chain)


def _meant(chain: tuple[str, ...], thing: Any) -> Iterator[tuple[str, Any]]:
    """What a name stands for where the function was written, if it is not local to it."""
    scope: Mapping[str, Any] = vars(sys.modules.get(thing.__module__, types.ModuleType("")))
    if inspect.isfunction(thing):
        if chain[0] in (*thing.__code__.co_varnames, *thing.__code__.co_cellvars):
            return  # an argument often has the name of a step, which is a function beside this one
        closed = zip(thing.__code__.co_freevars, thing.__closure__ or (), strict=False)
        cells = {name: cell.cell_contents for name, cell in closed if cell != types.CellType()}
        scope = thing.__globals__ | cells
    if chain[0] not in scope:
        return
    value = scope[chain[0]]
    for name in chain[1:]:
        if not isinstance(value, types.ModuleType) or not _is_own_file(getattr(value, "__file__", None)):
            return
        if name not in vars(value):
            return
        value = vars(value)[name]
    yield ".".join(chain), value


def _is_own(value: Any) -> bool:
    if not (inspect.isfunction(value) or inspect.isclass(value)):
        return False
    module = sys.modules.get(value.__module__)
    return _is_own_file(getattr(module, "__file__", None)) if module else True


def _is_own_file(path: str | None) -> bool:
    """Whether a file is the user's: not of Python, of an installed package or of this one."""
    if path is None:
        return False
    here = str(Path(__file__).parent.parent)
    return not path.startswith((*_INSTALLED, here))
