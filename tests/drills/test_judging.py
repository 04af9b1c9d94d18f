"""The criteria common to all drills, on records made by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_deploygate.drills.judging import CLOCKS, Counted, counted, doubt, rerun
from pytest_deploygate.drills.record import Evidence, Record, digest
from pytest_deploygate.model import Judgement, Reading, Verdict

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
ABOUT = {"zone": "example.com", "stop": "stop it"}
GOOD = Record(NOW - DAY, "good", 5, environment="prod", configuration=ABOUT, digest=digest(ABOUT))
FOUND = Evidence(GOOD, "", "r.json", ran_now=False, configuration=ABOUT, environment="prod", now=NOW)


def judged(found, **more):
    own = (Reading("rows", 5),)
    return counted(found, 90 * DAY, "failover drill", "run it again", readings=lambda _: own, **more)


def having(**changes):
    return replace(FOUND, record=replace(GOOD, **changes))


def reads_ill(readings):
    return [reading.name for reading in readings if reading.ok is False]


@pytest.mark.parametrize(
    "found",
    [
        FOUND,
        having(date=NOW - 90 * DAY),
        having(date=NOW + CLOCKS),
        having(environment=""),
        replace(FOUND, environment=""),
        replace(having(digest="", configuration={}), configuration=None),
        # The drill itself may have changed the configuration, and is no older than this run.
        replace(having(digest="", configuration={}, environment="x"), ran_now=True),
    ],
)
def test_the_facts_of_a_drill_that_counts_are_still_to_judge(found):
    drill = judged(found)
    assert isinstance(drill, Counted)
    assert drill.record is found.record
    assert [reading.name for reading in drill.readings][-1] == "rows"
    assert reads_ill(drill.readings) == []


@pytest.mark.parametrize(
    ("found", "says", "bad"),
    [
        (replace(FOUND, record=None, problem="there is no record r.json"), "no failover drill on record: there is no record r.json", []),
        (replace(FOUND, record=None), "no failover drill on record: no reason was recorded", []),
        (replace(FOUND, record=None, ran_now=True), "no failover drill on record", []),
        (having(environment="staging"), "the failover drill on record was run in 'staging', this is 'prod'",
         ["environment of the drill"]),
        (having(environment="staging", outcome="failed"), "was run in 'staging'",
         ["outcome of the drill", "environment of the drill"]),
        (having(date=NOW + CLOCKS + timedelta(seconds=1)), "2026-03-01 12:05 UTC, which is in the future: check the clocks",
         ["date of the drill"]),
        (having(date=NOW - 91 * DAY), "2025-11-30 12:00 UTC, is 91 d old, limit 90 d", ["date of the drill"]),
        (replace(FOUND, configuration=ABOUT | {"stop": "other"}), "stop was 'stop it', is 'other'", ["configuration"]),
        (replace(FOUND, configuration=ABOUT | {"new": "1"}), "new was not set, is '1'", ["configuration"]),
        (replace(FOUND, configuration={"zone": "example.com"}), "stop was 'stop it', is not set", ["configuration"]),
        (having(digest="forged"), "its digest does not match its settings", ["configuration"]),
        (having(digest="", configuration={}), "the record names no configuration", ["configuration"]),
        (having(digest="d", configuration={}), "its settings are not on record", ["configuration"]),
    ],
)  # fmt: skip
def test_what_says_nothing_about_today_is_inconclusive_and_names_the_next_step(found, says, bad):
    judgement = judged(found)
    assert isinstance(judgement, Judgement)
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert says in judgement.reason
    assert judgement.reason.endswith("; run it again")
    assert reads_ill(judgement.readings) == bad


@pytest.mark.parametrize("ran_now", [True, False])
@pytest.mark.parametrize("date", [NOW, NOW - 99 * DAY, NOW + DAY])
@pytest.mark.parametrize(
    ("outcome", "reason", "says"),
    [
        ("failed", "it did not come back", "it did not come back"),
        ("lost", "", "lost"),
        ("", "", "no outcome was recorded"),
        ("Good", "", "Good"),
    ],
)
def test_a_drill_that_failed_fails_however_old_it_is(ran_now, date, outcome, reason, says):
    """Until one has succeeded, it is unknown whether it would succeed now."""
    found = replace(having(outcome=outcome, reason=reason, date=date), ran_now=ran_now)
    judgement = judged(found)
    assert isinstance(judgement, Judgement)
    assert judgement.verdict is Verdict.FAIL
    assert f"UTC failed: {says}; run it again" in judgement.reason


def test_facts_may_say_better_why_it_failed():
    """They fail a record that claims to be good; if they are silent, the outcome counts."""
    judgement = judged(FOUND, failure=lambda record: f"{record.facts} rows were lost")
    assert isinstance(judgement, Judgement)
    assert judgement.verdict is Verdict.FAIL
    assert "5 rows were lost" in judgement.reason
    assert isinstance(judged(FOUND, failure=lambda _: ""), Counted)
    judgement = judged(having(outcome="bad"), failure=lambda _: "")
    assert isinstance(judgement, Judgement)
    assert judgement.verdict is Verdict.FAIL


def test_the_next_step_names_the_environment():
    assert rerun("prod") == "run the drill with --allow-disruptive=prod"
    assert rerun("") == "run the drill with --allow-disruptive=INVENTORY"


@given(
    st.builds(
        Evidence,
        st.none()
        | st.builds(
            Record,
            st.integers(-40, 200).map(lambda days: NOW - days * DAY),
            st.sampled_from(["good", "failed", ""]),
            st.just(5),
            reason=st.sampled_from(["", "because"]),
            environment=st.sampled_from(["prod", "staging", ""]),
            configuration=st.sampled_from([ABOUT, {}, {"zone": "x"}]),
            digest=st.sampled_from([digest(ABOUT), "", "d"]),
        ),
        st.sampled_from(["", "no file"]),
        st.just("r.json"),
        st.booleans(),
        st.sampled_from([ABOUT, None, {}]),
        st.sampled_from(["prod", ""]),
        st.just(NOW),
    )
)
def test_nothing_passes_here_and_only_a_good_recent_drill_of_this_configuration_counts(found):
    drill = judged(found)
    record = found.record
    if isinstance(drill, Judgement):
        assert drill.verdict in (Verdict.FAIL, Verdict.INCONCLUSIVE)
        assert drill.reason
        return
    assert record is not None
    assert record.outcome == "good"
    assert doubt(found, 90 * DAY, "drill") == ""
    if not found.ran_now:
        assert -CLOCKS <= NOW - record.date <= 90 * DAY
        assert found.configuration is None or record.digest == digest(found.configuration)
        assert {record.environment, found.environment} - {""} != {"prod", "staging"}
