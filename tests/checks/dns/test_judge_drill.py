"""The judge of a failover drill on records made by hand: failed, too slow, old, of another configuration, or incomplete."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_deploygate.checks.dns.facts import FailoverFacts
from pytest_deploygate.checks.dns.judge.drill import judge_failover, judge_without_standby
from pytest_deploygate.checks.dns.section import Dns, DnsFailover, DnsName, NameServer, Standby
from pytest_deploygate.drills.record import Evidence, Record, digest
from pytest_deploygate.model import Verdict

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
NAME = "app.example.com"
DAY = timedelta(days=1)
FAILOVER = DnsFailover(stop="stop", restore="restore", record=Path("drill.json"))
ABOUT = {"zone": "example.com", "standby": "192.0.2.20"}
FACTS = FailoverFacts(NAME, switched_s=12.3, back_s=20.0)
RECORD = Record(NOW - 10 * DAY, "good", FACTS, environment="prod", configuration=ABOUT, digest=digest(ABOUT))
AGAIN = "run the drill with --allow-disruptive=prod"


def judged(record=RECORD, expected=FAILOVER, *, ran_now=False, problem="there is no record drill.json"):
    found = Evidence(
        record, problem, "drill.json", ran_now=ran_now, configuration=ABOUT, environment="prod", now=NOW
    )
    return judge_failover(found, expected)


def reads_ill(judgement):
    return [reading.name for reading in judgement.readings if reading.ok is False]


def test_a_drill_that_worked_passes():
    """On record with its date, or run now."""
    judgement = judged()
    assert judgement.verdict is Verdict.PASS
    assert judgement.reason == (
        f"drilled on 2026-11-14: {NAME} pointed to the standby after 12.3 s and came back after 20.0 s"
    )
    assert reads_ill(judgement) == []
    assert judged(replace(RECORD, date=NOW), ran_now=True).reason.startswith("drilled now: ")


@pytest.mark.parametrize(
    ("record", "verdict", "says", "bad"),
    [
        (replace(RECORD, outcome="failed", reason=f"{NAME} did not come back to 192.0.2.10 in time"), Verdict.FAIL,
         f"the failover drill of {NAME} of 2026-11-14 12:00 UTC failed: {NAME} did not come back to 192.0.2.10 in time; {AGAIN}",
         ["outcome of the drill"]),
        (replace(RECORD, outcome=""), Verdict.FAIL, "failed: no outcome was recorded", ["outcome of the drill"]),
        (replace(RECORD, facts=replace(FACTS, switched_s=120.1)), Verdict.FAIL,
         f"in the drill of 2026-11-14 12:00 UTC {NAME} pointed to the standby after 120.1 s, limit 2 min: shorten its TTL",
         ["time until the name points to the standby"]),
        (replace(RECORD, configuration=ABOUT | {"standby": "192.0.2.21"}, digest="d0"), Verdict.INCONCLUSIVE,
         f"tested another configuration: standby was '192.0.2.21', is '192.0.2.20'; {AGAIN}", ["configuration"]),
        (replace(RECORD, configuration={}, digest="d0"), Verdict.INCONCLUSIVE, "its settings are not on record", ["configuration"]),
        (replace(RECORD, digest="", configuration={}), Verdict.INCONCLUSIVE, f"the record names no configuration; {AGAIN}",
         ["configuration"]),
        (replace(RECORD, environment="staging"), Verdict.INCONCLUSIVE, "was run in 'staging', this is 'prod'", ["environment of the drill"]),
        (replace(RECORD, date=NOW - 90 * DAY - timedelta(hours=12)), Verdict.INCONCLUSIVE,
         f"2026-08-26 00:00 UTC, is 90.5 d old, limit 90 d; {AGAIN}", ["date of the drill"]),
        (replace(RECORD, date=NOW + DAY), Verdict.INCONCLUSIVE, "is dated 2026-11-25 12:00 UTC, which is in the future",
         ["date of the drill"]),
        (replace(RECORD, facts=replace(FACTS, switched_s=None)), Verdict.INCONCLUSIVE,
         f"the drill's record drill.json contains no times; {AGAIN}", ["time until the name points to the standby"]),
        (replace(RECORD, facts=replace(FACTS, back_s=None)), Verdict.INCONCLUSIVE, "drill.json contains no times", []),
        (None, Verdict.INCONCLUSIVE, f"no failover drill on record: there is no record drill.json; {AGAIN}", []),
    ],
)  # fmt: skip
def test_each_deviation_is_named(record, verdict, says, bad):
    """A drill that failed or was too slow fails; one that proves nothing about today is inconclusive."""
    judgement = judged(record)
    assert judgement.verdict is verdict
    assert says in judgement.reason
    assert reads_ill(judgement) == bad


def test_limits_are_inclusive():
    assert judged(replace(RECORD, date=NOW - 90 * DAY)).verdict is Verdict.PASS
    assert judged(replace(RECORD, facts=replace(FACTS, switched_s=120.0))).verdict is Verdict.PASS
    # Today's limit applies, even to a drill that ran when it was higher.
    assert (
        judged(expected=FAILOVER.model_copy(update={"within": timedelta(seconds=12)})).verdict is Verdict.FAIL
    )


def test_without_a_way_to_drill_it_is_inconclusive():
    judgement = judged(expected=None)
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert (
        "a failover has never been tested: add `failover: {stop: …, restore: …, record: …}`"
        in judgement.reason
    )


def test_a_name_without_a_standby_needs_another_one_that_has_it():
    plain = DnsName(name="www.example.com", cname=NAME)
    app = DnsName(name=NAME, addresses=["192.0.2.10"], standby=Standby(address="192.0.2.20"))
    servers = [NameServer(name="ns1", address="192.0.2.53")]
    judgement = judge_without_standby(plain, Dns(zone="example.com", servers=servers, names=[plain, app]))
    assert judgement.verdict is Verdict.PASS
    assert judgement.reason == f"www.example.com has no standby of its own; {NAME} fails over"
    for names in ([plain], []):
        dns = Dns(zone="example.com", servers=servers).model_copy(update={"names": names})
        judgement = judge_without_standby(plain, dns)
        assert judgement.verdict is Verdict.INCONCLUSIVE
        assert "add `standby: {address: …}` to www.example.com" in judgement.reason


@given(
    st.none()
    | st.builds(
        Record,
        st.sampled_from([NOW, NOW - DAY, NOW - 99 * DAY, NOW + DAY]),
        st.sampled_from(["good", "", "bad"]),
        st.builds(FailoverFacts, st.just(NAME), st.none() | st.floats(0, 500), st.none() | st.floats(0, 500)),
        environment=st.sampled_from(["prod", "staging", ""]),
        configuration=st.sampled_from([ABOUT, {}]),
        digest=st.sampled_from([digest(ABOUT), "d2", ""]),
    ),
    st.sampled_from([None, FAILOVER]),
)
def test_only_a_whole_and_recent_record_passes(record, expected):
    judgement = judged(record, expected)
    if judgement.verdict is Verdict.PASS:
        assert expected is not None
        assert record is not None
        assert (record.digest, record.outcome) == (digest(ABOUT), "good")
        assert record.environment in ("prod", "")
        assert NOW - 90 * DAY <= record.date <= NOW
        assert record.facts.switched_s <= 120
        assert record.facts.back_s is not None
        assert reads_ill(judgement) == []
    else:
        assert judgement.reason
