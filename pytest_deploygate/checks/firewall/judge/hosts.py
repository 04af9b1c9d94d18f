"""Judge what a host listens on, and what its packet filter does with what no rule mentions."""

from __future__ import annotations

from collections import defaultdict

from pytest_deploygate.checks.firewall.facts import HostSide, Listener
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Reading


def judge_listeners(side: HostSide, found: Collector) -> None:
    """Judge the listeners of a host that says which it may have."""
    if side.declared is None:
        return
    if side.listeners is None:
        found.unknown(
            "it could not tell what it listens on: it has no `ss` and no /proc/net", where=side.name
        )
        return
    strange = [each for each in side.listeners if not _declared(each, side.declared)]
    # A program that sends over UDP, a resolver for example, has such a socket for a moment.
    passing = [each for each in strange if each.transport == "udp" and _within(each.port, side.ephemeral)]
    serious = [each for each in strange if each not in passing]
    ports = _by_port(serious)
    found.read(
        Reading(f"{side.name} undeclared listeners", len(ports), limit="0", ok=not ports),
        Reading(f"{side.name} listeners", len(_by_port(side.listeners))),
    )
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


def _declared(each: Listener, declared: tuple[tuple[str, int, int], ...]) -> bool:
    return any(
        transport == each.transport and first <= each.port <= last for transport, first, last in declared
    )


def _within(port: int, bounds: tuple[int, int]) -> bool:
    return bounds[0] <= port <= bounds[1]


def _by_port(these: tuple[Listener, ...] | list[Listener]) -> dict[str, list[Listener]]:
    found: dict[str, list[Listener]] = defaultdict(list)
    for each in these:
        found[f"{each.transport}/{each.port}"].append(each)
    return found


def _process(these: list[Listener]) -> str:
    names = sorted({each.process for each in these if each.process})
    addresses = " and ".join(dict.fromkeys(each.address for each in these))
    return f" ({', '.join(names)} at {addresses})" if names else f" (at {addresses})"


def judge_filters(side: HostSide, found: Collector) -> None:
    """Judge the packet filters that the inventory says a host has."""
    for each in side.filters:
        versions = {"IPv4": each.ipv4} | ({} if side.has_ipv6 is False else {"IPv6": each.ipv6})
        unknown = [version for version, drops in versions.items() if drops is None]
        opened = [version for version, drops in versions.items() if drops is False]
        found.read(
            *(
                Reading(
                    f"{side.name} {each.program}, {version}: what no rule mentions",
                    "dropped" if drops else "accepted",
                    limit="dropped",
                    ok=drops,
                )
                for version, drops in versions.items()
                if drops is not None
            )
        )
        if unknown:
            found.unknown(
                f"what {each.program} does over {' and '.join(unknown)} is not known: {each.why}",
                where=side.name,
            )
        if opened:
            why = f" ({each.why})" if each.why and not unknown else ""
            found.wrong(
                f"the default policy of {each.program} over {' and '.join(opened)} lets in what no rule mentions{why}: "
                "let it drop or reject",
                where=side.name,
            )
