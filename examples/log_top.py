"""What is asked for most, and what fails: an access log as two small tables.

    python examples/access_log.py --size 20MB --out access.log
    penstock run examples/log_top.py -p log=access.log -p n=20

Lines that are no requests go to the quarantine (`penstock quarantine`); more than one in a hundred fails the run.
"""

from __future__ import annotations

import penstock as ps

job = ps.Job("log_top")

RULES = {"has a path": "path IS NOT NULL", "status is one": "status BETWEEN 100 AND 599"}


@job.source
def requests(log: str = "access.log"):
    """The lines that are requests, with the path alone: no query."""
    lines = ps.read(log, format="log", bad="quarantine")
    return ps.check(lines, RULES, fail_above=0.01)


@job.step
def pages(requests):
    """A path without its query."""
    return ps.derive(requests, path="split_part(path, '?', 1)")


@job.sink("{output}/top_paths.csv", sort_by="n desc, path")
def top_paths(pages, n: int = 100, output: str = "out"):
    """The most requested paths."""
    return ps.top(pages, "path", n=n)


@job.sink("{output}/hours.csv", sort_by="hour")
def hours(pages, output: str = "out"):
    """Requests, failures and bytes of each hour."""
    return ps.aggregate(
        pages, {"hour": "date_trunc('hour', at)"},
        requests="count(*)", failures="count_if(status >= 500)", bytes="coalesce(sum(bytes), 0)",
    )  # fmt: skip
