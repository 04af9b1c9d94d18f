"""Judges the ways around a limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_deploygate.checks.ddos.facts import Trial
from pytest_deploygate.checks.ddos.judge import around
from pytest_deploygate.checks.ddos.judge.estimate import Found
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Reading

if TYPE_CHECKING:
    from pytest_deploygate.checks.ddos.section import Ddos, Limit

#: The ways around a limit that are tried, by the phase of a burst.
AROUND = {
    "query": "another query string",
    "path": "other paths",
    "http2": "one HTTP/2 connection",
    "network": "another address of the same IPv6 network",
    "forged": "a forged address",
}


def judge_ways(
    trial: Trial, limit: Limit, ddos: Ddos, found: Found, to: Collector, where: str
) -> dict[str, bool]:
    """Judge the ways around the limit; return which of them are open."""
    open_ways: dict[str, bool] = {}
    for phase, words in AROUND.items():
        way = around.way(trial, phase, limit, found)
        if way is None:
            continue
        ok = False if way.open else True if way.known else None
        if phase == "network" and limit.ipv6_prefix is None:
            # Whether a network is to be one source is not declared, so it is said and not judged.
            _network_undeclared(way, to, where)
            continue
        limits = f"at most {way.explained:.0f}" if ok is not None else ""
        name = f"{where}: served with {words}, of {way.tried}"
        to.read(Reading(name, way.served, limit=limits, ok=ok))
        open_ways[phase] = way.open
        if ok is None and way.odd:
            met = ", ".join(str(status) if status else "no answer" for status in way.odd)
            to.unknown(
                f"whether {words} leads around the limit is unknown: such requests met {met}", where=where
            )
        elif ok is None:
            to.unknown(
                f"whether {words} leads around the limit is unknown: {way.served} of {way.tried} were served, and the limit itself may "
                "let as many through in that time; run it again when this machine has free processors",
                where=where,
            )
    if open_ways.get("http2"):
        to.wrong(
            "requests over one HTTP/2 connection escape the limit: it counts connections, or HTTP/1.1 alone; count the requests of each "
            "address, whatever their version (nginx: limit_req in the server that has `http2`; HAProxy: `http-request track-sc0 src`, "
            "not `tcp-request connection`)",
            where=where,
        )
    elif trial.http2 and "http2" not in open_ways:
        to.unknown(
            "whether requests over one HTTP/2 connection are limited is unknown: the server speaks it, and the libcurl here does not; "
            "install pycurl from its wheel",
            where=where,
        )
    if open_ways.get("network"):
        to.wrong(
            f"each address of an IPv6 network has a limit of its own, and a /{limit.ipv6_prefix} is declared to be one source: count by its "
            f"prefix (nginx: a `map` of $binary_remote_addr; HAProxy: `track-sc0 src,ipmask(32,{limit.ipv6_prefix})`)",
            where=where,
        )
    elif limit.ipv6_prefix is not None and "network" not in open_ways and ":" in trial.address:
        to.unknown(
            f"whether a /{limit.ipv6_prefix} counts as one source was not tried: name two IPv6 addresses of one such network in "
            "`burst_from`",
            where=where,
        )
    if open_ways.get("forged"):
        headers = [
            header for header in ddos.forged if (way := around.way(trial, header, limit, found)) and way.open
        ]
        names = " or ".join(headers) or ", ".join(ddos.forged)
        to.wrong(
            f"a forged {names} escapes the limit: each false address has a limit of its own; take the address from the connection, and "
            "from the header only behind proxies of yours (nginx: set_real_ip_from; HAProxy: `src`, not `hdr_ip`). Is this machine one "
            "of the trusted proxies?",
            where=where,
        )
    return open_ways


def _network_undeclared(way: around.Way, to: Collector, where: str) -> None:
    if way.open:
        to.note(
            f"each IPv6 address has a limit of its own: {way.served} of {way.tried} requests from others of the same network were "
            "served, and who has a /64 has as many as he likes; `ipv6_prefix: 64` makes this a failure",
            where=where,
        )
    elif way.known:
        to.note("an IPv6 network counts as one source", where=where)
