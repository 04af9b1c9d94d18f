"""Observes the contact list: its numbers, its addresses, and where their domains take mail."""

from pytest_deploygate.checks.contacts.probe.listed import escalation, read

__all__ = ["escalation", "read"]
