"""What is refused on both engines, because no spelling makes it one thing: by function, with what to do instead."""

from __future__ import annotations

from sqlglot import exp

from penstock.errors import UsageError

__all__ = ["REFUSED", "check"]

_MOMENT = "it differs from run to run: pass the value in, as a literal"
_SESSION = "it asks about the session, not about the rows"
_OPEN = "which one is left open: arg_min(x, y), min(x) or ps.top_n say which"
_TIES = "ps.aggregate(t, by, name='arg_max(x, y)') breaks ties; ps.top_n keeps whole rows"
_BINARY = "the engines cut and pad otherwise: work on text or numbers"

#: Function names, in lower case.
REFUSED = {
    **dict.fromkeys(("random", "rand", "uuid", "gen_random_uuid", "setseed", "nextval", "currval"), _MOMENT),
    **dict.fromkeys(
        (
            "now",
            "today",
            "current_date",
            "current_time",
            "current_timestamp",
            "get_current_time",
            "get_current_timestamp",
            "localtime",
            "localtimestamp",
            "current_localtime",
            "current_localtimestamp",
            "transaction_timestamp",
            "age",
        ),
        _MOMENT,
    ),
    **dict.fromkeys(
        (
            "current_user",
            "session_user",
            "user",
            "current_role",
            "current_catalog",
            "current_database",
            "current_schema",
            "current_setting",
            "getvariable",
            "getenv",
            "version",
            "current_version",
            "typeof",
            "pg_typeof",
        ),
        _SESSION,
    ),
    **dict.fromkeys(("first", "last", "arbitrary", "mode", "approx_top_k", "histogram"), _OPEN),
    **dict.fromkeys(("arg_max", "arg_min", "argmax", "argmin", "max_by", "min_by"), _TIES),
    "regr_avgx": "take avg(x) FILTER (WHERE y IS NOT NULL)",
    "regr_avgy": "take avg(y) FILTER (WHERE x IS NOT NULL)",
    "hash": "each engine hashes its own way: md5(x) is the same on both",
    "approx_quantile": "a t-digest there, another sketch here: quantile_disc(x, q) is exact",
    "quantile": "take quantile_disc(x, q) or quantile_cont(x, q)",
    "kurtosis": "of a sample on one engine, of all on the other",
    "skewness": "of a sample on one engine, of all on the other",
    "format": "its placeholders are another language on each engine: join the parts with ||",
    "printf": "it rounds otherwise: CAST(x AS DECIMAL(18, 2)) with ||",
    "initcap": "DuckDB has none: upper(left(x, 1)) || lower(substring(x, 2))",
    "levenshtein": "DuckDB counts bytes, Spark letters",
    "editdist3": "DuckDB counts bytes, Spark letters",
    "reverse": "DuckDB keeps letters with their accents, Spark does not",
    "unicode": "of an empty text it differs: ascii(x)",
    "chr": "beyond 255 it differs: write the letter",
    "url_encode": "a space is %20 on one engine, + on the other: replace(x, ' ', '%20')",
    "url_decode": "a + is a space on one engine only: replace(x, '%20', ' ')",
    "parse_json": "it prints otherwise: take the text as it is",
    "to_json": "it prints otherwise: x->>'$.name' reads one value",
    "from_json": "take x->>'$.name' and a cast",
    "json_keys": "take x->>'$.name' for each",
    "epoch_ms": "it goes both ways on DuckDB: epoch_us(t) // 1000, make_timestamp(ms * 1000)",
    "factorial": "beyond 20 it overflows on one engine only",
    "list_distinct": "the order of the result is left open: unnest it and take ps.distinct",
    "array_distinct": "the order of the result is left open: unnest it and take ps.distinct",
    "array_intersect": "the order of the result is left open: list_filter(a, x -> list_contains(b, x))",
    "list_intersect": "the order of the result is left open: list_filter(a, x -> list_contains(b, x))",
    "element_at": "a list on one engine, a value on the other: m['key']",
    "reduce": "the first step differs",
    "aggregate": "ps.aggregate groups rows; of one list take list_min, list_max",
    "assert_true": "ps.where finds the rows for which a condition does not hold",
    "get_bit": _BINARY,
    "decode": "of bytes that are not UTF-8 it differs",
    "to_binary": _BINARY,
    "st_asbinary": _BINARY,
    "st_geomfromwkb": _BINARY,
}
#: Syntax without a name of its own.
_NODES: dict[type[exp.Expr], str] = {
    exp.BitwiseLeftShift: "bits beyond the highest are an error on one engine, lost on the other: multiply",
    exp.Slice: "pieces are counted otherwise: substring(x, from, length), or list_filter with a condition",
    exp.ArraySlice: "pieces are counted otherwise: list_filter with a condition",
    exp.TableSample: "a sample differs from run to run: filter on md5(id) instead",
    exp.Pivot: "an empty cell is 0 or null: write the cells, count(*) FILTER (WHERE k = 'a') AS a",
    exp.Comprehension: "write list_transform(xs, x -> …) or list_filter(xs, x -> …)",
}


def check(tree: exp.Expr) -> None:
    """Raise a `UsageError` for the first thing in a tree that has no one answer."""
    for node in tree.walk():
        for name in _names(node):
            if name in REFUSED:
                shown = node.sql("duckdb")
                raise UsageError(f"{shown} has no one answer on every run and engine", REFUSED[name])
        if reason := _NODES.get(type(node)):
            raise UsageError(f"{node.sql('duckdb')} has no one answer on every run and engine", reason)
        if isinstance(node, exp.With) and node.args.get("recursive"):
            raise UsageError("a recursive query runs on one engine only", "loop in Python over ps.materialize(…)")
        if isinstance(node, exp.Distinct) and node.args.get("on") is not None:
            raise UsageError(
                f"{node.sql('duckdb')} hangs on an order that Spark does not keep", "take ps.top_n, or QUALIFY"
            )
        if isinstance(node, (exp.Max, exp.Min)) and node.args.get("count") is not None:
            raise UsageError(f"{node.sql('duckdb')}: Spark has no list of the n first", "take ps.top_n")
        if isinstance(node, exp.JSONExtract) and not isinstance(node.parent, (exp.JSONExtract, exp.JSONExtractScalar)):
            raise UsageError(
                f"{node.sql('duckdb')} is printed otherwise by each engine", "->> gives the text of a value"
            )


def _names(node: exp.Expr) -> list[str]:
    if isinstance(node, exp.Anonymous):
        return [node.name.lower()]
    return [name.lower() for name in type(node).sql_names()] if isinstance(node, exp.Func) else []
