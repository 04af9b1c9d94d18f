"""Judges the contact list, and its escalation."""

from pytest_deploygate.checks.contacts.judge.escalation import escalation
from pytest_deploygate.checks.contacts.judge.listed import judge

__all__ = ["escalation", "judge"]
