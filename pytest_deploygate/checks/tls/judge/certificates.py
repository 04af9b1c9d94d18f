"""Certificates: trusted, for the right name, strong, in order, valid long enough, the same everywhere, not revoked.

Readings cover validity and trust. Other defects (name, key, order, revocation, client certificates, differences between
addresses) appear only in the reason.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from pytest_deploygate.checks.tls.facts import Address, Certificate, Certificates, Crl, Leaf, Staple
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.judging.sentences import MOST, Said
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Judgement, Reading, words_for

if TYPE_CHECKING:
    from pytest_deploygate.checks.tls.section.endpoints import Endpoint, Tls
    from pytest_deploygate.checks.tls.section.guidelines import Profile

_WEAK_HASHES = ("md2", "md5", "sha1")
_DAY = timedelta(days=1)
#: X509_V_ERR codes: what each means and how to fix it.
_CODES = {
    2: "an issuer is missing: serve the intermediate with the leaf (fullchain.pem, not cert.pem)",
    7: "a signature in the chain does not verify: serve the intermediate that issued the leaf",
    9: "it is not valid yet: check the clocks",
    10: "it has expired: renew it and reload the server",
    18: "it is self-signed: install one from a trusted authority",
    19: "its root is not among the trusted ones: add it to `tls.ca_file`, or install a certificate from a trusted authority",
    20: "an issuer is missing: serve the intermediate with the leaf (fullchain.pem, not cert.pem), or add its root to `tls.ca_file`",
    21: "an issuer is missing: serve the intermediate with the leaf (fullchain.pem, not cert.pem)",
    23: "it was revoked: replace it",
    26: "it is not a server certificate: reissue it with serverAuth",
    62: "it does not cover the name: install the certificate for this name",
}
#: An ordinary client's handshake failed, and not for the certificate's contents.
NO_TLS = -1
_LOOK = "check the chain that is served"


@dataclass(frozen=True)
class ExpectedCertificates:
    """What is expected of an endpoint's certificates."""

    endpoint: Endpoint
    tls: Tls
    profile: Profile


@dataclass()
class _Said:
    """What is wrong, unknown, or worth a warning on one address."""

    wrong: list[str]
    unknown: list[str]
    notes: list[str]


def judge_certificates(found: Certificates, expected: ExpectedCertificates) -> Judgement:
    """Pass when every leaf on every address is as expected, and all addresses offer the same certificates.

    What could not be determined (no certificate presented, a revocation list that was not read, a missing attempt with a
    client certificate, no answer to an ordinary client in time) is inconclusive. If an ordinary client cannot connect,
    that is a failure whatever else was seen. Every certificate on the path that OpenSSL takes can end or be revoked.
    """
    all_said = Collector(most=MOST)
    for address in found.addresses:
        said = _Said([], [], [])
        _address(address, found, expected, said)
        all_said.wrong(*said.wrong, where=address.address)
        all_said.unknown(*said.unknown, where=address.address)
        all_said.note(*said.notes, where=address.address)
    for where, text in [*_differences(found), *_kinds(found, expected)]:
        all_said.wrong(text, where=where)
    if not found.addresses:
        all_said.unknown(f"{found.host} has no address")
    all_said.read(*_readings(found, expected))
    return all_said.judgement(lambda: _good(found))


def _good(found: Certificates) -> str:
    leaves = {leaf.certificate.sha256: leaf.certificate for a in found.addresses for leaf in a.leaves}
    ends = min(certificate.not_after for certificate in leaves.values())
    kinds = ", ".join(sorted({c.key.upper() for c in leaves.values()}))
    return (
        f"{len(leaves)} certificate{'s' * (len(leaves) != 1)} ({kinds}) on {len(found.addresses)} "
        f"address{'es' * (len(found.addresses) != 1)}, the first expires in {words_for(ends - found.at)} ({ends:%Y-%m-%d})"
    )


