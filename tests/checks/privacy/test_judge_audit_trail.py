"""Judges of the audit trail: what a record must contain, and who may change one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pytest_deploygate.checks.privacy.facts import Record, RecordFacts, RightsFacts
from pytest_deploygate.checks.privacy.judge import audit_trail
from pytest_deploygate.checks.privacy.section import AuditTrail
from pytest_deploygate.model import Verdict

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
AUDIT = AuditTrail.model_validate(
    {"table": "a.log", "role": {"user": "app"}, "operation": [{"sql": "SELECT 1"}], "query": "SELECT 1"}
)
RECORD = Record("app", "INSERT a.users", NOW, "10.0.0.1")
RECORDS = RecordFacts("app", NOW, 0.1, (RECORD,))


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (None, "left no record"),
        (replace(RECORD, who="postgres"), "who is postgres, expected app"),
        (replace(RECORD, what=None), "what was done"),
        (replace(RECORD, at=None), "when is not recorded"),
        (replace(RECORD, at=NOW - timedelta(hours=2)), "but the operation was at"),
        (replace(RECORD, at=NOW.replace(tzinfo=None)), "no time zone"),
        (replace(RECORD, source=None), "from where"),
    ],
)
def test_a_record_that_is_not_whole_fails(record, words):
    assert audit_trail.judge_record(RECORDS, AUDIT).verdict is Verdict.PASS
    found = audit_trail.judge_record(replace(RECORDS, records=(record,) if record else ()), AUDIT)
    assert found.verdict is Verdict.FAIL
    assert words in found.reason


def test_the_records_that_stay_are_named():
    """The application may not remove them, and neither may the gate."""
    found = audit_trail.judge_record(replace(RECORDS, records=(RECORD, RECORD)), AUDIT)
    assert "left behind: 2 records of the operation in a.log, as of every operation" in found.notes


def test_rights():
    safe = RightsFacts("a.log", True, "owner", ("app",), (), ())
    assert audit_trail.judge_rights(safe, AUDIT).verdict is Verdict.PASS
    assert (
        audit_trail.judge_rights(replace(safe, ways=(("app", "may TRUNCATE a.log"),)), AUDIT).verdict
        is Verdict.FAIL
    )
    assert audit_trail.judge_rights(replace(safe, exists=False), AUDIT).verdict is Verdict.FAIL
    assert (
        audit_trail.judge_rights(replace(safe, missing_roles=("app",)), AUDIT).verdict is Verdict.INCONCLUSIVE
    )
