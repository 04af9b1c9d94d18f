"""TLS against a Mozilla profile: protocols, suites, groups, renegotiation, compression, stapling, HSTS, headers.

Readings cover protocols, suites, groups, Diffie-Hellman, renegotiation and compression. Other defects appear only in
the reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from pytest_deploygate.checks.tls.facts import Agreed, Certificates, Leaf, Offers
from pytest_deploygate.checks.tls.judge import headers
from pytest_deploygate.checks.tls.judge.certificates import NO_TLS
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.judging.sentences import MOST
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Judgement, Reading

if TYPE_CHECKING:
    from pytest_deploygate.checks.tls.section.endpoints import Endpoint
    from pytest_deploygate.checks.tls.section.guidelines import Profile

_MOST = 4
#: Versions offered to every address; one without an outcome was not tested, which is not the same as off.
_VERSIONS = ("SSLv3", "TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3")
#: Outcomes that mean off: an alert, or a closed connection.
_OFF = ("refused", "closed")
#: Sizes in bits of the fields of weak groups; all other groups are as strong as the profile's.
_GROUP_BITS = {"secp224r1": 224, "prime192v1": 192, "sect163k1": 163, "sect233r1": 233}


@dataclass(frozen=True)
class ExpectedProtocols:
    """What is expected of an endpoint's TLS.

    `certificates` tell what is stapled; without them stapling is not judged, and a note says so.
    """

    endpoint: Endpoint
    profile: Profile
    certificates: Certificates | None = None


def judge_protocols(found: Offers, expected: ExpectedProtocols) -> Judgement:
    """Pass when no address agrees to more than the profile allows, and its HTTP headers are as expected.

    What was not tested or not answered (a version, its suites, groups, HTTP, a certificate to staple for) is
    inconclusive.
    """
    said = Collector(most=MOST)
    said.note(f"not probed: {', '.join(found.not_probed)}")
    for address in found.addresses:
        if address.problem:
            said.unknown(
                f"accepted no TLS version ({address.problem}): check that it is up and that this is a TLS port",
                where=address.address,
            )
            continue
        said.wrong(*_address(address, expected), where=address.address)
        said.unknown(*_unanswered(address), where=address.address)
        said.note(*_notes(address, expected.profile), where=address.address)
        if (web := expected.endpoint.web) and expected.endpoint.client_certificate:
            said.note("HTTP headers were not examined: clients must present a certificate")
        elif web:
            more = headers.look(address.http, web, expected.profile, expected.endpoint.host)
            said.wrong(*more.wrong, where=address.address)
            said.unknown(*more.unknown, where=address.address)
            said.note(*more.notes, where=address.address)
    if expected.certificates is not None:
        _clients(expected.certificates, said)
    if expected.endpoint.stapling and expected.certificates is not None:
        _stapling(expected.certificates, said)
    elif expected.endpoint.stapling:
        said.note("stapled OCSP responses were not examined")
    if not found.addresses:
        said.unknown(f"{found.endpoint} has no address: add it to `addresses`, or fix its name in DNS")
    said.read(*(reading for address in found.addresses for reading in _readings(address, expected)))
    return said.judgement(lambda: _good(found, expected))


def _good(found: Offers, expected: ExpectedProtocols) -> str:
    versions = sorted({v for a in found.addresses for v in a.suites})
    count = len({suite for a in found.addresses for suites in a.suites.values() for suite in suites})
    return f"{', '.join(versions)} with {count} suites, all within {expected.profile.title}"


def _address(found: Agreed, expected: ExpectedProtocols) -> Iterator[str]:
    profile = expected.profile
    accepted = _accepted(found)
    old = [version for version in accepted if version not in profile.protocols]
    if old:
        yield f"{', '.join(old)} is on, which {profile.title} does not allow: turn it off"
    elif not accepted and all(found.protocols.get(v) in _OFF for v in profile.protocols):
        yield f"none of {', '.join(profile.protocols)} is on: turn on {profile.protocols[-1]}"
    allowed = [version for version in found.suites if version in profile.protocols]
    foreign = list(dict.fromkeys(s for v in allowed for s in found.suites[v] if s not in profile.suites))
    if foreign:
        more = f" and {len(foreign) - _MOST} more" if len(foreign) > _MOST else ""
        yield (
            f"suites outside {profile.title}: {', '.join(foreign[:_MOST])}{more} ({_why(foreign)}): "
            "set the server's list of suites to the profile's"
        )
    weak = [group for group in found.groups if _GROUP_BITS.get(group, 256) < profile.ecdh_bits]
    if weak:
        yield (
            f"weak groups for key exchange: {', '.join(weak)} (under {profile.ecdh_bits} bits): set the server's list of "
            "groups to the profile's"
        )
    if found.dh_bits is not None and profile.dh_bits is not None and found.dh_bits < profile.dh_bits:
        yield f"Diffie-Hellman with {found.dh_bits} bits, at least {profile.dh_bits} are required: generate new parameters"
    if found.compression:
        yield "TLS compression is on (CRIME): turn it off"
    if found.secure_renegotiation is False:
        yield "no secure renegotiation (RFC 5746): upgrade the server's TLS library"


def _why(suites: list[str]) -> str:
    """Return the worst defect among some suites."""
    for words, why in (
        (("NULL",), "no encryption"),
        (("ADH", "AECDH"), "no authentication"),
        (("EXP",), "40-bit keys"),
        (("RC4", "RC2"), "RC4 is broken"),
        (("3DES", "DES-CBC"), "64-bit blocks, SWEET32"),
    ):
        if any(word in suite for suite in suites for word in words):
            return why
    if any("DHE" not in suite and not suite.startswith("TLS_") for suite in suites):
        return "no forward secrecy"
    return "CBC mode or finite-field DHE"


def _accepted(found: Agreed) -> list[str]:
    """Return the versions that are on, whether or not their suites are known."""
    return [v for v in _VERSIONS if found.protocols.get(v) == "accepted" or v in found.suites]


def _unanswered(found: Agreed) -> Iterator[str]:
    """Report what was neither accepted nor refused, which is not the same as off."""
    for version in _VERSIONS:
        outcome = found.protocols.get(version, "not tested")
        if outcome != "accepted" and outcome not in _OFF:
            detail = found.details.get(version, "")
            yield f"whether {version} is on cannot be determined ({outcome}{': ' * bool(detail)}{detail}): run this again"
    accepted = _accepted(found)
    if silent := [version for version in accepted if not found.suites.get(version)]:
        yield f"the suites of {', '.join(silent)} are unknown: run this again"
    suites = [suite for names in found.suites.values() for suite in names]
    if not found.groups and any(suite.startswith(("TLS_", "ECDHE")) for suite in suites):
        yield "the groups for key exchange are unknown: run this again"
    if found.secure_renegotiation is None and any(version != "TLSv1.3" for version in accepted):
        yield "whether renegotiation is secure (RFC 5746) is unknown: run this again"


def _notes(found: Agreed, profile: Profile) -> Iterator[str]:
    if newest := [v for v in profile.protocols if v == "TLSv1.3" and v not in found.suites]:
        yield f"{newest[0]} is off"
    if found.client_renegotiation:
        yield "clients may renegotiate, which costs the server more than the client"
    elif found.client_renegotiation is None and "TLSv1.2" in found.suites:
        yield "whether clients may renegotiate could not be tested"
    outside = [
        g for g in found.groups if g not in profile.groups and _GROUP_BITS.get(g, 256) >= profile.ecdh_bits
    ]
    if outside:
        yield f"groups that {profile.title} does not list: {', '.join(outside)}"
    closed = [version for version, outcome in found.protocols.items() if outcome == "closed"]
    silent = [", ".join(closed)] if closed else []
    silent += [
        f"{version} with {', '.join(k)}" for version, k in found.closed_on.items() if version not in closed
    ]
    if silent:
        yield f"the server closes the connection without an alert, which counts as off, for {'; '.join(silent)}"


def _clients(certificates: Certificates, said: Collector) -> None:
    """What a server agrees to in its hello is worth nothing if no client gets through the handshake."""
    for address in certificates.addresses:
        client = address.client
        if client is not None and client.code == NO_TLS and not address.asks_client:
            said.wrong(
                f"an ordinary client cannot connect: {client.text}; check that the key fits the certificate, and the server's log",
                where=address.address,
            )


def _stapling(certificates: Certificates, said: Collector) -> None:
    """A fresh OCSP response for this certificate must be stapled if it names a responder."""
    for address in certificates.addresses:
        if not address.leaves:
            why = address.problem or "no reason was recorded"
            said.unknown(
                f"whether an OCSP response is stapled is unknown: no certificate was presented ({why})",
                where=address.address,
            )
        for leaf in address.leaves:
            said.wrong(*_staple(leaf, certificates.at), where=address.address)
    if not certificates.addresses:
        said.unknown("whether an OCSP response is stapled is unknown: no certificate was requested")


def _staple(leaf: Leaf, at: datetime) -> Iterator[str]:
    staple, certificate = leaf.staple, leaf.certificate
    where = f"{certificate.key.upper()} certificate"
    if not certificate.responders and not certificate.must_staple:
        return
    if staple is None:
        if certificate.must_staple and not certificate.responders:
            yield (
                f"{where} must be stapled (must-staple) but names no OCSP responder, so no response can be fetched, and clients that "
                "follow it refuse: reissue it without must-staple"
            )
            return
        must = "must be stapled" if certificate.must_staple else "names an OCSP responder"
        yield f"{where} {must}, but no response is stapled: turn stapling on"
    elif not staple.about_this or staple.status not in ("good", "revoked"):
        yield f"{where}: the stapled OCSP response is for another certificate or not usable ({staple.status}): reload the server"
    elif staple.next_update is not None and staple.next_update < at:
        yield f"{where}: the stapled OCSP response expired {staple.next_update:%Y-%m-%d %H:%M} UTC: reload the server"


def _readings(found: Agreed, expected: ExpectedProtocols) -> Iterator[Reading]:
    where = found.address
    allowed = expected.profile.protocols
    for version, outcome in found.protocols.items():
        off = version not in allowed
        ok = version not in _accepted(found) if off and outcome in ("accepted", *_OFF) else None
        yield Reading(f"{where} {version}", outcome, limit="" if ok is None else "off", ok=ok)
    suites = list(dict.fromkeys(s for names in found.suites.values() for s in names))
    outside = [suite for suite in suites if suite not in expected.profile.suites]
    yield Reading(f"{where} suites outside the profile", len(outside), limit="0", ok=not outside)
    if found.groups:
        least = expected.profile.ecdh_bits
        weak = any(_GROUP_BITS.get(group, 256) < least for group in found.groups)
        yield Reading(f"{where} groups", ", ".join(found.groups), limit=f"at least {least} bits", ok=not weak)
    if found.dh_bits is not None and (least_dh := expected.profile.dh_bits) is not None:
        yield Reading(
            f"{where} Diffie-Hellman",
            found.dh_bits,
            "bits",
            f"at least {least_dh}",
            found.dh_bits >= least_dh,
        )
    yield Reading(
        f"{where} compression", "on" if found.compression else "off", limit="off", ok=not found.compression
    )
    if found.secure_renegotiation is not None:
        yield Reading(
            f"{where} secure renegotiation",
            found.secure_renegotiation,
            limit="yes",
            ok=found.secure_renegotiation,
        )
    if allowed and not any(found.protocols.get(version) == "accepted" for version in allowed):
        refused = all(version in found.protocols for version in allowed)
        if refused and all(found.protocols[version] in _OFF for version in allowed):
            yield Reading(f"{where} protocols of the profile", 0, limit="at least 1", ok=False)
