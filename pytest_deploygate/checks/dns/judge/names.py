"""Names in DNS: every server returns the expected answer with a TTL that allows a switch; the standby is healthy.

Readings cover answers and TTLs. CAA and the standby appear only in the reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

from pytest_deploygate.checks.dns.facts import Health, NameAt, NameFacts, Observation, Records, fits, lacking
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.judging.sentences import MOST
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Judgement, Reading, words_for, words_for_count

if TYPE_CHECKING:
    from pytest_deploygate.checks.dns.section import Dns, DnsName


@dataclass(frozen=True)
class Named:
    """A name, earlier observations of it, and its standby now."""

    facts: NameFacts
    earlier: tuple[Observation, ...] = ()
    standby: Health | None = None


@dataclass(frozen=True)
class ExpectedName:
    """What is expected of a name. `switching`: the change switches it, so its TTL must have been low for long enough."""

    dns: Dns
    name: DnsName
    switching: bool = False


def judge_name(found: Named, expected: ExpectedName) -> Judgement:
    """Pass when every server and resolver returns the expected records with a TTL that allows a switch.

    A transport that was not queried or did not answer, an answer without a TTL, and an alias whose target no server or
    resolver returned are inconclusive.
    """
    said = Collector(most=MOST)
    for server in found.facts.servers:
        said.unknown(*_unanswered(server), where=server.server)
        for records in server.over:
            if _answered(records):
                said.wrong(*_records(records, expected, resolver=server.resolver), where=server.server)
                said.wrong(*_ttl(records, expected, resolver=server.resolver), where=server.server)
    said.unknown(*_unresolved(found.facts, expected))
    said.wrong(*_caa(found.facts, expected))
    if expected.name.caa and found.facts.caa_problem:
        said.unknown(f"who may issue for {found.facts.name} (CAA) is unknown: {found.facts.caa_problem}")
    if expected.name.caa and found.facts.caa_open:
        said.note(f"the CAA records for {found.facts.name} restrict nobody: none says who may issue")
    for server in found.facts.servers:
        if trouble := next((records.edns for records in server.over if records.edns), ""):
            said.note(
                f"{server.server} {trouble}: resolvers ask it again without EDNS, which takes longer; update it"
            )
    _standby(found, expected, said)
    if expected.switching and not said.failed:
        _settled(found, expected, said)
    said.read(*_readings(found, expected))
    return said.judgement(lambda: _agreed(found))


def _agreed(found: Named) -> str:
    ttl = max(r.ttl_s or 0 for s in found.facts.servers for r in s.over)
    standby = f", the standby {found.standby.place} is healthy" if found.standby else ""
    servers = words_for_count(len(found.facts.servers), "server agrees", "servers agree")
    return f"{servers} over UDP and TCP, TTL at most {ttl} s{standby}"


def _answered(records: Records) -> bool:
    return not records.problem and records.rcode != ""


def _unanswered(server: NameAt) -> Iterator[str]:
    for transport in ("UDP", "TCP"):
        if transport not in [records.transport for records in server.over]:
            yield f"was not queried over {transport}: run this again"
    for records in server.over:
        if not _answered(records):
            problem = records.problem or "no answer was recorded"
            yield f"{records.transport}: {problem} ({words_for_count(records.attempts, 'attempt', 'attempts')}): check the server and the network to it"
        elif records.values and records.ttl_s is None:
            yield f"{records.transport}: its answer has no TTL: run this again"


def _unresolved(found: NameFacts, expected: ExpectedName) -> Iterator[str]:
    """Without an authoritative answer nothing is known; an alias alone does not show which address users get."""
    authoritative = [records for server in found.servers if not server.resolver for records in server.over]
    if not authoritative:
        yield f"no authoritative server was queried for {found.name}: add all of them to `dns.servers`"
    aliases = sorted({a for r in authoritative if _answered(r) and not r.values for a in r.aliases})
    resolved = any(r.values for server in found.servers if server.resolver for r in server.over)
    if aliases and not expected.name.cname and not resolved:
        yield (
            f"{found.name} is an alias of {', '.join(aliases)}, whose addresses no server returned: add a resolver to "
            "`dns.resolvers`, or expect the alias with `cname`"
        )


def _records(records: Records, expected: ExpectedName, *, resolver: bool) -> Iterator[str]:
    name, wanted = expected.name.name, expected.name
    aim = wanted.cname or ", ".join(wanted.addresses or [])
    if records.loop:
        yield f"{name} is an alias that leads back to itself ({' -> '.join(records.loop)}): no resolver follows it; fix the alias"
    elif records.rcode != "NOERROR":
        kind = f" to {records.kind}" if records.kind == "AAAA" or (records.kind and records.values) else ""
        if kind and records.values and records.rcode == "NXDOMAIN":
            yield (
                f"answers NXDOMAIN{kind} for {name}, which denies the whole name, although it has {', '.join(records.values)}: "
                "answer NOERROR without a record"
            )
            return
        yield f"answers {records.rcode}{kind} for {name}: check that it serves the zone {expected.dns.zone}"
    elif not resolver and not records.authoritative:
        yield f"is not authoritative for {name} (lame): make it serve the zone {expected.dns.zone}"
    elif not records.values:
        if records.aliases and name.rstrip(".").lower() == expected.dns.zone.rstrip(".").lower():
            yield f"has an alias at the top of the zone ({name} -> {', '.join(records.aliases)}), beside which its SOA and NS records may not exist: replace it by addresses"
            return
        # An authoritative server returns an alias to another zone without the target; resolvers follow it.
        if resolver or not records.aliases:
            to = f" (it is an alias of {', '.join(records.aliases)})" if records.aliases else ""
            yield f"has no record for {name}{to}, expected {aim}: add the record, or fix what is expected"
    elif lost := lacking(records.values, wanted):
        yield f"returns {', '.join(records.values)} for {name}, but {lost}: add the record, or fix what is expected"
    elif not fits(records.values, wanted):
        why = "flush its cache if it still has the old answer, or " if resolver else ""
        yield f"returns {', '.join(records.values)} for {name}, expected {aim}: {why}change the zone"


def _ttl(records: Records, expected: ExpectedName, *, resolver: bool) -> Iterator[str]:
    limit = expected.dns.max_ttl.total_seconds()
    if not resolver and records.ttl_s is not None and records.ttl_s > limit:
        yield (
            f"returns {expected.name.name} with a TTL of {records.ttl_s} s (limit {limit:.0f} s): a switch would take up to "
            f"{words_for(records.ttl_s)} to reach all users; lower it at least that long before the cutover"
        )


def _caa(found: NameFacts, expected: ExpectedName) -> Iterator[str]:
    if not any(_answered(records) for server in found.servers for records in server.over):
        return  # no server answered, so a missing CAA record proves nothing
    allowed = found.caa or ()
    for issuer in () if found.caa_open or found.caa_problem else expected.name.caa:
        if found.caa is None:
            yield (
                f"there is no CAA record at {found.name} or above it in the zone, so any authority may issue, expected "
                f"only {issuer}: add one"
            )
        elif issuer.rstrip(".").lower() not in allowed:
            yield f"CAA allows {', '.join(allowed) or 'nobody'} to issue for {found.name}, not {issuer}, so the next renewal will fail: add {issuer}"


def _standby(found: Named, expected: ExpectedName, said: Collector) -> None:
    if expected.name.standby is None:
        return
    health = found.standby
    if health is None:
        said.unknown(f"the standby {expected.name.standby.address} was not checked: run this again")
    elif health.status is None and health.primary_status is None:
        said.unknown(
            f"the standby {health.place} does not answer ({health.problem}), nor does the active site: check the network from here"
        )
    elif health.status is None and health.ours:
        said.unknown(
            f"the standby {health.place} cannot be reached from here ({health.problem}): run this where it can"
        )
    elif health.status != 200:
        answer = (
            f"answers {health.status}" if health.status is not None else f"does not answer ({health.problem})"
        )
        said.wrong(
            f"the standby {health.place} {answer} on {health.path}, expected 200 ({words_for_count(health.attempts, 'attempt', 'attempts')}), so a failover "
            "would not work: bring it up"
        )
    elif health.lacking:
        said.wrong(
            f"the standby {health.place} answers 200 on {health.path}, {health.lacking} ({words_for_count(health.attempts, 'attempt', 'attempts')}), "
            "so a failover would not work: bring it up"
        )
    elif health.unseen:
        said.note(
            f"only the status of the standby {health.place} was looked at, so an error page with 200 counts as healthy: name "
            "text of a good answer with `contains`, or of a bad one with `lacks`"
        )


def _settled(found: Named, expected: ExpectedName, said: Collector) -> None:
    """The TTL must have been low for as long as the highest earlier TTL: resolvers may keep that answer for as long."""
    limit_s = expected.dns.max_ttl.total_seconds()
    now = found.facts.at
    if not found.earlier:
        what = (
            f"this is the first observation of {found.facts.name}: how long its TTL has been low is unknown; "
            "run this again with the same change before the cutover"
        )
        said.unknown(what)
        return
    high = [seen for seen in found.earlier if seen.ttl_s > limit_s]
    if not high:
        said.note(
            f"the TTL of {found.facts.name} has been low since {found.earlier[0].at:%Y-%m-%d %H:%M} UTC"
        )
        return
    last = max(high, key=lambda seen: seen.at + timedelta(seconds=seen.ttl_s))
    over = last.at + timedelta(seconds=last.ttl_s)
    if over > now:
        what = (
            f"the TTL of {found.facts.name} was {last.ttl_s} s on {last.at:%Y-%m-%d %H:%M} UTC (limit {limit_s:.0f} s): resolvers may "
            f"keep that answer until {over:%Y-%m-%d %H:%M} UTC; do not switch before then"
        )
        said.unknown(what)


def _readings(found: Named, expected: ExpectedName) -> Iterator[Reading]:
    limit = expected.dns.max_ttl.total_seconds()
    aim = expected.name.cname or ", ".join(expected.name.addresses or [])
    for server in found.facts.servers:
        for records in server.over:
            said = ", ".join(records.values or records.aliases) or records.problem or records.rcode
            ok = not [*_records(records, expected, resolver=server.resolver)] if _answered(records) else None
            yield Reading(
                f"{server.server} {records.transport}", said, limit="" if ok is None else aim, ok=ok
            )
        ttl = max((r.ttl_s for r in server.over if r.ttl_s is not None), default=None)
        if ttl is not None and not server.resolver:
            yield Reading(f"{server.server} TTL", ttl, "s", f"at most {limit:.0f} s", ok=ttl <= limit)
