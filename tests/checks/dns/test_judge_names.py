"""The judge of names in DNS on answers made by hand: each deviation alone, each gap, the TTL before a switch, CAA, standby."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_deploygate.checks.dns.facts import Health, NameAt, NameFacts, Observation, Records
from pytest_deploygate.checks.dns.judge.names import ExpectedName, Named, judge_name
from pytest_deploygate.checks.dns.section import Dns, DnsName, NameServer, Standby
from pytest_deploygate.model import Verdict

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
NAME = "app.example.com"
DNS = Dns(zone="example.com", servers=[NameServer(name="ns1", address="192.0.2.53")])
APP = DnsName(name=NAME, addresses=["192.0.2.0/24"])
ALIAS = DnsName(name=NAME, cname="Target.example.net.")
UDP = Records("UDP", "NOERROR", authoritative=True, values=("192.0.2.10",), ttl_s=60)
HEALTHY = Health("192.0.2.20:443", "/health", 200, 1)
WITH_STANDBY = APP.model_copy(update={"standby": Standby(address="192.0.2.20")})


def server(name="ns1", *, resolver=False, tcp=None, **changes):
    """Return a server that answers the same over both transports, unless `tcp` says otherwise."""
    udp = replace(UDP, **changes)
    return NameAt(name, resolver, (udp, tcp or replace(udp, transport="TCP")))


def judged(*servers, wanted=APP, caa=None, earlier=(), standby=None, switching=False, dns=DNS):
    facts = NameFacts(NAME, NOW, servers, caa)
    return judge_name(Named(facts, earlier, standby), ExpectedName(dns, wanted, switching))


def reads_ill(judgement):
    return [reading.name for reading in judgement.readings if reading.ok is False]


RESOLVER = server("resolver", resolver=True, authoritative=False, ttl_s=30)


def test_servers_that_agree_pass():
    """The reason has the number of servers and the highest TTL; no reading is bad."""
    judgement = judged(server(), server("ns2", ttl_s=300), RESOLVER)
    assert judgement.verdict is Verdict.PASS
    assert judgement.reason == "3 servers agree over UDP and TCP, TTL at most 300 s"
    assert reads_ill(judgement) == []


@pytest.mark.parametrize(
    ("found", "says", "bad"),
    [
        (server("ns2", rcode="NXDOMAIN", values=(), ttl_s=None),
         f"ns2: answers NXDOMAIN for {NAME}: check that it serves the zone example.com", ["ns2 UDP", "ns2 TCP"]),
        (server("ns2", authoritative=False), f"ns2: is not authoritative for {NAME} (lame): make it serve",
         ["ns2 UDP", "ns2 TCP"]),
        (server("ns2", values=(), ttl_s=None), f"ns2: has no record for {NAME}, expected 192.0.2.0/24: add the record",
         ["ns2 UDP", "ns2 TCP"]),
        (server("ns2", values=("198.51.100.1",)), f"returns 198.51.100.1 for {NAME}, expected 192.0.2.0/24: change the zone",
         ["ns2 UDP", "ns2 TCP"]),
        (server("ns2", values=("192.0.2.10", "198.51.100.1")), "returns 192.0.2.10, 198.51.100.1 for", ["ns2 UDP", "ns2 TCP"]),
        (server("ns2", tcp=replace(UDP, transport="TCP", values=("198.51.100.1",))), "returns 198.51.100.1", ["ns2 TCP"]),
        (server("ns2", ttl_s=301), f"returns {NAME} with a TTL of 301 s (limit 300 s): a switch would take up to 5.02 min",
         ["ns2 TTL"]),
        (server("ns2", resolver=True, values=("198.51.100.1",)), "flush its cache if it still has the old answer, or",
         ["ns2 UDP", "ns2 TCP"]),
        (server("ns2", resolver=True, values=(), aliases=("x.example.net",)),
         f"ns2: has no record for {NAME} (it is an alias of x.example.net), expected", ["ns2 UDP", "ns2 TCP"]),
    ],
)  # fmt: skip
def test_each_deviation_fails_and_is_named(found, says, bad):
    """Server, its answer, what was expected and the next step; only the reading of that server is bad."""
    judgement = judged(server(), found)
    assert judgement.verdict is Verdict.FAIL
    assert says in judgement.reason
    assert reads_ill(judgement) == bad


def test_an_alias_is_compared_without_case_and_final_dot():
    target = server(values=("target.example.net",))
    assert judged(target, wanted=ALIAS).verdict is Verdict.PASS
    judgement = judged(server(values=("other.example.net",)), wanted=ALIAS)
    assert judgement.verdict is Verdict.FAIL
    assert "returns other.example.net" in judgement.reason


LOST = Records("TCP", problem="no answer within 3 s", attempts=2)


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (server("ns2", tcp=LOST), "ns2: TCP: no answer within 3 s (2 attempts): check the server"),
        (server("ns2", rcode=""), "ns2: UDP: no answer was recorded (1 attempt)"),
        (NameAt("ns2", resolver=False, over=()), "ns2: was not queried over UDP: run this again"),
        (NameAt("ns2", resolver=False, over=(UDP,)), "ns2: was not queried over TCP: run this again"),
        (server("ns2", ttl_s=None), "ns2: UDP: its answer has no TTL: run this again"),
    ],
)
def test_what_was_not_answered_is_inconclusive(found, says):
    """Partial answers and none; another good server does not make up for it."""
    judgement = judged(server(), found)
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert says in judgement.reason
    assert reads_ill(judgement) == []


def test_nobody_to_ask_is_inconclusive():
    """No server at all, and resolvers alone: their TTL says nothing about the zone's."""
    for servers in ((), (RESOLVER,)):
        judgement = judged(*servers)
        assert judgement.verdict is Verdict.INCONCLUSIVE
        assert (
            f"no authoritative server was queried for {NAME}: add all of them to `dns.servers`"
            in judgement.reason
        )


