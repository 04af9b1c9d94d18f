"""Certificates: trusted, right name, strong, in order, long enough to go, the same everywhere, not taken back."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from pytest_deploygate.checks.tls.facts import Address, Certificate, Certificates, Leaf
from pytest_deploygate.checks.tls.section.endpoints import Endpoint, Tls
from pytest_deploygate.checks.tls.section.guidelines import Profile
from pytest_deploygate.judging.sentences import Said, listed
from pytest_deploygate.model import Judgement, Reading, Verdict, words_for

_WEAK_HASHES = ("md2", "md5", "sha1")
_DAY = timedelta(days=1)
#: X509_V_ERR codes and what to do about them.
_CODES = {
    2: "an issuer is missing: serve the intermediate with the leaf (fullchain.pem, not cert.pem)",
    7: "a signature in the chain does not fit: the wrong intermediate is served",
    9: "it is not valid yet: is a clock wrong?",
    10: "it has expired: renew it and reload the server",
    18: "it is self-signed: install one from a trusted authority",
    19: "its root is not among the trusted ones: name it in `tls.trust`, or install a certificate from a trusted authority",
    20: "an issuer is missing: serve the intermediate with the leaf (fullchain.pem, not cert.pem), or is its root not trusted?",
    21: "an issuer is missing: serve the intermediate with the leaf (fullchain.pem, not cert.pem)",
    23: "it was revoked",
    26: "it is not for servers",
    62: "the name is not in it",
}


@dataclass(frozen=True, slots=True)
class ExpectedCertificates:
    """What is expected of an endpoint's certificates."""

    endpoint: Endpoint
    tls: Tls
    profile: Profile


@dataclass(slots=True)
class _Said:
    """What was found wrong, not known, and worth a warning on one address."""

    wrong: list[str]
    unknown: list[str]
    notes: list[str]


def judge_certificates(found: Certificates, expected: ExpectedCertificates) -> Judgement:
    """Pass when every leaf on every address is as it should be, and all addresses offer the same."""
    wrong: list[Said] = []
    unknown: list[Said] = []
    notes: list[str] = []
    for address in found.addresses:
        said = _Said([], [], [])
        _address(address, found, expected, said)
        wrong += [(address.address, text) for text in said.wrong]
        unknown += [(address.address, text) for text in said.unknown]
        notes += [f"{address.address}: {text}" for text in said.notes]
    wrong += [*_differences(found), *_kinds(found, expected)]
    readings = tuple(_readings(found, expected))
    if wrong:
        return Judgement(Verdict.FAIL, listed(wrong), readings, tuple(dict.fromkeys(notes)))
    if unknown or not found.addresses:
        reason = listed(unknown) or f"{found.host} has no address"
        return Judgement(Verdict.INCONCLUSIVE, reason, readings, tuple(dict.fromkeys(notes)))
    leaves = {leaf.certificate.sha256: leaf.certificate for a in found.addresses for leaf in a.leaves}
    ends = min(certificate.not_after for certificate in leaves.values())
    kinds = ", ".join(sorted({c.key.upper() for c in leaves.values()}))
    return Judgement(
        Verdict.PASS,
        f"{len(leaves)} certificate{'s' * (len(leaves) != 1)} ({kinds}) on {len(found.addresses)} "
        f"address{'es' * (len(found.addresses) != 1)}, the first ends in {words_for(ends - found.at)} ({ends:%Y-%m-%d})",
        readings,
        tuple(dict.fromkeys(notes)),
    )


def _address(address: Address, found: Certificates, expected: ExpectedCertificates, said: _Said) -> None:
    if not address.leaves:
        said.unknown.append(
            f"shows no certificate ({address.problem}): is it up, does a firewall drop us, is this a TLS port?"
        )
        return
    for leaf in address.leaves:
        _leaf(leaf, found, expected, said)
    client = address.client
    if client and not client.ok and not said.wrong:
        if client.code > 0:
            said.wrong.append(f"an ordinary client refuses it: {client.text} ({client.code})")
        elif not any(leaf.certificate.self_issued for leaf in address.leaves):
            said.notes.append(f"an ordinary client could not connect: {client.text}")
    said.notes.extend(f"not probed: {what}" for what in address.not_probed)
    _control(address, said)


