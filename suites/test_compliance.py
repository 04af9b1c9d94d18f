"""Before the day, compliance: audit trail, retention of personal data, the right to erasure."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.privacy.judge import audit_trail as judge_audit_trail
from pytest_deploygate.checks.privacy.judge import erasure as judge_erasure
from pytest_deploygate.checks.privacy.judge import retention as judge_retention
from pytest_deploygate.checks.privacy.probe import audit_trail as probe_audit_trail
from pytest_deploygate.checks.privacy.probe import erasure as probe_erasure
from pytest_deploygate.checks.privacy.probe import retention


@pytest.mark.item("comp.audit-trail")
def test_operation_is_recorded(gate, postgres, audit_trail):
    """An audited operation on synthetic data leaves a record: who, what, when, from where."""
    gate.judge(
        judge_audit_trail.judge_record,
        probe_audit_trail.perform(postgres, audit_trail),
        audit_trail,
        target="record",
    )


@pytest.mark.item("comp.audit-trail")
def test_records_cannot_be_changed(gate, postgres, audit_trail):
    """None of the application's roles could change or delete records."""
    gate.judge(
        judge_audit_trail.judge_rights,
        probe_audit_trail.rights(postgres, audit_trail),
        audit_trail,
        target="rights",
    )


@pytest.mark.item("comp.retention")
def test_personal_rows_go(gate, postgres, personal_table):
    """The job that removes personal data works, and no row is older than it should be."""
    gate.judge(judge_retention.judge, retention.read(postgres, personal_table), personal_table)


@pytest.mark.item("comp.retention")
def test_old_files_go(gate, aged_files):
    """No log or backup file is older than it should be."""
    gate.judge(judge_retention.judge_files, retention.file_ages(aged_files), aged_files)


@pytest.mark.item("comp.erasure")
def test_a_person_can_be_erased(gate, postgres, erasure):
    """A synthetic person is found everywhere before the erasure, and afterwards only where it is allowed."""
    gate.judge(judge_erasure.judge, probe_erasure.measure(postgres, erasure), erasure)
