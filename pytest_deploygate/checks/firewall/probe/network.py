"""Try the table from here and from hosts, all vantage points side by side, and ask hosts what they listen on."""

from __future__ import annotations

import itertools
import secrets
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from pytest_deploygate.checks.firewall.expected import Expected
from pytest_deploygate.checks.firewall.facts import Control, HostSide, Network, Outcome, Seen, Vantage
from pytest_deploygate.checks.firewall.probe import attempts
from pytest_deploygate.checks.firewall.probe import host as asking
from pytest_deploygate.checks.firewall.probe.attempts import Key
from pytest_deploygate.checks.firewall.probe.plan import (
    Plan,
    Resolve,
    cached,
    merged,
    networks_of,
    own_services,
    plans,
)
from pytest_deploygate.checks.firewall.section import Control as Declared
from pytest_deploygate.checks.firewall.section import (
    Firewall,
    members,
    of_host,
    places_of,
)
from pytest_deploygate.checks.hosts.section import Host, Hosts
from pytest_deploygate.clients import budget as budgets
from pytest_deploygate.clients import reach, stopping
from pytest_deploygate.clients.budget import Budget, Spending
from pytest_deploygate.fields.hosts import HERE
from pytest_deploygate.model import CannotTell

_ITEM = "sec.firewall"
_UNWATCHED = "no place that must be open over TCP from here answered before it began"
_MOST_CONTROLS = 10
_OUTCOMES = {
    attempts.OPEN: Outcome.OPEN,
    attempts.REFUSED: Outcome.REFUSED,
    attempts.UNREACHABLE: Outcome.UNREACHABLE,
    attempts.NOT_SENT: Outcome.NOT_SENT,
    attempts.OWN_LIMIT: Outcome.OWN_LIMIT,
    attempts.OWN_LAG: Outcome.OWN_LAG,
}


def network(firewall: Firewall, hosts: Hosts | None, budget: Budget | None = None) -> Network:
    """Make all attempts of the table, on `budget`. Raises CannotTell if it stands for no attempt at all."""
    drawn = budget or budgets.unrecorded(_ITEM)
    with drawn.probe("matrix", control=_control(firewall, hosts), unwatched=_UNWATCHED) as spending:
        return _tried(firewall, hosts, spending)


def _control(firewall: Firewall, hosts: Hosts | None) -> Callable[[], bool] | None:
    """Return what connects to places that must be open, in turn; None if none of them answers before the attempts begin.

    One that does not answer is for the table to judge.
    """
    rows = [rule for rule in firewall.rules if HERE in rule.from_ and rule.expected is Expected.OPEN]
    opened = [Declared.model_construct(to=to, ports=rule.ports) for rule in rows for to in rule.to]
    declared = firewall.model_copy(update={"controls": {HERE: [*firewall.controls.get(HERE, []), *opened]}})
    wanted = [each for each in _controls(declared, hosts, HERE, cached(_resolved)) if each.protocol == "tcp"]
    timeout_s = firewall.timeout.total_seconds()
    places = [
        (each.address, each.port)
        for each in wanted[:_MOST_CONTROLS]
        if _answers((each.address, each.port), timeout_s)
    ]
    turns = itertools.cycle(places)
    return (lambda: _answers(next(turns), timeout_s)) if places else None


def _answers(place: tuple[str, int], timeout_s: float) -> bool:
    """Connect and close; whether the place accepted it."""
    try:
        with socket.create_connection(place, timeout_s):
            return True
    except OSError:
        return False


def _tried(firewall: Firewall, hosts: Hosts | None, spending: Spending) -> Network:
    resolve = cached(_resolved)
    seed = firewall.seed if firewall.seed is not None else secrets.randbelow(1_000_000)
    found = list(plans(firewall, hosts, resolve, seed))
    if not any(plan.asked or plan.unresolved for plan in found):
        raise CannotTell(
            "the firewall's table stands for no attempt: its rows lead from hosts to themselves only, or their targets have "
            "no address of the `ip_versions` asked for"
        )
    by_source = {plan.source: plan for plan in found}
    controls = {plan.source: list(_controls(firewall, hosts, plan.source, resolve)) for plan in found}
    used = {host.name: host for host in _used(firewall, hosts, by_source)}
    own = {name: own_services(firewall, hosts, host, resolve) for name, host in used.items()}
    tcp, others = _counted(found, controls)
    others += sum(map(len, own.values()))
    spending.take(requests=tcp + others + len(used), connections=tcp, opens=0)
    firewall = firewall.model_copy(update={"at_once": spending.at_once(firewall.at_once)})
    with ThreadPoolExecutor(min(firewall.hosts_at_once, len(used)) + 1, "firewall") as pool:
        here = pool.submit(_from_here, by_source.get(HERE), controls.get(HERE, []), firewall)
        there = {
            name: pool.submit(
                _from_host,
                host,
                by_source.get(name, Plan(name)),
                [*map(_key, controls.get(name, [])), *own[name]],
                firewall,
            )
            for name, host in used.items()
        }
        letters: dict[str, Mapping[Key, str]] = {HERE: here.result()}
        asked = {name: each.result() for name, each in there.items()}
    spending.give(closes=0, peak=min(firewall.at_once, tcp + others))
    letters |= {name: each.letters for name, each in asked.items()}
    return Network(
        tuple(each for plan in found for each in _seen(plan, letters[plan.source])),
        tuple(
            replace(control, outcome=_outcome(letters[source].get(_key(control), "x"), control.protocol))
            for source, wanted in controls.items()
            for control in wanted
        ),
        tuple(_vantage(plan, asked.get(plan.source)) for plan in found),
        tuple(
            replace(
                _side(each.side, used[name], firewall, hosts),
                answers=tuple(key for key in own[name] if each.letters.get(key) == attempts.OPEN),
            )
            for name, each in asked.items()
        ),
        seed if any(plan.of > len(plan.asked) and _drawn(plan) for plan in found) else None,
    )


