"""The judge of a zone on facts made by hand: serials, delegation, DNSSEC, transfers, dead servers, and missing data."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_deploygate.checks.dns.facts import Chain, Signatures, ZoneAt, ZoneFacts
from pytest_deploygate.checks.dns.judge.zone import judge_zone
from pytest_deploygate.checks.dns.section import Dns, NameServer
from pytest_deploygate.model import Verdict

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
ZONE = "example.com"
NAMES = ("ns1.example.com", "ns2.example.com")
NS1 = NameServer(name=NAMES[0], address="192.0.2.53")
NS2 = NameServer(name=NAMES[1], address="192.0.2.54")
DNS = Dns(zone=ZONE, servers=[NS1, NS2], parent=[NameServer(name="a.gtld.example", address="192.0.2.1")])
ONE = ZoneAt(
    "ns1", NAMES[0], "192.0.2.53:53", authoritative=True, rcode="NOERROR", serial=7, names=NAMES, recursion=False,
    transfer="refused", signatures=Signatures("unsigned"),
)  # fmt: skip
TWO = replace(ONE, server="ns2", name=NAMES[1], address="192.0.2.54:53")
DEAD = ZoneAt("ns2", NAMES[1], "192.0.2.54:53", problem="no answer within 3 s")
GOOD = ZoneFacts(ZONE, NOW, (ONE, TWO), delegated=NAMES, chain=Chain("none"))
SIGNED = Signatures("valid", until=NOW + timedelta(days=10))


def judged(found=GOOD, **settings):
    return judge_zone(found, DNS.model_copy(update=settings))


def second(**changes):
    return replace(GOOD, servers=(ONE, replace(TWO, **changes)))


def both(**changes):
    return replace(GOOD, servers=(replace(ONE, **changes), replace(TWO, **changes)))


def reads_ill(judgement):
    return [reading.name for reading in judgement.readings if reading.ok is False]


def test_a_zone_that_is_whole_passes():
    judgement = judged()
    assert judgement.verdict is Verdict.PASS
    assert judgement.reason == f"2 servers serve {ZONE} at serial 7, DNSSEC unsigned"
    assert (judgement.notes, reads_ill(judgement)) == ((), [])
    signed = judged(replace(both(signatures=SIGNED), chain=Chain("fits")), dnssec=True)
    assert signed.verdict is Verdict.PASS
    assert signed.reason.endswith("DNSSEC valid")


@pytest.mark.parametrize(
    ("found", "settings", "says", "bad"),
    [
        (second(authoritative=False, rcode="REFUSED"), {},
         f"ns2: is not authoritative for {ZONE} (lame delegation, REFUSED): configure the zone there", ["ns2 authority"]),
        (second(recursion=True), {}, "ns2: offers recursion to us, and open resolvers are abused for attacks: turn it off", ["ns2 recursion"]),
        (second(transfer="allowed"), {}, f"ns2: lets anyone transfer the zone {ZONE} (AXFR): allow transfers",
         ["ns2 zone transfer"]),
        (second(serial=6), {}, "serials differ: ns2 has 6, the newest is 7: look for failed transfers", ["distinct serials"]),
        (second(names=NAMES[:1]), {}, f"servers publish different NS records for {ZONE}: ns1.example.com / ns1", ["points not as required"]),
        (replace(GOOD, delegated=(*NAMES, "old.example.net")), {},
         f"the parent zone delegates {ZONE} to old.example.net too, which is not in `dns.servers`: remove it", ["points not as required"]),
        (replace(GOOD, delegated=NAMES[:1]), {}, f"delegates {ZONE} to ns1.example.com, the zone itself has ns1.example.com, "
         "ns2.example.com: make them match", ["points not as required"]),
        (second(address=ONE.address), {}, f"{ZONE} has 1 name server at distinct addresses, at least 2 are required: add", ["name servers at distinct addresses"]),
        (GOOD, {"dnssec": True}, f"ns1, ns2: {ZONE} is not signed (DNSSEC): sign it", ["ns1 DNSSEC", "ns2 DNSSEC"]),
        (replace(both(signatures=SIGNED)), {"dnssec": True}, "has no DS record in the parent zone, so resolvers do not validate it", ["points not as required"]),
        (second(signatures=Signatures("broken", "app A has no signature")), {},
         "ns2: DNSSEC is broken (app A has no signature): validating resolvers answer SERVFAIL; sign the zone again", ["ns2 DNSSEC"]),
        (second(signatures=Signatures("expired", "SOA", NOW)), {}, "ns2: DNSSEC is expired (SOA)", ["ns2 DNSSEC"]),
        (second(signatures=replace(SIGNED, until=NOW + timedelta(days=1))), {},
         "ns2: signatures expire 2026-11-25 12:00 UTC, they must be valid for another 2 d: re-sign the zone", ["ns2 DNSSEC"]),
        (replace(GOOD, chain=Chain("broken", "DS has the key tags 1, the zone has 2")), {},
         "the key tags 1, the zone has 2: validating resolvers answer SERVFAIL; publish matching DS records", ["points not as required"]),
        (replace(GOOD, servers=(ONE, DEAD)), {}, "ns2: does not answer (no answer within 3 s) while others do", ["points not as required"]),
    ],
)  # fmt: skip
def test_each_deviation_fails_and_is_named(found, settings, says, bad):
    """Server or zone, value, limit and next step; readings show what concerns a single server."""
    judgement = judged(found, **settings)
    assert judgement.verdict is Verdict.FAIL
    assert says in judgement.reason
    assert reads_ill(judgement) == bad


@pytest.mark.parametrize(
    ("found", "settings", "says"),
    [
        (second(serial=None), {}, "ns2: returned no serial (SOA): run this again"),
        (second(names=()), {}, "ns2: returned no NS records: run this again"),
        (second(recursion=None), {}, "ns2: whether it offers recursion is unknown"),
        (second(signatures=None), {}, "ns2: whether the zone is signed there (DNSSEC) is unknown"),
        (second(signatures=Signatures("unclear", "no answer within 3 s")), {}, "DNSSEC could not be read: no answer within"),
        (second(signatures=Signatures("")), {}, "ns2: DNSSEC could not be read"),
        (second(signatures=Signatures("valid")), {}, "the expiry of its signatures is unknown"),
        (second(transfer="unclear", signatures=Signatures("unclear", "x")), {}, "allows zone transfers (AXFR) is unknown, it does"),
        (replace(GOOD, delegated=None, delegation_problem="refused"), {}, "could not be read: refused; check `dns.parent`"),
        (replace(GOOD, delegated=None), {}, "could not be read: the parent zone was not queried"),
        (replace(GOOD, delegated=()), {}, "could not be read: the parent zone was not queried"),
        (replace(GOOD, chain=None), {}, f"DS records of {ZONE} were not looked up"),
        (replace(both(signatures=SIGNED), chain=Chain("unclear", "x")), {}, "has a DS record for example.com is unknown: x"),
        (replace(both(signatures=SIGNED), chain=Chain("unclear", "x")), {"dnssec": True}, "DS record for example.com is unknown"),
        (replace(GOOD, servers=(replace(DEAD, server="ns1", name=NAMES[0], address="192.0.2.53:53"), DEAD)), {}, "check the server and the"),
    ],
)  # fmt: skip
def test_what_was_not_told_is_inconclusive(found, settings, says):
    judgement = judged(found, **settings)
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert says in judgement.reason
    assert reads_ill(judgement) == []


def test_no_server_at_all_does_not_pass():
    """Too few servers is a failure; if none are required, there is nothing to report."""
    nobody = replace(GOOD, servers=(), delegated=None, chain=None)
    assert judged(nobody).verdict is Verdict.FAIL
    lenient = judged(nobody, min_servers=0, parent=[])
    assert (lenient.verdict, lenient.reason) == (Verdict.INCONCLUSIVE, "there is no server to query")


def test_a_dead_server_is_held_against_one_that_answers_alone():
    """If no server answers, another failure does not mean that others do."""
    judgement = judged(replace(GOOD, servers=(DEAD,)))
    assert judgement.verdict is Verdict.FAIL
    assert "has 1 name server at distinct addresses" in judgement.reason
    assert "others do" not in judgement.reason


def test_limits_are_inclusive():
    """Signatures that are valid exactly as long as they must be, and exactly as many servers as required."""
    left = DNS.signatures_left
    exactly = replace(both(signatures=replace(SIGNED, until=NOW + left)), chain=Chain("fits"))
    assert judged(exactly).verdict is Verdict.PASS
    less = replace(
        both(signatures=replace(SIGNED, until=NOW + left - timedelta(seconds=1))), chain=Chain("fits")
    )
    assert judged(less).verdict is Verdict.FAIL
    assert judged(min_servers=2).verdict is Verdict.PASS
    assert judged(min_servers=3).verdict is Verdict.FAIL


def test_what_changes_no_verdict_is_a_note():
    """Each passes with a note: several providers, no parent to query, an AXFR without an answer, servers not queried."""
    for found, settings, note in (
        (second(serial=6), {"same_serial": False}, ""),
        (
            replace(GOOD, delegated=None, chain=None),
            {"parent": []},
            "were not compared: `dns.parent` is not set",
        ),
        (
            second(transfer="unclear"),
            {},
            "ns2: a zone transfer (AXFR) got no answer, which counts as refused",
        ),
        (
            replace(GOOD, unnamed=("ns2.example.com (2001:db8::53)",)),
            {},
            "not queried, because they are not in `dns.servers`",
        ),
        (
            both(signatures=SIGNED),
            {},
            "is signed, but the parent zone has no DS record: resolvers do not validate it",
        ),
        (
            replace(GOOD, chain=Chain("unclear", "refused")),
            {},
            "has a DS record for example.com is unknown: refused",
        ),
    ):
        judgement = judged(found, **settings)
        assert judgement.verdict is Verdict.PASS, judgement.reason
        assert note in " ".join(judgement.notes)
        assert reads_ill(judgement) == []


STATES = st.sampled_from(["unsigned", "valid", "expired", "broken", "unclear", ""])
ANY = st.builds(
    ZoneAt,
    st.sampled_from(["ns1", "ns2"]),
    st.sampled_from(NAMES),
    st.sampled_from(["192.0.2.53:53", "192.0.2.54:53"]),
    st.booleans(),
    st.sampled_from(["", "NOERROR", "REFUSED"]),
    st.none() | st.integers(6, 7),
    st.sampled_from([(), NAMES]),
    st.none() | st.booleans(),
    st.sampled_from(["refused", "allowed", "unclear", ""]),
    st.none() | st.builds(Signatures, STATES, st.just("x"), st.none() | st.just(NOW + timedelta(days=9))),
    st.sampled_from(["", "no answer"]),
)


@given(
    st.lists(ANY, max_size=3).map(tuple),
    st.sampled_from([None, (), NAMES]),
    st.none() | st.builds(Chain, st.sampled_from(["none", "fits", "broken", "unclear", ""])),
)
def test_only_what_was_told_passes(servers, delegated, chain):
    """A pass has complete answers from every server, and a delegation that was read."""
    judgement = judged(ZoneFacts(ZONE, NOW, servers, delegated, chain=chain))
    if judgement.verdict is Verdict.PASS:
        assert len(servers) >= 2
        assert delegated == NAMES
        assert chain is not None
        assert reads_ill(judgement) == []
        for one in servers:
            assert one.authoritative
            assert not one.problem
            assert one.serial is not None
            assert one.names == NAMES
            assert one.recursion is False
            assert one.transfer != "allowed"
            assert one.signatures is not None
            assert one.signatures.state in ("unsigned", "valid")
    else:
        assert judgement.reason


def test_a_server_that_our_side_cannot_reach_is_not_down():
    """Without a route from here (IPv6, mostly) the other servers' answers prove nothing about it."""
    ours = replace(DEAD, problem="no route from here: Network is unreachable", ours=True)
    found = judged(replace(GOOD, servers=(ONE, ours)))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "cannot be reached from here" in found.reason
    assert judged(replace(GOOD, servers=(ONE, DEAD))).verdict is Verdict.FAIL