def _address(address: Address, found: Certificates, expected: ExpectedCertificates, said: _Said) -> None:
    if not address.leaves:
        said.unknown.append(
            f"presents no certificate ({address.problem or 'no reason was recorded'}): check that it is up, that no firewall drops "
            "our connections, and that this is a TLS port"
        )
        return
    for leaf in address.leaves:
        _leaf(leaf, found, expected, said)
    client = address.client
    if client and not client.ok and not said.wrong:
        if client.code > 0:
            said.wrong.append(
                f"an ordinary client rejects it: {client.text} ({client.code}); {_CODES.get(client.code, _LOOK)}"
            )
        elif address.asks_client and expected.endpoint.client_certificate is None:
            said.unknown.append(
                f"requires a certificate from its clients ({client.text}), so what they see is unknown: add `client_certificate`"
            )
        elif address.control and address.control.with_certificate.outcome == "refused":
            pass  # the control below says that our certificate is refused
        elif client.code == NO_TLS:
            said.wrong.append(
                f"an ordinary client cannot connect: {client.text}; check that the key fits the certificate, and the server's log"
            )
        else:
            said.unknown.append(
                f"whether an ordinary client connects is unknown: {client.text}; run this again"
            )
    if address.cut:
        said.notes.append(
            f"{address.cut} of {address.connections} connections ended without an answer and succeeded when repeated: look "
            "for a backend that fails, or a limit"
        )
    said.notes.extend(f"not probed: {what}" for what in address.not_probed)
    _control(address, expected, said)


def _leaf(leaf: Leaf, found: Certificates, expected: ExpectedCertificates, said: _Said) -> None:
    where = _called(leaf.certificate)
    certificate = leaf.certificate
    expired = certificate.not_after <= found.at
    # A leaf that is not valid yet (9) or has expired (10) is reported below, with its times.
    reported_below = leaf.trust.depth == 0 and (
        (leaf.trust.code == 9 and certificate.not_before > found.at) or (leaf.trust.code == 10 and expired)
    )
    if leaf.trust.code and not reported_below:
        at = f" at depth {leaf.trust.depth}" if leaf.trust.depth else ""
        said.wrong.append(
            f"{where}: {leaf.trust.text}{at} ({leaf.trust.code}); {_CODES.get(leaf.trust.code, _LOOK)}"
        )
    if not leaf.covers_name:
        names = ", ".join((*certificate.names, *certificate.addresses)[:4]) or "no name at all"
        if found.host in certificate.names and _is_address(found.host):
            said.wrong.append(
                f"{where} has the address {found.host} as a DNS name (SAN DNS:{found.host}), but clients look for it among the "
                f"IP addresses: reissue it with SAN IP:{found.host}"
            )
        else:
            said.wrong.append(
                f"{where} is for {names}, not for {found.host}: install the certificate for this name"
            )
    if expired:
        said.wrong.append(
            f"{where} expired {words_for(found.at - certificate.not_after)} ago ({certificate.not_after:%Y-%m-%d %H:%M} UTC): "
            "renew it and reload the server"
        )
    else:
        _lifetime(where, certificate, found.at, expected, said)
    said.wrong.extend(f"{where}: {text}" for text in _strength(certificate, expected.profile))
    for issuer in leaf.chain:
        if not issuer.self_issued:
            said.wrong.extend(
                f"{where}, issuer {issuer.subject}: {text}" for text in _strength(issuer, expected.profile)
            )
    _path(where, leaf, found.at, expected, said)
    _order(where, leaf, said)
    _revoked(where, leaf, found.at, expected, said)


def _is_address(host: str) -> bool:
    return ":" in host or host.replace(".", "").isdigit()


