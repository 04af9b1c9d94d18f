"""The zone itself: one serial, as delegated, with valid signatures and without public zone transfers.

Readings cover serials, authority, transfers, recursion, DNSSEC and the number of servers. NS records, the delegation
and DS records appear only in the reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pytest_deploygate.checks.dns.facts import Signatures, ZoneAt, ZoneFacts
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.judging.sentences import MOST
from pytest_deploygate.model import Judgement, Reading, words_for, words_for_count

if TYPE_CHECKING:
    from pytest_deploygate.checks.dns.section import Dns


def judge_zone(found: ZoneFacts, expected: Dns) -> Judgement:
    """Pass when all servers serve the zone at one serial, the delegation names them, and transfers are refused.

    A server that does not answer while another does is a failure; if none answers, the result is inconclusive. So is
    missing data from a server that answers: serial, NS records, recursion, DNSSEC. A transfer without an answer is a note
    if the server answered other queries over TCP, and so is a delegation that cannot be read without `dns.parent`.
    """
    said = Collector(most=MOST)
    for server in found.servers:
        if server.problem:
            said.unknown(f"{server.problem}: check the server and the network to it", where=server.server)
            continue
        said.wrong(*_served(server, expected), where=server.server)
        said.unknown(*_untold(server), where=server.server)
        _signatures(server, found, expected, said)
        if server.edns:
            said.note(
                f"{server.server} {server.edns}: resolvers ask it again without EDNS, which takes longer; update it"
            )
        if server.transfer not in ("refused", "allowed") and _speaks_tcp(server):
            said.note(f"{server.server}: a zone transfer (AXFR) got no answer, which counts as refused")
    if found.unnamed:
        said.note(f"not queried, because they are not in `dns.servers`: {', '.join(found.unnamed)}")
    said.wrong(*[*_together(found, expected), *_delegated(found)])
    _signed_alike(found, expected, said)
    _chain(found, expected, said)
    _delegation_read(found, expected, said)
    said.read(*_zone_readings(found, expected))
    answering = [server for server in found.servers if not server.problem]
    if not found.servers:
        said.unknown("there is no server to query")
    for server in found.servers if answering else ():
        if server.ours:
            said.unknown(
                f"cannot be reached from here ({server.problem}): run this where it can", where=server.server
            )
        elif server.problem:
            said.wrong(
                f"does not answer ({server.problem}) while others do, which delays users: bring it up",
                where=server.server,
            )
    return said.judgement(lambda: _serving(found, answering))


def _serving(found: ZoneFacts, answering: list[ZoneAt]) -> str:
    signed = {s.signatures.state for s in answering if s.signatures}
    servers = words_for_count(len(answering), "server serves", "servers serve")
    return f"{servers} {found.zone} at serial {answering[0].serial}, DNSSEC {', '.join(sorted(signed))}"


def _served(server: ZoneAt, expected: Dns) -> Iterator[str]:
    if server.alias:
        yield (
            f"has an alias (CNAME to {server.alias}) at the top of the zone {expected.zone}, beside which its SOA and NS records may "
            "not exist: replace it by addresses"
        )
        return
    if not server.authoritative:
        yield f"is not authoritative for {expected.zone} (lame delegation, {server.rcode}): configure the zone there, or remove the server from the NS records"
        return
    if server.recursion:
        yield "offers recursion to us, and open resolvers are abused for attacks: turn it off"
    if server.transfer == "allowed":
        yield f"lets anyone transfer the zone {expected.zone} (AXFR): allow transfers only to the secondaries"


def _untold(server: ZoneAt) -> Iterator[str]:
    """Report what an authoritative server did not reveal: missing data is not a pass."""
    if not server.authoritative:
        return
    if server.serial is None:
        yield "returned no serial (SOA): run this again"
    if not server.names:
        yield "returned no NS records: run this again"
    if server.recursion is None:
        yield "whether it offers recursion is unknown: run this again"
    if server.signatures is None:
        yield "whether the zone is signed there (DNSSEC) is unknown: run this again"
    if server.transfer not in ("refused", "allowed") and not _speaks_tcp(server):
        yield "whether it allows zone transfers (AXFR) is unknown, it does not answer over TCP: check port 53 over TCP"


def _speaks_tcp(server: ZoneAt) -> bool:
    """Return whether signatures were read, which uses TCP: the control for a transfer that got no answer."""
    return server.signatures is not None and server.signatures.state != "unclear"


def _signatures(server: ZoneAt, found: ZoneFacts, expected: Dns, said: Collector) -> None:
    signed = server.signatures
    if signed is None or not server.authoritative:
        return
    if signed.state == "unsigned":
        if expected.dnssec:
            said.wrong(f"{expected.zone} is not signed (DNSSEC): sign it", where=server.server)
    elif signed.state in ("broken", "expired"):
        said.wrong(
            f"DNSSEC is {signed.state} ({signed.detail}): validating resolvers answer SERVFAIL; sign the zone again",
            where=server.server,
        )
    elif signed.state != "valid":
        said.unknown(f"DNSSEC could not be read: {signed.detail or signed.state}", where=server.server)
    elif signed.until is None:
        said.unknown("DNSSEC is valid, but the expiry of its signatures is unknown", where=server.server)
    elif signed.until - found.at < expected.signatures_left:
        said.wrong(
            f"signatures expire {signed.until:%Y-%m-%d %H:%M} UTC, they must be valid for another "
            f"{words_for(expected.signatures_left)}: re-sign the zone",
            where=server.server,
        )


def _signed_alike(found: ZoneFacts, expected: Dns, said: Collector) -> None:
    """A zone that only some servers sign fails at the others for resolvers that validate, if the parent zone has a DS record."""
    states = {s.server: s.signatures.state for s in found.servers if s.signatures and s.authoritative}
    signed = [server for server, state in states.items() if state in ("valid", "expired", "broken")]
    unsigned = [server for server, state in states.items() if state == "unsigned"]
    if expected.dnssec or not signed or not unsigned:
        return
    what = f"does not sign {found.zone}, which {', '.join(signed)} does: transfer the zone anew there"
    for server in unsigned:
        if found.chain is not None and found.chain.state == "none":
            said.note(f"{server} {what}, before the parent zone gets a DS record")
        else:
            said.wrong(f"{what}, else resolvers that validate answer SERVFAIL", where=server)


def _chain(found: ZoneFacts, expected: Dns, said: Collector) -> None:
    """DS records in the parent zone that match no key break the zone for all validating resolvers."""
    chain = found.chain
    if chain is None:
        return
    signed = any(s.signatures is not None and s.signatures.state != "unsigned" for s in found.servers)
    if chain.state == "broken":
        said.wrong(
            f"{chain.detail}: validating resolvers answer SERVFAIL; publish matching DS records in the parent zone, or "
            "remove them there"
        )
    elif chain.state == "none":
        if expected.dnssec:
            said.wrong(
                f"{found.zone} has no DS record in the parent zone, so resolvers do not validate it: publish one"
            )
        elif signed:
            said.note(
                f"{found.zone} is signed, but the parent zone has no DS record: resolvers do not validate it"
            )
    elif chain.state != "fits":
        text = f"whether the parent zone has a DS record for {found.zone} is unknown: {chain.detail}"
        if signed or expected.dnssec:
            said.unknown(text)
        else:
            said.note(text)


def _delegation_read(found: ZoneFacts, expected: Dns, said: Collector) -> None:
    if found.delegation_problem or (expected.parent and not found.delegated):
        problem = found.delegation_problem or "the parent zone was not queried"
        said.unknown(f"the delegation of {found.zone} could not be read: {problem}; check `dns.parent`")
    if expected.parent and found.chain is None:
        said.unknown(f"DS records of {found.zone} were not looked up: run this again")
    if not expected.parent:
        said.note(f"delegation and DS records of {found.zone} were not compared: `dns.parent` is not set")


def _together(found: ZoneFacts, expected: Dns) -> Iterator[str]:
    serving = [server for server in found.servers if server.authoritative]
    distinct = {server.address for server in found.servers}
    if len(distinct) < expected.min_servers:
        yield f"{found.zone} has {words_for_count(len(distinct), 'name server', 'name servers')} at distinct addresses, at least {expected.min_servers} are required: add another one"
    serials = {server.serial for server in serving if server.serial is not None}
    if expected.same_serial and len(serials) > 1:
        newest = _newest(serials)
        if newest is None:
            have = ", ".join(f"{s.server} has {s.serial}" for s in serving)
            yield f"serials differ: {have}, and none is newer than all others (RFC 1982): transfer the zone anew everywhere"
            return
        behind = [f"{s.server} has {s.serial}" for s in serving if s.serial != newest]
        yield f"serials differ: {', '.join(behind)}, the newest is {newest}: look for failed transfers in its log (allow-transfer, NOTIFY)"


def _newest(serials: set[int]) -> int | None:
    """Return the serial that is newer than all others in serial number arithmetic (RFC 1982 section 3.2); None if none is."""
    return next((s for s in serials if all((s - other) % 2**32 < 2**31 for other in serials)), None)


def _delegated(found: ZoneFacts) -> Iterator[str]:
    listed_names = {server.name.rstrip(".").lower() for server in found.servers}
    if found.delegated is not None:
        for name in found.delegated:
            if name not in listed_names:
                yield f"the parent zone delegates {found.zone} to {name} too, which is not in `dns.servers`: remove it there, or add it to `dns.servers`"
    published = {server.names for server in found.servers if server.authoritative and server.names}
    if len(published) > 1:
        sets = " / ".join(", ".join(names) for names in sorted(published))
        yield f"servers publish different NS records for {found.zone}: {sets}; make them match"
    if found.delegated and len(published) == 1 and tuple(sorted(found.delegated)) not in published:
        inside = ", ".join(next(iter(published)))
        yield f"the parent zone delegates {found.zone} to {', '.join(found.delegated)}, the zone itself has {inside}: make them match"


def _dnssec_reading(server: str, signed: Signatures, found: ZoneFacts, expected: Dns) -> Reading:
    name, left = f"{server} DNSSEC", expected.signatures_left
    until = f" until {signed.until:%Y-%m-%d %H:%M} UTC" if signed.until else ""
    if signed.state not in ("valid", "unsigned", "broken", "expired"):
        return Reading(name, signed.state)
    allowed = ("valid",) if expected.dnssec else ("valid", "unsigned")
    soon = signed.state == "valid" and signed.until is not None and signed.until - found.at < left
    limit = f"{' or '.join(allowed)}, for another {words_for(left)}"
    return Reading(name, f"{signed.state}{until}", limit=limit, ok=signed.state in allowed and not soon)


def _zone_readings(found: ZoneFacts, expected: Dns) -> Iterator[Reading]:
    for server in found.servers:
        # A serial is a name, not a quantity: it has no thousands separators.
        yield Reading(f"{server.server} serial", server.problem or str(server.serial or "none"))
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
                limit="refused" if server.transfer in ("refused", "allowed") else "",
                ok={"refused": True, "allowed": False}.get(server.transfer),
            )
            if server.recursion is not None:
                yield Reading(
                    f"{server.server} recursion",
                    "on" if server.recursion else "off",
                    limit="off",
                    ok=not server.recursion,
                )
            if (signed := server.signatures) is not None:
                yield _dnssec_reading(server.server, signed, found, expected)
    addresses = len({server.address for server in found.servers})
    yield Reading(
        "name servers at distinct addresses", addresses, limit=f"at least {expected.min_servers}",
        ok=addresses >= expected.min_servers,
    )  # fmt: skip
    serials = {
        server.serial for server in found.servers if server.authoritative and server.serial is not None
    }
    if expected.same_serial and serials:
        yield Reading("distinct serials", len(serials), limit="1", ok=len(serials) == 1)
