"""DNS: everybody gives the expected answer, soon enough changeable; the zone is whole; the standby is there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from pytest_deploygate.checks.dns.facts import Health, NameFacts, Observation, Records, fits
from pytest_deploygate.checks.dns.section import Dns, DnsName
from pytest_deploygate.judging.sentences import Said, listed
from pytest_deploygate.model import Judgement, Reading, Verdict, words_for


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
