"""Looks at documents and tickets."""

from pytest_deploygate.checks.handover.probe.links import briefings, documents, improvements

__all__ = ["briefings", "documents", "improvements"]
