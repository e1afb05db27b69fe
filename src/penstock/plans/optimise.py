"""A tree as Spark's optimiser leaves it, in what decides where rows cross: filters low, joins in its order, few columns.

The names in comments are those of Spark's own rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from sqlglot import exp

from penstock.plans.tree import (
    Aggregate,
    Columns,
    Exchange,
    Explode,
    Filter,
    How,
    Inner,
    Join,
    Node,
    Project,
    Scan,
    Shuffle,
    Sort,
    Union,
    Values,
    Window,
    attribute,
    both,
    column,
    fresh,
    references,
    rewritten,
    substituted,
    with_children,
)

__all__ = ["optimised"]


def optimised(node: Node) -> Node:
    """The tree that Spark would plan."""
    found = _rearranged(node)
    return _pruned(rewritten(found, _limited_windows), set(found.columns))


def _rearranged(node: Node) -> Node:
    """Filters and joins where Spark has them; still with every column."""
    found = rewritten(_pushed(node, (), {}), _values_joined)
    found = rewritten(_pushed(found, (), {}), _reordered)
    found = _pushed(_inferred(found), (), {})
    return _pushed(rewritten(found, _existences_joined), (), {})


Beside = Mapping[str, Inner]

# -- PushDownPredicates -----------------------------------------------------------------------------------------------


def _pushed(node: Node, conditions: Sequence[exp.Expr], beside: Beside) -> Node:
    """The node with conditions from above it, each as low as it may stand."""
    if isinstance(node, Filter):
        inners = {name: each._replace(node=_pushed(each.node, (), {})) for name, each in node.beside.items()}
        return _pushed(node.child, [*conditions, *node.conditions], {**beside, **inners})
    if isinstance(node, Join):
        return _through_join(node, conditions, beside)
    if isinstance(node, Project):
        if any(each.find(exp.Explode, exp.Rand) for each in node.made.values()):
            return _kept(node._replace(child=_pushed(node.child, (), {})), conditions, beside)
        lower, inners = _in_terms_of(node.made, conditions, beside)
        return node._replace(child=_pushed(node.child, lower, inners))
    if isinstance(node, Union):
        return _into_branches(node, conditions, beside)
    passes = _passed(node)
    low, high = _split(conditions, beside, passes)
    below = [_pushed(child, low if i == 0 else (), beside) for i, child in enumerate(node.children)]
    return _kept(with_children(node, below), high, beside)


def _passed(node: Node) -> set[str]:
    """The columns on which a condition may as well be asked below a node."""
    if isinstance(node, Aggregate):
        return {name for name, key in node.keys.items() if isinstance(key, exp.Column) and key.name == name}
    if isinstance(node, Window):
        return {key.name for key in node.by if isinstance(key, exp.Column)}
    if isinstance(node, Explode):
        return set(node.child.columns)
    return set(node.columns) if isinstance(node, (Sort, Shuffle, Exchange)) else set()


def _reads(condition: exp.Expr, beside: Beside) -> set[str]:
    """The columns of the tree that a condition rests on, those of queries within it too."""
    found = references(condition)
    for name in found & set(beside):
        found = found - {name} | (references(*beside[name].conditions) - set(beside[name].node.columns))
    return found


def _split(conditions: Iterable[exp.Expr], beside: Beside, columns: set[str]) -> tuple[list[exp.Expr], list[exp.Expr]]:
    """The conditions that rest on some columns alone, and the others."""
    low, high = [], []
    for condition in conditions:
        (low if _reads(condition, beside) <= columns and columns else high).append(condition)
    return low, high


def _kept(node: Node, conditions: Sequence[exp.Expr], beside: Beside) -> Node:
    """A filter, where there is something to filter by."""
    if not conditions:
        return node
    used = references(*conditions)
    return Filter(node, tuple(conditions), {name: each for name, each in beside.items() if name in used})


def _in_terms_of(
    made: Mapping[str, exp.Expr], conditions: Sequence[exp.Expr], beside: Beside
) -> tuple[list[exp.Expr], Beside]:
    inners = {
        name: each._replace(conditions=tuple(substituted(condition, made) for condition in each.conditions))
        for name, each in beside.items()
    }
    return [substituted(condition, made) for condition in conditions], inners


def _into_branches(node: Union, conditions: Sequence[exp.Expr], beside: Beside) -> Node:
    if beside:
        return _kept(node._replace(branches=tuple(_pushed(each, (), {}) for each in node.branches)), conditions, beside)
    return node._replace(branches=tuple(_pushed(each, conditions, {}) for each in node.branches))


def _through_join(join: Join, conditions: Sequence[exp.Expr], beside: Beside) -> Node:
    """PushPredicateThroughJoin and EliminateOuterJoin."""
    left, right = set(join.left.columns), set(join.right.columns)
    how = join.how
    if how in ("left", "full") and any(_refuses_nulls(each, right, beside) for each in conditions):
        how = "inner" if how == "left" else "right"
    if how in ("right", "full") and any(_refuses_nulls(each, left, beside) for each in conditions):
        how = "inner" if how == "right" else "left"
    above, here = list(conditions), list(join.conditions)
    if how in ("inner", "cross"):
        here = [each for each in above if not references(each) & set(beside)] + here
        above = [each for each in above if references(each) & set(beside)]
    to_left, to_right = [], []
    if how in ("inner", "cross", "left", "semi", "anti"):
        to_left, above = _split(above, beside, left)
    if how in ("inner", "cross", "right"):
        to_right, above = _split(above, beside, right)
    if how in ("inner", "cross", "right", "semi"):
        lower, here = _split(here, {}, left)
        to_left += lower
    if how in ("inner", "cross", "left", "semi", "anti"):
        lower, here = _split(here, {}, right)
        to_right += lower
    if how == "cross" and here:
        how = "inner"
    found = join._replace(
        left=_pushed(join.left, to_left, beside), right=_pushed(join.right, to_right, beside), how=how,
        conditions=tuple(here),
    )  # fmt: skip
    return _kept(found, above, beside)


def _refuses_nulls(condition: exp.Expr, columns: set[str], beside: Beside) -> bool:
    """Whether a condition is false where all these columns are null: then rows without a partner are not kept."""
    if references(condition) & set(beside):
        return False
    bare = condition.unnest()
    if isinstance(bare, exp.Not):
        inner = bare.this.unnest()
        return isinstance(inner, (exp.Is, exp.In, exp.Like, exp.EQ)) and bool(references(inner) & columns)
    comparisons = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Like, exp.Between, exp.In)
    strict = isinstance(bare, comparisons) and not bare.find(exp.Coalesce, exp.Case, exp.If, exp.Is)
    return strict and bool(references(bare) & columns)


# -- queries within conditions ----------------------------------------------------------------------------------------


def _values_joined(node: Node) -> Node:
    """RewriteCorrelatedScalarSubquery: one value for each row outside is a join with the values of all."""
    if not isinstance(node, Filter):
        return node
    child, beside = node.child, dict(node.beside)
    for name, inner in node.beside.items():
        if inner.kind == "value" and inner.conditions:
            counts = isinstance(inner.node, Project) and any(
                each.find(exp.Count) for below in (inner.node, *inner.node.children)
                for each in getattr(below, "made", {}).values()
            )  # fmt: skip
            readers = [each for each in node.conditions if name in references(each)]
            kept = counts or not all(_refuses_nulls(each, {name}, {}) for each in readers)
            table = rewritten(inner.node, _values_joined)
            child = Join(child, table, "left" if kept else "inner", inner.conditions)
            del beside[name]
    if child is node.child:
        return node
    kept_columns = node.child.columns
    filtered = Filter(child, node.conditions, beside)
    return Project(filtered, {name: column(name) for name in kept_columns}, dict(kept_columns))


def _existences_joined(node: Node) -> Node:
    """RewritePredicateSubquery: EXISTS and IN keep the rows that meet something, NOT those that meet nothing."""
    if not isinstance(node, Filter):
        return node
    child, conditions, beside = node.child, [], dict(node.beside)
    for condition in node.conditions:
        bare = condition.unnest()
        negated = isinstance(bare, exp.Not)
        asked = bare.this.unnest() if negated else bare
        inner = node.beside.get(asked.name) if isinstance(asked, exp.Column) else None
        if inner is None or inner.kind == "value":
            conditions.append(condition)
            continue
        how: How = "anti" if negated else "semi"
        aware = negated and inner.kind == "in"
        child = Join(child, _rearranged(inner.node), how, inner.conditions, aware=aware)
        del beside[asked.name]
    return _kept(child, conditions, beside)


# -- ReorderJoin ------------------------------------------------------------------------------------------------------


def _reordered(node: Node) -> Node:
    """Inner joins, each with the next table that a condition ties to those before it."""
    if not isinstance(node, Join) or node.how not in ("inner", "cross") or node.hint:
        return node
    tables, conditions = _flattened(node)
    if len(tables) < 3 or not conditions:
        return node
    found, rest = tables[0], tables[1:]
    while rest:
        tied = next((table for table in rest if _ties(conditions, found, table)), rest[0])
        rest = [table for table in rest if table is not tied]
        seen = set(found.columns) | set(tied.columns)
        here = tuple(each for each in conditions if references(each) <= seen)
        conditions = [each for each in conditions if not references(each) <= seen]
        found = Join(found, tied, "inner" if here else "cross", here, label=node.label)
    return _kept(found, conditions, {})


def _flattened(node: Node) -> tuple[list[Node], list[exp.Expr]]:
    if isinstance(node, Join) and node.how in ("inner", "cross") and not node.hint:
        tables, conditions = _flattened(node.left)
        return [*tables, node.right], [*conditions, *node.conditions]
    return [node], []


def _ties(conditions: Sequence[exp.Expr], one: Node, other: Node) -> bool:
    ours, theirs = set(one.columns), set(other.columns)
    return any(
        references(each) <= ours | theirs and not references(each) <= ours and not references(each) <= theirs
        for each in conditions
    )


# -- InferFiltersFromConstraints --------------------------------------------------------------------------------------


def _inferred(node: Node) -> Node:
    """What is asked of a key is asked of the keys equal to it; and keys that are to be equal are not null."""
    found = with_children(node, [_inferred(child) for child in node.children])
    if not isinstance(found, Join) or found.how in ("full", "cross"):
        return found
    sides = {"left": found.left, "right": found.right}
    # Which sides may lose rows by it. Semi and anti joins are made later, of EXISTS and IN.
    open_to = {"inner": ("left", "right"), "left": ("right",), "right": ("left",)}.get(found.how, ())
    for ours, theirs in both(found):
        for side, key, other in (("left", ours, theirs), ("right", theirs, ours)):
            if side not in open_to or not isinstance(key, exp.Column):
                continue
            conditions: list[exp.Expr] = [exp.Not(this=exp.Is(this=key.copy(), expression=exp.Null()))]
            beside: dict[str, Inner] = {}
            if isinstance(other, exp.Column):
                for asked, inners in _asked(sides["right" if side == "left" else "left"], other.name):
                    condition = substituted(asked, {other.name: key})
                    for name, inner in inners.items():
                        renamed, again = _again(name, inner, {other.name: key})
                        beside[renamed] = again
                        condition = substituted(condition, {name: column(renamed)})
                    conditions.append(condition)
            known = [each for each, _ in _asked(sides[side], key.name)]
            new = [each for each in conditions if each not in known]
            sides[side] = _kept(sides[side], new, beside)
    return found._replace(**sides)


def _asked(node: Node, name: str) -> Iterator[tuple[exp.Expr, Beside]]:
    """The conditions on one column alone that a table fulfils."""
    if isinstance(node, Filter):
        for condition in node.conditions:
            inners = {each: node.beside[each] for each in references(condition) & set(node.beside)}
            if _reads(condition, node.beside) == {name} and all(each.kind == "in" for each in inners.values()):
                yield condition, inners
    if isinstance(node, Project):
        value = node.made.get(name)
        if isinstance(value, exp.Column):
            for condition, inners in _asked(node.child, value.name):
                lower, beside = _in_terms_of({value.name: column(name)}, [condition], inners)
                yield lower[0], beside
    elif isinstance(node, Join):
        for side in (node.left, node.right):
            if name in side.columns and (node.how in ("inner", "cross", "semi", "anti") or side is node.left):
                yield from _asked(side, name)
    elif len(node.children) == 1 and name in node.children[0].columns:
        yield from _asked(node.children[0], name)


def _again(name: str, inner: Inner, values: Mapping[str, exp.Expr]) -> tuple[str, Inner]:
    """A query within a condition once more, for another column."""
    node, names = fresh(inner.node)
    columns = {old: column(new) for old, new in names.items()}
    conditions = tuple(substituted(each, {**columns, **values}) for each in inner.conditions)
    return attribute(name), inner._replace(node=node, conditions=conditions)


# -- InferWindowGroupLimit --------------------------------------------------------------------------------------------

LARGEST_LIMIT = 1_000  # spark.sql.optimizer.windowGroupLimitThreshold


def _limited_windows(node: Node) -> Node:
    """A filter on `row_number` or `rank` tells how many rows of each group are wanted."""
    if not isinstance(node, Filter):
        return node
    window = node.child
    while isinstance(window, Project):
        window = window.child
    if not isinstance(window, Window) or not all(_ranks(each) for each in window.made.values()):
        return node
    for condition in node.conditions:
        if isinstance(condition, (exp.LT, exp.LTE, exp.EQ)) and isinstance(condition.expression, exp.Literal):
            asked = condition.this
            if isinstance(asked, exp.Column) and asked.name in window.made and condition.expression.is_int:
                first = int(condition.expression.name) - isinstance(condition, exp.LT)
                if 0 < first <= LARGEST_LIMIT and window.by:
                    limited = window._replace(first=first)
                    return node._replace(child=_in_place(node.child, window, limited))
    return node


def _ranks(window: exp.Expr) -> bool:
    return isinstance(window.this, (exp.RowNumber, exp.Rank, exp.DenseRank))


def _in_place(node: Node, old: Node, new: Node) -> Node:
    return new if node is old else with_children(node, [_in_place(child, old, new) for child in node.children])


# -- ColumnPruning ----------------------------------------------------------------------------------------------------


def _pruned(node: Node, wanted: set[str]) -> Node:
    """The node with the columns that are wanted of it, and below it those that it needs for them."""
    if isinstance(node, Scan):
        kept = [name for name in node.columns if name in wanted]
        return node._replace(names={n: node.names[n] for n in kept}, columns={n: node.columns[n] for n in kept})
    if isinstance(node, Values):
        return node
    if isinstance(node, Project):
        made = {name: each for name, each in node.made.items() if name in wanted}
        child = _pruned(node.child, references(*made.values()))
        return Project(child, made, {name: node.columns[name] for name in made})
    if isinstance(node, Aggregate):
        made = {name: each for name, each in node.made.items() if name in wanted}
        child = _narrowed(node.child, references(*node.keys.values(), *made.values()))
        return node._replace(child=child, made=made, columns={n: node.columns[n] for n in [*node.keys, *made]})
    if isinstance(node, Window):
        made = {name: each for name, each in node.made.items() if name in wanted}
        if not made:
            return _pruned(node.child, wanted)
        needed = (wanted & set(node.child.columns)) | references(*node.by, *made.values())
        child = _narrowed(node.child, needed)
        return node._replace(child=child, made=made, columns=child.columns | {n: node.columns[n] for n in made})
    if isinstance(node, Join):
        needed = wanted | references(*node.conditions)
        left, right = (_narrowed(side, needed & set(side.columns)) for side in (node.left, node.right))
        return node._replace(left=left, right=right)
    if isinstance(node, Filter):
        beside = {name: each._replace(node=optimised(each.node)) for name, each in node.beside.items()}
        own = set().union(*(_reads(each, node.beside) for each in node.conditions)) - set(beside)
        return node._replace(child=_pruned(node.child, wanted | own), beside=beside)
    if isinstance(node, Explode):
        kept = [name for name in node.columns if name in wanted or name in node.made]
        child = _narrowed(node.child, (wanted & set(node.child.columns)) | references(node.generator))
        return node._replace(child=child, columns={n: node.columns[n] for n in kept} | child.columns)
    if isinstance(node, Union):
        ordered = [name for name in node.columns if name in wanted]
        return node._replace(branches=tuple(_narrowed(branch, set(ordered)) for branch in node.branches))
    own = references(*(getattr(node, "order", None) or getattr(node, "keys", ())))
    return with_children(node, [_narrowed(node.children[0], wanted | own)])


def _narrowed(node: Node, wanted: set[str]) -> Node:
    """A node pruned, and a projection above it where it has more columns than are wanted."""
    found = _pruned(node, wanted)
    columns: Columns = found.columns
    kept = {name: kind for name, kind in columns.items() if name in wanted}
    if len(kept) == len(columns):
        return found
    if isinstance(found, Project):
        return Project(found.child, {name: found.made[name] for name in kept}, kept)
    return Project(found, {name: column(name) for name in kept}, kept)
