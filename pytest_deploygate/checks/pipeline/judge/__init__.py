"""Every event comes out once, in order and in time, and users do not see synthetic devices. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_deploygate.checks.pipeline.facts import Measured
from pytest_deploygate.checks.pipeline.judge import delays, delivery, traces
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Judgement, Reading, words_for_count

if TYPE_CHECKING:
    from pytest_deploygate.checks.pipeline.section import Pipeline

__all__ = ["judge"]


def judge(found: Measured, criterion: Pipeline) -> Judgement:
    """Judge all exits together: what is lost at one and not at another says who lost it.

    An event was looked for over the whole bound, so what is missing needs no second look.
    """
    said = Collector(confirmed=True, most=8)
    delivery.judge(found, criterion, said)
    figures = delays.judge(found, criterion, said)
    traces.judge(found, criterion, said)
    _client(found, criterion, said)
    judged = said.judgement(lambda: _good(found, criterion))
    return Judgement(
        judged.verdict,
        judged.reason,
        judged.readings,
        judged.notes,
        judged.deferred_to,
        judged.confirmed,
        tuple(figures),
    )


def _client(found: Measured, criterion: Pipeline, said: Collector) -> None:
    """Our own side must have kept the schedule: else another rate than the stated one was tried."""
    client = found.client
    if found.sent.stopped:
        said.unknown(f"sending was ended early, as {found.sent.stopped}: less than the stated rate was tried")
    if client is None:
        if any(at is not None for at in found.sent.sent_s):
            said.unknown("how late our own side was is not known: run it again")
        return
    said.read(
        Reading("rate", round(client.rate_per_second, 1), "events/s"),
        Reading("own delay when sending, p99", round(1000 * client.send_lag_p99_s, 2), "ms"),
        Reading("own delay when receiving, p99", round(1000 * client.receive_lag_p99_s, 2), "ms"),
    )
    if client.kept < delays.KEPT and not found.sent.stopped:
        said.unknown(
            f"only {client.kept:.1%} of the events were sent in the time for them ({client.rate_per_second:.0f}/s, "
            f"{criterion.per_second:g}/s are stated): run it from a machine with free processors, or lower `per_second`"
        )


def _good(found: Measured, criterion: Pipeline) -> str:
    events = len(found.sent.due_s)
    ways = ", ".join(entrance.name for entrance in criterion.entrances)
    outs = ", ".join(out.name for out in found.outs)
    unseen = len(found.shown) + len(found.numbers)
    places = words_for_count(unseen, "place does", "places do")
    left_out = f"; {places} not show synthetic devices" if unseen else ""
    return (
        f"all {events} events that entered by {ways} at {criterion.per_second:g}/s came out once, in order and in time at {outs}"
        f"{left_out}"
    )
