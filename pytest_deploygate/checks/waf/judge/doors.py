"""Judge the ways around the WAF."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_deploygate.checks.waf.facts import HERE, Door, Opening, Run
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Reading

if TYPE_CHECKING:
    from pytest_deploygate.checks.waf.section import Waf


def judge_doors(run: Run, waf: Waf, found: Collector) -> None:
    """Judge what each address around the WAF answered."""
    if waf.no_origins is not None:
        found.note(
            f"no server behind the WAF was tried, as it is declared that there is none: {waf.no_origins}"
        )
    elif not waf.origins:
        found.unknown(
            "it is not known whether the platform can be reached around the WAF, as no server behind it is named: list "
            "their addresses in `waf.origins`, IPv4 and IPv6; if there are none, say why in `waf.no_origins`",
            where="origins",
        )
    if run.doors:
        served = sum(door.opening is Opening.SERVED for door in run.doors)
        found.read(Reading("addresses that serve around the WAF", served, limit="0", ok=served == 0))
    tried = {(door.origin, door.vantage) for door in run.doors}
    for origin, names in waf.ways:
        for vantage in (HERE, *names):
            if (origin, vantage) not in tried:
                found.unknown(
                    f"{origin} was not tried from {vantage}: run the attacks again", where="origins"
                )
    for door in run.doors:
        where = f"{door.address or door.origin}, from {door.vantage}"
        if door.opening is Opening.SERVED:
            found.wrong(_around(door), where=where)
        elif door.opening is Opening.UNKNOWN:
            found.unknown(
                f"it is not known whether {door.origin} is closed: {door.said}; try from a place that can tell",
                where=where,
            )
        elif door.opening is Opening.REFUSES:
            found.note(f"connections are accepted, but it {door.said}: a filter would be safer", where=where)
        elif door.opening is Opening.GUARDED:
            found.note(f"is reachable, and {door.said}", where=where)


def _around(door: Door) -> str:
    version = "IPv6" if door.address.startswith("[") else "IPv4"
    if door.own:
        return (
            f"{door.origin} has this {version} address, too, and the WAF does not block there ({door.said}): put it behind "
            "the WAF, or take its record out of DNS"
        )
    return (
        f"{door.origin} answers around the WAF over {version} ({door.said}): let its firewall accept only the WAF's addresses, "
        f"{'for IPv6 as well as IPv4' if version == 'IPv6' else 'for both IPv4 and IPv6'}, or have it listen only where the WAF is"
    )
