"""Have every host log messages, and look at the aggregator until all have arrived, or the time is over."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

from pytest_deploygate.checks.hosts.section import Host, Hosts
from pytest_deploygate.checks.log_delivery.facts import Arrived, Delivered, Kind, Sender
from pytest_deploygate.checks.log_delivery.probe import logging_hosts, messages, places
from pytest_deploygate.checks.log_delivery.probe.messages import Messages
from pytest_deploygate.checks.log_delivery.probe.places import Arrivals, Found
from pytest_deploygate.checks.log_delivery.section import LogDelivery
from pytest_deploygate.clients import budget as budgets
from pytest_deploygate.clients import own_lag, stopping
from pytest_deploygate.clients.budget import Budget, Spending
from pytest_deploygate.clients.host.side_by_side import side_by_side
from pytest_deploygate.judging.own_lag import OwnLag
from pytest_deploygate.model import CannotTell, NotCovered

_ITEM = "phase1.logs"
_UNWATCHED = "log messages are no requests: no service answers them"
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.05, 0.5
_AT_ONCE = 16
#: More copies of one message are not kept.
_MOST_COPIES = 10
_SHAPE = 100


def deliver(section: LogDelivery, hosts: Hosts | None, budget: Budget | None = None) -> Delivered:
    """Have the hosts log, on `budget`; return what arrived. Raises NotCovered without hosts, CannotTell if none is named."""
    if hosts is None:
        raise NotCovered("add `hosts: {servers: […]}` to the inventory: the servers that log")
    senders = section.senders(hosts)
    if not senders:
        raise CannotTell(
            f"`log_delivery.hosts` ({', '.join(section.hosts)}) stands for no host of the inventory"
        )
    with (budget or budgets.unrecorded(_ITEM)).probe("messages", unwatched=_UNWATCHED) as spending:
        return _delivered(section, hosts, senders, spending)


def _delivered(section: LogDelivery, hosts: Hosts, senders: list[Host], spending: Spending) -> Delivered:
    run = messages.new_run()
    known = side_by_side(lambda host: logging_hosts.names_of(host, section), senders, _AT_ONCE)
    asked = [(host, sender) for host, sender in zip(senders, known, strict=True) if not sender.problem]
    prepared = {host.name: messages.prepare(section, run) for host, _ in asked}
    names = [sender.names[0] for _, sender in asked]
    arrivals = places.arrivals(section, {host.name: host for host in hosts.servers}, names, run)
    arrivals.begin()
    if all(place.problem for place in arrivals.facts()):
        return Delivered(tuple(known), arrivals.facts(), OwnLag())
    number = sum(len(each.texts) for each in prepared.values()) + section.burst * len(asked)
    spending.take(requests=number, opens=0)
    arrived = _Arrived(prepared, run)
    with own_lag.watching() as lag:
        began = time.monotonic()
        logged = side_by_side(
            lambda pair: logging_hosts.log(pair[0], pair[1].names, prepared[pair[0].name], section),
            asked,
            _AT_ONCE,
        )
        arrived.logged = {sender.name: sender for sender in logged}
        arrived.since = time.monotonic()
        _wait(section, arrivals, arrived, lag)
        seen = lag.since(began)
    by_name = {sender.name: arrived.of(sender) for sender in logged}
    return Delivered(tuple(by_name.get(sender.name, sender) for sender in known), arrivals.facts(), seen)


def _wait(section: LogDelivery, arrivals: Arrivals, arrived: _Arrived, lag: own_lag.Lag) -> None:
    """Poll until all is there, or the time is over without what we were late ourselves; then look on for doubles."""
    within_s, wait_s = section.within.total_seconds(), _FIRST_WAIT_S
    while True:
        arrived.take(arrivals.poll())
        if arrived.complete() or lag.fair_s(arrived.since) > within_s:
            break
        if all(place.problem for place in arrivals.facts()):
            return
        stopping.may_begin()
        time.sleep(wait_s)
        wait_s = min(wait_s * 1.5, _LONGEST_WAIT_S)
    time.sleep(section.look_on.total_seconds())
    arrived.take(arrivals.poll())


class _Arrived:
    """What has arrived by now, by host."""

    def __init__(self, prepared: Mapping[str, Messages], run: str) -> None:
        self._prepared = prepared
        self._marks = messages.marks_of(run)
        self._by_mark = {
            mark: (host, kind) for host, each in prepared.items() for kind, mark in each.marks.items()
        }
        self._bursts = {each.burst_mark: host for host, each in prepared.items()}
        self._found: dict[str, list[Arrived]] = {host: [] for host in prepared}
        self._numbers: dict[str, Counter[str]] = {host: Counter() for host in prepared}
        self._polled = 0.0
        self.logged: dict[str, Sender] = {}
        self.since = 0.0

    def take(self, found: Iterable[Found]) -> None:
        """Take what is new."""
        now, before = time.monotonic(), self._polled
        self._polled = now
        for each in found:
            self._one(each, max(0.0, now - self.since), max(0.0, before - self.since) if before else 0.0)

    def _one(self, found: Found, after_s: float, not_before_s: float) -> None:
        text = found.record.message if found.record else found.text
        for mark in dict.fromkeys(self._marks.findall(found.text)):
            if (sender := self._bursts.get(mark)) is not None:
                number = text.partition(mark)[2].split()
                self._numbers[sender][number[0] if number else ""] += 1
                continue
            host, kind = self._by_mark.get(mark, ("", Kind.PLAIN))
            if not host or (kind is Kind.LINES and messages.is_rest(text, mark)):
                continue  # the end of a message whose lines were separated
            if len([one for one in self._found[host] if one.kind is kind]) < _MOST_COPIES:
                self._found[host].append(self._arrived(found, host, kind, after_s, not_before_s))

    def _arrived(self, found: Found, host: str, kind: Kind, after_s: float, not_before_s: float) -> Arrived:
        times = round(after_s, 3), round(not_before_s, 3)
        if found.record is None:
            return Arrived(kind, found.place, None, None, None, "", *times, shape=_shape(found.text))
        record = found.record
        differs = messages.differs(kind, self._prepared[host].texts[kind], record.message)
        return Arrived(kind, found.place, record.host, record.level, record.stamp, differs, *times)

    def complete(self) -> bool:
        """Whether all that was logged has arrived."""
        return all(
            {one.kind for one in self._found[name]} >= set(sender.kinds)
            and len(self._numbers[name]) >= sender.burst
            for name, sender in self.logged.items()
            if sender.logged
        )

    def of(self, sender: Sender) -> Sender:
        """Return a sender with what has arrived of it."""
        numbers = self._numbers[sender.name]
        return replace(
            sender,
            arrived=tuple(self._found[sender.name]),
            burst_arrived=len(numbers),
            burst_twice=sum(count > 1 for count in numbers.values()),
        )


def _shape(line: str) -> str:
    from pytest_deploygate.checks.access_logs.probe import formats  # noqa: PLC0415 (only for what was not expected)

    return formats.shape(line)[:_SHAPE]