def _path(where: str, leaf: Leaf, at: datetime, expected: ExpectedCertificates, said: _Said) -> None:
    """Judge the issuers that clients go through, and name those that were sent and no longer serve."""
    tls, used = expected.tls, {issuer.sha256 for issuer in leaf.path}
    for issuer in leaf.path:
        lifetime, left = issuer.not_after - issuer.not_before, issuer.not_after - at
        fail, warn = min(tls.issuer_fail_under, lifetime / 6), min(tls.issuer_warn_under, lifetime / 3)
        needed = max(fail, (tls.valid_until or at) + _DAY - at)
        ends = f"{where}: its {_rank(issuer)} {issuer.subject} expires in {words_for(left)} ({issuer.not_after:%Y-%m-%d %H:%M} UTC)"
        if issuer.sha256 in leaf.spare:
            if left < warn:
                said.notes.append(
                    f"{ends}; OpenSSL then takes another path, clients that do not will reject it"
                )
        elif left < needed:
            new = (
                "renew the root and its whole chain"
                if issuer.self_issued
                else "serve its successor, and reissue the leaf by it"
            )
            said.wrong.append(
                f"{ends}, limit {words_for(needed)}, and every client rejects the chain then: {new}"
            )
        elif left < warn:
            said.notes.append(f"{ends}: its successor is due (under {words_for(warn)})")
    for issuer in leaf.chain:
        if issuer.not_after <= at and issuer.sha256 not in used and leaf.trust.code == 0:
            said.notes.append(
                f"{where}: the {_rank(issuer)} {issuer.subject} that is sent too expired {issuer.not_after:%Y-%m-%d}: browsers and "
                "OpenSSL 1.1.0 and later take the other path; OpenSSL 1.0.2, GnuTLS before 3.6.14 and old devices reject it; remove it from the file"
            )
    for subject, crl in leaf.path_crls:
        if crl.revoked:
            said.wrong.append(
                f"{where}: its issuer {subject} was revoked according to {crl.url}: reissue the leaf by another issuer"
            )
        elif problem := _no_use_of_list(crl, at):
            said.unknown.append(
                f"{where}: whether its issuer {subject} was revoked cannot be determined: {problem}"
            )


def _rank(issuer: Certificate) -> str:
    return "root" if issuer.self_issued else "intermediate"


def _called(certificate: Certificate) -> str:
    name = f"{certificate.curve or certificate.key_bits}"
    return f"{certificate.key.upper()} {name} certificate {certificate.serial[-8:]}"


def _lifetime(
    where: str, certificate: Certificate, at: datetime, expected: ExpectedCertificates, said: _Said
) -> None:
    """Fail and warn by fractions of the lifetime: 30 days is too much for a certificate that is valid for 47."""
    lifetime, left = certificate.not_after - certificate.not_before, certificate.not_after - at
    fail, warn = min(expected.tls.fail_under, lifetime / 6), min(expected.tls.warn_under, lifetime / 3)
    cutover = expected.tls.valid_until
    if left < fail:
        said.wrong.append(
            f"{where} expires in {words_for(left)} ({certificate.not_after:%Y-%m-%d}), limit {words_for(fail)} "
            f"(lifetime {words_for(lifetime)}): renew it, and find out why the renewal did not run"
        )
    elif left < _needed(certificate, at, expected):
        after = f"the cutover ({cutover:%Y-%m-%d %H:%M} UTC)" if cutover else "now"
        said.wrong.append(
            f"{where} expires {certificate.not_after:%Y-%m-%d %H:%M} UTC, less than 24 h after {after}: renew it now"
        )
    elif left < warn:
        said.notes.append(f"{where} expires in {words_for(left)}: renewal is due (under {words_for(warn)})")
    if certificate.not_before > at:
        said.wrong.append(
            f"{where} is not valid before {certificate.not_before:%Y-%m-%d %H:%M} UTC: check the clocks, or install it "
            "later"
        )
    bound = expected.tls.renewed_within
    if bound is not None and at - certificate.not_before > bound:
        said.wrong.append(
            f"{where} was issued {words_for(at - certificate.not_before)} ago (limit {words_for(bound)}): check that its renewal runs"
        )
    longest = timedelta(days=expected.profile.longest_lifetime_d)
    if lifetime > longest + _DAY:
        said.notes.append(
            f"{where} is valid for {words_for(lifetime)}; {expected.profile.title} allows at most {words_for(longest)}"
        )


