"""A burst from one source while a second one asks a little, then ways around the limit, then the return to normal."""

from __future__ import annotations

import contextlib
import ipaddress
import random
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pytest_deploygate.checks.ddos.facts import Attempt, Trial
from pytest_deploygate.checks.ddos.probe.burst import Planned, Source, pause, speaks_http2
from pytest_deploygate.checks.ddos.probe.exchange import Target, about
from pytest_deploygate.checks.ddos.probe.second import Here, There
from pytest_deploygate.checks.ddos.section import Ddos, Limit
from pytest_deploygate.clients import own_lag
from pytest_deploygate.clients.budget import Spending

#: Between two requests of a phase that tries a way around: all of it is over while little is let through.
_CLOSE_S = 0.012
_BESIDE = 3
#: The second source asks at least twice in this time.
_PAUSE_S = 0.5
#: What is sent if nothing was refused until then comes within this time.
_MORE_S = 3.0
_LONGEST_SHARE_S = 30.0
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.1, 5.0
#: Addresses of nobody (RFC 5737, RFC 2544).
_NOBODY = tuple(ipaddress.ip_network(net) for net in ("203.0.113.0/24", "198.51.100.0/24", "198.18.0.0/16"))


def trial(
    limit: Limit, ddos: Ddos, target: Target, second: Here | There, began: float, spending: Spending
) -> Trial:
    """Try one limit on one address. Raises Ended, and CannotTell if the host of the second source cannot be used."""
    source = Source(target, ddos.connections, began, spending)
    with own_lag.watching() as lag, contextlib.closing(source):
        problem = _control(limit, source, second)
        http2 = not problem and limit.http2 and speaks_http2(target, spending)
        if not problem:
            try:
                _burst(limit, ddos, source, second, spending, http2=http2)
            finally:
                second.end()
        seen = lag.since()
    own, peer = source.addresses
    return Trial(
        limit.name,
        peer or target.address,
        own or target.source,
        second.address,
        isinstance(second, Here),
        tuple(sorted(source.attempts, key=lambda attempt: attempt.sent_s)),
        tuple(sorted(second.attempts, key=lambda attempt: attempt.sent_s)),
        source.told,
        source.unsent,
        http2,
        seen,
        problem,
    )


def _control(limit: Limit, source: Source, second: Here | There) -> str:
    """Send a request from both sources, and to each path; return what is wrong with one of them."""
    for path in ("", *limit.paths):
        if not (found := source.one("control", path)).served:
            return f"{path or 'the request'} is not answered as expected before the burst: {met(found)}"
    if not (found := second.control()).served:
        return f"the second source is not answered as expected before the burst: {met(found)}"
    return ""


def met(attempt: Attempt) -> str:
    """Return what a request met, for people."""
    words = {"silent": "no answer in time", "closed": "closed without an answer", "refused": "refused"}
    if not attempt.status:
        return words.get(attempt.problem, attempt.problem)
    return f"HTTP {attempt.status}" + ("" if attempt.served else ", or another body than expected")


def _burst(
    limit: Limit, ddos: Ddos, source: Source, second: Here | There, spending: Spending, *, http2: bool
) -> None:
    phases = 4 + len(ddos.forged) + len(limit.paths)
    second.begin("burst", limit.lasts_s + limit.at_once * _CLOSE_S + phases * _time_of(limit.varied) + 1.0)
    pause(time.monotonic() + _PAUSE_S / 2, spending)
    first = source.send(_first(limit))
    # The end counts: a limit above what is offered refuses the first burst alone.
    limited = _refused(first[-max(1, int(limit.offered * limit.lasts_s / 2)) :], limit)
    left = limit.most - limit.at_once - int(limit.offered * limit.lasts_s)
    if not limited and left > 0:
        limited = _refused(source.send(Planned(n * _MORE_S / left, "more") for n in range(left)), limit)
    if limited:
        if http2:
            source.send(_still_limited("http2"))
            source.streams(limit.varied)
            source.send(_still_limited("http2"))
        if neighbours := _neighbours(limit, ddos, source):
            source.send(_still_limited("network"))
            source.from_others(neighbours, limit.varied, _CLOSE_S)
            source.send(_still_limited("network"))
        _around(limit, ddos.forged, source)
        _in_its_name(limit, ddos.forged, source, second, spending)
    pause(time.monotonic() + _PAUSE_S / 2, spending)
    _recovery(limit, source, spending)


def _first(limit: Limit) -> Iterator[Planned]:
    """Yield what is sent at once, and what is offered after that."""
    for _ in range(limit.at_once):
        yield Planned(0.0, "burst")
    yield from _offered(limit, limit.lasts_s, "sustain")


def _offered(limit: Limit, for_s: float, phase: str, **more: Any) -> Iterator[Planned]:
    at_s = 0.0
    while (at_s := at_s + about(1 / limit.offered)) < for_s:
        yield Planned(at_s, phase, **more)