def _leaf(leaf: Leaf, found: Certificates, expected: ExpectedCertificates, said: _Said) -> None:
    where = _called(leaf.certificate)
    certificate = leaf.certificate
    expired = certificate.not_after <= found.at
    # Of the leaf itself 9 (not yet valid) and 10 (expired) are said below, with their times.
    if leaf.trust.code and not (leaf.trust.code in (9, 10) and leaf.trust.depth == 0):
        at = f" at depth {leaf.trust.depth}" if leaf.trust.depth else ""
        said.wrong.append(
            f"{where}: {leaf.trust.text}{at} ({leaf.trust.code}); {_CODES.get(leaf.trust.code, 'see the chain')}"
        )
    if not leaf.covers_name:
        names = ", ".join((*certificate.names, *certificate.addresses)[:4]) or "no name at all"
        said.wrong.append(
            f"{where} is for {names}, not for {found.host}: install the certificate of this name"
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
    _order(where, leaf, said)
    _revoked(where, leaf, found.at, expected, said)


def _called(certificate: Certificate) -> str:
    name = f"{certificate.curve or certificate.key_bits}"
    return f"{certificate.key.upper()} {name} certificate {certificate.serial[-8:]}"


def _lifetime(
    where: str, certificate: Certificate, at: datetime, expected: ExpectedCertificates, said: _Said
) -> None:
    """Fail and warn by fractions: 30 days are far too many for a certificate that lives 47."""
    lifetime, left = certificate.not_after - certificate.not_before, certificate.not_after - at
    fail, warn = min(expected.tls.fail_under, lifetime / 6), min(expected.tls.warn_under, lifetime / 3)
    until = (expected.tls.valid_until or at) + _DAY
    if left < fail:
        said.wrong.append(
            f"{where} ends in {words_for(left)} ({certificate.not_after:%Y-%m-%d}), the limit is {words_for(fail)} "
            f"of its {words_for(lifetime)}: renew it, and see why that did not happen by itself"
        )
    elif certificate.not_after < until:
        said.wrong.append(
            f"{where} ends {certificate.not_after:%Y-%m-%d %H:%M} UTC, before the cutover and 24 h: renew it now"
        )
    elif left < warn:
        said.notes.append(f"{where} ends in {words_for(left)}: renewal is due (under {words_for(warn)})")
    if certificate.not_before > at:
        said.wrong.append(
            f"{where} is not valid before {certificate.not_before:%Y-%m-%d %H:%M} UTC: is a clock wrong?"
        )
    bound = expected.tls.renewed_within
    if bound is not None and at - certificate.not_before > bound:
        said.wrong.append(
            f"{where} was issued {words_for(at - certificate.not_before)} ago (limit {words_for(bound)}): the renewal does not run"
        )
    longest = timedelta(days=expected.profile.longest_lifetime_d)
    if lifetime > longest + _DAY:
        said.notes.append(
            f"{where} lives {words_for(lifetime)}; {expected.profile.title} says at most {words_for(longest)}"
        )


def _strength(certificate: Certificate, profile: Profile) -> Iterator[str]:
    least = max(profile.rsa_bits or 2048, 2048)
    if certificate.key == "rsa" and certificate.key_bits < least:
        yield f"its RSA key has {certificate.key_bits} bits, at least {least} are needed"
    if certificate.key == "ecdsa" and certificate.key_bits < profile.ecdh_bits:
        yield f"its curve {certificate.curve} has {certificate.key_bits} bits, at least {profile.ecdh_bits} are needed"
    if certificate.key == "other":
        yield "its key is of a kind that no client takes"
    if certificate.signature_hash in _WEAK_HASHES:
        yield f"it is signed with {certificate.signature_hash.upper()}, which clients refuse: reissue it with SHA-256"
    if certificate.signature_hash.startswith("unknown"):
        yield f"its signature algorithm is {certificate.signature_hash}"
    if certificate.version < 3:
        yield f"it is an X.509 v{certificate.version} certificate without extensions: reissue it as v3 with the name in it"
    if certificate.server_auth is False:
        yield "its extended key usage lacks serverAuth: it is not for servers"
    if certificate.unread:
        yield certificate.unread


def _order(where: str, leaf: Leaf, said: _Said) -> None:
    chain = (leaf.certificate, *leaf.chain)
    for certificate, issuer in itertools.pairwise(chain):
        if certificate.issuer != issuer.subject:
            said.wrong.append(
                f"{where}: the chain is out of order, after {certificate.subject} comes {issuer.subject} and not its issuer "
                f"{certificate.issuer}: put leaf, then intermediate, into the file"
            )
            return
    if leaf.certificate.ca:
        said.wrong.append(f"{where} is an authority's own certificate (CA:TRUE): never put it on a server")
    if len(chain) > 1 and chain[-1].self_issued:
        said.notes.append(f"{where}: the root is sent, too, which no client needs")


def _revoked(where: str, leaf: Leaf, at: datetime, expected: ExpectedCertificates, said: _Said) -> None:
    staple, crl = leaf.staple, leaf.crl
    if staple is not None and staple.about_this and staple.status == "revoked":
        said.wrong.append(f"{where} was revoked, says its stapled OCSP answer: replace it")
    if not expected.tls.revocation:
        said.notes.append(f"{where}: revocation was not looked at (`tls.revocation: false`)")
        return
    if crl is None:
        if not leaf.certificate.self_issued and staple is None:
            said.notes.append(
                f"{where} names no revocation list and staples no answer: revocation was not looked at"
            )
        return
    if crl.revoked:
        said.wrong.append(f"{where} was revoked, says {crl.url}: replace it")
    elif crl.revoked is None:
        said.unknown.append(f"{where}: whether it was revoked cannot be told: {crl.problem}")
    elif crl.next_update is not None and crl.next_update < at:
        said.unknown.append(
            f"{where}: the revocation list {crl.url} is out of date since {crl.next_update:%Y-%m-%d %H:%M} UTC"
        )


def _control(address: Address, said: _Said) -> None:
    control = address.control
    if control is None:
        return
    if control.without.outcome == "let-in":
        said.wrong.append(
            f"lets clients in without a certificate ({control.without.detail}): turn verification on "
            "(nginx: ssl_verify_client on)"
        )
    if control.with_certificate.outcome == "refused":
        said.wrong.append(f"refuses our client certificate ({control.with_certificate.detail})")
    for entry, which in (
        (control.without, "without a certificate"),
        (control.with_certificate, "with our certificate"),
    ):
        if entry.outcome == "unclear":
            said.unknown.append(f"the attempt {which} told nothing: {entry.detail}")


def _differences(found: Certificates) -> Iterator[Said]:
    """Every address offers the same leaf of each kind; two on one address are two backends behind it."""
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
                "reload what still has the old one"
            )
            yield "", what
    reached = [address for address in found.addresses if address.leaves]
    for kind, where in by_kind.items():
        has = {name for names in where.values() for name in names}
        for address in reached:
            if address.address not in has:
                yield address.address, f"offers no {kind.upper()} certificate, which other addresses do"


def _kinds(found: Certificates, expected: ExpectedCertificates) -> Iterator[Said]:
    for kind in expected.endpoint.keys:
        for address in found.addresses:
            if address.leaves and kind not in {leaf.certificate.key for leaf in address.leaves}:
                yield address.address, f"offers no {kind.upper()} certificate, which the inventory expects"


def _readings(found: Certificates, expected: ExpectedCertificates) -> Iterator[Reading]:
    yield Reading("addresses", len(found.addresses))
    for address in found.addresses:
        for leaf in address.leaves:
            lifetime = leaf.certificate.not_after - leaf.certificate.not_before
            left, limit = leaf.certificate.not_after - found.at, min(expected.tls.fail_under, lifetime / 6)
            yield Reading(
                f"{address.address} {_called(leaf.certificate)} has left", round(left / _DAY, 1), "d",
                f"at least {words_for(limit)}", ok=left >= limit,
            )  # fmt: skip
            yield Reading(
                f"{address.address} {_called(leaf.certificate)} trust",
                leaf.trust.text,
                limit="trusted",
                ok=leaf.trust.code == 0,
            )
