"""The common mistakes in a plan, found before it runs: each with its figures, the user's line, and what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sqlglot.errors import SqlglotError

from penstock.errors import PenstockError
from penstock.findings import again, chance, crossing, grouping, joining, ordering, reading
from penstock.findings.finding import Finding, Look
from penstock.forecasts.forecast import Forecast
from penstock.trees.tree import Node

__all__ = ["RULES", "Finding", "findings"]

RULES: tuple[Callable[[Look], Iterator[Finding]], ...] = (
    grouping.collected,
    joining.shuffled_small,
    crossing.heavy_keys,
    again.shuffled_twice,
    joining.exploding,
    reading.small_files,
    reading.text_in_place_of_parquet,
    again.done_twice,
    ordering.windows_over_all,
    chance.left_to_chance,
    reading.undivided,
    crossing.partition_counts,
    grouping.counted_exactly,
    ordering.ranked_whole,
    ordering.sorted_in_vain,
    reading.hidden_from_statistics,
    joining.sent_too_large,
)
#: What makes other rows, or no result at all, comes before what only costs.
FIRST = ("PEN210", "PEN217")


def findings(node: Node, forecast: Forecast, *others: Node) -> list[Finding]:
    """The mistakes of a plan, the most costly first. Nothing runs but questions to the forecast's samples.

    Args:
        node: A tree with its exchanges.
        forecast: What is known of its nodes.
        *others: The trees of a job's other stages.

    Returns:
        Findings; none where nothing matters.
    """
    look = Look((node, *others), forecast)
    found = [finding for rule in RULES for finding in _of(rule, look)]
    found.sort(key=lambda each: (each.code not in FIRST, -(each.cost.mid or 0.0), each.code))
    kept: dict[object, Finding] = {}
    for each in found:  # work that is done twice has its mistakes twice
        kept.setdefault((each.code, each.place, each.help), each)
    return list(kept.values())


def _of(rule: Callable[[Look], Iterator[Finding]], look: Look) -> list[Finding]:
    """What a rule finds. A plan is not to fail for what one of them cannot ask of the samples."""
    try:
        return list(rule(look))
    except (PenstockError, SqlglotError):
        return []
