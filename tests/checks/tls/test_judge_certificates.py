"""The judge of certificates on measurements made by hand: each deviation alone, each gap in the measurement, each limit."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_deploygate.checks.tls.facts import (
    Address,
    Certificate,
    Certificates,
    Client,
    ClientControl,
    Crl,
    Entry,
    Leaf,
    Staple,
    Trust,
)
from pytest_deploygate.checks.tls.judge.certificates import ExpectedCertificates, judge_certificates
from pytest_deploygate.checks.tls.section.endpoints import ClientCertificate, Endpoint, Tls
from pytest_deploygate.checks.tls.section.guidelines import profile
from pytest_deploygate.model import Verdict

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
DAY = timedelta(days=1)
HOST = "app.example.com"
PLACE = "192.0.2.10:443"
LEAF = Certificate(
    subject=f"CN={HOST}",
    issuer="CN=Intermediate",
    serial="0a1b2c3d4e5f",
    sha256="aa",
    not_before=NOW - 20 * DAY,
    not_after=NOW + 70 * DAY,
    key="ecdsa",
    key_bits=256,
    curve="prime256v1",
    signature_hash="sha256",
    version=3,
    ca=False,
    self_issued=False,
    server_auth=True,
    names=(HOST,),
    addresses=(),
    responders=(),
    crls=("http://crl.example.com/1.crl",),
    must_staple=False,
)
INTERMEDIATE = replace(
    LEAF, subject="CN=Intermediate", issuer="CN=Root", sha256="bb", ca=True, server_auth=None, names=()
)
ROOT = replace(INTERMEDIATE, subject="CN=Root", sha256="cc", self_issued=True)
CRL = Crl("http://crl.example.com/1.crl", revoked=False, next_update=NOW + DAY)
STAPLE = Staple("good", about_this=True, this_update=NOW - DAY, next_update=NOW + DAY)
GOOD = Leaf(LEAF, (INTERMEDIATE,), Trust(0, "leads to a trusted root"), covers_name=True, seen=3, crl=CRL)
CLIENT = Client(ok=True, code=0, text="TLSv1.3")
ENDPOINT = Endpoint(name="app", host=HOST)
MUTUAL = ENDPOINT.model_copy(
    update={"client_certificate": ClientCertificate.model_construct(certificate=Path("c"), key=Path("k"))}
)
CONTROL = ClientControl(Entry("let-in", "HTTP 200"), Entry("refused", "HTTP 400"))
CALLED = "ECDSA prime256v1 certificate 2c3d4e5f"


def at(*leaves, place=PLACE, **more):
    return Address(place, 3, leaves, **{"client": CLIENT, **more})


def judged(*addresses, endpoint=ENDPOINT, guideline="intermediate", **tls):
    expected = ExpectedCertificates(endpoint, Tls(**tls), profile(guideline))
    return judge_certificates(Certificates("app", HOST, NOW, addresses), expected)


def with_certificate(**changes):
    return replace(GOOD, certificate=replace(LEAF, **changes))


def reads_ill(judgement):
    return [reading.name for reading in judgement.readings if reading.ok is False]


def test_a_good_certificate_passes():
    """The reason counts certificates and addresses and says when the first expires; no reading is bad."""
    judgement = judged(at(GOOD))
    assert judgement.verdict is Verdict.PASS
    assert judgement.reason == "1 certificate (ECDSA) on 1 address, the first expires in 70 d (2027-02-02)"
    assert reads_ill(judgement) == []
    assert judgement.notes == ()


def test_two_kinds_on_two_addresses_pass():
    """RSA and ECDSA on both, the same everywhere; the earlier expiry is reported."""
    rsa = with_certificate(key="rsa", key_bits=2048, curve="", sha256="dd", not_after=NOW + 60 * DAY)
    judgement = judged(at(GOOD, rsa), at(GOOD, rsa, place="192.0.2.11:443"))
    assert judgement.verdict is Verdict.PASS
    assert judgement.reason.startswith(
        "2 certificates (ECDSA, RSA) on 2 addresses, the first expires in 60 d"
    )


@pytest.mark.parametrize(
    ("leaf", "says"),
    [
        (replace(GOOD, trust=Trust(20, "unable to get local issuer certificate")), "(20); an issuer is missing: serve"),
        (replace(GOOD, trust=Trust(19, "self-signed certificate in chain", 1)), "at depth 1 (19); its root is not among"),
        (replace(GOOD, trust=Trust(7, "certificate signature failure")), "serve the intermediate that issued the leaf"),
        (replace(GOOD, trust=Trust(99, "something new")), "something new (99); check the chain that is served"),
        (replace(GOOD, trust=Trust(-1, "it cannot be parsed")), "it cannot be parsed (-1)"),
        (replace(GOOD, trust=Trust(10, "certificate has expired", 1)), "has expired at depth 1 (10)"),
        (replace(GOOD, trust=Trust(10, "certificate has expired")), "certificate has expired (10); it has expired: renew"),
        (replace(GOOD, trust=Trust(9, "certificate is not yet valid")), "(9); it is not valid yet: check the clocks"),
        (replace(GOOD, covers_name=False), f"is for {HOST}, not for {HOST}: install the certificate for this name"),
        (replace(with_certificate(names=()), covers_name=False), "is for no name at all, not for"),
        (with_certificate(not_after=NOW - DAY), "expired 24 h ago (2026-11-23 12:00 UTC): renew it and reload"),
        (with_certificate(not_after=NOW), "expired 0 s ago"),
        (with_certificate(not_before=NOW + 2 * DAY), "is not valid before 2026-11-26 12:00 UTC: check the clocks"),
        (with_certificate(key="rsa", key_bits=2047), "its RSA key has 2047 bits, at least 2048 are required: reissue"),
        (with_certificate(key_bits=224, curve="secp224r1"), "curve secp224r1 has 224 bits, at least 256 are required"),
        (with_certificate(key="other", key_bits=0), "no client accepts its type of key: reissue it"),
        (with_certificate(signature_hash="sha1"), "signed with SHA1, which clients reject: reissue it with SHA-256"),
        (with_certificate(signature_hash="md5"), "signed with MD5"),
        (with_certificate(signature_hash="unknown (1.2.3)"), "its signature algorithm is unknown (1.2.3): reissue"),
        (with_certificate(version=1), "X.509 v1 certificate without extensions: reissue it as v3"),
        (with_certificate(server_auth=False), "lacks serverAuth, so clients reject it on a server: reissue"),
        (with_certificate(unread="its extensions cannot be read: x"), "its extensions cannot be read: x"),
        (with_certificate(ca=True), "is a CA certificate (CA:TRUE): replace it"),
        (replace(GOOD, chain=(replace(INTERMEDIATE, signature_hash="sha1"),)), "issuer CN=Intermediate: it is signed"),
        (replace(GOOD, chain=(ROOT, INTERMEDIATE)), f"out of order, CN={HOST} is followed by CN=Root instead of its issuer"),
        (replace(GOOD, crl=replace(CRL, revoked=True)), f"was revoked according to {CRL.url}: replace it"),
        (replace(GOOD, staple=replace(STAPLE, status="revoked")), "according to its stapled OCSP response: replace it"),
    ],
)  # fmt: skip
def test_each_deviation_fails_and_is_named(leaf, says):
    """Address, certificate, value and next step are in the reason."""
    judgement = judged(at(leaf))
    assert judgement.verdict is Verdict.FAIL
    assert says in judgement.reason
    assert PLACE in judgement.reason
    assert "certificate 2c3d4e5f" in judgement.reason


@pytest.mark.parametrize(
    ("leaf", "bad"),
    [
        (replace(GOOD, trust=Trust(20, "no issuer")), [f"{PLACE} {CALLED} trust"]),
        (with_certificate(not_after=NOW), [f"{PLACE} {CALLED} remaining validity"]),
        (with_certificate(not_after=NOW + 2 * DAY), [f"{PLACE} {CALLED} remaining validity"]),
        # Other defects appear only in the reason, as the module's docstring says.
        (replace(GOOD, covers_name=False), []),
        (with_certificate(signature_hash="sha1"), []),
    ],
)
def test_readings_of_validity_and_trust_are_bad_where_the_verdict_is(leaf, bad):
    judgement = judged(at(leaf))
    assert judgement.verdict is Verdict.FAIL
    assert reads_ill(judgement) == (bad or ["points not as required"])


@pytest.mark.parametrize(
    ("lifetime", "left", "tls", "verdict"),
    [
        (366 * DAY, 14 * DAY, {}, Verdict.PASS),  # exactly the limit passes
        (366 * DAY, 14 * DAY - timedelta(seconds=1), {}, Verdict.FAIL),
        (48 * DAY, 8 * DAY, {}, Verdict.PASS),  # a sixth of a short lifetime applies
        (48 * DAY, 8 * DAY - timedelta(seconds=1), {}, Verdict.FAIL),
        (48 * DAY, 5 * DAY, {"fail_under": 5 * DAY}, Verdict.PASS),
        (3 * DAY, DAY, {}, Verdict.PASS),  # 24 h from now if no cutover is named
        (3 * DAY, DAY - timedelta(seconds=1), {}, Verdict.FAIL),
        (90 * DAY, 21 * DAY, {"valid_until": NOW + 20 * DAY}, Verdict.PASS),
        (90 * DAY, 21 * DAY - timedelta(seconds=1), {"valid_until": NOW + 20 * DAY}, Verdict.FAIL),
    ],
)
def test_how_long_it_must_be_valid(lifetime, left, tls, verdict):
    """The limits are inclusive, and the reading of the time left agrees with the verdict."""
    leaf = with_certificate(not_before=NOW + left - lifetime, not_after=NOW + left)
    judgement = judged(at(leaf), **tls)
    assert judgement.verdict is verdict
    assert bool(reads_ill(judgement)) is (verdict is Verdict.FAIL)


def test_reasons_about_validity_have_the_limit():
    """Under the limit, and before the cutover: different reasons, each with its numbers."""
    short = with_certificate(not_after=NOW + 10 * DAY)
    assert "expires in 4 d (2026-11-28), limit 4.17 d (lifetime 25 d): renew it" in (
        judged(at(with_certificate(not_before=NOW - 21 * DAY, not_after=NOW + 4 * DAY))).reason
    )
    late = judged(at(short), valid_until=NOW + 10 * DAY)
    assert (
        "expires 2026-12-04 12:00 UTC, less than 24 h after the cutover (2026-12-04 12:00 UTC): renew it now"
        in (late.reason)
    )
    soon = judged(at(with_certificate(not_before=NOW - 2 * DAY, not_after=NOW + timedelta(hours=20))))
    assert "less than 24 h after now" in soon.reason


def test_warnings_are_notes():
    """Renewal due, a long lifetime, a root that is sent, revocation switched off: each passes with a note."""
    due = judged(at(with_certificate(not_before=NOW - 70 * DAY, not_after=NOW + 20 * DAY)))
    assert due.verdict is Verdict.PASS
    assert any("expires in 20 d: renewal is due (under 30 d)" in note for note in due.notes)
    edge = judged(at(with_certificate(not_before=NOW - 60 * DAY, not_after=NOW + 30 * DAY)))
    assert edge.notes == ()
    long = judged(at(with_certificate(not_before=NOW - 100 * DAY, not_after=NOW + 300 * DAY)))
    assert any("is valid for 400 d; Mozilla intermediate" in note for note in long.notes)
    root = judged(at(replace(GOOD, chain=(INTERMEDIATE, ROOT))))
    assert any("the root is sent too" in note for note in root.notes)
    off = judged(at(replace(GOOD, crl=None)), revocation=False)
    assert any("revocation was not checked (`tls.revocation: false`)" in note for note in off.notes)
    assert {j.verdict for j in (due, edge, long, root, off)} == {Verdict.PASS}


def test_an_automatic_renewal_must_run():
    """Issued exactly as long ago as allowed, and a second longer."""
    assert judged(at(GOOD), renewed_within=20 * DAY).verdict is Verdict.PASS
    judgement = judged(at(GOOD), renewed_within=20 * DAY - timedelta(seconds=1))
    assert judgement.verdict is Verdict.FAIL
    assert "was issued 20 d ago (limit 20 d): check that its renewal runs" in judgement.reason


@pytest.mark.parametrize(
    ("leaf", "says"),
    [
        (replace(GOOD, crl=Crl(CRL.url, None, None, "no answer")), "cannot be determined: no answer"),
        (replace(GOOD, crl=Crl(CRL.url, None, None)), f"{CRL.url} was not read"),
        (replace(GOOD, crl=replace(CRL, next_update=None)), "has no expiry date (nextUpdate)"),
        (replace(GOOD, crl=replace(CRL, next_update=NOW - DAY)), "expired 2026-11-23 12:00 UTC: publish a new one"),
        (replace(with_certificate(crls=("ldap://x/cn=1",)), crl=None), "its list ldap://x/cn=1 was not read (only HTTP"),
        (replace(GOOD, crl=None, staple=replace(STAPLE, status="unknown")), "for another certificate or not usable (unknown)"),
        (replace(GOOD, crl=None, staple=replace(STAPLE, about_this=False)), "for another certificate or not usable (good)"),
        (replace(GOOD, crl=None, staple=replace(STAPLE, next_update=NOW - DAY)), "response expired 2026-11-23 12:00 UTC"),
    ],
)  # fmt: skip
def test_revocation_that_cannot_be_determined_is_inconclusive(leaf, says):
    judgement = judged(at(leaf))
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert says in judgement.reason
    assert f"{PLACE}: {CALLED}: whether it was revoked" in judgement.reason


@pytest.mark.parametrize(
    "leaf",
    [
        replace(GOOD, crl=replace(CRL, next_update=NOW)),
        replace(GOOD, crl=None, staple=STAPLE),
        replace(GOOD, crl=None, staple=replace(STAPLE, next_update=NOW)),
        replace(GOOD, crl=None, staple=replace(STAPLE, next_update=None)),
        replace(GOOD, staple=replace(STAPLE, status="unknown")),  # a list that was read takes precedence
    ],
)
def test_a_fresh_list_or_a_fresh_staple_is_enough(leaf):
    judgement = judged(at(leaf))
    assert (judgement.verdict, judgement.notes) == (Verdict.PASS, ())


def test_a_certificate_that_names_no_list_passes_with_a_note():
    """Short-lived certificates have neither a list nor a responder."""
    judgement = judged(at(replace(with_certificate(crls=()), crl=None)))
    assert judgement.verdict is Verdict.PASS
    assert judgement.notes == (
        f"{PLACE}: {CALLED} names no revocation list and no OCSP response is stapled: revocation was not checked",
    )


def test_no_address_and_no_certificate_are_inconclusive():
    """Nothing measured is not a pass, and a good address does not make up for a silent one."""
    assert judged().verdict is Verdict.INCONCLUSIVE
    assert judged().reason == f"{HOST} has no address"
    silent = at(problem="timeout: no answer in 5 s", place="192.0.2.11:443", client=None)
    for addresses in ([silent], [at(GOOD), silent]):
        judgement = judged(*addresses)
        assert judgement.verdict is Verdict.INCONCLUSIVE
        assert "192.0.2.11:443: presents no certificate (timeout: no answer in 5 s): check that it is up" in (
            judgement.reason
        )
    assert "(no reason was recorded)" in judged(Address(PLACE, 3)).reason


def test_a_failure_beside_an_unknown_is_a_failure():
    judgement = judged(at(replace(GOOD, covers_name=False)), at(place="192.0.2.11:443", problem="refused"))
    assert judgement.verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("control", "verdict", "says"),
    [
        (CONTROL, Verdict.PASS, "1 certificate"),
        (replace(CONTROL, without=Entry("let-in", "HTTP 200")), Verdict.FAIL, "without a certificate (HTTP 200): turn"),
        (replace(CONTROL, with_certificate=Entry("refused", "HTTP 400")), Verdict.FAIL, "refuses our client certificate"),
        (replace(CONTROL, without=Entry("unclear", "b'x'")), Verdict.INCONCLUSIVE, "without a certificate is inconclusive"),
        (replace(CONTROL, with_certificate=Entry("unclear", "x")), Verdict.INCONCLUSIVE, "with our certificate is"),
        (replace(CONTROL, without=Entry("", "")), Verdict.INCONCLUSIVE, "without a certificate is inconclusive"),
        (None, Verdict.INCONCLUSIVE, "no connection was tried with and without our client certificate"),
    ],
)  # fmt: skip
def test_clients_must_show_a_certificate(control, verdict, says):
    """Accepted with ours, refused without one; an attempt that was not made or is unclear is inconclusive."""
    judgement = judged(at(GOOD, control=control), endpoint=MUTUAL)
    assert judgement.verdict is verdict
    assert says in judgement.reason


def test_an_ordinary_client_is_a_cross_check():
    """What it rejects fails even if the chain was good; if it could not connect, that decides."""
    refused = judged(at(GOOD, client=Client(ok=False, code=62, text="hostname mismatch")))
    assert refused.verdict is Verdict.FAIL
    assert (
        "an ordinary client rejects it: hostname mismatch (62); it does not cover the name" in refused.reason
    )
    lost = judged(at(GOOD, client=Client(ok=False, code=-1, text="timed out")))
    assert lost.verdict is Verdict.FAIL
    assert "an ordinary client cannot connect: timed out" in lost.reason
    late = judged(at(GOOD, client=Client(ok=False, code=-2, text="timed out")))
    assert late.verdict is Verdict.INCONCLUSIVE
    assert "whether an ordinary client connects is unknown: timed out" in late.reason


def test_what_was_not_probed_is_a_note():
    assert judged(at(GOOD, not_probed=("a second certificate",))).notes == (
        f"{PLACE}: not probed: a second certificate",
    )


def test_addresses_must_offer_the_same():
    """An older certificate on one address, and a kind that only one has."""
    old = with_certificate(sha256="ee", serial="01", not_before=NOW - 80 * DAY)
    judgement = judged(at(GOOD), at(old, place="192.0.2.11:443"))
    assert judgement.verdict is Verdict.FAIL
    assert (
        "2 different ECDSA certificates are served: 2c3d4e5f of 2026-11-04 on 192.0.2.10:443, but 01 of 2026-09-05 on "
        "192.0.2.11:443: reload the servers that still have the old one"
    ) in judgement.reason
    rsa = with_certificate(key="rsa", key_bits=2048, curve="", sha256="dd")
    judgement = judged(at(GOOD, rsa), at(GOOD, place="192.0.2.11:443"))
    assert judgement.verdict is Verdict.FAIL
    assert judgement.reason == (
        "192.0.2.11:443: offers no RSA certificate, other addresses do: install it there too"
    )


def test_kinds_that_the_inventory_names_must_be_offered():
    both = Endpoint(name="app", host=HOST, keys=["rsa", "ecdsa"])
    judgement = judged(at(GOOD), endpoint=both)
    assert judgement.verdict is Verdict.FAIL
    assert "offers no RSA certificate, the inventory expects one (`keys`): install it" in judgement.reason


ANY_TRUST = st.builds(Trust, st.integers(-1, 70), st.text(max_size=5), st.integers(0, 2))
ANY_CRL = st.none() | st.builds(
    Crl, st.just("http://x"), st.none() | st.booleans(), st.none(), st.text(max_size=5)
)
ANY_STAPLE = st.none() | st.builds(
    Staple, st.sampled_from(["good", "unknown", "revoked", ""]), st.booleans(), st.none(), st.none()
)
ANY_LEAF = st.builds(
    Leaf,
    st.just(LEAF),
    st.just((INTERMEDIATE,)),
    ANY_TRUST,
    st.booleans(),
    st.just(3),
    ANY_STAPLE,
    ANY_CRL,
)
ANY_ENTRY = st.builds(Entry, st.sampled_from(["let-in", "refused", "unclear", ""]), st.just("x"))
ANY_ADDRESS = st.builds(
    Address,
    st.just(PLACE),
    st.just(3),
    st.lists(ANY_LEAF, max_size=2).map(tuple),
    st.sampled_from(["", "refused"]),
    st.just(CLIENT),
    st.none() | st.builds(ClientControl, ANY_ENTRY, ANY_ENTRY),
)


@given(st.lists(ANY_ADDRESS, max_size=3), st.sampled_from([ENDPOINT, MUTUAL]))
def test_only_what_was_measured_whole_passes(addresses, endpoint):
    """A pass has a trusted leaf with the right name on each address, and no revoked leaf."""
    judgement = judged(*addresses, endpoint=endpoint)
    if judgement.verdict is Verdict.PASS:
        assert addresses
        assert reads_ill(judgement) == []
        for address in addresses:
            assert address.leaves
            assert all(leaf.trust.code == 0 and leaf.covers_name for leaf in address.leaves)
            assert all(leaf.staple or leaf.crl for leaf in address.leaves)
            assert not any(leaf.crl and leaf.crl.revoked is not False for leaf in address.leaves)
            assert endpoint is ENDPOINT or address.control == ClientControl(
                Entry("let-in", "x"), Entry("refused", "x")
            )
    else:
        assert judgement.reason
