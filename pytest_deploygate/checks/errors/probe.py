"""Count requests and errors; never sees a limit."""

from __future__ import annotations

import re
from dataclasses import replace

from pytest_deploygate.checks.errors.facts import Found, Lacking, Source, ToppedUp, Window
from pytest_deploygate.checks.errors.section import ErrorCounters, Errors
from pytest_deploygate.checks.load.facts import LoadRun
from pytest_deploygate.checks.load.probe import send
from pytest_deploygate.checks.load.section import LatencyLimits, Visits
from pytest_deploygate.clients import counting
from pytest_deploygate.clients.budget import Budget
from pytest_deploygate.fields.prometheus import Prometheus
from pytest_deploygate.judging.counters import Counted
from pytest_deploygate.model import CannotTell

__all__ = ["counts", "topped_up"]

_MATCHER = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)\s*(?:=~|!~|!=|=)\s*"(?:[^"\\]|\\.)*"')


def counts(prometheus: Prometheus, errors: Errors) -> Found:
    """Return what every source counted in each window. Raises CannotTell where Prometheus cannot be asked."""
    selectors = [each for _, source in errors.sources for each in (source.requests, source.errors)]
    found = counting.read(prometheus, selectors, errors.windows)
    return Found(
        tuple(
            Source(
                name,
                tuple(
                    Window(w.total_seconds(), found[of.requests, w], found[of.errors, w])
                    for w in errors.windows
                ),
                _unseen(of, found[of.requests, errors.windows[0]]),
            )
            for name, of in errors.sources
        )
    )


def topped_up(found: Found, visits: Visits, lacking: Lacking, name: str, budget: Budget) -> Found:
    """Send so many requests of our own and add them. Raises CannotTell if the inventory `name` does not allow it."""
    if visits.allow != name:
        raise CannotTell(
            f"{lacking.requests} more requests without an error would show the budget, and none was sent: set `errors.top_up.allow: {name}` "
            "once that is agreed, or use a longer `errors.window`"
        )
    number = min(lacking.requests, visits.requests)
    run: LoadRun = send(visits.as_load(number, LatencyLimits()), name, calibrate=False, budget=budget)
    return replace(found, topped_up=ToppedUp(run.whole.requests, run.whole.failed, run.stopped))


def _unseen(of: ErrorCounters, requests: Counted) -> str:
    """Return why errors without a series may be there all the same."""
    metric, _, matchers = of.errors.partition("{")
    if metric.strip() != of.requests.partition("{")[0].strip():
        return f"it is another metric than {of.requests}"
    lacking = [label for label in _MATCHER.findall(matchers) if label not in requests.labels]
    return f"no series of {of.requests} has the label {lacking[0]}" if lacking else ""