def _needed(certificate: Certificate, at: datetime, expected: ExpectedCertificates) -> timedelta:
    """Return how much longer a certificate must be valid: the limit, and until 24 h after the cutover."""
    lifetime = certificate.not_after - certificate.not_before
    return max(min(expected.tls.fail_under, lifetime / 6), (expected.tls.valid_until or at) + _DAY - at)


def _strength(certificate: Certificate, profile: Profile) -> Iterator[str]:
    least = max(profile.rsa_bits or 2048, 2048)
    if certificate.key == "rsa" and certificate.key_bits < least:
        yield f"its RSA key has {certificate.key_bits} bits, at least {least} are required: reissue it with a new key"
    if certificate.key == "ecdsa" and certificate.key_bits < profile.ecdh_bits:
        yield f"its curve {certificate.curve} has {certificate.key_bits} bits, at least {profile.ecdh_bits} are required: reissue it with a new key"
    if certificate.key == "other":
        yield "no client accepts its type of key: reissue it with an ECDSA or RSA key"
    if certificate.signature_hash in _WEAK_HASHES:
        yield f"it is signed with {certificate.signature_hash.upper()}, which clients reject: reissue it with SHA-256"
    if certificate.signature_hash.startswith("unknown"):
        yield f"its signature algorithm is {certificate.signature_hash}: reissue it with SHA-256"
    if certificate.version < 3:
        yield f"it is an X.509 v{certificate.version} certificate without extensions: reissue it as v3 with the name in it"
    if certificate.server_auth is False:
        yield "its extended key usage lacks serverAuth, so clients reject it on a server: reissue it with serverAuth"
    if certificate.unread:
        yield certificate.unread


def _order(where: str, leaf: Leaf, said: _Said) -> None:
    chain = (leaf.certificate, *leaf.chain)
    for certificate, issuer in itertools.pairwise(chain):
        if certificate.issuer != issuer.subject:
            said.wrong.append(
                f"{where}: the chain is out of order, {certificate.subject} is followed by {issuer.subject} instead of its issuer "
                f"{certificate.issuer}: put the leaf first in the file, then its intermediates"
            )
            return
    if leaf.certificate.ca:
        said.wrong.append(f"{where} is a CA certificate (CA:TRUE): replace it, and keep that key off servers")
    if len(chain) > 1 and chain[-1].self_issued:
        said.notes.append(f"{where}: the root is sent too, which no client needs")


def _revoked(where: str, leaf: Leaf, at: datetime, expected: ExpectedCertificates, said: _Said) -> None:
    """A list that was read takes precedence over a stapled response; a certificate with neither gets a note."""
    staple, crl = leaf.staple, leaf.crl
    if staple is not None and staple.about_this and staple.status == "revoked":
        said.wrong.append(f"{where} was revoked according to its stapled OCSP response: replace it")
    if not expected.tls.revocation:
        said.notes.append(f"{where}: revocation was not checked (`tls.revocation: false`)")
        return
    problem = ""
    if crl is not None:
        if crl.revoked:
            said.wrong.append(f"{where} was revoked according to {crl.url}: replace it")
        problem = _no_use_of_list(crl, at)
    elif staple is not None:
        problem = _no_use_of_staple(staple, at)
    elif leaf.certificate.crls:
        problem = (
            f"its list {leaf.certificate.crls[0]} was not read (only HTTP is supported); staple an OCSP response, or set "
            "`tls.revocation: false`"
        )
    elif not leaf.certificate.self_issued:
        said.notes.append(
            f"{where} names no revocation list and no OCSP response is stapled: revocation was not checked"
        )
    if problem:
        said.unknown.append(f"{where}: whether it was revoked cannot be determined: {problem}")


def _no_use_of_list(crl: Crl, at: datetime) -> str:
    if crl.revoked is None:
        return crl.problem or f"{crl.url} was not read"
    if crl.revoked:
        return ""
    if crl.next_update is None:
        return f"the revocation list {crl.url} has no expiry date (nextUpdate)"
    if crl.next_update < at:
        return (
            f"the revocation list {crl.url} expired {crl.next_update:%Y-%m-%d %H:%M} UTC: publish a new one"
        )
    return ""


