"""A restore counts if it reached the marker, equals its source, and meets the objectives; a record while it is recent."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pytest_deploygate.checks.backups.facts import RestoreFacts
from pytest_deploygate.checks.backups.judge.restore import judge_rehearsal, judge_restore
from pytest_deploygate.checks.backups.section import Backup
from pytest_deploygate.drills.record import Evidence, Record, digest
from pytest_deploygate.model import Verdict

NOW = datetime(2026, 3, 4, 8, 0, tzinfo=UTC)
EXPECTED = Backup.model_validate({"tool": "pgbackrest", "server": "platform", "rto": "1h", "rpo": "10m"})
ABOUT = {"version": "15"}
GOOD = RestoreFacts(
    rto_s=60.0, rpo_s=301.0, backup="F1", marker_at=NOW, marker_found=True, copied_s=40.0, tables=5, rows=1000,
    catalog_lines=50, indexes=7,
)  # fmt: skip
RECORD = Record(NOW, "good", GOOD, environment="prod", configuration=ABOUT, digest=digest(ABOUT))
NOW_RUN = Evidence(RECORD, "", "r.json", ran_now=True, configuration=ABOUT, environment="prod", now=NOW)
ON_RECORD = replace(NOW_RUN, ran_now=False)
REHEARSED = replace(ON_RECORD, configuration=None)


def having(evidence: Evidence[RestoreFacts], **changes: Any) -> Evidence[RestoreFacts]:
    own = {name: value for name, value in changes.items() if hasattr(GOOD, name)}
    other = {name: value for name, value in changes.items() if name not in own}
    return replace(evidence, record=replace(RECORD, facts=replace(GOOD, **own), **other))


@pytest.mark.parametrize("found", [NOW_RUN, ON_RECORD, having(ON_RECORD, date=NOW - timedelta(days=89))])
def test_a_good_drill_passes(found):
    assert judge_restore(found, EXPECTED).verdict is Verdict.PASS


@pytest.mark.parametrize(
    "step", ["restore", "start", "marker", "indexes", "contents", "isolation", "unheard of"]
)
def test_each_failed_step_fails(step):
    assert judge_restore(having(NOW_RUN, outcome=step, reason="because"), EXPECTED).verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rto_s": 4000.0}, "RTO objective 60 min"),
        ({"rpo_s": 700.0}, "RPO objective 10 min"),
        ({"rpo_s": None}, "no bound"),
    ],
)
def test_objectives_that_are_missed_fail(changes, words):
    judged = judge_restore(having(NOW_RUN, **changes), EXPECTED)
    assert (judged.verdict, words in judged.reason) == (Verdict.FAIL, True), judged.reason


@pytest.mark.parametrize(
    "changes",
    [
        {"rto_s": None},
        {"marker_found": None},
        {"marker_found": False},
        {"rows": 0},
        {"index_problem": "no amcheck"},
        {"uncertain_rows": 200},
    ],
)
def test_what_proves_too_little_is_inconclusive(changes):
    assert judge_restore(having(NOW_RUN, **changes), EXPECTED).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    "found",
    [
        replace(ON_RECORD, record=None, problem="there is no record"),
        having(ON_RECORD, date=NOW - timedelta(days=91)),
        having(ON_RECORD, date=NOW + timedelta(hours=1)),
        replace(ON_RECORD, configuration={"version": "16"}),
        replace(ON_RECORD, environment="staging"),
        having(ON_RECORD, digest=""),
    ],
)
def test_no_restore_now_and_no_record_that_counts_is_inconclusive(found):
    assert judge_restore(found, EXPECTED).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("date", [NOW, NOW - timedelta(days=120)])
def test_a_failed_drill_on_record_fails_however_old_it_is(date):
    found = judge_restore(having(ON_RECORD, outcome="marker", reason="no", date=date), EXPECTED)
    assert found.verdict is Verdict.FAIL
    assert "failed: no" in found.reason


def test_a_rehearsal_of_people_passes_with_date_rto_and_rpo():
    people = Record(
        NOW - timedelta(days=3), "good", RestoreFacts(rto_s=1800.0, rpo_s=120.0, by="operations-manager")
    )
    judged = judge_rehearsal(replace(REHEARSED, record=people), EXPECTED)
    assert judged.verdict is Verdict.PASS
    assert "(operations-manager): RTO 30 min of 60 min" in judged.reason


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (replace(REHEARSED, record=None, problem="there is no record r.json"), "no rehearsal"),
        (having(REHEARSED, date=NOW - timedelta(days=120)), "120 d old, limit 90 d"),
        (having(REHEARSED, date=NOW + timedelta(days=1)), "in the future"),
        (replace(REHEARSED, environment="staging"), "was run in 'prod', this is 'staging'"),
        (having(REHEARSED, rto_s=4000.0), "RTO objective"),
        (having(REHEARSED, rto_s=None), "no measured RTO"),
        (having(REHEARSED, rpo_s=None, digest=""), "no measured RTO and RPO"),
        (having(REHEARSED, outcome="restore", reason="checksum"), "checksum"),
        (having(REHEARSED, outcome=""), "no outcome was recorded"),
    ],
)
def test_a_rehearsal_that_does_not_count_fails(found, words):
    judged = judge_rehearsal(found, EXPECTED)
    assert (judged.verdict, words in judged.reason) == (Verdict.FAIL, True), judged.reason
