"""What is known of an operand's type without asking an engine: the few kinds that meanings hang on."""

from __future__ import annotations

from collections.abc import Mapping

from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, traverse_scope

__all__ = ["kind", "note_kinds", "note_kinds_of_query"]

_TYPES = {
    "integer": ("TINYINT", "SMALLINT", "INTEGER", "INT", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER",
                "UBIGINT", "INT128"),
    "float": ("FLOAT", "REAL", "DOUBLE"),
    "decimal": ("DECIMAL", "NUMERIC"),
    "text": ("VARCHAR", "TEXT"),
    "boolean": ("BOOLEAN",),
    "date": ("DATE",),
    "time": ("TIME", "TIMESTAMP", "TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE"),
}  # fmt: skip
_KINDS = {name: found for found, names in _TYPES.items() for name in names}
_INTEGERS = (
    exp.ApproxDistinct, exp.Count, exp.CountIf, exp.DateDiff, exp.Day, exp.DenseRank, exp.Hour, exp.Length, exp.Minute,
    exp.Month, exp.Rank, exp.RowNumber, exp.Second, exp.StrPosition, exp.Year,
)  # fmt: skip
_FLOATS = (exp.Avg, exp.Corr, exp.Div, exp.Exp, exp.Ln, exp.Log, exp.Pow, exp.Sqrt)
_TEXTS = (
    exp.Concat,
    exp.DPipe,
    exp.Lower,
    exp.RegexpExtract,
    exp.RegexpReplace,
    exp.Substring,
    exp.TimeToStr,
    exp.Trim,
    exp.Upper,
)
_LISTS = (exp.Array, exp.ArrayAgg, exp.ArrayFilter, exp.RegexpExtractAll, exp.RegexpSplit, exp.Split, exp.Transform)
_OF_THE_FIRST = (
    exp.Abs, exp.Lag, exp.Lead, exp.Max, exp.Min, exp.Neg, exp.Nullif, exp.Paren, exp.Round, exp.Window,
)  # fmt: skip
_OF_ALL = (exp.Add, exp.Case, exp.Coalesce, exp.Greatest, exp.If, exp.IntDiv, exp.Least, exp.Mod, exp.Mul, exp.Sub)


def kind(node: exp.Expr | None) -> str:
    """ "integer", "float", "decimal", "text", "boolean", "date", "time" or "list" where that is certain, else "".

    sqlglot infers types too, but calls 1.5 and all that is made of it a double; both engines call it a decimal.
    """
    if node is None:
        return ""
    if noted := node.meta.get("kind"):
        return str(noted)
    if isinstance(node, exp.Literal):
        return (
            "text"
            if node.is_string
            else "float"
            if "e" in node.name.lower()
            else "decimal"
            if "." in node.name
            else "integer"
        )
    if isinstance(node, exp.Subquery) and isinstance(node.this, exp.Select):
        return kind(node.this.selects[0].unalias())
    if isinstance(node, exp.Cast):
        return _kind_of_type(node.to.sql("duckdb"))
    if isinstance(node, (exp.Floor, exp.Ceil, exp.Trunc)):
        return "decimal" if kind(node.this) == "decimal" else "float"
    if isinstance(node, _OF_THE_FIRST):
        return kind(node.this)
    if isinstance(node, _OF_ALL):
        kinds = [kind(part) for part in _values(node)]
        if isinstance(node, (exp.Add, exp.Sub)) and set(kinds) <= {"date", "integer"} and "date" in kinds:
            return "date" if "integer" in kinds else "integer"  # days from one to the other
        return _widest(set(kinds))
    named = (("integer", _INTEGERS), ("float", _FLOATS), ("text", _TEXTS), ("list", _LISTS))
    return next((found for found, nodes in named if isinstance(node, nodes)), "")


def _values(node: exp.Expr) -> list[exp.Expr]:
    """The operands that a value may come from: not the conditions of a CASE."""
    if not isinstance(node, exp.Case):
        return [part for key in ("this", "expression") if (part := node.args.get(key))] + node.expressions
    otherwise = node.args.get("default")
    return [branch.args["true"] for branch in node.args["ifs"]] + ([otherwise] if otherwise is not None else [])


def _widest(kinds: set[str]) -> str:
    if len(kinds) == 1:
        return kinds.pop()
    numeric = kinds <= {"integer", "decimal", "float"}
    return next((found for found in ("float", "decimal", "integer") if found in kinds), "") if numeric else ""


def _kind_of_type(text: str) -> str:
    return "list" if text.endswith("]") else _KINDS.get(text.partition("(")[0].strip().upper(), "")


def note_kinds(tree: exp.Expr, types: Mapping[str, str]) -> None:
    """Write on the columns of an expression what their table's types say."""
    known = {name.casefold(): _kind_of_type(text) for name, text in types.items()}
    bound = {parameter.name for function in tree.find_all(exp.Lambda) for parameter in function.expressions}
    for column in tree.find_all(exp.Column):
        if not column.table and column.name not in bound and (found := known.get(column.name.casefold())):
            column.meta["kind"] = found


def note_kinds_of_query(tree: exp.Expr, tables: Mapping[str, Mapping[str, str]]) -> None:
    """Write on the columns of a query what is known of them, through its subqueries; unsure ones stay without."""
    columns = list(tree.find_all(exp.Column))
    for place, column in enumerate(columns):
        column.meta["place"] = place
    kinds = {
        t.casefold(): {c.casefold(): _kind_of_type(text) for c, text in types.items()} for t, types in tables.items()
    }
    schema: dict[str, object] = {name: dict.fromkeys(types, "INT") for name, types in kinds.items()}
    try:
        qualified = qualify(tree.copy(), schema=schema, dialect="duckdb", validate_qualify_columns=False)
    except SqlglotError:  # what it cannot follow, the engine will judge
        return
    for scope in traverse_scope(qualified):  # the innermost first
        for column in scope.columns:
            found = _kind_in(scope, column, kinds)
            column.meta["kind"] = found
            if "place" in column.meta:
                columns[column.meta["place"]].meta["kind"] = found


def _kind_in(scope: Scope, column: exp.Column, kinds: Mapping[str, Mapping[str, str]]) -> str:
    source = scope.sources.get(column.table)
    if isinstance(source, exp.Table):
        return kinds.get(source.name.casefold(), {}).get(column.name.casefold(), "")
    if isinstance(source, Scope) and isinstance(source.expression, exp.Select):
        projection = next((p for p in source.expression.selects if p.alias_or_name == column.name), None)
        return kind(projection.unalias()) if projection is not None else ""
    return ""