def _no_use_of_staple(staple: Staple, at: datetime) -> str:
    # A response without a nextUpdate does not expire (RFC 6960 section 4.2.2.1).
    if not staple.about_this or staple.status not in ("good", "revoked"):
        return f"the stapled OCSP response is for another certificate or not usable ({staple.status})"
    if staple.next_update is not None and staple.next_update < at:
        return f"the stapled OCSP response expired {staple.next_update:%Y-%m-%d %H:%M} UTC: reload the server"
    return ""


def _control(address: Address, expected: ExpectedCertificates, said: _Said) -> None:
    control = address.control
    if control is None:
        if expected.endpoint.client_certificate is not None:
            said.unknown.append(
                "no connection was tried with and without our client certificate: run this again"
            )
        return
    if control.without.outcome == "let-in":
        said.wrong.append(
            f"lets clients in without a certificate ({control.without.detail}): turn verification on "
            "(nginx: ssl_verify_client on)"
        )
    if control.with_certificate.outcome == "refused":
        said.wrong.append(
            f"refuses our client certificate ({control.with_certificate.detail}): check that its authority is the one "
            "that the server verifies against"
        )
    for entry, which in (
        (control.without, "without a certificate"),
        (control.with_certificate, "with our certificate"),
    ):
        if entry.outcome not in ("let-in", "refused"):
            said.unknown.append(f"the attempt {which} is inconclusive: {entry.detail}")


def _differences(found: Certificates) -> Iterator[Said]:
    """Every address must offer the same leaf of each kind; two leaves on one address mean two backends behind it."""
    by_kind: defaultdict[str, dict[str, list[str]]] = defaultdict(dict)
    serials: dict[str, Certificate] = {}
    for address in found.addresses:
        for leaf in address.leaves:
            serials[leaf.certificate.sha256] = leaf.certificate
            by_kind[leaf.certificate.key].setdefault(leaf.certificate.sha256, []).append(address.address)
    for kind, where in by_kind.items():
        if len(where) > 1:
            newest = max(where, key=lambda digest: serials[digest].not_before)
            old = [
                f"{serials[d].serial[-8:]} of {serials[d].not_before:%Y-%m-%d} on {', '.join(where[d])}"
                for d in where
                if d != newest
            ]
            what = (
                f"{len(where)} different {kind.upper()} certificates are served: {serials[newest].serial[-8:]} of "
                f"{serials[newest].not_before:%Y-%m-%d} on {', '.join(where[newest])}, but {'; '.join(old)}: "
                "reload the servers that still have the old one"
            )
            yield "", what
    reached = [address for address in found.addresses if address.leaves]
    for kind, where in by_kind.items():
        has = {name for names in where.values() for name in names}
        for address in reached:
            if address.address not in has:
                yield (
                    address.address,
                    f"offers no {kind.upper()} certificate, other addresses do: install it there too",
                )


def _kinds(found: Certificates, expected: ExpectedCertificates) -> Iterator[Said]:
    for kind in expected.endpoint.keys:
        for address in found.addresses:
            if address.leaves and kind not in {leaf.certificate.key for leaf in address.leaves}:
                yield (
                    address.address,
                    f"offers no {kind.upper()} certificate, the inventory expects one (`keys`): install it",
                )


def _readings(found: Certificates, expected: ExpectedCertificates) -> Iterator[Reading]:
    yield Reading("addresses", len(found.addresses))
    for address in found.addresses:
        if address.connections:
            yield Reading(f"{address.address} connections", address.connections)
        for leaf in address.leaves:
            left = leaf.certificate.not_after - found.at
            needed = _needed(leaf.certificate, found.at, expected)
            yield Reading(
                f"{address.address} {_called(leaf.certificate)} remaining validity", round(left / _DAY, 1), "d",
                f"at least {words_for(needed)}", ok=left >= needed and left > timedelta(0),
            )  # fmt: skip
            yield Reading(
                f"{address.address} {_called(leaf.certificate)} trust",
                leaf.trust.text,
                limit="trusted",
                ok=leaf.trust.code == 0,
            )
