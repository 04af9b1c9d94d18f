"""DNS: everybody gives the expected answer, soon enough changeable; the zone is whole; the standby is there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from pytest_deploygate.inventory.dns import Dns, DnsName
from pytest_deploygate.judge.places import Said, listed
from pytest_deploygate.model import Judgement, Reading, Verdict, words_for
from pytest_deploygate.probes.dns import NameFacts, Records, ZoneAt, ZoneFacts
from pytest_deploygate.probes.dns_history import Observation
from pytest_deploygate.probes.propagation import fits
from pytest_deploygate.probes.standby import Health


@dataclass(frozen=True, slots=True)
class Named:
    """A name, what was seen of it before, and its standby now."""

    facts: NameFacts
    earlier: tuple[Observation, ...] = ()
    standby: Health | None = None


@dataclass(frozen=True, slots=True)
class ExpectedName:
    """What is expected of a name. `switching`: the change moves it, so the TTL must have been low for long enough."""

    dns: Dns
    name: DnsName
    switching: bool = False


def judge_name(found: Named, expected: ExpectedName) -> Judgement:
    """Pass when every server and resolver gives the expected records with a TTL that allows a switch."""
    wrong: list[Said] = []
    unknown: list[Said] = []
    notes: list[str] = []
    for server in found.facts.servers:
        for records in server.over:
            if records.problem:
                unknown.append(
                    (server.server, f"{records.transport}: {records.problem} ({records.attempts} attempts)")
                )
                continue
            wrong += [(server.server, text) for text in _records(records, expected, resolver=server.resolver)]
    wrong += [("", text) for text in _caa(found.facts, expected)]
    _standby(found, expected, wrong, unknown)
    if expected.switching and not wrong:
        _settled(found, expected, unknown, notes)
    readings = tuple(_readings(found, expected))
    if wrong:
        return Judgement(Verdict.FAIL, listed(wrong), readings, tuple(notes))
    if unknown or not found.facts.servers:
        return Judgement(
            Verdict.INCONCLUSIVE, listed(unknown) or "there is no server to ask", readings, tuple(notes)
        )
    ttl = max(r.ttl_s or 0 for s in found.facts.servers for r in s.over)
    standby = f", the standby {found.standby.place} is healthy" if found.standby else ""
    return Judgement(
        Verdict.PASS,
        f"{len(found.facts.servers)} servers agree over UDP and TCP, TTL at most {ttl} s{standby}",
        readings,
        tuple(notes),
    )


def _records(records: Records, expected: ExpectedName, *, resolver: bool) -> Iterator[str]:
    name, wanted = expected.name.name, expected.name
    aim = wanted.cname or ", ".join(wanted.addresses or [])
    if records.rcode != "NOERROR":
        yield f"answers {records.rcode} for {name}: does it serve the zone {expected.dns.zone}?"
        return
    if not resolver and not records.authoritative:
        yield f"does not answer for {name} with authority (lame): it does not serve the zone {expected.dns.zone}"
        return
    if not records.values:
        alias = (
            f" (an alias of {', '.join(records.aliases)}, which it does not resolve)"
            if records.aliases
            else ""
        )
        if resolver or not records.aliases:
            yield f"has no record for {name}{alias}, expected {aim}"
        return
    if not fits(records.values, wanted):
        who = "its cache still has the old answer, or" if resolver else ""
        yield f"gives {', '.join(records.values)} for {name}, expected {aim}: {who} the zone was not changed there".replace(
            ":  the", ": the"
        )
    limit = expected.dns.max_ttl.total_seconds()
    if not resolver and records.ttl_s is not None and records.ttl_s > limit:
        yield (
            f"gives {name} a TTL of {records.ttl_s} s (limit {limit:.0f} s): a switch would take up to "
            f"{words_for(records.ttl_s)} to be seen; lower it at least that long before the cutover"
        )


def _caa(found: NameFacts, expected: ExpectedName) -> Iterator[str]:
    for issuer in expected.name.caa:
        if found.caa is None:
            yield f"there is no CAA record at {found.name} or above it in the zone: any authority may issue, expected {issuer}"
        elif issuer not in found.caa:
            allowed = ", ".join(found.caa) or "nobody"
            yield f"CAA allows {allowed} to issue for {found.name}, not {issuer}: the next renewal will fail"


def _standby(found: Named, expected: ExpectedName, wrong: list[Said], unknown: list[Said]) -> None:
    if expected.name.standby is None:
        return
    health = found.standby
    if health is None:
        unknown.append(("", "the standby was not asked"))
    elif health.status is None and health.primary_status is None:
        unknown.append(
            (
                "",
                f"the standby {health.place} does not answer ({health.problem}), nor does the site in use: is it our network?",
            )
        )
    elif health.status != 200:
        said = (
            f"answers {health.status}" if health.status is not None else f"does not answer ({health.problem})"
        )
        wrong.append(
            (
                "",
                f"the standby {health.place} {said} on {health.path}, {health.attempts} times: a failover would lead nowhere",
            )
        )


def _settled(found: Named, expected: ExpectedName, unknown: list[Said], notes: list[str]) -> None:
    """The TTL must have been low for as long as the highest one that was seen before: resolvers may hold that."""
    limit_s = expected.dns.max_ttl.total_seconds()
    now = found.facts.at
    if not found.earlier:
        what = (
            f"this is the first observation of {found.facts.name}: how long its TTL has been low cannot be told; "
            "run this again with the same change before the cutover"
        )
        unknown.append(("", what))
        return
    high = [seen for seen in found.earlier if seen.ttl_s > limit_s]
    if not high:
        notes.append(f"TTL of {found.facts.name} seen low since {found.earlier[0].at:%Y-%m-%d %H:%M} UTC")
        return
    over = max(seen.at + timedelta(seconds=seen.ttl_s) for seen in high)
    if over > now:
        what = (
            f"the TTL of {found.facts.name} was {high[-1].ttl_s} s on {high[-1].at:%Y-%m-%d %H:%M} UTC: resolvers may hold "
            f"that answer until {over:%Y-%m-%d %H:%M} UTC; do not switch before"
        )
        unknown.append(("", what))


def _readings(found: Named, expected: ExpectedName) -> Iterator[Reading]:
    limit = expected.dns.max_ttl.total_seconds()
    for server in found.facts.servers:
        for records in server.over:
            said = ", ".join(records.values) or records.problem or records.rcode
            ok = fits(records.values, expected.name) if records.values else None
            yield Reading(f"{server.server} {records.transport}", said, ok=ok)
        ttl = max((r.ttl_s for r in server.over if r.ttl_s is not None), default=None)
        if ttl is not None and not server.resolver:
            yield Reading(f"{server.server} TTL", ttl, "s", f"at most {limit:.0f} s", ok=ttl <= limit)


def judge_zone(found: ZoneFacts, expected: Dns) -> Judgement:
    """Pass when all servers serve the zone at one serial, the delegation is theirs, and nobody may copy it."""
    wrong: list[Said] = []
    unknown: list[Said] = []
    notes: list[str] = []
    for server in found.servers:
        if server.problem:
            unknown.append((server.server, server.problem))
            continue
        wrong += [(server.server, text) for text in _served(server, expected)]
        _signatures(server, found, expected, wrong, unknown)
        if server.transfer == "unclear":
            notes.append(f"{server.server}: whether it gives the zone away (AXFR) could not be told")
    if found.unnamed:
        notes.append(f"not asked, for `dns.servers` does not name them: {', '.join(found.unnamed)}")
    wrong += [("", text) for text in [*_together(found, expected), *_delegated(found)]]
    if found.delegation_problem:
        unknown.append(("", f"the delegation of {found.zone} could not be read: {found.delegation_problem}"))
    readings = tuple(_zone_readings(found))
    answering = [server for server in found.servers if not server.problem]
    if wrong or (unknown and answering and _dead(found)):
        dead = [
            (s.server, f"does not answer ({s.problem}), others do: a dead server delays every user")
            for s in _dead(found)
        ]
        return Judgement(Verdict.FAIL, listed([*wrong, *dead]), readings, tuple(notes))
    if unknown:
        return Judgement(Verdict.INCONCLUSIVE, listed(unknown), readings, tuple(notes))
    signed = {s.signatures.state for s in answering if s.signatures}
    return Judgement(
        Verdict.PASS,
        f"{len(answering)} servers serve {found.zone} at serial {answering[0].serial}, DNSSEC {', '.join(sorted(signed)) or 'unknown'}",
        readings,
        tuple(notes),
    )


def _dead(found: ZoneFacts) -> list[ZoneAt]:
    return [server for server in found.servers if server.problem]


def _served(server: ZoneAt, expected: Dns) -> Iterator[str]:
    if not server.authoritative:
        yield f"does not serve {expected.zone} with authority (lame delegation, {server.rcode}): configure the zone there or take it out of NS"
        return
    if server.recursion:
        yield "offers recursion to us: an open resolver is abused for attacks; turn it off"
    if server.transfer == "allowed":
        yield f"gives the whole zone {expected.zone} to anybody (AXFR): allow transfers to the secondaries alone"


def _signatures(
    server: ZoneAt, found: ZoneFacts, expected: Dns, wrong: list[Said], unknown: list[Said]
) -> None:
    signed = server.signatures
    if signed is None or not server.authoritative:
        return
    if signed.state == "unclear":
        unknown.append((server.server, f"DNSSEC could not be read: {signed.detail}"))
    elif signed.state == "unsigned" and expected.dnssec:
        wrong.append((server.server, f"{expected.zone} is not signed (DNSSEC)"))
    elif signed.state in ("broken", "expired"):
        wrong.append(
            (
                server.server,
                f"DNSSEC is {signed.state} ({signed.detail}): validating resolvers answer SERVFAIL; sign the zone anew",
            )
        )
    elif (
        signed.state == "valid"
        and signed.until is not None
        and signed.until - found.at < expected.signatures_left
    ):
        wrong.append(
            (
                server.server,
                f"signatures end {signed.until:%Y-%m-%d %H:%M} UTC, limit {words_for(expected.signatures_left)} ahead: re-sign the zone",
            )
        )


def _together(found: ZoneFacts, expected: Dns) -> Iterator[str]:
    serving = [server for server in found.servers if server.authoritative]
    distinct = {server.address for server in found.servers}
    if len(distinct) < expected.min_servers:
        yield f"{found.zone} has {len(distinct)} name server(s) at distinct addresses, at least {expected.min_servers} are needed"
    serials = {server.serial for server in serving if server.serial is not None}
    if expected.same_serial and len(serials) > 1:
        newest = max(serials)
        behind = [f"{s.server} has {s.serial}" for s in serving if s.serial != newest]
        yield f"serials differ: {', '.join(behind)}, the newest is {newest}: transfers to it fail, see its log (allow-transfer, NOTIFY)"


def _delegated(found: ZoneFacts) -> Iterator[str]:
    listed_names = {server.name.rstrip(".").lower() for server in found.servers}
    if found.delegated is not None:
        for name in found.delegated:
            if name not in listed_names:
                yield f"the zone above delegates {found.zone} to {name} too, which `dns.servers` does not name: is it still ours?"
    published = {server.names for server in found.servers if server.authoritative and server.names}
    if len(published) > 1:
        yield "servers publish different NS records: " + " / ".join(
            ", ".join(names) for names in sorted(published)
        )
    if (
        found.delegated is not None
        and len(published) == 1
        and tuple(sorted(found.delegated)) not in published
    ):
        inside = ", ".join(next(iter(published)))
        yield f"the zone above delegates to {', '.join(found.delegated)}, the zone itself says {inside}: make them equal"


def _zone_readings(found: ZoneFacts) -> Iterator[Reading]:
    for server in found.servers:
        yield Reading(f"{server.server} serial", server.serial if not server.problem else server.problem)
        if not server.problem:
            yield Reading(
                f"{server.server} authority",
                "yes" if server.authoritative else "no",
                limit="yes",
                ok=server.authoritative,
            )
            yield Reading(
                f"{server.server} zone transfer",
                server.transfer,
                limit="refused",
                ok=None if server.transfer == "unclear" else server.transfer == "refused",
            )
