"""The judge of a switch on answers made by hand: old, missing, partial, and how long resolvers may keep the old one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_deploygate.checks.dns.facts import NameAt, NameFacts, Observation, Records, Switch
from pytest_deploygate.checks.dns.judge.cutover import judge_cutover
from pytest_deploygate.checks.dns.section import Cutover
from pytest_deploygate.model import Verdict

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
NAME = "app.example.com"
OLD, NEW = ("198.51.100.1",), ("192.0.2.20",)
CUTOVER = Cutover(name=NAME, addresses=["192.0.2.20"], within=timedelta(minutes=5))
UDP = Records("UDP", "NOERROR", authoritative=True, values=NEW, ttl_s=60)
LOST = Records("TCP", problem="no answer within 3 s", attempts=2)
HOUR = timedelta(hours=1)
#: The old answer was last seen two hours ago, the new one an hour ago: a TTL of a minute expired long ago.
EARLIER = (Observation(NOW - 2 * HOUR, NAME, OLD, 60), Observation(NOW - HOUR, NAME, NEW, 60))


def server(name="ns1", *, resolver=False, tcp=None, **changes):
    udp = replace(UDP, **changes)
    return NameAt(name, resolver, (udp, tcp or replace(udp, transport="TCP")))


def judged(*servers, earlier=EARLIER, rounds=2, first_all_s=1.5, cutover=CUTOVER):
    return judge_cutover(Switch(NameFacts(NAME, NOW, servers), rounds, 300.0, first_all_s, earlier), cutover)


def counted(judgement):
    return [(reading.value, reading.limit, reading.ok) for reading in judgement.readings]


def test_a_switch_that_everybody_has_passes():
    judgement = judged(server(), server("resolver", resolver=True, authoritative=False))
    assert judgement.verdict is Verdict.PASS
    assert (
        judgement.reason
        == f"2 servers return 192.0.2.20 for {NAME}, and the old answer has expired everywhere"
    )
    assert counted(judgement) == [(2, "2", True), (1.5, "waits at most 5 min", True)]
    assert judgement.confirmed


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (server("ns2", values=OLD),
         f"ns2: still returns 198.51.100.1 (TTL 60) for {NAME} after 5 min (limit 5 min), expected 192.0.2.20: the change has "
         "not reached it: change the record there, or find out why the zone transfer fails"),
        (server("ns2", values=(*NEW, *OLD)), "still returns 192.0.2.20, 198.51.100.1"),
        (server("ns2", tcp=replace(UDP, transport="TCP", values=OLD)), "still returns 192.0.2.20 (TTL 60) | 198.51.100.1"),
        # An answer over one transport counts, whether or not the other one answered.
        (server("ns2", values=OLD, tcp=LOST), "ns2: still returns 198.51.100.1"),
        (server("ns2", values=(), ttl_s=None), f"ns2: has no record for {NAME} after"),
        (server("ns2", values=(), ttl_s=None, rcode="REFUSED", authoritative=False),
         f"ns2: answers REFUSED for {NAME} after 5 min (limit 5 min), expected 192.0.2.20: it does not serve the zone (lame)"),
        (server("ns2", resolver=True, values=OLD, ttl_s=240),
         "its users reach the old system for another 4 min; flush its cache, or keep the old side serving"),
        (server("ns2", resolver=True, values=(), ttl_s=None, rcode="SERVFAIL"), "check that resolver, and keep the old side"),
    ],
)  # fmt: skip
def test_whoever_does_not_give_the_new_answer_alone_fails(found, says):
    """Server, answer, time, limit and next step; readings count the others and are marked bad."""
    judgement = judged(server(), found, first_all_s=None)
    assert judgement.verdict is Verdict.FAIL
    assert says in judgement.reason
    assert counted(judgement) == [(1, "2", False), (None, "waits at most 5 min", False)]


def test_a_failure_is_confirmed_by_a_second_round():
    assert judged(server(values=OLD), rounds=2).confirmed
    assert not judged(server(values=OLD), rounds=1).confirmed


def test_an_alias_is_switched_too():
    alias = Cutover(name=NAME, cname="New.example.net")
    earlier = (at(2 * HOUR, ("old.example.net",)), at(HOUR, ("new.example.net",)))
    switched = judged(server(values=("new.example.net",)), cutover=alias, earlier=earlier)
    assert switched.verdict is Verdict.PASS
    judgement = judged(server(values=("old.example.net",)), cutover=alias)
    assert judgement.verdict is Verdict.FAIL
    assert "expected New.example.net" in judgement.reason


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (server("ns2", tcp=LOST), f"ns2: TCP: no answer within 3 s: its answer for {NAME} is unknown"),
        (server("ns2", rcode="", values=()), "ns2: UDP: no answer was recorded"),
        (NameAt("ns2", resolver=False, over=()), "ns2: was not queried over UDP"),
        (NameAt("ns2", resolver=False, over=(UDP,)), "ns2: was not queried over TCP"),
    ],
)
def test_what_was_not_answered_is_inconclusive(found, says):
    """It does not count as new, and no reading says that all is well or not."""
    judgement = judged(server(), found)
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert says in judgement.reason
    assert counted(judgement)[0] == (1, "2", None)
    assert counted(judgement)[1][2] is None
    assert not judgement.confirmed


def test_nobody_to_ask_is_inconclusive():
    judgement = judged()
    assert (judgement.verdict, judgement.reason) == (Verdict.INCONCLUSIVE, "there is no server to query")
    assert counted(judgement)[0] == (0, "0", None)


def at(ago, values, ttl_s=60):
    return Observation(NOW - ago, NAME, values, ttl_s)


@pytest.mark.parametrize(
    ("earlier", "says"),
    [
        ((), f"{NAME} was never observed before the switch, so how long resolvers keep the old answer is unknown: keep the old "
             "side serving until 2026-12-01 12:00 UTC"),
        # Asking again changes nothing, nor does any observation of the new answer alone.
        ((at(HOUR, NEW), at(HOUR / 2, NEW)), "until 2026-12-01 11:00 UTC"),
        ((at(144 * HOUR, NEW, 86400),), "was never observed before the switch"),
        # There was no record: resolvers keep that, too.
        ((at(2 * HOUR, (), 86400), at(HOUR, NEW)), "(no record, TTL 86400 s)"),
        # The new answer was never seen before now: the old one may have been served until now.
        ((at(HOUR, OLD, 600),),
         f"the old answer of {NAME} (198.51.100.1, TTL 600 s) was last seen 2026-11-24 11:00 UTC: resolvers may keep it until "
         "2026-11-24 12:10 UTC; keep the old side serving, then run this again"),
        ((at(2 * HOUR, OLD, 3601), at(HOUR, NEW)), "until 2026-11-24 12:00 UTC"),
        # The highest of the old TTLs counts, not the last one.
        ((at(3 * HOUR, OLD, 9000), at(2 * HOUR, OLD, 60), at(HOUR, NEW)), "TTL 9000 s"),
    ],
)  # fmt: skip
def test_the_old_answer_may_still_be_kept(earlier, says):
    judgement = judged(server(), earlier=earlier)
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert says in judgement.reason


@pytest.mark.parametrize(
    "earlier",
    [
        (at(2 * HOUR, OLD, 3600), at(HOUR, NEW)),  # it expires at this moment
        (at(9 * HOUR, OLD, 60), at(8 * HOUR, NEW), at(HOUR, NEW)),
        (at(9 * HOUR, (), 60), at(8 * HOUR, NEW)),
        (at(169 * HOUR, NEW),),  # no resolver keeps an answer for longer than a week
    ],
)
def test_an_old_answer_that_has_expired_passes(earlier):
    assert judged(server(), earlier=earlier).verdict is Verdict.PASS


RECORDS = st.builds(
    Records,
    st.sampled_from(["UDP", "TCP"]),
    st.sampled_from(["", "NOERROR", "NXDOMAIN"]),
    st.booleans(),
    st.just(()),
    st.sampled_from([(), OLD, NEW, NEW + OLD]),
    st.none() | st.just(60),
    st.sampled_from(["", "no answer"]),
)
SERVERS = st.lists(
    st.builds(NameAt, st.just("ns"), st.booleans(), st.lists(RECORDS, max_size=2).map(tuple)), max_size=3
)


@given(SERVERS, st.sampled_from([(), EARLIER, EARLIER[:1]]))
def test_only_the_new_answer_from_everybody_passes(servers, earlier):
    judgement = judged(*servers, earlier=earlier)
    if judgement.verdict is Verdict.PASS:
        assert servers
        assert earlier == EARLIER
        for one in servers:
            assert {records.transport for records in one.over} == {"UDP", "TCP"}
            assert all(records.values == NEW and not records.problem for records in one.over)
        assert all(ok for _, _, ok in counted(judgement))
    else:
        assert judgement.reason
        assert (
            not all(ok for _, _, ok in counted(judgement)) or "old answer" in judgement.reason or not earlier
        )
