"""Policy pages and the maintenance page: what is missing, old, answered wrongly, loaded from elsewhere, or not drilled."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from pytest_deploygate.inventory.pages import Maintenance, MaintenanceDrill, PolicyPage
from pytest_deploygate.judge.pages import judge_drill, judge_maintenance, judge_policy
from pytest_deploygate.model import Verdict
from pytest_deploygate.probes.pages import MaintenanceFacts, MaintenanceRecord, Page, dates

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
)


@pytest.mark.parametrize(
    ("page", "verdict", "says"),
    [
        (PAGE, Verdict.PASS, "states 2026-11-14"),
        (replace(PAGE, status=404), Verdict.FAIL, "404"),
        (replace(PAGE, status=None, problem="no answer in time"), Verdict.INCONCLUSIVE, "no answer in time"),
        (replace(PAGE, dates=(date(2024, 5, 1),)), Verdict.FAIL, "before 2026-11-01"),
        (replace(PAGE, dates=()), Verdict.INCONCLUSIVE, "no date"),
        (replace(PAGE, dates=(date(2027, 1, 1),)), Verdict.INCONCLUSIVE, "no date"),
    ],
)
def test_policy_pages(page, verdict, says):
    """A date in the future proves nothing; no date is not a pass."""
    judgement = judge_policy(page, POLICY)
    assert judgement.verdict is verdict
    assert says in judgement.reason


def test_dates_as_people_write_them():
    """Four forms; the American one with slashes is read in two ways and left out."""
    text = "2026-11-24, 3rd March 2025, Sept 5, 2024, 24.12.2023, 01/02/2022, 31 February 2020"
    assert [d.isoformat() for d in dates(text)] == ["2026-11-24", "2025-03-03", "2024-09-05", "2023-12-24"]


DRILL = MaintenanceDrill(stop="a", start="b", application=URL, record=Path("drill.json"))
WANTED = Maintenance(url=URL, drill=DRILL)
READY = replace(PAGE, status=503, retry_after="1800")
RECORD = MaintenanceRecord(NOW - timedelta(days=1), 503, "a", application_down=True, outcome="good")


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
        ((), Verdict.INCONCLUSIVE, "was read 0 times of 2"),
    ],
)
def test_the_maintenance_page(reads, verdict, says):
    """Each thing that can be wrong is named; nothing read is not a pass; one look confirms nothing."""
    judgement = judge_maintenance(reads, WANTED)
    assert judgement.verdict is verdict
    assert says in judgement.reason
    assert not judgement.confirmed


@pytest.mark.parametrize(
    ("page", "record", "verdict", "says"),
    [
        (READY, RECORD, Verdict.PASS, "served with the application down"),
        (READY, None, Verdict.INCONCLUSIVE, "no record"),
        (READY, replace(RECORD, sha256="x"), Verdict.INCONCLUSIVE, "has changed"),
        (READY, replace(RECORD, at=NOW - timedelta(days=99)), Verdict.INCONCLUSIVE, "99 d old"),
        (READY, replace(RECORD, outcome="it answered 502"), Verdict.FAIL, "502"),
        (replace(READY, status=None, problem="no answer"), RECORD, Verdict.INCONCLUSIVE, "no answer"),
    ],
)
def test_the_drill_of_the_maintenance_page(page, record, verdict, says):
    """Nothing drilled, long ago, or another page is not a pass; a drill is not done twice, so nothing is confirmed."""
    judgement = judge_drill(MaintenanceFacts(page, record), WANTED)
    assert judgement.verdict is verdict
    assert says in judgement.reason
    assert not judgement.confirmed


def test_without_a_drill_the_page_was_not_seen_with_the_application_down():
    judgement = judge_drill(MaintenanceFacts(READY, None), WANTED.model_copy(update={"drill": None}))
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert "was never tested: add `drill:" in judgement.reason
