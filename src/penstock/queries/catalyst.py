"""A DataFrame that was made without us, as a tree: read from the plan that Spark's optimiser (Catalyst) prints, classic
and Connect. The files that it scans are in the physical plan."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from penstock.engines.operators import Operator, of_text
from penstock.queries.catalyst_text import attributes_of, expressions
from penstock.queries.read import Relation, UnreadableError
from penstock.trees.spelled import types_of
from penstock.trees.tree import (
    Aggregate,
    Columns,
    Explode,
    Filter,
    Join,
    Limit,
    Node,
    Project,
    Scan,
    Shuffle,
    Sort,
    Union,
    Values,
    Window,
    conjuncts,
    display,
)

__all__ = ["read_plan"]

_HOWS = {
    "Inner": "inner", "Cross": "cross", "LeftOuter": "left", "RightOuter": "right", "FullOuter": "full",
    "LeftSemi": "semi", "LeftAnti": "anti",
}  # fmt: skip

_SCAN = re.compile(r"FileScan (\w+) (?:\S+ )?\[(.*?)\] Batched.*?Location: \w+\(\d+ paths?\)\[(.*?)\], Part")

#: Makes a scan of files: their paths, the format, and the columns of the plan.
Files = Callable[[Sequence[str], str], Relation]


def read_plan(explained: str, files: Files) -> Relation:
    """The tree of a plan, as `explain(extended)` prints it."""
    logical, _, physical = explained.partition("== Optimized Logical Plan ==")[2].partition("== Physical Plan ==")
    attributes = attributes_of(logical)
    try:
        node = _Reader(attributes, _scans(physical), files).node(of_text(logical))
    except (SqlglotError, ValueError, LookupError) as error:  # texts are bare in it: any may stand there
        raise UnreadableError(f"Spark's plan: {error}") from error
    return Relation(node, tuple((display(name), name) for name in node.columns))


def _scans(physical: str) -> list[tuple[set[str], list[str], str]]:
    """What is scanned: the columns, the paths, the format."""
    found = []
    for line in physical.splitlines():
        scan = _SCAN.search(line)
        if scan:
            names = {re.sub(r"L$", "", each.strip()) for each in scan[2].split(",")}
            found.append((names, [path.removeprefix("file:") for path in scan[3].split(", ")], scan[1].lower()))
    return found


class _Reader:
    def __init__(self, attributes: list[str], scans: Sequence[tuple[set[str], list[str], str]], files: Files) -> None:
        self.attributes, self.scans, self.files = attributes, scans, files

    def node(self, at: Operator) -> Node:
        rule: Callable[[Operator, str], Node] | None = getattr(self, f"read_{at.name.lower()}", None)
        if rule is None:
            raise UnreadableError(f"{at.name} in Spark's plan")
        return rule(at, str(at.info["text"]))

    def below(self, at: Operator) -> Node:
        return self.node(at.children[0])

    def parsed(self, text: str) -> list[exp.Expr]:
        """The expressions of a list."""
        found = []
        for each in expressions(text, self.attributes):
            try:
                found.append(sqlglot.parse_one(f"SELECT {each}", read="spark").expressions[0])
            except SqlglotError as error:
                raise UnreadableError(f"{each[:60]} in Spark's plan") from error
        return found

    def made(self, text: str) -> dict[str, exp.Expr]:
        """The columns of a list: by the name that they are given, or their own."""
        return {each.alias_or_name: each.unalias() for each in self.parsed(text)}

    def order(self, text: str) -> tuple[exp.Expr, ...]:
        listed = ", ".join(expressions(text, self.attributes))
        order = sqlglot.parse_one(f"SELECT 1 ORDER BY {listed}", read="spark").args["order"]
        return tuple(order.expressions)

    # -- operators, each by the name that Spark prints ----------------------------------------------------------------

    def read_relation(self, _: Operator, text: str) -> Node:
        listed = re.search(r"\[(.*)\]", text)
        names = [re.sub(r"L$", "", each) for each in listed[1].split(",")] if listed else []
        for columns, paths, format_ in self.scans:
            if columns & set(names):
                relation = self.files(paths, format_)
                source = relation.node.source  # type: ignore[union-attr]
                own = {name: display(name) for name in names if display(name) in source.columns}
                return Scan(source, own, {name: source.columns[of] for name, of in own.items()})
        raise UnreadableError(f"{text[:60]} in Spark's plan")

    def read_localrelation(self, _: Operator, text: str) -> Node:
        raise UnreadableError(f"rows that Spark holds itself ({text[:40]})")

    def read_range(self, at: Operator, text: str) -> Node:
        found = re.match(r"Range \((-?\d+), (-?\d+), step=(-?\d+)", text)
        name = next((each for each in self.attributes if each.startswith("id#")), None)
        if not found or name is None:
            raise UnreadableError(f"{text[:40]} in Spark's plan")
        start, end, step = map(int, found.groups())
        rows = f'(SELECT range AS "{name}" FROM range({start}, {end}, {step}))'
        return Values(rows, len(range(start, end, step)), {name: "BIGINT"})

    def read_filter(self, at: Operator, text: str) -> Node:
        child = self.below(at)
        [condition] = self.parsed(text.removeprefix("Filter "))
        return Filter(child, tuple(conjuncts(_texts(condition, child.columns))))

    def read_project(self, at: Operator, text: str) -> Node:
        child = self.below(at)
        made = self.made(_brackets(text)[0])
        return Project(child, made, types_of(made, child.columns))

    def read_aggregate(self, at: Operator, text: str) -> Node:
        keys, results = _brackets(text)[:2]
        child = self.below(at)
        return _aggregated(child, self.parsed(keys), self.made(results))

    def read_join(self, at: Operator, text: str) -> Node:
        how, _, rest = text.removeprefix("Join ").partition(", ")
        hints = dict(re.findall(r"(left|right)Hint=\(strategy=(\w+)\)", rest))
        condition = re.sub(r",? ?(left|right)Hint=\(.*$", "", rest)
        if how not in _HOWS:
            raise UnreadableError(f"{how} join in Spark's plan")
        conditions = conjuncts(self.parsed(condition)[0]) if condition else []
        hint = next((f"broadcast {side}" for side, kind in hints.items() if kind == "broadcast"), "")
        hint = hint or ("merge" if {"merge", "shuffle_hash"} & set(hints.values()) else "")
        left, right = map(self.node, at.children)
        return Join(left, right, _HOWS[how], tuple(conditions), hint)  # type: ignore[arg-type]

    def read_window(self, at: Operator, text: str) -> Node:
        functions, by, order = [*_brackets(text), "", ""][:3]
        child = self.below(at)
        keys = tuple(self.parsed(by)) if by else ()
        over = f"PARTITION BY {', '.join(expressions(by, self.attributes))} " if by else ""
        over += f"ORDER BY {', '.join(expressions(order, self.attributes))}" if order else ""
        plain = re.sub(r" windowspecdefinition\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)", "", functions)
        made = {}
        for each in expressions(plain, self.attributes):
            value, _, name = each.rpartition(" AS ")
            made[name.strip("`")] = sqlglot.parse_one(f"SELECT {value} OVER ({over})", read="spark").expressions[0]
        return Window(child, keys, made, child.columns | types_of(made, child.columns))

    def read_windowgrouplimit(self, at: Operator, _: str) -> Node:
        return self.below(at)  # the filter above it says the same

    def read_sort(self, at: Operator, text: str) -> Node:
        return Sort(self.below(at), self.order(_brackets(text)[0]), text.rstrip().endswith("true"))

    def read_globallimit(self, at: Operator, text: str) -> Node:
        return Limit(self.below(at), int(text.split()[1]))

    def read_locallimit(self, at: Operator, _: str) -> Node:
        return self.below(at)

    def read_union(self, at: Operator, _: str) -> Node:
        branches = [self.node(child) for child in at.children]
        names = list(branches[0].columns)
        renamed = []
        for branch in branches:
            made: dict[str, exp.Expr] = {
                new: exp.Column(this=exp.to_identifier(old, quoted=True))
                for new, old in zip(names, branch.columns, strict=True)
            }
            renamed.append(Project(branch, made, dict(zip(names, branch.columns.values(), strict=True))))
        return Union(tuple(renamed))

    def read_repartitionbyexpression(self, at: Operator, text: str) -> Node:
        return Shuffle(self.below(at), tuple(self.parsed(_brackets(text)[0])))

    read_rebalancepartitions = read_repartitionbyexpression

    def read_repartition(self, at: Operator, _: str) -> Node:
        return Shuffle(self.below(at), ())

    def read_sample(self, at: Operator, text: str) -> Node:
        found = re.match(r"Sample ([\d.]+), ([\d.]+), false", text)
        if not found:
            raise UnreadableError(f"{text[:40]} in Spark's plan")
        share = exp.Literal.number(float(found[2]) - float(found[1]))
        return Filter(self.below(at), (exp.LT(this=exp.Rand(), expression=share),))

    def read_expand(self, at: Operator, text: str) -> Node:
        """Each row several times: for ROLLUP and the like, and where several columns are counted distinctly."""
        child = self.below(at)
        listed, names = _brackets(text)[:2]
        rows = [self.parsed(row) for row in _brackets(listed)]
        made = [(place, each.name) for place, each in enumerate(self.parsed(names)) if each.name not in child.columns]
        kinds: Columns = {}
        for place, name in made:
            value = next((row[place] for row in rows if not isinstance(row[place], exp.Null)), exp.Null())
            kinds |= types_of({name: value}, child.columns)
        structs = [_struct({display(name): exp.cast(row[place], kinds[name]) for place, name in made}) for row in rows]
        return Explode(child, exp.Inline(this=exp.Array(expressions=structs)), tuple(kinds), child.columns | kinds)

    def read_generate(self, at: Operator, text: str) -> Node:
        call, rest = _call(text.removeprefix("Generate "))
        child = self.below(at)
        if not call.startswith("explode("):
            raise UnreadableError(f"{call[:40]} in Spark's plan")
        [listed] = self.parsed(call.removeprefix("explode(").removesuffix(")"))
        [name] = [re.sub(r"L$", "", each.strip()) for each in _brackets(rest)[-1].split(",")]
        kind = types_of({"x": listed}, child.columns)["x"]
        columns: Columns = child.columns | {name: kind.removesuffix("[]") if kind.endswith("[]") else "?"}
        return Explode(child, exp.Explode(this=listed), (name,), columns)


def _struct(fields: Mapping[str, exp.Expr]) -> exp.Struct:
    named = [
        exp.PropertyEQ(this=exp.to_identifier(name, quoted=True), expression=value) for name, value in fields.items()
    ]
    return exp.Struct(expressions=named)


def _texts(condition: exp.Expr, columns: Columns) -> exp.Expr:
    """What is compared with a text is one, also where it looks like a number."""
    for each in condition.find_all(exp.Predicate):
        operands = [each.this, each.expression, *each.expressions]
        if any(isinstance(operand, exp.Column) and columns.get(operand.name) == "VARCHAR" for operand in operands):
            for operand in operands:
                if isinstance(operand, exp.Literal) and not operand.is_string:
                    operand.replace(exp.Literal.string(operand.this))
    return condition


def _aggregated(child: Node, keys: Sequence[exp.Expr], results: Mapping[str, exp.Expr]) -> Node:
    """Groups, and the results that are computed of them."""
    from penstock.trees.aggregating import is_aggregate
    from penstock.trees.tree import attribute, column

    named = {key: key.name if isinstance(key, exp.Column) else attribute("key") for key in keys}
    made: dict[str, exp.Expr] = {}

    def over(expression: exp.Expr) -> exp.Expr:
        def change(each: exp.Expr) -> exp.Expr:
            if each in named:
                return column(named[each])
            if is_aggregate(each):
                name = next((name for name, known in made.items() if known == each), None) or attribute("aggregate")
                made[name] = each
                return column(name)
            return each

        return expression.copy().transform(change, copy=False)

    shown = {name: over(each) for name, each in results.items()}
    grouped: dict[str, exp.Expr] = {name: key for key, name in named.items()}
    columns = types_of(grouped, child.columns) | types_of(made, child.columns)
    node = Aggregate(child, grouped, made, columns)
    return Project(node, shown, types_of(shown, columns))


def _brackets(text: str) -> list[str]:
    """What stands in the outermost square brackets of a line."""
    found, depth, begin = [], 0, 0
    for place, letter in enumerate(text):
        if letter == "[":
            depth += 1
            if depth == 1:
                begin = place + 1
        elif letter == "]":
            depth -= 1
            if depth == 0:
                found.append(text[begin:place])
    return found


def _call(text: str) -> tuple[str, str]:
    """A call at the beginning of a text, and the rest."""
    depth = 0
    for place, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if letter == ")" and not depth:
            return text[: place + 1], text[place + 1 :]
    return text, ""
