"""A restore counts when it came to the marker, equals its source, and is within the objectives; a record while it is young."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pytest_deploygate.checks.backups.facts import DrillEvidence, DrillRecord
from pytest_deploygate.checks.backups.judge.restore import judge_rehearsal, judge_restore
from pytest_deploygate.checks.backups.section import Backup
from pytest_deploygate.model import Verdict

NOW = datetime(2026, 3, 4, 8, 0, tzinfo=UTC)
EXPECTED = Backup.model_validate({"tool": "pgbackrest", "server": "platform", "rto": "1h", "rpo": "10m"})
RECORD = DrillRecord(
    NOW, "good", rto_s=60.0, rpo_s=301.0, digest="d", configuration={"version": "15"}, backup="F1", marker_at=NOW,
    marker_found=True, copied_s=40.0, tables=5, rows=1000, catalog_lines=50, indexes=7,
)  # fmt: skip
NOW_RUN = DrillEvidence(RECORD, "r.json", "", True, "d", {"version": "15"}, NOW)
ON_RECORD = replace(NOW_RUN, ran_now=False)


def having(evidence: DrillEvidence, **changes: object) -> DrillEvidence:
    return replace(evidence, record=replace(RECORD, **changes))


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
        replace(ON_RECORD, digest="another", configuration={"version": "16"}),
    ],
)
def test_no_restore_now_and_no_record_that_counts_is_inconclusive(found):
    assert judge_restore(found, EXPECTED).verdict is Verdict.INCONCLUSIVE


def test_a_failed_drill_on_record_fails():
    assert judge_restore(having(ON_RECORD, outcome="marker", reason="no"), EXPECTED).verdict is Verdict.FAIL


def test_a_rehearsal_of_people_passes_with_date_rto_and_rpo():
    people = DrillRecord(NOW - timedelta(days=3), "good", rto_s=1800.0, rpo_s=120.0, by="operations-manager")
    assert judge_rehearsal(replace(ON_RECORD, record=people, digest=""), EXPECTED).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (replace(ON_RECORD, record=None, problem="there is no record r.json"), "no rehearsal"),
        (having(ON_RECORD, date=NOW - timedelta(days=120)), "120 d ago"),
        (having(ON_RECORD, date=NOW + timedelta(days=1)), "in the future"),
        (having(ON_RECORD, rto_s=4000.0), "RTO objective"),
        (having(ON_RECORD, rto_s=None), "no measured RTO"),
        (having(ON_RECORD, rpo_s=None, digest=""), "no measured RTO and RPO"),
        (having(ON_RECORD, outcome="restore", reason="checksum"), "checksum"),
        (having(ON_RECORD, outcome=""), "nothing"),
    ],
)
def test_a_rehearsal_that_does_not_count_fails(found, words):
    judged = judge_rehearsal(found, EXPECTED)
    assert (judged.verdict, words in judged.reason) == (Verdict.FAIL, True), judged.reason
