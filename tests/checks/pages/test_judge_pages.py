"""Policy pages and the maintenance page: what is missing, old, with a wrong answer, with external resources, or not drilled."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_deploygate.checks.pages.facts import DrillFacts, MaintenanceFacts, Page
from pytest_deploygate.checks.pages.judge import judge_drill, judge_maintenance, judge_policy
from pytest_deploygate.checks.pages.probe import dates
from pytest_deploygate.checks.pages.section import Maintenance, MaintenanceDrill, PolicyPage
from pytest_deploygate.drills.record import Evidence, Record, digest
from pytest_deploygate.model import Verdict

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
URL = "https://www.example.com/privacy"
POLICY = PolicyPage(url=URL, not_before=date(2026, 11, 1))
PAGE = Page(
    URL,
    NOW,
    200,
    text="Last updated: 14 November 2026",
    dates=(date(2026, 11, 14),),
    size_bytes=300,
    sha256="a",
    words=200,
)


@pytest.mark.parametrize(
    ("page", "verdict", "says"),
    [
        (PAGE, Verdict.PASS, "dated 2026-11-14"),
        (replace(PAGE, status=404), Verdict.FAIL, "404"),
        (replace(PAGE, status=None, problem="no answer in time"), Verdict.INCONCLUSIVE, "no answer in time"),
        (replace(PAGE, dates=(date(2024, 5, 1),)), Verdict.FAIL, "before 2026-11-01"),
        (replace(PAGE, dates=()), Verdict.INCONCLUSIVE, "no readable date"),
        (replace(PAGE, dates=(date(2027, 1, 1),)), Verdict.INCONCLUSIVE, "no readable date"),
    ],
)
def test_policy_pages(page, verdict, says):
    """A date in the future proves nothing; no date is not a pass."""
    judgement = judge_policy(page, POLICY)
    assert judgement.verdict is verdict
    assert says in judgement.reason


def test_dates_as_people_write_them():
    """Four forms; the American one with slashes is ambiguous and left out."""
    text = "2026-11-24, 3rd March 2025, Sept 5, 2024, 24.12.2023, 01/02/2022, 31 February 2020"
    assert [d.isoformat() for d in dates(text)] == ["2026-11-24", "2025-03-03", "2024-09-05", "2023-12-24"]


DRILL = MaintenanceDrill(stop="a", start="b", application=URL, record=Path("drill.json"))
WANTED = Maintenance(url=URL, drill=DRILL)
READY = replace(PAGE, status=503, retry_after="1800")
ABOUT = {"page": URL, "stop": "a"}
RECORD = Record(
    NOW - timedelta(days=1),
    "good",
    DrillFacts(503, "a", application_down=True),
    configuration=ABOUT,
    digest=digest(ABOUT),
)


def drilled(page, record, expected=WANTED):
    found = Evidence(
        record, "there is no record drill.json", "drill.json", ran_now=False, configuration=ABOUT, environment="prod", now=NOW
    )  # fmt: skip
    return judge_drill(MaintenanceFacts(page, found), expected)


def having(**changes):
    own = {name: value for name, value in changes.items() if hasattr(RECORD.facts, name)}
    other = {name: value for name, value in changes.items() if name not in own}
    return replace(RECORD, facts=replace(RECORD.facts, **own), **other)


@pytest.mark.parametrize(
    ("reads", "verdict", "says"),
    [
        ((READY, READY), Verdict.PASS, "answers 503 with Retry-After 1800"),
        ((replace(READY, status=200),) * 2, Verdict.FAIL, "expected 503"),
        ((replace(READY, retry_after=None),) * 2, Verdict.FAIL, "no Retry-After"),
        ((replace(READY, outside=("/app.js",)),) * 2, Verdict.FAIL, "loads /app.js"),
        ((replace(READY, size_bytes=10**6),) * 2, Verdict.FAIL, "limit"),
        ((replace(READY, redirected_to="/other"),) * 2, Verdict.FAIL, "redirects to /other"),
        ((READY, replace(READY, sha256="b")), Verdict.FAIL, "database"),
        ((READY, replace(READY, status=None, problem="gone")), Verdict.INCONCLUSIVE, "gone"),
        ((), Verdict.INCONCLUSIVE, "was read 0 of 2 times"),
    ],
)
def test_the_maintenance_page(reads, verdict, says):
    """Every defect is named; nothing read is not a pass; one read confirms nothing."""
    judgement = judge_maintenance(reads, WANTED)
    assert judgement.verdict is verdict
    assert says in judgement.reason
    assert not judgement.confirmed


@pytest.mark.parametrize(
    ("page", "record", "verdict", "says"),
    [
        (READY, RECORD, Verdict.PASS, "served with the application down"),
        (READY, None, Verdict.INCONCLUSIVE, "no record"),
        (READY, having(sha256="x"), Verdict.INCONCLUSIVE, "has changed"),
        (READY, having(date=NOW - timedelta(days=99)), Verdict.INCONCLUSIVE, "99 d old"),
        (READY, having(outcome="it answered 502"), Verdict.FAIL, "502"),
        (replace(READY, status=None, problem="no answer"), RECORD, Verdict.INCONCLUSIVE, "no answer"),
    ],
)
def test_the_drill_of_the_maintenance_page(page, record, verdict, says):
    """No drill, an old one, or one of another page is not a pass; a drill is not repeated, so nothing is confirmed."""
    judgement = drilled(page, record)
    assert judgement.verdict is verdict
    assert says in judgement.reason
    assert not judgement.confirmed


def test_without_a_drill_the_page_was_not_seen_with_the_application_down():
    judgement = drilled(READY, None, WANTED.model_copy(update={"drill": None}))
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert "was never tested: add `drill:" in judgement.reason


def reads_ill(judgement):
    return [reading.name for reading in judgement.readings if reading.ok is False]


@pytest.mark.parametrize(
    ("page", "policy", "verdict", "bad"),
    [
        (PAGE, POLICY, Verdict.PASS, []),
        (replace(PAGE, status=500), POLICY, Verdict.FAIL, ["status"]),
        (PAGE, POLICY.model_copy(update={"contains": ["Example Ltd"]}), Verdict.FAIL, ["expected words that are missing"]),
        (PAGE, POLICY.model_copy(update={"contains": ["last UPDATED"]}), Verdict.PASS, []),
        (replace(PAGE, dates=(date(2026, 11, 1),)), POLICY, Verdict.PASS, []),  # the day of the policy change
        (replace(PAGE, dates=(date(2026, 10, 31),)), POLICY, Verdict.FAIL, ["date on the page"]),
        (replace(PAGE, dates=(date(2026, 11, 24), date(2020, 1, 1))), POLICY, Verdict.PASS, []),  # the newest; today
        (replace(PAGE, dates=(date(2025, 11, 24),)), PolicyPage(url=URL), Verdict.PASS, []),  # 365 days ago
        (replace(PAGE, dates=(date(2025, 11, 23),)), PolicyPage(url=URL), Verdict.FAIL, ["date on the page"]),
    ],
)  # fmt: skip
def test_readings_of_a_policy_agree_with_the_verdict(page, policy, verdict, bad):
    """Limits are inclusive; without a date of the change the maximum age applies."""
    judgement = judge_policy(page, policy)
    assert judgement.verdict is verdict
    assert reads_ill(judgement) == bad


def test_reasons_about_a_policy_have_object_limit_and_next_step():
    assert judge_policy(replace(PAGE, status=404), POLICY).reason == (
        f"{URL} answers 404, expected 200: publish the page"
    )
    old = judge_policy(replace(PAGE, dates=(date(2020, 1, 1),)), POLICY)
    assert old.reason == (
        f"{URL} is dated 2020-01-01, before 2026-11-01 (the change of the policy): publish the new version"
    )
    words = judge_policy(PAGE, POLICY.model_copy(update={"contains": ["Example Ltd"]}))
    assert words.reason == f"{URL} lacks the words 'Example Ltd': check that it is the right page"
    unread = judge_policy(replace(PAGE, status=None), POLICY)
    assert unread.reason == f"{URL} could not be read (no reason was recorded): check that it is up"


@pytest.mark.parametrize(
    ("changes", "bad"),
    [
        ({"status": 200}, ["status"]),
        ({"status": 404}, ["status"]),
        ({"retry_after": None}, ["Retry-After"]),
        ({"size_bytes": 100 * 1024 + 1}, ["size"]),
        ({"size_bytes": 0}, ["size"]),
        ({"outside": ("/app.js",)}, ["external resources"]),
        ({"sha256": "b"}, ["different pages in 2 reads"]),
    ],
)
def test_readings_of_the_maintenance_page_show_the_read_that_was_wrong(changes, bad):
    """Whichever of the reads had it."""
    for reads in ((READY, replace(READY, **changes)), (replace(READY, **changes), READY)):
        judgement = judge_maintenance(reads, WANTED)
        assert judgement.verdict is Verdict.FAIL
        assert reads_ill(judgement) == bad


@pytest.mark.parametrize(
    ("retry_after", "waits"),
    [
        ("1", True),
        ("0", False),
        ("-1", False),
        ("", False),
        ("soon", False),
        ("²", False),
        ("9" * 5000, False),
        ("Tue, 24 Nov 2026 12:00:01 GMT", True),
        ("Tue, 24 Nov 2026 12:00:00 GMT", False),  # that time is now: clients retry at once
        ("Wed, 21 Oct 2015 07:28:00 GMT", False),
        ("Tue, 24 Nov 2026 13:00:00 -0000", False),  # without a zone
    ],
)
def test_retry_after_must_make_clients_wait(retry_after, waits):
    judgement = judge_maintenance((replace(READY, retry_after=retry_after),) * 2, WANTED)
    assert judgement.verdict is (Verdict.PASS if waits else Verdict.FAIL)
    assert waits or "Retry-After" in judgement.reason


def test_the_greatest_size_is_inclusive():
    assert judge_maintenance((replace(READY, size_bytes=100 * 1024),) * 2, WANTED).verdict is Verdict.PASS
    large = judge_maintenance((replace(READY, size_bytes=200 * 1024),) * 2, WANTED)
    assert large.reason == f"{URL}: size 200 kB, limit 100 kB: make it smaller"


def test_one_read_cannot_show_that_the_page_is_static():
    judgement = judge_maintenance((READY,), WANTED)
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert judgement.reason.startswith(f"{URL} was read 1 of 2 times")
    assert reads_ill(judgement) == []


def test_what_one_read_showed_fails_even_if_the_other_had_no_answer():
    judgement = judge_maintenance((replace(READY, status=200), replace(READY, status=None)), WANTED)
    assert judgement.verdict is Verdict.FAIL
    assert "answers 200, expected 503" in judgement.reason


def test_a_cookie_is_a_note():
    judgement = judge_maintenance((replace(READY, cookies=("sid",)),) * 2, WANTED)
    assert (judgement.verdict, judgement.notes) == (Verdict.PASS, ("sets the cookie sid",))


@pytest.mark.parametrize(
    ("changes", "verdict", "says", "bad"),
    [
        ({}, Verdict.PASS, "on 2026-11-23 12:00 UTC", []),
        ({"date": NOW - timedelta(days=90)}, Verdict.PASS, "on 2026-08-26", []),
        ({"date": NOW - timedelta(days=90, seconds=1)}, Verdict.INCONCLUSIVE, "90 d old, limit 90 d", ["date of the drill"]),
        ({"date": NOW + timedelta(days=1)}, Verdict.INCONCLUSIVE, "2026-11-25 12:00 UTC, which is in the future", ["date of the drill"]),
        ({"environment": "staging"}, Verdict.INCONCLUSIVE, "was run in 'staging', this is 'prod'", ["environment of the drill"]),
        ({"configuration": ABOUT | {"stop": "b"}, "digest": "x"}, Verdict.INCONCLUSIVE, "stop was 'b', is 'a'", ["configuration"]),
        ({"configuration": {}, "digest": ""}, Verdict.INCONCLUSIVE, "the record names no configuration", ["configuration"]),
        ({"application_down": False}, Verdict.INCONCLUSIVE, "does not show that the page answered 503", []),
        ({"status": 200}, Verdict.INCONCLUSIVE, "(drill.json) does not show", []),
        ({"status": None}, Verdict.INCONCLUSIVE, "does not show", []),
        ({"sha256": ""}, Verdict.INCONCLUSIVE, "does not show", []),
        ({"outcome": "it answered 502"}, Verdict.FAIL, "UTC failed: it answered 502; run the drill", ["outcome of the drill"]),
        ({"outcome": ""}, Verdict.FAIL, "no outcome was recorded", ["outcome of the drill"]),
    ],
)  # fmt: skip
def test_each_deviation_of_a_drill_is_named(changes, verdict, says, bad):
    """A record that contradicts its own outcome proves nothing; readings agree."""
    judgement = drilled(READY, having(**changes))
    assert judgement.verdict is verdict
    assert says in judgement.reason
    assert reads_ill(judgement) == bad


PAGES = st.builds(
    Page,
    st.just(URL),
    st.just(NOW),
    st.sampled_from([None, 200, 503]),
    retry_after=st.sampled_from([None, "", "0", "1800"]),
    size_bytes=st.sampled_from([0, 300, 10**6]),
    sha256=st.sampled_from(["", "a"]),
    dates=st.sampled_from([(), (date(2026, 11, 14),)]),
    words=st.sampled_from([0, 200]),
)
RECORDS = st.none() | st.builds(
    Record,
    st.sampled_from([NOW, NOW - timedelta(days=99), NOW + timedelta(days=1)]),
    st.sampled_from(["", "good"]),
    st.builds(DrillFacts, st.sampled_from([None, 503]), st.sampled_from(["", "a"]), st.booleans()),
    configuration=st.just(ABOUT),
    digest=st.sampled_from([digest(ABOUT), ""]),
)


@given(st.lists(PAGES, max_size=3).map(tuple), RECORDS)
def test_only_pages_that_were_read_pass(reads, record):
    """The policy, the maintenance page and its drill: missing data never passes, and readings agree."""
    maintenance = judge_maintenance(reads, WANTED)
    if maintenance.verdict is Verdict.PASS:
        assert len(reads) >= 2
        assert all((page.status, page.retry_after, page.size_bytes) == (503, "1800", 300) for page in reads)
    judgements = [maintenance]
    for page in reads:
        policy = judge_policy(page, POLICY)
        good = page.status == 200 and bool(page.dates) and page.words == 200
        assert (policy.verdict is Verdict.PASS) == good
        drill = drilled(page, record)
        if drill.verdict is Verdict.PASS:
            assert page.status is not None
            assert (record.date, record.outcome, record.digest) == (NOW, "good", digest(ABOUT))
            assert record.facts == DrillFacts(503, page.sha256, application_down=True)
        judgements += [policy, drill]
    for judgement in judgements:
        assert judgement.reason
        assert judgement.verdict is not Verdict.PASS or reads_ill(judgement) == []
