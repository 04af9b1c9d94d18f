"""Judges, pure: a measurement and a criterion in, a judgement out."""

from __future__ import annotations

from pytest_deploygate.checks.privacy.judge.audit_trail import judge_record, judge_rights
from pytest_deploygate.checks.privacy.judge.erasure import judge_erasure
from pytest_deploygate.checks.privacy.judge.retention import judge_files, judge_retention

__all__ = ["judge_erasure", "judge_files", "judge_record", "judge_retention", "judge_rights"]
