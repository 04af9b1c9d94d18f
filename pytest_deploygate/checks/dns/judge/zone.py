"""The zone itself: one serial, as delegated, signatures that fit, and nobody may copy it."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_deploygate.checks.dns.facts import ZoneAt, ZoneFacts
from pytest_deploygate.checks.dns.section import Dns
from pytest_deploygate.judging.sentences import Said, listed
from pytest_deploygate.model import Judgement, Reading, Verdict, words_for


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
    _chain(found, expected, wrong, unknown, notes)
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


def _chain(found: ZoneFacts, expected: Dns, wrong: list[Said], unknown: list[Said], notes: list[str]) -> None:
    """DS records above that fit no key of the zone cut it off for everybody who validates."""
    chain = found.chain
    if chain is None:
        return
    signed = any(s.signatures is not None and s.signatures.state != "unsigned" for s in found.servers)
    if chain.state == "broken":
        wrong.append(
            (
                "",
                f"{chain.detail}: validating resolvers answer SERVFAIL; make them fit, or take the DS out above",
            )
        )
    elif chain.state == "unclear" and (signed or expected.dnssec):
        unknown.append(("", f"whether the zone above has a DS record cannot be told: {chain.detail}"))
    elif chain.state == "none" and expected.dnssec:
        wrong.append(
            ("", f"{found.zone} has no DS record in the zone above, so nobody validates it: publish it there")
        )
    elif chain.state == "none" and signed:
        notes.append(f"{found.zone} is signed, but the zone above has no DS record: nobody validates it")


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
