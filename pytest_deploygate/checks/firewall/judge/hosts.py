"""Judge what a host listens on, and what its packet filter does with what no rule mentions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from pytest_deploygate.checks.firewall.facts import Filter, HostSide, Listener
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Reading


def judge_listeners(sides: Sequence[HostSide], found: Collector) -> None:
    """Judge the listeners of hosts that say which they may have. Hosts as declared have a reading together."""
    judged = [_listeners(side, found) for side in sides if side.declared is not None]
    _all("hosts that listen on nothing undeclared", judged, found)


def _all(name: str, judged: Sequence[bool | None], found: Collector) -> None:
    """Read how many are as required; None is unknown."""
    if judged:
        ok = False if False in judged else None if None in judged else True
        found.read(Reading(name, f"{judged.count(True)} of {len(judged)}", limit="all", ok=ok))


def _listeners(side: HostSide, found: Collector) -> bool | None:
    if side.listeners is None:
        found.unknown(
            "it could not tell what it listens on: it has no `ss` and no /proc/net", where=side.name
        )
        return None
    strange = [each for each in side.listeners if not _declared(each, side.declared or ())]
    # A program that sends over UDP, a resolver for example, has such a socket for a moment.
    passing = [each for each in strange if each.transport == "udp" and _within(each.port, side.ephemeral)]
    ports = _by_port([each for each in strange if each not in passing])
    if ports:
        found.read(Reading(f"{side.name}: undeclared listeners", len(ports), limit="0", ok=False))
    for port, these in ports.items():
        found.wrong(
            f"listens on {port}{_process(these)}, which nothing declares: stop it, or add it to `listeners`; a filter "
            "that hides it today may be gone tomorrow",
            where=side.name,
        )
    for port, these in _by_port(passing).items():
        found.note(
            f"{port}{_process(these)} takes packets from outside; its port is one of outgoing packets, so it is not "
            "judged",
            where=side.name,
        )
    return not ports


def _declared(each: Listener, declared: tuple[tuple[str, int, int], ...]) -> bool:
    return any(
        transport == each.transport and first <= each.port <= last for transport, first, last in declared
    )


def _within(port: int, bounds: tuple[int, int]) -> bool:
    return bounds[0] <= port <= bounds[1]


def _by_port(these: list[Listener]) -> dict[str, list[Listener]]:
    found: dict[str, list[Listener]] = defaultdict(list)
    for each in these:
        found[f"{each.transport}/{each.port}"].append(each)
    return found


def _process(these: list[Listener]) -> str:
    names = sorted({each.process for each in these if each.process})
    addresses = " and ".join(dict.fromkeys(each.address for each in these))
    return f" ({', '.join(names)} at {addresses})" if names else f" (at {addresses})"


def judge_filters(sides: Sequence[HostSide], found: Collector) -> None:
    """Judge the packet filters that the inventory says hosts have. Those that drop have a reading together."""
    judged = [_filter(side, each, found) for side in sides for each in side.filters]
    _all("packet filters that drop what no rule mentions", judged, found)


def _filter(side: HostSide, each: Filter, found: Collector) -> bool | None:
    versions = {"IPv4": each.ipv4} | ({} if side.has_ipv6 is False else {"IPv6": each.ipv6})
    unknown = [version for version, drops in versions.items() if drops is None]
    opened = [version for version, drops in versions.items() if drops is False]
    if unknown:
        found.unknown(
            f"what {each.program} does over {' and '.join(unknown)} is not known: {each.why}", where=side.name
        )
    if opened:
        why = f" ({each.why})" if each.why and not unknown else ""
        over = " and ".join(opened)
        found.read(Reading(f"{side.name}: {each.program} over {over}", "accepts", limit="drops", ok=False))
        found.wrong(
            f"the default policy of {each.program} over {over} lets in what no rule mentions{why}: let it drop or reject",
            where=side.name,
        )
    return False if opened else None if unknown else True
