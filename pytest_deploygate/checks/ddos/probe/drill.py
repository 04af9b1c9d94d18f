"""Sends the bursts and holds the slow connections if that is allowed, else reads the record of the last time."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from pytest_deploygate.checks.ddos.facts import Crowd, Drilled, Held, Trial
from pytest_deploygate.checks.ddos.probe import slow as slow_clients
from pytest_deploygate.checks.ddos.probe.crowd import crowd
from pytest_deploygate.checks.ddos.probe.exchange import Target
from pytest_deploygate.checks.ddos.probe.second import Here, There
from pytest_deploygate.checks.ddos.probe.trial import trial
from pytest_deploygate.checks.ddos.section import Ddos, Limit, Slow
from pytest_deploygate.checks.hosts.section import Host, Hosts
from pytest_deploygate.clients import reach
from pytest_deploygate.clients.budget import Budget, Spending
from pytest_deploygate.clients.http import sending
from pytest_deploygate.drills import record as drills
from pytest_deploygate.model import CannotTell

Evidence = drills.Evidence[Drilled]
_HELD = "it holds a few connections, and an ordinary request is sent meanwhile"
_CROWD = "it holds its connections for a second, as many as one client may have and some more"
_BURST = "a host asks beside it, and its answers are known at the end"


def drilled(ddos: Ddos, hosts: Hosts | None, environment: str, budget: Budget, *, allowed: bool) -> Evidence:
    """Try all limits and hold slow connections if that is allowed, else read the record of the last time.

    Raises CannotTell if no limit could be tried at all, and Ended.
    """
    about = drills.described(configuration(ddos))
    ran = None
    if allowed or ddos.opt_in == environment:
        ran = drills.made(_drill(ddos, hosts, budget), drills.GOOD, about, environment=environment)
        if ddos.record:
            drills.write(ddos.record, ran)
    return drills.evidence(ddos.record, Drilled, ran=ran, configuration=about, environment=environment)


def configuration(ddos: Ddos) -> dict[str, str]:
    """Return what the result depends on: the requests, what is declared of them, and the headers that are forged."""
    limits = {
        f"limit {limit.name}": f"{limit.method} {limit.url}, {limit.rate:g}/s, burst {limit.burst}"
        for limit in ddos.limits
    }
    slow = {f"slow {each.name}": f"{each.url}, {', '.join(each.kinds)}" for each in ddos.slow}
    return {**limits, **slow, "forged headers": ", ".join(ddos.forged)}


def _drill(ddos: Ddos, hosts: Hosts | None, budget: Budget) -> Drilled:
    left_out: list[str] = []
    host = next((h for h in hosts.servers if h.name == ddos.second.host), None) if hosts else None
    trials = [
        _trial(limit, ddos, target, host, budget)
        for limit in ddos.limits
        for target in _targets(limit, ddos.burst_from, ddos, left_out)
    ]
    # From the other source where that is this machine: the first one may be banned for its burst.
    slow_from = ddos.burst_from if ddos.second.host else ddos.second.address
    wanted = [(slow, target) for slow in ddos.slow for target in _targets(slow, slow_from, ddos, left_out)]
    held = _hold(wanted, budget)
    crowds = _crowds([(slow, target) for slow, target in wanted if slow.crowd], budget)
    if not trials and not held:
        raise CannotTell("; ".join(left_out) or "no address could be tried")
    return Drilled(tuple(trials), tuple(held), tuple(dict.fromkeys(left_out)), crowds)


def _hold(wanted: list[tuple[Slow, Target]], budget: Budget) -> list[Held]:
    """Hold connections on several addresses side by side, as many as may be open at a time."""
    if not wanted:
        return []
    with budget.probe("slow clients", unwatched=_HELD) as spending:
        # Over HTTP/1.1, and perhaps over HTTP/2.
        most = max(2 * len(slow.kinds) * slow.connections + 1 for slow, _ in wanted)
        places = max(1, spending.at_once(most * len(wanted)) // most)
        with ThreadPoolExecutor(places, "slow-clients") as pool:
            jobs = [
                pool.submit(slow_clients.hold, slow, _told(target, spending), spending)
                for slow, target in wanted
            ]
            return [one for job in jobs for one in job.result()]


def _crowds(wanted: list[tuple[Slow, Target]], budget: Budget) -> tuple[Crowd, ...]:
    """Open more connections than one source may have, one server after the other."""
    if not wanted:
        return ()
    with budget.probe("connections", unwatched=_CROWD) as spending:
        return tuple(crowd(slow, _told(target, spending), spending) for slow, target in wanted)


def _told(target: Target, spending: Spending) -> Target:
    """Return a target whose requests say who sends them, whatever the inventory has instead."""
    own = {name: value for name, value in target.headers.items() if name.lower() != "user-agent"}
    return target._replace(headers={**own, **spending.headers})


def _trial(limit: Limit, ddos: Ddos, target: Target, host: Host | None, budget: Budget) -> Trial:
    with budget.probe(f"burst on {limit.name}", unwatched=_BURST) as spending:
        began, told = time.monotonic(), _told(target, spending)
        second = _second(limit, ddos, told, host, began, spending)
        if second is None:
            problem = f"`second` has no address of IPv{_version(target.address)}: add one"
            return Trial(limit.name, target.address, target.source, "", True, problem=problem)
        return trial(limit, ddos, told, second, began, spending)


def _second(
    limit: Limit, ddos: Ddos, target: Target, host: Host | None, began: float, spending: Spending
) -> Here | There | None:
    """Return the second source for a target; None if there is no address for it. Raises CannotTell."""
    same = [a for a in ddos.second.address if _version(a) == _version(target.address)]
    if ddos.second.host is not None:
        if host is None:
            raise CannotTell(f"no server of `hosts` is named {ddos.second.host}")
        there = target._replace(source="")
        return There(host, there, limit.every_s, began, (same or [""])[0], spending)
    # It may come over the other version of IP, if the server has such an address.
    servers = [target.address, *(limit.addresses or _addresses(target.name, target.port))]
    for server in servers:
        for address in ddos.second.address:
            if _version(address) == _version(server):
                other = target._replace(address=server, source=address)
                return Here(other, limit.every_s, began, limit.refused, spending)
    return None


def _targets(entry: Limit | Slow, sources: list[str], ddos: Ddos, left_out: list[str]) -> Iterator[Target]:
    """Yield the target for each version of IP that the server has: its first address, from a source of that version."""
    parts = urlsplit(entry.url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    given = entry.addresses if isinstance(entry, Limit) else []
    found = given or _addresses(parts.hostname or "", port)
    if not found:
        left_out.append(f"{entry.name}: {parts.hostname} does not resolve here")
    roots = entry.ca_file.read_text() if entry.ca_file else ""
    for version in (4, 6):
        address = next((a for a in found if _version(a) == version), None)
        if address is None:
            continue
        source = next((a for a in sources if _version(a) == version), None)
        if source is None and sources:
            left_out.append(
                f"{entry.name}: {address} was not tried: no source address of IPv{version} is named"
            )
            continue
        timeout = entry.timeout or ddos.timeout
        yield Target(
            parts.scheme,
            parts.hostname or "",
            address,
            port,
            (parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
            entry.method,
            sending.headers(entry),
            entry.sent or "",
            list(entry.status),
            list(entry.contains),
            list(entry.lacks),
            entry.matches or "",
            source or "",
            roots,
            timeout.total_seconds(),
        )


def _addresses(name: str, port: int) -> list[str]:
    try:
        return [each.partition("%")[0] for each in reach.addresses(name, port)]
    except OSError:
        return []


def _version(address: str) -> int:
    return ipaddress.ip_address(address).version
