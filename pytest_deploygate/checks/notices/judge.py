"""Judge a notice: it has no placeholder, and was accepted for everybody who is to get it, as it is written now."""

from __future__ import annotations

from pytest_deploygate.checks.notices.facts import Delivery, Sent, Wanted
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Judgement, Reading, words_for_count

__all__ = ["Wanted", "judge"]
_FEW = 5


def judge(measurement: Sent, criterion: Wanted) -> Judgement:
    """Pass if the notice was accepted for each recipient and was not changed since."""
    found = Collector(f"notice {criterion.notice} to {criterion.audience}", most=_FEW)
    for problem in measurement.problems:
        found.wrong(problem)
    if measurement.unknown:
        found.unknown(measurement.unknown)
    deliveries = measurement.deliveries
    accepted = [one for one in deliveries if one.state == "accepted" and one.current]
    if deliveries and not measurement.unknown:
        # Who waits is not known to lack it: then the figure alone decides nothing.
        wrong = bool(measurement.problems) or any(_is_wrong(one) for one in deliveries)
        every = len(accepted) == len(deliveries)
        reading = Reading("recipients for whom it was accepted", len(accepted))
        if every or wrong:
            reading = Reading(reading.name, len(accepted), limit=f"= {len(deliveries)}", ok=every)
        found.read(reading)
        _each(measurement, found)
        _notes(deliveries, found)
    return found.judgement(lambda: _good(criterion, accepted))


def _is_wrong(one: Delivery) -> bool:
    return one.state in ("", "refused") or (one.state == "accepted" and not one.current)


def _each(measurement: Sent, found: Collector) -> None:
    never = [one for one in measurement.deliveries if not one.state]
    if never and len(never) == len(measurement.deliveries):
        found.wrong(f"was never sent for this change: `{measurement.commanded}`")
    elif never:
        found.wrong(
            f"was not sent to {_some(never)}: `{measurement.commanded}` sends it to those who lack it"
        )
    old = [one for one in measurement.deliveries if one.state == "accepted" and not one.current]
    if old:
        found.wrong(
            f"was sent to {_some(old)} before its template or its values were changed: look at `deploygate notify preview`, "
            f"then `{measurement.commanded}` sends what it says now"
        )
    for one in measurement.deliveries:
        if one.state == "refused":
            found.wrong(f"{one.said}; mend the address or reach them in another way", where=one.called)
        elif one.state == "waiting":
            found.unknown(
                f"not accepted yet: {one.said or 'not tried'}; `deploygate notify send` tries again",
                where=one.called,
            )
        elif one.state == "uncertain":
            found.unknown(
                f"nobody knows whether it arrived ({one.said}): ask, then `deploygate notify send --sent {one.id}` or "
                f"`--not-sent {one.id}`",
                where=one.called,
            )


def _notes(deliveries: tuple[Delivery, ...], found: Collector) -> None:
    """Note what a reader of the record should know of notices that are good."""
    for reason in dict.fromkeys(reason for one in deliveries for reason in one.reasons):
        found.note(
            f"sent once more to {_some([one for one in deliveries if reason in one.reasons])}: {reason}"
        )
    if by_word := [one for one in deliveries if one.state == "accepted" and one.answered]:
        found.note(f"no server's answer is recorded for {_some(by_word)}: {by_word[0].said}")
    later = [one for one in deliveries if one.state == "accepted" and one.tries > 1 and not one.answered]
    if later:
        most = max(one.tries for one in later)
        found.note(f"not accepted at the first try, but later, after up to {most} tries: {_some(later)}")


def _some(some: list[Delivery]) -> str:
    shown = ", ".join(one.called for one in some[:_FEW])
    return f"{shown} and {len(some) - _FEW} more" if len(some) > _FEW else shown


def _good(criterion: Wanted, accepted: list[Delivery]) -> str:
    times = [one.at for one in accepted if one.at is not None]
    when = f", last at {max(times):%Y-%m-%d %H:%M} UTC" if times else ""
    number = words_for_count(len(accepted), "recipient", "recipients")
    return f"the notice {criterion.notice} was accepted for all {number} of {criterion.audience}{when}"