def test_a_failure_beside_a_silent_server_is_a_failure():
    judgement = judged(server("ns1", values=("198.51.100.1",)), server("ns2", tcp=LOST))
    assert judgement.verdict is Verdict.FAIL


POINTS_AWAY = server(values=(), aliases=("edge.cdn.example",), ttl_s=60)


def test_an_alias_out_of_the_zone_needs_a_resolver():
    """Its own servers do not return the target's addresses; if no server does, nothing was compared."""
    alone = judged(POINTS_AWAY)
    assert alone.verdict is Verdict.INCONCLUSIVE
    assert (
        f"{NAME} is an alias of edge.cdn.example, whose addresses no server returned: add a resolver"
        in alone.reason
    )
    assert judged(POINTS_AWAY, RESOLVER).verdict is Verdict.PASS
    elsewhere = server("resolver", resolver=True, values=("198.51.100.1",))
    assert judged(POINTS_AWAY, elsewhere).verdict is Verdict.FAIL


def test_the_ttl_of_an_alias_counts_and_is_inclusive():
    """A switch of the alias takes as long as its own TTL; a resolver's is the remaining time and does not count."""
    high = server(values=(), aliases=("edge.cdn.example",), ttl_s=86400)
    judgement = judged(high, RESOLVER)
    assert judgement.verdict is Verdict.FAIL
    assert "TTL of 86400 s (limit 300 s)" in judgement.reason
    assert judged(server(ttl_s=300)).verdict is Verdict.PASS
    assert judged(server(), server("resolver", resolver=True, ttl_s=9000)).verdict is Verdict.PASS


WITH_CAA = APP.model_copy(update={"caa": ["ca.example"]})


def test_issuers_that_must_be_allowed():
    """Allowed, another one allowed, no record; if no server answered, a missing record proves nothing."""
    assert judged(server(), wanted=WITH_CAA, caa=("ca.example", "other.example")).verdict is Verdict.PASS
    other = judged(server(), wanted=WITH_CAA, caa=("other.example",))
    assert other.verdict is Verdict.FAIL
    assert other.reason == (
        f"CAA allows other.example to issue for {NAME}, not ca.example, so the next renewal will fail: add ca.example"
    )
    none = judged(server(), wanted=WITH_CAA)
    assert none.verdict is Verdict.FAIL
    assert (
        f"there is no CAA record at {NAME} or above it in the zone, so any authority may issue" in none.reason
    )
    silent = NameAt("ns1", resolver=False, over=(replace(LOST, transport="UDP"), LOST))
    assert judged(silent, wanted=WITH_CAA).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("health", "verdict", "says"),
    [
        (HEALTHY, Verdict.PASS, "the standby 192.0.2.20:443 is healthy"),
        (replace(HEALTHY, status=503, attempts=3), Verdict.FAIL, "answers 503 on /health, expected 200 (3 attempts)"),
        (replace(HEALTHY, status=301), Verdict.FAIL, "answers 301 on /health"),
        (replace(HEALTHY, status=None, problem="timed out", primary_status=200), Verdict.FAIL, "does not answer (timed out)"),
        (replace(HEALTHY, status=None, problem="timed out"), Verdict.INCONCLUSIVE, "nor does the active site: check"),
        (None, Verdict.INCONCLUSIVE, "the standby 192.0.2.20 was not checked"),
        (
            Health("192.0.2.20:443", "/health", 200, 3, lacking="body with 'DOWN'"),
            Verdict.FAIL,
            "the standby 192.0.2.20:443 answers 200 on /health, body with 'DOWN' (3 attempts), so a failover would not work",
        ),
        (
            Health("192.0.2.20:443", "/health", None, 3, "no route from here", 200, ours=True),
            Verdict.INCONCLUSIVE,
            "cannot be reached from here (no route from here)",
        ),
    ],
)  # fmt: skip
def test_the_standby_must_be_healthy(health, verdict, says):
    """The active site is the control: if it does not answer either, our network may be the cause."""
    judgement = judged(server(), wanted=WITH_STANDBY, standby=health)
    assert judgement.verdict is verdict
    assert says in judgement.reason