def _refused(attempts: Sequence[Attempt], limit: Limit) -> bool:
    return any(attempt.status in limit.refused or attempt.problem for attempt in attempts)


def _around(limit: Limit, forged: Sequence[str], source: Source) -> None:
    """Try the ways around a limit that is in force now: other queries, other paths, false addresses."""
    joint = "&" if "?" in limit.url else "?"
    path = _path(limit.url)
    source.send(
        _varied(limit, "query", lambda _: {"path": f"{path}{joint}deploygate={secrets.token_hex(4)}"})
    )
    if limit.paths:
        source.send(_varied(limit, "path", lambda n: {"path": limit.paths[n % len(limit.paths)]}))
    if not forged:
        return
    nobody = _addresses_of_nobody(limit.varied * (len(forged) + 1))
    met_all = source.send(_varied(limit, "forged", lambda _: {"headers": _claims(forged, next(nobody))}))
    served = sum(attempt.served for attempt in met_all if attempt.varied)
    if served * 2 > limit.varied:  # which of them is it?
        for header in forged:
            source.send(_varied(limit, header, lambda _, h=header: {"headers": _claims([h], next(nobody))}))  # type: ignore[misc]


def _still_limited(phase: str) -> Iterator[Planned]:
    """Yield ordinary requests before and after those of another kind: the limit must still be in force."""
    for number in range(_BESIDE):
        yield Planned(number * _CLOSE_S, phase)


def _neighbours(limit: Limit, ddos: Ddos, source: Source) -> list[str]:
    """Return our other addresses of the source's IPv6 network."""
    own = source.addresses[0]
    return [each for each in ddos.burst_from if each != own and limit.same_network(each, own)]


def _varied(limit: Limit, phase: str, how: Callable[[int], Mapping[str, object]]) -> Iterator[Planned]:
    """Yield requests that try a way around, and after every two of them an ordinary one: the limit must still be in force."""
    at_s = 0.0
    for number in range(limit.varied):
        if number % 2 == 0:
            yield Planned(at_s, phase)
            at_s += _CLOSE_S
        yield Planned(at_s, phase, True, **how(number))  # type: ignore[arg-type]
        at_s += _CLOSE_S


def _time_of(varied: int) -> float:
    return varied * 1.5 * _CLOSE_S


def _in_its_name(
    limit: Limit, forged: Sequence[str], source: Source, second: Here | There, spending: Spending
) -> None:
    """Use up the limit in the name of the second source, which must not suffer for it."""
    if not forged or not second.address:
        return
    pause(time.monotonic() + _PAUSE_S, spending)
    second.begin("share", limit.at_once * _CLOSE_S + _shared_s(limit))
    claims = _claims(forged, second.address)
    source.send(Planned(n * _CLOSE_S, "share", varied=True, headers=claims) for n in range(limit.at_once))
    # It stays used up while the second source asks some times.
    source.send(_offered(limit, _shared_s(limit), "share", varied=True, headers=claims))


def _shared_s(limit: Limit) -> float:
    """Return how long the limit is kept used up in the second source's name."""
    return min(max(_PAUSE_S, 7 * limit.every_s), _LONGEST_SHARE_S)


def _recovery(limit: Limit, source: Source, spending: Spending) -> None:
    """Ask now and then until an answer is good again. Asking keeps some limits busy, so it waits longer each time."""
    last = max((attempt for attempt in source.attempts), key=lambda attempt: attempt.sent_s)
    quiet_since, wait_s = time.monotonic(), _FIRST_WAIT_S
    refusals = [attempt.wait for attempt in source.attempts if attempt.wait.isdigit()]
    if last.wait.isdigit() or refusals:
        wait_s = max(wait_s, min(float(refusals[-1]), limit.patience_s - 1.0))
    while True:
        left_s = quiet_since + limit.patience_s - time.monotonic()
        if left_s <= 0:
            return
        pause(time.monotonic() + min(wait_s, left_s), spending)
        if source.one("recovery").served:
            return
        wait_s = min(max(wait_s, _FIRST_WAIT_S) * 1.5, _LONGEST_WAIT_S)


def _path(url: str) -> str:
    rest = url.partition("://")[2]
    return "/" + rest.partition("/")[2].partition("#")[0]


def _claims(headers: Sequence[str], address: str) -> dict[str, str]:
    """Return headers that claim that the client has this address."""
    quoted = f'"[{address}]"' if ":" in address else address
    return {name: f"for={quoted}" if name.lower() == "forwarded" else address for name in headers}


def _addresses_of_nobody(number: int) -> Iterator[str]:
    hosts = [net[n] for net in _NOBODY for n in range(1, min(net.num_addresses, number + 256) - 1)]
    return map(str, random.sample(hosts, min(number, len(hosts))))
