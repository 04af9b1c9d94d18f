"""The judge of TLS on measurements made by hand: versions, suites, groups, stapling, and what was not answered."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_deploygate.checks.tls.facts import (
    Address,
    Agreed,
    Certificate,
    Certificates,
    HttpAnswers,
    Leaf,
    Offers,
    Page,
    Staple,
    Trust,
)
from pytest_deploygate.checks.tls.judge.protocols import ExpectedProtocols, judge_protocols
from pytest_deploygate.checks.tls.section.endpoints import ClientCertificate, Endpoint, Http
from pytest_deploygate.checks.tls.section.guidelines import profile
from pytest_deploygate.model import Verdict

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
HOST = "app.example.com"
PLACE = "192.0.2.10:443"
VERSIONS = ("SSLv3", "TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3")
ON = {
    "SSLv3": "refused",
    "TLSv1.0": "refused",
    "TLSv1.1": "closed",
    "TLSv1.2": "accepted",
    "TLSv1.3": "accepted",
}
SUITES = {"TLSv1.2": ("ECDHE-RSA-AES128-GCM-SHA256",), "TLSv1.3": ("TLS_AES_128_GCM_SHA256",)}
GOOD = Agreed(
    PLACE,
    ON,
    suites=SUITES,
    groups=("X25519", "prime256v1"),
    secure_renegotiation=True,
    client_renegotiation=False,
)
#: A port that speaks no HTTP, so that TLS alone is judged.
MAIL = Endpoint(name="mail", host=HOST, port=25, starttls="smtp", stapling=False)
WEB = Endpoint(name="app", host=HOST, http=Http(min_score=0), stapling=False)
ANSWERS = HttpAnswers(
    Page(200, (("strict-transport-security", "max-age=63072000; includeSubDomains"),)),
    plain=Page(301, (("location", f"https://{HOST}/"),)),
    cors=Page(200, ()),
)
LEAF = Certificate(
    subject="CN=app", issuer="CN=I", serial="1", sha256="a", not_before=NOW, not_after=NOW, key="rsa", key_bits=2048,
    curve="", signature_hash="sha256", version=3, ca=False, self_issued=False, server_auth=True, names=(HOST,),
    addresses=(), responders=("http://ocsp.example.com",), crls=(), must_staple=False,
)  # fmt: skip
STAPLE = Staple("good", about_this=True, this_update=NOW, next_update=NOW + timedelta(days=1))


def judged(*addresses, endpoint=MAIL, guideline="intermediate", certificates=None):
    return judge_protocols(
        Offers("app", addresses), ExpectedProtocols(endpoint, profile(guideline), certificates)
    )


def reads_ill(judgement):
    return [reading.name for reading in judgement.readings if reading.ok is False]


def having(**suites):
    """Return the good server with other suites of TLS 1.2."""
    return replace(GOOD, suites=SUITES | suites)


def test_a_server_of_the_profile_passes():
    """Versions, number of suites and the profile with its date are in the reason; what was not probed is a note."""
    judgement = judged(GOOD)
    assert judgement.verdict is Verdict.PASS
    assert judgement.reason == (
        "TLSv1.2, TLSv1.3 with 2 suites, all within Mozilla intermediate 6.0 (2026-04-06)"
    )
    assert reads_ill(judgement) == []
    assert judgement.notes[0].startswith("not probed: SSL 2.0")
    assert any("without an alert, which counts as off, for TLSv1.1" in note for note in judgement.notes)


@pytest.mark.parametrize(
    ("found", "says", "bad"),
    [
        (
            replace(GOOD, protocols=ON | {"TLSv1.0": "accepted"}, suites=SUITES | {"TLSv1.0": ("AES128-SHA",)}),
            "TLSv1.0 is on, which Mozilla intermediate 6.0 (2026-04-06) does not allow: turn it off",
            [f"{PLACE} TLSv1.0", f"{PLACE} suites outside the profile"],
        ),
        # It accepted the version, even if its suites are unknown.
        (replace(GOOD, protocols=ON | {"TLSv1.0": "accepted"}), "TLSv1.0 is on", [f"{PLACE} TLSv1.0"]),
        (
            replace(GOOD, protocols=dict.fromkeys(VERSIONS, "refused"), suites={}, groups=()),
            "none of TLSv1.2, TLSv1.3 is on: turn on TLSv1.3",
            [f"{PLACE} protocols of the profile"],
        ),
        (replace(GOOD, groups=("X25519", "secp224r1")), "weak groups for key exchange: secp224r1 (under 256 bits): set",
         [f"{PLACE} groups"]),
        (replace(GOOD, compression=True), "TLS compression is on (CRIME): turn it off", [f"{PLACE} compression"]),
        (replace(GOOD, secure_renegotiation=False), "no secure renegotiation (RFC 5746): upgrade", [f"{PLACE} secure renegotiation"]),
        (replace(GOOD, dh_bits=1024), "Diffie-Hellman with 1024 bits, at least 2048 are required: generate", [f"{PLACE} Diffie-Hellman"]),
    ],
)  # fmt: skip
def test_each_deviation_fails_and_is_named(found, says, bad):
    judgement = judged(found)
    assert judgement.verdict is Verdict.FAIL
    assert says in judgement.reason
    assert PLACE in judgement.reason
    assert reads_ill(judgement) == bad


def test_the_size_of_diffie_hellman_is_inclusive():
    assert judged(replace(GOOD, dh_bits=2048)).verdict is Verdict.PASS
    assert judged(replace(GOOD, dh_bits=2047)).verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("suites", "why"),
    [
        (("NULL-SHA256", "ADH-AES128-SHA256"), "no encryption"),
        (("ADH-AES128-SHA256", "AES128-SHA"), "no authentication"),
        (("EXP-DES-CBC-SHA",), "40-bit keys"),
        (("ECDHE-RSA-RC4-SHA", "DES-CBC3-SHA"), "RC4 is broken"),
        (("DES-CBC3-SHA",), "64-bit blocks, SWEET32"),
        (("AES128-SHA",), "no forward secrecy"),
        (("ECDHE-RSA-AES128-SHA",), "CBC mode or finite-field DHE"),
    ],
)
def test_the_worst_of_the_suites_outside_the_profile_is_named(suites, why):
    judgement = judged(having(**{"TLSv1.2": suites}))
    assert judgement.verdict is Verdict.FAIL
    assert (
        f"suites outside Mozilla intermediate 6.0 (2026-04-06): {', '.join(suites)} ({why})"
        in judgement.reason
    )
    assert reads_ill(judgement) == [f"{PLACE} suites outside the profile"]


def test_many_suites_are_counted():
    many = tuple(f"CAMELLIA{number}-SHA" for number in range(6))
    judgement = judged(having(**{"TLSv1.2": many}))
    assert "CAMELLIA3-SHA and 2 more (" in judgement.reason
    assert "CAMELLIA4" not in judgement.reason


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (replace(GOOD, protocols=ON | {"SSLv3": "timeout"}, details={"SSLv3": "no answer in 5 s"}),
         "whether SSLv3 is on cannot be determined (timeout: no answer in 5 s): run this again"),
        (replace(GOOD, protocols=ON | {"TLSv1.1": "unreachable"}), "TLSv1.1 is on cannot be determined (unreachable)"),
        (replace(GOOD, protocols={"TLSv1.2": "accepted", "TLSv1.3": "accepted"}), "SSLv3 is on cannot be determined (not tested)"),
        (replace(GOOD, suites={"TLSv1.2": SUITES["TLSv1.2"]}), "the suites of TLSv1.3 are unknown"),
        (replace(GOOD, suites=SUITES | {"TLSv1.2": ()}), "the suites of TLSv1.2 are unknown"),
        (replace(GOOD, groups=()), "the groups for key exchange are unknown"),
        (replace(GOOD, secure_renegotiation=None), "whether renegotiation is secure (RFC 5746) is unknown"),
        (Agreed(PLACE, {}), "whether SSLv3 is on cannot be determined (not tested)"),
        (Agreed(PLACE, dict.fromkeys(VERSIONS, "timeout"), problem="timeout: no answer in 5 s"),
         "accepted no TLS version (timeout: no answer in 5 s): check that it is up"),
    ],
)  # fmt: skip
def test_what_was_not_answered_is_inconclusive(found, says):
    """Neither on nor off; no reading marks it as bad, and another good address changes nothing."""
    for addresses in ([found], [replace(GOOD, address="192.0.2.11:443"), found]):
        judgement = judged(*addresses)
        assert judgement.verdict is Verdict.INCONCLUSIVE
        assert says in judgement.reason
        assert f"{PLACE}: " in judgement.reason
        assert reads_ill(judgement) == []


def test_no_address_is_inconclusive():
    judgement = judged()
    assert (judgement.verdict, judgement.reason) == (
        Verdict.INCONCLUSIVE,
        "app has no address: add it to `addresses`, or fix its name in DNS",
    )


def test_tls_1_3_alone_has_no_renegotiation_to_judge():
    """TLS 1.3 has none, so missing data about it is not a gap."""
    protocols = ON | {"TLSv1.2": "refused"}
    alone = replace(
        GOOD, protocols=protocols, suites={"TLSv1.3": SUITES["TLSv1.3"]}, secure_renegotiation=None
    )
    assert judged(alone).verdict is Verdict.PASS
    assert judged(alone, guideline="modern").verdict is Verdict.PASS


def test_warnings_are_notes():
    """A newer version that is off, client renegotiation on or not tested, strong groups that the profile lacks."""
    old = replace(GOOD, protocols=ON | {"TLSv1.3": "refused"}, suites={"TLSv1.2": SUITES["TLSv1.2"]})
    for found, note in (
        (old, "TLSv1.3 is off"),
        (replace(GOOD, client_renegotiation=True), "clients may renegotiate, which costs the server more"),
        (replace(GOOD, client_renegotiation=None), "whether clients may renegotiate could not be tested"),
        (replace(GOOD, groups=("X25519", "X448")), "6.0 (2026-04-06) does not list: X448"),
        (replace(GOOD, closed_on={"TLSv1.2": ("DHE",)}), "counts as off, for TLSv1.1; TLSv1.2 with DHE"),
    ):
        judgement = judged(found)
        assert judgement.verdict is Verdict.PASS
        assert any(note in said for said in judgement.notes), judgement.notes


def test_http_answers_are_judged_where_the_endpoint_speaks_http():
    """Missing answers are inconclusive, missing headers fail; behind client certificates a note says they were not examined."""
    assert judged(replace(GOOD, http=ANSWERS), endpoint=WEB).verdict is Verdict.PASS
    missing = judged(GOOD, endpoint=WEB)
    assert missing.verdict is Verdict.INCONCLUSIVE
    assert f"{PLACE}: no HTTPS answer: it was not requested" in missing.reason
    bare = judged(replace(GOOD, http=replace(ANSWERS, page=Page(200, ()))), endpoint=WEB)
    assert bare.verdict is Verdict.FAIL
    assert "no HSTS header (Strict-Transport-Security): send max-age=63072000" in bare.reason
    own = ClientCertificate.model_construct(certificate=Path("c"), key=Path("k"))
    mutual = judged(GOOD, endpoint=WEB.model_copy(update={"client_certificate": own}))
    assert mutual.verdict is Verdict.PASS
    assert "HTTP headers were not examined: clients must present a certificate" in mutual.notes


def stapled(staple, **certificate):
    """Judge a server whose certificate names a responder, with this staple."""
    leaf = Leaf(replace(LEAF, **certificate), (), Trust(0, ""), covers_name=True, seen=3, staple=staple)
    return judged(
        GOOD,
        endpoint=MAIL.model_copy(update={"stapling": True}),
        certificates=Certificates("app", HOST, NOW, (Address(PLACE, 3, (leaf,)),)),
    )


@pytest.mark.parametrize(
    ("staple", "says"),
    [
        (STAPLE, ""),
        (replace(STAPLE, next_update=NOW), ""),
        (replace(STAPLE, next_update=None), ""),
        (replace(STAPLE, status="revoked"), ""),  # it is stapled; the judge of certificates fails it
        (None, "RSA certificate names an OCSP responder, but no response is stapled: turn stapling on"),
        (replace(STAPLE, about_this=False), "the stapled OCSP response is for another certificate or not usable (good): reload"),
        (replace(STAPLE, status="unknown"), "not usable (unknown)"),
        (replace(STAPLE, next_update=NOW - timedelta(seconds=1)), "expired 2026-11-24 11:59 UTC: reload the server"),
    ],
)  # fmt: skip
def test_an_answer_must_be_stapled_fresh_and_about_the_certificate(staple, says):
    judgement = stapled(staple)
    assert judgement.verdict is (Verdict.FAIL if says else Verdict.PASS)
    assert says in judgement.reason


def test_who_must_staple():
    """Not required without a responder, except for a must-staple certificate."""
    assert stapled(None, responders=()).verdict is Verdict.PASS
    must = stapled(None, responders=(), must_staple=True)
    assert must.verdict is Verdict.FAIL
    assert "must be stapled (must-staple) but names no OCSP responder" in must.reason
    named = stapled(None, must_staple=True)
    assert "must be stapled, but no response is stapled" in named.reason


def test_stapling_without_certificates_to_look_at():
    """Not examined is a note; requested in vain is inconclusive; switched off is neither."""
    stapling = MAIL.model_copy(update={"stapling": True})
    noted = judged(GOOD, endpoint=stapling)
    assert noted.verdict is Verdict.PASS
    assert "stapled OCSP responses were not examined" in noted.notes
    for addresses in ((), (Address(PLACE, 3, problem="timeout"),)):
        found = Certificates("app", HOST, NOW, addresses)
        judgement = judged(GOOD, endpoint=stapling, certificates=found)
        assert judgement.verdict is Verdict.INCONCLUSIVE
        assert "whether an OCSP response is stapled is unknown" in judgement.reason
        assert judged(GOOD, certificates=found).verdict is Verdict.PASS


OUTCOMES = st.sampled_from(["accepted", "refused", "closed", "timeout", "unreachable", "no-tls", ""])
ANY = st.builds(
    Agreed,
    st.just(PLACE),
    st.dictionaries(st.sampled_from(VERSIONS), OUTCOMES),
    suites=st.dictionaries(st.sampled_from(VERSIONS), st.just(SUITES["TLSv1.2"]) | st.just(())),
    groups=st.sampled_from([(), ("X25519",), ("secp224r1",)]),
    secure_renegotiation=st.sampled_from([None, True, False]),
    problem=st.sampled_from(["", "timeout"]),
)


@given(st.lists(ANY, max_size=3))
def test_only_what_was_answered_passes(addresses):
    """A pass has an answer for every version of each address, suites of all that are on, and no old one."""
    judgement = judged(*addresses)
    if judgement.verdict is Verdict.PASS:
        assert addresses
        assert reads_ill(judgement) == []
        for address in addresses:
            assert not address.problem
            assert set(address.protocols) == set(VERSIONS)
            on = {version for version, outcome in address.protocols.items() if outcome == "accepted"}
            assert on
            assert on <= {"TLSv1.2", "TLSv1.3"}
            assert all(address.suites[version] for version in on)
    else:
        assert judgement.reason