def test_a_standby_that_is_healthy_by_its_status_alone_is_noted():
    judgement = judged(server(), wanted=WITH_STANDBY, standby=replace(HEALTHY, unseen=True))
    assert judgement.verdict is Verdict.PASS
    assert "an error page with 200 counts as healthy: name text of a good answer with `contains`" in str(
        judgement.notes
    )


def seen(ago, ttl_s):
    return Observation(NOW - ago, NAME, ("192.0.2.10",), ttl_s)


DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("earlier", "verdict", "says"),
    [
        ((), Verdict.INCONCLUSIVE, f"this is the first observation of {NAME}: how long its TTL has been low is unknown"),
        ((seen(DAY, 86400),), Verdict.PASS, ""),  # it expires at this moment
        ((seen(DAY, 86401),), Verdict.INCONCLUSIVE,
         f"the TTL of {NAME} was 86401 s on 2026-11-23 12:00 UTC (limit 300 s): resolvers may keep that answer until "
         "2026-11-24 12:00 UTC; do not switch before"),
        ((seen(DAY, 604800), seen(DAY / 2, 3600)), Verdict.INCONCLUSIVE, "was 604800 s on 2026-11-23 12:00 UTC"),
        ((seen(9 * DAY, 86400), seen(8 * DAY, 300)), Verdict.PASS, ""),
    ],
)  # fmt: skip
def test_before_a_switch_the_ttl_must_have_been_low_for_long_enough(earlier, verdict, says):
    """The observation whose TTL expires last decides and is the one quoted."""
    judgement = judged(server(), earlier=earlier, switching=True)
    assert judgement.verdict is verdict
    assert says in judgement.reason
    assert judged(server(), earlier=earlier).verdict is Verdict.PASS


def test_since_when_the_ttl_is_low_is_a_note():
    judgement = judged(server(), earlier=(seen(9 * DAY, 60), seen(DAY, 300)), switching=True)
    assert judgement.verdict is Verdict.PASS
    assert judgement.notes == (f"the TTL of {NAME} has been low since 2026-11-15 12:00 UTC",)


RECORDS = st.builds(
    Records,
    st.sampled_from(["UDP", "TCP"]),
    st.sampled_from(["", "NOERROR", "NXDOMAIN"]),
    st.booleans(),
    st.sampled_from([(), ("x.example.net",)]),
    st.sampled_from([(), ("192.0.2.10",), ("198.51.100.1",)]),
    st.none() | st.just(60),
    st.sampled_from(["", "no answer"]),
)
SERVERS = st.lists(
    st.builds(NameAt, st.just("ns"), st.booleans(), st.lists(RECORDS, max_size=2).map(tuple)), max_size=3
)


@given(SERVERS, st.booleans())
def test_only_what_was_answered_passes(servers, wants_standby):
    """A pass has an authoritative server, answers over both transports, and the expected addresses from at least one server."""
    judgement = judged(*servers, wanted=WITH_STANDBY if wants_standby else APP)
    if judgement.verdict is Verdict.PASS:
        assert not wants_standby
        assert reads_ill(judgement) == []
        assert any(not one.resolver for one in servers)
        over = [records for one in servers for records in one.over]
        assert any(records.values for records in over)
        assert all({"UDP", "TCP"} == {r.transport for r in one.over} for one in servers)
        assert all(r.rcode == "NOERROR" and not r.problem for r in over)
        assert all(r.values == ("192.0.2.10",) or r.aliases for r in over)
    else:
        assert judgement.reason
