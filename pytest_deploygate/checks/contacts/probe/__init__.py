"""Observes the contact list: its numbers, its addresses, and where their domains take mail."""

from pytest_deploygate.checks.contacts.probe.listed import read

__all__ = ["read"]