def _counted(found: Sequence[Plan], controls: Mapping[str, Sequence[Control]]) -> tuple[int, int]:
    """Return how many attempts a table makes, by TCP and by others; what gives no answer is tried once more, uncounted."""
    keys = [
        key
        for plan in found
        for key in attempts.attempts(plan.lines(map(_key, controls.get(plan.source, ()))))
    ]
    tcp = sum(protocol == "tcp" for protocol, _, _ in keys)
    return tcp, len(keys) - tcp


def _drawn(plan: Plan) -> bool:
    """Whether attempts were left out; those that two rows ask for are made once."""
    return sum(len(pieces) for pieces in plan.asked.values()) < plan.of


def _resolved(name: str) -> tuple[str, ...]:
    try:
        return tuple(each.partition("%")[0] for each in reach.addresses(name, 0))
    except OSError:
        return ()


def _used(firewall: Firewall, hosts: Hosts | None, by_source: Mapping[str, Plan]) -> Iterator[Host]:
    """Yield the hosts that attempts are made from, and those whose listeners or filters are asked for."""
    for host in hosts.servers if hosts else []:
        if host.name in by_source or of_host(firewall.listeners, host) or of_host(firewall.host_policy, host):
            yield host


def _controls(firewall: Firewall, hosts: Hosts | None, source: str, resolve: Resolve) -> Iterator[Control]:
    for wanted in firewall.controls.get(source, []):
        there = members(wanted.to, hosts)
        places = [place for host in there for place in places_of(host, firewall)] if there else [wanted.to]
        for place in places:
            for net in networks_of(place, resolve):
                for ports in wanted.ports:
                    yield Control(
                        source,
                        wanted.to,
                        str(net.network_address),
                        ports.protocol,
                        ports.first,
                        Outcome.UNTRIED,
                    )


def _key(control: Control) -> Key:
    return control.protocol, control.address, control.port


def _from_here(plan: Plan | None, controls: list[Control], firewall: Firewall) -> dict[Key, str]:
    if plan is None:
        return {}
    wanted = attempts.attempts(plan.lines(map(_key, controls)))
    until = time.monotonic() + firewall.within.total_seconds()
    with stopping.interrupting():
        return attempts.make(wanted, firewall.timeout.total_seconds(), firewall.at_once, until)


def _from_host(host: Host, plan: Plan, more: list[Key], firewall: Firewall) -> asking.Asked:
    lines = plan.lines(more)
    limits = (firewall.timeout.total_seconds(), firewall.at_once, firewall.within.total_seconds())
    return asking.use(host, lines, of_host(firewall.host_policy, host), limits)


def _seen(plan: Plan, letters: Mapping[Key, str]) -> Iterator[Seen]:
    for piece, address, letter, ports, number in merged(plan, letters):
        outcome = _outcome(letter, piece.ports.protocol)
        yield Seen(
            plan.source,
            piece.target,
            address,
            piece.ports.protocol,
            ports,
            number,
            outcome,
            piece.expected,
            piece.whole,
        )


def _outcome(letter: str, protocol: str) -> Outcome:
    if letter == attempts.SILENT:
        return Outcome.FILTERED if protocol == "tcp" else Outcome.SILENT
    return _OUTCOMES.get(letter, Outcome.UNTRIED)


def _vantage(plan: Plan, asked: asking.Asked | None) -> Vantage:
    tried = sum(len(pieces) for pieces in plan.asked.values())
    unresolved = tuple(dict.fromkeys(plan.unresolved))
    if asked is None:
        return Vantage(plan.source, tried, plan.of, program="Python", unresolved=unresolved)
    return replace(asking.vantage(plan.source, plan.of, tried, asked), unresolved=unresolved)


def _side(side: HostSide, host: Host, firewall: Firewall, hosts: Hosts | None) -> HostSide:
    """Add what the host may listen on: its own list, and what the table opens."""
    own = of_host(firewall.listeners, host)
    if not own:
        return side
    opened = [
        rule.ports
        for rule in firewall.rules
        if rule.expected is Expected.OPEN and any(host in members(target, hosts) for target in rule.to)
    ]
    declared = {(each.transport, each.first, each.last) for ports in (*own, *opened) for each in ports}
    return replace(side, declared=tuple(sorted(declared)))
