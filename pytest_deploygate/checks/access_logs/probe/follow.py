"""Send the requests, and follow the logs of all hops until each has them, or the time is over."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import requests

from pytest_deploygate.checks.access_logs import facts
from pytest_deploygate.checks.access_logs.probe import formats
from pytest_deploygate.checks.access_logs.probe.hosts import Followed, HostLogs
from pytest_deploygate.checks.access_logs.probe.kept import Kept
from pytest_deploygate.checks.access_logs.probe.marks import Prepared
from pytest_deploygate.checks.access_logs.probe.stores import InLoki, InOpenSearch, StoreLog
from pytest_deploygate.checks.access_logs.section import AccessLogs, Hop
from pytest_deploygate.checks.hosts.section import Host
from pytest_deploygate.clients import own_lag
from pytest_deploygate.clients.http import sending
from pytest_deploygate.redaction import Secret

_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.05, 0.5
#: A line of a request may be followed by others that say more of it.
_MORE_S = 0.25
_AT_ONCE = 16


class _Logs:
    """All logs that are followed: by hop as they are reported, by host and store as they are read."""

    def __init__(self, section: AccessLogs, hosts: Mapping[str, Host], sent: list[Prepared]) -> None:
        self._section, self._hosts, self._sent = section, hosts, sent
        self._on_hosts: dict[tuple[str, str | None], HostLogs] = {}
        self.stores: list[StoreLog] = []
        self.hops: dict[str, tuple[list[Kept], list[Kept]]] = {}
        for hop in section.hops:
            self.hops[hop.name] = self._of(hop)

    @property
    def followed(self) -> list[HostLogs | StoreLog]:
        """What is read, each in a thread."""
        return [*self._on_hosts.values(), *self.stores]

    def _of(self, hop: Hop) -> tuple[list[Kept], list[Kept]]:
        read, timeout_s = formats.reader(hop), self._section.timeout.total_seconds()
        if hop.loki or hop.opensearch:
            store = InLoki(hop.loki, timeout_s) if hop.loki else InOpenSearch(hop.opensearch, timeout_s)  # type: ignore[arg-type]
            kept = Kept("Loki" if hop.loki else "OpenSearch", read, self._sent)
            self.stores.append(StoreLog(kept, store, self._sent))
            return [kept], []
        logs: list[Kept] = []
        more: list[Kept] = []
        for name, connection, run_as, password in self._places(hop):
            place = HostLogs(connection, run_as, timeout_s, password)
            host = self._on_hosts.setdefault((connection, run_as), place)
            main = Kept(
                f"{name}:{hop.file}" if hop.file else f"{name}, journal of {hop.journal}", read, self._sent
            )
            host.logs.append(Followed(main, hop, path=hop.file or "", unit=hop.journal or ""))
            logs.append(main)
            for file in hop.more_files:
                other = Kept(f"{name}:{file}", None, self._sent)
                host.logs.append(Followed(other, path=file))
                more.append(other)
        return logs, more

    def _places(self, hop: Hop) -> list[tuple[str, str, str | None, Secret | None]]:
        """Return name, connection, user and the password for sudo of each host of a hop."""
        if hop.connection is not None:
            place = hop.connection.partition("://")[2].partition("?")[0]
            return [(place or "this host", hop.connection, hop.run_as, None)]
        found = [self._hosts[name] for name in hop.hosts]  # the inventory's loader has checked the names
        return [(host.name, host.connection, host.run_as, host.run_as_password) for host in found]

    def complete(self) -> bool:
        """Whether each hop has every request in one of its logs."""
        names = {request.name for request in self._sent}
        return all(set().union(*(log.has for log in logs)) >= names for logs, _ in self.hops.values())

    def readable(self) -> bool:
        """Whether there is a log that can still be read."""
        return any(not log.problem for logs, _ in self.hops.values() for log in logs)

    def answered(self) -> None:
        """Count the time from now on."""
        for logs, _ in self.hops.values():
            for log in logs:
                log.answered()


def follow(section: AccessLogs, hosts: Mapping[str, Host]) -> facts.Followed:
    """Send a request, and one with a body if the section has one; return what the log of each hop has of them.

    `hosts` are the servers that the hops name. What could not be sent or read is a value of the measurement.
    """
    prepared = [Prepared("request", section.request, section, body=False)]
    if section.post is not None:
        prepared.append(Prepared("post", section.post, section, body=True))
    logs = _Logs(section, hosts, prepared)
    with own_lag.watching() as lag, ThreadPoolExecutor(_AT_ONCE, "access-logs") as pool:
        list(pool.map(lambda log: log.begin(), logs.followed))
        sent = tuple(_send(request, section.timeout.total_seconds()) for request in prepared)
        logs.answered()
        began = time.monotonic()
        if all(not one.problem for one in sent):
            _wait(section, logs, pool, lag, began)
        seen = lag.since(began)
    hops = tuple(
        facts.Hop(name, tuple(log.fact() for log in own), tuple(log.fact() for log in more))
        for name, (own, more) in logs.hops.items()
    )
    return facts.Followed(sent, hops, seen)


def _wait(section: AccessLogs, logs: _Logs, pool: ThreadPoolExecutor, lag: own_lag.Lag, began: float) -> None:
    """Poll until all is there, or the time is over: without what we were late ourselves."""
    within_s, wait_s = section.within.total_seconds(), _FIRST_WAIT_S
    while True:
        list(pool.map(lambda log: log.poll(), logs.followed))
        if logs.complete() or not logs.readable() or lag.fair_s(began) > within_s:
            break
        time.sleep(wait_s)
        wait_s = min(wait_s * 1.5, _LONGEST_WAIT_S)
    time.sleep(_MORE_S)
    list(pool.map(lambda log: log.poll(), logs.followed))
    list(pool.map(lambda log: log.end(), logs.stores))


def _send(prepared: Prepared, timeout_s: float) -> facts.Sent:
    request = prepared.request.model_copy(
        update={"headers": prepared.headers, "method": prepared.method, "json_": prepared.body}
    )
    limit_s = request.timeout.total_seconds() if request.timeout else timeout_s
    sent_s, began = time.time(), time.monotonic()
    status, problem = None, ""
    try:
        status = sending.send(request, prepared.url, limit_s, allow_redirects=False).status_code
    except (requests.RequestException, OSError) as error:
        problem = sending.why(error)
    return facts.Sent(
        prepared.name,
        prepared.method,
        sent_s,
        sent_s + time.monotonic() - began,
        status,
        problem,
        tuple(prepared.carried),
    )
