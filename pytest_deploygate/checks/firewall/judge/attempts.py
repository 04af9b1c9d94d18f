"""Judge what was met from one vantage point."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from pytest_deploygate.checks.firewall.expected import Expected
from pytest_deploygate.checks.firewall.facts import Network, Outcome, Seen, Vantage
from pytest_deploygate.fields.hosts import HERE
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.judging.silent_hosts import listed
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Reading

_NAMED = 3
_CLOSED = (Outcome.REFUSED, Outcome.FILTERED, Outcome.UNREACHABLE)
_NEXT = {
    Outcome.OPEN: "close it, or correct the table",
    Outcome.REFUSED: "start what listens there; a filter may refuse as well",
    Outcome.FILTERED: "let the filters on the way pass it; over UDP also look at whom the service answers",
    Outcome.UNREACHABLE: "look for a filter that rejects it, and at the routes",
    Outcome.SILENT: "let the filter refuse it, or correct the table",
    Outcome.NOT_SENT: "look at the routes and the filter of the vantage point",
}
_UNKNOWN = {
    Outcome.OWN_LIMIT: "could not be tried: open files, memory or local ports ran out there; lower `at_once`",
    Outcome.OWN_LAG: "met no answer while the vantage point itself was late: run it again when it has free processors",
    Outcome.UNTRIED: "were not tried",
}


@dataclass(frozen=True)
class Paths:
    """What proves that packets of a vantage point arrive: `versions` of IP of its controls that answered, addresses that
    answered over UDP, and whether any did, by version of IP. `served` are protocol, address and port of UDP services that
    answered somebody: another vantage point, or their own host.
    """

    versions: frozenset[int]
    udp: frozenset[str]
    udp_versions: frozenset[int]
    served: frozenset[tuple[str, str, int]]


@dataclass(frozen=True)
class Count:
    """How many attempts were made, are not as declared, and say nothing; and whether a control answered."""

    total: int = 0
    wrong: int = 0
    unknown: int = 0
    controlled: bool = False

    def reading(self, name: str) -> Reading:
        """Return how many are as declared, of all."""
        ok = False if self.wrong else None if self.unknown else True
        good = self.total - self.wrong - self.unknown
        return Reading(name, f"{good} of {self.total}", limit="all", ok=ok)


def served(network: Network) -> frozenset[tuple[str, str, int]]:
    """Return protocol, address and port of the UDP services that answered a vantage point or their own host."""
    met = (each for each in network.seen if each.transport == "udp" and each.outcome is Outcome.OPEN)
    return frozenset(
        [key for side in network.hosts for key in side.answers]
        + [(each.protocol, each.address, port) for each in met for port in _numbers(each.ports)]
    )


def _numbers(ports: str) -> Iterator[int]:
    for part in ports.split(","):
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)


def judge_vantage(
    vantage: Vantage, network: Network, served: frozenset[tuple[str, str, int]], found: Collector
) -> Count:
    """Judge all attempts of a vantage point that could be used. It has a reading of its own if not all are as declared."""
    seen = [each for each in network.seen if each.source == vantage.name]
    paths = paths_of(vantage.name, seen, network, served)
    where = f"from {vantage.name}"
    wrong: list[Seen] = []
    unknown: dict[str, list[Seen]] = defaultdict(list)
    for each in seen:
        said = met(each, paths)
        if said == WRONG:
            # Silence that is known to be wrong where open is expected is that of a filter on the way.
            blocked = each.outcome is Outcome.SILENT and each.expected is Expected.OPEN
            wrong.append(replace(each, outcome=Outcome.FILTERED) if blocked else each)
        elif said:
            unknown[said].append(each)
    total, bad = _number(seen), _number(wrong)
    count = Count(total, bad, sum(map(_number, unknown.values())), bool(paths.versions))
    if wrong or unknown:
        found.read(count.reading(f"{where}: as declared"), Reading(f"{where}: outcomes", counted(seen)))
    if wrong:
        found.wrong(f"{bad} of {total} not as declared: {_shown(wrong, seen)}", where=where)
    for said, these in unknown.items():
        found.unknown(
            said.replace("{these}", f"{_number(these)} of {total} ({_places(these, seen)})"), where=where
        )
    for name in vantage.unresolved:
        found.unknown(
            f"{name} has no address: it does not resolve here, or is missing from `firewall.addresses`",
            where=where,
        )
    if vantage.tried < vantage.of:
        share = 100.0 * vantage.tried / vantage.of
        found.note(
            f"{vantage.tried} of {vantage.of} attempts of the table were drawn ({share:.3g} %); `seed: {network.seed}` "
            "draws the same again",
            where=where,
        )
    return count


def paths_of(
    source: str, seen: Sequence[Seen], network: Network, served: frozenset[tuple[str, str, int]]
) -> Paths:
    """Return what proves that packets of a vantage point arrive, from all that was seen from there."""
    given = [each for each in network.controls if each.source == source and each.outcome is Outcome.OPEN]
    opened = [each for each in seen if each.outcome is Outcome.OPEN and each.expected is Expected.OPEN]
    udp = frozenset(
        [each.address for each in given if each.protocol != "tcp"]
        + [each.address for each in seen if each.outcome is Outcome.OPEN and each.transport == "udp"]
    )
    return Paths(
        frozenset([6 if ":" in each.address else 4 for each in given] + [each.ip_version for each in opened]),
        udp,
        frozenset(6 if ":" in address else 4 for address in udp),
        served,
    )


WRONG = "wrong"


def met(each: Seen, paths: Paths) -> str:
    """Return nothing if it is as declared, `wrong`, or why it is not known."""
    outcome = each.outcome
    if outcome in _UNKNOWN:
        return f"{{these}} {_UNKNOWN[outcome]}"
    if outcome is Outcome.NOT_SENT:
        return _not_sent(each)
    if outcome is Outcome.SILENT:
        return _silent(each, paths)
    if outcome is Outcome.OPEN:
        return "" if each.expected is Expected.OPEN else WRONG
    proven = each.ip_version in paths.versions
    if each.expected is Expected.OPEN:
        # What refuses us is there. Where nothing at all answers, our own network is as likely the cause.
        ours = each.source == HERE and not proven and outcome is not Outcome.REFUSED
        return (
            f"{{these}} gave no answer over IPv{each.ip_version}, and nothing else did: check the network of this "
            "machine first"
            if ours
            else WRONG
        )
    if not proven:
        return (
            f"{{these}} look closed, but no place that must be open answered over IPv{each.ip_version}, so this proves "
            "nothing: name one in `controls`, and see that it is open"
        )
    as_declared = each.expected is Expected.CLOSED or each.expected.value == outcome.value
    return "" if as_declared else WRONG


def _not_sent(each: Seen) -> str:
    """A host of the platform that cannot send is closed on its way out. This machine only has no such network."""
    if each.source != HERE and each.expected is Expected.CLOSED:
        return ""
    if each.source != HERE and each.expected is Expected.OPEN and each.ip_version == 4:
        return WRONG
    return (
        f"{{these}} are not reachable from {each.source} over IPv{each.ip_version} (no route, or its own filter): measure "
        "from a place that has one, or leave this version out of `ip_versions`"
    )


def _silent(each: Seen, paths: Paths) -> str:
    """Judge silence over UDP: it says something only where a server would have answered, and our packets arrive.

    A server would have answered if this service answers another place or its own host. Where it is closed, another service
    of the same address that answers from here is enough.
    """
    if each.protocol == "udp":
        return "{these} gave no answer, as may be: no question is known that a server on this UDP port must answer"
    served = all((each.protocol, each.address, port) in paths.served for port in _numbers(each.ports))
    if each.expected is Expected.OPEN:
        if not served:
            return (
                "{these} gave no answer over UDP: open and filtered look alike, since no other place and not the host itself "
                "got one either; look at the service and at the filters"
            )
        # As with TCP: what a host of the platform does not reach is closed, and our own network may be the cause here.
        if each.source == HERE and each.ip_version not in paths.udp_versions:
            return (
                f"{{these}} gave no answer over UDP, and nothing else answers this machine over UDP and IPv{each.ip_version}: "
                "name something that does in `controls`"
            )
        return WRONG
    if each.address in paths.udp or (served and each.ip_version in paths.udp_versions):
        return WRONG if each.expected is Expected.REFUSED else ""
    return (
        "{these} gave no answer over UDP: open and filtered look alike, since nothing else answers over UDP at that "
        "address; name something that does in `controls`"
    )


def _number(seen: Iterable[Seen]) -> int:
    return sum(each.number for each in seen)


def counted(seen: Iterable[Seen]) -> str:
    """Return how many attempts met what."""
    counts: Counter[str] = Counter()
    for each in seen:
        counts[each.outcome.value] += each.number
    return ", ".join(f"{number} {outcome}" for outcome, number in counts.most_common())


def _shown(wrong: Sequence[Seen], seen: Sequence[Seen]) -> str:
    """Describe what is wrong, what is open before the rest."""
    first = sorted(wrong, key=lambda each: each.outcome is not Outcome.OPEN)
    parts = [
        f"{place} {outcome.value}, expected {expected.value}"
        for (outcome, expected), place in _grouped(first, seen, lambda each: (each.outcome, each.expected))
    ]
    more = f" and {len(parts) - _NAMED} more" if len(parts) > _NAMED else ""
    return f"{'; '.join(parts[:_NAMED])}{more} ({_NEXT[first[0].outcome]})"


def _places(these: Sequence[Seen], seen: Sequence[Seen]) -> str:
    parts = [place for _, place in _grouped(these, seen, lambda _: (Outcome.OPEN, Expected.OPEN))]
    more = f" and {len(parts) - _NAMED} more" if len(parts) > _NAMED else ""
    return f"{', '.join(parts[:_NAMED])}{more}"


def _grouped(
    these: Sequence[Seen], seen: Sequence[Seen], alike: Callable[[Seen], tuple[Outcome, Expected]]
) -> list[tuple[tuple[Outcome, Expected], str]]:
    """Return places in few words: targets of the same ports together, with the version of IP if the other one differs."""
    tried: dict[tuple[str, str], set[int]] = defaultdict(set)
    for each in seen:
        tried[each.target, each.protocol].add(each.ip_version)
    met: dict[tuple[str, str, str, tuple[Outcome, Expected]], list[Seen]] = defaultdict(list)
    for each in these:
        met[each.target, each.protocol, each.ports, alike(each)].append(each)
    names: dict[tuple[str, str, str, tuple[Outcome, Expected]], list[str]] = defaultdict(list)
    for same in met.values():
        one = same[0]
        which = {each.ip_version for each in same}
        over = f" over IPv{one.ip_version} alone" if tried[one.target, one.protocol] - which else ""
        names[one.protocol, one.ports, over, alike(one)].append(_name(same))
    return [
        (key, f"{listed(each)} {protocol}/{ports}{over}")
        for (protocol, ports, over, key), each in names.items()
    ]


def _name(same: Sequence[Seen]) -> str:
    """Name a target, or the addresses of a network."""
    if not same[0].network:
        return same[0].target
    addresses = list(dict.fromkeys(each.address for each in same))
    more = f" and {len(addresses) - 1} more" if len(addresses) > 1 else ""
    return f"{addresses[0]}{more} of {same[0].target}"
