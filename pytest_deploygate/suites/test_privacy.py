"""Personal data: it is deleted in time, changes to it are recorded, a person can be erased."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.privacy import judge, probe


@pytest.mark.item("db.retention")
def test_old_rows_go(gate, postgres, retained):
    """The job that removes rows is scheduled and succeeded, and no row is older than it should be."""
    gate.judge(judge.judge_retention, probe.retained_rows(postgres, retained), retained)


@pytest.mark.item("comp.retention")
def test_personal_rows_go(gate, postgres, personal_table):
    """The job that removes personal data works, and no row is older than it should be."""
    gate.judge(judge.judge_retention, probe.retained_rows(postgres, personal_table), personal_table)


@pytest.mark.item("comp.retention")
def test_old_files_go(gate, aged_files):
    """No log or backup file is older than it should be."""
    gate.judge(judge.judge_files, probe.file_ages(aged_files), aged_files)


@pytest.mark.item("comp.audit-trail")
def test_operation_is_recorded(gate, postgres, audit_trail):
    """An audited operation on synthetic data leaves a record: who, what, when, from where."""
    gate.judge(
        judge.judge_record, probe.audited_operation(postgres, audit_trail), audit_trail, target="record"
    )


@pytest.mark.item("comp.audit-trail")
def test_records_cannot_be_changed(gate, postgres, audit_trail):
    """None of the application's roles could change or delete records."""
    gate.judge(judge.judge_rights, probe.audit_rights(postgres, audit_trail), audit_trail, target="rights")


@pytest.mark.item("comp.erasure")
def test_a_person_can_be_erased(gate, postgres, erasure, budget):
    """A synthetic person is found everywhere before the erasure, and afterwards only where it is allowed."""
    gate.judge(judge.judge_erasure, probe.erase_person(postgres, erasure, budget), erasure)
