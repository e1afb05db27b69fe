"""Steps that give other rows each time."""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from penstock.findings.finding import Finding, Look
from penstock.trees.tree import Aggregate, Exchange, Filter, Limit, Node, Project, Sort, Union, expressions, references

__all__ = ["left_to_chance"]

#: Functions of chance, and functions of the moment.
CHANCE = (exp.Rand, exp.Randn, exp.Uuid)
CHANCE_NAMES = frozenset(("random", "randn", "uniform", "shuffle", "monotonically_increasing_id", "spark_partition_id"))
MOMENT = (exp.CurrentTimestamp, exp.CurrentDate, exp.CurrentTime, exp.CurrentDatetime, exp.Localtimestamp)
MOMENT_NAMES = frozenset(("now", "today", "unix_timestamp"))


def left_to_chance(look: Look) -> Iterator[Finding]:
    """PEN210: chance, the clock, and first rows of no order, whatever the size: this is about right results."""
    for node in look.nodes:
        if isinstance(node, Exchange):
            continue  # its keys are those of the operator
        for expression in expressions(node):
            found = next((name for each in expression.walk() if (name := _by_chance(each))), "")
            moment = next((name for each in expression.walk() if (name := _of_the_moment(each))), "")
            if found or moment:
                yield _finding(look, node, found or moment, bool(found))
                break
    for limit in look.of(Limit):
        written = look.label(limit).name in ("query", "")  # patterns take first rows as a sample, to choose their plan
        if written and not isinstance(_below(limit), Sort) and _is_built_on(look, limit):
            yield look.finding(
                "PEN210",
                limit,
                f"the first {limit.n} rows of no order are others each time, and more is built on them",
                [f'ps.top_n({look.subject(limit)}, (), "…", n={limit.n})'],
                argument="LIMIT",
            )


def _finding(look: Look, node: Node, function: str, chance: bool) -> Finding:
    key = chance and _is_key(look, node)
    if key:
        what = f"{function}() decides where rows go: a task that is tried again loses some and doubles others"
    elif isinstance(node, Filter) and chance:
        what = f"{function}() decides which rows are kept: a task that is tried again, and the next run, keep others"
    elif chance:
        what = f"{function}() is another value when a task is tried again, and in the next run"
    else:
        what = f"{function}() is another time in the run that resumes this one, and in the next"
    subject = look.subject(node)
    if key:
        fixes = [f'ps.aggregate({subject}, …, skew="salt")', "pmod(xxhash64(id, ts), 16)"]
    elif isinstance(node, Filter) and chance:
        fixes = [f"""ps.where({subject}, "substring(md5(id::VARCHAR), 1, 1) = '0'")"""]
    elif chance:
        fixes = [f'ps.derive({subject}, key="md5(id::VARCHAR)")']
    else:
        fixes = [f"""ps.where({subject}, f"ts < TIMESTAMP '{{logical_time}}'")"""]
    return look.finding("PEN210", node, what, fixes, argument=f"{function}(")


def _by_chance(each: exp.Expr) -> str:
    if isinstance(each, exp.Anonymous) and each.name.lower() in CHANCE_NAMES:
        return each.name.lower()
    return type(each).__name__.lower() if isinstance(each, CHANCE) else ""


def _of_the_moment(each: exp.Expr) -> str:
    if isinstance(each, exp.Anonymous) and each.name.lower() in MOMENT_NAMES:
        return each.name.lower()
    names = {exp.CurrentTimestamp: "now", exp.CurrentDate: "current_date", exp.Localtimestamp: "localtimestamp"}
    return names.get(type(each), type(each).__name__.lower()) if isinstance(each, MOMENT) else ""


def _is_key(look: Look, node: Node) -> bool:
    """Whether rows are sent by a value that a projection makes by chance."""
    if not isinstance(node, Project):
        return isinstance(node, Aggregate) and any(
            _by_chance(each) for key in node.keys.values() for each in key.walk()
        )
    names = {name for name, made in node.made.items() if any(_by_chance(each) for each in made.walk())}
    for above in look.above(node):
        if isinstance(above, Exchange) and above.kind != "broadcast":
            return bool(references(*above.keys) & names)
        if isinstance(above, Project):
            names = {name for name, made in above.made.items() if references(made) & names}
        elif isinstance(above, Union):
            return False
    return False


def _below(limit: Limit) -> Node:
    node: Node = limit.child
    while isinstance(node, (Project, Exchange)):
        node = node.children[0]
    return node


def _is_built_on(look: Look, limit: Limit) -> bool:
    """Whether first rows go into something, and are not just looked at."""
    return any(not isinstance(above, (Project, Exchange, Limit)) for above in look.above(limit))
