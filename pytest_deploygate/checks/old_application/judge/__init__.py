"""Judges, pure: measurements and criteria in, judgements out."""

from __future__ import annotations

from pytest_deploygate.checks.old_application.judge.old_on_new import judge

__all__ = ["judge"]
