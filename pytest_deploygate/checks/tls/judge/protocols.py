"""TLS against a Mozilla profile: protocols, suites, groups, renegotiation, compression, stapling, HSTS, headers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pytest_deploygate.checks.tls.facts import Agreed, Certificates, Offers
from pytest_deploygate.checks.tls.judge import headers
from pytest_deploygate.checks.tls.section.endpoints import Endpoint
from pytest_deploygate.checks.tls.section.guidelines import Profile
from pytest_deploygate.judging.sentences import Said, listed
from pytest_deploygate.model import Judgement, Reading, Verdict

_MOST = 4
#: Bits of strength of a group's field; those not here are as strong as the profile's.
_GROUP_BITS = {"secp224r1": 224, "prime192v1": 192, "sect163k1": 163, "sect233r1": 233}


@dataclass(frozen=True, slots=True)
class ExpectedProtocols:
    """What is expected of an endpoint's TLS; `certificates` are for stapling, None where they were not looked at."""

    endpoint: Endpoint
    profile: Profile
    certificates: Certificates | None = None


def judge_protocols(found: Offers, expected: ExpectedProtocols) -> Judgement:
    """Pass when no address agrees to more than the profile allows, and HTTP says what it must."""
    wrong: list[Said] = []
    unknown: list[Said] = []
    notes = [f"not probed: {', '.join(found.not_probed)}"]
    for address in found.addresses:
        if address.problem:
            unknown.append(
                (
                    address.address,
                    f"agreed to no TLS at all ({address.problem}): is it up, is this a TLS port?",
                )
            )
            continue
        wrong += [(address.address, text) for text in _address(address, expected)]
        unknown += [(address.address, text) for text in _not_told(address)]
        notes += [f"{address.address}: {text}" for text in _notes(address, expected.profile)]
        if (web := expected.endpoint.web) and not expected.endpoint.client_certificate:
            more = headers.look(address.http, web, expected.profile, expected.endpoint.host)
            wrong += [(address.address, text) for text in more.wrong]
            unknown += [(address.address, text) for text in more.unknown]
            notes += [f"{address.address}: {text}" for text in more.notes]
    wrong += _stapling(expected)
    readings = tuple(reading for address in found.addresses for reading in _readings(address, expected))
    if wrong:
        return Judgement(Verdict.FAIL, listed(wrong), readings, tuple(dict.fromkeys(notes)))
    if unknown or not found.addresses:
        return Judgement(
            Verdict.INCONCLUSIVE,
            listed(unknown) or "the endpoint has no address",
            readings,
            tuple(dict.fromkeys(notes)),
        )
    versions = sorted({v for a in found.addresses for v in a.suites})
    count = len({suite for a in found.addresses for suites in a.suites.values() for suite in suites})
    return Judgement(
        Verdict.PASS,
        f"{', '.join(versions)} with {count} suites, all within {expected.profile.title}",
        readings,
        tuple(dict.fromkeys(notes)),
    )


def _address(found: Agreed, expected: ExpectedProtocols) -> Iterator[str]:
    profile = expected.profile
    old = [version for version in found.suites if version not in profile.protocols]
    if old:
        yield f"{', '.join(old)} is on, which {profile.title} does not allow: turn it off"
    elif not any(version in profile.protocols for version in found.suites):
        yield f"none of {', '.join(profile.protocols)} is on"
    allowed = [version for version in found.suites if version in profile.protocols]
    foreign = list(dict.fromkeys(s for v in allowed for s in found.suites[v] if s not in profile.suites))
    if foreign:
        more = f" and {len(foreign) - _MOST} more" if len(foreign) > _MOST else ""
        yield (
            f"suites outside {profile.title}: {', '.join(foreign[:_MOST])}{more} ({_why(foreign)}): "
            "set the list of suites to the profile's"
        )
    weak = [group for group in found.groups if _GROUP_BITS.get(group, 256) < profile.ecdh_bits]
    if weak:
        yield f"weak groups for key exchange: {', '.join(weak)} (under {profile.ecdh_bits} bits)"
    if found.dh_bits is not None and profile.dh_bits is not None and found.dh_bits < profile.dh_bits:
        yield f"Diffie-Hellman with {found.dh_bits} bits, at least {profile.dh_bits} are needed: make new parameters"
    if found.compression:
        yield "TLS compression is on (CRIME): turn it off"
    if found.secure_renegotiation is False:
        yield "no secure renegotiation (RFC 5746): the server's TLS library is very old"


