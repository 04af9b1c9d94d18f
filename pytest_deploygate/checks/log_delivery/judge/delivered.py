"""Judge that each message of each host arrived in time, once, whole, with what must be known of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pytest_deploygate.checks.log_delivery.facts import Arrived, Delivered, Kind, Sender
from pytest_deploygate.checks.log_delivery.judge import known
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.judging.own_lag import OwnLag
from pytest_deploygate.model import Judgement, Reading, words_for

if TYPE_CHECKING:
    from pytest_deploygate.checks.log_delivery.section import LogDelivery

_CALLED = {
    Kind.PLAIN: "its message",
    Kind.LINES: "its message of several lines",
    Kind.LONG: "its long message",
    Kind.NON_ASCII: "its message with characters outside ASCII",
}


def judge(measurement: Delivered, criterion: LogDelivery) -> Judgement:
    """Pass if every message of every host arrived in time, once and whole, with host, time and level, and no burst had losses."""
    found = Collector(most=6, confirmed=True)
    readable = [place for place in measurement.places if not place.problem]
    for place in measurement.places:
        if place.problem:
            found.unknown(place.problem, where=place.name)
    anything = any(sender.arrived or sender.burst_arrived for sender in measurement.senders)
    for sender in measurement.senders:
        if sender.problem:
            found.unknown(f"the host cannot be asked: {sender.problem}", where=sender.name)
        elif sender.unable:
            found.unknown(sender.unable, where=sender.name)
        elif sender.refused:
            _refused(sender, criterion, found)
        elif readable:
            _delivery(sender, measurement, criterion, found, anything=anything)
    if not anything and readable and any(sender.logged for sender in measurement.senders):
        _nothing(measurement, found)
    return found.judgement(lambda: _good(measurement))


def _good(measurement: Delivered) -> str:
    senders = measurement.senders
    slowest = max(one.after_s for sender in senders for one in sender.arrived)
    kinds = len(senders[0].kinds)
    burst = f", and {senders[0].burst} more at once," if senders[0].burst else ""
    return (
        f"{kinds} messages of {'each of ' if len(senders) > 1 else ''}{len(senders)} host{'s' if len(senders) > 1 else ''}"
        f"{burst} arrived once and whole within {words_for(slowest)}, with {known.wanted_words(measurement)}"
    )


def _refused(sender: Sender, criterion: LogDelivery, found: Collector) -> None:
    to = criterion.send.socket or criterion.send.file or "its syslog socket"
    found.wrong(
        f"its logging does not take messages ({to}): {sender.refused}; start its syslog server",
        where=sender.name,
    )


def _nothing(measurement: Delivered, found: Collector) -> None:
    """Say what it means that nothing at all arrived, from any host."""
    missing = [place.name for place in measurement.places if place.missing]
    if missing:
        found.wrong(
            "there is no such file: nothing arrives, or `aggregator.file` is wrong", where=", ".join(missing)
        )
    elif others := sum(place.others for place in measurement.places):
        found.note(f"{others} lines of others arrived meanwhile, so the aggregator works")
    else:
        found.note(
            "nothing else arrived meanwhile: look whether the aggregator runs, and whether this is where it writes"
        )


def _delivery(
    sender: Sender, measurement: Delivered, criterion: LogDelivery, found: Collector, *, anything: bool
) -> None:
    absent = [kind for kind in sender.kinds if kind not in {one.kind for one in sender.arrived}]
    unreadable = any(place.problem for place in measurement.places)
    first = {
        kind: min((one for one in sender.arrived if one.kind is kind), key=lambda one: one.after_s)
        for kind in sender.kinds
        if kind not in absent
    }
    if first:
        _in_time(sender, max(first.values(), key=_after_s), measurement.lag, criterion, found)
    for kind in first:
        _whole(sender, kind, [one for one in sender.arrived if one.kind is kind], found)
    if absent:
        _absent(sender, absent, criterion, found, anything=anything, unreadable=unreadable)
    _once(sender, found)
    known.judge(sender, criterion, found)
    if sender.burst and len(absent) < len(sender.kinds) and not unreadable:
        _burst(sender, criterion, found)


def _after_s(one: Arrived) -> float:
    return one.after_s


def _in_time(sender: Sender, slowest: Arrived, lag: OwnLag, criterion: LogDelivery, found: Collector) -> None:
    """Judge when the slowest message was there. Between two readings of the log, the earlier one counts."""
    within_s = criterion.within.total_seconds()
    limit = f"at most {words_for(criterion.within)}"
    late = slowest.not_before_s > within_s
    after_s = slowest.not_before_s if slowest.after_s > within_s else slowest.after_s
    name = f"{sender.name}: slowest message arrived after"
    if late and (why := lag.explains(after_s, within_s)):
        found.read(Reading(name, round(after_s, 2), "s"))
        found.unknown(f"{_CALLED[slowest.kind]} arrived after {words_for(after_s)}, {why}", where=sender.name)
        return
    found.read(Reading(name, round(after_s, 2), "s", limit, ok=not late))
    if late:
        found.wrong(
            f"{_CALLED[slowest.kind]} arrived after {words_for(after_s)}, {limit} is allowed",
            where=sender.name,
        )


def _once(sender: Sender, found: Collector) -> None:
    """Judge that nothing arrived twice, the messages of a burst included."""
    copies = {kind: [one for one in sender.arrived if one.kind is kind] for kind in sender.kinds}
    doubled = {kind: each for kind, each in copies.items() if len(each) > 1}
    if not doubled and not sender.burst_twice:
        return
    number = len(doubled) + sender.burst_twice
    of = len(sender.kinds) + sender.burst
    places = dict.fromkeys(one.place for each in doubled.values() for one in each)
    where = f" in {' and '.join(places)}" if places else ""
    found.read(Reading(f"{sender.name}: messages that arrived more than once", number, limit="0", ok=False))
    found.wrong(
        f"{number} of its {of} messages arrived twice or more often{where}: two forwarders, or two actions of one, send them",
        where=sender.name,
    )


def _whole(sender: Sender, kind: Kind, copies: Sequence[Arrived], found: Collector) -> None:
    for said in dict.fromkeys(one.differs for one in copies if one.differs):
        advice = {
            Kind.LINES: "send with octet-counted framing, or let the sender escape ends of lines",
            Kind.LONG: "raise `maxMessageSize` on sender and aggregator",
            Kind.NON_ASCII: "use UTF-8 all the way, without escaping 8-bit characters",
        }.get(kind, "look at the templates on the way")
        found.wrong(f"{_CALLED[kind]} is not whole: {said}; {advice}", where=sender.name)


def _absent(
    sender: Sender,
    absent: Sequence[Kind],
    criterion: LogDelivery,
    found: Collector,
    *,
    anything: bool,
    unreadable: bool,
) -> None:
    name = f"{sender.name}: messages that did not arrive"
    if unreadable:
        found.read(Reading(name, len(absent)))
        return  # it may be in the place that cannot be read, which is said already
    found.read(Reading(name, len(absent), limit="0", ok=False))
    within = words_for(criterion.within)
    if len(absent) < len(sender.kinds):
        found.wrong(
            f"{' and '.join(_CALLED[kind] for kind in absent)} did not arrive within {within}, while others did: look "
            "for limits of size and rate on the way",
            where=sender.name,
        )
        return
    if sender.burst_arrived:
        found.wrong(
            f"none of its {len(absent)} single messages arrived within {within}, but {sender.burst_arrived} of the "
            f"{sender.burst} after them did: messages are lost on the way",
            where=sender.name,
        )
        return
    others = (
        "while those of other hosts did: look at its forwarder, its rules and its queue"
        if anything
        else "nor those of any other host: look at the aggregator"
    )
    found.wrong(f"none of its messages arrived within {within}, {others}", where=sender.name)


def _burst(sender: Sender, criterion: LogDelivery, found: Collector) -> None:
    lost = sender.burst - sender.burst_arrived
    share = 100.0 * lost / sender.burst
    ok = share <= criterion.lost_percent
    limit = f"at most {criterion.lost_percent:g} %"
    found.read(
        Reading(f"{sender.name}: lost of {sender.burst} messages at once", round(share, 2), "%", limit, ok)
    )
    if not ok:
        found.wrong(
            f"{lost} of {sender.burst} messages that it logged at once did not arrive within "
            f"{words_for(criterion.within)}, {limit} may be lost: UDP, a rate limit or a full queue drops them; forward "
            "over RELP or TCP, with a queue on disk",
            where=sender.name,
        )
