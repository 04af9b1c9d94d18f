"""Observes; never sees a limit."""

from __future__ import annotations

from pytest_deploygate.checks.privacy.probe.audit_trail import audit_rights, audited_operation
from pytest_deploygate.checks.privacy.probe.erasure import erase_person
from pytest_deploygate.checks.privacy.probe.retention import file_ages, retained_rows

__all__ = ["audit_rights", "audited_operation", "erase_person", "file_ages", "retained_rows"]
