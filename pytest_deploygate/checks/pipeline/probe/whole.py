"""The whole test: clean up, subscribe, try, send, watch, look where synthetic devices must not be, and clean up again."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from pytest_deploygate.checks.pipeline.facts import Measured
from pytest_deploygate.checks.pipeline.probe import cleaning, left_out, logins
from pytest_deploygate.checks.pipeline.probe.course import Course
from pytest_deploygate.checks.pipeline.probe.events import Events
from pytest_deploygate.checks.pipeline.probe.looping import in_a_loop
from pytest_deploygate.checks.pipeline.section import Pipeline
from pytest_deploygate.clients import own_lag, stopping
from pytest_deploygate.clients.budget import Budget
from pytest_deploygate.clients.postgres.cluster import Cluster

_UNWATCHED = "each event's acceptance is looked at, and it ends when many are refused"
#: What filters by time must not leave out events because the platform's clock differs from ours.
_EARLIER = timedelta(minutes=5)


def measure(pipeline: Pipeline, database: Cluster | None, budget: Budget) -> Measured:
    """Send the events and return what became of them. Raises CannotTell if nothing can be sent or seen, Ended."""
    pipeline = logins.logged_in(pipeline)
    events, since = Events(pipeline), datetime.now(UTC) - _EARLIER
    with budget.probe("events", unwatched=_UNWATCHED) as spending, own_lag.watching() as lag:
        # What a test that was killed left behind is taken away first.
        cleaning.clean(pipeline, database, spending)
        numbers = left_out.Numbers(pipeline.left_out, spending)
        course = Course(pipeline, events, database, spending, lag, since)
        try:
            found = in_a_loop(course.run(), spending)
            found = replace(
                found,
                shown=left_out.shown(pipeline, events, database, spending),
                numbers=numbers.again(len(found.sent.due_s), len(pipeline.devices)),
            )
        finally:
            with stopping.shielded():
                problems = cleaning.clean(pipeline, database, spending)
        if problems or not pipeline.clean_up:
            return replace(found, cleaning=tuple(problems))
        remains = in_a_loop(course.remains(), spending)
        outs = tuple(replace(out, remains=remains.get(out.name)) for out in found.outs)
        return replace(found, outs=outs)