def _why(suites: list[str]) -> str:
    """Say the worst that is true of some suites."""
    for words, why in (
        (("NULL",), "no encryption"),
        (("ADH", "AECDH"), "nobody is authenticated"),
        (("EXP",), "keys of 40 bits"),
        (("RC4", "RC2"), "RC4 is broken"),
        (("3DES", "DES-CBC"), "blocks of 64 bits, SWEET32"),
    ):
        if any(word in suite for suite in suites for word in words):
            return why
    if any("DHE" not in suite and not suite.startswith("TLS_") for suite in suites):
        return "no forward secrecy"
    return "CBC mode or finite-field DHE"


def _not_told(found: Agreed) -> Iterator[str]:
    """Say which protocols were neither agreed to nor refused: that is not the same as off."""
    for version, outcome in found.protocols.items():
        if outcome not in ("accepted", "refused", "closed"):
            yield f"whether {version} is on cannot be told ({outcome}: {found.details.get(version, '')})"


def _notes(found: Agreed, profile: Profile) -> Iterator[str]:
    if newest := [v for v in profile.protocols if v == "TLSv1.3" and v not in found.suites]:
        yield f"{newest[0]} is off"
    if found.client_renegotiation:
        yield "clients may renegotiate, which costs the server more than them"
    outside = [
        g for g in found.groups if g not in profile.groups and _GROUP_BITS.get(g, 256) >= profile.ecdh_bits
    ]
    if outside:
        yield f"groups that {profile.title} does not list: {', '.join(outside)}"
    closed = [version for version, outcome in found.protocols.items() if outcome == "closed"]
    silent = [f"{', '.join(closed)}"] if closed else []
    silent += [
        f"{version} with {', '.join(k)}" for version, k in found.closed_on.items() if version not in closed
    ]
    if silent:
        yield f"the server closes the connection without an alert, taken as off, for {'; '.join(silent)}"


def _stapling(expected: ExpectedProtocols) -> list[Said]:
    """An OCSP answer must be stapled, fresh and about this certificate, where it names a responder."""
    certificates = expected.certificates
    if certificates is None or not expected.endpoint.stapling:
        return []
    wrong: list[Said] = []
    for address in certificates.addresses:
        for leaf in address.leaves:
            if not leaf.certificate.responders and not leaf.certificate.must_staple:
                continue
            staple = leaf.staple
            where = f"{leaf.certificate.key.upper()} certificate"
            if staple is None:
                must = ", and must be stapled" if leaf.certificate.must_staple else ""
                wrong.append(
                    (
                        address.address,
                        f"{where} names an OCSP responder{must}, but no answer is stapled: turn stapling on",
                    )
                )
            elif not staple.about_this or staple.status not in ("good", "revoked"):
                wrong.append(
                    (
                        address.address,
                        f"{where}: the stapled OCSP answer is not about it or of no use ({staple.status})",
                    )
                )
            elif staple.next_update is not None and staple.next_update < certificates.at:
                wrong.append(
                    (
                        address.address,
                        f"{where}: the stapled OCSP answer is out of date since {staple.next_update:%Y-%m-%d %H:%M} UTC",
                    )
                )
    return wrong


def _readings(found: Agreed, expected: ExpectedProtocols) -> Iterator[Reading]:
    where = found.address
    allowed = expected.profile.protocols
    for version, outcome in found.protocols.items():
        off = version not in allowed
        ok = (outcome != "accepted") if off else None
        yield Reading(f"{where} {version}", outcome, limit="off" if off else "allowed", ok=ok)
    suites = list(dict.fromkeys(s for names in found.suites.values() for s in names))
    outside = [suite for suite in suites if suite not in expected.profile.suites]
    yield Reading(f"{where} suites outside the profile", len(outside), limit="0", ok=not outside)
    if found.groups:
        yield Reading(f"{where} groups", ", ".join(found.groups))
