"""Whether something of earlier probes is left on the platform."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_deploygate.checks.blast_radius.facts import Trace
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Judgement, Reading


def judge_traces(measurement: Sequence[Trace], _criterion: object) -> Judgement:
    """Pass if no place has anything of a probe that has ended; what could not be looked at is unknown."""
    found = Collector(most=6, confirmed=True)
    for trace in measurement:
        found.wrong(*trace.left, where=trace.place)
        if trace.unseen:
            found.unknown(trace.unseen, where=trace.place)
    seen = [trace for trace in measurement if not trace.unseen]
    left = sum(len(trace.left) for trace in measurement)
    if seen or not measurement:
        found.read(
            Reading("places looked at", len(seen)), Reading("left behind", left, limit="0", ok=left == 0)
        )
    return found.judgement(lambda: _good([trace.place for trace in seen]))


def _good(places: Sequence[str]) -> str:
    if not places:
        return "the inventory names no place where probes of the gate write: neither `writes` nor `backup.scratch`"
    return f"nothing of earlier probes is left in {', '.join(places)}"
