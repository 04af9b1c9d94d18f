"""Judges documents, briefings and improvements."""

from pytest_deploygate.checks.handover.judge.briefings import briefing
from pytest_deploygate.checks.handover.judge.documents import documents, improvements

__all__ = ["briefing", "documents", "improvements"]
