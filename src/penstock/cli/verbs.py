"""Patterns as verbs: the options and the help of each are those of its function, so that they cannot drift apart."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

import click

from penstock.catalog import Pattern
from penstock.cli import docstrings, options, words
from penstock.cli.execute import Work, execute
from penstock.cli.malformed import counted_along
from penstock.cli.order import in_order, summed, written_order

if TYPE_CHECKING:
    from penstock.tables import Table

__all__ = ["files_argument", "verb"]

#: Parameters that stand after the files by themselves, not behind an option.
LAST = ("predicate",)
SECTIONS = ("Returns", "Cost", "Ties and nulls")


def verb(pattern: Pattern) -> click.Command:
    """The click command of a pattern."""
    import penstock

    function: Callable[..., Table] = getattr(penstock, pattern.name)
    doc = docstrings.read(function)
    _, *parameters = inspect.signature(function, eval_str=True).parameters.values()
    pairs = next((p for p in parameters if p.kind is p.VAR_KEYWORD), None)
    own = [_parameter(p, doc.arguments[p.name]) for p in parameters if p is not pairs]
    own.sort(key=lambda parameter: isinstance(parameter, click.Option))  # arguments stand before options in the help

    def run(files: tuple[str, ...], **values: Any) -> None:
        said = options.taken(values)
        beside = {p.name: values.pop(p.name) for p in parameters if p.annotation is Any}
        names, expressions = words.split(files) if pairs else (list(files), {})
        arguments = _arguments(parameters, values) | expressions
        listed = arguments.pop("*", ())
        execute(
            Work(
                pattern.name,
                lambda table, **others: function(table, *others.values(), *listed, **arguments),
                lambda result, inputs: in_order(pattern, result, arguments, inputs),
                summed(arguments, expressions),
                lambda result: written_order(pattern, result, arguments),
                lambda table: counted_along(pattern.name, table, arguments),
                beside,
            ),
            names,
            said,
        )

    return click.Command(
        pattern.name,
        params=[files_argument(doc.arguments[pairs.name] if pairs else ""), *own, *options.common()],
        callback=run,
        help="\n\n".join(filter(None, [doc.summary, doc.text.replace("`", "")])),
        epilog="\n\n".join(f"{heading}: {doc.sections[heading]}".replace("`", "") for heading in SECTIONS),
    )


def files_argument(pairs: str = "") -> click.Argument:
    """The files; where a function takes `name=expression` pairs, these stand after them."""
    files = "Files, globs, folders, or - for standard input."
    return click.Argument(
        ["files"],
        nargs=-1,
        required=True,
        metavar="FILE... NAME=EXPRESSION..." if pairs else "FILE...",
        help=f"{files} {pairs}".replace("`", "").strip(),
    )


def _parameter(parameter: inspect.Parameter, said: str) -> click.Parameter:
    """The click parameter of a function's parameter."""
    said = said.replace("`", "")
    if parameter.name in LAST:
        return click.Argument([parameter.name], metavar=parameter.name.upper(), help=said)
    name = "columns" if parameter.kind is parameter.VAR_POSITIONAL else parameter.name
    short = len(name) == 1 and name not in "eoqv"
    given = parameter.default is not parameter.empty and parameter.default not in (None, (), False)
    required = parameter.default is parameter.empty and parameter.kind is not parameter.VAR_POSITIONAL
    return click.Option(
        [parameter.name, f"-{name}" if short else f"--{name.replace('_', '-')}"],
        required=required,
        help=f"{said}  [default: {parameter.default}]" if given else said,
        **_kind(parameter),
    )


def _kind(parameter: inspect.Parameter) -> dict[str, Any]:
    """What click is to be told about the values of a parameter."""
    from penstock.tables import By

    if parameter.annotation is Any:  # a second table
        return {"multiple": True, "metavar": "FILE"}
    if parameter.kind is parameter.VAR_POSITIONAL:
        return {"multiple": True, "metavar": "COLUMN,..."}
    if _matches(parameter):
        return {"multiple": True, "metavar": "COLUMN,...|LEFT=RIGHT"}
    if parameter.annotation == By:
        return {"multiple": True, "metavar": "COLUMN,...|NAME=EXPRESSION"}
    union = get_origin(parameter.annotation) in (Union, types.UnionType)
    kinds = (
        [kind for kind in get_args(parameter.annotation) if kind is not type(None)] if union else [parameter.annotation]
    )
    if get_origin(kinds[0]) is Literal:
        return {"type": click.Choice(get_args(kinds[0]))}
    if kinds == [bool]:
        return {"is_flag": True}
    known: dict[tuple[Any, ...], dict[str, Any]] = {
        (int,): {"type": int},
        (float,): {"type": float},
        (str,): {"metavar": "COLUMN" if parameter.name == "column" else "TEXT"},
        (str, timedelta): {"metavar": "DURATION"},
        (str, timedelta, float, Decimal): {"metavar": "DURATION|NUMBER", "type": words.number_or_text},
        (str, Sequence[str]): {"multiple": True, "metavar": "EXPRESSION [desc],..."},
    }
    return known[tuple(kinds)]


def _matches(parameter: inspect.Parameter) -> bool:
    """Whether a parameter names columns of two tables, the left's with the right's."""
    return parameter.name != "by" and Mapping[str, str] in get_args(parameter.annotation)


def _arguments(parameters: list[inspect.Parameter], values: Mapping[str, Any]) -> dict[str, Any]:
    """What was given on the command line, as the function takes it; the columns of `*names` under `*`."""
    from penstock.tables import By

    found: dict[str, Any] = {}
    for parameter in parameters:
        value = values.get(parameter.name)
        if value is None or value is False or value == ():
            continue
        if parameter.kind is parameter.VAR_POSITIONAL:
            found["*"] = words.names(value)
        elif _matches(parameter):
            named = words.matches(value)
            found[parameter.name] = named[0] if len(named) == 1 and isinstance(named, list) else named
        elif parameter.annotation == By:
            found[parameter.name] = words.keys(value)
        else:
            found[parameter.name] = list(value) if isinstance(value, tuple) else value
    return found
